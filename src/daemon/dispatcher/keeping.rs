//! Keeping and removing artifacts, where the disk holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Dispatcher;
use crate::daemon::Update;
use crate::daemon::decide::Input;
use crate::daemon::keeper::{self, Trouble};
use crate::exec::artifacts::KeepOrder;
use crate::model::artifacts::ArtifactsChange;
use crate::model::study::Study;
use crate::model::trial::{Purpose, Trial, TrialId};

/// The pause before a copy is tried again, in pieces that an end is seen in.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES: u32 = 50;

/// A copy that is being made.
pub(super) struct Copying {
    cancel: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Copying {
    /// Ends it, and waits until it has.
    pub(super) async fn end(self) {
        self.cancel.store(true, Ordering::Relaxed);
        let _ = self.task.await;
    }
}

impl Dispatcher {
    /// What a runner needs to know of what its trial makes.
    pub(super) fn keep_order(&self, study: &Study, trial: &Trial, sitting: u32) -> KeepOrder {
        let spec = study.spec();
        let measures = trial.purpose_of(sitting) == Purpose::Measure;
        let declares = spec.steps.iter().any(|step| !step.artifacts.is_empty());
        let list = (measures && declares).then(|| self.folders.artifacts(trial.id));
        KeepOrder {
            list,
            token: token(trial),
            output_dir: self.folders.output().to_owned(),
            own: self.folders.own(&spec.files),
            spans: study.spans(trial, sitting),
        }
    }

    /// Copies the artifacts of the best trial, and tries again until there is a
    /// copy or nothing to copy.
    pub(super) fn keep(&mut self, id: TrialId) {
        let study = &self.state.study;
        let Some(trial) = study.trial(id) else {
            return;
        };
        let folder = study.spec().files.best_model.as_str();
        let order = keeper::Order {
            list: self.folders.artifacts(id),
            token: token(trial),
            to: self.folders.output().join(folder),
            about: keeper::about_of(study, trial, self.records.begun()),
        };
        let cancel = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::clone(&cancel);
        let (sender, updates) = (self.sender.clone(), self.updates.clone());
        let folder = folder.into();
        let copying = tokio::task::spawn_blocking(move || {
            loop {
                let trouble = match keeper::keep(&order, &cancelled) {
                    Ok(copied) => {
                        for aside in copied.aside {
                            let text = format!(
                                "{} was not only a copy of artifacts, and is set aside",
                                aside.display()
                            );
                            let _ = updates.send(Update::Warning(text));
                        }
                        let (files, bytes) = (copied.files, copied.bytes);
                        return Some(ArtifactsChange::Kept {
                            files,
                            bytes,
                            folder,
                        });
                    }
                    Err(Trouble::Cancelled) => return None,
                    Err(Trouble::Lost(reason)) => {
                        return Some(ArtifactsChange::Lost {
                            reason: reason.into(),
                        });
                    }
                    Err(trouble) => trouble,
                };
                let text = format!("the artifacts of trial {id} cannot be kept yet: {trouble}");
                let _ = sender.send(Input::KeepingWaits(text));
                for _ in 0..PAUSES {
                    if cancelled.load(Ordering::Relaxed) {
                        return None;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        });
        let sender = self.sender.clone();
        let task = tokio::spawn(async move {
            let change = copying.await.unwrap_or_else(|panic| {
                let reason = panic.to_string().into();
                Some(ArtifactsChange::Lost { reason })
            });
            if let Some(change) = change {
                let _ = sender.send(Input::Artifacts { trial: id, change });
            }
        });
        self.copying = Some(Copying { cancel, task });
    }
}

/// What tells a trial from another of its number.
pub(in crate::daemon) fn token(trial: &Trial) -> String {
    let first = trial.sittings.first();
    first.map_or_else(String::new, |sitting| sitting.token.to_string())
}
