//! Which facts somebody is told of, and in which words: pure.

use std::sync::Arc;

use super::words::Words;
use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::notice::Notice;
use crate::model::notify::Kind;
use crate::model::outcome::{Failure, FailureKind, Outcome};
use crate::model::study::{Phase, Study};
use crate::model::trial::{Purpose, SittingEnd, Trial, TrialId};

/// `facts`, which are about to be true of `study`, each followed by the
/// notices that come of it.
pub fn with_notices(study: &Study, facts: Vec<Fact>) -> Vec<Fact> {
    let nobody = study.spec().notify.channels.is_empty();
    if nobody || !facts.iter().any(|fact| may_matter(&fact.event)) {
        return facts;
    }
    let mut study = study.clone();
    let mut all = Vec::with_capacity(facts.len() + 1);
    for fact in facts {
        let before = study.incumbent().map(|best| best.id);
        // One that does not fit is found by whoever takes it up.
        let fits = study.apply(&fact).is_ok();
        let event = fact.event.clone();
        let at = fact.at;
        all.push(fact);
        if fits {
            for said in said(&study, before, &event) {
                queue(&mut study, at, said, &mut all);
            }
        }
    }
    all
}

/// The notice that the study is still at work, where it is and somebody wants
/// to hear it.
pub fn heartbeat(study: &Study, now: Timestamp) -> Vec<Fact> {
    let mut facts = Vec::new();
    if !matches!(study.phase(), Phase::Done(_)) {
        let said = heartbeat_of(study);
        queue(&mut study.clone(), now, said, &mut facts);
    }
    facts
}

/// What is to be said, before it is known to whom.
struct Said {
    kind: Kind,
    trial: Option<TrialId>,
    title: String,
    lines: Vec<String>,
}

fn queue(study: &mut Study, at: Timestamp, said: Said, facts: &mut Vec<Fact>) {
    let channels = study.spec().notify.channels.iter();
    let channels = channels.filter(|channel| channel.kinds.contains(&said.kind));
    let channels: Vec<_> = channels.map(|channel| channel.name.clone()).collect();
    if channels.is_empty() {
        return;
    }
    let notice = Notice {
        id: study.outbox().next_id(),
        kind: said.kind,
        trial: said.trial,
        title: said.title,
        text: said.lines.join("\n"),
        channels,
    };
    let event = Event::NoticeQueued(Arc::new(notice));
    let fact = Fact { at, event };
    // It fits any study.
    let _ = study.apply(&fact);
    facts.push(fact);
}

const fn may_matter(event: &Event) -> bool {
    matches!(
        event,
        Event::Opened { .. }
            | Event::SittingEnded { .. }
            | Event::Drifted { .. }
            | Event::Advised(_)
            | Event::ApprovalAsked(_)
            | Event::Paused { .. }
            | Event::Done { .. }
    )
}

/// What there is to say about an event; `study` has taken it up, `before` was
/// the incumbent until then.
fn said(study: &Study, before: Option<TrialId>, event: &Event) -> Vec<Said> {
    let words = Words(study.spec().notify.language);
    let of_study = |kind, title, lines| Said {
        kind,
        trial: None,
        title,
        lines,
    };
    match event {
        Event::Opened { .. } => {
            let mut lines = vec![words.aim(study)];
            if !study.trials().is_empty() {
                lines.extend([words.counts(study), words.standing(study)]);
            }
            vec![of_study(Kind::Start, words.start(study), lines)]
        }
        Event::ApprovalAsked(proposal) => {
            let mut lines = words.proposal(study, proposal);
            lines.extend([words.standing(study), words.answer_hint()]);
            vec![of_study(Kind::Approval, words.asked(proposal), lines)]
        }
        Event::Paused { reason, by_user } => {
            let mut lines: Vec<String> =
                words.hint(study).filter(|_| !by_user).into_iter().collect();
            lines.extend([
                words.resume_hint(),
                words.counts(study),
                words.standing(study),
            ]);
            vec![of_study(
                Kind::Paused,
                words.paused(reason, *by_user),
                lines,
            )]
        }
        Event::Done { reason } => {
            let mut lines = vec![words.counts(study), words.standing(study)];
            if let Some(best) = study.incumbent() {
                lines.extend(words.changes(study, best));
            }
            vec![of_study(Kind::Done, words.done(reason), lines)]
        }
        // Once: by the last of those questions.
        Event::Advised(advice) if advice.is_unanswered() && study.consultations().is_silent() => {
            let lines = advice.answer.as_ref().err().map(|why| words.told(why));
            let title = words.advisor_silent();
            vec![of_study(Kind::Abnormal, title, lines.into_iter().collect())]
        }
        Event::Drifted {
            trial,
            before,
            after,
            ..
        } => {
            let lines = vec![words.drift_hint(), words.standing(study)];
            let title = words.drifted(study, *trial, *before, *after);
            vec![of_study(Kind::Abnormal, title, lines)]
        }
        Event::SittingEnded {
            trial,
            sitting,
            end,
            ..
        } => {
            let Some(trial) = study.trial(*trial) else {
                return Vec::new();
            };
            let mut all = match trial.purpose_of(*sitting) {
                Purpose::Measure => ended(study, before, trial, end),
                purpose => retried(study, trial, purpose, end),
            };
            all.extend(slot_lost(study, trial, end));
            all
        }
        _ => Vec::new(),
    }
}

