//! What to do: a pure function from the state and one input to the facts that
//! follow and the things to be done.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::budget::{time_used_up, used_up};
pub use super::input::{Effect, Input, Notified, Urgency};
use super::keeping::{self, Keeping};
use super::seats::{all_out_of_use, has_room_for_new, open_slots, pause_reason, sit};
use super::verdict::{fact_of, race};
use super::{approve, beside, consult, over, reload, remedy, steer};
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::advice::Question;
use crate::model::event::{Event, Fact};
use crate::model::host::Host;
use crate::model::notice::Refused;
use crate::model::reason;
use crate::model::spec::Spec;
pub use crate::model::study::HOST_FAULTS_MAX;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Origin, Purpose, Sitting, TrialId};
use crate::notify;
use crate::report::phrase::clean;
use crate::search::{self, Ask};
use crate::wire::reply::Reply;

/// What the dispatcher knows beside the study. Nothing of it outlives the
/// process.
#[derive(Clone, Debug)]
pub struct State {
    /// The study, as far as it is on disk.
    pub study: Arc<Study>,
    /// The end that was asked for.
    pub stopping: Option<Urgency>,
    /// Whether the sampler is thinking.
    pub asking: bool,
    /// What the advisor is thinking of: the study of this revision.
    pub consulting: Option<u32>,
    /// Whether the advisor is done without, whatever the spec says.
    pub offline: bool,
    /// The slots that rest between two trials.
    pub resting: Vec<Option<Name>>,
    /// The copy of the best trial's artifacts that is being made.
    pub keeping: Option<Keeping>,
    /// Who can be waited for when there is nothing to do.
    pub company: Company,
}

impl State {
    /// A study that was just opened, of which nothing is under way.
    pub fn new(study: Arc<Study>, company: Company) -> Self {
        Self {
            study,
            stopping: None,
            asking: false,
            consulting: None,
            offline: false,
            resting: Vec::new(),
            keeping: None,
            company,
        }
    }
}

/// Whether somebody can ask and steer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// The control socket is served, so that a pause can be ended.
    pub served: bool,
    /// It is to stay when there is nothing left to do.
    pub stay: bool,
    /// Proposals are shown at a terminal, and answered there.
    pub prompted: bool,
}

/// What a decision may need from outside.
pub struct Context<'a> {
    /// The time.
    pub now: Timestamp,
    /// A token that was never used.
    pub token: &'a str,
    /// This boot.
    pub boot_id: &'a str,
}

/// Facts and effects of one input.
#[derive(Debug, Default)]
pub struct Decision {
    /// To be put on disk first.
    pub facts: Vec<Fact>,
    /// What the study goes by from its [`Event::SpecReloaded`] on.
    pub spec: Option<Arc<Spec>>,
    /// To be done then.
    pub effects: Vec<Effect>,
    /// To be said last, and to whom.
    pub answer: Option<(oneshot::Sender<Reply>, Reply)>,
}

/// Decides. `state` is changed in what is not the study; the study changes
/// when its facts are on disk.
pub fn decide(state: &mut State, input: Input, context: &Context<'_>) -> Decision {
    let mut decision = decide_alone(state, input, context);
    decision.facts = notify::with_notices(&state.study, decision.facts);
    decision
}

