//! The verbs that change something.

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::persist::persist;
use super::prose;
use super::session::{Session, Trouble};
use super::{amend, approve};
use crate::report::phrase::{clean, clean_lines};
use crate::wire::reply::{Accepted, Reloaded, Reply};
use crate::wire::request::{Request, Steer};

/// Starts no further trial until `resume`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl pause
  autotunectl pause --now

The running trial is finished first. With --now it is interrupted: its good
runs are kept, and `resume` goes on with those that are missing. A pause
outlives a restart of the daemon.")]
pub struct Pause {
    /// Interrupt the running trial
    #[arg(long)]
    now: bool,
}

/// Ends the daemon; started again, it goes on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl stop
  autotunectl stop --now

The running trial is interrupted in order; its good runs are kept.")]
pub struct Stop {
    /// Kill the running trial instead of ending it in order
    #[arg(long)]
    now: bool,
}

/// Reads the spec's file again, without a restart
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl reload
  systemctl reload autotune

A file with a mistake in it is refused, with what is wrong, and the study goes
on by the old one. The running trial is finished as it was started; what starts
after it obeys. What users changed by `space` and `set` lies on top. Name, seed
and folder of the study, [control] and [files] change with a restart only, and
so does a secret.")]
pub struct Reload {
    /// Wait for a daemon that is still starting
    #[arg(long)]
    wait: bool,
}

/// Repeats the bad and missing runs of a trial, next
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotunectl retry 7")]
pub struct Retry {
    /// The trial
    trial: u32,
}

/// Ends the running trial for good, or drops one that waits
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl skip
  autotunectl skip 12

What the trial has measured is kept, it counts as `pruned`, and its values are
not tried again. `autotunectl retry N` takes it up after all.")]
pub struct Skip {
    /// The trial, which runs or waits [default: the one that runs, where that is
    /// one]
    trial: Option<u32>,
}

/// Tries these values next
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl enqueue BATCH=32
  autotunectl enqueue BATCH=32 MODE=fast
  autotunectl enqueue --again BATCH=32

What is not named has its starting value. The values must be in the spec's
[space]. They are tried even when the budget of trials is used up, but not
after the budget of time. What was tried before is tried once more only with
--again: as a trial of its own, which is not averaged with the first.")]
pub struct Enqueue {
    /// Also when these values were tried before
    #[arg(long)]
    again: bool,
    /// What differs from the starting values
    #[arg(value_name = "NAME=VALUE", required = true, value_parser = assignment)]
    values: Vec<(String, String)>,
}

/// What `--json` prints of a change.
#[derive(Serialize, JsonSchema)]
pub(super) struct Changed {
    /// Whether it was not so already.
    changed: bool,
    /// What came of it.
    result: Accepted,
}

pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

pub async fn pause(session: &mut Session, args: &Pause) -> Result<Exit, Trouble> {
    steer(session, Steer::Pause { now: args.now }).await
}

pub async fn resume(session: &mut Session) -> Result<Exit, Trouble> {
    steer(session, Steer::Resume).await
}

pub async fn stop(session: &mut Session, args: &Stop) -> Result<Exit, Trouble> {
    steer(session, Steer::Stop { now: args.now }).await
}

pub async fn skip(session: &mut Session, args: &Skip) -> Result<Exit, Trouble> {
    steer(session, Steer::Skip(args.trial)).await
}

pub async fn reload(session: &mut Session, args: &Reload) -> Result<Exit, Trouble> {
    if args.wait {
        persist(session, true, async |_, _| Ok(())).await?;
    }
    change(session, &Request::Reload).await
}

pub async fn retry(session: &mut Session, args: &Retry) -> Result<Exit, Trouble> {
    steer(session, Steer::Retry(args.trial)).await
}

pub async fn enqueue(session: &mut Session, args: Enqueue) -> Result<Exit, Trouble> {
    let Enqueue { again, values } = args;
    steer(session, Steer::Enqueue { values, again }).await
}

