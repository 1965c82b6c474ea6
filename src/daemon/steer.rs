//! What users want changed: admitted by a pure function, then decided like
//! any other input.

use std::collections::BTreeMap;

use super::decide::{self, Context, Decision, Effect, State, Urgency};
use super::{amend, approve};
use crate::exec::order::missing_runs;
use crate::model::Name;
use crate::model::amendment::Amendments;
use crate::model::approval::{By, Ends};
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::reason;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Origin, Purpose, Trial, TrialId};
use crate::model::value::Value;
use crate::report::retrial;
use crate::wire::reply::{Accepted, Refusal, Reply};
use crate::wire::request::Steer;

/// What becomes of a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Admit {
    /// It is done.
    Accept(Accepted, Change),
    /// It is so already.
    Ignore(Accepted),
    /// It cannot be done.
    Deny(Refusal),
}

/// The change that a wish amounts to.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Start no further trial; and interrupt the running one.
    Pause(bool),
    /// Go on.
    Resume,
    /// End.
    Stop(Urgency),
    /// End a trial for good.
    Skip(TrialId),
    /// Repeat what is bad or missing.
    Reopen(TrialId),
    /// Try these next.
    Plan(Params),
    /// Go by the spec with these.
    Amend(Amendments),
    /// Try what is proposed, or these instead.
    Approve(Option<Params>),
    /// Do not, and end what is said.
    Reject(Ends),
    /// Propose values of this parameter again.
    ReopenParameter(Name),
}

/// Whether a wish can be granted.
pub fn admit(study: &Study, stopping: Option<Urgency>, steer: &Steer) -> Admit {
    let (running, beside) = running_trials(study);
    if let Steer::Stop { now } = steer {
        let urgency = if *now {
            Urgency::AtOnce
        } else {
            Urgency::Orderly
        };
        let answer = Accepted::Stopping { running, beside };
        return match stopping {
            Some(known) if known >= urgency => Admit::Ignore(answer),
            _ => Admit::Accept(answer, Change::Stop(urgency)),
        };
    }
    if stopping.is_some() {
        return Admit::Deny(Refusal::Leaving);
    }
    match steer {
        Steer::Stop { .. } => Admit::Deny(Refusal::Leaving),
        Steer::Pause { now } => {
            let interrupted = *now && running.is_some();
            let answer = Accepted::Paused {
                running,
                beside,
                interrupted,
            };
            match study.phase() {
                Phase::Done(reason) => Admit::Deny(Refusal::Done(reason.clone())),
                Phase::Paused(_) if !interrupted => Admit::Ignore(answer),
                _ => Admit::Accept(answer, Change::Pause(interrupted)),
            }
        }
        Steer::Resume => match study.phase() {
            Phase::Done(_) if study.ended_by_user() => {
                Admit::Accept(Accepted::Resumed, Change::Resume)
            }
            Phase::Done(reason) => Admit::Deny(Refusal::Done(reason.clone())),
            // The advisor, or a slot, is tried again.
            Phase::Active | Phase::AwaitingApproval
                if study.consultations().is_silent() || has_slot_out_of_use(study) =>
            {
                Admit::Accept(Accepted::Resumed, Change::Resume)
            }
            Phase::Active | Phase::AwaitingApproval => Admit::Ignore(Accepted::Resumed),
            Phase::Paused(_) => Admit::Accept(Accepted::Resumed, Change::Resume),
        },
        Steer::Skip(None) => {
            // Those that only are measured once more are not meant.
            let open = study.all_running().filter(|trial| !trial.is_settled());
            let open: Vec<&Trial> = open.map(|trial| &**trial).collect();
            match (&open[..], study.running()) {
                ([trial], _) => skip(study, trial),
                ([], Some(trial)) => skip(study, trial),
                ([], None) => Admit::Deny(Refusal::NothingRuns),
                (several, _) => {
                    let numbers = several.iter().map(|trial| trial.id.0);
                    Admit::Deny(Refusal::SeveralRun(numbers.collect()))
                }
            }
        }
        Steer::Skip(Some(number)) => match study.trial(TrialId(*number)) {
            None => Admit::Deny(Refusal::NoSuchTrial(*number)),
            Some(trial) => skip(study, trial),
        },
        Steer::Retry(number) => {
            let Some(trial) = study.trial(TrialId(*number)) else {
                return Admit::Deny(Refusal::NoSuchTrial(*number));
            };
            if !trial.is_settled() {
                return Admit::Deny(Refusal::NotSettled(*number));
            }
            if !lacks_runs(study, trial) {
                return Admit::Deny(Refusal::NothingToRepeat(*number));
            }
            let (running, beside) = runs_before(study);
            let answer = Accepted::Reopened {
                trial: *number,
                running,
                beside,
            };
            Admit::Accept(answer, Change::Reopen(trial.id))
        }
        Steer::Enqueue { values, again } => enqueue(study, values, *again),
        Steer::Amend(edits) => amend::admit(study, edits),
        Steer::Approve { number, instead } => approve::approve(study, *number, instead),
        Steer::Reject { number, end } => approve::reject(study, *number, *end),
        Steer::ReopenParameter(name) => approve::reopen(study, name),
    }
}