/// Decides, without the notices that come of it.
fn decide_alone(state: &mut State, input: Input, context: &Context<'_>) -> Decision {
    let mut decision = Decision::default();
    match input {
        Input::Begin { digest, host } => begin(state, digest, host, context, &mut decision),
        Input::Stop(urgency) => stop(state, urgency, &mut decision),
        Input::Report {
            trial,
            sitting,
            at,
            report,
        } => {
            if !is_running(&state.study, trial, sitting) {
                return decision;
            }
            let Some(event) = fact_of(trial, sitting, report) else {
                return decision;
            };
            let pruned = race(&state.study, &event);
            decision.facts.push(Fact { at, event });
            if let Some(event) = pruned {
                decision.facts.push(Fact { at, event });
                let end = Effect::EndSitting(trial, Urgency::Orderly);
                decision.effects.push(end);
            }
        }
        Input::SittingOver {
            trial,
            sitting,
            result,
        } => {
            over::sitting(state, (trial, sitting), result, context, &mut decision);
        }
        Input::Asked {
            trials,
            revision,
            results,
            ask,
            choice,
        } => {
            state.asking = false;
            let study = Arc::clone(&state.study);
            let paused = matches!(study.phase(), Phase::Paused(_));
            let is_old = trials != study.trials().len()
                || revision != study.revision()
                || results != study.results();
            let waits = study.pending().is_some() || study.ended_by_user();
            let waits = waits || !has_room_for_new(state, &study);
            if state.stopping.is_some() || is_old || paused || waits {
                // An answer to an older history or spec, or one that comes too
                // late.
                next(state, &study, context, &mut decision);
                return decision;
            }
            match ask {
                Ask::Try(_) if goes_on_with_partial(&study) => {
                    // It was done, and has more to do now: these first.
                    let mut study = Study::clone(&study);
                    reopen_partial(&mut study, context, &mut decision);
                    next(state, &study, context, &mut decision);
                }
                Ask::Try(params)
                    if let Some(proposal) = study.to_approve(&params, choice.as_deref()) =>
                {
                    let mut study = Study::clone(&study);
                    let event = Event::ApprovalAsked(Arc::new(proposal));
                    tell(&mut study, event, context, &mut decision);
                    next(state, &study, context, &mut decision);
                }
                Ask::Try(params) => {
                    let trial = study.next_id();
                    let baseline = study
                        .spec()
                        .space
                        .baseline()
                        .is_ok_and(|base| base == params);
                    let origin = if baseline {
                        Origin::Baseline
                    } else {
                        Origin::Sampler
                    };
                    let planned = Event::TrialPlanned {
                        trial,
                        params,
                        origin,
                        choice,
                    };
                    let mut study = Study::clone(&study);
                    tell(&mut study, planned, context, &mut decision);
                    let purpose = Purpose::Measure;
                    sit(state, &study, trial, purpose, context, &mut decision);
                }
                Ask::Run(trial) => {
                    let purpose = Purpose::Measure;
                    sit(state, &study, trial, purpose, context, &mut decision);
                }
                Ask::Wait => {}
                Ask::Consult(question) => {
                    consult::consult(state, &study, question, context, &mut decision);
                }
                // What runs may yet change its mind.
                Ask::Exhausted(_) if study.running().is_some() => {}
                Ask::Exhausted(reason) => done(state, &study, reason, context, &mut decision),
            }
        }
        Input::Artifacts { trial, change } => {
            keeping::became(state, trial, change, context, &mut decision);
        }
        Input::KeepingWaits(trouble) => keeping::waits(state, trouble, &mut decision),
        Input::Consulted {
            trials,
            revision,
            advice,
        } => {
            let study = &state.study;
            let is_old = trials != study.trials().len() || revision != study.revision();
            if state.consulting == Some(revision) {
                state.consulting = None;
            }
            consult::answered(state, advice, is_old, context, &mut decision);
        }
        Input::Tick => {}
        Input::HeartbeatDue => decision.facts = notify::heartbeat(&state.study, context.now),
        Input::Notified(notified) => {
            let event = match notified {
                Notified::Warning(text) => {
                    decision.effects.push(Effect::Warn(text));
                    return decision;
                }
                Notified::Delivered {
                    channel,
                    notices,
                    refused,
                } => {
                    let known = state.study.outbox().standing(&channel).refused;
                    let is_new = |one: &&Refused| !known.iter().any(|known| known.is_like(one));
                    let new = refused.iter().filter(is_new);
                    decision
                        .effects
                        .extend(new.map(|one| missed(&channel, one)));
                    Event::NoticeDelivered {
                        channel,
                        notices,
                        refused,
                    }
                }
                Notified::GivenUp {
                    channel,
                    notices,
                    reason,
                    to,
                } => Event::NoticeGivenUp {
                    channel,
                    notices,
                    reason,
                    to,
                },
            };
            let at = context.now;
            decision.facts.push(Fact { at, event });
        }
        Input::Look => {
            let study = Arc::clone(&state.study);
            next(state, &study, context, &mut decision);
        }
        Input::Wake(slot) => {
            state.resting.retain(|known| *known != slot);
            let study = Arc::clone(&state.study);
            next(state, &study, context, &mut decision);
        }
        Input::Reload {
            spec,
            text,
            warnings,
            reply,
        } => {
            let answer = reload::reload(state, spec, text, warnings, context, &mut decision);
            decision.answer = Some((reply, answer));
        }
        Input::Overdue => approve::overdue(state, context, &mut decision),
        Input::Request { steer, by, reply } => {
            let answer = steer::steer(state, &steer, by, context, &mut decision);
            decision.answer = Some((reply, answer));
        }
    }
    decision
}

