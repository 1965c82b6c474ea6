//! Why racing ended a trial.

use serde::{Deserialize, Serialize};

/// Why racing ended a trial before its last run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// A place in a run at which racing ended it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The step.
    pub step: String,
    /// Which part it was, or which line of progress, from 1.
    pub mark: u32,
    /// How many parts the run had; `null` of progress.
    pub parts: Option<u32>,
    /// What was run of it, as a share of a whole run, 0 to 1.
    pub share: f64,
}
