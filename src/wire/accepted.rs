//! What comes of a wish that is granted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A change that was made, or was made already. Variants are only added at the
/// end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Accepted {
    /// The study is paused.
    Paused {
        /// The trial that still runs.
        running: Option<u32>,
        /// The other trials that run, in other slots.
        beside: Vec<u32>,
        /// Whether that one is being interrupted.
        interrupted: bool,
    },
    /// The study goes on.
    Resumed,
    /// The daemon ends.
    Stopping {
        /// The trial that is ended first.
        running: Option<u32>,
        /// The other trials that run, in other slots.
        beside: Vec<u32>,
    },
    /// The trial gets no further run.
    Skipped {
        /// The trial.
        trial: u32,
        /// Whether it runs, and is being ended.
        running: bool,
    },
    /// The trial will be measured again.
    Reopened {
        /// The trial.
        trial: u32,
        /// The trial that runs before; none where a slot is free.
        running: Option<u32>,
        /// The other trials that run, where no slot is free.
        beside: Vec<u32>,
    },
    /// The params will be tried.
    Enqueued {
        /// The number of their trial.
        trial: u32,
        /// The trial that runs before; none where a slot is free.
        running: Option<u32>,
        /// The other trials that run, where no slot is free.
        beside: Vec<u32>,
        /// Whether the study is paused, so that it must be resumed first.
        paused: bool,
    },
    /// The spec is changed.
    Amended(Amended),
    /// The spec's file was read again.
    Reloaded(Reloaded),
    /// A proposal is tried.
    Approved {
        /// The proposal.
        proposal: u32,
        /// The number of its trial.
        trial: u32,
        /// The trial that runs before; none where a slot is free.
        running: Option<u32>,
        /// The other trials that run, where no slot is free.
        beside: Vec<u32>,
        /// Whether the study is paused, so that it must be resumed first.
        paused: bool,
    },
    /// A proposal is not tried.
    Rejected {
        /// The proposal.
        proposal: u32,
        /// What ends with it.
        ended: Ended,
        /// Whether the study is paused, so that it must be resumed first.
        paused: bool,
    },
    /// A parameter that was ended may be proposed again.
    ParameterReopened {
        /// The parameter.
        parameter: String,
        /// Whether the study is paused, so that it must be resumed first.
        paused: bool,
    },
}

/// What ends with a proposal that is not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It alone.
    Proposal,
    /// This parameter.
    Parameter(String),
    /// The study, until it is resumed.
    Study,
}

/// What came of reading the spec's file again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// What the check has to remark, in words.
    pub warnings: Vec<String>,
    /// Changes by users that do not fit the spec any more, and are ignored.
    pub unfit: Vec<String>,
    /// The trial that runs, and is finished as it was started.
    pub running: Option<u32>,
    /// The other trials that run, in other slots.
    pub beside: Vec<u32>,
    /// Whether the study was done, and looks for more to do.
    pub done: bool,
}

/// What came of a change of the spec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amended {
    /// What is new, in words.
    pub changed: Vec<String>,
    /// What was taken back or replaced, in words.
    pub withdrawn: Vec<String>,
    /// The trial that runs, and is finished as it was started.
    pub running: Option<u32>,
    /// The other trials that run, in other slots.
    pub beside: Vec<u32>,
    /// Trials that were planned before, are not of the space any more, and are
    /// tried all the same; 20 at most.
    pub outside: Vec<u32>,
    /// The best trial before.
    pub best_before: Option<u32>,
    /// The best trial now.
    pub best: Option<u32>,
    /// Whether the best is not of the space any more: it still competes.
    pub best_outside: bool,
    /// Whether the study is paused, so that it must be resumed first.
    pub paused: bool,
    /// Whether the study was done, and looks for more to do.
    pub done: bool,
}
