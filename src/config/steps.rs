//! `[[step]]`: the commands of a trial.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::Digest;
use toml::de::DeValue;

use super::arguments::Catalogued;
use super::marks::{self, Said};
use super::reader::{Node, Reader, Section, alternatives, did_you_mean};
use super::text::{self, Known};
use super::{artifacts, curves, metrics, names, notes, ready, study};
use crate::model::Name;
use crate::model::step::{Find, Marks, PortOwner, ReadyCheck, RenderedFile, Step, StepKind};
use crate::model::template::Template;

/// The largest file of a template, in bytes.
const LARGEST_TEMPLATE: u64 = 1 << 20;

/// What templates may ask for, what the arguments of known programs are, the
/// metric that is optimised, and whether racing may end a trial.
type Context<'k, 't> = (&'k Known, &'k Catalogued<'t>, Option<&'k str>, bool);

const KINDS: [&str; 3] = ["service", "task", "measure"];

/// The good steps, and every metric that is declared, with an error or
/// without.
pub(super) fn read(
    r: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
    workdir: &Path,
    context: Context<'_, '_>,
) -> (Vec<Step>, Vec<Name>) {
    let mut steps: Vec<Step> = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    let mut yields: Vec<(Name, String)> = Vec::new();
    let of_preset = names_of_preset(r, &sections);
    for mut section in enabled(r, sections) {
        let name = section.require(r, "name", "\"eval\"").and_then(|node| {
            let name = node.text(r)?;
            if !names::plain(r, &node.span, name, "-_") {
                return None;
            }
            if taken.contains(&name) {
                r.error(&node.span, format!("there is a step `{name}` already"));
            }
            taken.push(name);
            Some((name, node.span))
        });
        if let Some((name, span)) = &name
            && !section.has("kind")
            && let Some((preset, _)) = r.preset
        {
            if of_preset.contains(name) {
                continue;
            }
            // Meant for a step of the preset, mostly; what else it lacks says nothing.
            let message = format!(
                "the preset `{preset}` has no step `{name}`, and a step of one's own needs a `kind`"
            );
            let steps = || format!("its steps: {}", alternatives(of_preset.iter().copied()));
            let help = did_you_mean(name, of_preset.iter().copied()).unwrap_or_else(steps);
            r.error_help(span, message, help.as_str());
            continue;
        }
        let name = name.map_or("?", |(name, _)| name);
        if let Some(step) = step(r, section, name, workdir, context, &mut yields) {
            steps.push(step);
        }
    }
    (
        steps,
        yields.into_iter().map(|(metric, _)| metric).collect(),
    )
}

/// The steps without those that are switched off, at which nobody looks.
pub(super) fn enabled<'a>(r: &mut Reader<'_>, sections: Vec<Section<'a>>) -> Vec<Section<'a>> {
    let mut kept = Vec::new();
    for mut section in sections {
        let enabled = section.take("enabled");
        let enabled = enabled.and_then(|node| node.truth(r));
        if enabled != Some(false) {
            kept.push(section);
            continue;
        }
        // What it would ask for is there for when it is switched on.
        for node in section.rest() {
            ask(r, node.value);
        }
    }
    kept
}

fn ask(r: &mut Reader<'_>, value: &DeValue<'_>) {
    match value {
        DeValue::String(text) => {
            if let Ok(template) = Template::new(&**text) {
                r.asked.extend(template.names().iter().cloned());
            }
            r.idle.push(text.to_string());
        }
        DeValue::Array(values) => values.iter().for_each(|value| ask(r, value.get_ref())),
        DeValue::Table(values) => {
            for (key, value) in values {
                r.idle.push(key.get_ref().to_string());
                ask(r, value.get_ref());
            }
        }
        _ => {}
    }
}

