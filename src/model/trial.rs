//! Trials, their sittings and runs.

use std::fmt;
use std::time::Duration;

use super::Name;
use super::artifacts::Artifacts;
use super::choice::Choice;
use super::curve::{Curve, Point, Told};
use super::metric::{Metrics, Summary};
use super::outcome::{Ending, FailureKind, HostFault, Outcome};
use super::params::Params;
use super::step::Step;
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
    /// The remedy for the trouble that another trial failed by.
    Remedy {
        /// That trial.
        of: TrialId,
    },
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

/// What was known of a run before it had ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The step.
    pub step: Name,
    /// The run's number within the trial and the step.
    pub run: u32,
    /// The sitting in which it ran.
    pub sitting: u32,
    /// Which part it was that ended, or which line of progress, from 1.
    pub number: u32,
    /// What the part measured, or what the line told.
    pub metrics: Metrics,
}

/// What a sitting is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// The runs that its trial lacks: what the trial comes out by.
    #[default]
    Measure,
    /// One more run of what was measured before, which shows whether the host
    /// still is what it was.
    Check,
    /// One run for the comparison of two trials, of which this is one.
    Confirm {
        /// The trial of the starting params.
        baseline: TrialId,
        /// What was found to be better.
        winner: TrialId,
    },
    /// The steps that look, before anything is tried, whether all is there that
    /// trials need.
    Preflight,
    /// The steps that follow when this trial has become the incumbent.
    Incumbent,
    /// One run of the starting params beside trials in the other slots, which
    /// shows how much they disturb each other.
    Neighbours,
}

impl Purpose {
    /// Whether nothing else may run meanwhile: what is compared over the whole
    /// study has to be measured under the same conditions, whatever the
    /// neighbours would have been; and what is no trial may use any of the host,
    /// whatever slot it is in.
    pub const fn is_alone(self) -> bool {
        match self {
            Self::Check | Self::Confirm { .. } | Self::Preflight | Self::Incumbent => true,
            Self::Measure | Self::Neighbours => false,
        }
    }
}

/// One stretch of work on a trial, with services of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Sitting {
    /// Its number within the trial, from 1.
    pub number: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// The value of AUTOTUNE_TRIAL_ID in the environment of all its processes.
    pub token: Box<str>,
    /// The boot in which it ran.
    pub boot_id: Name,
    /// The slot in which it ran; `None` where one trial ran at a time.
    pub slot: Option<Name>,
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
    /// The checkpoint from which a task of it went on.
    pub resumed: Option<Name>,
    /// How it ended, once it has.
    pub end: Option<SittingEnd>,
}

impl Sitting {
    /// Whether it is over with a result, be it that the params failed: it was
    /// neither interrupted nor ended by a fault of the host.
    pub fn is_held(&self) -> bool {
        matches!(&self.end, Some(SittingEnd::Finished(outcome)) if outcome.host_fault().is_none())
    }
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
    /// The marks of the runs that count, and of the one that goes on or was cut
    /// short, in the order in which they were reached.
    pub marks: Vec<Mark>,
    /// What its runs have told on their way, one for each run and metric.
    pub curves: Vec<Curve>,
    /// The runs of sittings with another purpose than to measure it: it does
    /// not come out by them. Those of a sitting that was cut short are not kept.
    pub extra: Vec<Run>,
    /// Its sittings, in order.
    pub sittings: Vec<Sitting>,
    /// What it has made that is worth keeping.
    pub artifacts: Option<Box<Artifacts>>,
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
    /// The chance that the mean over all runs would have done so, 0 to 1; 0
    /// where [`median`](Self::median) ended it, which asks for none.
    pub chance: f64,
    /// Where in a run it was ended; `None` between two runs.
    pub cut: Option<Cut>,
    /// Where the median rule ended it: then `mean` is the best that the run has
    /// told, and `needed` the median.
    pub median: Option<MedianReached>,
}

/// Where, and by what, the median rule ended a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MedianReached {
    /// The training step.
    pub at: Finite,
    /// The median is that of so many trials.
    pub trials: u32,
}

