//! Confirmation: at the end the winner is compared with the baseline by runs
//! that nothing was chosen by.
//!
//! The winner was chosen as the best of many, by runs that were lucky in part:
//! those flatter it. So both are started again and again, in turn,
//!
//! ```text
//!   baseline  winner │ winner  baseline │ baseline  winner │ …
//! ```
//!
//! with one run from each start; which of the two comes first alternates, so
//! that a steady drift of the host cancels over two rounds. Gain and interval
//! come from these runs alone, by Welch's test (see
//! [`statistics`](super::statistics)): each start is one observation of its side,
//! so that what starts vary by is in it. The rounds are not taken as pairs: the
//! few degrees of freedom that a few pairs leave cost more than what the two of
//! a round have in common gains; where they have much in common the interval is
//! too wide, never too narrow.
//!
//! A start that fails for its params is not repeated: that is a finding, too.
//! What the host or a user has cut short is repeated. Nothing that is found here
//! changes what is the incumbent: that goes by the runs of the trials. Where the
//! two disagree, people are told.

use std::time::Duration;

use super::statistics::{Comparison, compare};
use crate::model::metric::{Constraint, Summary};
use crate::model::outcome::Outcome;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Purpose, SittingEnd, Trial, TrialId};

/// How far the comparison of the incumbent with the baseline is.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmation {
    /// The incumbent.
    pub winner: TrialId,
    /// How many starts each of the two is to have.
    pub starts: u32,
    /// The starts so far, of both together; at most twice [`starts`](Self::starts).
    pub done: u32,
    /// Those of the baseline that failed.
    pub baseline_failed: u32,
    /// Those of the winner that failed.
    pub winner_failed: u32,
    /// The objective of the baseline in these runs.
    pub baseline: Option<Summary>,
    /// That of the winner.
    pub measured: Option<Summary>,
    /// What they tell; `None` unless each has two good starts.
    pub comparison: Option<Comparison>,
    /// The constraints that the winner misses in these runs, with its mean.
    pub missed: Vec<(Constraint, f64)>,
}

impl Confirmation {
    /// How far it is; `None` where no start was made for it.
    pub fn of(study: &Study) -> Option<Self> {
        let (baseline, winner) = pair(study)?;
        let purpose = purpose(baseline, winner);
        let held = |trial: &Trial| trial.held(purpose).count() as u32;
        let failed = |trial: &Trial| {
            let failed = trial.held(purpose).filter(|sitting| {
                matches!(&sitting.end, Some(SittingEnd::Finished(Outcome::Failed(_))))
            });
            failed.count() as u32
        };
        let begun = |trial: &Trial| trial.sittings.iter().any(|s| s.purpose == purpose);
        if !begun(baseline) && !begun(winner) {
            return None;
        }
        let summary = |trial: &Trial, metric: &str| {
            let measured = trial.extra_measurements(purpose, metric);
            Summary::of(measured.map(|(_, number)| number))
        };
        let objective = &study.spec().objective;
        let old = summary(baseline, &objective.metric);
        let new = summary(winner, &objective.metric);
        let done = (held(baseline), held(winner));
        let wanted = study.spec().confirm_runs();
        let missed = study.spec().constraints.iter().filter_map(|constraint| {
            let mean = summary(winner, &constraint.metric)?.mean;
            (constraint.violation(mean) > 0.0).then(|| (constraint.clone(), mean))
        });
        Some(Self {
            winner: winner.id,
            // The spec may have asked for more of them, and then for fewer.
            starts: wanted.max(done.0.min(done.1)),
            done: done.0 + done.1,
            baseline_failed: failed(baseline),
            winner_failed: failed(winner),
            baseline: old,
            measured: new,
            comparison: old
                .zip(new)
                .and_then(|(old, new)| compare(objective, &old, &new)),
            missed: missed.collect(),
        })
    }

    /// Whether all its starts are made.
    pub const fn is_over(&self) -> bool {
        self.done >= 2 * self.starts
    }
}

/// The trial that is to be started next for it; `None` when it is over, and
/// where there is nothing to compare.
pub fn next(study: &Study) -> Option<(TrialId, Purpose)> {
    let (baseline, winner) = pair(study)?;
    let purpose = purpose(baseline, winner);
    let done = [baseline, winner].map(|trial| trial.held(purpose).count() as u32);
    let round = done[0].min(done[1]);
    if round >= study.spec().confirm_runs() {
        return None;
    }
    let baseline_first = round.is_multiple_of(2);
    let next = match done[0].cmp(&done[1]) {
        std::cmp::Ordering::Less => baseline,
        std::cmp::Ordering::Greater => winner,
        std::cmp::Ordering::Equal if baseline_first => baseline,
        std::cmp::Ordering::Equal => winner,
    };
    Some((next.id, purpose))
}

/// Whether the search is over and its winner is being confirmed.
pub fn is_under_way(study: &Study) -> bool {
    *study.phase() == Phase::Active
        && study.unsettled().is_none()
        && Confirmation::of(study).is_some_and(|found| !found.is_over())
}

/// About how long it takes in all: as long as a start and a run of each of the
/// two took so far.
pub fn time(study: &Study) -> Duration {
    time_of(study, |_| study.spec().confirm_runs())
}

/// About how long what is to come of it takes.
pub fn time_left(study: &Study) -> Duration {
    let Some((baseline, winner)) = pair(study) else {
        return Duration::ZERO;
    };
    let purpose = purpose(baseline, winner);
    let wanted = study.spec().confirm_runs();
    time_of(study, |trial| {
        wanted.saturating_sub(trial.held(purpose).count() as u32)
    })
}

fn time_of(study: &Study, starts: impl Fn(&Trial) -> u32) -> Duration {
    let both = pair(study).map(|(baseline, winner)| [baseline, winner]);
    let both = both.into_iter().flatten();
    both.map(|trial| starts(trial) * time_of_start(study, trial))
        .sum()
}

/// About how long a start of a trial with one run of each step takes.
fn time_of_start(study: &Study, trial: &Trial) -> Duration {
    let steps = study.spec().steps.iter().map(|step| {
        let (count, sum) = trial
            .good_runs(&step.name)
            .fold((0, Duration::ZERO), |(count, sum), run| {
                (count + 1, sum + run.elapsed)
            });
        sum.checked_div(count).unwrap_or_default()
    });
    trial.startup().unwrap_or_default() + steps.sum::<Duration>()
}

/// The two that are compared: the baseline and the incumbent, where these are
/// two and the baseline has something to be compared.
fn pair(study: &Study) -> Option<(&Trial, &Trial)> {
    let (baseline, winner) = (study.baseline()?, study.incumbent()?);
    let comparable = baseline.id != winner.id && study.objective(baseline).is_some();
    comparable.then_some((&**baseline, &**winner))
}

const fn purpose(baseline: &Trial, winner: &Trial) -> Purpose {
    Purpose::Confirm {
        baseline: baseline.id,
        winner: winner.id,
    }
}

#[cfg(test)]
#[path = "confirm_tests.rs"]
mod tests;