fn has_slot_out_of_use(study: &Study) -> bool {
    let places = study.spec().places();
    places.iter().any(|slot| study.is_out_of_use(slot))
}

/// The numbers of the trials that run: the first, and the others.
pub(super) fn running_trials(study: &Study) -> (Option<u32>, Vec<u32>) {
    let mut running = study.all_running().map(|trial| trial.id.0);
    (running.next(), running.collect())
}

/// The same where a trial that is planned now has to wait for one of them.
pub(super) fn runs_before(study: &Study) -> (Option<u32>, Vec<u32>) {
    if study.free_slots().is_empty() || study.runs_alone() {
        running_trials(study)
    } else {
        (None, Vec::new())
    }
}

fn skip(study: &Study, trial: &Trial) -> Admit {
    let answer = Accepted::Skipped {
        trial: trial.id.0,
        running: trial.running().is_some(),
    };
    if trial.skipped {
        Admit::Ignore(answer)
    } else if trial.is_settled() {
        Admit::Deny(runs_beside(study, trial).unwrap_or(Refusal::Settled(trial.id.0)))
    } else {
        Admit::Accept(answer, Change::Skip(trial.id))
    }
}

/// That a settled trial runs for something else than its outcome.
fn runs_beside(study: &Study, trial: &Trial) -> Option<Refusal> {
    let sitting = trial.running()?;
    let setting = match sitting.purpose {
        // The one run beside neighbours is over soon, and comes once.
        Purpose::Measure | Purpose::Preflight | Purpose::Incumbent | Purpose::Neighbours => {
            return None;
        }
        Purpose::Check => "search.recheck",
        Purpose::Confirm { .. } => "confirm.runs",
    };
    Some(Refusal::Beside {
        trial: trial.id.0,
        purpose: retrial::purpose(study, sitting)?,
        setting: setting.to_owned(),
    })
}

fn enqueue(study: &Study, given: &[(String, String)], again: bool) -> Admit {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        let value = Value::text(value.as_str());
        if values.insert(name.clone(), value).is_some() {
            let twice = format!("{name} is given twice");
            return Admit::Deny(Refusal::BadParams(vec![twice]));
        }
    }
    let params = match study.spec().space.check(&values) {
        Ok(params) => params,
        Err(errors) => {
            let errors = errors.iter().map(ToString::to_string);
            return Admit::Deny(Refusal::BadParams(errors.collect()));
        }
    };
    let (running, beside) = runs_before(study);
    let answer = |trial: TrialId| Accepted::Enqueued {
        trial: trial.0,
        running,
        beside: beside.clone(),
        paused: matches!(study.phase(), Phase::Paused(_)),
    };
    if let Some(trial) = study.all_unsettled().find(|trial| trial.params == params) {
        return Admit::Ignore(answer(trial.id));
    }
    match study.trial_of(&params) {
        Some(trial) if !again => Admit::Deny(Refusal::TriedAlready(trial.id.0)),
        _ => {
            let TrialId(next) = study.next_id();
            let first = u32::from(unplanned_baseline(study, &params).is_some());
            Admit::Accept(answer(TrialId(next + first)), Change::Plan(params))
        }
    }
}

