//! What the trials of a study add up to. It is kept as facts come: a study may
//! have a great many trials, and is asked often.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Name;
use super::outcome::Outcome;
use super::shared::Shared;
use super::trial::{Origin, Trial, TrialId};
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

/// What runs tell about the noise of a metric: sums of squares around the mean
/// of the sitting that a run belongs to, and of the means of sittings around
/// that of their trial. On the scale of the metric and on that of logarithms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Good measurements.
    pub runs: f64,
    /// Those of them that are above 0.
    pub positive: f64,
    /// Those of them that are below 0.
    pub negative: f64,
    /// Degrees of freedom within sittings.
    pub freedom: f64,
    /// Squares within sittings.
    pub squares: f64,
    /// Those of the logarithms of amounts.
    pub log_squares: f64,
    /// Degrees of freedom between the sittings of a trial.
    pub start_freedom: f64,
    /// How much a variance between sittings would add to
    /// [`start_squares`](Self::start_squares), for each unit of it.
    pub start_weight: f64,
    /// Squares between the sittings of a trial, weighted with their runs.
    pub start_squares: f64,
    /// Those of the logarithms of amounts.
    pub start_log_squares: f64,
}

impl Spread {
    /// That of the good runs of one trial.
    fn of(trial: &Trial, metric: &str) -> Self {
        let mut spread = Self::default();
        let (mut whole, mut parts) = (Moments::default(), Moments::default());
        let mut part = Moments::default();
        let mut sitting = None;
        let mut own_weight = 0.0;
        let mut close = |part: &mut Moments, parts: &mut Moments| {
            if part.count > 0.0 {
                spread.freedom += part.count - 1.0;
                spread.start_freedom += 1.0;
                own_weight += part.count * part.count;
                parts.squares += part.squares;
                parts.log_squares += part.log_squares;
            }
            *part = Moments::default();
        };
        for (of, number) in trial.measurements_by_sitting(metric) {
            if sitting.replace(of) != Some(of) {
                close(&mut part, &mut parts);
            }
            let number = number.get();
            whole.take(number);
            part.take(number);
        }
        close(&mut part, &mut parts);
        spread.runs = whole.count;
        spread.positive = whole.positive;
        spread.negative = whole.negative;
        spread.squares = parts.squares;
        spread.log_squares = parts.log_squares;
        spread.start_freedom = (spread.start_freedom - 1.0).max(0.0);
        if whole.count > 0.0 {
            spread.start_weight = whole.count - own_weight / whole.count;
        }
        spread.start_squares = (whole.squares - parts.squares).max(0.0);
        spread.start_log_squares = (whole.log_squares - parts.log_squares).max(0.0);
        spread
    }

    fn add(&mut self, other: &Self, sign: f64) {
        self.runs += sign * other.runs;
        self.positive += sign * other.positive;
        self.negative += sign * other.negative;
        self.freedom += sign * other.freedom;
        self.squares += sign * other.squares;
        self.log_squares += sign * other.log_squares;
        self.start_freedom += sign * other.start_freedom;
        self.start_weight += sign * other.start_weight;
        self.start_squares += sign * other.start_squares;
        self.start_log_squares += sign * other.start_log_squares;
    }
}

/// Squares around a mean that moves: Welford's recurrence.
#[derive(Default)]
struct Moments {
    count: f64,
    positive: f64,
    negative: f64,
    mean: f64,
    squares: f64,
    log_mean: f64,
    log_squares: f64,
}

impl Moments {
    fn take(&mut self, number: f64) {
        self.count += 1.0;
        self.positive += f64::from(number > 0.0);
        self.negative += f64::from(number < 0.0);
        let step = number - self.mean;
        self.mean += step / self.count;
        self.squares += step * (number - self.mean);
        // Of no use once one is 0, and still a number.
        let log = number.abs().max(f64::MIN_POSITIVE).ln();
        let step = log - self.log_mean;
        self.log_mean += step / self.count;
        self.log_squares += step * (log - self.log_mean);
    }
}

/// Sums over trials. A trial is subtracted before it changes and added again
/// after.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// How many trials came out how.
    pub counts: Counts,
    /// Good runs.
    pub runs: u32,
    /// The trials that racing has pruned or put off.
    pub raced: u32,
    /// Their runs.
    pub raced_runs: f64,
    /// What of that belongs to runs that it has cut.
    pub cut_runs: f64,
    /// What the good runs tell about noise, for each metric.
    spreads: BTreeMap<Name, Spread>,
    /// What runs of one number share, for each metric.
    shared: BTreeMap<Name, Shared>,
    /// The time of all sittings that are over.
    pub busy: Duration,
    /// The trials that are not settled, or have a sitting that is not over.
    pub open: BTreeSet<TrialId>,
    /// The trials that a known trouble has ended, but for those that were to
    /// remedy one.
    pub troubled: Arc<BTreeSet<TrialId>>,
    /// The trials that were to help another, by that.
    pub helpers: Arc<BTreeMap<TrialId, TrialId>>,
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
        if was_raced(trial) {
            self.raced += 1;
            self.raced_runs += trial.runs_spent();
            self.cut_runs += trial.runs_spent() - trial.runs.len() as f64;
        }
        self.count_spreads(trial, 1.0);
        self.busy += busy(trial);
        if is_open(trial) {
            self.open.insert(trial.id);
        }
        match trial.origin {
            Origin::Remedy { of } if !self.helpers.contains_key(&of) => {
                Arc::make_mut(&mut self.helpers).insert(of, trial.id);
            }
            Origin::Remedy { .. } => {}
            _ if is_troubled(trial) => {
                Arc::make_mut(&mut self.troubled).insert(trial.id);
            }
            _ => {}
        }
    }

    pub(super) fn subtract(&mut self, trial: &Trial) {
        *self.counts.counter(trial) -= 1;
        self.runs -= good_runs(trial);
        if was_raced(trial) {
            self.raced -= 1;
            self.raced_runs -= trial.runs_spent();
            self.cut_runs -= trial.runs_spent() - trial.runs.len() as f64;
        }
        self.count_spreads(trial, -1.0);
        self.busy -= busy(trial);
        self.open.remove(&trial.id);
        // Whom it was to help does not change.
        if self.troubled.contains(&trial.id) {
            Arc::make_mut(&mut self.troubled).remove(&trial.id);
        }
    }

    pub(super) fn spread(&self, metric: &str) -> Spread {
        self.spreads.get(metric).copied().unwrap_or_default()
    }

    pub(super) fn share(&self, metric: &str, log: bool) -> f64 {
        self.shared
            .get(metric)
            .map_or(0.0, |shared| shared.share(log))
    }

    fn count_spreads(&mut self, trial: &Trial, sign: f64) {
        let Some(first) = trial.runs.iter().find(|run| run.is_good()) else {
            return;
        };
        for (metric, _) in &first.metrics {
            let spread = Spread::of(trial, metric);
            match self.spreads.get_mut(metric) {
                Some(sum) => sum.add(&spread, sign),
                None => drop(self.spreads.insert(metric.clone(), spread)),
            }
            let shared = self.shared.entry(metric.clone()).or_default();
            shared.add(trial, metric, sign);
        }
    }
}

fn was_raced(trial: &Trial) -> bool {
    trial.pruned_by_racing().is_some() || trial.is_provisional()
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

fn is_troubled(trial: &Trial) -> bool {
    matches!(&trial.outcome, Some(Outcome::Failed(failure)) if failure.cause.is_some())
}
