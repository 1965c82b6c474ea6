//! `[[preflight]]` and `[[incumbent]]`: tasks that are no part of a trial.

use std::path::Path;
use std::time::Duration;

use super::arguments::Catalogued;
use super::reader::{Reader, Section};
use super::steps::{self, Basics};
use super::text::Known;
use super::{names, notes};
use crate::model::step::{Step, StepKind};

/// What only a step of a trial can say.
const OF_TRIALS: [&str; 10] = [
    "ready",
    "runs",
    "warmup",
    "parts",
    "progress",
    "stall_timeout",
    "metrics",
    "artifacts",
    "resume",
    "kind",
];

/// The good tasks of one of the two lists. `taken` has the names of the steps
/// that there are already.
pub(super) fn read(
    r: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
    workdir: &Path,
    context: (&Known, &Catalogued<'_>),
    taken: &mut Vec<String>,
) -> Vec<Step> {
    let mut tasks = Vec::new();
    for mut section in steps::enabled(r, sections) {
        let name = section.require(r, "name", "\"merge\"").and_then(|node| {
            let name = node.text(r)?;
            if !names::plain(r, &node.span, name, "-_") {
                return None;
            }
            if taken.iter().any(|known| known == name) {
                r.error(&node.span, format!("there is a step `{name}` already"));
            }
            taken.push(name.to_owned());
            Some(name)
        });
        let basics = Basics::take(r, &mut section, workdir, context);
        let timeout = section.take("timeout");
        let timeout = timeout.and_then(|node| node.some_time(r));
        let notes = section.take("notes");
        let notes = notes.map_or_else(Vec::new, |node| notes::read(r, &node, context.0));
        section.refuse(
            r,
            &OF_TRIALS,
            "is for the steps of a trial: this one is a task beside them, and measures nothing",
        );
        section.finish(r);
        let kind = StepKind::Task {
            timeout: timeout.unwrap_or(Duration::from_secs(86_400)),
        };
        if let Some(name) = name
            && let Some(task) = basics.step(name, kind)
        {
            tasks.push(Step { notes, ..task });
        }
    }
    tasks
}