/// A place in a run at which it was ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The step.
    pub step: Name,
    /// The last mark: which part it was, or which line of progress, from 1; or
    /// the so manieth point of a curve.
    pub mark: u32,
    /// How many parts the run had; `None` of progress.
    pub parts: Option<u32>,
    /// What was run of it, as a share of a whole run, 0 to 1.
    pub share: f64,
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
            marks: Vec::new(),
            curves: Vec::new(),
            extra: Vec::new(),
            sittings: Vec::new(),
            artifacts: None,
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

    /// Whether a sitting goes on where the one before was cut short: it was
    /// interrupted or ended by the host's fault, or, with `retry`, in any other
    /// way. Then the checkpoint that it must not go on from, since the host
    /// did not survive that.
    pub fn resumes(&self, sitting: u32, retry: bool) -> Option<Option<&str>> {
        if self.purpose_of(sitting) != Purpose::Measure {
            return None;
        }
        let before = self.sittings.iter().filter(|known| known.number < sitting);
        let mut before = before.filter(|known| known.purpose == Purpose::Measure);
        let last = before.next_back()?;
        let fault = match last.end.as_ref()? {
            SittingEnd::Interrupted | SittingEnd::Finished(Outcome::Pruned) => None,
            SittingEnd::Finished(outcome) => match outcome.host_fault() {
                None if !retry => return None,
                fault => fault,
            },
        };
        let is_deadly = matches!(fault, Some(HostFault::RunnerDied | HostFault::GpuLost));
        Some(last.resumed.as_deref().filter(|_| is_deadly))
    }

    /// The sitting of that number.
    pub fn sitting(&self, number: u32) -> Option<&Sitting> {
        self.sittings.iter().rfind(|known| known.number == number)
    }

    /// What the sitting of that number is for.
    pub fn purpose_of(&self, sitting: u32) -> Purpose {
        self.sitting(sitting)
            .map_or(Purpose::Measure, |sitting| sitting.purpose)
    }

    /// The sittings for this purpose that are over and were not cut short.
    pub fn held(&self, purpose: Purpose) -> impl Iterator<Item = &Sitting> {
        self.sittings
            .iter()
            .filter(move |sitting| sitting.purpose == purpose && sitting.is_held())
    }

    /// The measurements of a metric in the good sittings for this purpose, which
    /// is not to measure; each with its sitting.
    pub fn extra_measurements<'a>(
        &'a self,
        purpose: Purpose,
        metric: &'a str,
    ) -> impl Iterator<Item = (&'a Sitting, Finite)> {
        let good = self
            .held(purpose)
            .filter(|sitting| sitting.end == Some(SittingEnd::Finished(Outcome::Complete)));
        good.flat_map(move |sitting| {
            let runs = self.extra.iter();
            let runs = runs.filter(move |run| run.sitting == sitting.number && run.is_good());
            let metrics = runs.flat_map(|run| &run.metrics);
            let found = metrics.filter(move |(name, _)| &**name == metric);
            found.map(move |(_, number)| (sitting, *number))
        })
    }

    /// The good runs of a step.
    pub fn good_runs(&self, step: &str) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(move |run| &*run.step == step && run.is_good())
    }

    /// The marks of one run.
    pub fn marks_of(&self, step: &str, run: u32) -> impl Iterator<Item = &Mark> {
        let marks = self.marks.iter();
        marks.filter(move |mark| &*mark.step == step && mark.run == run)
    }

    /// Which part of a run comes next, and of how many, where `step` is run in
    /// parts.
    pub fn next_part(&self, step: &Step, run: u32) -> Option<(u32, u32)> {
        let parts = step.parts()?;
        let done = self.marks_of(&step.name, run).count() as u32;
        Some((parts.min(done + 1), parts))
    }

    /// The curve of a metric in one run.
    pub fn curve(&self, step: &str, run: u32, metric: &str) -> Option<&Curve> {
        let is_it =
            |known: &&Curve| *known.step == *step && known.run == run && *known.metric == *metric;
        self.curves.iter().find(is_it)
    }

    /// The curves of the run that goes on.
    pub fn open_curves(&self) -> impl Iterator<Item = &Curve> + Clone {
        let running = self.running().map(|sitting| sitting.number);
        let has_ended = |curve: &Curve| {
            let mut runs = self.runs.iter();
            runs.any(|run| run.step == curve.step && run.number == curve.run)
        };
        let is_told = move |curve: &&Curve| {
            let last = curve.last().map(|point| point.sitting);
            running.is_some() && last == running && !has_ended(curve)
        };
        self.curves.iter().filter(is_told)
    }

    /// Takes up what a run has told, in a sitting that is to measure it.
    pub fn hear(&mut self, told: &Told) {
        if self.purpose_of(told.sitting) != Purpose::Measure {
            return;
        }
        for (metric, value) in &told.metrics {
            let point = Point {
                at: told.at,
                value: *value,
                sitting: told.sitting,
            };
            let is_it = |known: &Curve| {
                known.step == told.step && known.run == told.run && known.metric == *metric
            };
            let index = self.curves.iter().position(is_it).unwrap_or_else(|| {
                self.curves.push(Curve {
                    step: told.step.clone(),
                    run: told.run,
                    metric: metric.clone(),
                    of: None,
                    points: Vec::new(),
                });
                self.curves.len() - 1
            });
            self.curves[index].take(point, told.of);
        }
    }

    /// Forgets the marks of a run that has not ended well: what is run again
    /// begins anew.
    pub(super) fn forget_open_marks(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        let of = |mark: &Mark, run: &Run| run.step == mark.step && run.number == mark.run;
        self.marks
            .retain(|mark| runs.iter().any(|run| of(mark, run)));
        self.runs = runs;
    }

    /// What was run of it that racing has pruned, in runs: one that it has cut
    /// counts in part.
    pub fn runs_spent(&self) -> f64 {
        let cut = self
            .pruning
            .as_ref()
            .and_then(|pruning| pruning.cut.as_ref());
        // It may have ended all the same before it could be ended.
        let cut = cut.filter(|cut| self.runs.iter().all(|run| run.step != cut.step));
        self.runs.len() as f64 + cut.map_or(0.0, |cut| cut.share)
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
