//! Whether trials can have the limits of the spec.

use super::finding::{Check, Finding, State};
use crate::exec::limits;
use crate::model::spec::Limits;

/// What of the limits a daemon that is started here could not apply; nothing
/// at all where none is wanted.
pub fn look(wanted: &Limits) -> Vec<Finding> {
    if *wanted == Limits::default() {
        return Vec::new();
    }
    judge(wanted.required, limits::missing(wanted))
}

fn judge(required: bool, missing: Vec<String>) -> Vec<Finding> {
    if missing.is_empty() {
        let text = "every limit of the spec can be applied";
        return vec![Finding::ok(Check::Limits, text)];
    }
    let state = if required {
        State::Error
    } else {
        State::Warning
    };
    let findings = missing.into_iter().map(|text| Finding {
        check: Check::Limits,
        state,
        text,
        remedy: String::new(),
    });
    findings.collect()
}
