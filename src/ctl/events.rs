//! `autotunectl events`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::exit::Exit;
use super::persist::persist;
use super::prose;
use super::session::{Session, Trouble};
use crate::report::phrase::clean;
use crate::term::color::{DIM, paint};
use crate::term::tables::DEFAULT_WIDTH;
use crate::term::width::shorten;
use crate::wire::reply::{EndOfStream, EventLine, Reply};
use crate::wire::request::{EventsQuery, Request};

/// Prints what has happened, as the journal has it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl events
  autotunectl events -n 100
  autotunectl events -f --json | jq -c .event

With -f it goes on until it is ended, also after a restart of the daemon: no
event is left out, none comes twice.")]
pub struct Args {
    /// Go on with what happens
    #[arg(long, short)]
    follow: bool,
    /// So many of the past; `all` for all
    #[arg(long, short = 'n', value_name = "N", default_value = "20", value_parser = last)]
    last: Last,
}

#[derive(Clone, Copy, Debug)]
struct Last(Option<u32>);

fn last(text: &str) -> Result<Last, String> {
    match text {
        "all" => Ok(Last(None)),
        _ => text
            .parse()
            .map(|last| Last(Some(last)))
            .map_err(|_| "a whole number, or `all`".to_owned()),
    }
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let mut after = None;
    persist(session, args.follow, async |session, pong| {
        let first = |last: u32| pong.events.saturating_sub(last.into());
        let query = EventsQuery {
            after: Some(*after.get_or_insert_with(|| args.last.0.map_or(0, first))),
            last: None,
            follow: args.follow,
        };
        read(session, query, &mut after).await
    })
    .await?;
    Ok(Exit::Done)
}

/// Prints a stream up to its end. `after` is the last event that was printed.
async fn read(
    session: &mut Session,
    query: EventsQuery,
    after: &mut Option<u64>,
) -> Result<(), Trouble> {
    let mut reply = session.ask(&Request::Events(query)).await?;
    loop {
        match reply {
            Reply::Events(events) => {
                for event in &events {
                    let line = if session.json {
                        json(event)
                    } else {
                        text(event, session)
                    };
                    session.print(&line)?;
                    *after = Some(event.seq);
                }
            }
            Reply::End(EndOfStream::Complete) => return Ok(()),
            Reply::End(end) => return Err(Trouble::Ended(end)),
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}

/// What `--json` prints of an event, a line each.
#[derive(Serialize, JsonSchema)]
pub(super) struct Printed {
    /// Its number in the journal.
    seq: u64,
    /// When it happened, in milliseconds since 1970.
    at: i64,
    /// One field, the event's kind, with what the journal has of it.
    #[schemars(with = "BTreeMap<String, Json>", extend("minProperties" = 1, "maxProperties" = 1))]
    event: Json,
}

fn parsed(event: &EventLine) -> Json {
    serde_json::from_str(&event.event).unwrap_or(Json::Null)
}

fn json(event: &EventLine) -> String {
    let (seq, at) = (event.seq, event.at);
    let event = parsed(event);
    let line = serde_json::json!(Printed { seq, at, event });
    format!("{line}\n")
}

/// `2026-11-22 10:15:02  trial-planned  trial=7 BATCH=32 origin=sampler`.
fn text(event: &EventLine, session: &Session) -> String {
    let parsed = parsed(event);
    let one = parsed.as_object().and_then(|object| object.iter().next());
    let (kind, fields) = match one {
        Some((kind, fields)) => (kind.as_str(), fields),
        None => ("?", &Json::Null),
    };
    let mut words = Vec::new();
    flatten("", fields, &mut words);
    let moment = prose::moment(event.at);
    let mut rest = format!("{:<15} {}", clean(kind), words.join(" "));
    if session.terminal {
        // For programs, and in a file, it is whole.
        rest = shorten(&rest, DEFAULT_WIDTH - moment.len() - 2).into_owned();
    }
    let at = paint(&moment, DIM, session.color);
    format!("{at}  {}\n", rest.trim_end())
}

fn flatten(name: &str, value: &Json, words: &mut Vec<String>) {
    // What nobody can read.
    if matches!(name, "token" | "boot_id" | "start_ticks" | "digest") {
        return;
    }
    match value {
        Json::Object(fields) => {
            for (name, value) in fields {
                flatten(name, value, words);
            }
        }
        Json::String(text) => words.push(format!("{name}={}", clean(text))),
        Json::Number(number) if name.ends_with("_ns") => {
            let milliseconds = number.as_u64().unwrap_or_default() / 1_000_000;
            let name = name.trim_end_matches("_ns");
            words.push(format!(
                "{name}={}",
                prose::duration(milliseconds).replace(' ', "")
            ));
        }
        Json::Null => {}
        other => words.push(format!("{name}={other}")),
    }
}
