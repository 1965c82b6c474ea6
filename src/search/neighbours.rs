//! Neighbours: how much trials that run side by side disturb each other.
//!
//! The starting params are measured alone (see [`Study::must_be_alone`]), and
//! once more, by one start with one run, beside trials in all the other slots.
//! Where the two differ by more than noise, what the search compares is not what
//! the winner will give alone: people are told. Nothing else follows from it; the
//! confirmation at the end runs alone and has the last word.
//!
//! Not where trials train: what a training comes to does not depend on who
//! trains beside it, and a start would take hours.

use crate::model::noise::Noise;
use crate::model::study::Study;
use crate::model::trial::{Purpose, Trial, TrialId};

/// So many standard errors are more than noise: 95 in 100 differences are less.
const CLEAR: f64 = 1.96;

/// The objective of the starting params, alone and beside neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    /// Its mean alone.
    pub alone: f64,
    /// Its mean beside trials in the other slots.
    pub beside: f64,
    /// By how much that differs, as a share of the mean alone; below 0 where it
    /// is less.
    pub difference: f64,
    /// By how much noise alone would make it differ, as such a share: in 95 of
    /// 100 cases by less.
    pub noise: f64,
}

impl Disturbance {
    /// What was measured; `None` where it was not.
    pub fn of(study: &Study) -> Option<Self> {
        let baseline = study.baseline()?;
        let metric = &study.spec().objective.metric;
        let alone = study.objective(baseline)?.mean;
        let beside = baseline.extra_measurements(Purpose::Neighbours, metric);
        let beside: Vec<f64> = beside.map(|(_, number)| number.get()).collect();
        let starts = beside.len() as f64;
        let beside = beside.iter().sum::<f64>() / starts;
        let noise = Noise::of_objective(study);
        let (from, to) = (noise.scaled(alone), noise.scaled(beside));
        let error = noise.of_mean(baseline, metric) + (noise.run + noise.start) / starts;
        let found = Self {
            alone,
            beside,
            difference: (beside - alone) / alone.abs(),
            noise: noise.share(CLEAR * error.sqrt(), from)?,
        };
        (to.is_finite() && found.difference.is_finite()).then_some(found)
    }

    /// Whether it differs by more than noise.
    pub fn is_clear(&self) -> bool {
        self.difference.abs() > self.noise
    }
}

/// The trial of the starting params, where it is to be measured beside
/// neighbours now: there are some in all slots but one.
pub fn due(study: &Study) -> Option<TrialId> {
    let spec = study.spec();
    if spec.slots.len() < 2 || spec.trains() {
        return None;
    }
    let is_due = |trial: &&Trial| {
        let is_measured = trial.is_settled() && study.objective(trial).is_some();
        is_measured && trial.running().is_none() && trial.held(Purpose::Neighbours).next().is_none()
    };
    let baseline = study.baseline().map(|trial| &**trial).filter(is_due)?;
    let free = study.free_slots();
    let usable = free.iter().filter(|slot| !study.is_out_of_use(slot));
    let has_neighbours = study.running().is_some() && usable.count() == 1;
    has_neighbours.then_some(baseline.id)
}