/// The names of the steps that the preset has.
fn names_of_preset<'a>(r: &Reader<'_>, sections: &[Section<'a>]) -> Vec<&'a str> {
    let Some((_, start)) = r.preset else {
        return Vec::new();
    };
    // Of a step that the spec changes, some of these stand in the spec.
    let is_of_preset = |section: &&Section<'_>| {
        let mut nodes = ["name", "kind", "command"]
            .map(|key| section.get(key))
            .into_iter();
        nodes.any(|node| node.is_some_and(|node| node.span.start >= start))
    };
    let sections = sections.iter().filter(is_of_preset);
    let names = sections.filter_map(|section| section.get("name"));
    names.filter_map(|node| node.value.as_str()).collect()
}

fn step(
    r: &mut Reader<'_>,
    mut section: Section<'_>,
    name: &str,
    workdir: &Path,
    (known, catalogued, objective, racing): Context<'_, '_>,
    yields: &mut Vec<(Name, String)>,
) -> Option<Step> {
    let span = section.span.clone();
    let kind = section.require(r, "kind", "\"measure\"");
    let kind = kind.and_then(|node| node.choice(r, &KINDS));
    let basics = Basics::take(r, &mut section, workdir, (known, catalogued));
    let kind_of_step = match kind {
        Some(kind) => read_kind(r, &mut section, KINDS[kind], known),
        None => {
            // Which of these belong to it is not known.
            for key in [
                "ready",
                "timeout",
                "runs",
                "warmup",
                "parts",
                "progress",
                "stall_timeout",
            ] {
                section.take(key);
            }
            None
        }
    };
    let said = if kind == Some(2) {
        marks::take(r, &mut section)
    } else {
        Said::Nothing
    };
    let notes = section.take("notes");
    if let Some(node) = notes.as_ref().filter(|_| kind == Some(0)) {
        r.error(&node.key_span, "`notes` is for steps that come to an end");
    }
    let notes = notes.map_or_else(Vec::new, |node| notes::read(r, &node, known));
    let curves = section.take("progress");
    let curves = curves.map_or_else(Vec::new, |node| curves::read(r, &node, known));
    let stall_timeout = section.take("stall_timeout");
    let stall_timeout = stall_timeout.and_then(|node| node.some_time(r));
    let is_service = kind == Some(0);
    let of_kind = kind.map(|kind| KINDS[kind]);
    let made = section.get("artifacts").map(|node| node.key_span.clone());
    let (artifacts, resume) = artifacts::take(r, &mut section, of_kind, &basics.workdir, known);
    let metrics = section.take("metrics");
    let measures = metrics.as_ref().is_some_and(|node| match node.value {
        DeValue::Table(table) => !table.is_empty(),
        _ => true,
    });
    let metrics = match metrics {
        Some(node) if is_service => {
            let help = "put them into a step of the kind measure or task that asks the service";
            r.error_help(&node.key_span, "a service yields no metrics", help);
            Vec::new()
        }
        Some(node) => metrics::read(r, &node, name, known, yields),
        None => Vec::new(),
    };
    if kind == Some(2) && !measures {
        let help = "add [step.metrics] with a pattern for each: accuracy = 'Accuracy: (\\S+)'";
        let message = format!("the step `{name}` measures nothing: it has no metrics");
        r.error_help(&span, message, help);
    }
    section.finish(r);
    let parts = match &said {
        Said::Parts(_, span) => Some(span.clone()),
        _ => None,
    };
    let mut kind_of_step = kind_of_step?;
    if let StepKind::Measure { marks, .. } = &mut kind_of_step {
        *marks = said.marks(r, &metrics, objective);
    }
    let program = basics.program.clone().unwrap_or(span.clone());
    let step = Step {
        metrics,
        artifacts,
        resume,
        curves,
        notes,
        stall_timeout,
        ..basics.step(name, kind_of_step)?
    };
    marks::check(r, &step, parts.as_ref(), (&program, &span));
    warn_of_container(r, &step, &program);
    if let Some(span) = made.filter(|_| racing && may_write_twice(&step)) {
        let message = format!(
            "racing may end a trial in the middle of a run of `{name}`, which may then have \
             written over what an earlier run made: the best trial's artifacts may be lost"
        );
        let help = "make them in a task, or in files of each run's own by {{ run }} in the \
                    command; else racing = false in [search]";
        r.warn(&span, message, help);
    }
    Some(step)
}

