//! In which slot a sitting begins, and whether there is room for it: pure.

use super::decide::{Context, Decision, Effect, State};
use crate::model::Name;
use crate::model::event::{Event, Fact};
use crate::model::outcome::Outcome;
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

/// The slot for a trial that the sampler proposes; `None` where there is none,
/// and while trials wait that come first.
pub(super) fn slot_for_new(state: &State, study: &Study) -> Option<Option<Name>> {
    let slot = open_slots(state, study).into_iter().next();
    slot.filter(|_| study.waiting().is_none())
}

/// Starts the next sitting of a trial, where there is room for it now.
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
    let must_wait = study.must_be_alone(trial, purpose) && study.running().is_some();
    let slot = open_slots(state, study).into_iter().next();
    let (Some(slot), false) = (slot, must_wait) else {
        return;
    };
    let last = trial.sittings.last();
    let sitting = last.map_or(1, |sitting| sitting.number + 1);
    let sitting = (trial.id, sitting, purpose);
    start(study, sitting, slot, context, decision);
}

/// Starts a sitting in a slot.
pub(super) fn start(
    study: &Study,
    (trial, sitting, purpose): (TrialId, u32, Purpose),
    slot: Option<Name>,
    context: &Context<'_>,
    decision: &mut Decision,
) {
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

/// Why the study is paused once no slot is of use.
pub(super) fn pause_reason(study: &Study) -> String {
    let slot = study.spec().places().into_iter().next();
    why_out_of_use(study, &slot.flatten())
}

/// Why no trial is started in a slot any more.
pub fn why_out_of_use(study: &Study, slot: &Option<Name>) -> String {
    let sittings = study.trials().iter().flat_map(|trial| &trial.sittings);
    let of_slot = sittings.filter(|sitting| sitting.slot == *slot && sitting.ended.is_some());
    let last = of_slot.max_by_key(|sitting| (sitting.ended, sitting.started));
    let why = match last.and_then(|sitting| sitting.end.as_ref()) {
        Some(SittingEnd::Finished(Outcome::Failed(failure))) => failure.with_hint(),
        _ => "see the trial's log".to_owned(),
    };
    format!("{HOST_FAULTS_MAX} times in a row the host got in the way; the last time: {why}")
}
