//! What is told of a study in which much happens, and when.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::base::clock::Timestamp;
use crate::model::advice::{Advice, Question};
use crate::model::approval::Proposal;
use crate::model::event::{Event, Fact};
use crate::model::notice::Notice;
use crate::model::notify::{Channel, Kind, Language, Target};
use crate::model::outcome::{Cause, Ending, Failure, FailureKind, HostFault};
use crate::model::reason;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::TrialId;
use crate::notify::{heartbeat, with_notices};
use crate::search::simulation::{Answer, Simulation, list, space, spec, speed};

fn channel(name: &str, kinds: &[Kind]) -> Channel {
    Channel {
        name: name.into(),
        kinds: kinds.to_vec(),
        fallback: false,
        ca: None,
        target: Target::Webhook {
            url: crate::base::secret::Source::Env("URL".to_owned()),
            body: None,
        },
    }
}

fn told(language: Language) -> Spec {
    let space = space(vec![list("SEQS", "512 1024 1536", "")], &[]);
    let mut spec = spec(space, SamplerKind::Grid);
    spec.approval.timeout = Some(std::time::Duration::from_secs(1800));
    spec.notify.language = language;
    spec.notify.channels = vec![channel("all", &Kind::ALL), channel("best", &[Kind::Best])];
    spec.notify.trial_done_every = 2;
    spec.notify.heartbeat_trials = Some(3);
    spec
}

fn failure(kind: FailureKind) -> Answer {
    let cause = (kind == FailureKind::Died).then(|| Cause {
        name: "gpu-out-of-memory".to_owned(),
        hint: "lower SEQS".to_owned(),
        line: "\u{1b}[31mCUDA out of memory".to_owned(),
    });
    Answer::Fails(Failure {
        kind,
        step: Some("serve".into()),
        ending: Some(Ending::Exited(1)),
        message: reason::DIED_UNREADY.say([&Ending::Exited(1)]),
        cause,
    })
}

/// The facts of a study in which much happens.
fn story(spec: Spec) -> Simulation {
    let mut simulation = Simulation::new(spec);
    let digest = String::new();
    simulation.happen(Event::Opened { digest });
    let good = |runs: &[f64]| Answer::Runs(runs.iter().map(|run| (*run, 1.0)).collect());
    let answers = [
        good(&[50.0, 52.0]),
        failure(FailureKind::Died),
        failure(FailureKind::NotReady),
        speed(70.0),
        Answer::Runs(vec![(90.0, 0.1)]),
        failure(FailureKind::SomeRuns),
        failure(FailureKind::AllRuns),
        failure(FailureKind::Host(HostFault::PortTaken)),
    ];
    let values = simulation.study.spec().space.clone();
    for (index, answer) in answers.iter().enumerate() {
        let at = index as f64 / 8.0;
        let params = values.choose(|p| p.domain.at(at)).expect("params");
        simulation.try_params(&params, crate::model::trial::Origin::Sampler, answer);
    }
    let paused = |reason: &str, by_user| Event::Paused {
        reason: reason.to_owned(),
        by_user,
    };
    simulation.happen(paused(
        &reason::HOST_FAULTS.say([&5, &"CUDA is lost"]),
        false,
    ));
    simulation.happen(Event::Resumed);
    simulation.happen(paused("a user asked for it", true));
    simulation.happen(Event::Resumed);
    let params = values.choose(|p| p.domain.at(0.9)).expect("params");
    let proposal = Proposal {
        number: 4,
        params,
        choice: None,
        against: Some(TrialId(4)),
        parameter: Some("SEQS".into()),
    };
    simulation.happen(Event::ApprovalAsked(Arc::new(proposal)));
    let reason = reason::TRIALS_USED_UP.say([&8, &reason::plural(8)]);
    simulation.happen(Event::Done { reason });
    simulation
}

