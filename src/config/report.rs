//! `[report]`: what the reports of a study are like, and what its owner adds.

use std::path::{Component, Path};
use std::str::FromStr;

use toml::de::DeValue;

use super::reader::{Node, Reader, Section};
use super::study::Asked;
use crate::model::Name;
use crate::model::form::{Dataset, Figure, Format, Languages, Reporting};
use crate::model::value::Finite;

/// The longest title and the longest notes, in bytes.
const LONGEST_TITLE: usize = 200;
const LONGEST_NOTES: usize = 64 << 10;

/// Reads the section, and gives the metrics that it asks for with their places.
pub(super) fn read(r: &mut Reader<'_>, section: Option<Section<'_>>) -> (Reporting, Vec<Asked>) {
    let mut report = Reporting::default();
    let mut asked = Vec::new();
    let Some(mut section) = section else {
        return (report, asked);
    };
    if let Some(node) = section.take("language") {
        let names = ["en", "zh", "both"];
        let chosen = node.choice(r, &names).and_then(|index| names.get(index));
        let chosen = chosen.and_then(|name| Languages::from_str(name).ok());
        report.languages = chosen.unwrap_or_default();
    }
    if let Some(node) = section.take("format") {
        let names = ["md", "html", "both"];
        let chosen = node.choice(r, &names).and_then(|index| names.get(index));
        report.format = chosen.and_then(|name| Format::from_str(name).ok());
    }
    report.title = section
        .take("title")
        .and_then(|node| limited(r, &node, LONGEST_TITLE));
    if let Some(node) = section.take("notes")
        && let Some(text) = limited(r, &node, LONGEST_NOTES)
    {
        report.notes = paragraphs(&text);
    }
    report.dialogues = section.take("dialogues").and_then(|node| pattern(r, &node));
    let datasets = section.take("dataset");
    let datasets = datasets.map(|node| node.sections(r, "report.dataset"));
    for section in datasets.unwrap_or_default() {
        report.datasets.extend(dataset(r, section, &mut asked));
    }
    section.finish(r);
    (report, asked)
}

/// Leaves out what only steps that are switched off would measure or write: a
/// preset says once what its steps have to show.
pub(super) fn leave_out(r: &Reader<'_>, report: &mut Reporting, yields: &[Name]) {
    let dialogues = report.dialogues.as_ref();
    let ending = dialogues.map(|pattern| format!("/{pattern}"));
    if ending.is_some_and(|ending| r.idle.iter().any(|text| text.ends_with(&ending))) {
        report.dialogues = None;
    }
    report.datasets.retain(|set| {
        let mut metrics = set.metrics.iter();
        !metrics.any(|(_, metric)| is_idle(r, metric, yields))
    });
}

/// Whether a metric is only yielded by a step that is switched off.
pub(super) fn is_idle(r: &Reader<'_>, metric: &Name, yields: &[Name]) -> bool {
    !yields.contains(metric) && r.idle.iter().any(|known| **known == **metric)
}

fn limited(r: &mut Reader<'_>, node: &Node<'_>, most: usize) -> Option<String> {
    let text = node.filled_text(r)?.trim();
    if text.len() > most {
        let message = format!("`{}` may have {most} bytes at most", node.key);
        r.error(&node.span, message);
        return None;
    }
    Some(text.to_owned())
}

/// Paragraphs are separated by an empty line.
fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let parts = lines.split(|line| line.is_empty());
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(|part| part.join("\n")).collect()
}

/// A pattern of files within folders that are only known later.
fn pattern(r: &mut Reader<'_>, node: &Node<'_>) -> Option<String> {
    let text = node.filled_text(r)?;
    let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(text).components().all(is_inside) {
        let message = format!("`{text}` must be a name without `/` at its start and without `..`");
        let help = "it is looked for among the best trial's artifacts, then in the workdir";
        r.error_help(&node.span, message, help);
        return None;
    }
    if let Err(error) = glob::Pattern::new(text) {
        let message = format!("`{text}` is not a pattern of files: {}", error.msg);
        r.error(&node.span, message);
        return None;
    }
    Some(text.to_owned())
}

fn dataset(
    r: &mut Reader<'_>,
    mut section: Section<'_>,
    asked: &mut Vec<Asked>,
) -> Option<Dataset> {
    let name = section.require(r, "name", "\"C-Eval\"");
    let name = name.and_then(|node| limited(r, &node, LONGEST_TITLE));
    let samples = section.take("samples").and_then(|node| match node.value {
        DeValue::String(_) => figure(r, &node, asked),
        _ => {
            let count = node.whole(r, 1..=u64::from(u32::MAX))?;
            Finite::new(count as f64).map(Figure::Known)
        }
    });
    let example = "{ accuracy = \"ceval_acc\" }";
    let measured = section.require(r, "metrics", example);
    let measured = measured.map(|node| headings(r, &node));
    let mut metrics: Vec<(String, Name)> = Vec::new();
    for node in measured.unwrap_or_default() {
        if let Some(Figure::Metric(metric)) = metric(r, &node, asked) {
            metrics.push((node.key.to_owned(), metric));
        }
    }
    let mut base = Vec::new();
    let known = section.take("base").map(|node| headings(r, &node));
    for node in known.unwrap_or_default() {
        if !r.failed() && !metrics.iter().any(|(heading, _)| heading == node.key) {
            let message = format!("`metrics` of this data set has no `{}`", node.key);
            let help = "`base` has the base model's figures by the same names";
            r.error_help(&node.key_span, message, help);
        }
        let figure = figure(r, &node, asked);
        base.extend(figure.map(|figure| (node.key.to_owned(), figure)));
    }
    let notes = section.take("notes");
    let notes = notes.and_then(|node| limited(r, &node, LONGEST_NOTES));
    section.finish(r);
    Some(Dataset {
        name: name?,
        samples,
        metrics,
        base,
        notes,
    })
}

/// The headings of a table with what stands under them.
fn headings<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Vec<Node<'a>> {
    let label = format!("`{}`", node.key);
    let nodes = node.section(r, &label).map(Section::rest);
    nodes.unwrap_or_default()
}

/// A number, or the name of a metric.
fn figure(r: &mut Reader<'_>, node: &Node<'_>, asked: &mut Vec<Asked>) -> Option<Figure> {
    match node.value {
        DeValue::Integer(_) | DeValue::Float(_) => node.number(r).map(Figure::Known),
        _ => metric(r, node, asked),
    }
}

fn metric(r: &mut Reader<'_>, node: &Node<'_>, asked: &mut Vec<Asked>) -> Option<Figure> {
    let name: Name = node.filled_text(r)?.into();
    asked.push((name.clone(), node.span.clone()));
    Some(Figure::Metric(name))
}
