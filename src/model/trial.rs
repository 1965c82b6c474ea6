//! Trials, their sittings and runs.

use std::fmt;
use std::time::Duration;

use super::Name;
use super::choice::Choice;
use super::metric::{Metrics, Summary};
use super::outcome::{Ending, FailureKind, Outcome};
use super::params::Params;
use super::value::Finite;
use crate::base::clock::Timestamp;

/// A trial's number in its study, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialId(pub u32);

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wanted a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The starting params.
    Baseline,
    /// The sampler.
    Sampler,
    /// A results file from before the study.
    Imported,
    /// A user.
    User,
}

/// One execution of a task or a measure step that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The step.
    pub step: Name,
    /// Its number within the trial and the step, from 1.
    pub number: u32,
    /// The sitting in which it ran.
    pub sitting: u32,
    /// How long it took.
    pub elapsed: Duration,
    /// How its process ended.
    pub ending: Ending,
    /// What it measured; of a bad run, what was found all the same.
    pub metrics: Metrics,
    /// Why the run does not count; `None` for a good run.
    pub fault: Option<Box<str>>,
}

impl Run {
    /// Whether it ended well with all its metrics.
    pub const fn is_good(&self) -> bool {
        self.fault.is_none()
    }
}

/// One stretch of work on a trial, with services of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Sitting {
    /// Its number within the trial, from 1.
    pub number: u32,
    /// The value of AUTOTUNE_TRIAL_ID in the environment of all its processes.
    pub token: Box<str>,
    /// The boot in which it ran.
    pub boot_id: Name,
    /// When it began.
    pub started: Timestamp,
    /// When it was over; `None` while it runs.
    pub ended: Option<Timestamp>,
    /// How long the services took to be ready, when they were.
    pub startup: Option<Duration>,
    /// The text of the last answer to a readiness check.
    pub health: Option<Name>,
    /// What its owner should know and what changes nothing, a sentence each.
    pub warnings: Vec<Name>,
    /// How it ended, once it has.
    pub end: Option<SittingEnd>,
}

/// How a sitting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SittingEnd {
    /// All that it was to do is done, or failed.
    Finished(Outcome),
    /// It was cut short; its good runs count, and the trial goes on later.
    Interrupted,
}

/// The trying of one params.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// What is tried.
    pub params: Params,
    /// Who wanted it.
    pub origin: Origin,
    /// Why the sampler chose it; `None` where none did, or where that was not
    /// recorded yet.
    pub choice: Option<Box<Choice>>,
    /// The runs that count, good and bad, in the order in which they ended.
    pub runs: Vec<Run>,
    /// Its sittings, in order.
    pub sittings: Vec<Sitting>,
    /// What came of it; `None` until it is settled. A trial that the host's
    /// fault ended, or that was interrupted, is not settled.
    pub outcome: Option<Outcome>,
    /// Whether a user does not want it to go on: what it has when it is
    /// interrupted is all that it gets.
    pub skipped: bool,
    /// Why racing ends it, once that is decided: it is treated as skipped.
    pub pruning: Option<Box<Pruning>>,
    /// Whether racing has put its remaining runs off: it came out by those that
    /// it has, and goes on when it is worth more of them.
    pub deferred: bool,
    /// Whether it was settled once and is measured again. Racing lets such a
    /// trial have all its runs.
    pub reopened: bool,
}

/// Why racing ends a trial before its last run.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruning {
    /// The metric that decides.
    pub metric: Name,
    /// Its runs so far.
    pub runs: u32,
    /// How many it would have had.
    pub of: u32,
    /// Its mean so far.
    pub mean: f64,
    /// What its mean over all runs would have to beat, or to meet.
    pub needed: f64,
    /// The incumbent, whose mean is [`needed`](Self::needed); `None` where that
    /// is the bound of a constraint.
    pub rival: Option<TrialId>,
    /// The chance that the mean over all runs would have done so, 0 to 1.
    pub chance: f64,
}

impl Trial {
    /// A trial that has not begun.
    pub const fn new(id: TrialId, params: Params, origin: Origin) -> Self {
        Self {
            id,
            params,
            origin,
            choice: None,
            runs: Vec::new(),
            sittings: Vec::new(),
            outcome: None,
            skipped: false,
            pruning: None,
            deferred: false,
            reopened: false,
        }
    }

    /// The sitting that runs now.
    pub fn running(&self) -> Option<&Sitting> {
        self.sittings.last().filter(|sitting| sitting.end.is_none())
    }

    /// The good runs of a step.
    pub fn good_runs(&self, step: &str) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(move |run| &*run.step == step && run.is_good())
    }

    /// The summary of a metric over the good runs.
    pub fn summary(&self, metric: &str) -> Option<Summary> {
        Summary::of(self.measurements(metric))
    }

    /// Why racing has pruned it, if that is what came of it.
    pub fn pruned_by_racing(&self) -> Option<&Pruning> {
        self.pruning
            .as_deref()
            .filter(|_| self.outcome == Some(Outcome::Pruned))
    }

    /// Whether it came out by only some of its runs, which racing has put off.
    pub const fn is_provisional(&self) -> bool {
        self.deferred && self.is_settled()
    }

    /// The good measurements of a metric, in the order of their runs.
    pub fn measurements(&self, metric: &str) -> impl Iterator<Item = Finite> {
        let good = self.runs.iter().filter(|run| run.is_good());
        good.flat_map(move |run| {
            let found = run.metrics.iter();
            let found = found.filter(move |(name, _)| &**name == metric);
            found.map(|(_, number)| *number)
        })
    }

    /// The same, each with the number of its sitting.
    pub fn measurements_by_sitting(&self, metric: &str) -> impl Iterator<Item = (u32, Finite)> {
        let good = self.runs.iter().filter(|run| run.is_good());
        good.flat_map(move |run| {
            let found = run.metrics.iter();
            let found = found.filter(move |(name, _)| &**name == metric);
            found.map(|(_, number)| (run.sitting, *number))
        })
    }

    /// The time spent in its sittings so far; a running one counts up to `now`.
    pub fn elapsed(&self, now: Timestamp) -> Duration {
        self.sittings
            .iter()
            .map(|s| s.ended.unwrap_or(now).since(s.started))
            .sum()
    }

    /// How long the services took to be ready in the last sitting in which
    /// they were.
    pub fn startup(&self) -> Option<Duration> {
        self.sittings
            .iter()
            .rev()
            .find_map(|sitting| sitting.startup)
    }

    /// Whether only some of its runs were good, and no racing ended it: a later
    /// start tries the bad ones again.
    pub fn is_partial(&self) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed(failure))
            if failure.kind == FailureKind::SomeRuns)
    }

    /// Whether the sampler may learn from it: it is settled.
    pub const fn is_settled(&self) -> bool {
        self.outcome.is_some()
    }
}

/// The name of a log file of a trial, relative to the folder of logs:
/// `trial_00012.log` for the first service of the first sitting,
/// `trial_00012.2.eval.log` for another step of the second.
pub fn log_name(trial: TrialId, sitting: u32, step: Option<&str>) -> String {
    let sitting = if sitting > 1 {
        format!(".{sitting}")
    } else {
        String::new()
    };
    let step = step.map(|step| format!(".{step}")).unwrap_or_default();
    format!("trial_{:05}{sitting}{step}.log", trial.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_names() {
        assert_eq!(log_name(TrialId(1), 1, None), "trial_00001.log");
        assert_eq!(log_name(TrialId(12), 2, None), "trial_00012.2.log");
        assert_eq!(
            log_name(TrialId(12), 2, Some("eval")),
            "trial_00012.2.eval.log"
        );
    }
}
