//! `autotunectl logs N`.

use std::io::{self, Write};

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::wire::reply::{EndOfStream, Reply};
use crate::wire::request::{LogQuery, Request};

/// Prints what a step of a trial has printed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl logs 7
  autotunectl logs 7 --step eval
  autotunectl logs 8 -f

Of a trial that was interrupted it is the log of its last sitting.")]
pub struct Args {
    /// The trial
    trial: u32,
    /// The step [default: the first that has a log]
    #[arg(long, short, value_name = "STEP")]
    step: Option<String>,
    /// Go on until the trial is over
    #[arg(long, short)]
    follow: bool,
}

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    let query = LogQuery {
        trial: args.trial,
        step: args.step,
        follow: args.follow,
    };
    let mut reply = session.ask(&Request::Log(query)).await?;
    loop {
        match reply {
            Reply::Log(bytes) => {
                // As it is: a log is for other programs, too.
                let mut out = io::stdout().lock();
                if session.json {
                    let text = serde_json::json!({ "text": String::from_utf8_lossy(&bytes) });
                    writeln!(out, "{text}")?;
                } else {
                    out.write_all(&bytes)?;
                }
                out.flush()?;
            }
            Reply::End(EndOfStream::Complete) => return Ok(Exit::Done),
            Reply::End(EndOfStream::Leaving) => {
                session.note("the daemon ends");
                return Ok(Exit::Done);
            }
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}