/// What to say of a recipient who does not get what others do.
fn missed(channel: &str, one: &Refused) -> Effect {
    let address = clean(&one.address);
    let again = if one.again {
        format!(", retrying for {address} alone")
    } else {
        String::new()
    };
    Effect::Warn(format!(
        "channel {channel} reaches others, but not {address}: {}{again}",
        clean(&one.why)
    ))
}

/// Ends the running trials, and then the daemon.
pub(super) fn stop(state: &mut State, urgency: Urgency, decision: &mut Decision) {
    if state.stopping.is_none_or(|known| known < urgency) {
        state.stopping = Some(urgency);
        end_all(&state.study, urgency, decision);
        if state.study.running().is_none() {
            decision.effects.push(Effect::Leave);
        }
    }
}

/// Ends all running trials.
pub(super) fn end_all(study: &Study, urgency: Urgency, decision: &mut Decision) {
    let running = study.all_running().map(|trial| trial.id);
    let ends = running.map(|trial| Effect::EndSitting(trial, urgency));
    decision.effects.extend(ends);
}

/// Takes up an event, which is one of the decision's facts then.
pub(super) fn tell(
    study: &mut Study,
    event: Event,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let fact = Fact {
        at: context.now,
        event,
    };
    // One that does not fit is none.
    if study.apply(&fact).is_ok() {
        decision.facts.push(fact);
    }
}

fn begin(
    state: &mut State,
    digest: String,
    host: Option<Box<Host>>,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let mut study = Study::clone(&state.study);
    let mut tell = |study: &mut Study, event| tell(study, event, context, decision);
    tell(&mut study, Event::Opened { digest });
    if let Some(host) = host.filter(|host| study.host() != Some(&**host)) {
        tell(&mut study, Event::HostSeen { host });
    }
    let Company { served, stay, .. } = state.company;
    let held = study.paused_by_user() && served;
    let paused = matches!(study.phase(), Phase::Paused(_)) || study.has_host_faults();
    // Where the daemon does not stay, starting it is the only way to resume.
    let ended = study.ended_by_user() && !(served && stay);
    if !held && paused || ended {
        // Whoever starts the daemon again wants it to go on, unless a user
        // paused it who can also resume it.
        tell(&mut study, Event::Resumed);
    }
    // Each start gives them one more try, also one of a study that was done.
    if time_used_up(&study, context.now).is_none() {
        reopen_partial(&mut study, context, decision);
    }
    next(state, &study, context, decision);
}

/// Whether a study that was done goes on, and has trials that lack runs.
fn goes_on_with_partial(study: &Study) -> bool {
    matches!(study.phase(), Phase::Done(_)) && study.trials().iter().any(|trial| trial.is_partial())
}

/// Takes up again the trials that have only some of their runs.
fn reopen_partial(study: &mut Study, context: &Context<'_>, decision: &mut Decision) {
    let partial = study.trials().iter().filter(|trial| trial.is_partial());
    let partial: Vec<TrialId> = partial.map(|trial| trial.id).collect();
    for trial in partial {
        tell(study, Event::TrialReopened { trial }, context, decision);
    }
}

pub(super) fn is_running(study: &Study, trial: TrialId, sitting: u32) -> bool {
    let running = study.trial(trial).and_then(|trial| trial.running());
    running.is_some_and(|running| running.number == sitting)
}