/// Whether a trial, without its bad runs, has runs to come.
fn lacks_runs(study: &Study, trial: &Trial) -> bool {
    let mut trial = trial.clone();
    trial.runs.retain(|run| run.is_good());
    let mut steps = study.spec().steps.iter();
    steps.any(|step| !missing_runs(&trial, step).is_empty())
}

/// The starting params, which come before all others, where `params` would
/// come first.
fn unplanned_baseline(study: &Study, params: &Params) -> Option<Params> {
    let baseline = study.spec().space.baseline().ok()?;
    (study.trials().is_empty() && baseline != *params).then_some(baseline)
}

/// Decides about a wish, and gives the answer.
pub(super) fn steer(
    state: &mut State,
    steer: &Steer,
    by: By,
    context: &Context<'_>,
    decision: &mut Decision,
) -> Reply {
    match admit(&state.study, state.stopping, steer) {
        Admit::Deny(refusal) => Reply::Refused(refusal),
        Admit::Ignore(answer) => Reply::Ignored(answer),
        Admit::Accept(answer, change) => {
            carry_out(state, change, by, context, decision);
            Reply::Accepted(answer)
        }
    }
}

fn carry_out(
    state: &mut State,
    change: Change,
    by: By,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let mut study = Study::clone(&state.study);
    let mut tell = |study: &mut Study, event| decide::tell(study, event, context, decision);
    match change {
        Change::Pause(interrupt) => {
            if !matches!(study.phase(), Phase::Paused(_)) {
                let reason = reason::USER_PAUSED.say([]);
                let by_user = true;
                tell(&mut study, Event::Paused { reason, by_user });
            }
            if interrupt {
                decide::end_all(&study, Urgency::Orderly, decision);
            }
            return;
        }
        Change::Stop(urgency) => return decide::stop(state, urgency, decision),
        Change::Skip(trial) => {
            tell(&mut study, Event::TrialSkipped { trial });
            if study
                .trial(trial)
                .is_some_and(|trial| trial.running().is_some())
            {
                let end = Effect::EndSitting(trial, Urgency::Orderly);
                decision.effects.push(end);
                return;
            }
        }
        Change::Amend(amendments) => tell(&mut study, Event::SpecAmended { amendments }),
        Change::Approve(instead) => {
            for event in approve::given(&study, by, instead) {
                tell(&mut study, event);
            }
        }
        Change::Reject(ends) => tell(&mut study, Event::ApprovalRefused { by, ends }),
        Change::ReopenParameter(parameter) => {
            tell(&mut study, Event::ParameterReopened { by, parameter });
        }
        Change::Resume => tell(&mut study, Event::Resumed),
        Change::Reopen(trial) => tell(&mut study, Event::TrialReopened { trial }),
        Change::Plan(params) => {
            if let Some(baseline) = unplanned_baseline(&study, &params) {
                let event = planned(&study, baseline, Origin::Baseline);
                tell(&mut study, event);
            }
            let event = planned(&study, params, Origin::User);
            tell(&mut study, event);
        }
    }
    decide::next(state, &study, context, decision);
}

