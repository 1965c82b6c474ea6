//! `autotunectl wait`.

use std::time::Duration;

use super::exit::Exit;
use super::persist::{await_daemon, persist_from};
use super::session::{Session, Trouble};
use crate::base::quantity::{parse_duration, show_duration};
use crate::wire::reply::{Pong, Refusal, Reply};
use crate::wire::request::{Request, Until};

/// Waits until something holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl wait --for done && autotunectl best --env
  autotunectl wait --for trial=7 --timeout 30m
  autotunectl wait --for approval && autotunectl status

Ends with code 7 when the time is over, and with 4 when it can no longer
happen since the study is done. A restart of the daemon is waited for, and
with --timeout also a daemon that is not there yet.")]
pub struct Args {
    /// `done`: nothing is left to do; `best`: a better trial than now;
    /// `paused`: paused, and nothing runs; `approval`: a proposal waits for it;
    /// `trial=N`: trial N is over
    #[arg(long = "for", value_name = "WHAT", value_parser = until)]
    until: Until,
    /// The longest time to wait: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

fn until(text: &str) -> Result<Until, String> {
    match text {
        "done" => Ok(Until::Done),
        "best" => Ok(Until::Best(None)),
        "paused" => Ok(Until::Paused),
        "approval" => Ok(Until::Approval),
        _ => {
            let number = text.strip_prefix("trial=").and_then(|n| n.parse().ok());
            number
                .map(Until::Trial)
                .ok_or_else(|| "one of done, best, paused, approval, trial=N".to_owned())
        }
    }
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let mut best = None;
    let waited = async {
        // Without a limit somebody who has mistaken the place would wait for ever.
        let known = match args.timeout {
            Some(_) => Some(await_daemon(session).await?),
            None => None,
        };
        let waits = async |session: &mut Session, _: &Pong| {
            let until = match (args.until, best) {
                (Until::Best(_), None) => {
                    let now = best_now(session).await?;
                    best = Some(now);
                    Until::Best(now)
                }
                (Until::Best(_), Some(then)) => Until::Best(then),
                (until, _) => until,
            };
            match session.ask(&Request::Wait(until)).await? {
                Reply::Reached => Ok(Exit::Done),
                _ => Err(Trouble::OffTopic),
            }
        };
        persist_from(session, known, true, waits).await
    };
    let Some(most) = args.timeout else {
        return waited.await;
    };
    let waited = tokio::time::timeout(most, waited).await;
    match waited {
        Ok(result) => result,
        Err(_) => {
            session.note(&format!("not within {}", show_duration(most)));
            Ok(Exit::TimedOut)
        }
    }
}

/// The best trial, to which a better one is waited for.
async fn best_now(session: &mut Session) -> Result<Option<u32>, Trouble> {
    match session.ask(&Request::Best).await {
        Ok(Reply::Best(best)) => Ok(Some(best.measured.trial)),
        Ok(_) => Err(Trouble::OffTopic),
        Err(Trouble::Refused(Refusal::NothingBest)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
