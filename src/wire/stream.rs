//! What is answered in several pieces, and how that ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogPiece {
    /// The step.
    pub step: String,
    /// The number of the sitting.
    pub sitting: u32,
    /// So many bytes of this sitting's log come before.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An event, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: i64,
    /// One JSON object with one field, the event's kind.
    pub event: String,
}

/// Why a stream is over. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndOfStream {
    /// There is no more.
    Complete,
    /// The daemon ends.
    Leaving,
    /// The reader was too slow: what comes next has to be asked for.
    TooSlow,
}
