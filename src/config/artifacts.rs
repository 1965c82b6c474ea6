//! `artifacts` and `resume` of a step: what it makes that is worth keeping, and
//! how it goes on from a checkpoint.

use std::path::{Component, Path};

use regex::Regex;
use toml::de::DeValue;

use super::names;
use super::reader::{Node, Reader, Section};
use super::text::{self, Known};
use crate::model::artifacts::{Artifact, CHECKPOINT, Resume};
use crate::model::step::Find;
use crate::model::template::Template;

/// Takes both keys of a step of this kind; without a kind it is not known
/// whether they belong to it.
pub(super) fn take(
    r: &mut Reader<'_>,
    section: &mut Section<'_>,
    kind: Option<&str>,
    folder: &Path,
    known: &Known,
) -> (Vec<Artifact>, Option<Box<Resume>>) {
    match kind {
        Some("service") => section.refuse(r, &["artifacts"], "is for steps that come to an end"),
        Some(_) => {}
        None => {
            section.take("artifacts");
        }
    }
    match kind {
        Some("task") => {}
        Some(_) => section.refuse(r, &["resume"], "is for tasks only"),
        None => {
            section.take("resume");
        }
    }
    let artifacts = section.take("artifacts");
    let artifacts = artifacts.map(|node| artifacts_of(r, &node, folder, known));
    let resume = section.take("resume");
    let resume = resume.and_then(|node| resume_of(r, &node, folder, known));
    (artifacts.unwrap_or_default(), resume.map(Box::new))
}

fn artifacts_of(
    r: &mut Reader<'_>,
    node: &Node<'_>,
    folder: &Path,
    known: &Known,
) -> Vec<Artifact> {
    let elements = node
        .list(r, "patterns: [\"out/best/**\"]")
        .unwrap_or_default();
    let mut artifacts = Vec::new();
    for element in elements {
        let DeValue::Table(_) = element.value else {
            artifacts.extend(artifact(r, &element, folder, known));
            continue;
        };
        let Some(mut section) = element.section(r, "`artifacts`") else {
            continue;
        };
        let made = section.require(r, "glob", "\"models/*\"");
        let made = made.and_then(|node| artifact(r, &node, folder, known));
        let mut truth = |r: &mut Reader<'_>, key| {
            let node = section.take(key);
            node.and_then(|node| node.truth(r))
        };
        let (newest, required) = (truth(r, "newest"), truth(r, "required"));
        section.finish(r);
        artifacts.extend(made.map(|made| Artifact {
            newest: newest.unwrap_or_default(),
            required,
            ..made
        }));
    }
    artifacts
}

fn artifact(r: &mut Reader<'_>, node: &Node<'_>, folder: &Path, known: &Known) -> Option<Artifact> {
    let pattern = pattern(r, node, folder, known)?;
    let first = pattern.source().split('/').next().unwrap_or_default();
    if matches!(first, "*" | "**") {
        let message = format!(
            "`{}` would take all that changes in the step's folder",
            pattern.source()
        );
        let help = "name the folder into which the step writes: \"out/**\"";
        r.error_help(&node.span, message, help);
        return None;
    }
    Some(Artifact {
        pattern,
        newest: false,
        required: None,
    })
}

