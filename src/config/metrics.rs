//! `[step.metrics]`: where the numbers are read.

use toml::de::DeValue;

use super::reader::{Node, Reader};
use super::study::metric_name;
use super::text::{self, Known};
use crate::model::Name;
use crate::model::step::{MetricRule, MetricSource, Pattern, Which};

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
    let belongs = [("regex", "match"), ("json", "file"), ("jsonl", "pointer")];
    for (owner, key) in belongs {
        if !kind.is_empty() && kind != owner {
            section.refuse(r, &[key], &format!("belongs to `{owner}`, not to `{kind}`"));
        }
    }
    let source = match (kind, given.first()) {
        ("regex", Some(node)) => {
            let which = section.take("match");
            let which = which.and_then(|node| node.choice(r, &["last", "first"]));
            pattern(r, node).map(|pattern| MetricSource::Regex {
                pattern,
                which: if which == Some(1) {
                    Which::First
                } else {
                    Which::Last
                },
            })
        }
        ("json", Some(node)) => {
            let file = section.take("file");
            let file = file.map(|node| text::filled(r, &node, known));
            match (pointer(r, node), file) {
                (Some(pointer), None) => Some(MetricSource::Json {
                    file: None,
                    pointer,
                }),
                (Some(pointer), Some(Some(file))) => Some(MetricSource::Json {
                    file: Some(file),
                    pointer,
                }),
                _ => None,
            }
        }
        ("jsonl", Some(node)) => {
            let file = text::filled(r, node, known);
            let place = section.require(r, "pointer", "\"/eval_loss\"");
            let place = place.and_then(|node| pointer(r, &node));
            file.zip(place)
                .map(|(file, pointer)| MetricSource::Jsonl { file, pointer })
        }
        _ => None,
    };
    section.finish(r);
    source.map(|source| (source, optional == Some(true)))
}

/// A regular expression whose first group is a number.
pub(super) fn pattern(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Pattern> {
    let pattern = node.pattern(r)?;
    if !pattern.has_group() {
        let message = "the pattern does not say which part is the number";
        let help = "put the number in parentheses: 'Accuracy: (\\S+)'";
        r.error_help(&node.span, message, help);
        return None;
    }
    Some(pattern)
}

/// An RFC 6901 pointer.
fn pointer(r: &mut Reader<'_>, node: &Node<'_>) -> Option<String> {
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
