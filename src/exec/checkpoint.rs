//! What a runner is told of the artifacts of a step, and the checkpoint from
//! which a task goes on: the newest of those that earlier sittings of its trial
//! have left.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::artifacts::{ArtifactOrder, Roots};
use super::order::{Invocation, OrderError, Scope};
use super::search::{Search, Written};
use crate::model::artifacts::CHECKPOINT;
use crate::model::spec::Spec;
use crate::model::step::Step;
use crate::model::trial::Trial;

/// What stands for the checkpoint in an [`Invocation`] until it is known. No
/// parameter has such a letter.
pub const PLACE: &str = "\u{1}checkpoint\u{1}";

/// How a run goes on from a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResumeOrder {
    /// The pattern of the checkpoints.
    pub checkpoint: String,
    /// A file that is in a whole one.
    pub complete: Option<String>,
    /// One that ended the sitting which went on from it.
    pub not: Option<String>,
    /// The program, with [`PLACE`] where the checkpoint comes.
    pub invocation: Invocation,
}

impl ResumeOrder {
    /// The newest whole checkpoint that was written in one of these spans of
    /// time, or at any time without them.
    ///
    /// # Errors
    /// A sentence that says why it cannot be looked for.
    pub(super) fn newest(
        &self,
        roots: &Roots<'_>,
        spans: Option<&[(i64, i64)]>,
    ) -> Result<Option<PathBuf>, String> {
        let (root, rest) = roots.place(&self.checkpoint)?;
        let mut search = Search::new(&root, &rest)?;
        search.written = Written {
            since: spans.is_none().then_some(i64::MIN),
            spans: spans.unwrap_or_default(),
        };
        search
            .go()
            .map_err(|error| format!("{} cannot be looked through: {error}", root.display()))?;
        let whole = |top: usize| {
            let Some(complete) = &self.complete else {
                return true;
            };
            let wanted = search.tops[top].join(complete);
            search.files.iter().any(|(file, _)| file.path == wanted)
        };
        let found = search.files.iter().filter(|(_, top)| whole(*top));
        let newest = found.max_by_key(|(file, top)| (number(&search.tops[*top]), file.modified));
        Ok(newest.map(|(_, top)| root.join(&search.tops[*top])))
    }

    /// The program that goes on from this checkpoint.
    pub(super) fn from(&self, checkpoint: &Path) -> Invocation {
        let checkpoint = checkpoint.to_string_lossy();
        let fill = |text: &String| text.replace(PLACE, &checkpoint);
        Invocation {
            command: self.invocation.command.iter().map(fill).collect(),
            env: self
                .invocation
                .env
                .iter()
                .map(|(name, value)| (name.clone(), fill(value)))
                .collect(),
        }
    }
}

impl Scope {
    /// What a step declares that it makes.
    pub(super) fn artifacts(&self, step: &Step) -> Result<Vec<ArtifactOrder>, OrderError> {
        let each = step.artifacts.iter().map(|artifact| {
            Ok(ArtifactOrder {
                pattern: self.fill(step, &artifact.pattern, "artifacts")?,
                newest: artifact.newest,
                required: artifact.required,
            })
        });
        each.collect()
    }

    /// How a run goes on from a checkpoint, where its trial was cut short.
    pub(super) fn resume(
        &mut self,
        spec: &Spec,
        trial: &Trial,
        sitting: u32,
        step: &Step,
        run: &str,
    ) -> Result<Option<ResumeOrder>, OrderError> {
        let Some(resume) = &step.resume else {
            return Ok(None);
        };
        let Some(not) = trial.resumes(sitting, resume.retry) else {
            return Ok(None);
        };
        let mut with = step.clone();
        with.command.extend(resume.arguments.iter().cloned());
        with.env
            .retain(|(name, _)| !resume.env.iter().any(|(other, _)| other == name));
        with.env.extend(resume.env.iter().cloned());
        let of_same_name = self.values.insert(CHECKPOINT.to_owned(), PLACE.to_owned());
        let invocation = self.invocation(spec, &with, &with.command, run);
        match of_same_name {
            Some(value) => self.values.insert(CHECKPOINT.to_owned(), value),
            None => self.values.remove(CHECKPOINT),
        };
        Ok(Some(ResumeOrder {
            checkpoint: self.fill(step, &resume.checkpoint, "resume.checkpoint")?,
            complete: resume.complete.clone(),
            not: not.map(str::to_owned),
            invocation: invocation?,
        }))
    }
}

/// The number at the end of a name, without what stands behind a point; `None`,
/// which is less than any, where there is none.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_stem()?.to_str()?;
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name[head.len()..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (name, expected) in [
            ("out/checkpoint-1200", Some(1200)),
            ("epoch=3-step=40.ckpt", Some(40)),
            ("checkpoint-last", None),
            ("model.pt", None),
        ] {
            assert_eq!(number(Path::new(name)), expected, "{name}");
        }
    }
}
