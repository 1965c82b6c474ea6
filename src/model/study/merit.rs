//! What came of the trials, and which is the best, by what was measured on one
//! level.

use std::sync::Arc;

use super::Study;
use crate::model::confidence::Bars;
use crate::model::drift::{Drift, Levels};
use crate::model::metric::Summary;
use crate::model::outcome::Outcome;
use crate::model::tally::Tally;
use crate::model::trial::{Origin, Trial, TrialId};

impl Study {
    /// The summary of the objective of a trial, each run put on the level of the
    /// study's beginning where the host has drifted since: what trials are
    /// compared by.
    pub fn levelled(&self, trial: &Trial) -> Option<Summary> {
        if self.levels.are_flat() {
            return self.objective(trial);
        }
        let metric = &self.spec.objective.metric;
        self.levels.summary(trial, metric)
    }

    /// How far a trial misses the constraints: the sum of the amounts, each as
    /// a share of its bound so that they can be added. `None` when a metric is
    /// missing.
    pub fn violation(&self, trial: &Trial) -> Option<f64> {
        self.spec
            .constraints
            .iter()
            .try_fold(0.0, |sum, constraint| {
                let mean = trial.summary(&constraint.metric)?.mean;
                Some(sum + self.needed(trial, constraint).missed_share(mean))
            })
    }

    /// What the good runs of a trial amount to once it has all of them.
    pub fn judge(&self, trial: &Trial) -> Outcome {
        match self.violation(trial) {
            Some(violation) if violation > 0.0 => Outcome::Infeasible,
            _ => Outcome::Complete,
        }
    }

    /// How far the host has drifted, where it has.
    pub fn drift(&self) -> Option<Drift> {
        self.levels.latest()
    }

    /// The sitting of that trial which showed the latest drift.
    pub fn changed_at(&self, trial: TrialId) -> Option<u32> {
        let mut changes = self.changes.iter().rev();
        let change = changes.find(|change| change.trial == trial);
        change.map(|change| change.sitting)
    }

    /// Whether nothing that a confirmation is about has changed since the study
    /// was done last: neither what has won, nor how it is to be confirmed.
    pub fn is_concluded(&self) -> bool {
        self.concluded == self.conclusion()
    }

    pub(super) fn conclusion(&self) -> (Option<TrialId>, u32) {
        (self.incumbent, self.spec.confirm_runs())
    }

    /// The incumbent always competes: it changes only for a better one.
    pub(super) fn challenge(&mut self, id: TrialId) {
        let Some(trial) = self.trial(id) else { return };
        let old = self.leader().map(|leader| &**leader);
        let leader = self.better_of(old, trial).map(|best| best.id);
        // The baseline is what there is without a study, however few its runs.
        if !trial.is_provisional() || trial.origin == Origin::Baseline {
            let old = self.incumbent().map(|incumbent| &**incumbent);
            self.incumbent = self.better_of(old, trial).map(|best| best.id);
        }
        self.leader = leader;
    }

    /// The better of two trials by the objective: `new` only when it is
    /// complete and strictly better than `old`.
    pub fn better_of<'a>(&self, old: Option<&'a Trial>, new: &'a Trial) -> Option<&'a Trial> {
        let complete = new.outcome == Some(Outcome::Complete);
        let Some(mean) = self
            .levelled(new)
            .filter(|_| complete)
            .map(|summary| summary.mean)
        else {
            return old;
        };
        match old.and_then(|old| Some((old, self.levelled(old)?))) {
            Some((old, summary)) if !self.spec.objective.better(mean, summary.mean) => Some(old),
            _ => Some(new),
        }
    }

    pub(super) fn find_incumbent(&mut self) {
        // What racing takes up again is the best until it is settled.
        let goes_on = |trial: &Arc<Trial>| !trial.is_settled() && !trial.reopened;
        if !self.incumbent().is_some_and(goes_on) {
            self.incumbent = None;
        }
        self.leader = None;
        for index in 0..self.trials.len() {
            self.challenge(TrialId(index as u32 + 1));
        }
    }

    /// Each check tells more of the level that the host is on.
    pub(super) fn find_levels(&mut self) {
        let Some(of) = self
            .changes
            .last()
            .and_then(|change| self.trial(change.trial))
        else {
            return;
        };
        let changes = self.changes.iter().filter(|change| change.trial == of.id);
        let begin: Vec<u32> = changes.map(|change| change.sitting).collect();
        let metric = &self.spec.objective.metric;
        let spread = self.spread(metric);
        let relative = spread.positive >= spread.runs;
        self.levels = Levels::of(of, metric, &begin, relative);
        self.find_incumbent();
    }

    /// A trial that has all its runs has none that are put off.
    pub(super) fn finish_if_whole(&mut self, id: TrialId) {
        let whole = self.spec.runs_per_trial() as usize;
        let trial = self.trial(id);
        let is_whole = trial.is_some_and(|trial| trial.deferred && trial.runs.len() >= whole);
        if is_whole && let Ok(trial) = self.edit(id) {
            trial.deferred = false;
        }
    }

    /// Judges all trials by what is known of the noise now.
    pub(super) fn judge_all(&mut self) {
        let mut bars = Bars::default();
        let judged = self.trials.iter().filter(|trial| is_judged(trial));
        let outcomes = judged.map(|trial| (trial, self.judge_of_many(trial, &mut bars)));
        let changed = outcomes.filter(|(trial, outcome)| trial.outcome.as_ref() != Some(outcome));
        let changed: Vec<_> = changed
            .map(|(trial, outcome)| (trial.id, outcome))
            .collect();
        if changed.is_empty() {
            return;
        }
        for (id, outcome) in changed {
            if let Ok(trial) = self.edit(id) {
                trial.outcome = Some(outcome);
            }
        }
        self.tally = Tally::of(&self.trials);
        self.find_incumbent();
    }

    /// Judges a trial that has all its runs by the constraints of today.
    /// Whether that changes what came of it.
    pub(super) fn judge_anew(&mut self, id: TrialId) -> bool {
        let Some(trial) = self.trial(id) else {
            return false;
        };
        if !is_judged(trial) {
            return false;
        }
        let outcome = Some(self.judge(trial));
        let changed = trial.outcome != outcome;
        if changed && let Ok(trial) = self.edit(id) {
            trial.outcome = outcome;
        }
        changed
    }
}

/// Whether the constraints decide what came of it.
fn is_judged(trial: &Trial) -> bool {
    matches!(trial.outcome, Some(Outcome::Complete | Outcome::Infeasible))
}
