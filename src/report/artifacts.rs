//! What becomes of artifacts, in sentences.

use super::phrase::{clean, counted};
use crate::base::quantity::show_size;
use crate::model::artifacts::ArtifactsChange;
use crate::model::trial::TrialId;

/// `3 files, 1.2 GiB`.
pub fn extent(files: u32, bytes: u64) -> String {
    format!("{}, {}", counted(files.into(), "file"), show_size(bytes))
}

/// What became of the artifacts of a trial.
pub fn changed(trial: TrialId, change: &ArtifactsChange) -> String {
    match change {
        ArtifactsChange::Found { files, bytes, .. } => {
            format!("trial {trial} has made {}", extent(*files, *bytes))
        }
        ArtifactsChange::Kept {
            files,
            bytes,
            folder,
        } => format!(
            "the artifacts of trial {trial} are kept in {}: {}",
            clean(folder),
            extent(*files, *bytes)
        ),
        ArtifactsChange::Lost { reason } => format!(
            "the artifacts of trial {trial} are lost, and cannot be kept: {}",
            clean(reason)
        ),
        ArtifactsChange::Deleted { files, bytes, left } => {
            let left = match left {
                0 => String::new(),
                left => format!(
                    "; {} left, which it has not written or which others have changed since",
                    counted((*left).into(), "file")
                ),
            };
            format!(
                "the artifacts of trial {trial} are removed: {}{left}",
                extent(*files, *bytes)
            )
        }
    }
}

/// From where a task goes on.
pub fn resumed(trial: TrialId, step: &str, checkpoint: &str) -> String {
    format!(
        "trial {trial}: {} goes on from {}",
        clean(step),
        clean(checkpoint)
    )
}
