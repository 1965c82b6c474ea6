//! `autotunectl logs N`.

use std::io::{self, Write};

use super::exit::Exit;
use super::persist::persist;
use super::session::{Session, Trouble};
use crate::wire::reply::{EndOfStream, LogPiece, Reply};
use crate::wire::request::{LogPlace, LogQuery, Request};

/// Prints what a step of a trial has printed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl logs 7
  autotunectl logs 7 --step eval
  autotunectl logs 8 -f

Of a trial that was interrupted it is the log of its last sitting. With -f it
goes on until the trial is over: with its next sittings, and also after a
restart of the daemon.")]
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
    let mut query = LogQuery {
        trial: args.trial,
        step: args.step,
        from: None,
        follow: args.follow,
    };
    persist(session, args.follow, async |session, _| {
        read(session, &mut query).await
    })
    .await?;
    Ok(Exit::Done)
}

/// Prints a stream up to its end. `query` is then one for the rest.
async fn read(session: &mut Session, query: &mut LogQuery) -> Result<(), Trouble> {
    let mut reply = session.ask(&Request::Log(query.clone())).await?;
    loop {
        match reply {
            Reply::Log(piece) => {
                let new = query.from.is_some_and(|from| from.sitting != piece.sitting);
                if new {
                    let (trial, sitting) = (query.trial, piece.sitting);
                    session.note(&format!("trial {trial} is gone on with: sitting {sitting}"));
                }
                print(session, &piece)?;
                query.from = Some(LogPlace {
                    sitting: piece.sitting,
                    offset: piece.offset + piece.bytes.len() as u64,
                });
                query.step = Some(piece.step);
            }
            Reply::End(EndOfStream::Complete) => return Ok(()),
            Reply::End(end) => return Err(Trouble::Ended(end)),
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}

fn print(session: &Session, piece: &LogPiece) -> Result<(), Trouble> {
    // As it is: a log is for other programs, too.
    let mut out = io::stdout().lock();
    if session.json {
        let line = serde_json::json!({
            "step": piece.step,
            "sitting": piece.sitting,
            "offset": piece.offset,
            "text": String::from_utf8_lossy(&piece.bytes),
        });
        writeln!(out, "{line}")?;
    } else {
        out.write_all(&piece.bytes)?;
    }
    Ok(out.flush()?)
}
