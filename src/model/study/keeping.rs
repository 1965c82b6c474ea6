//! What is kept of the artifacts of the trials.

use std::cmp::Ordering;

use super::{Study, StudyError};
use crate::model::artifacts::{Artifacts, ArtifactsChange, Fate, Kept};
use crate::model::outcome::Outcome;
use crate::model::trial::{Purpose, Sitting, Trial, TrialId};

impl Study {
    /// The copy that there is of a trial's artifacts, mostly of the incumbent's.
    pub fn kept(&self) -> Option<&Kept> {
        let here = |kept: &&Kept| *kept.folder == *self.spec.files.best_model;
        self.kept.as_ref().filter(here)
    }

    /// The incumbent, where it has artifacts that are to be copied yet.
    pub fn unkept(&self) -> Option<TrialId> {
        let best = self.incumbent()?;
        let is_kept = self.kept().is_some_and(|kept| kept.trial == best.id);
        (!is_kept && has_artifacts(best)).then_some(best.id)
    }

    /// The trials whose artifacts the spec gives up: those that are over and not
    /// among the best. None while the best has not been copied.
    pub fn given_up(&self) -> Vec<TrialId> {
        let Some(most) = self.spec.retention.artifacts else {
            return Vec::new();
        };
        if self.unkept().is_some() {
            return Vec::new();
        }
        let mut over: Vec<&Trial> = self.trials.iter().map(|trial| &**trial).collect();
        over.retain(|trial| {
            trial.is_settled() && trial.running().is_none() && has_artifacts(trial)
        });
        let complete = over
            .iter()
            .filter(|trial| trial.outcome == Some(Outcome::Complete));
        let with_mean = |trial: &&Trial| Some((self.levelled(trial)?.mean, trial.id));
        let mut ranked: Vec<(f64, TrialId)> = complete.filter_map(with_mean).collect();
        // The best first; the earlier of two equals.
        let better = |a, b| self.spec.objective.better(a, b);
        ranked.sort_by(
            |(a, first), (b, second)| match (better(*a, *b), better(*b, *a)) {
                (true, _) => Ordering::Less,
                (_, true) => Ordering::Greater,
                _ => first.cmp(second),
            },
        );
        let best = ranked.iter().take(most as usize).map(|(_, id)| *id);
        let spared: Vec<TrialId> = best.chain(self.incumbent).chain(self.leader).collect();
        let given_up = over.iter().map(|trial| trial.id);
        given_up.filter(|id| !spared.contains(id)).collect()
    }

    /// When a trial was at work before this sitting, each from one time to
    /// another, in milliseconds since 1970. After one that was cut short nobody
    /// was at work until the next began, in the same slot where there are slots:
    /// what trials make that run side by side does not lie in one place.
    pub fn spans(&self, trial: &Trial, sitting: u32) -> Vec<(i64, i64)> {
        let begun = |sitting: &Sitting| sitting.started.as_millis();
        let sittings = self.trials.iter().flat_map(|trial| &trial.sittings);
        let mut all: Vec<(i64, &Sitting)> = sittings.map(|one| (begun(one), one)).collect();
        all.sort_unstable_by_key(|(start, _)| *start);
        let own = trial.sittings.iter().filter(|known| known.number < sitting);
        let own = own.filter(|known| known.purpose == Purpose::Measure);
        own.map(|known| {
            let from = begun(known);
            let next = all.partition_point(|(start, _)| *start <= from);
            let mut later = all[next..].iter();
            let next = later.find(|(_, one)| one.slot == known.slot);
            (from, next.map_or(i64::MAX, |(start, _)| start - 1))
        })
        .collect()
    }

    pub(super) fn take_change(
        &mut self,
        id: TrialId,
        change: &ArtifactsChange,
    ) -> Result<(), StudyError> {
        let fate = match change {
            ArtifactsChange::Found { files, bytes, .. } => {
                self.edit(id)?.artifacts = Some(Box::new(Artifacts {
                    files: *files,
                    bytes: *bytes,
                    fate: Fate::There,
                }));
                // What was copied is not what it has now.
                self.kept.take_if(|kept| kept.trial == id);
                return Ok(());
            }
            ArtifactsChange::Kept {
                files,
                bytes,
                folder,
            } => {
                self.kept = Some(Kept {
                    trial: id,
                    files: *files,
                    bytes: *bytes,
                    folder: folder.clone(),
                });
                return Ok(());
            }
            ArtifactsChange::Lost { reason } => Fate::Lost {
                reason: reason.clone(),
            },
            ArtifactsChange::Deleted { left, .. } => Fate::Deleted { left: *left },
        };
        if let Some(artifacts) = &mut self.edit(id)?.artifacts {
            artifacts.fate = fate;
        }
        Ok(())
    }
}

fn has_artifacts(trial: &Trial) -> bool {
    let artifacts = trial.artifacts.as_deref();
    artifacts.is_some_and(|artifacts| artifacts.files > 0 && artifacts.fate == Fate::There)
}