pub(super) async fn steer(session: &mut Session, steer: Steer) -> Result<Exit, Trouble> {
    change(session, &Request::Steer(steer)).await
}

async fn change(session: &mut Session, request: &Request) -> Result<Exit, Trouble> {
    let (answer, changed) = match session.ask(request).await? {
        Reply::Accepted(answer) => (answer, true),
        Reply::Ignored(answer) => (answer, false),
        _ => return Err(Trouble::OffTopic),
    };
    if session.json {
        session.print_json(&Changed {
            changed,
            result: answer,
        })?;
    } else {
        session.print(&format!("{}\n", sentence(&answer, changed)))?;
    }
    Ok(Exit::Done)
}

fn reloaded(reloaded: &Reloaded, changed: bool) -> String {
    let running = prose::trials(reloaded.running, &reloaded.beside);
    let mut lines = vec![match (changed, running) {
        (false, _) => "the spec says what it said".to_owned(),
        (true, Some(all)) => format!(
            "the study goes by the spec as it is now; {} {} on as {} started",
            all.names, all.run, all.they
        ),
        (true, None) => "the study goes by the spec as it is now".to_owned(),
    }];
    lines.extend(reloaded.warnings.iter().map(|text| clean_lines(text)));
    let unfit = reloaded.unfit.iter();
    lines.extend(unfit.map(|text| format!("{}, ignoring it", clean(text))));
    if changed && reloaded.done {
        lines.push("the study was done; it goes on if there is more to try now".to_owned());
    }
    lines.join("\n")
}

pub(super) fn sentence(answer: &Accepted, changed: bool) -> String {
    let already = if changed { "" } else { " already" };
    let after = |running: &Option<u32>, beside: &[u32]| prose::after(*running, beside);
    match answer {
        Accepted::Paused {
            running,
            beside,
            interrupted,
        } => match prose::trials(*running, beside) {
            None => format!("paused{already}"),
            Some(all) if *interrupted => format!(
                "paused; {} {} interrupted, {} good runs are kept",
                all.names, all.are, all.their
            ),
            Some(all) => format!("paused{already}; {} {} finished first", all.names, all.are),
        },
        Accepted::Resumed if changed => "the study goes on".to_owned(),
        Accepted::Resumed => "the study goes on already".to_owned(),
        Accepted::Stopping { running, beside } => match prose::trials(*running, beside) {
            None => format!("autotuned is ending{already}"),
            Some(all) => {
                format!(
                    "autotuned is ending{already}; {} {} interrupted",
                    all.names, all.are
                )
            }
        },
        Accepted::Skipped {
            trial,
            running: true,
        } => format!("trial {trial} is being ended{already}"),
        Accepted::Skipped { trial, .. } => format!("trial {trial} is dropped{already}"),
        Accepted::Reopened {
            trial,
            running,
            beside,
        } => {
            format!("trial {trial} is repeated{}", after(running, beside))
        }
        Accepted::Reloaded(reloaded) => self::reloaded(reloaded, changed),
        Accepted::Approved {
            proposal,
            trial,
            running,
            beside,
            paused,
        } => {
            let then = if *paused {
                ", once the study is resumed"
            } else {
                ""
            };
            format!(
                "proposal {proposal} is tried as trial {trial}{}{then}",
                after(running, beside)
            )
        }
        Accepted::Rejected {
            proposal,
            ended,
            paused,
        } => approve::rejected(*proposal, ended, *paused),
        Accepted::ParameterReopened { parameter, paused } => {
            approve::reopened(parameter, *paused, changed)
        }
        Accepted::Amended(amended) => amend::sentences(amended, changed),
        Accepted::Enqueued {
            trial,
            running,
            beside,
            paused,
        } => {
            let planned = if changed { "it" } else { "planned already: it" };
            let then = if *paused {
                ", once the study is resumed"
            } else {
                ""
            };
            format!(
                "{planned} is tried as trial {trial}{}{then}",
                after(running, beside)
            )
        }
    }
}
