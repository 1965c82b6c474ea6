//! `autotunectl approve` and `reject`.

use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use super::steer::{assignment, steer};
use crate::report::phrase::clean;
use crate::wire::reply::{Ended, Proposal};
use crate::wire::request::{End, Instead, Steer};

/// Lets a proposal that waits be tried
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl approve
  autotunectl approve 3
  autotunectl approve --value 0.0002
  autotunectl approve learning_rate=0.0002 warmup=0.1
  autotunectl approve --parameter learning_rate

With `approve` in the spec's [study], what the sampler proposes waits until
somebody approves of it; `autotunectl status` shows it. Another value takes the
place of the proposed one, which is not proposed again. Given the number of the
proposal, no other one is approved by mistake.

--parameter takes `reject --parameter` back: values of that parameter are
proposed again, but for those that were rejected; no proposal is approved.")]
pub struct Approve {
    /// The number of the proposal [default: the one that waits]
    #[arg(value_name = "PROPOSAL | NAME=VALUE", value_parser = word)]
    words: Vec<Word>,
    /// The value to try of the one parameter that the proposal changes
    #[arg(long, short, value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<String>,
    /// Let values of this parameter, which was ended, be proposed again
    #[arg(long, value_name = "NAME", conflicts_with_all = ["words", "value"])]
    parameter: Option<String>,
}

/// Has a proposal that waits not tried, and never proposed again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl reject
  autotunectl reject 3
  autotunectl reject --parameter
  autotunectl reject --study

The sampler proposes something else. With --parameter it goes on to the next
parameter (`autotunectl approve --parameter NAME` takes that back), with --study
the study is done until `autotunectl resume`. What was rejected can still be
tried by `autotunectl enqueue`.")]
pub struct Reject {
    /// The number of the proposal [default: the one that waits]
    proposal: Option<u32>,
    /// Also end the parameter that is being tuned: no further value of it is
    /// proposed
    #[arg(long, conflicts_with = "study")]
    parameter: bool,
    /// Also end the study
    #[arg(long)]
    study: bool,
}

#[derive(Clone, Debug)]
enum Word {
    Number(u32),
    Assignment((String, String)),
}

fn word(text: &str) -> Result<Word, String> {
    if text.contains('=') {
        return assignment(text).map(Word::Assignment);
    }
    let number = text.parse().map(Word::Number);
    number.map_err(|_| "give the number of a proposal, or NAME=VALUE; or --value VALUE".to_owned())
}

pub async fn approve(session: &mut Session, args: Approve) -> Result<Exit, Trouble> {
    if let Some(parameter) = args.parameter {
        return steer(session, Steer::ReopenParameter(parameter)).await;
    }
    let mut numbers = Vec::new();
    let mut values = Vec::new();
    for word in args.words {
        match word {
            Word::Number(number) => numbers.push(number),
            Word::Assignment(value) => values.push(value),
        }
    }
    let instead = match (args.value, values.is_empty()) {
        (Some(_), false) => {
            let text = "give either --value, or NAME=VALUE for each parameter";
            return Err(Trouble::Usage(text.to_owned()));
        }
        (Some(value), true) => Instead::Value(value),
        (None, false) => Instead::Values(values),
        (None, true) => Instead::Nothing,
    };
    if numbers.len() > 1 {
        let text = "one proposal waits at a time: give one number";
        return Err(Trouble::Usage(text.to_owned()));
    }
    let number = numbers.pop();
    steer(session, Steer::Approve { number, instead }).await
}

pub async fn reject(session: &mut Session, args: &Reject) -> Result<Exit, Trouble> {
    let end = match (args.parameter, args.study) {
        (true, _) => End::Parameter,
        (_, true) => End::Study,
        _ => End::Proposal,
    };
    let number = args.proposal;
    steer(session, Steer::Reject { number, end }).await
}

/// What becomes of a rejected proposal.
pub(super) fn rejected(proposal: u32, ended: &Ended, paused: bool) -> String {
    let then = if paused {
        ", once the study is resumed"
    } else {
        ""
    };
    match ended {
        Ended::Proposal => {
            format!("proposal {proposal} is not tried; the sampler proposes another{then}")
        }
        Ended::Parameter(name) => format!(
            "no further value of {} is proposed; the sampler goes on to the next parameter{then}",
            clean(name)
        ),
        Ended::Study => {
            "the study is ended; to go on: autotunectl resume, or, where the daemon ends, start \
                         it again"
                .to_owned()
        }
    }
}

/// What becomes of a parameter that is taken up again; `changed` when it had been
/// ended.
pub(super) fn reopened(parameter: &str, paused: bool, changed: bool) -> String {
    let name = clean(parameter);
    match (changed, paused) {
        (false, _) => format!("nobody has ended {name}: its values are proposed as ever"),
        (true, true) => {
            format!("values of {name} are proposed again, once the study is resumed")
        }
        (true, false) => format!("values of {name} are proposed again"),
    }
}

/// What users want no further value of, for `status`.
pub(super) fn ended(parameters: &[String]) -> String {
    let names: Vec<String> = parameters.iter().map(|name| clean(name)).collect();
    format!(
        "{}: no further value is proposed; to take that back: autotunectl approve --parameter NAME",
        names.join(", ")
    )
}

/// What waits for approval, for `status`.
pub(super) fn proposed(proposal: &Proposal, now: i64) -> String {
    let changes: Vec<String> = proposal.changes.iter().map(prose::change).collect();
    let mut text = changes.join(", ");
    if let Some(trial) = proposal.against {
        text += &format!(", else as in trial {trial}");
    }
    text += &format!("; waits for {}", prose::since(now, proposal.since));
    if let (Some(until), Some(then)) = (proposal.until, &proposal.then) {
        let then = match then.as_str() {
            "approve" => "is tried".to_owned(),
            "reject" => "is rejected".to_owned(),
            "pause" => "the study is paused".to_owned(),
            other => clean(other),
        };
        text += &format!(", {then} in {}", prose::since(until, now));
    }
    let number = proposal.number;
    format!("{text}; to answer: autotunectl approve {number}, autotunectl reject {number}")
}
