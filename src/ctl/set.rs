//! `autotunectl set`.

use super::exit::Exit;
use super::session::{Session, Trouble};
use super::space::ignored;
use super::steer::steer;
use crate::report::phrase::clean;
use crate::term::color::BOLD;
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Reply, Settings};
use crate::wire::request::{Edit, Request, Steer};

/// Shows thresholds, runs, budget and the like, or changes them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl set                              what holds now
  autotunectl set accuracy.min=0.9             a stricter threshold
  autotunectl set budget.trials=40 wall=none   a larger budget
  autotunectl set step.eval.runs=5 racing=off  measure more
  autotunectl set approve=never                nobody needs to approve any more
  autotunectl set --reset budget.trials        back to what the spec says

Names are the places in the spec; the end of a name is enough where it is
clear. `none` takes a limit away. Every metric can have a `min` and a `max`.

Trials that have all their runs are judged by a new threshold at once. More
runs count for what starts from now on; `autotunectl retry N` gives them to an
older trial. The running trial is finished as it was started. A change
outlives a restart; the spec's file is not touched.")]
pub struct Args {
    /// What to change
    #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
    settings: Vec<Edit>,
    /// Go back to what the spec says: for the settings named, or for all
    #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with = "settings")]
    reset: Option<Vec<String>>,
}

fn assignment(text: &str) -> Result<Edit, String> {
    // A metric's name may have a `=` in it, a value has none.
    let (name, value) = text
        .rsplit_once('=')
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    Ok(Edit::Set {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    let edits = match args.reset {
        Some(names) => vec![Edit::ResetSettings(names)],
        None if args.settings.is_empty() => return show(session).await,
        None => args.settings,
    };
    steer(session, Steer::Amend(edits)).await
}

async fn show(session: &mut Session) -> Result<Exit, Trouble> {
    let Reply::Settings(settings) = session.ask(&Request::Settings).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&settings)?;
    } else {
        session.print(&text(&settings, session.color))?;
    }
    Ok(Exit::Done)
}

fn text(settings: &Settings, color: bool) -> String {
    let changed = settings.settings.iter().any(|row| row.written.is_some());
    let mut columns = vec![Column::left("SETTING").flexible(), Column::left("VALUE")];
    if changed {
        columns.push(Column::left("IN THE SPEC"));
    }
    let mut table = Table::new(columns);
    for row in &settings.settings {
        let mark = if row.written.is_some() { " *" } else { "" };
        let name = format!("{}{mark}", clean(&row.name));
        let mut cells = vec![
            match row.written {
                Some(_) => Cell::styled(name, BOLD),
                None => name.into(),
            },
            Cell::from(clean(&row.value)),
        ];
        if changed {
            cells.push(clean(row.written.as_deref().unwrap_or_default()).into());
        }
        table.row(cells);
    }
    let mut text = table.render(DEFAULT_WIDTH, color);
    if changed {
        text += "to go back to the spec: autotunectl set --reset\n";
    }
    text + &ignored(&settings.ignored, color)
}
