//! What the trials of a study add up to. It is kept as facts come: a study may
//! have a great many trials, and is asked often.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outcome::Outcome;
use super::trial::{Trial, TrialId};
use super::trials::Trials;

/// Numbers of trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Complete and feasible.
    pub complete: u32,
    /// Complete, and a constraint is missed.
    pub infeasible: u32,
    /// Ended early.
    pub pruned: u32,
    /// Failed.
    pub failed: u32,
    /// Not settled: planned, running, interrupted or held up.
    pub unsettled: u32,
}

impl Counts {
    /// All of them.
    pub const fn all(&self) -> u32 {
        self.complete + self.infeasible + self.pruned + self.failed + self.unsettled
    }

    const fn counter(&mut self, trial: &Trial) -> &mut u32 {
        match trial.outcome {
            Some(Outcome::Complete) => &mut self.complete,
            Some(Outcome::Infeasible) => &mut self.infeasible,
            Some(Outcome::Pruned) => &mut self.pruned,
            Some(Outcome::Failed(_)) => &mut self.failed,
            None => &mut self.unsettled,
        }
    }
}

/// Sums over trials. A trial is subtracted before it changes and added again
/// after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many trials came out how.
    pub counts: Counts,
    /// Good runs.
    pub runs: u32,
    /// The trials that racing has pruned.
    pub raced: u32,
    /// Their runs.
    pub raced_runs: u32,
    /// The time of all sittings that are over.
    pub busy: Duration,
    /// The trials that are not settled, or have a sitting that is not over.
    pub open: BTreeSet<TrialId>,
}

impl Tally {
    pub(super) fn of(trials: &Trials) -> Self {
        let mut tally = Self::default();
        trials.iter().for_each(|trial| tally.add(trial));
        tally
    }

    pub(super) fn add(&mut self, trial: &Trial) {
        *self.counts.counter(trial) += 1;
        self.runs += good_runs(trial);
        if trial.pruned_by_racing().is_some() {
            self.raced += 1;
            self.raced_runs += trial.runs.len() as u32;
        }
        self.busy += busy(trial);
        if is_open(trial) {
            self.open.insert(trial.id);
        }
    }

    pub(super) fn subtract(&mut self, trial: &Trial) {
        *self.counts.counter(trial) -= 1;
        self.runs -= good_runs(trial);
        if trial.pruned_by_racing().is_some() {
            self.raced -= 1;
            self.raced_runs -= trial.runs.len() as u32;
        }
        self.busy -= busy(trial);
        self.open.remove(&trial.id);
    }
}

fn good_runs(trial: &Trial) -> u32 {
    trial.runs.iter().filter(|run| run.is_good()).count() as u32
}

fn busy(trial: &Trial) -> Duration {
    let sittings = trial.sittings.iter();
    let over = sittings.filter_map(|sitting| Some(sitting.ended?.since(sitting.started)));
    over.sum()
}

fn is_open(trial: &Trial) -> bool {
    !trial.is_settled() || trial.sittings.iter().any(|sitting| sitting.ended.is_none())
}
