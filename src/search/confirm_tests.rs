//! The confirmation of the winner on studies made up.

use super::*;
use crate::model::event::Event;
use crate::model::metric::Direction;
use crate::model::outcome::{Failure, FailureKind, HostFault};
use crate::model::params::Params;
use crate::model::spec::{Confirm, SamplerKind, Spec};
use crate::model::trial::Origin;
use crate::search::simulation::{Answer, Simulation, fails, list, space, spec, speed};

fn confirmed(runs: u32) -> Spec {
    let mut spec = spec(space(vec![list("N", "1 2 3", "")], &[]), SamplerKind::Grid);
    spec.confirm = Confirm { runs: Some(runs) };
    spec
}

/// A study whose trials 1, 2 and 3 have these speeds.
fn study(spec: Spec, speeds: [f64; 3]) -> Simulation {
    let mut simulation = Simulation::new(spec);
    let number = |params: &Params| {
        params
            .get("N")
            .map_or(0, |n| n.to_string().parse().unwrap_or(0))
    };
    let answers = |params: &Params| match number(params) {
        0 => fails(),
        n => Answer::Runs(vec![(speeds[n - 1], 1.0), (speeds[n - 1] + 0.1, 1.0)]),
    };
    simulation.run(9, answers);
    simulation
}

/// Makes the starts that are due, by what `answer` says of each; who was
/// started, in order.
fn play(simulation: &mut Simulation, answer: impl Fn(u32, usize) -> Answer) -> Vec<u32> {
    let mut started = Vec::new();
    while let Some((trial, purpose)) = next(&simulation.study) {
        simulation.again(trial, purpose, &answer(trial.0, started.len()));
        started.push(trial.0);
        assert!(started.len() < 100, "it has an end");
    }
    started
}

#[test]
fn the_two_take_turns_and_a_steady_drift_cancels() {
    let mut simulation = study(confirmed(4), [10.0, 20.0, 15.0]);
    let before = simulation.study.clone();
    // Each start gives 1 less than the last one.
    let started = play(&mut simulation, |trial, at| {
        speed(if trial == 1 { 100.0 } else { 150.0 } - at as f64)
    });
    assert_eq!(started, [1, 2, 2, 1, 1, 2, 2, 1]);
    let found = Confirmation::of(&simulation.study).expect("it has begun");
    assert!(found.is_over());
    assert_eq!((found.winner, found.starts, found.done), (TrialId(2), 4, 8));
    let comparison = found.comparison.expect("four each");
    // By what it was chosen it would be 100 % better.
    assert!((comparison.difference.estimate - 50.0).abs() < 1e-9);
    assert!(comparison.is_clear());
    // What the trials came out by is as it was.
    let study = &simulation.study;
    assert_eq!(
        study.incumbent().map(|t| t.id),
        before.incumbent().map(|t| t.id)
    );
    assert_eq!(
        (study.runs(), study.counts()),
        (before.runs(), before.counts())
    );
    assert_eq!(study.spread("speed"), before.spread("speed"));
    let objective = |study: &Study, id| study.objective(study.trial(TrialId(id)).expect("it"));
    assert_eq!(objective(study, 2), objective(&before, 2));
    // The journal alone tells it again.
    let again = Simulation::replay(study.spec(), &simulation.facts);
    assert_eq!(Confirmation::of(&again), Some(found));
}

#[test]
fn it_is_said_where_the_search_was_only_lucky() {
    let mut simulation = study(confirmed(3), [10.0, 20.0, 15.0]);
    let noise = [0.0, 3.0, -2.0, 1.0, -4.0, 2.0];
    play(&mut simulation, |_, at| speed(100.0 + noise[at]));
    let found = Confirmation::of(&simulation.study).expect("it has begun");
    assert!(!found.comparison.expect("three each").is_clear());
}

#[test]
fn without_anything_to_compare_there_is_none() {
    for (runs, speeds) in [(0, [1.0, 2.0, 3.0]), (3, [3.0, 2.0, 1.0])] {
        let mut simulation = study(confirmed(runs), speeds);
        assert!(play(&mut simulation, |_, _| speed(1.0)).is_empty());
        assert_eq!(Confirmation::of(&simulation.study), None);
        assert_eq!(time(&simulation.study), Duration::ZERO);
    }
    // A baseline that failed has nothing to be compared by.
    let mut simulation = Simulation::new(confirmed(3));
    simulation.run(9, |params| match params.get("N").map(ToString::to_string) {
        Some(first) if first == "1" => fails(),
        _ => speed(2.0),
    });
    assert!(play(&mut simulation, |_, _| speed(1.0)).is_empty());
}

