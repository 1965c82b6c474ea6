//! The runner's notes of what its steps make: at the end of each run, before
//! the run counts, and once more when nothing of the sitting is alive.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::artifacts::{self, Group, KeepOrder, Listed, Roots, Since};
use super::checkpoint::ResumeOrder;
use super::order::{RunOrder, StepOrder};
use super::report::Report;
use super::runner::Sitting;
use crate::model::reason;

/// The pause before a full disk is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// What is known of the artifacts of a sitting.
#[derive(Default)]
pub(super) struct Made {
    /// The steps that have begun, by their places, and since when.
    begun: Vec<(usize, Vec<Since>)>,
    /// The list as it was told last.
    listed: Option<Listed>,
    /// What was said already.
    said: BTreeSet<String>,
}

/// What was found of a step.
#[derive(Default)]
struct Look {
    groups: Vec<Group>,
    /// The patterns that match nothing, and whether they are required, where that
    /// was said.
    missing: Vec<(String, Option<bool>)>,
    refused: Vec<String>,
}

impl Sitting {
    /// A step begins that may make something.
    pub(super) fn begin_artifacts(&self, step: &StepOrder) {
        let place = |known: &StepOrder| known.name == step.name;
        if let (false, Some(index)) = (
            step.artifacts.is_empty(),
            self.order.steps.iter().position(place),
        ) {
            let since = self.roots(step).begin(&step.artifacts);
            self.made.borrow_mut().begun.push((index, since));
        }
    }

    /// Notes what a step has made in a run that has just ended. What a good run
    /// lacks, where it must not.
    pub(super) async fn note_artifacts(&self, step: &StepOrder, is_good: bool) -> Option<String> {
        let index = self
            .order
            .steps
            .iter()
            .position(|known| known.name == step.name)?;
        let begun = self.made.borrow().begun.clone();
        let (_, since) = begun.into_iter().find(|(place, _)| *place == index)?;
        let look = look(step, &self.order.trial_dir, since, &self.order.keep).await;
        for refused in look.refused {
            self.say_once(format!("not kept as an artifact: {refused}"));
        }
        let mut lacks = None;
        for (pattern, required) in look.missing.into_iter().filter(|_| is_good) {
            let text = reason::ARTIFACT_MISSING.say([&pattern]);
            match required {
                Some(true) => {
                    lacks.get_or_insert(text);
                }
                Some(false) => {}
                None => self.say_once(text),
            }
        }
        while let Err(error) = self.list(step, look.groups.clone(), true) {
            self.say_once(format!("the artifacts cannot be noted: {error}, retrying"));
            tokio::time::sleep(DISK_PAUSE).await;
        }
        lacks
    }

    /// Notes what the steps have made in all, also those that were cut short.
    pub(super) async fn note_last_artifacts(&self) {
        let begun = self.made.borrow().begun.clone();
        for (index, since) in begun {
            let Some(step) = self.order.steps.get(index) else {
                continue;
            };
            let look = look(step, &self.order.trial_dir, since, &self.order.keep).await;
            if let Err(error) = self.list(step, look.groups, false) {
                self.say_once(format!(
                    "the artifacts cannot be noted: {error}, ignoring it"
                ));
            }
        }
    }

    /// Brings the list up to date and tells it, with `anew` also where it has
    /// not changed.
    fn list(&self, step: &StepOrder, groups: Vec<Group>, anew: bool) -> io::Result<()> {
        let Some(path) = &self.order.keep.list else {
            return Ok(());
        };
        let listed = artifacts::list(path, &self.order.keep.token, &step.name, groups)?;
        let mut made = self.made.borrow_mut();
        let (files, bytes) = listed.size();
        let is_new = made.listed.as_ref() != Some(&listed) || anew;
        let had_some = made.listed.as_ref().is_some_and(|known| known.size().0 > 0);
        made.listed = Some(listed);
        if is_new && (files > 0 || had_some) {
            self.tell(Report::ArtifactsFound { files, bytes });
        }
        Ok(())
    }

    /// Tells a warning that the sitting has not told yet.
    pub(super) fn say_once(&self, text: String) {
        if self.made.borrow_mut().said.insert(text.clone()) {
            self.tell(Report::Warning(text));
        }
    }

    fn roots<'a>(&'a self, step: &'a StepOrder) -> Roots<'a> {
        Roots {
            trial: &self.order.trial_dir,
            work: &step.workdir,
            output: &self.order.keep.output_dir,
        }
    }

    /// The checkpoint from which a run goes on, where it may and there is one.
    pub(super) async fn checkpoint<'r>(
        &self,
        step: &StepOrder,
        run: &'r RunOrder,
    ) -> Option<(&'r ResumeOrder, PathBuf)> {
        let resume = run.resume.as_ref()?;
        let spans = Some(self.order.keep.spans.clone());
        let why = match self.newest_checkpoint(step, resume, spans).await {
            Ok(Some(found)) if resume.not.as_deref() == found.to_str() => {
                format!(
                    "the sitting before did not survive going on from {}",
                    found.display()
                )
            }
            Ok(Some(found)) => {
                self.tell(Report::TaskResumed {
                    step: step.name.clone(),
                    checkpoint: found.to_string_lossy().into_owned(),
                });
                return Some((resume, found));
            }
            Ok(None) => format!("no whole checkpoint of it matches `{}`", resume.checkpoint),
            Err(error) => error,
        };
        self.say_once(format!("step `{}` begins anew: {why}", step.name));
        None
    }

    /// See [`ResumeOrder::newest`].
    pub(super) async fn newest_checkpoint(
        &self,
        step: &StepOrder,
        resume: &ResumeOrder,
        spans: Option<Vec<(i64, i64)>>,
    ) -> Result<Option<PathBuf>, String> {
        let (resume, work) = (resume.clone(), step.workdir.clone());
        let (trial, output) = (
            self.order.trial_dir.clone(),
            self.order.keep.output_dir.clone(),
        );
        let look = tokio::task::spawn_blocking(move || {
            let roots = Roots {
                trial: &trial,
                work: &work,
                output: &output,
            };
            resume.newest(&roots, spans.as_deref())
        });
        look.await.map_err(|panic| panic.to_string())?
    }
}

/// Looks for what a step has made, where the disk holds nobody up.
async fn look(
    step: &StepOrder,
    trial: &std::path::Path,
    since: Vec<Since>,
    keep: &KeepOrder,
) -> Look {
    let (step, trial, keep) = (step.clone(), trial.to_owned(), keep.clone());
    let look = tokio::task::spawn_blocking(move || {
        let roots = Roots {
            trial: &trial,
            work: &step.workdir,
            output: &keep.output_dir,
        };
        let mut look = Look::default();
        for order in &step.artifacts {
            match roots.find(&step.name, order, &since, &keep) {
                Ok(found) => {
                    if found.group.files.is_empty() {
                        look.missing.push((order.pattern.clone(), order.required));
                    }
                    look.refused.extend(found.refused);
                    look.groups.push(found.group);
                }
                Err(refused) => {
                    look.missing.push((order.pattern.clone(), order.required));
                    look.refused.push(refused);
                }
            }
        }
        look
    });
    look.await.unwrap_or_default()
}
