//! The answers to proposals: which there can be, and what comes of them. Pure.

use std::collections::BTreeMap;

use super::decide::{self, Context, Decision, State};
use super::steer::{Admit, Change, runs_before};
use crate::base::clock::Timestamp;
use crate::base::quantity::show_duration;
use crate::model::approval::{By, Ends, Overdue, Pending};
use crate::model::choice::{Choice, Rule};
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::study::{Phase, Study};
use crate::model::trial::Origin;
use crate::model::value::Value;
use crate::wire::reply::{Accepted, Ended, Refusal};
use crate::wire::request::{End, Instead};

/// Whether a proposal can be approved: that number, or the one that waits.
pub(super) fn approve(study: &Study, number: Option<u32>, instead: &Instead) -> Admit {
    let pending = match pending(study, number) {
        Ok(pending) => pending,
        Err(refusal) => return Admit::Deny(refusal),
    };
    let proposed = study.spec().space.completed(&pending.proposal.params);
    let given: Vec<(String, String)> = match instead {
        Instead::Nothing => Vec::new(),
        Instead::Values(values) => values.clone(),
        Instead::Value(value) => {
            let changed = study.changed_by(&pending.proposal);
            let [name] = &changed[..] else {
                let names = changed.iter().map(ToString::to_string);
                return Admit::Deny(Refusal::SeveralParameters(names.collect()));
            };
            vec![(name.to_string(), value.clone())]
        }
    };
    let params = match with(study, &proposed, &given) {
        Ok(params) => params,
        Err(refusal) => return Admit::Deny(refusal),
    };
    if let Some(trial) = study.trial_of(&params) {
        return Admit::Deny(Refusal::TriedAlready(trial.id.0));
    }
    let (running, beside) = runs_before(study);
    let answer = Accepted::Approved {
        proposal: pending.proposal.number,
        trial: study.next_id().0,
        running,
        beside,
        paused: matches!(study.phase(), Phase::Paused(_)),
    };
    let instead = (params != proposed).then_some(params);
    Admit::Accept(answer, Change::Approve(instead))
}

/// Whether a proposal can be refused.
pub(super) fn reject(study: &Study, number: Option<u32>, end: End) -> Admit {
    let pending = match pending(study, number) {
        Ok(pending) => pending,
        Err(refusal) => return Admit::Deny(refusal),
    };
    let (ends, ended) = match (end, &pending.proposal.parameter) {
        (End::Proposal, _) => (Ends::Proposal, Ended::Proposal),
        (End::Study, _) => (Ends::Study, Ended::Study),
        (End::Parameter, Some(name)) => {
            let ended = Ended::Parameter(name.to_string());
            (Ends::Parameter(name.clone()), ended)
        }
        (End::Parameter, None) => {
            let sampler = study.spec().search.sampler;
            return Admit::Deny(Refusal::NoOrder(sampler.name().to_owned()));
        }
    };
    let answer = Accepted::Rejected {
        proposal: pending.proposal.number,
        ended,
        paused: matches!(study.phase(), Phase::Paused(_)),
    };
    Admit::Accept(answer, Change::Reject(ends))
}

/// Whether a parameter can be proposed again.
pub(super) fn reopen(study: &Study, name: &str) -> Admit {
    let answer = Accepted::ParameterReopened {
        parameter: name.to_owned(),
        paused: matches!(study.phase(), Phase::Paused(_)),
    };
    let ended = study.ended().iter().find(|ended| ***ended == *name);
    if let Some(ended) = ended {
        return Admit::Accept(answer, Change::ReopenParameter(ended.clone()));
    }
    match study.spec().space.parameter(name) {
        Some(_) => Admit::Ignore(answer),
        None => {
            let unknown = format!("there is no parameter `{name}`");
            Admit::Deny(Refusal::BadParams(vec![unknown]))
        }
    }
}

fn pending(study: &Study, number: Option<u32>) -> Result<&Pending, Refusal> {
    let pending = study.pending().ok_or(Refusal::NothingProposed)?;
    let waits = pending.proposal.number;
    match number {
        Some(number) if number != waits => Err(Refusal::OtherProposal(waits)),
        _ => Ok(pending),
    }
}

fn with(study: &Study, params: &Params, given: &[(String, String)]) -> Result<Params, Refusal> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        let value = Value::text(value.as_str());
        if values.insert(name.clone(), value).is_some() {
            let twice = format!("{name} is given twice");
            return Err(Refusal::BadParams(vec![twice]));
        }
    }
    let changed = study.spec().space.change(params, &values);
    changed.map_err(|errors| {
        let errors = errors.iter().map(ToString::to_string);
        Refusal::BadParams(errors.collect())
    })
}

/// The facts of an approval.
pub(super) fn given(study: &Study, by: By, instead: Option<Params>) -> Vec<Event> {
    let Some(pending) = study.pending() else {
        return Vec::new();
    };
    let proposal = &pending.proposal;
    let (params, origin, choice) = match &instead {
        None => (&proposal.params, Origin::Sampler, proposal.choice.clone()),
        // It is of the same group, but nobody expected anything of it.
        Some(params) => {
            let rule = proposal.choice.as_ref().map(|choice| choice.rule);
            let rule = rule.filter(|rule| {
                matches!(
                    rule,
                    Rule::Coordinate { .. } | Rule::Advisor { .. } | Rule::Fallback { .. }
                )
            });
            let expected = None;
            let choice = rule.map(|rule| Box::new(Choice { rule, expected }));
            (params, Origin::User, choice)
        }
    };
    let planned = Event::TrialPlanned {
        trial: study.next_id(),
        params: params.clone(),
        origin,
        choice,
    };
    vec![Event::ApprovalGiven { by, instead }, planned]
}

/// When a proposal is to be answered for want of another answer.
pub fn due(state: &State) -> Option<Timestamp> {
    let (until, _) = state.study.pending_until()?;
    state.stopping.is_none().then_some(until)
}

/// Answers a proposal for which nobody has had an answer in time.
pub(super) fn overdue(state: &mut State, context: &Context<'_>, decision: &mut Decision) {
    let mut study = Study::clone(&state.study);
    let (Some(due), Some((_, overdue))) = (due(state), study.pending_until()) else {
        return;
    };
    if context.now < due {
        return;
    }
    let events = match overdue {
        Overdue::Approve => given(&study, By::Timeout, None),
        Overdue::Reject => vec![Event::ApprovalRefused {
            by: By::Timeout,
            ends: Ends::Proposal,
        }],
        Overdue::Pause => {
            let timeout = study.spec().approval.timeout.unwrap_or_default();
            let reason = format!(
                "nobody has answered the proposal within {}",
                show_duration(timeout)
            );
            let by_user = false;
            vec![Event::Paused { reason, by_user }]
        }
    };
    for event in events {
        decide::tell(&mut study, event, context, decision);
    }
    decide::next(state, &study, context, decision);
}

/// Takes back a proposal that makes no sense any more, also for `reason`.
/// Whether nothing waits then.
pub(super) fn withdraw(
    study: &mut Study,
    reason: Option<&str>,
    context: &Context<'_>,
    decision: &mut Decision,
) -> bool {
    if study.pending().is_none() {
        return true;
    }
    let Some(reason) = reason.or_else(|| study.obsolete()) else {
        return false;
    };
    let reason = reason.to_owned();
    decide::tell(
        study,
        Event::ApprovalWithdrawn { reason },
        context,
        decision,
    );
    true
}