/// Takes `find` of a step, and what its templates know with it.
pub(super) fn take_find(
    r: &mut Reader<'_>,
    section: &mut Section<'_>,
    folder: &Path,
    known: &Known,
) -> (Vec<Find>, Known) {
    let (mut found, mut with) = (Vec::new(), known.clone());
    let node = section.take("find");
    let given = node.and_then(|node| node.section(r, "`find`"));
    for node in given.map(Section::rest).unwrap_or_default() {
        if !names::variable(r, &node.key_span, node.key) {
            continue;
        }
        if known.knows(node.key) {
            let message = format!("templates know `{}` already", node.key);
            r.error_help(&node.key_span, message, "find it by another name");
        }
        let (glob, nth) = match node.value {
            DeValue::Table(_) => {
                let Some(mut section) = node.section(r, "`find`") else {
                    continue;
                };
                let glob = section.require(r, "glob", "\"out/checkpoint-*\"");
                let nth = section.take("nth");
                let nth = nth.and_then(|node| node.whole32(r, 1..=1000));
                section.finish(r);
                (glob, nth)
            }
            _ => (Some(node.clone()), None),
        };
        let pattern = glob.and_then(|node| pattern(r, &node, folder, known));
        with = with.with(node.key);
        found.extend(pattern.map(|pattern| Find {
            name: node.key.into(),
            pattern,
            nth: nth.unwrap_or(1),
        }));
    }
    (found, with)
}

/// A pattern of files within the step's folder or one of the study's.
fn pattern(r: &mut Reader<'_>, node: &Node<'_>, folder: &Path, known: &Known) -> Option<Template> {
    let template = text::filled(r, node, known)?;
    let source = template.source();
    let path = Path::new(source);
    if path.components().any(|part| part == Component::ParentDir) {
        let message = format!("`{source}` leads out of its folder by `..`");
        let help = "name it from {{ trial_dir }}, {{ workdir }} or {{ output_dir }}";
        r.error_help(&node.span, message, help);
        return None;
    }
    if path.is_absolute() && !path.starts_with(folder) {
        let message = format!("`{source}` is outside of {}", folder.display());
        let help = "begin it with {{ trial_dir }} or {{ output_dir }}, or set `workdir`";
        r.error_help(&node.span, message, help);
        return None;
    }
    let filled = Regex::new(r"\{\{.*?\}\}|\{%.*?%\}").map(|parts| parts.replace_all(source, "x"));
    if let Ok(filled) = filled
        && let Err(error) = glob::Pattern::new(&filled)
    {
        let message = format!("`{source}` is not a pattern of files: {}", error.msg);
        let help = "* is any letters of a name, ** any folders, [0-9] one of these letters";
        r.error_help(&node.span, message, help);
        return None;
    }
    Some(template)
}

fn resume_of(r: &mut Reader<'_>, node: &Node<'_>, folder: &Path, known: &Known) -> Option<Resume> {
    let mut section = node.section(r, "`resume`")?;
    let checkpoint = section.require(r, "checkpoint", "\"{{ trial_dir }}/out/checkpoint-*\"");
    let checkpoint = checkpoint.and_then(|node| pattern(r, &node, folder, known));
    let complete = section.take("complete").and_then(|node| {
        let name = node.filled_text(r)?;
        let is_inside = |part| matches!(part, Component::Normal(_));
        if Path::new(name).components().all(is_inside) {
            return Some(name.to_owned());
        }
        let message = format!("`{name}` must be a file within the checkpoint");
        r.error(&node.span, message);
        None
    });
    let with = known.with(CHECKPOINT);
    let arguments = section.take("arguments");
    let has_arguments = arguments.is_some();
    let arguments = arguments.and_then(|node| {
        let words = node.list(r, "texts")?.into_iter();
        let words = words.map(|word| text::template(r, &word, &with));
        words
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<Vec<_>>>()
    });
    let env = section.take("env");
    let has_env = env.is_some();
    let env = env.and_then(|node| node.section(r, "`env`"));
    let env = text::variables(r, env, &with, false);
    if !has_arguments && !has_env {
        let message = "`resume` does not say how the checkpoint is given to the command";
        let help = "arguments = [\"--resume_from_checkpoint\", \"{{ checkpoint }}\"]";
        r.error_help(&node.span, message, help);
    }
    let retry = section.take("retry").and_then(|node| node.truth(r));
    section.finish(r);
    Some(Resume {
        checkpoint: checkpoint?,
        complete,
        arguments: arguments.unwrap_or_default(),
        env,
        retry: retry.unwrap_or_default(),
    })
}
