//! Why a sampler chose params, and what it expected of them. It is kept with
//! the trial: what was thought then cannot be told from what is known now.

use std::time::Duration;

use super::trial::TrialId;

/// Why a sampler chose the params of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// By which rule.
    pub rule: Rule,
    /// What it expected; `None` where the rule expects nothing.
    pub expected: Option<Expected>,
}

/// The rules by which samplers choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The baseline with about half of its parameters drawn anew: `model`
    /// knows nothing yet.
    Opening,
    /// The best of what was imported from a file.
    Imported,
    /// What a model of the space promised most of for its time.
    Model,
    /// What is frequent among good trials and rare among the others.
    Tpe,
    /// The best trial by then, with another value of one parameter.
    Coordinate {
        /// That trial.
        base: TrialId,
    },
    /// The next combination in order.
    Grid,
    /// A combination at random.
    Random,
    /// What the advisor proposed.
    Advisor {
        /// In the study's advice of this number, from 1.
        advice: u32,
    },
    /// The nearest value of one parameter that was not tried yet, since the
    /// advisor was of no help.
    Fallback {
        /// Why not: see the study's advice of this number, from 1.
        advice: u32,
    },
}

/// What a model expected of params.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// The objective.
    pub objective: Option<Forecast>,
    /// By how much it would beat the best on average, as a share of the best
    /// mean that the model believed in: the expected improvement, times the
    /// chances to meet all bounds and to start. `None` while nothing was
    /// feasible.
    pub improvement: Option<f64>,
    /// Each bound in words, as `accuracy ≥ 0.88`, and the chance to meet it, 0
    /// to 1.
    pub bounds: Vec<(String, f64)>,
    /// The chance to start at all and to have runs, 0 to 1; `None` while no
    /// trial had failed.
    pub starts: Option<f64>,
    /// The time of its start and its first run.
    pub time: Option<Duration>,
}

/// A number that is not known for certain: in 9 of 10 cases it is between
/// [`low`](Self::low) and [`high`](Self::high).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// What is most likely.
    pub mean: f64,
    /// The 5 % quantile.
    pub low: f64,
    /// The 95 % quantile.
    pub high: f64,
}
