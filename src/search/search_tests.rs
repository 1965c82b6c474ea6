//! Tests of the samplers on made-up studies.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::count::{Planned, preview, trials};
use super::simulation::{Answer, Simulation, fails, int, list, measure, space, spec, speed};
use super::{Ask, ask};
use crate::model::domain::{Domain, Scale};
use crate::model::event::{Event, Fact};
use crate::model::metric::Constraint;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::{Origin, Purpose, SittingEnd, Trial, TrialId};
use crate::model::value::{Finite, Value};

fn keys(params: &[Params]) -> Vec<String> {
    params.iter().map(Params::key).collect()
}

fn params(space: &Space, values: &[(&str, &str)]) -> Params {
    let given: BTreeMap<String, Value> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect();
    space.check(&given).expect("params that are allowed")
}

/// Two lists, and a program whose speed is the digit of A, twice counted, plus
/// that of B.
fn two_lists() -> Space {
    space(vec![list("A", "1 2 3", ""), list("B", "1 2 3", "")], &[])
}

fn digits(params: &Params) -> f64 {
    let digit = |name| params.get(name).and_then(Value::number).unwrap_or(0.0);
    2.0 * digit("A") + digit("B")
}

#[test]
fn coordinate_goes_up_one_parameter_at_a_time() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    let (asked, why) = simulation.run(99, |params| speed(digits(params)));
    assert_eq!(
        keys(&asked),
        [
            "A=1|B=1", "A=2|B=1", "A=3|B=1", "A=3|B=2", "A=3|B=3", "A=1|B=3", "A=2|B=3"
        ]
    );
    assert_eq!(
        why.as_deref(),
        Some("no value of any parameter is better: a whole pass changed nothing")
    );
}

#[test]
fn coordinate_says_when_its_passes_are_over() {
    let mut one_pass = spec(two_lists(), SamplerKind::Coordinate);
    one_pass.search.passes = 1;
    let (asked, why) = Simulation::new(one_pass).run(99, |params| speed(digits(params)));
    assert_eq!(asked.len(), 5);
    assert_eq!(
        why.as_deref(),
        Some("the one pass over 2 parameters is done")
    );
}

/// The reference's fault 1: what was tried of a group before a restart was no
/// candidate after it.
#[test]
fn a_half_done_group_is_taken_up_whole() {
    let spec = Arc::new(spec(two_lists(), SamplerKind::Coordinate));
    let mut before = Simulation::new((*spec).clone());
    // The best value of A is tried before the restart, the worse after it.
    let program = |params: &Params| match params.key().as_str() {
        "A=2|B=1" => speed(9.0),
        key if key.starts_with("A=3") => speed(2.0),
        _ => speed(1.0),
    };
    before.run(2, program);
    let mut after = Simulation::new((*spec).clone());
    after.study = Simulation::replay(&spec, &before.facts);
    let (asked, _) = after.run(2, program);
    assert_eq!(keys(&asked), ["A=3|B=1", "A=2|B=2"], "A=2 won its group");
}

/// The reference's fault 2: the value that the base has already was skipped
/// and so was no candidate, and a worse one took its place.
#[test]
fn the_incumbent_competes_in_every_group() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    let program = |params: &Params| match params.key().as_str() {
        "A=2|B=1" => speed(9.0),
        key if key.ends_with("B=1") => speed(1.0),
        _ => speed(5.0),
    };
    let (asked, _) = simulation.run(99, program);
    assert_eq!(
        keys(&asked),
        ["A=1|B=1", "A=2|B=1", "A=3|B=1", "A=2|B=2", "A=2|B=3"],
        "no value of B is better, so the second pass starts from A=2|B=1 and finds all done"
    );
    let incumbent = simulation.study.incumbent().expect("feasible trials");
    assert_eq!(incumbent.params.key(), "A=2|B=1");
}

