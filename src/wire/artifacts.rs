//! What a trial has made, as it is sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a trial has made that is worth keeping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifacts {
    /// So many files.
    pub files: u32,
    /// So many bytes.
    pub bytes: u64,
    /// What became of them.
    pub state: ArtifactsState,
    /// The folder of the copy, where there is one of this trial.
    pub copy: Option<String>,
}

/// What became of artifacts where they were made. Variants are only added at
/// the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactsState {
    /// They are there.
    There,
    /// They are there, and being copied, since the trial is the best.
    Pending,
    /// They cannot be kept any more.
    Lost {
        /// Why.
        reason: String,
    },
    /// They were removed.
    Deleted {
        /// So many files were left, which are not what the trial has made any
        /// more.
        left: u32,
    },
}
