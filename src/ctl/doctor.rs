//! `autotunectl doctor`.

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::report::host_check;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD, paint};
use crate::wire::reply::{Doctor, HostState, Reply};
use crate::wire::request::Request;

pub async fn carry_out(session: &mut Session) -> Result<Exit, Trouble> {
    let Reply::Doctor(doctor) = session.ask(&Request::Doctor).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&doctor)?;
    } else {
        session.print(&text(&doctor, session.color))?;
    }
    let is_sick = doctor.checks.iter().any(|c| c.state == HostState::Error);
    Ok(if is_sick { Exit::Failure } else { Exit::Done })
}

fn text(doctor: &Doctor, color: bool) -> String {
    let mut text = String::new();
    for check in &doctor.checks {
        let (word, style) = match check.state {
            HostState::Ok => ("ok", GOOD),
            HostState::Warning => ("warning", DOUBTFUL),
            HostState::Error => ("error", BAD),
        };
        let lines = host_check::lines(word, &check.name, &check.text, &check.remedy);
        text += &format!(
            "{}{}\n",
            paint(&lines.state, style, color),
            lines.text.join("\n")
        );
        for line in lines.remedy {
            text += &format!("{}\n", paint(&line, DIM, color));
        }
    }
    text
}
