//! Two slots: what is begun when, and what waits.

use super::*;
use crate::base::secret::Source;
use crate::exec::report::CauseReport;
use crate::model::advice::{Advice, Answer};
use crate::model::approval::Approve;
use crate::model::notify::{Channel, Kind, Target};
use crate::model::remedy::Remedy;
use crate::model::slot::Slot;
use crate::model::value::Value;
use crate::wire::request::Instead;

const A: TrialId = TrialId(2);
const B: TrialId = TrialId(3);

fn slot(name: &str) -> Slot {
    Slot {
        name: name.into(),
        env: Vec::new(),
        port: None,
    }
}

fn with_slots() -> Spec {
    let mut spec = spec();
    spec.slots = vec![slot("a"), slot("b")];
    spec
}

/// Hands in an input at a later time than all before.
fn take(table: &mut Table, input: Input) -> Vec<Effect> {
    let study = &table.state.study;
    let now = 1_000 + 10 * study.results() as i64 + study.trials().len() as i64;
    let context = Context {
        now: Timestamp::from_millis(now),
        token: "0123456789abcdef",
        boot_id: "boot",
    };
    let decision = decide(&mut table.state, input, &context);
    for fact in &decision.facts {
        let study = Arc::make_mut(&mut table.state.study);
        study.apply(fact).expect("a fact that fits");
    }
    decision.effects
}

/// Hands in inputs until nothing more follows by itself; all other effects.
fn settle(table: &mut Table, input: Input) -> Vec<Effect> {
    let mut inputs = vec![input];
    let mut effects = Vec::new();
    while let Some(input) = inputs.pop() {
        for effect in take(table, input) {
            match effect {
                Effect::Ask => inputs.push(ask(&table.state.study)),
                Effect::Look => inputs.insert(0, Input::Look),
                other => effects.push(other),
            }
        }
    }
    effects
}

fn over(table: &mut Table, trial: TrialId, sitting: u32, result: SittingResult) -> Vec<Effect> {
    settle(
        table,
        Input::SittingOver {
            trial,
            sitting,
            result,
        },
    )
}

/// What starts of these.
fn starts(effects: &[Effect]) -> Vec<(u32, u32)> {
    let starts = effects.iter().filter_map(|effect| match effect {
        Effect::StartSitting { trial, sitting } => Some((trial.0, *sitting)),
        _ => None,
    });
    starts.collect()
}

fn slot_of(table: &Table, trial: TrialId) -> Option<String> {
    let trial = table.state.study.trial(trial)?;
    let slot = trial.sittings.last()?.slot.clone()?;
    Some(slot.to_string())
}

/// The trials 2 and 3 run, in the slots a and b; the baseline was measured alone
/// and beside the first of them.
fn both_run(spec: Spec) -> Table {
    let mut table = Table::new(spec);
    let digest = "d".to_owned();
    let began = settle(&mut table, Input::Begin { digest, host: None });
    assert_eq!(began, [START], "the baseline, alone");
    table.run_ended(1);
    table.run_ended(2);
    let effects = over(&mut table, TrialId(1), 1, SittingResult::Good);
    assert_eq!(starts(&effects), [(2, 1), (1, 2)]);
    let purpose = |table: &Table| {
        let trial = table.state.study.trial(TrialId(1));
        trial.map(|trial| trial.purpose_of(2))
    };
    assert_eq!(purpose(&table), Some(Purpose::Neighbours));
    let report = RunReport {
        step: "eval".to_owned(),
        number: 1,
        elapsed: Duration::from_secs(1),
        ending: EndingReport::Exited(0),
        metrics: vec![("speed".to_owned(), 9.0), ("quality".to_owned(), 0.9)],
        fault: None,
    };
    table.take(Input::Report {
        trial: TrialId(1),
        sitting: 2,
        at: Timestamp::from_millis(2_000),
        report: Report::RunEnded(report),
    });
    let effects = over(&mut table, TrialId(1), 2, SittingResult::Good);
    assert_eq!(starts(&effects), [(3, 1)]);
    assert_eq!(slot_of(&table, A).as_deref(), Some("a"));
    assert_eq!(slot_of(&table, B).as_deref(), Some("b"));
    table
}

