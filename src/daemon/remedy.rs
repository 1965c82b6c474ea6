//! The trial of a remedy: the params of one that failed by a known trouble, as
//! the spec's `[remedy]` changes them.

use crate::model::event::Event;
use crate::model::remedy;
use crate::model::study::Study;
use crate::model::trial::Origin;

/// The remedy to try next, if a failed trial has one left.
pub(super) fn plan(study: &Study) -> Option<Event> {
    let (of, params) = remedy::due(study)?;
    Some(Event::TrialPlanned {
        trial: study.next_id(),
        params,
        origin: Origin::Remedy { of },
        choice: None,
    })
}

#[cfg(test)]
#[path = "remedy_tests.rs"]
mod tests;
