//! In which slot a sitting begins, and whether there is room for it: pure.

use super::beside;
use super::decide::{Context, Decision, Effect, State};
use crate::model::Name;
use crate::model::event::{Event, Fact};
use crate::model::outcome::Outcome;
use crate::model::reason;
use crate::model::study::{HOST_FAULTS_MAX, Study};
use crate::model::trial::{Purpose, SittingEnd, TrialId};

/// The slots in which a trial can be started, in the order of the spec: none
/// runs or rests there, and the host's faults have not put them out of use.
pub(super) fn open_slots(state: &State, study: &Study) -> Vec<Option<Name>> {
    if study.runs_alone() {
        return Vec::new();
    }
    let mut slots = study.free_slots();
    slots.retain(|slot| !state.resting.contains(slot) && !study.is_out_of_use(slot));
    slots
}

/// Whether there is a slot for a trial that the sampler proposes, and none waits
/// that comes first.
pub(super) fn has_room_for_new(state: &State, study: &Study) -> bool {
    study.waiting().is_none() && !open_slots(state, study).is_empty()
}

/// Starts the next sitting of a trial, where there is room for it now, and it
/// does not run. The pre-flight comes before anything is measured.
pub(super) fn sit(
    state: &State,
    study: &Study,
    trial: TrialId,
    purpose: Purpose,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let Some(trial) = study.trial(trial) else {
        return;
    };
    let purpose = match purpose {
        Purpose::Measure => beside::before_measuring(study),
        other => other,
    };
    let must_wait = trial.running().is_some()
        || study.must_be_alone(trial, purpose) && study.running().is_some();
    let slot = open_slots(state, study).into_iter().next();
    let (Some(slot), false) = (slot, must_wait) else {
        return;
    };
    let last = trial.sittings.last();
    let (trial, sitting) = (trial.id, last.map_or(1, |sitting| sitting.number + 1));
    let event = Event::SittingStarted {
        trial,
        sitting,
        purpose,
        token: context.token.to_owned(),
        boot_id: context.boot_id.into(),
        slot,
    };
    decision.facts.push(Fact {
        at: context.now,
        event,
    });
    decision
        .effects
        .push(Effect::StartSitting { trial, sitting });
    if study.spec().slots.len() > 1 {
        decision.effects.push(Effect::Look);
    }
}

/// Whether the host's faults have left no slot to start a trial in.
pub(super) fn all_out_of_use(study: &Study) -> bool {
    let places = study.spec().places();
    places.iter().all(|slot| study.is_out_of_use(slot))
}

/// Why the study is paused once no slot is of use.
pub(super) fn pause_reason(study: &Study) -> String {
    let slot = study.spec().places().into_iter().next();
    faults_in(study, &slot.flatten())
}

/// That no trial is started in a slot any more, until when, and why.
pub fn why_out_of_use(study: &Study, slot: &Option<Name>) -> String {
    let why = faults_in(study, slot);
    format!("out of use until autotunectl resume: {why}")
}

/// What the host got in the way by, the last time in a slot.
fn faults_in(study: &Study, slot: &Option<Name>) -> String {
    let sittings = study.trials().iter().flat_map(|trial| &trial.sittings);
    let of_slot = sittings.filter(|sitting| sitting.slot == *slot && sitting.ended.is_some());
    let last = of_slot.max_by_key(|sitting| (sitting.ended, sitting.started));
    let why = match last.and_then(|sitting| sitting.end.as_ref()) {
        Some(SittingEnd::Finished(Outcome::Failed(failure))) => failure.with_hint(),
        _ => reason::SEE_LOG.say([]),
    };
    reason::HOST_FAULTS.say([&HOST_FAULTS_MAX, &why])
}