/// What to do while there is room for a trial. `study` has all facts of the
/// decision.
///
/// One sitting is started at a time; where there are slots, [`Effect::Look`]
/// comes back for the next. What must be alone (see [`Study::must_be_alone`])
/// waits until nothing else runs, and nothing new is begun meanwhile.
pub(super) fn next(
    state: &mut State,
    study: &Study,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let runs = study.running().is_some();
    if state.stopping.is_some() {
        if !runs {
            decision.effects.push(Effect::Leave);
        }
        return;
    }
    let all_out_of_use = all_out_of_use(study);
    if open_slots(state, study).is_empty() && (runs || !all_out_of_use) {
        return;
    }
    if state.keeping.is_some() {
        return;
    }
    if let Some(trial) = study.unkept() {
        state.keeping = Some(Keeping {
            trial,
            trouble: None,
        });
        decision.effects.push(Effect::Keep(trial));
        return;
    }
    if matches!(study.phase(), Phase::Paused(_)) {
        let stays = state.company.served && (state.company.stay || study.paused_by_user());
        if !stays && !runs {
            decision.effects.push(Effect::Leave);
        }
        return;
    }
    if all_out_of_use {
        let reason = pause_reason(study);
        decision.facts.push(Fact {
            at: context.now,
            event: Event::Paused {
                reason: reason.clone(),
                by_user: false,
            },
        });
        if !idle(state, decision) {
            let text = format!("paused: {reason}; when that is mended: autotunectl resume");
            decision.effects.push(Effect::Warn(text));
        }
        return;
    }
    let mut study = Study::clone(study);
    let waits = !approve::withdraw(&mut study, None, context, decision);
    let study = &study;
    if let Some(trial) = beside::due(study) {
        sit(state, study, trial, Purpose::Incumbent, context, decision);
    } else if let Some(reason) = used_up(study, context.now) {
        if runs {
            // What runs is finished first.
            return;
        }
        match search::racing::unconfirmed(study) {
            Some(trial) if time_used_up(study, context.now).is_none() => {
                sit(state, study, trial, Purpose::Measure, context, decision);
            }
            _ => done(state, study, reason, context, decision),
        }
    } else if let Some(trial) = study.waiting() {
        sit(state, study, trial.id, Purpose::Measure, context, decision);
    } else if study.ended_by_user() {
        if runs {
            return;
        }
        let Company { served, stay, .. } = state.company;
        let reason = if served && stay {
            reason::USER_ENDED_SO_FAR.say([])
        } else {
            reason::USER_ENDED.say([])
        };
        done(state, study, reason, context, decision);
    } else if waits {
        if !runs {
            await_answer(state, study, context, decision);
        }
    } else if state.asking || state.consulting.is_some() {
        // The answer comes.
    } else if let Some(event) = remedy::plan(study) {
        let mut study = Study::clone(study);
        let trial = study.next_id();
        tell(&mut study, event, context, decision);
        sit(state, &study, trial, Purpose::Measure, context, decision);
    } else if let Some(trial) = search::drift::due(study) {
        sit(state, study, trial, Purpose::Check, context, decision);
    } else if let Some(trial) = search::neighbours::due(study) {
        sit(state, study, trial, Purpose::Neighbours, context, decision);
    } else {
        state.asking = true;
        decision.effects.push(Effect::Ask);
    }
}

/// Waits for whoever is to approve of a proposal; leaves where nobody can.
fn await_answer(state: &State, study: &Study, context: &Context<'_>, decision: &mut Decision) {
    let Company {
        served, prompted, ..
    } = state.company;
    if !served && !prompted && study.pending_until().is_none() {
        let reason = reason::NOBODY_APPROVES.say([]);
        decision.facts.push(Fact {
            at: context.now,
            event: Event::Paused {
                reason,
                by_user: false,
            },
        });
        decision.effects.push(Effect::Leave);
    }
}

/// There is nothing to do: stays for those who may have something, or leaves.
/// Whether it leaves.
fn idle(state: &State, decision: &mut Decision) -> bool {
    let Company { served, stay, .. } = state.company;
    let leaves = !(served && stay);
    if leaves {
        decision.effects.push(Effect::Leave);
    }
    leaves
}

fn done(
    state: &mut State,
    study: &Study,
    reason: String,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let was_done = *study.phase() == Phase::Done(reason.clone());
    let mut study = Study::clone(study);
    approve::withdraw(&mut study, Some(&reason), context, decision);
    let study = &study;
    // What was done stays done, unless something else has won since, or more is
    // wanted. What a user ended is over at once.
    let is_over = was_done && study.is_concluded() || study.ended_by_user();
    if !is_over
        && time_used_up(study, context.now).is_none()
        && let Some((trial, purpose)) = search::confirm::next(study)
    {
        sit(state, study, trial, purpose, context, decision);
        return;
    }
    if !was_done {
        decision.facts.push(Fact {
            at: context.now,
            event: Event::Done { reason },
        });
    }
    if state.consulting.is_some() {
        // The answer comes, and is on record then.
    } else if consult::lacks_summary(state, study) {
        state.consulting = Some(study.revision());
        decision.effects.push(Effect::Consult(Question::Summary));
    } else {
        idle(state, decision);
    }
}

/// The sittings that an earlier daemon has left open.
pub fn open_sittings(study: &Study) -> Vec<(TrialId, Sitting)> {
    let running = study
        .trials()
        .iter()
        .filter_map(|t| Some((t.id, t.running()?.clone())));
    running.collect()
}

/// Asks the sampler; for a thread of its own.
pub fn ask(study: &Study) -> Input {
    let (ask, choice) = search::explained(study);
    Input::Asked {
        trials: study.trials().len(),
        revision: study.revision(),
        results: study.results(),
        ask,
        choice,
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
