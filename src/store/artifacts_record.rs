//! What becomes of artifacts, and from where a task goes on, as the journal has it: see
//! [`super::event_record`].

use serde::{Deserialize, Serialize};

use super::event_record::EventRecord;
use super::text::{Interner, Text};
use crate::model::artifacts::ArtifactsChange;
use crate::model::event::Event;
use crate::model::trial::TrialId;

#[derive(Serialize, Deserialize)]
pub(super) struct FoundRecord {
    trial: u32,
    sitting: u32,
    files: u32,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptRecord<'a> {
    trial: u32,
    files: u32,
    bytes: u64,
    #[serde(borrow)]
    folder: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LostRecord<'a> {
    trial: u32,
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeletedRecord {
    trial: u32,
    files: u32,
    bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    left: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ResumedRecord<'a> {
    trial: u32,
    sitting: u32,
    #[serde(borrow)]
    step: Text<'a>,
    checkpoint: Text<'a>,
}

impl<'a> ResumedRecord<'a> {
    pub(super) fn of(trial: TrialId, sitting: u32, step: &'a str, checkpoint: &'a str) -> Self {
        Self {
            trial: trial.0,
            sitting,
            step: Text::of(step),
            checkpoint: Text::of(checkpoint),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Event {
        Event::TaskResumed {
            trial: TrialId(self.trial),
            sitting: self.sitting,
            step: names.name(self.step.as_str()),
            checkpoint: self.checkpoint.as_str().into(),
        }
    }
}

impl<'a> EventRecord<'a> {
    pub(super) fn of_artifacts(trial: TrialId, change: &'a ArtifactsChange) -> Self {
        let trial = trial.0;
        match change {
            ArtifactsChange::Found {
                sitting,
                files,
                bytes,
            } => Self::ArtifactsFound(FoundRecord {
                trial,
                sitting: *sitting,
                files: *files,
                bytes: *bytes,
            }),
            ArtifactsChange::Kept {
                files,
                bytes,
                folder,
            } => Self::ArtifactsKept(KeptRecord {
                trial,
                files: *files,
                bytes: *bytes,
                folder: Text::of(folder),
            }),
            ArtifactsChange::Lost { reason } => Self::ArtifactsLost(LostRecord {
                trial,
                reason: Text::of(reason),
            }),
            ArtifactsChange::Deleted { files, bytes, left } => {
                Self::ArtifactsDeleted(DeletedRecord {
                    trial,
                    files: *files,
                    bytes: *bytes,
                    left: *left,
                })
            }
        }
    }
}

fn event(trial: u32, change: ArtifactsChange) -> Event {
    Event::Artifacts {
        trial: TrialId(trial),
        change,
    }
}

impl FoundRecord {
    pub(super) fn into_event(self) -> Event {
        let change = ArtifactsChange::Found {
            sitting: self.sitting,
            files: self.files,
            bytes: self.bytes,
        };
        event(self.trial, change)
    }
}

impl KeptRecord<'_> {
    pub(super) fn into_event(self) -> Event {
        let change = ArtifactsChange::Kept {
            files: self.files,
            bytes: self.bytes,
            folder: self.folder.as_str().into(),
        };
        event(self.trial, change)
    }
}

impl LostRecord<'_> {
    pub(super) fn into_event(self) -> Event {
        let reason = self.reason.as_str().into();
        event(self.trial, ArtifactsChange::Lost { reason })
    }
}

impl DeletedRecord {
    pub(super) fn into_event(self) -> Event {
        let change = ArtifactsChange::Deleted {
            files: self.files,
            bytes: self.bytes,
            left: self.left,
        };
        event(self.trial, change)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
