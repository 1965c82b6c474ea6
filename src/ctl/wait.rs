//! `autotunectl wait`.

use std::time::Duration;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::base::quantity::{parse_duration, show_duration};
use crate::wire::reply::Reply;
use crate::wire::request::{Request, Until};

/// Waits until something holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl wait --for done && autotunectl best --env
  autotunectl wait --for trial=7 --timeout 30m

Ends with code 7 when the time is over, and with 4 when it can no longer
happen: the study is done, or the daemon ends.")]
pub struct Args {
    /// `done`: nothing is left to do; `best`: a better trial than now;
    /// `paused`: paused, and nothing runs; `trial=N`: trial N is over
    #[arg(long = "for", value_name = "WHAT", value_parser = until)]
    until: Until,
    /// The longest time to wait: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

fn until(text: &str) -> Result<Until, String> {
    match text {
        "done" => Ok(Until::Done),
        "best" => Ok(Until::Best),
        "paused" => Ok(Until::Paused),
        _ => {
            let number = text.strip_prefix("trial=").and_then(|n| n.parse().ok());
            number
                .map(Until::Trial)
                .ok_or_else(|| "one of done, best, paused, trial=N".to_owned())
        }
    }
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let request = Request::Wait(args.until);
    let asked = session.ask(&request);
    let reply = match args.timeout {
        None => asked.await,
        Some(most) => match tokio::time::timeout(most, asked).await {
            Ok(reply) => reply,
            Err(_) => {
                session.note(&format!("not within {}", show_duration(most)));
                return Ok(Exit::TimedOut);
            }
        },
    };
    match reply? {
        Reply::Reached => Ok(Exit::Done),
        _ => Err(Trouble::OffTopic),
    }
}
