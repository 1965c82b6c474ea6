//! What waits for approval, in words.

use super::overview::{self, Change};
use super::phrase::{change, clean, cut};
use crate::model::approval::{Ends, Proposal};
use crate::model::event::Event;
use crate::model::study::Study;

/// How a proposal differs from the trial that it is a change of; from the
/// baseline where there is none.
pub fn changes(study: &Study, proposal: &Proposal) -> Vec<Change> {
    let space = &study.spec().space;
    let against = proposal.against.and_then(|trial| study.trial(trial));
    let against = against.map(|trial| study.params_of(trial));
    let Some(against) = against.or_else(|| space.baseline().ok()) else {
        return Vec::new();
    };
    overview::changes(space, &against, &space.completed(&proposal.params))
}

/// `SEQS: 512 → 1536, else as in trial 3`.
pub fn in_words(study: &Study, proposal: &Proposal) -> String {
    let changes = changes(study, proposal);
    let changes: Vec<String> = changes.iter().map(change).collect();
    let changes = cut(&changes.join(", "), 400);
    match proposal.against {
        Some(trial) => format!("{changes}, else as in trial {trial}"),
        None => changes,
    }
}

/// What became of a proposal; `None` of any other event.
pub fn answered(event: &Event) -> Option<String> {
    Some(match event {
        Event::ApprovalGiven { by, instead } => {
            let changed = instead.as_ref().map_or("", |_| ", with another value");
            format!("approved by {}{changed}", clean(&by.to_string()))
        }
        Event::ApprovalRefused { by, ends } => {
            let by = clean(&by.to_string());
            match ends {
                Ends::Proposal => format!("rejected by {by}"),
                Ends::Parameter(name) => format!("{} is ended by {by}", clean(name)),
                Ends::Study => format!("the study is ended by {by}"),
            }
        }
        Event::ApprovalWithdrawn { reason } => {
            format!("the proposal is withdrawn: {}", clean(reason))
        }
        Event::ParameterReopened { by, parameter } => {
            let by = clean(&by.to_string());
            format!("{} is taken up again by {by}", clean(parameter))
        }
        _ => return None,
    })
}
