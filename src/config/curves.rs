//! `[step.progress]`: what is read of a run while it goes on; and `median`, which
//! goes by it.

use std::ops::Range;

use toml::de::DeValue;

use super::metrics::{pattern, pointer};
use super::reader::{Node, Reader, Section};
use super::study::metric_name;
use super::text::{self, Known};
use crate::model::metric::{Direction, Objective};
use crate::model::spec::Median;
use crate::model::step::{CurveRule, CurveSource, Step};

/// More curves of a step are a slip: each is kept in the journal.
const MOST: usize = 16;

/// Reads the table of a step.
pub(super) fn read(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Vec<CurveRule> {
    let Some(section) = node.section(r, "[step.progress]") else {
        return Vec::new();
    };
    let span = section.span.clone();
    let mut curves = Vec::new();
    for node in section.rest() {
        if metric_name(r, &node.key_span, node.key)
            && let Some(source) = source(r, &node, known)
        {
            let metric = node.key.into();
            curves.push(CurveRule { metric, source });
        }
    }
    if curves.len() > MOST {
        let message = format!(
            "[step.progress] has {} metrics; {MOST} at most",
            curves.len()
        );
        r.error(&span, message);
    }
    curves
}

fn source(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<CurveSource> {
    if let DeValue::String(_) = node.value {
        return pattern(r, node).map(CurveSource::Regex);
    }
    let DeValue::Table(_) = node.value else {
        let example = "a pattern or a table such as { jsonl = \"log.jsonl\", pointer = \"/loss\" }";
        node.expected(r, example);
        return None;
    };
    let mut section = node.section(r, &format!("`{}`", node.key))?;
    let (regex, jsonl) = (section.take("regex"), section.take("jsonl"));
    let source = match (regex, jsonl) {
        (Some(regex), None) => {
            let why = "belongs to `jsonl`, not to `regex`";
            section.refuse(r, &["pointer", "step"], why);
            pattern(r, &regex).map(CurveSource::Regex)
        }
        (None, Some(jsonl)) => {
            let file = text::filled(r, &jsonl, known);
            let place = section.require(r, "pointer", "\"/loss\"");
            let place = place.and_then(|node| pointer(r, &node));
            let step = section.take("step");
            let step = step.map(|node| pointer(r, &node));
            match (file, place, step) {
                (Some(file), Some(pointer), None) => Some((file, pointer, None)),
                (Some(file), Some(pointer), Some(Some(step))) => Some((file, pointer, Some(step))),
                _ => None,
            }
            .map(|(file, pointer, step)| CurveSource::Jsonl {
                file,
                pointer,
                step,
            })
        }
        _ => {
            let message = format!("`{}` must have one of `regex` and `jsonl`", node.key);
            r.error(&section.span, message);
            for key in ["pointer", "step"] {
                section.take(key);
            }
            None
        }
    };
    section.finish(r);
    source
}

/// `median` as it stands there, before the objective is known.
pub(super) struct SaidOfMedian {
    after: u32,
    from: u64,
    metric: Option<(Direction, String)>,
    span: Range<usize>,
}

/// Reads `median` of `[search]`.
pub(super) fn median(r: &mut Reader<'_>, section: &mut Section<'_>) -> Option<SaidOfMedian> {
    let node = section.take("median")?;
    let mut section = node.section(r, "`median`")?;
    let after = section.take("after");
    let after = after.and_then(|node| node.whole32(r, 1..=u32::MAX));
    let from = section.take("from");
    let from = from.and_then(|node| node.whole32(r, 0..=u32::MAX));
    let mut named = |r: &mut Reader<'_>, key, direction| {
        let node = section.take(key)?;
        let name = node.text(r)?;
        metric_name(r, &node.span, name).then(|| (direction, name.to_owned()))
    };
    let most = named(r, "maximize", Direction::Maximize);
    let least = named(r, "minimize", Direction::Minimize);
    if most.is_some() && least.is_some() {
        r.error(
            &node.key_span,
            "`median` has either `maximize` or `minimize`",
        );
    }
    section.finish(r);
    Some(SaidOfMedian {
        after: after.unwrap_or(5),
        from: from.unwrap_or(0).into(),
        metric: most.or(least),
        span: node.key_span,
    })
}

impl SaidOfMedian {
    /// The rule in a study with this objective and these steps.
    pub(super) fn rule(
        self,
        r: &mut Reader<'_>,
        objective: Option<&Objective>,
        steps: &[Step],
    ) -> Option<Median> {
        let (direction, metric) = match self.metric {
            Some((direction, metric)) => (direction, metric.into()),
            None => objective.map(|o| (o.direction, o.metric.clone()))?,
        };
        let mut curves = steps.iter().flat_map(|step| &step.curves);
        if !r.failed() && !curves.any(|curve| curve.metric == metric) {
            let message =
                format!("no [step.progress] tells `{metric}`, by which `median` is to go");
            let help = format!(
                "add [step.progress] with {metric} = 'pattern', or name another metric: minimize = \"loss\""
            );
            r.error_help(&self.span, message, help.as_str());
            return None;
        }
        Some(Median {
            after: self.after,
            from: self.from,
            metric,
            direction,
        })
    }
}
