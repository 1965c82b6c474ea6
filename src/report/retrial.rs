//! Sittings beside the search, in words: the confirmation of the winner, and the
//! checks for drift.

use super::phrase::{clean, constraint, counted, figures, percent};
use crate::model::drift::Drift;
use crate::model::metric::Direction;
use crate::model::study::Study;
use crate::model::trial::{Purpose, Sitting, Trial};
use crate::search::confirm::Confirmation;

/// What a confirmation has come to, as it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The trial that has won.
    pub winner: u32,
    /// How many starts each of the two is to have.
    pub starts: u32,
    /// The starts so far, of both together.
    pub done: u32,
    /// The mean of the objective over the baseline's good starts.
    pub baseline: Option<f64>,
    /// That of the winner.
    pub measured: Option<f64>,
    /// Those of the baseline that failed.
    pub baseline_failed: u32,
    /// Those of the winner that failed.
    pub winner_failed: u32,
    /// Whether the winner is better, where that is more than noise.
    pub better: Option<bool>,
    /// The constraints that the winner misses, each in words: `accuracy ≥ 0.88 in
    /// these runs: it is 0.871`.
    pub missed: Vec<String>,
}

impl Confirmed {
    /// What there is to tell of a study; `None` where no start was made for it.
    pub fn of(study: &Study) -> Option<Self> {
        Confirmation::of(study).map(|found| Self::from(&found, study))
    }

    fn from(found: &Confirmation, study: &Study) -> Self {
        let clear = found.comparison.filter(|comparison| comparison.is_clear());
        let better = clear.map(|comparison| {
            let more = comparison.difference.estimate > 0.0;
            more == (study.spec().objective.direction == Direction::Maximize)
        });
        let missed = found.missed.iter();
        let missed = missed.map(|(bound, mean)| {
            format!(
                "{} in these runs: it is {}",
                constraint(bound),
                figures(*mean, 4)
            )
        });
        Self {
            winner: found.winner.0,
            starts: found.starts,
            done: found.done,
            baseline: found.baseline.map(|summary| summary.mean),
            measured: found.measured.map(|summary| summary.mean),
            baseline_failed: found.baseline_failed,
            winner_failed: found.winner_failed,
            better,
            missed: missed.collect(),
        }
    }

    const fn is_over(&self) -> bool {
        self.done >= 2 * self.starts
    }

    /// What there is to tell beside the gain, a sentence each without its full
    /// stop: how far it is, and what is wrong.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let winner = self.winner;
        if !self.is_over() {
            let all = 2 * self.starts;
            notes.push(format!(
                "{} of {} made",
                self.done,
                counted(all.into(), "start")
            ));
        }
        let failed = [
            (self.winner_failed, format!("trial {winner}")),
            (self.baseline_failed, "the baseline".to_owned()),
        ];
        for (count, whose) in failed {
            if count > 0 {
                let of = counted(self.starts.into(), "start");
                notes.push(format!("{count} of {of} of {whose} failed"));
            }
        }
        let missed = self.missed.iter();
        notes.extend(missed.map(|missed| format!("trial {winner} misses {missed}")));
        match self.better {
            _ if !self.is_over() => {}
            Some(true) => {}
            Some(false) => notes.push("the baseline is better: keep its values".to_owned()),
            None if self.baseline.is_none() || self.measured.is_none() => {
                notes.push("nothing to compare".to_owned());
            }
            None => {}
        }
        notes
    }
}

/// By what a gain is known: `3 fresh starts each`.
pub fn fresh_starts(starts: u32) -> String {
    let starts = counted(starts.into(), "fresh start");
    format!("{starts} each")
}

/// That neighbours make a metric differ by this share, by more than noise.
pub fn disturbed(metric: &str, difference: f64) -> String {
    let (metric, difference) = (clean(metric), percent(difference));
    format!(
        "{metric} of the starting values differs by {difference} beside neighbours, which is more \
         than noise: trials disturb each other"
    )
}

/// What a sitting beside the search is for; `None` of one that measures its
/// trial: `fresh start 3 of 6, to confirm trial 7`.
pub fn purpose(study: &Study, sitting: &Sitting) -> Option<String> {
    match sitting.purpose {
        Purpose::Measure => None,
        Purpose::Check => Some("a check for drift".to_owned()),
        Purpose::Preflight => Some("the pre-flight".to_owned()),
        Purpose::Incumbent => Some("what follows a new best".to_owned()),
        Purpose::Neighbours => Some("the starting values beside neighbours".to_owned()),
        Purpose::Confirm { baseline, winner } => {
            let before = [baseline, winner].map(|id| {
                let of = study.trial(id).map(|trial| trial.held(sitting.purpose));
                let of = of.map(|held| held.filter(|held| held.started < sitting.started));
                of.map_or(0, Iterator::count) as u32
            });
            let (number, all) = (
                before.iter().sum::<u32>() + 1,
                2 * study.spec().confirm_runs(),
            );
            let all = all.max(number);
            Some(format!(
                "fresh start {number} of {all}, to confirm trial {winner}"
            ))
        }
    }
}

/// What the running sitting of a trial is for; see [`purpose`].
pub fn running(study: &Study, trial: &Trial) -> Option<String> {
    purpose(study, trial.running()?)
}

/// That the host has drifted: `the same params give 12 % less tps than in the
/// beginning`.
pub fn drift(drift: &Drift, metric: &str) -> String {
    let turn = if drift.amount < 0.0 { "less" } else { "more" };
    let size = drift.amount.abs();
    let size = if drift.is_share {
        percent(size)
    } else {
        figures(size, 3)
    };
    let metric = clean(metric);
    format!("the same params give {size} {turn} {metric} than in the beginning")
}

/// What may be behind drift, and what is done about it.
pub const DRIFT_HINT: &str =
    "is the GPU throttled, or has it a neighbour? Comparisons allow for it";

/// A check that shows drift: `the baseline gives tps 83.1 now, it gave 97.9`.
pub fn drifted(metric: &str, trial: u32, before: f64, after: f64) -> String {
    let (before, after) = (figures(before, 4), figures(after, 4));
    let metric = clean(metric);
    format!("trial {trial}, started again, gives {metric} {after}; it gave {before}")
}