#[test]
fn infeasible_trials_lead_to_feasible_ones() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    // Faster where quality is worse; only A=3, B=3 is good enough.
    let program = |params: &Params| {
        let good = digits(params) / 17.0;
        Answer::Runs(vec![(1.0 - good, good)])
    };
    simulation.run(99, program);
    let incumbent = simulation.study.incumbent().expect("one is feasible");
    assert_eq!(incumbent.params.key(), "A=3|B=3");
}

#[test]
fn where_everything_fails_the_baseline_stays_the_base() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    let (asked, why) = simulation.run(99, |_| fails());
    assert_eq!(
        keys(&asked),
        ["A=1|B=1", "A=2|B=1", "A=3|B=1", "A=1|B=2", "A=1|B=3"]
    );
    assert!(why.is_some());
}

#[test]
fn a_trial_that_somebody_added_can_become_the_base() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    let flat = |params: &Params| speed(if params.key() == "A=3|B=3" { 7.0 } else { 1.0 });
    simulation.run(99, flat);
    assert!(matches!(ask(&simulation.study), Ask::Exhausted(_)));
    // After the end of the first pass, which changed nothing.
    let added = params(&two_lists(), &[("A", "3"), ("B", "3")]);
    simulation.try_params(&added, Origin::Imported, &flat(&added));
    let (asked, _) = simulation.run(99, flat);
    assert_eq!(keys(&asked), ["A=2|B=3", "A=3|B=2"]);
}

#[test]
fn imported_trials_of_another_space_are_no_base() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    for pairs in [vec![("A", "9"), ("B", "1")], vec![("C", "1")]] {
        let pairs = pairs.iter().map(|(n, v)| ((*n).into(), Value::from(*v)));
        let alien = Params::recorded(pairs);
        simulation.try_params(&alien, Origin::Imported, &speed(100.0));
    }
    let (asked, _) = simulation.run(99, |params| speed(digits(params)));
    assert_eq!(asked.last().map(Params::key).as_deref(), Some("A=2|B=3"));
    assert!(asked.iter().all(|params| digits(params) >= 3.0));
}

#[test]
fn what_is_not_settled_is_waited_for_where_it_decides() {
    let mut simulation = Simulation::new(spec(two_lists(), SamplerKind::Coordinate));
    simulation.run(2, |params| speed(digits(params)));
    let Ask::Try(last) = ask(&simulation.study) else {
        panic!("the group has one more")
    };
    let trial = simulation.plan(&last, Origin::Sampler);
    assert_eq!(ask(&simulation.study), Ask::Wait);
    // Interrupted: it is still not settled, and goes on later.
    simulation.happen(Event::SittingStarted {
        trial,
        sitting: 1,
        purpose: Purpose::Measure,
        token: String::new(),
        boot_id: "".into(),
        slot: None,
    });
    simulation.happen(Event::SittingEnded {
        trial,
        sitting: 1,
        end: SittingEnd::Interrupted,
        health: None,
    });
    assert_eq!(ask(&simulation.study), Ask::Wait);
    simulation.work(trial, &speed(6.0));
    assert!(matches!(ask(&simulation.study), Ask::Try(next) if next.key() == "A=3|B=2"));
    simulation.happen(Event::TrialReopened { trial: TrialId(2) });
    assert_eq!(ask(&simulation.study), Ask::Wait);
}

#[test]
fn a_baseline_that_breaks_a_rule_is_said_and_not_tried() {
    let space = space(vec![list("A", "1 2", "")], &["A > 1"]);
    for sampler in SamplerKind::ALL {
        let study = Study::new(Arc::new(spec(space.clone(), sampler)));
        let Ask::Exhausted(why) = ask(&study) else {
            panic!("{sampler:?} asks for something")
        };
        assert_eq!(
            why,
            "the baseline cannot be tried: the rule `A > 1` does not hold"
        );
    }
}