/// Whether a later run makes artifacts where an earlier one has made some.
fn may_write_twice(step: &Step) -> bool {
    let names_run = |part: &Template| part.names().iter().any(|name| &**name == "run");
    matches!(step.kind, StepKind::Measure { runs, .. } if runs > 1)
        && !step.artifacts.is_empty()
        && !step.command.iter().any(names_run)
        && !step.env.iter().any(|(_, value)| names_run(value))
}

/// What each command has, that of a trial and that beside trials.
pub(super) struct Basics {
    /// Where its command stands.
    program: Option<Range<usize>>,
    command: Option<Vec<Template>>,
    params_in_env: bool,
    env: Vec<(String, Template)>,
    files: Vec<RenderedFile>,
    workdir: PathBuf,
    stop: Option<Vec<Template>>,
    stop_grace: Duration,
    find: Vec<Find>,
}

impl Basics {
    /// Takes the keys of a step or a task of that study, whose folder is
    /// `workdir`.
    pub(super) fn take(
        r: &mut Reader<'_>,
        section: &mut Section<'_>,
        workdir: &Path,
        (known, catalogued): (&Known, &Catalogued<'_>),
    ) -> Self {
        let folder = section.take("workdir");
        let folder = folder.and_then(|node| study::path(r, &node, workdir));
        let folder = folder.unwrap_or_else(|| workdir.to_path_buf());
        let (find, with) = artifacts::take_find(r, section, &folder, known);
        let command = section.require(r, "command", "[\"bash\", \"run.sh\"]");
        let program = command.as_ref().map(|node| node.span.clone());
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
        let files = files(r, section, known);
        let stop = section.take("stop");
        let stop = stop.and_then(|node| text::command(r, &node, known));
        let grace = section.take("stop_grace");
        let grace = grace.and_then(|node| node.duration(r));
        Self {
            program,
            command,
            params_in_env,
            env,
            files,
            workdir: folder,
            stop,
            stop_grace: grace.unwrap_or(Duration::from_secs(10)),
            find,
        }
    }

    /// A step that measures nothing; `None` without a good command.
    pub(super) fn step(self, name: &str, kind: StepKind) -> Option<Step> {
        Some(Step {
            name: name.into(),
            kind,
            command: self.command?,
            params_in_env: self.params_in_env,
            env: self.env,
            files: self.files,
            workdir: self.workdir,
            stop: self.stop,
            stop_grace: self.stop_grace,
            metrics: Vec::new(),
            find: self.find,
            artifacts: Vec::new(),
            resume: None,
            curves: Vec::new(),
            notes: Vec::new(),
            stall_timeout: None,
        })
    }
}

fn read_kind(
    r: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: &str,
    known: &Known,
) -> Option<StepKind> {
    let elsewhere: &[&str] = match kind {
        "service" => &[
            "timeout",
            "runs",
            "warmup",
            "parts",
            "progress",
            "stall_timeout",
        ],
        "task" => &["ready", "runs", "warmup", "parts"],
        _ => &["ready"],
    };
    let why = match kind {
        "service" => "is not for a service: it stays up; `timeout` in `ready` limits its start",
        "task" => "is not for a task, which runs once",
        _ => "is for services only",
    };
    section.refuse(r, elsewhere, why);
    if kind == "service" {
        let node = section.require(r, "ready", "{ http = \"http://127.0.0.1:8000/\" }")?;
        return ready::read(r, &node, known).map(|ready| StepKind::Service(Box::new(ready)));
    }
    let timeout = section.take("timeout").and_then(|node| node.some_time(r));
    if kind == "task" {
        let timeout = timeout.unwrap_or(Duration::from_secs(86_400));
        return Some(StepKind::Task { timeout });
    }
    let runs = section
        .take("runs")
        .and_then(|node| node.whole32(r, 1..=1000));
    let warmup = section
        .take("warmup")
        .and_then(|node| node.whole32(r, 0..=1000));
    Some(StepKind::Measure {
        runs: runs.unwrap_or(3),
        warmup: warmup.unwrap_or(0),
        timeout: timeout.unwrap_or(Duration::from_secs(600)),
        marks: Marks::None,
    })
}

fn files(r: &mut Reader<'_>, section: &mut Section<'_>, known: &Known) -> Vec<RenderedFile> {
    let Some(node) = section.take("file") else {
        return Vec::new();
    };
    let elements = node.list(r, "tables: [{ name = \"…\", text = \"…\" }]");
    let mut files: Vec<RenderedFile> = Vec::new();
    for element in elements.unwrap_or_default() {
        let Some(mut section) = element.section(r, "`file`") else {
            continue;
        };
        let name = section
            .require(r, "name", "\"config.yaml\"")
            .and_then(|node| {
                let name = node.filled_text(r)?;
                good_file_name(r, &node.span, name).then(|| (name.to_owned(), node.span))
            });
        let (text, file) = (section.take("text"), section.take("template"));
        let template = match (text, file) {
            (Some(node), None) => text::template(r, &node, known),
            (None, Some(node)) => template_file(r, &node, known),
            _ => {
                r.error(&section.span, "`file` needs either `text` or `template`");
                None
            }
        };
        section.finish(r);
        let (Some((name, span)), Some(text)) = (name, template) else {
            continue;
        };
        if files.iter().any(|known| known.name == name) {
            r.error(&span, format!("the step has a file `{name}` already"));
        }
        files.push(RenderedFile { name, text });
    }
    files
}

fn good_file_name(r: &mut Reader<'_>, span: &Range<usize>, name: &str) -> bool {
    if name.contains('/') || name == "." || name == ".." || name.len() > 200 {
        let message =
            format!("`{name}` must be a bare name: the file stands in the trial's folder");
        r.error_help(span, message, "in templates that folder is {{ trial_dir }}");
        return false;
    }
    if ["trial.json", "events.jsonl", "result.json"].contains(&name) {
        let message =
            format!("autotune keeps a file `{name}` of its own there: choose another name");
        r.error(span, message);
        return false;
    }
    true
}

fn template_file(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Template> {
    let (_, source) = template_text(r, node)?;
    text::check(r, &node.span, &source, known)
}

/// What is in the file of a template that `node` names, which belongs to the
/// spec.
pub(super) fn template_text(r: &mut Reader<'_>, node: &Node<'_>) -> Option<(PathBuf, String)> {
    let folder = r.folder.clone();
    let path = study::path(r, node, &folder)?;
    let mut text = Vec::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(LARGEST_TEMPLATE + 1).read_to_end(&mut text));
    if let Err(error) = read {
        let message = format!("the template {} cannot be read: {error}", path.display());
        r.error_help(
            &node.span,
            message,
            "a relative path begins at the spec's folder",
        );
        return None;
    }
    if text.len() as u64 > LARGEST_TEMPLATE {
        let message = format!("the template {} is larger than 1 MiB", path.display());
        r.error(&node.span, message);
        return None;
    }
    r.digest.update(&text);
    let Ok(source) = String::from_utf8(text) else {
        let message = format!("the template {} is not UTF-8 text", path.display());
        r.error(&node.span, message);
        return None;
    };
    Some((path, source))
}

/// What a container's client starts is not below it, and is not found by
/// looking for the client's processes.
fn warn_of_container(r: &mut Reader<'_>, step: &Step, span: &Range<usize>) {
    let Some(program) = step.container_client() else {
        return;
    };
    if step.stop.is_none() {
        let message =
            format!("{program} runs the container elsewhere: ending the step does not end it");
        let help = format!(
            "name the container and say how it ends: stop = [\"{program}\", \"stop\", \"NAME\"]"
        );
        r.warn(span, message, help.as_str());
    }
    if let StepKind::Service(ready) = &step.kind
        && ready.owner == PortOwner::Trial
        && !matches!(ready.check, ReadyCheck::Log { .. })
    {
        let message = format!(
            "{program} listens on the port for the container: the trial would never own it"
        );
        r.warn(span, message, "add owner = \"any\" to `ready`");
    }
}