#[test]
fn one_sitting_a_decision_and_the_next_look_fills_the_other_slot() {
    let table = both_run(with_slots());
    let running = table.state.study.all_running();
    let running: Vec<TrialId> = running.map(|trial| trial.id).collect();
    assert_eq!(running, [A, B]);
    let found = search::neighbours::Disturbance::of(&table.state.study).expect("it was measured");
    assert_eq!((found.alone, found.beside), (10.0, 9.0));
    assert!((found.difference + 0.1).abs() < 1e-9, "{found:?}");
}

#[test]
fn an_end_is_for_all_and_the_last_one_leaves() {
    let mut table = both_run(with_slots());
    let ends = table.take(Input::Stop(Urgency::Orderly));
    let end = |trial| Effect::EndSitting(trial, Urgency::Orderly);
    assert_eq!(ends, [end(A), end(B)]);
    let effects = over(&mut table, B, 1, SittingResult::Interrupted);
    assert!(!effects.contains(&Effect::Leave), "{effects:?}");
    let effects = over(&mut table, A, 1, SittingResult::Interrupted);
    assert_eq!(effects.last(), Some(&Effect::Leave));
}

#[test]
fn an_answer_is_thrown_away_when_the_neighbour_has_told_more_meanwhile() {
    let mut spec = with_slots();
    spec.space = simulation::space(vec![simulation::list("N", "1 2 3 4 5 6", "")], &[]);
    spec.search.sampler = SamplerKind::Random;
    let mut table = both_run(spec);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    let over = Input::SittingOver {
        trial: B,
        sitting: 1,
        result: SittingResult::Good,
    };
    assert_eq!(table.take(over).last(), Some(&Effect::Ask));
    let late = ask(&table.state.study);
    table.measured(2, 1, 11.0);
    assert_eq!(table.take(late), [Effect::Ask]);
    assert_eq!(table.state.study.trials().len(), 3);
    let timely = ask(&table.state.study);
    assert_eq!(starts(&table.take(timely)), [(4, 1)]);
}

#[test]
fn a_slot_with_faults_in_a_row_is_out_of_use_and_the_other_goes_on() {
    let mut table = both_run(with_slots());
    for sitting in 1..=HOST_FAULTS_MAX {
        let effects = over(&mut table, B, sitting, port_taken());
        let starts = starts(&effects);
        if sitting < HOST_FAULTS_MAX {
            assert_eq!(starts, [(3, sitting + 1)]);
            assert_eq!(slot_of(&table, B).as_deref(), Some("b"));
        } else {
            assert_eq!(starts, [], "{effects:?}");
            let said = |effect: &Effect| matches!(effect, Effect::Warn(text) if text.contains("slot b is out of use"));
            assert!(effects.iter().any(said), "{effects:?}");
        }
    }
    assert_eq!(*table.phase(), Phase::Active);
    // The trial goes on where there is a slot.
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    let effects = over(&mut table, A, 1, SittingResult::Good);
    assert_eq!(starts(&effects), [(3, HOST_FAULTS_MAX + 1)]);
    assert_eq!(slot_of(&table, B).as_deref(), Some("a"));
    // Only when no slot is left the study is paused.
    for sitting in 1..=HOST_FAULTS_MAX {
        over(&mut table, B, HOST_FAULTS_MAX + sitting, port_taken());
    }
    assert!(matches!(table.phase(), Phase::Paused(_)));
}

/// The titles of what a channel is told that wants everything.
fn told(table: &Table) -> Vec<String> {
    let outbox = table.state.study.outbox();
    let waiting = outbox.waiting("all");
    waiting.map(|one| one.notice.title.clone()).collect()
}

