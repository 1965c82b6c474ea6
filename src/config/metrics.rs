//! `[step.metrics]`: where the numbers are read.

use std::ops::Range;

use toml::de::DeValue;

use super::reader::{Node, Reader, Section};
use super::study::metric_name;
use super::text::{self, Known};
use crate::model::Name;
use crate::model::step::{MetricRule, MetricSource, Pattern, Which};
use crate::model::template::Template;

/// Reads the metrics of the step `name`; `yields` has those of the steps above
/// with their steps' names.
pub(super) fn read(
    r: &mut Reader<'_>,
    node: &Node<'_>,
    name: &str,
    known: &Known,
    yields: &mut Vec<(Name, String)>,
) -> Vec<MetricRule> {
    let Some(section) = node.section(r, "[step.metrics]") else {
        return Vec::new();
    };
    let mut rules = Vec::new();
    for node in section.rest() {
        if !metric_name(r, &node.key_span, node.key) {
            continue;
        }
        let metric = Name::from(node.key);
        if let Some((_, step)) = yields.iter().find(|(known, _)| *known == metric) {
            let message = format!("the step `{step}` yields `{metric}` already");
            r.error_help(&node.key_span, message, "give one of the two another name");
        }
        yields.push((metric.clone(), name.to_owned()));
        if let Some((source, optional)) = source(r, &node, known) {
            rules.push(MetricRule {
                metric,
                source,
                optional,
            });
        }
    }
    rules
}

