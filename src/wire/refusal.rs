//! Why a daemon does not do what it was asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something is not done. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// This user may not.
    NotAllowed,
    /// There are too many connections.
    Busy,
    /// The request cannot be understood.
    NotUnderstood(String),
    /// The answer would be too long.
    TooLong,
    /// The daemon ends.
    Leaving,
    /// There is nothing left to do, for this reason.
    Done(String),
    /// There is no such trial.
    NoSuchTrial(u32),
    /// There is no such step, or it has no log.
    NoSuchLog(String),
    /// No trial runs.
    NothingRuns,
    /// No trial is feasible yet.
    NothingBest,
    /// The trial is not settled.
    NotSettled(u32),
    /// The trial has all its runs.
    NothingToRepeat(u32),
    /// The params were tried already.
    TriedAlready(u32),
    /// The params are not in the space, for these reasons.
    BadParams(Vec<String>),
    /// The journal takes no facts, or the daemon does not answer in time.
    NotRecorded(String),
    /// The daemon is still clearing up after an earlier one: this trial, say.
    Starting(Option<u32>),
    /// The journal has only so many events.
    NoSuchEvent(u64),
    /// The trial is settled.
    Settled(u32),
    /// The spec cannot be changed like that, for these reasons.
    BadChange(Vec<String>),
    /// The spec's file cannot be used: what is wrong with it, on several lines.
    BadSpec(String),
    /// These parts of the spec cannot change while the daemon runs.
    NeedsRestart(Vec<String>),
    /// `[notify]` has no such channel; it has these.
    NoSuchChannel(Vec<String>),
    /// The trial's logs were there and are gone.
    LogsGone(u32),
    /// The daemon ends, and cannot say whether it was done.
    Unanswered,
    /// The space has no such parameter; it has these.
    NoSuchParameter(Vec<String>),
    /// No trial is best yet, but this one leads by only some of its runs.
    OnlyLeads {
        /// The trial.
        trial: u32,
        /// How many it has.
        runs: u32,
        /// With so many it becomes the best.
        runs_all: u32,
    },
    /// The trial is settled, and runs beside the search.
    Beside {
        /// The trial.
        trial: u32,
        /// What for, in words.
        purpose: String,
        /// The setting that ends such runs.
        setting: String,
    },
    /// The spec has no `[advisor]`.
    NoAdvisor,
    /// Nothing waits for approval.
    NothingProposed,
    /// Another proposal waits: this one.
    OtherProposal(u32),
    /// The proposal changes these parameters, so that one value says nothing.
    SeveralParameters(Vec<String>),
    /// This sampler tunes no parameter by itself.
    NoOrder(String),
    /// A file cannot be written, for this reason.
    NotWritten(String),
    /// Several trials run: these.
    SeveralRun(Vec<u32>),
}