#[test]
fn a_slot_out_of_use_is_told_once_and_tried_again_when_the_spec_has_changed_it() {
    let mut spec = with_slots();
    spec.notify.channels = vec![Channel {
        name: "all".into(),
        kinds: vec![Kind::Abnormal, Kind::Paused],
        fallback: false,
        ca: None,
        target: Target::Webhook {
            url: Source::Env("URL".to_owned()),
            body: None,
        },
    }];
    let mut table = both_run(spec.clone());
    for sitting in 1..=HOST_FAULTS_MAX {
        over(&mut table, B, sitting, port_taken());
    }
    let first = "trial 3 is held up by the host: port 1 is held";
    let lost = "slot b is out of use after 5 faults of the host in a row: port 1 is held";
    assert_eq!(told(&table), [first, lost]);
    let outbox = table.state.study.outbox();
    let hint = outbox
        .waiting("all")
        .last()
        .map(|one| one.notice.text.clone());
    assert!(hint.is_some_and(|hint| hint.ends_with("that is mended: autotunectl resume")));
    // Another spec with the same slot changes nothing.
    rewrite(&mut table, spec.clone());
    assert_eq!(starts(&settle(&mut table, Input::Look)), []);
    spec.slots[1].port = Some(4711);
    rewrite(&mut table, spec);
    let started = starts(&settle(&mut table, Input::Look));
    assert_eq!(started, [(3, HOST_FAULTS_MAX + 1)]);
    assert_eq!(slot_of(&table, B).as_deref(), Some("b"));
    // The last slot is told by the pause alone.
    for sitting in 1..=HOST_FAULTS_MAX {
        over(&mut table, A, sitting, port_taken());
        over(&mut table, B, HOST_FAULTS_MAX + sitting, port_taken());
    }
    let told = told(&table);
    let paused = told.last().expect("a notice");
    assert!(paused.starts_with("paused: 5 times in a row"), "{told:?}");
    let lost = told.iter().filter(|title| title.starts_with("slot"));
    assert_eq!(lost.count(), 2, "{told:?}");
}

#[test]
fn a_remedy_is_tried_beside_what_runs() {
    let mut spec = with_slots();
    spec.space = simulation::space(vec![simulation::list("N", "64 32 16 8 4 2 1", "")], &[]);
    spec.search.sampler = SamplerKind::Random;
    spec.remedies = vec![Remedy {
        trouble: "gpu-out-of-memory".into(),
        halve: vec!["N".into()],
        double: Vec::new(),
        set: Vec::new(),
    }];
    let mut table = both_run(spec);
    let mut broke = port_taken();
    if let SittingResult::Failed(failure) = &mut broke {
        failure.kind = FailureKind::Died.name().to_owned();
        failure.cause = Some(CauseReport {
            name: "gpu-out-of-memory".to_owned(),
            hint: String::new(),
            line: String::new(),
        });
    }
    let study = &table.state.study;
    let failed = &study.trial(A).expect("a trial").params;
    let remedied = study.spec().remedies[0].apply(&study.spec().space, failed);
    let remedied = remedied.expect("half of it");
    over(&mut table, A, 1, broke);
    let newest = table.state.study.trial(TrialId(4)).expect("another trial");
    assert_eq!(
        (&newest.params, newest.origin),
        (&remedied, Origin::Remedy { of: A })
    );
    assert_eq!(slot_of(&table, TrialId(4)).as_deref(), Some("a"));
    assert_eq!(table.state.study.all_running().count(), 2);
}

#[test]
fn a_slot_that_a_reload_adds_is_used_at_once() {
    let mut spec = with_slots();
    spec.space = simulation::space(vec![simulation::list("N", "1 2 3 4 5 6", "")], &[]);
    spec.search.sampler = SamplerKind::Random;
    let mut table = both_run(spec.clone());
    spec.slots.push(slot("c"));
    rewrite(&mut table, spec);
    assert_eq!(starts(&settle(&mut table, Input::Look)), [(4, 1)]);
    assert_eq!(slot_of(&table, TrialId(4)).as_deref(), Some("c"));
}

