//! Artifacts: what the steps of a trial make that is worth keeping, such as a
//! trained model; and the checkpoints from which a task goes on.

use super::Name;
use super::template::Template;
use super::trial::TrialId;

/// What a step declares that it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// A pattern of files and folders, relative to the step's folder.
    pub pattern: Template,
    /// Whether only the newest of what it matches counts.
    pub newest: bool,
    /// Whether a run that does not make it is bad; where nobody has said that it
    /// is not, such a run is warned of.
    pub required: Option<bool>,
}

/// How a task goes on from a checkpoint of an earlier sitting of its trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// A pattern of the checkpoints, relative to the step's folder. The newest
    /// is that with the greatest number at its end.
    pub checkpoint: Template,
    /// A file that is in a checkpoint once that is whole.
    pub complete: Option<String>,
    /// What comes behind the command then. [`CHECKPOINT`] is the checkpoint.
    pub arguments: Vec<Template>,
    /// Further environment variables then.
    pub env: Vec<(String, Template)>,
    /// Whether that also holds for a trial that failed by itself, when it is
    /// tried again.
    pub retry: bool,
}

/// What a template of [`Resume`] calls the checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// What a trial has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifacts {
    /// So many files.
    pub files: u32,
    /// So many bytes.
    pub bytes: u64,
    /// What became of them.
    pub fate: Fate,
}

/// What became of the artifacts of a trial, where the trial made them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are there.
    There,
    /// They cannot be kept any more.
    Lost {
        /// Why, for people.
        reason: Name,
    },
    /// They were removed, as the owner wants it.
    Deleted {
        /// So many were not: they are not what the trial has made any more.
        left: u32,
    },
}

/// Something that becomes of the artifacts of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactsChange {
    /// The trial has made some, or others than before.
    Found {
        /// The sitting.
        sitting: u32,
        /// So many files, over all its sittings.
        files: u32,
        /// So many bytes.
        bytes: u64,
    },
    /// They are copied, and the copy is synced.
    Kept {
        /// So many files.
        files: u32,
        /// So many bytes.
        bytes: u64,
        /// The folder of the copy, within the output folder.
        folder: Name,
    },
    /// They cannot be kept any more.
    Lost {
        /// Why, for people.
        reason: Name,
    },
    /// They were removed where the trial made them.
    Deleted {
        /// So many files.
        files: u32,
        /// So many bytes.
        bytes: u64,
        /// So many files were left: they are not what the trial has made any
        /// more.
        left: u32,
    },
}

impl ArtifactsChange {
    /// The name of its event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Found { .. } => "artifacts-found",
            Self::Kept { .. } => "artifacts-kept",
            Self::Lost { .. } => "artifacts-lost",
            Self::Deleted { .. } => "artifacts-deleted",
        }
    }
}

/// A synced copy of the artifacts of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The trial.
    pub trial: TrialId,
    /// So many files.
    pub files: u32,
    /// So many bytes.
    pub bytes: u64,
    /// Its folder, within the output folder.
    pub folder: Name,
}