#[test]
fn starts_that_fail_are_counted_and_those_cut_short_are_made_again() {
    let mut simulation = study(confirmed(2), [10.0, 20.0, 15.0]);
    let (first, purpose) = next(&simulation.study).expect("it is due");
    assert_eq!(first, TrialId(1));
    // The host's fault, and an interruption after a good run: both again.
    let fault = Answer::Fails(Failure {
        kind: FailureKind::Host(HostFault::PortTaken),
        step: None,
        ending: None,
        message: "taken".to_owned(),
        cause: None,
    });
    simulation.again(first, purpose, &fault);
    assert_eq!(simulation.study.host_faults(&None), 1);
    simulation.happen(Event::SittingStarted {
        trial: first,
        sitting: 3,
        purpose,
        token: String::new(),
        boot_id: "".into(),
        slot: None,
    });
    simulation.happen(Event::SittingEnded {
        trial: first,
        sitting: 3,
        end: SittingEnd::Interrupted,
        health: None,
    });
    assert_eq!(next(&simulation.study), Some((first, purpose)));
    let started = play(&mut simulation, |trial, at| match (trial, at) {
        (2, 1) => fails(),
        (2, _) => Answer::Runs(vec![(20.0, 0.25)]),
        _ => speed(10.0),
    });
    assert_eq!(started, [1, 2, 2, 1]);
    assert_eq!(simulation.study.host_faults(&None), 0);
    let found = Confirmation::of(&simulation.study).expect("it has begun");
    assert_eq!((found.baseline_failed, found.winner_failed), (0, 1));
    // One good start is too few to tell by, and misses the floor.
    assert_eq!(found.comparison, None);
    assert_eq!(found.missed.len(), 1);
    // A good trial stays good.
    assert_eq!(simulation.study.incumbent().map(|t| t.id), Some(TrialId(2)));
}

#[test]
fn another_winner_is_confirmed_anew() {
    let mut simulation = study(confirmed(2), [10.0, 20.0, 15.0]);
    play(&mut simulation, |trial, at| {
        speed(f64::from(trial * 10) + at as f64)
    });
    let mut faster = simulation
        .study
        .trial(TrialId(2))
        .expect("it")
        .params
        .clone();
    faster = simulation
        .study
        .params_of(&Trial::new(TrialId(9), faster, Origin::User));
    let trial = simulation.plan(&faster, Origin::User);
    simulation.work(trial, &Answer::Runs(vec![(30.0, 1.0), (31.0, 1.0)]));
    assert_eq!(Confirmation::of(&simulation.study), None);
    let started = play(&mut simulation, |trial, at| {
        speed(f64::from(trial * 10) + at as f64)
    });
    assert_eq!(started, [1, 4, 4, 1]);
    let found = Confirmation::of(&simulation.study).expect("it has begun");
    assert_eq!((found.winner, found.done), (TrialId(4), 4));
}

#[test]
fn less_may_be_better() {
    let mut spec = confirmed(3);
    spec.objective.direction = Direction::Minimize;
    let mut simulation = study(spec, [20.0, 10.0, 15.0]);
    play(&mut simulation, |trial, at| {
        speed(f64::from(30 - 10 * trial) + 0.1 * at as f64)
    });
    let found = Confirmation::of(&simulation.study).expect("it has begun");
    let gain = found.comparison.expect("three each").gain.expect("above 0");
    assert!(gain.low > 0.4 && gain.high < 0.6, "{gain:?}");
}

#[test]
fn the_time_of_it_is_known_from_the_trials() {
    // A run takes a second in these; nothing has to be started.
    let simulation = study(confirmed(5), [10.0, 20.0, 15.0]);
    let mut spec = Spec::clone(simulation.study.spec());
    spec.steps = vec![crate::search::simulation::measure("measure", 2, &["speed"])];
    let study = Simulation::replay(&spec.into(), &simulation.facts);
    assert_eq!(time(&study), Duration::from_secs(10));
}