fn planned(study: &Study, params: Params, origin: Origin) -> Event {
    Event::TrialPlanned {
        trial: study.next_id(),
        params,
        origin,
        choice: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::event::Fact;
    use crate::model::spec::SamplerKind;
    use crate::search::simulation;

    fn study() -> Study {
        let space = simulation::space(vec![simulation::list("N", "1 2 3", "")], &[]);
        Study::new(Arc::new(simulation::spec(space, SamplerKind::Grid)))
    }

    fn happen(study: &mut Study, event: Event) {
        let at = Timestamp::from_millis(1);
        study.apply(&Fact { at, event }).expect("it fits");
    }

    /// A study whose first trial runs.
    fn running() -> Study {
        let mut study = study();
        let params = study.spec().space.baseline().expect("params");
        let event = planned(&study, params, Origin::Baseline);
        happen(&mut study, event);
        let event = Event::SittingStarted {
            trial: TrialId(1),
            sitting: 1,
            purpose: Purpose::Measure,
            token: "t".to_owned(),
            boot_id: "b".into(),
            slot: None,
        };
        happen(&mut study, event);
        study
    }

    fn enqueue(value: &str) -> Steer {
        Steer::Enqueue {
            values: vec![("N".to_owned(), value.to_owned())],
            again: false,
        }
    }

    #[test]
    fn what_is_so_already_is_ignored() {
        let mut study = running();
        let wish = |study: &Study, steer: &Steer| admit(study, None, steer);
        assert!(matches!(wish(&study, &Steer::Resume), Admit::Ignore(_)));
        let pause = Steer::Pause { now: false };
        assert!(matches!(
            wish(&study, &pause),
            Admit::Accept(_, Change::Pause(false))
        ));
        let (reason, by_user) = ("r".to_owned(), true);
        happen(&mut study, Event::Paused { reason, by_user });
        assert!(matches!(wish(&study, &pause), Admit::Ignore(_)));
        // But the running trial can still be interrupted.
        let now = Steer::Pause { now: true };
        assert!(matches!(
            wish(&study, &now),
            Admit::Accept(_, Change::Pause(true))
        ));
        assert!(matches!(
            wish(&study, &Steer::Skip(None)),
            Admit::Accept(..)
        ));
        let trial = TrialId(1);
        happen(&mut study, Event::TrialSkipped { trial });
        assert!(matches!(wish(&study, &Steer::Skip(None)), Admit::Ignore(_)));
        let stop = Steer::Stop { now: false };
        let known = Some(Urgency::Orderly);
        assert!(matches!(admit(&study, known, &stop), Admit::Ignore(_)));
        let now = Steer::Stop { now: true };
        assert!(matches!(admit(&study, known, &now), Admit::Accept(..)));
        assert_eq!(admit(&study, known, &pause), Admit::Deny(Refusal::Leaving));
    }

    #[test]
    fn params_are_checked_and_the_baseline_comes_first() {
        let study = study();
        let planned = |admit: &Admit| match admit {
            Admit::Accept(Accepted::Enqueued { trial, .. }, _) => Some(*trial),
            _ => None,
        };
        assert_eq!(planned(&admit(&study, None, &enqueue("2"))), Some(2));
        assert_eq!(planned(&admit(&study, None, &enqueue("1"))), Some(1));
        let wrong = admit(&study, None, &enqueue("9"));
        assert!(matches!(wrong, Admit::Deny(Refusal::BadParams(_))));
        let twice = ("N".to_owned(), "1".to_owned());
        let values = vec![twice.clone(), twice];
        let again = false;
        let twice = admit(&study, None, &Steer::Enqueue { values, again });
        assert!(matches!(twice, Admit::Deny(Refusal::BadParams(_))));
        let planned_already = admit(&running(), None, &enqueue("1"));
        assert!(matches!(planned_already, Admit::Ignore(_)));
    }

    #[test]
    fn what_is_done_is_not_paused() {
        let mut study = running();
        let reason = "r".to_owned();
        happen(&mut study, Event::Done { reason });
        let done = Admit::Deny(Refusal::Done("r".to_owned()));
        assert_eq!(admit(&study, None, &Steer::Pause { now: false }), done);
        assert_eq!(admit(&study, None, &Steer::Resume), done);
        let retry = |number| admit(&study, None, &Steer::Retry(number));
        assert_eq!(retry(1), Admit::Deny(Refusal::NotSettled(1)));
        assert_eq!(retry(2), Admit::Deny(Refusal::NoSuchTrial(2)));
    }
}