#[test]
fn a_proposal_waits_while_the_neighbour_goes_on() {
    let mut spec = with_slots();
    spec.space = simulation::space(vec![simulation::list("N", "1 2 3 4 5 6", "")], &[]);
    spec.search.sampler = SamplerKind::Random;
    let mut table = both_run(spec.clone());
    spec.approval.of = Approve::Trial;
    rewrite(&mut table, spec);
    table.state.company.served = true;
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    assert_eq!(starts(&over(&mut table, A, 1, SittingResult::Good)), []);
    let number = |table: &Table| table.state.study.pending().map(|one| one.proposal.number);
    assert_eq!(number(&table), Some(1));
    // New results do not take it back, and make no second one.
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    assert_eq!(starts(&over(&mut table, B, 1, SittingResult::Good)), []);
    assert_eq!(number(&table), Some(1));
    let approve = Steer::Approve {
        number: None,
        instead: Instead::Nothing,
    };
    let (reply, _answer) = oneshot::channel();
    let by = By::User { uid: 7, name: None };
    let request = Input::Request {
        steer: approve,
        by,
        reply,
    };
    assert_eq!(starts(&settle(&mut table, request)), [(4, 1)]);
    assert_eq!(slot_of(&table, TrialId(4)).as_deref(), Some("a"));
    // The other slot has the next proposal.
    assert_eq!(number(&table), Some(2));
}

/// The slot that is free waits for the advisor's answer; what the neighbour
/// tells meanwhile makes that no older, and is told with the next question.
#[test]
fn the_advisor_is_asked_once_while_the_neighbour_goes_on() {
    let mut spec = with_slots();
    spec.space = simulation::space(vec![simulation::list("N", "1 2 3 4 5 6", "")], &[]);
    spec.search.sampler = SamplerKind::Random;
    let mut table = both_run(spec.clone());
    let mut advisor = simulation::advisor();
    advisor.share = 1.0;
    spec.advisor = Some(advisor);
    rewrite(&mut table, spec);
    let question = Effect::Consult(Question::Params);
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    let effects = over(&mut table, A, 1, SittingResult::Good);
    assert_eq!(effects.last(), Some(&question));
    let study = Arc::clone(&table.state.study);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    let effects = over(&mut table, B, 1, SittingResult::Good);
    assert!(!effects.contains(&question), "{effects:?}");
    assert_eq!(starts(&effects), []);
    let space = &study.spec().space;
    let mut left = (1..=6).filter_map(|n| {
        let base = space.baseline().ok()?;
        let params = space.with(&base, "N", &Value::from(n.to_string().as_str()));
        params.ok().filter(|params| study.is_new(params))
    });
    let proposed = left.next().expect("something new");
    let mut advice = Advice::none(Question::Params, String::new());
    advice.answer = Ok(Answer::Params(proposed.clone()));
    advice.usage.requests = 1;
    let consulted = Input::Consulted {
        trials: study.trials().len(),
        revision: study.revision(),
        advice,
    };
    let effects = settle(&mut table, consulted);
    assert_eq!(starts(&effects), [(4, 1)]);
    let newest = table.state.study.trial(TrialId(4)).expect("a trial");
    assert_eq!(newest.params, proposed);
    // The other slot has a question of its own.
    assert_eq!(effects.last(), Some(&question));
}

#[test]
fn a_budget_that_is_used_up_lets_the_neighbour_finish() {
    let mut spec = with_slots();
    spec.budget.trials = Some(3);
    spec.confirm.runs = Some(1);
    let mut table = both_run(spec);
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    assert_eq!(starts(&over(&mut table, A, 1, SittingResult::Good)), []);
    assert_eq!(*table.phase(), Phase::Active);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    // What confirms the best is alone again.
    let effects = over(&mut table, B, 1, SittingResult::Good);
    assert_eq!(starts(&effects).len(), 1, "{effects:?}");
    assert!(table.state.study.runs_alone());
    assert_eq!(settle(&mut table, Input::Look), []);
}

#[test]
fn a_check_for_drift_waits_until_it_is_alone() {
    let mut spec = with_slots();
    spec.search.recheck = Some(2);
    let mut table = both_run(spec);
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    // Two were begun since the baseline: nothing new until it was looked at.
    assert_eq!(starts(&over(&mut table, A, 1, SittingResult::Good)), []);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    let effects = over(&mut table, B, 1, SittingResult::Good);
    let [(1, sitting)] = starts(&effects)[..] else {
        panic!("{effects:?}")
    };
    let trial = table.state.study.trial(TrialId(1)).expect("the baseline");
    assert_eq!(trial.purpose_of(sitting), Purpose::Check);
    assert_eq!(settle(&mut table, Input::Look), []);
}

