//! `[[preflight]]` and `[[incumbent]]`: tasks that are no part of a trial.

use std::path::Path;
use std::time::Duration;

use super::arguments::Catalogued;
use super::reader::{Reader, Section};
use super::text::{self, Known};
use super::{artifacts, names, notes, steps, study};
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
    (known, catalogued): (&Known, &Catalogued<'_>),
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
        let folder = section.take("workdir");
        let folder = folder.and_then(|node| study::path(r, &node, workdir));
        let folder = folder.unwrap_or_else(|| workdir.to_path_buf());
        let (find, with) = artifacts::take_find(r, &mut section, &folder, known);
        let command = section.require(r, "command", "[\"bash\", \"run.sh\"]");
        if let Some(command) = &command {
            catalogued.check(r, command);
        }
        let command = command.and_then(|node| text::command(r, &node, &with));
        let params = section.take("params");
        let params = params.and_then(|node| node.choice(r, &["env", "none"]));
        let params_in_env = params != Some(1);
        let env = section.take("env");
        let env = env.and_then(|node| node.section(r, "`env`"));
        let env = text::variables(r, env, &with, params_in_env);
        let files = steps::files(r, &mut section, known);
        let stop = section.take("stop");
        let stop = stop.and_then(|node| text::command(r, &node, known));
        let grace = section.take("stop_grace");
        let grace = grace.and_then(|node| node.duration(r));
        let timeout = section.take("timeout");
        let timeout = timeout.and_then(|node| node.some_time(r));
        let notes = section.take("notes");
        let notes = notes.map_or_else(Vec::new, |node| notes::read(r, &node, known));
        section.refuse(
            r,
            &OF_TRIALS,
            "is for the steps of a trial: this one is a task beside them, and measures nothing",
        );
        section.finish(r);
        if let (Some(name), Some(command)) = (name, command) {
            tasks.push(Step {
                name: name.into(),
                kind: StepKind::Task {
                    timeout: timeout.unwrap_or(Duration::from_secs(86_400)),
                },
                command,
                params_in_env,
                env,
                files,
                workdir: folder,
                stop,
                stop_grace: grace.unwrap_or(Duration::from_secs(10)),
                metrics: Vec::new(),
                artifacts: Vec::new(),
                find,
                resume: None,
                curves: Vec::new(),
                notes,
                stall_timeout: None,
            });
        }
    }
    tasks
}
