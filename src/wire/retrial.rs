//! What was measured beside the search, as a daemon answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The comparison of the best with the starting params by fresh starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// The best trial.
    pub winner: u32,
    /// How many starts each of the two is to have.
    pub starts: u32,
    /// The starts so far, of both together.
    pub done: u32,
    /// The mean of the objective over the good starts with the starting params.
    pub baseline: Option<f64>,
    /// That of the best.
    pub measured: Option<f64>,
    /// How many starts with the starting params failed.
    pub baseline_failed: u32,
    /// How many of the best failed.
    pub winner_failed: u32,
    /// Whether the best is better than the starting params; `None` when that
    /// cannot be told.
    pub better: Option<bool>,
    /// The constraints that the best misses, each in words.
    pub missed: Vec<String>,
}

/// The host gives more or less than it did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// When that was seen first.
    pub since: i64,
    /// How much more of the objective the same params give since then.
    pub amount: f64,
    /// Whether that is a share; else it is in the metric's unit.
    pub is_share: bool,
}

/// Values for the golden bytes.
#[cfg(test)]
pub(super) mod golden {
    use super::{Confirmation, Drift};

    pub const DRIFT: Drift = Drift {
        since: 4,
        amount: -0.125,
        is_share: true,
    };

    pub fn confirmation() -> Confirmation {
        Confirmation {
            winner: 7,
            starts: 3,
            done: 6,
            baseline: Some(1.5),
            measured: Some(2.0),
            baseline_failed: 0,
            winner_failed: 1,
            better: Some(true),
            missed: vec!["quality >= 0.5".to_owned()],
        }
    }
}