#[test]
fn nothing_starts_beside_what_runs_in_a_slot_that_is_gone() {
    let mut table = both_run(with_slots());
    let study = Arc::make_mut(&mut table.state.study);
    let mut spec = with_slots();
    spec.slots = vec![slot("c"), slot("d"), slot("e")];
    study.rewrite(Arc::new(spec));
    assert_eq!(settle(&mut table, Input::Look), []);
    over(&mut table, A, 1, SittingResult::Interrupted);
    assert_eq!(table.state.study.all_running().count(), 1);
    let effects = over(&mut table, B, 1, SittingResult::Interrupted);
    assert_eq!(starts(&effects)[..2], [(2, 2), (3, 2)]);
}

/// A task that is no step of a trial.
fn task(name: &str) -> Vec<Step> {
    let mut task = spec().steps.swap_remove(0);
    task.name = name.into();
    task.kind = StepKind::Task {
        timeout: Duration::from_secs(60),
    };
    task.metrics.clear();
    vec![task]
}

fn rewrite(table: &mut Table, spec: Spec) {
    Arc::make_mut(&mut table.state.study).rewrite(Arc::new(spec));
}

fn purpose_of(table: &Table, trial: TrialId, sitting: u32) -> Option<Purpose> {
    let trial = table.state.study.trial(trial)?;
    Some(trial.sitting(sitting)?.purpose)
}

#[test]
fn what_follows_a_new_best_waits_until_it_is_alone() {
    let mut table = both_run(with_slots());
    let mut spec = with_slots();
    spec.incumbent = task("deploy");
    rewrite(&mut table, spec);
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    assert_eq!(starts(&over(&mut table, A, 1, SittingResult::Good)), []);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    // The best by then, and only that.
    let effects = over(&mut table, B, 1, SittingResult::Good);
    assert_eq!(starts(&effects), [(3, 2)]);
    assert_eq!(purpose_of(&table, B, 2), Some(Purpose::Incumbent));
    assert_eq!(settle(&mut table, Input::Look), []);
}

#[test]
fn the_pre_flight_waits_until_it_is_alone_and_then_all_slots_work() {
    let list = || simulation::space(vec![simulation::list("N", "1 2 3 4 5 6", "")], &[]);
    let mut spec = with_slots();
    spec.space = list();
    spec.search.sampler = SamplerKind::Random;
    let mut table = both_run(spec.clone());
    spec.preflight = task("look");
    rewrite(&mut table, spec);
    table.measured(2, 1, 11.0);
    table.measured(2, 2, 11.0);
    assert_eq!(starts(&over(&mut table, A, 1, SittingResult::Good)), []);
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    let effects = over(&mut table, B, 1, SittingResult::Good);
    assert_eq!(starts(&effects), [(4, 1)]);
    assert_eq!(purpose_of(&table, TrialId(4), 1), Some(Purpose::Preflight));
    assert_eq!(settle(&mut table, Input::Look), []);
    let effects = over(&mut table, TrialId(4), 1, SittingResult::Good);
    assert_eq!(starts(&effects), [(4, 2), (5, 1)]);
    assert_eq!(purpose_of(&table, TrialId(4), 2), Some(Purpose::Measure));
}

#[test]
fn a_trial_that_runs_is_not_started_again() {
    let mut table = both_run(with_slots());
    table.measured(3, 1, 12.0);
    table.measured(3, 2, 12.0);
    let over = Input::SittingOver {
        trial: B,
        sitting: 1,
        result: SittingResult::Good,
    };
    table.take(over);
    let study = &table.state.study;
    let again = Input::Asked {
        trials: study.trials().len(),
        revision: study.revision(),
        results: study.results(),
        ask: Ask::Run(A),
        choice: None,
    };
    assert_eq!(starts(&table.take(again)), []);
}