#[test]
fn a_large_grid_is_not_slow() {
    let wheels = (0..4).map(|i| int(&format!("P{i}"), 1, 10, Scale::Linear, ""));
    let mut spec = spec(space(wheels.collect(), &[]), SamplerKind::Grid);
    spec.search.levels = 10;
    assert_eq!(trials(&spec), Planned::Exactly(10_000));
    let mut simulation = Simulation::new(spec);
    // Were an ask to look at all that is tried, this would be 50 million looks.
    let (asked, why) = simulation.run(20_000, |_| fails());
    assert_eq!(asked.len(), 10_000);
    assert_eq!(
        why.as_deref(),
        Some("every combination of the grid has been tried")
    );
}

#[test]
fn random_ends_a_small_space_and_never_a_large_one() {
    let small = space(
        vec![int("N", 1, 200, Scale::Log, "")],
        &["N % 2 == 0 or N == 11"],
    );
    let mut small = spec(small, SamplerKind::Random);
    small.space = {
        let mut parameters = small.space.parameters().to_vec();
        parameters[0].base = Value::Int(2);
        Space::new(parameters, small.space.rules().to_vec()).expect("a space")
    };
    assert_eq!(trials(&small), Planned::Exactly(101));
    let (asked, why) = Simulation::new(small).run(999, |_| fails());
    assert_eq!(asked.len(), 101);
    assert_eq!(
        why.as_deref(),
        Some("every combination of the space has been tried")
    );

    let domain = Domain::float(1e-5, 1e-3, Scale::Log).expect("a range");
    let mut parameters = vec![list("A", "1 2", "")];
    parameters.push(crate::model::space::Parameter {
        name: "rate".into(),
        base: domain.default_value(),
        domain,
        when: None,
        tunable: true,
    });
    let large = spec(space(parameters.clone(), &[]), SamplerKind::Random);
    assert_eq!(trials(&large), Planned::Unlimited);
    assert_eq!(trials(&large).within(Some(30)), Planned::AtMost(30));
    let (asked, _) = Simulation::new(large.clone()).run(200, |_| fails());
    let low = asked
        .iter()
        .filter(|p| p.get("rate").and_then(Value::number) < Some(1e-4));
    assert!(
        (70..130).contains(&low.count()),
        "half of a log range lies below its middle"
    );

    let mut other = large.clone();
    other.seed = 43;
    let (others, _) = Simulation::new(other).run(3, |_| fails());
    assert_ne!(asked[1..3], others[1..3], "the seed decides");

    let never = spec(
        space(parameters, &["A == 1", "rate * 0 == 1 or rate == 0.0001"]),
        SamplerKind::Random,
    );
    let (_, why) = Simulation::new(never).run(9, |_| fails());
    assert_eq!(
        why.as_deref(),
        Some("10000 random draws gave nothing new that keeps the rules")
    );
}

#[test]
fn the_reference_space_is_walked_in_its_order() {
    let sizes = [3, 5, 4, 4, 2, 3, 2, 4, 4, 4, 3, 3, 2, 2, 3, 3, 3];
    let parameters = sizes.iter().enumerate().map(|(index, size)| {
        let values: Vec<String> = (0..*size).map(|value| value.to_string()).collect();
        list(&format!("P{index:02}"), &values.join(" "), "")
    });
    let mut spec = spec(space(parameters.collect(), &[]), SamplerKind::Coordinate);
    spec.search.passes = 1;
    assert_eq!(trials(&spec), Planned::AtMost(1 + 54 - 17));
    let planned = preview(&Study::new(Arc::new(spec)), 99);
    assert_eq!(planned.len(), 1 + 54 - 17);
    let changed: Vec<String> = planned[1..]
        .iter()
        .map(|params| params.difference(&planned[0])[0].to_string())
        .collect();
    assert!(changed.is_sorted());
}

/// Five runs of this speed, with a quality that varies by so much.
fn varying(speed: f64, quality: f64, spread: f64) -> Answer {
    let off = [-1.26, -0.63, 0.0, 0.63, 1.26];
    let run = |off: f64| (speed, quality + spread * off);
    Answer::Runs(off.into_iter().map(run).collect())
}

