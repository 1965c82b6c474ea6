//! Trials side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in which one trial at a time runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// The trial that runs in it.
    pub trial: Option<u32>,
    /// Why none does, in words.
    pub idle: Option<String>,
}

/// How much trials that run side by side disturb each other: the objective of
/// the starting params, measured alone and beside neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Neighbours {
    /// Its mean alone.
    pub alone: f64,
    /// Its mean beside trials in the other slots.
    pub beside: f64,
    /// By how much that differs, as a share of the mean alone.
    pub difference: f64,
    /// By how much noise alone would make it differ, as such a share: with a
    /// chance of 95 in 100 by less.
    pub noise: f64,
    /// Whether it differs by more than noise.
    pub disturb: bool,
}
