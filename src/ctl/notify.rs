//! `autotunectl notify`.

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::base::clock::Timestamp;
use crate::base::wrap::wrap;
use crate::report::phrase::{clean, counted};
use crate::term::color::{BAD, GOOD};
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Channel, Reply, Tested};
use crate::wire::request::Request;

/// Shows who is told what happens, or tries it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl notify                 the channels, and what waits for each
  autotunectl notify test            send a test by all of them
  autotunectl notify test feishu     by this one

A test is sent by the daemon, with its secrets, proxy and sandbox, and shows
what each receiver really answers. It is not tried again. The exit code is 1
when a receiver has not accepted it.")]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Shows the channels, and what waits for each
    #[command(after_help = "Example:\n  autotunectl notify list")]
    List,
    /// Sends a test, and shows what the receiver answers
    #[command(after_help = "Example:\n  autotunectl notify test feishu")]
    Test {
        /// The channel [default: all of them]
        channel: Option<String>,
    },
}

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    match args.verb {
        None | Some(Verb::List) => list(session).await,
        Some(Verb::Test { channel }) => test(session, channel).await,
    }
}

async fn list(session: &mut Session) -> Result<Exit, Trouble> {
    let Reply::Channels(channels) = session.ask(&Request::Channels).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&channels)?;
    } else {
        session.print(&text(&channels, session.color))?;
    }
    Ok(Exit::Done)
}

fn text(channels: &[Channel], color: bool) -> String {
    if channels.is_empty() {
        return "nobody is told: the spec has no [[notify.channel]]; autotune.toml(5) shows how\n"
            .to_owned();
    }
    let mut table = Table::new(vec![
        Column::left("CHANNEL"),
        Column::left("TYPE"),
        Column::right("WAITING"),
        Column::left("DELIVERED").flexible(),
    ]);
    for channel in channels {
        let delivered = channel.delivered.map(Timestamp::from_millis);
        table.row(vec![
            Cell::from(clean(&channel.name)),
            clean(&channel.kind).into(),
            channel.waiting.to_string().into(),
            delivered
                .map_or("never".to_owned(), |at| at.to_string())
                .into(),
        ]);
    }
    let mut text = table.render(DEFAULT_WIDTH, color);
    for channel in channels {
        let mut lines = vec![told(channel)];
        lines.extend(troubles(channel));
        for line in lines {
            text += &wrapped(&format!("{}: {line}", clean(&channel.name)));
        }
    }
    text
}

fn told(channel: &Channel) -> String {
    let kinds = clean(&channel.kinds.join(", "));
    match (channel.kinds.is_empty(), channel.fallback) {
        (true, _) => "gets what others have given up on".to_owned(),
        (false, true) => format!("gets {kinds}, and what others have given up on"),
        (false, false) => format!("gets {kinds}"),
    }
}

/// What is wrong with a channel, where something is.
pub(super) fn troubles(channel: &Channel) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(trouble) = &channel.trouble {
        let error = clean(&trouble.error);
        lines.push(match trouble.again.map(Timestamp::from_millis) {
            Some(again) => format!("{error}; next attempt at {again}"),
            None => format!("{error}; trying again"),
        });
    }
    // What was delivered since then shows that it is mended.
    let given_up = channel.given_up.as_ref();
    if let Some(given_up) = given_up.filter(|up| channel.delivered.is_none_or(|at| at < up.at)) {
        let at = Timestamp::from_millis(given_up.at);
        lines.push(format!("gave up at {at}: {}", clean(&given_up.reason)));
    }
    for one in &channel.refused {
        let again = if one.again { "; retrying" } else { "" };
        let (address, why) = (clean(&one.address), clean(&one.why));
        lines.push(format!("not for {address}: {why}{again}"));
    }
    lines
}

/// A channel in one line, where there is something to say about it.
pub(super) fn line(channel: &Channel) -> Option<String> {
    let mut parts = troubles(channel);
    if channel.waiting > 0 {
        let waiting = counted(channel.waiting.into(), "message");
        let verb = if channel.waiting == 1 {
            "waits"
        } else {
            "wait"
        };
        parts.insert(0, format!("{waiting} {verb}"));
    }
    let name = clean(&channel.name);
    (!parts.is_empty()).then(|| format!("{name}: {}", parts.join("; ")))
}

async fn test(session: &mut Session, channel: Option<String>) -> Result<Exit, Trouble> {
    let Reply::Tested(tested) = session.ask(&Request::NotifyTest(channel)).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&tested)?;
    } else {
        let lines: Vec<String> = tested
            .iter()
            .map(|one| result(one, session.color))
            .collect();
        session.print(&lines.concat())?;
    }
    let all = tested.iter().all(|one| one.accepted);
    Ok(if all { Exit::Done } else { Exit::Failure })
}

fn result(tested: &Tested, color: bool) -> String {
    let (style, word) = if tested.accepted {
        (GOOD, "accepted")
    } else {
        (BAD, "failed")
    };
    let (name, took) = (clean(&tested.channel), prose::duration(tested.took));
    let answer = clean(&tested.answer);
    let text = wrapped(&format!("{name}: {word} after {took}: {answer}"));
    match color {
        true => text.replacen(word, &format!("{style}{word}{style:#}"), 1),
        false => text,
    }
}

/// Lines below the first are indented.
fn wrapped(text: &str) -> String {
    wrap("", "  ", text).join("\n") + "\n"
}
