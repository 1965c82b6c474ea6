//! `[retention]`: how long the output of trials is kept.

use super::reader::{Reader, Section};
use crate::model::spec::Retention;

pub(super) fn read(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Retention {
    let mut retention = Retention::default();
    let Some(mut section) = section else {
        return retention;
    };
    if let Some(node) = section.take("trials") {
        let trials = node.whole32(r, 1..=u32::MAX);
        retention.trials = trials.unwrap_or(retention.trials);
    }
    if let Some(node) = section.take("failures") {
        let failures = node.whole32(r, 0..=u32::MAX);
        retention.failures = failures.unwrap_or(retention.failures);
    }
    retention.age = section.take("age").and_then(|node| node.some_time(r));
    if let Some(node) = section.take("size") {
        retention.size = node.size(r);
        if retention.size.is_some_and(|size| size < 1 << 20) {
            r.error(&node.span, "`size` must be 1 MiB at least");
        }
    }
    if let Some(node) = section.take("artifacts") {
        retention.artifacts = node.whole32(r, 1..=u32::MAX);
    }
    section.finish(r);
    retention
}
