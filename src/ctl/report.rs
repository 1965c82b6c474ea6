//! `autotunectl report`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::base::file;
use crate::model::form::{Format, Languages};
use crate::report::phrase::clean;
use crate::wire::reply::{EndOfStream, Reply};
use crate::wire::report::ReportQuery;
use crate::wire::request::Request;

/// Writes a report: what came out, how, of what use it is, and each trial
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl report
  autotunectl report --lang zh --format html
  autotunectl report --lang en -o - | less

Without -o it is written to the study's folder, as reports/report-TIME.md, and
the path is told. A study that is done has left one there already. Without a
daemon: autotuned report DIR.")]
pub struct Args {
    /// Its language: zh, en, or both; else as the spec says
    #[arg(long, value_name = "LANG")]
    lang: Option<Languages>,
    /// Its format: md, or html, a page with plots that needs nothing else
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    format: Format,
    /// Write it to this file; - for standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize, JsonSchema)]
pub(super) struct Kept {
    /// Where the report is.
    path: String,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let query = ReportQuery {
        languages: args.lang.into(),
        format: args.format.into(),
        keep: args.output.is_none(),
    };
    let first = session.ask(&Request::Report(query)).await?;
    let path = match (first, &args.output) {
        (Reply::ReportKept(path), None) => path,
        (first, Some(output)) => {
            let text = text(session, first).await?;
            if output.as_os_str() == "-" {
                session.print(&text)?;
                return Ok(Exit::Done);
            }
            file::replace(output, text.as_bytes()).map_err(|source| Trouble::File {
                path: output.clone(),
                source,
            })?;
            output.display().to_string()
        }
        _ => return Err(Trouble::OffTopic),
    };
    if session.json {
        session.print_json(&Kept { path })?;
    } else {
        session.print(&format!("{}\n", clean(&path)))?;
    }
    Ok(Exit::Done)
}

/// The whole text, whose first piece has come.
async fn text(session: &mut Session, mut reply: Reply) -> Result<String, Trouble> {
    let mut bytes = Vec::new();
    loop {
        match reply {
            Reply::Report(piece) => bytes.extend(piece),
            Reply::End(EndOfStream::Complete) => {
                return String::from_utf8(bytes).map_err(|_| Trouble::OffTopic);
            }
            Reply::End(end) => return Err(Trouble::Ended(end)),
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}
