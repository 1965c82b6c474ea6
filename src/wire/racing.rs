//! Why racing ended a trial.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why racing ended a trial before its last run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pruning {
    /// The metric that decided.
    pub metric: String,
    /// Its runs until then.
    pub runs: u32,
    /// How many it would have had.
    pub of: u32,
    /// Its mean until then.
    pub mean: f64,
    /// What its mean would have had to beat, or to meet.
    pub needed: f64,
    /// The best trial, whose mean `needed` is; `None` where that is the bound
    /// of a constraint.
    pub rival: Option<u32>,
    /// The chance that the mean over all runs would have done so, 0 to 1.
    pub chance: f64,
    /// Where in its first run it was ended; `null` between two runs.
    pub cut: Option<Cut>,
    /// Where the median rule ended it: then `mean` is the best that the run had
    /// told, and `needed` the median.
    pub median: Option<MedianReached>,
}

/// Where, and by what, the median rule ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MedianReached {
    /// The training step.
    pub at: f64,
    /// The median is that of so many trials.
    pub trials: u32,
}

/// The numbers that one run has told of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// The step.
    pub step: String,
    /// The run's number within that step.
    pub run: u32,
    /// The metric.
    pub metric: String,
    /// The training step at which the run will end, where it says so.
    pub of: Option<f64>,
    /// The points, thinned, at rising training steps.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// The training step; of a program that does not tell it, the so manieth
    /// number.
    pub at: f64,
    /// What the metric was there.
    pub value: f64,
    /// The sitting that told it.
    pub sitting: u32,
}

/// A place in a run at which racing ended it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cut {
    /// The step.
    pub step: String,
    /// Which part it was, or which line of progress, from 1; or how many points
    /// of a curve there were.
    pub mark: u32,
    /// How many parts the run had; `null` of progress.
    pub parts: Option<u32>,
    /// What was run of it, as a share of a whole run, 0 to 1.
    pub share: f64,
}