/// The notices that a study's facts give, one decision each.
fn notices(spec: Spec) -> (Study, Vec<Arc<Notice>>) {
    let facts = story(spec.clone()).facts;
    let mut study = Study::new(Arc::new(spec));
    let mut notices = Vec::new();
    for fact in facts {
        for fact in with_notices(&study, vec![fact]) {
            study.apply(&fact).expect("it fits");
            if let Event::NoticeQueued(notice) = fact.event {
                notices.push(notice);
            }
        }
    }
    (study, notices)
}

fn page(spec: Spec) -> String {
    let (_, notices) = notices(spec);
    let page = notices.iter().map(|notice| {
        let channels = notice.channels.join(", ");
        let text: Vec<String> = notice
            .text
            .lines()
            .map(|line| format!("    {line}"))
            .collect();
        let kind = notice.kind.name();
        format!(
            "{} {kind} ({channels})\n  {}\n{}\n",
            notice.id,
            notice.title,
            text.join("\n")
        )
    });
    page.collect()
}

#[test]
fn what_is_told_in_english() {
    assert_snapshot!(page(told(Language::English)));
}

#[test]
fn what_is_told_in_chinese() {
    assert_snapshot!(page(told(Language::Chinese)));
}

#[test]
fn nobody_is_told_what_no_channel_wants() {
    let mut spec = told(Language::English);
    spec.notify.channels = vec![channel("done", &[Kind::Done])];
    let (study, all) = notices(spec.clone());
    assert_eq!(all.len(), 1);
    assert_eq!(study.outbox().waiting("done").count(), 1);
    spec.notify.channels.clear();
    assert!(notices(spec).1.is_empty());
}

/// A notice stands right behind what it tells, before the next trial starts:
/// that start may never come.
#[test]
fn a_notice_follows_its_fact() {
    let spec = told(Language::English);
    let facts = story(spec.clone()).facts;
    let all = with_notices(&Study::new(Arc::new(spec)), facts.clone());
    let without: Vec<Fact> = all
        .iter()
        .filter(|fact| !matches!(fact.event, Event::NoticeQueued(_)))
        .cloned()
        .collect();
    assert_eq!(without, facts);
    assert!(matches!(all[0].event, Event::Opened { .. }));
    assert!(matches!(&all[1].event, Event::NoticeQueued(notice) if notice.kind == Kind::Start));
    for (before, fact) in all.iter().zip(&all[1..]) {
        if let Event::NoticeQueued(notice) = &fact.event {
            let of_next = ["trial-planned", "sitting-started"];
            let late = of_next.contains(&before.event.name());
            assert!(!late, "{} after {}", notice.title, before.event.name());
        }
    }
}

/// By the last of its questions, and not again by those that are never sent.
#[test]
fn a_silent_advisor_is_told_of_once() {
    for (language, words) in [
        (Language::English, "3 questions in a row unanswered"),
        (Language::Chinese, "连续 3 次没有回答"),
    ] {
        let mut study = Study::new(Arc::new(told(language)));
        let mut notices = Vec::new();
        for requests in [1, 1, 1, 0, 0] {
            let mut advice = Advice::none(Question::Plan, "it answers 401".to_owned());
            advice.usage.requests = requests;
            let at = Timestamp::from_millis(1);
            let event = Event::Advised(advice.into());
            for fact in with_notices(&study, vec![Fact { at, event }]) {
                study.apply(&fact).expect("it fits");
                if let Event::NoticeQueued(notice) = fact.event {
                    notices.push(notice);
                }
            }
        }
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].title.contains(words), "{}", notices[0].title);
        assert_eq!(notices[0].text, "it answers 401");
    }
}

#[test]
fn a_heartbeat_is_for_a_study_that_goes_on() {
    let spec = told(Language::English);
    let study = Study::new(Arc::new(spec.clone()));
    let at = Timestamp::from_millis(1);
    assert_eq!(heartbeat(&study, at).len(), 1);
    let (done, _) = notices(spec);
    assert!(heartbeat(&done, at).is_empty());
}
