//! Why trials were chosen, why racing ended them, what the parameters matter,
//! and how sure the best is: durations are milliseconds, shares, chances and
//! confidences 0 to 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply::{Advice, Change, Measured, Objective};

/// Why a sampler chose the params of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// By which rule: `opening`, `model`, `tpe`, `coordinate`, `grid`,
    /// `random`, `advisor`, `fallback`.
    pub rule: String,
    /// The trial that `coordinate` varied.
    pub base: Option<u32>,
    /// The parameters in which it differs from that.
    pub varied: Vec<String>,
    /// What a model expected.
    pub expected: Option<Expected>,
    /// What the advisor said, where it was asked.
    pub advice: Option<Advice>,
}

/// What a model expected of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// The objective.
    pub objective: Option<Forecast>,
    /// By how much it would beat the best on average, as a share of that.
    pub improvement: Option<f64>,
    /// The bounds, and the chance to meet each.
    pub bounds: Vec<Chance>,
    /// The chance to start; `None` while no trial had failed.
    pub starts: Option<f64>,
    /// The time of a start and a run.
    pub time: Option<u64>,
}

/// A number that is not known for certain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// What is most likely.
    pub mean: f64,
    /// It is less in 1 of 20 cases.
    pub low: f64,
    /// It is more in 1 of 20 cases.
    pub high: f64,
}

/// The chance to meet a bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chance {
    /// The bound, as `accuracy ≥ 0.88`.
    pub bound: String,
    /// The chance.
    pub chance: f64,
}

/// What a model of the space believes that the parameters matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Importance {
    /// The metric that is optimised.
    pub objective: Objective,
    /// The trials with a measurement of it, of which the model learned.
    pub trials: u32,
    /// So many are needed before anything is said.
    pub needed: u32,
    /// `None` while there are fewer.
    pub known: Option<Known>,
}

/// What is believed, once it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Known {
    /// How much of what trials differ by the model tells of trials that it has
    /// not seen; below 0 when it is worse than their mean.
    pub explained: f64,
    /// What each parameter does by itself, the most important first; 100 at
    /// most, or the one that was asked for.
    pub parameters: Vec<Effect>,
    /// Of what two parameters do together beyond that, the largest; 10 at
    /// most.
    pub pairs: Vec<Pair>,
}

/// What a parameter does by itself, all others averaged over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// The parameter.
    pub name: String,
    /// Its share of the variance over the space.
    pub share: Forecast,
    /// The objective at each of its values, or in parts of its range; filled
    /// in for the parameter that was asked for, 200 at most.
    pub values: Vec<Marginal>,
}

/// The objective at a value of a parameter, all others averaged over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Marginal {
    /// The value, or the part of a range, as `8 to 16`; `None` where the
    /// parameter is not active.
    pub value: Option<String>,
    /// The trials that had it.
    pub trials: u32,
    /// The objective.
    pub objective: Forecast,
}

/// What two parameters do together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// The parameters.
    pub names: [String; 2],
    /// The share of the variance over the space that neither has by itself.
    pub share: Forecast,
}

/// What leads by only some of its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leader {
    /// Its metrics.
    pub measured: Measured,
    /// How it differs from the starting params.
    pub changes: Vec<Change>,
    /// How many runs it has.
    pub runs: u32,
    /// With so many it becomes the best.
    pub runs_all: u32,
}

/// A constraint that a trial keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The constraint, as `accuracy ≥ 0.88`.
    pub constraint: String,
    /// See [`Checked::confidence`](super::reply::Checked::confidence).
    pub confidence: Option<f64>,
}
