//! Changes of the spec that users want: admitted by a pure function.

use super::steer::{Admit, Change, running_trials};
use crate::base::clock::Timestamp;
use crate::config::Draft;
use crate::model::amendment::Amendments;
use crate::model::event::{Event, Fact};
use crate::model::study::{Phase, Study};
use crate::wire::reply::{Accepted, Amended, Refusal};
use crate::wire::request::Edit;

/// So many changes may be made at once: the dispatcher is not to be held up.
const EDITS: usize = 100;

/// So many planned trials are named in an answer.
const NAMED: usize = 20;

/// Whether the spec can be changed so: by all edits, or by none.
pub fn admit(study: &Study, edits: &[Edit]) -> Admit {
    if edits.len() > EDITS {
        let errors = vec![format!("more than {EDITS} changes at once")];
        return Admit::Deny(Refusal::BadChange(errors));
    }
    let mut draft = Draft::new(study);
    let errors: Vec<String> = edits
        .iter()
        .filter_map(|edit| make(&mut draft, edit).err())
        .collect();
    if !errors.is_empty() {
        return Admit::Deny(Refusal::BadChange(errors));
    }
    let amendments = draft.finish();
    if amendments == *study.amendments() {
        let (running, beside) = running_trials(study);
        return Admit::Ignore(Accepted::Amended(Amended {
            running,
            beside,
            ..Amended::default()
        }));
    }
    let answer = answer(study, &amendments);
    Admit::Accept(Accepted::Amended(answer), Change::Amend(amendments))
}

fn make(draft: &mut Draft<'_>, edit: &Edit) -> Result<(), String> {
    match edit {
        Edit::AddValues { parameter, values } => draft.add_values(parameter, values),
        Edit::RemoveValues { parameter, values } => draft.remove_values(parameter, values),
        Edit::Domain { parameter, domain } => draft.set_domain(parameter, domain),
        Edit::AddParameter {
            parameter,
            domain,
            base,
            when,
        } => draft.add_parameter(parameter, domain, base, when.as_deref()),
        Edit::Order(names) => draft.set_order(names),
        Edit::Set { name, value } => draft.set(name, value),
        Edit::ResetSpace(names) => draft.reset_space(names),
        Edit::ResetSettings(names) => draft.reset_settings(names),
    }
}

/// What follows from these amendments.
fn answer(before: &Study, amendments: &Amendments) -> Amended {
    let mut study = before.clone();
    let amended = Fact {
        at: Timestamp::from_millis(0),
        event: Event::SpecAmended {
            amendments: amendments.clone(),
        },
    };
    // The fact is of a kind that always fits.
    let _ = study.apply(&amended);
    let space = &study.spec().space;
    let outside = study.trials().iter().filter(|trial| {
        let waits = !trial.is_settled() && trial.running().is_none();
        waits && !space.allows(&study.params_of(trial))
    });
    let best = study.incumbent();
    let (running, beside) = running_trials(&study);
    Amended {
        changed: amendments
            .iter()
            .filter(|new| !before.amendments().iter().any(|old| old == *new))
            .map(ToString::to_string)
            .collect(),
        withdrawn: before
            .amendments()
            .iter()
            .filter(|old| {
                !amendments
                    .iter()
                    .any(|new| new == *old || old.is_replaced_by(new))
            })
            .map(ToString::to_string)
            .collect(),
        running,
        beside,
        outside: outside.take(NAMED).map(|trial| trial.id.0).collect(),
        best_before: before.incumbent().map(|trial| trial.id.0),
        best: best.map(|trial| trial.id.0),
        best_outside: best.is_some_and(|trial| !space.allows(&study.params_of(trial))),
        paused: matches!(study.phase(), Phase::Paused(_)),
        done: matches!(study.phase(), Phase::Done(_)),
    }
}