fn confident(racing: bool) -> Simulation {
    let mut spec = spec(
        space(vec![list("A", "1 2 3 4 5 6 7 8", "")], &[]),
        SamplerKind::Grid,
    );
    spec.search.racing = racing;
    spec.steps = vec![measure("measure", 5, &["speed", "quality"])];
    spec.constraints[0].confidence = Finite::new(0.9);
    Simulation::new(spec)
}

/// Its mean keeps the bound, but that may be chance: until it is known that
/// runs hardly vary.
#[test]
fn a_bound_is_kept_with_confidence_or_not_at_all() {
    let mut simulation = confident(false);
    let near = |params: &Params| match params.key().as_str() {
        "A=1" => varying(9.0, 0.51, 0.02),
        _ => varying(1.0, 0.9, 0.002),
    };
    simulation.run(1, near);
    let study = &simulation.study;
    let bound = &study.spec().constraints[0];
    let trial = &study.trials()[0];
    assert_eq!(trial.outcome, Some(Outcome::Infeasible));
    let sure = study.confidence(trial, bound).expect("it has five runs");
    assert!((0.75..0.9).contains(&sure), "{sure}");
    let needed = study.needed(trial, bound).min.expect("a bound").get();
    assert!(needed > 0.51 && needed < 0.54, "{needed}");
    assert!(
        study
            .violation(trial)
            .is_some_and(|violation| violation > 0.0)
    );
    assert_eq!(study.incumbent().map(|best| best.id.0), None);
    simulation.run(6, near);
    let study = &simulation.study;
    let trial = &study.trials()[0];
    assert_eq!(trial.outcome, Some(Outcome::Complete));
    assert!(
        study
            .confidence(trial, bound_of(study))
            .is_some_and(|sure| sure > 0.95)
    );
    assert_eq!(study.incumbent().map(|best| best.id.0), Some(1));
    assert_eq!((study.counts().complete, study.counts().infeasible), (7, 0));
    // All together are judged as each would be.
    let alone = |trial: &Arc<Trial>| Some(study.judge(trial)) == trial.outcome;
    assert!(study.trials().iter().all(alone));
    // By the mean it had been feasible all the while.
    let mut spec = Spec::clone(study.spec());
    spec.constraints[0].confidence = None;
    let facts = simulation.facts.iter().take(8);
    let facts: Vec<Fact> = facts.cloned().collect();
    let by_mean = Simulation::replay(&Arc::new(spec), &facts);
    assert_eq!(by_mean.trials()[0].outcome, Some(Outcome::Complete));
}

fn bound_of(study: &Study) -> &Constraint {
    &study.spec().constraints[0]
}

/// What has one run leads by its mean, and is not the best without confidence.
#[test]
fn racing_judges_with_confidence_at_the_end() {
    let mut simulation = confident(true);
    let program = |params: &Params| match params.key().as_str() {
        "A=2" => varying(9.0, 0.53, 0.05),
        _ => varying(1.0, 0.9, 0.05),
    };
    simulation.run(2, program);
    assert_eq!(simulation.study.leader().map(|trial| trial.id.0), Some(1));
    let mut simulation = confident(true);
    let program = |params: &Params| match params.key().as_str() {
        "A=2" => varying(9.0, 0.57, 0.05),
        _ => varying(1.0, 0.9, 0.05),
    };
    simulation.run(2, program);
    // Its first run is 0.507, the mean of all is 0.57: neither is sure.
    assert_eq!(simulation.study.leader().map(|trial| trial.id.0), Some(2));
    simulation.run(99, |params| match params.key().as_str() {
        "A=2" => varying(9.0, 0.51, 0.05),
        _ => varying(1.0, 0.9, 0.05),
    });
    let study = &simulation.study;
    assert_eq!(study.trials()[1].outcome, Some(Outcome::Infeasible));
    assert_ne!(study.incumbent().map(|best| best.id.0), Some(2));
}
