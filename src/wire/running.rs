//! What runs, and where: one trial, or one in each slot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::racing::Curve;
use super::reply::Change;

/// A trial that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Running {
    /// Its number.
    pub trial: u32,
    /// The slot that it runs in, where the spec has slots.
    pub slot: Option<String>,
    /// The number of its sitting.
    pub sitting: u32,
    /// How it differs from the starting params.
    pub changes: Vec<Change>,
    /// Since when this sitting runs.
    pub started: i64,
    /// What it does.
    pub doing: Doing,
    /// Since when it does that.
    pub since: i64,
    /// Its good runs.
    pub runs: u32,
    /// How many it is to have.
    pub runs_all: u32,
    /// What the sitting is for, in words; `None` where it measures the trial.
    pub retrial: Option<String>,
    /// What the run that goes on has told: some of the points, the newest among
    /// them.
    pub curves: Vec<Curve>,
}

/// What a sitting does. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Doing {
    /// It is being started.
    Starting,
    /// A service is not ready yet.
    Readying {
        /// The step.
        step: String,
    },
    /// All services are ready.
    Ready,
    /// A task or a measure step runs.
    Step {
        /// The step.
        step: String,
    },
    /// It is being ended.
    Ending,
    /// A run that does not count.
    WarmUp {
        /// The step.
        step: String,
    },
    /// Somebody else has the port of a service; it is waited for.
    PortBusy {
        /// The port.
        port: u16,
        /// Who has it, for people.
        holder: String,
    },
    /// It waits for memory of a GPU.
    Waiting {
        /// For what, and who holds it.
        text: String,
    },
    /// A part of a run.
    Part {
        /// The step.
        step: String,
        /// Which part, from 1.
        part: u32,
        /// Of how many.
        parts: u32,
    },
    /// A run that tells how far it has come.
    Progress {
        /// The step.
        step: String,
        /// The metric.
        metric: String,
        /// What it was last.
        value: f64,
    },
}

/// A trial that a fault of the host has ended, and that is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldUp {
    /// Its number.
    pub trial: u32,
    /// The name of the fault, as in the results file: `port-taken`.
    pub fault: String,
    /// What it was, for people: the port, and who holds it.
    pub why: String,
    /// How many faults there were in a row.
    pub times: u32,
    /// After so many the study is paused.
    pub most: u32,
    /// When it is tried again.
    pub again: i64,
}

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