fn ended(study: &Study, before: Option<TrialId>, trial: &Trial, end: &SittingEnd) -> Vec<Said> {
    let SittingEnd::Finished(outcome) = end else {
        return Vec::new();
    };
    let notify = &study.spec().notify;
    let words = Words(notify.language);
    let mut all = Vec::new();
    let mut say = |kind, title, lines| {
        let trial = Some(trial.id);
        all.push(Said {
            kind,
            trial,
            title,
            lines,
        });
    };
    if let Outcome::Failed(failure) = outcome {
        // The host's fault is told once, and then by the pause.
        if faults_before(study, trial) <= 1 {
            let mut lines = words.failure(study, trial, failure);
            lines.extend(words.changes(study, trial));
            say(kind(failure), words.failed(trial.id, failure), lines);
        }
    }
    let is_best = study.incumbent().is_some_and(|best| best.id == trial.id);
    if is_best && before != Some(trial.id) {
        let mut lines = words.metrics(study, trial);
        lines.extend(words.changes(study, trial));
        lines.extend((study.unkept() == Some(trial.id)).then(|| words.unkept()));
        lines.push(words.counts(study));
        say(Kind::Best, words.best(study, trial), lines);
    }
    if trial.is_settled() {
        let counts = study.counts();
        let settled = counts.all() - counts.unsettled;
        let is_turn = |every: u32| settled.checked_rem(every) == Some(0);
        if is_turn(notify.trial_done_every) {
            let mut lines = words.metrics(study, trial);
            lines.extend(words.changes(study, trial));
            lines.extend([words.counts(study), words.standing(study)]);
            say(Kind::TrialDone, words.trial_done(study, trial), lines);
        }
        if notify.heartbeat_trials.is_some_and(is_turn) {
            all.push(heartbeat_of(study));
        }
    }
    all
}

/// How many sittings in a row the host's fault has ended, up to the last one of
/// this trial.
fn faults_before(study: &Study, trial: &Trial) -> u32 {
    let last = trial.sittings.last();
    last.map_or(0, |sitting| study.host_faults(&sitting.slot))
}

/// A sitting that was not to measure its trial: only what went wrong with it.
fn retried(study: &Study, trial: &Trial, purpose: Purpose, end: &SittingEnd) -> Vec<Said> {
    if purpose == Purpose::Preflight {
        // It pauses the study, which tells why.
        return Vec::new();
    }
    let SittingEnd::Finished(Outcome::Failed(failure)) = end else {
        return Vec::new();
    };
    // The host's fault is told once, and then by the pause.
    if faults_before(study, trial) > 1 {
        return Vec::new();
    }
    let words = Words(study.spec().notify.language);
    let mut lines = words.failure(study, trial, failure);
    lines.extend(words.changes(study, trial));
    vec![Said {
        kind: Kind::Abnormal,
        trial: Some(trial.id),
        title: words.retried(trial.id, purpose, failure),
        lines,
    }]
}

/// That a slot is out of use since the last sitting of `trial`, and others go on.
/// Where none does the study is paused, which tells why.
fn slot_lost(study: &Study, trial: &Trial, end: &SittingEnd) -> Option<Said> {
    let slot = trial.sittings.last()?.slot.clone();
    let goes_on = study
        .spec()
        .places()
        .iter()
        .any(|slot| !study.is_out_of_use(slot));
    if !study.is_out_of_use(&slot) || !goes_on {
        return None;
    }
    let SittingEnd::Finished(Outcome::Failed(failure)) = end else {
        return None;
    };
    let words = Words(study.spec().notify.language);
    let mut lines = words.failure(study, trial, failure);
    lines.push(words.slot_hint());
    Some(Said {
        kind: Kind::Abnormal,
        trial: Some(trial.id),
        title: words.slot_lost(slot.as_deref()?, failure),
        lines,
    })
}

const fn kind(failure: &Failure) -> Kind {
    match failure.kind {
        FailureKind::NotReady => Kind::Timeout,
        FailureKind::Died => Kind::Crashed,
        FailureKind::DiedInRuns | FailureKind::Task | FailureKind::AllRuns => Kind::Failed,
        FailureKind::SomeRuns | FailureKind::Host(_) => Kind::Abnormal,
    }
}

fn heartbeat_of(study: &Study) -> Said {
    let words = Words(study.spec().notify.language);
    Said {
        kind: Kind::Heartbeat,
        trial: None,
        title: words.heartbeat(study),
        lines: vec![words.counts(study), words.standing(study)],
    }
}
