//! `autotunectl ping`, `autotunectl version`.

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::report::phrase::clean;
use crate::wire::hello::OURS;
use crate::wire::reply::{Pong, Reply};
use crate::wire::request::Request;

async fn ask(session: &mut Session) -> Result<Pong, Trouble> {
    match session.ask(&Request::Ping).await? {
        Reply::Pong(pong) => Ok(pong),
        _ => Err(Trouble::OffTopic),
    }
}

pub async fn ping(session: &mut Session) -> Result<Exit, Trouble> {
    let pong = ask(session).await?;
    if session.json {
        session.print_json(&pong)?;
    } else {
        session.print(&format!(
            "autotuned {} (process {}) works on study {} in {}\n",
            clean(&pong.version),
            pong.pid,
            clean(&pong.study),
            clean(&pong.output_dir),
        ))?;
    }
    Ok(Exit::Done)
}

pub async fn version(session: &mut Session) -> Result<Exit, Trouble> {
    let own = env!("CARGO_PKG_VERSION");
    let pong = ask(session).await;
    if session.json {
        let daemon = pong.as_ref().ok();
        session.print_json(&serde_json::json!({
            "autotunectl": { "version": own, "protocols": [OURS.lowest, OURS.highest] },
            "autotuned": daemon.map(|pong| serde_json::json!({
                "version": pong.version, "protocol": pong.protocol,
            })),
        }))?;
    } else {
        session.print(&format!("autotunectl {own}\n"))?;
        if let Ok(pong) = &pong {
            let version = clean(&pong.version);
            session.print(&format!("autotuned   {version}\n"))?;
        }
    }
    pong.map(|_| Exit::Done)
}
