//! `parts` and `progress` of a measure step: what is known of a run before it
//! has ended.

use std::ops::Range;

use toml::de::DeValue;

use super::reader::{Node, Reader, Section};
use super::{metrics, names};
use crate::model::step::{Marks, MetricRule, MetricSource, Pattern, Step};
use crate::model::template::Template;

/// What a step says of marks, before its metrics are known.
pub(super) enum Said {
    /// Nothing, or nothing that can be used.
    Nothing,
    /// In how many parts a run is made.
    Parts(u32, Range<usize>),
    /// What a run tells on its way.
    Progress(Pattern, Range<usize>),
}

/// Takes both keys of a measure step.
pub(super) fn take(r: &mut Reader<'_>, section: &mut Section<'_>) -> Said {
    let parts = section.take("parts");
    // A table tells of curves.
    let is_table = |node: &Node<'_>| matches!(node.value, DeValue::Table(_));
    let progress = match section.get("progress") {
        Some(node) if !is_table(node) => section.take("progress"),
        Some(node) if parts.is_some() => {
            let span = node.key_span.clone();
            let help = "leave one out: a run in parts is looked at after each of them";
            r.error_help(&span, "a step has either `parts` or `progress`", help);
            None
        }
        _ => None,
    };
    if let (Some(_), Some(progress)) = (&parts, &progress) {
        let help = "leave one out: a run in parts is looked at after each of them";
        let message = "a step has either `parts` or `progress`";
        r.error_help(&progress.key_span, message, help);
    }
    // With a wrong number it is in parts all the same.
    let parts = parts.map(|node| (node.whole32(r, 2..=100).unwrap_or(2), node.span));
    let pattern = |node: Node<'_>| Some((metrics::pattern(r, &node)?, node.span));
    match (parts, progress.and_then(pattern)) {
        (Some((parts, span)), _) => Said::Parts(parts, span),
        (None, Some((pattern, span))) => Said::Progress(pattern, span),
        (None, None) => Said::Nothing,
    }
}

impl Said {
    /// The marks of a step that yields these metrics.
    pub(super) fn marks(
        self,
        r: &mut Reader<'_>,
        metrics: &[MetricRule],
        objective: Option<&str>,
    ) -> Marks {
        let (pattern, span) = match self {
            Self::Nothing => return Marks::None,
            Self::Parts(parts, _) => return Marks::Parts(parts),
            Self::Progress(pattern, span) => (pattern, span),
        };
        let named = pattern.group_name().map(str::to_owned);
        let wanted = named.as_deref().or(objective);
        let mut rules = metrics.iter().map(|rule| &rule.metric);
        let Some(metric) = rules.find(|metric| Some(&***metric) == wanted) else {
            // Without an objective or metrics there is another complaint.
            if let (Some(wanted), Some(one)) = (wanted, metrics.first()) {
                let message =
                    format!("the step yields no `{wanted}`, of which `progress` is to tell");
                let example = format!("(?<{}>\\S+)", one.metric);
                let help = format!("name the group by one of the step's metrics: {example}");
                r.error_help(&span, message, help.as_str());
            }
            return Marks::None;
        };
        Marks::Progress {
            metric: metric.clone(),
            pattern,
        }
    }
}

/// Complains where a step does not do with its parts what it should; `command`
/// is where its command stands, `all` where the step does.
pub(super) fn check(
    r: &mut Reader<'_>,
    step: &Step,
    parts: Option<&Range<usize>>,
    (command, all): (&Range<usize>, &Range<usize>),
) {
    let asks = |template: &Template, name: &str| template.names().iter().any(|n| **n == *name);
    let files = step.metrics.iter().filter_map(|rule| match &rule.source {
        MetricSource::Json { file, .. } => file.as_ref(),
        MetricSource::Records { file, .. } => Some(file),
        MetricSource::Regex { .. } => None,
    });
    let env = step.env.iter().map(|(_, template)| template);
    let each: Vec<&Template> = step
        .command
        .iter()
        .chain(env.clone())
        .chain(files)
        .collect();
    let is_told = step
        .command
        .iter()
        .chain(env)
        .any(|template| asks(template, "part"));
    match parts {
        Some(span) if !is_told => {
            let message = "the command does not ask which part it is to run";
            let help = "add \"--part={{ part }}/{{ parts }}\", or what the program takes";
            r.error_help(span, message, help);
        }
        Some(_) => {
            let once = step
                .files
                .iter()
                .map(|file| &file.text)
                .chain(step.stop.iter().flatten());
            let mut once = once.filter(|template| asks(template, "part"));
            if once.next().is_some() {
                let message = "`part` has no value in `file` and `stop`, which are for all parts";
                r.error_help(all, message, "ask for it in `command`, `env` or `metrics`");
            }
        }
        None => {
            let known = names::PARTS.iter();
            for name in known.filter(|name| each.iter().any(|template| asks(template, name))) {
                let word = r.word(command, name);
                let message = format!("`{name}` has no value: the step is not run in parts");
                r.error_help(&word, message, "add parts = 4 to the step");
            }
        }
    }
}
