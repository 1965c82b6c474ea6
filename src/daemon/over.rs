//! What follows when a sitting is over: pure.

use super::beside;
use super::decide::{Context, Decision, State, is_running, next, tell};
use super::input::Effect;
use super::seats::{all_out_of_use, why_out_of_use};
use super::verdict::{conclude, ignored_fault};
use crate::exec::report::SittingResult;
use crate::model::event::{Event, Fact};
use crate::model::study::Study;
use crate::model::trial::{Purpose, TrialId};
use crate::report::retrial;
use crate::search;

/// Takes up how a sitting has ended, what that says of the host, of its slot and
/// of its neighbours, and goes on.
pub(super) fn sitting(
    state: &mut State,
    (trial, sitting): (TrialId, u32),
    result: SittingResult,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    if !is_running(&state.study, trial, sitting) {
        return;
    }
    let mut study = Study::clone(&state.study);
    let event = conclude(&study, trial, sitting, result.clone());
    decision.effects.extend(ignored_fault(&result, &event));
    let fact = Fact {
        at: context.now,
        event,
    };
    if let Err(error) = study.apply(&fact) {
        decision.effects.push(Effect::Warn(error.to_string()));
        return;
    }
    decision.facts.push(fact);
    let purpose = study.trial(trial).map(|of| of.purpose_of(sitting));
    if purpose == Some(Purpose::Neighbours) {
        let found = search::neighbours::Disturbance::of(&study);
        let found = found.filter(|found| found.is_clear());
        let metric = &study.spec().objective.metric;
        let text = found.map(|found| retrial::disturbed(metric, found.difference));
        decision.effects.extend(text.map(Effect::Warn));
    }
    if purpose == Some(Purpose::Check)
        && let Some(event) = search::drift::look(&study, trial)
    {
        let at = context.now;
        let fact = Fact { at, event };
        if study.apply(&fact).is_ok() {
            decision.facts.push(fact);
        }
    }
    decision
        .effects
        .push(Effect::ForgetSitting { trial, sitting });
    if let Some(reason) = beside::refusal(&study, trial, sitting) {
        let event = Event::Paused {
            reason: reason.clone(),
            by_user: false,
        };
        tell(&mut study, event, context, decision);
        let text = format!("paused: {reason}; when that is mended: autotunectl resume");
        decision.effects.push(Effect::Warn(text));
    }
    let slot = study.trial(trial).and_then(|trial| trial.sitting(sitting));
    let slot = slot.and_then(|sitting| sitting.slot.clone());
    let rest = match study.host_faults(&slot) {
        0 => study.spec().host.cooldown,
        _ => study.spec().host.fault_wait,
    };
    let go_on = state.stopping.is_none() && !study.is_out_of_use(&slot);
    if go_on && !rest.is_zero() {
        state.resting.push(slot.clone());
        decision.effects.push(Effect::WakeAfter(slot, rest));
    } else if let Some(name) = &slot
        && study.is_out_of_use(&slot)
        && !all_out_of_use(&study)
    {
        let why = why_out_of_use(&study, &slot);
        let text = format!("slot {name} is {why}");
        decision.effects.push(Effect::Warn(text));
    }
    // Where all slots rest there is nothing to do.
    next(state, &study, context, decision);
}
