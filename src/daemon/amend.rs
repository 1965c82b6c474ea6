//! Changes of the spec that users want: admitted by a pure function.

use super::steer::{Admit, Change};
use crate::base::clock::Timestamp;
use crate::config::Draft;
use crate::model::amendment::{Amendment, Amendments};
use crate::model::event::{Event, Fact};
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::study::{Phase, Study};
use crate::wire::reply::{Accepted, Amended, Refusal};
use crate::wire::request::Edit;

/// So many planned trials are named in an answer.
const NAMED: usize = 20;

/// Whether the spec can be changed so: by all edits, or by none.
pub fn admit(study: &Study, edits: &[Edit]) -> Admit {
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
        let running = study.running().map(|trial| trial.id.0);
        return Admit::Ignore(Accepted::Amended(Amended {
            running,
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
        waits && !is_of(space, &study.params_of(trial))
    });
    let best = study.incumbent();
    Amended {
        changed: texts(amendments, before.amendments()),
        withdrawn: texts(before.amendments(), amendments),
        running: study.running().map(|trial| trial.id.0),
        outside: outside.take(NAMED).map(|trial| trial.id.0).collect(),
        best_before: before.incumbent().map(|trial| trial.id.0),
        best: best.map(|trial| trial.id.0),
        best_outside: best.is_some_and(|trial| !is_of(space, &study.params_of(trial))),
        paused: matches!(study.phase(), Phase::Paused(_)),
        done: matches!(study.phase(), Phase::Done(_)),
    }
}

/// Those of `these` that `those` lack.
fn texts(these: &Amendments, those: &Amendments) -> Vec<String> {
    let lacks = |one: &&Amendment| !those.iter().any(|other| other == *one);
    let texts = these.iter().filter(lacks);
    texts.map(ToString::to_string).collect()
}

/// Whether params could still be chosen.
fn is_of(space: &Space, params: &Params) -> bool {
    let again = space.choose(|parameter| {
        let own = params.get(&parameter.name);
        own.unwrap_or(&parameter.base).clone()
    });
    again.as_ref() == Ok(params)
}