/// Where a metric is read, and whether a run may do without it.
fn source(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<(MetricSource, bool)> {
    if let DeValue::String(_) = node.value {
        let pattern = pattern(r, node)?;
        let which = Which::Last;
        return Some((MetricSource::Regex { pattern, which }, false));
    }
    let DeValue::Table(_) = node.value else {
        node.expected(r, "a pattern or a table such as { json = \"/accuracy\" }");
        return None;
    };
    let mut section = node.section(r, &format!("`{}`", node.key))?;
    let optional = section.take("optional").and_then(|node| node.truth(r));
    let choice = Choice::take(r, &mut section);
    let kinds = [
        section.take("regex"),
        section.take("json"),
        section.take("jsonl"),
    ];
    let given: Vec<&Node<'_>> = kinds.iter().flatten().collect();
    let kind = given.first().map_or("", |node| node.key);
    let all = "one of `regex`, `json` and `jsonl`";
    match given[..] {
        [_] => {}
        [] => r.error(&section.span, format!("`{}` must have {all}", node.key)),
        [_, second, ..] => {
            r.error(
                &second.key_span,
                format!("`{}` can have only {all}", node.key),
            );
        }
    }
    let belongs = [("json", "file"), ("json", "records"), ("jsonl", "pointer")];
    for (owner, key) in belongs {
        if !kind.is_empty() && kind != owner {
            section.refuse(r, &[key], &format!("belongs to `{owner}`, not to `{kind}`"));
        }
    }
    let source = match (kind, given.first()) {
        ("regex", Some(node)) => {
            let pattern = pattern(r, node);
            let knows = pattern.as_ref().and_then(Pattern::groups);
            let help = "name the group that is the training step: 'step (?<step>\\d+) loss (\\S+)'";
            choice.wants_step(r, knows.is_none_or(|groups| groups.step.is_some()), help);
            choice.refuse_step(r, "a pattern has a group `step` for that");
            pattern.map(|pattern| MetricSource::Regex {
                pattern,
                which: choice.which,
            })
        }
        ("json", Some(node)) => {
            let file = section.take("file");
            let list = section.take("records");
            let whole = list.is_none();
            if whole {
                choice.refuse(r, "is for many records: say with `records` where they are");
            } else {
                choice.wants_step(r, choice.step.is_some(), STEP_HELP);
            }
            if let (None, Some(list)) = (&file, &list) {
                let message = "`records` needs a `file`";
                r.error_help(
                    &list.key_span,
                    message,
                    "file = \"output/trainer_state.json\"",
                );
            }
            let file = file.map(|node| text::filled(r, &node, known));
            let list = list.map(|node| pointer(r, &node));
            match (pointer(r, node), file, list) {
                (Some(pointer), None, None) => Some(MetricSource::Json {
                    file: None,
                    pointer,
                }),
                (Some(pointer), Some(Some(file)), None) => Some(MetricSource::Json {
                    file: Some(file),
                    pointer,
                }),
                (Some(pointer), Some(Some(file)), Some(Some(list))) => {
                    Some(choice.records(file, Some(list), pointer))
                }
                _ => None,
            }
        }
        ("jsonl", Some(node)) => {
            choice.wants_step(r, choice.step.is_some(), STEP_HELP);
            let file = text::filled(r, node, known);
            let place = section.require(r, "pointer", "\"/eval_loss\"");
            let place = place.and_then(|node| pointer(r, &node));
            file.zip(place)
                .map(|(file, pointer)| choice.records(file, None, pointer))
        }
        _ => None,
    };
    section.finish(r);
    source.map(|source| (source, optional == Some(true)))
}

const STEP_HELP: &str = "say where a record has its training step: step = \"/global_step\"";

/// Which of several matches or records counts.
struct Choice {
    which: Which,
    step: Option<String>,
    /// Where it says so, and by which key.
    said: Option<(&'static str, Range<usize>)>,
    at: Option<Range<usize>>,
    step_span: Option<Range<usize>>,
}

impl Choice {
    /// Takes its keys.
    fn take(r: &mut Reader<'_>, section: &mut Section<'_>) -> Self {
        const NAMES: [&str; 4] = ["last", "first", "min", "max"];
        let named = section.take("match");
        let at = section.take("at");
        let step = section.take("step");
        if let (Some(named), Some(_)) = (&named, &at) {
            let message = "one of `match` and `at` says which counts, not both";
            r.error(&named.key_span, message);
        }
        let place = |key, node: &Node<'_>| (key, node.key_span.clone());
        let said = named.as_ref().map(|node| place("match", node));
        let said = said.or(at.as_ref().map(|node| place("at", node)));
        let named = named.and_then(|node| node.choice(r, &NAMES));
        let which = match named.unwrap_or_default() {
            1 => Which::First,
            2 => Which::Least,
            3 => Which::Most,
            _ => Which::Last,
        };
        let number = at.as_ref().and_then(|node| node.number(r));
        Self {
            which: number.map_or(which, Which::At),
            step_span: step.as_ref().map(|node| node.key_span.clone()),
            step: step.and_then(|node| pointer(r, &node)),
            said,
            at: at.map(|node| node.key_span),
        }
    }

    /// Complains where a training step is wanted and nothing tells it.
    fn wants_step(&self, r: &mut Reader<'_>, is_told: bool, help: &'static str) {
        if let (Some(span), None, false) = (&self.at, &self.step_span, is_told) {
            r.error_help(span, "`at` needs to know the training steps", help);
        }
    }

    fn refuse_step(&self, r: &mut Reader<'_>, why: &str) {
        if let Some(span) = &self.step_span {
            r.error(span, format!("`step` is for records: {why}"));
        }
    }

    /// Complains where there is nothing to choose from.
    fn refuse(&self, r: &mut Reader<'_>, why: &str) {
        let step = self.step_span.as_ref().map(|span| ("step", span.clone()));
        for (key, span) in self.said.iter().chain(step.iter()) {
            r.error(span, format!("`{key}` {why}"));
        }
    }

    fn records(self, file: Template, list: Option<String>, pointer: String) -> MetricSource {
        MetricSource::Records {
            file,
            list,
            pointer,
            step: self.step,
            which: self.which,
        }
    }
}

/// A regular expression whose first group is a number.
pub(super) fn pattern(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Pattern> {
    let pattern = node.pattern(r)?;
    if pattern.groups().is_none() {
        let message = "the pattern does not say which part is the number";
        let help = "put the number in parentheses: 'Accuracy: (\\S+)'";
        r.error_help(&node.span, message, help);
        return None;
    }
    Some(pattern)
}

/// An RFC 6901 pointer.
pub(super) fn pointer(r: &mut Reader<'_>, node: &Node<'_>) -> Option<String> {
    let text = node.filled_text(r)?;
    let escapes = text.match_indices('~');
    let mut escapes = escapes.map(|(at, _)| text[at + 1..].chars().next());
    if !text.starts_with('/') {
        let message = format!("`{text}` is not a JSON pointer: it must begin with `/`");
        let help = format!("write \"/{}\"", text.replace('.', "/"));
        r.error_help(&node.span, message, help.as_str());
        return None;
    }
    if !escapes.all(|next| matches!(next, Some('0' | '1'))) {
        let message = format!("`{text}` is not a JSON pointer: `~` must be written `~0`");
        r.error_help(&node.span, message, "and a `/` within a name `~1`");
        return None;
    }
    Some(text.to_owned())
}
