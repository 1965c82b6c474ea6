//! Drift: the host gives less, or more, than it did, whatever the params. The
//! trial that shows it, mostly the baseline, is started again now and then; a
//! clear change begins an *epoch*, and what was measured in it is put on the
//! level of the study's beginning before trials are compared.
//!
//! ```text
//!   level ─────────┐                        0 where nothing has drifted: then
//!                   ╲                       all numbers are taken as they are
//!                    └──────────────
//!        check   check   check
//! ```
//!
//! When exactly between two checks the change came is not known. Any moment is
//! as likely as any other, so in between the level is expected to lie on the line
//! between both.

use super::metric::Summary;
use super::trial::{Purpose, Trial, TrialId};
use super::value::Finite;
use crate::base::clock::Timestamp;

/// What a metric was in one start of a trial, to measure it or to check.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The sitting.
    pub sitting: u32,
    /// When it began.
    pub at: Timestamp,
    /// Whether it was a check.
    pub is_check: bool,
    /// The good measurements; one at least.
    pub numbers: Vec<f64>,
}

impl Start {
    /// The mean of the numbers, each as `scale` has it.
    pub fn mean(&self, scale: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = self.numbers.iter().map(|number| scale(*number)).sum();
        sum / self.numbers.len() as f64
    }
}

/// The starts of a trial in which a metric was measured, in order.
pub fn starts(trial: &Trial, metric: &str) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    for sitting in &trial.sittings {
        let is_check = match sitting.purpose {
            Purpose::Measure => false,
            Purpose::Check => true,
            Purpose::Confirm { .. }
            | Purpose::Preflight
            | Purpose::Incumbent
            | Purpose::Neighbours => {
                continue;
            }
        };
        let numbers: Vec<f64> = if is_check {
            let found = trial.extra_measurements(Purpose::Check, metric);
            let found = found.filter(|(of, _)| of.number == sitting.number);
            found.map(|(_, number)| number.get()).collect()
        } else {
            let found = trial.measurements_by_sitting(metric);
            let found = found.filter(|(of, _)| *of == sitting.number);
            found.map(|(_, number)| number.get()).collect()
        };
        if !numbers.is_empty() {
            starts.push(Start {
                sitting: sitting.number,
                at: sitting.started,
                is_check,
                numbers,
            });
        }
    }
    starts
}

/// The level that the host was on, by time. Empty where nothing has drifted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Whether the levels are of logarithms.
    relative: bool,
    /// One for each epoch after the first.
    epochs: Vec<Epoch>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Epoch {
    /// The last start of the epoch before.
    after: Timestamp,
    /// Its first start.
    since: Timestamp,
    /// Over that of the first epoch.
    level: f64,
}

impl Levels {
    /// The levels that the starts of `trial` show, given the sittings that begin
    /// an epoch each, in order. With `relative` differences are ratios.
    pub(super) fn of(trial: &Trial, metric: &str, begin: &[u32], relative: bool) -> Self {
        let starts = starts(trial, metric);
        let scale = |number: f64| if relative { number.ln() } else { number };
        // Each epoch is a part of the starts; one that has lost its first start,
        // as when another metric is optimised now, is none.
        let firsts: Vec<usize> = begin
            .iter()
            .filter_map(|sitting| starts.iter().position(|start| start.sitting == *sitting))
            .filter(|first| *first > 0)
            .collect();
        let mean = |part: &[Start]| {
            let runs: usize = part.iter().map(|start| start.numbers.len()).sum();
            let each = part.iter();
            let sum: f64 = each.map(|s| s.mean(scale) * s.numbers.len() as f64).sum();
            sum / runs as f64
        };
        let Some(first) = firsts.first() else {
            return Self::default();
        };
        let beginning = mean(&starts[..*first]);
        let ends = firsts.iter().skip(1).chain([const { &usize::MAX }]);
        let epochs = firsts.iter().zip(ends).map(|(first, end)| Epoch {
            after: starts[first - 1].at,
            since: starts[*first].at,
            level: mean(&starts[*first..(*end).min(starts.len())]) - beginning,
        });
        Self {
            relative,
            epochs: epochs.collect(),
        }
    }

    /// Whether nothing has drifted.
    pub fn are_flat(&self) -> bool {
        self.epochs.is_empty()
    }

    /// When the latest change was found, and by how much the same params give
    /// more since then than in the beginning: as a share, or where
    /// `is_share` is not, in the metric's unit.
    pub fn latest(&self) -> Option<Drift> {
        let epoch = self.epochs.last()?;
        Some(Drift {
            since: epoch.since,
            amount: if self.relative {
                epoch.level.exp_m1()
            } else {
                epoch.level
            },
            is_share: self.relative,
        })
    }

    /// What a number that was measured at that time would have been in the
    /// beginning.
    fn levelled(&self, number: f64, at: Timestamp) -> f64 {
        let level = self.at(at);
        if self.relative {
            number / level.exp()
        } else {
            number - level
        }
    }

    fn at(&self, at: Timestamp) -> f64 {
        let mut before = 0.0;
        for epoch in &self.epochs {
            if at < epoch.since {
                let whole = epoch.since.since(epoch.after).as_secs_f64();
                let gone = at.since(epoch.after).as_secs_f64();
                let share = if whole > 0.0 { gone / whole } else { 0.0 };
                return before + share * (epoch.level - before);
            }
            before = epoch.level;
        }
        before
    }

    /// The summary of a metric over the good runs of a trial, each put on the
    /// level of the beginning.
    pub(super) fn summary(&self, trial: &Trial, metric: &str) -> Option<Summary> {
        let numbers = trial.measurements_by_sitting(metric);
        Summary::of(numbers.filter_map(|(sitting, number)| {
            let at = trial.sitting(sitting).map(|sitting| sitting.started);
            at.map_or(Some(number), |at| {
                Finite::new(self.levelled(number.get(), at))
            })
        }))
    }
}

/// That the host gives more or less than it did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// When it was seen first.
    pub since: Timestamp,
    /// How much more the same params give since then.
    pub amount: f64,
    /// Whether that is a share, 0.2 for 20 % more; else it is in the metric's
    /// unit.
    pub is_share: bool,
}

/// A check that begins an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) trial: TrialId,
    pub(super) sitting: u32,
}
