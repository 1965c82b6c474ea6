//! Tests of the samplers on made-up studies.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use proptest::prelude::*;

use super::count::{Planned, preview, trials};
use super::simulation::{Answer, Simulation, fails, int, list, space, spec, speed};
use super::standing::Standing;
use super::{Ask, ask};
use crate::model::domain::{Domain, Scale};
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::{Origin, SittingEnd, TrialId};
use crate::model::value::Value;

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
        token: String::new(),
        boot_id: String::new(),
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

// --- Properties of every sampler -------------------------------------------

/// Spaces with everything in them that makes a sampler stumble.
fn any_space() -> impl Strategy<Value = Space> {
    let lists = prop::collection::vec(1usize..4, 1..4);
    (lists, any::<bool>(), any::<bool>()).prop_map(|(sizes, condition, rule)| {
        let mut parameters: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, size)| {
                let values: Vec<String> = (1..=*size).map(|v| v.to_string()).collect();
                list(&format!("P{index}"), &values.join(" "), "")
            })
            .collect();
        if condition {
            parameters.push(int("Q", 1, 20, Scale::Log, "P0 == 1"));
        }
        let rules: &[&str] = if rule { &["P0 + Q <= 9"] } else { &[] };
        let rules = if condition { rules } else { &[] };
        space(parameters, rules)
    })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    (any_space(), 0usize..3, 1u32..4, any::<u64>()).prop_map(|(space, sampler, passes, seed)| {
        let mut spec = spec(space, SamplerKind::ALL[sampler]);
        spec.search.passes = passes;
        spec.seed = seed;
        spec
    })
}

/// A program that answers each params its own way, the same each time.
fn program(salt: u64) -> impl Fn(&Params) -> Answer {
    move |params| {
        let mut hasher = DefaultHasher::new();
        (salt, params.key()).hash(&mut hasher);
        let hash = hasher.finish();
        let speed = (hash % 7) as f64;
        match hash >> 32 & 7 {
            0 => fails(),
            1 | 2 => Answer::Runs(vec![(speed, 0.25), (speed, 0.125)]),
            _ => Answer::Runs(vec![(speed, 1.0)]),
        }
    }
}

/// Runs a study to its end in which somebody adds a trial now and then.
fn disturbed(spec: &Spec, salt: u64, added: &[(usize, u64)]) -> (Simulation, Vec<Params>) {
    let program = program(salt);
    let mut simulation = Simulation::new(spec.clone());
    let mut asked = Vec::new();
    for round in 0..600 {
        for (_, choice) in added.iter().filter(|(when, _)| *when == round) {
            let mut left = *choice;
            let chosen = spec.space.choose(|parameter| {
                let levels = parameter.domain.levels(50);
                let value = levels[(left % levels.len() as u64) as usize].clone();
                left /= 3;
                value
            });
            if let Ok(params) = chosen
                && simulation.study.trial_of(&params).is_none()
            {
                simulation.try_params(&params, Origin::Imported, &program(&params));
            }
        }
        let (one, why) = simulation.run(1, &program);
        if why.is_some() && added.iter().all(|(when, _)| *when <= round) {
            break;
        }
        asked.extend(one);
    }
    (simulation, asked)
}

fn added() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0usize..40, any::<u64>()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_is_asked_twice_and_all_is_allowed(
        spec in any_spec(), salt: u64, added in added(),
    ) {
        let (_, asked) = disturbed(&spec, salt, &added);
        let distinct: HashSet<&Params> = asked.iter().collect();
        prop_assert_eq!(distinct.len(), asked.len());
        for params in &asked {
            let given = params.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
            let checked = spec.space.check(&given);
            prop_assert_eq!(checked.as_ref(), Ok(params));
        }
        match trials(&spec) {
            Planned::Exactly(count) if added.is_empty() => {
                prop_assert_eq!(asked.len() as u64, count);
            }
            Planned::Exactly(most) => prop_assert!(asked.len() as u64 <= most),
            Planned::AtMost(most) if added.is_empty() => prop_assert!(asked.len() as u64 <= most),
            _ => {}
        }
    }

    #[test]
    fn a_restart_changes_nothing(spec in any_spec(), salt: u64, added in added()) {
        let (simulation, _) = disturbed(&spec, salt, &added);
        let spec = Arc::new(spec);
        // After each settled trial, a daemon that only has the journal asks.
        let mut live = Study::new(Arc::clone(&spec));
        for (index, fact) in simulation.facts.iter().enumerate() {
            if let Event::TrialPlanned { params, origin: Origin::Sampler, .. } = &fact.event {
                let replayed = Simulation::replay(&spec, &simulation.facts[..index]);
                prop_assert_eq!(ask(&replayed), Ask::Try(params.clone()));
                prop_assert_eq!(ask(&live), Ask::Try(params.clone()));
            }
            live.apply(fact).expect("facts that fit");
        }
    }

    #[test]
    fn a_trial_cut_short_changes_nothing(spec in any_spec(), salt: u64, cut in 0usize..30) {
        let program = program(salt);
        let (undisturbed, _) = disturbed(&spec, salt, &[]);
        let mut simulation = Simulation::new(spec);
        simulation.run(cut, &program);
        if let Ask::Try(params) = ask(&simulation.study) {
            let trial = simulation.plan(&params, Origin::Sampler);
            for end in [SittingEnd::Interrupted, SittingEnd::Interrupted] {
                let sitting = simulation.study.trial(trial).map_or(1, |t| t.sittings.len() as u32 + 1);
                let (token, boot_id) = (String::new(), String::new());
                simulation.happen(Event::SittingStarted { trial, sitting, token, boot_id });
                simulation.happen(Event::SittingEnded { trial, sitting, end, health: None });
            }
            simulation.work(trial, &program(&params));
        }
        simulation.run(600, &program);
        let all = |s: &Simulation| s.study.trials().iter().map(|t| t.params.clone()).collect::<Vec<_>>();
        prop_assert_eq!(all(&simulation), all(&undisturbed));
    }

    #[test]
    fn the_incumbent_never_gets_worse(spec in any_spec(), salt: u64, added in added()) {
        let (simulation, _) = disturbed(&spec, salt, &added);
        let mut study = Study::new(Arc::new(spec));
        let mut best: Option<f64> = None;
        for fact in &simulation.facts {
            study.apply(fact).expect("facts that fit");
            let now = study.incumbent().and_then(|t| study.objective(t)).map(|s| s.mean);
            prop_assert!(now >= best);
            best = now;
        }
    }

    /// With passes enough, `coordinate` ends where no single change is better,
    /// whatever was added meanwhile: the incumbent has competed everywhere.
    #[test]
    fn coordinate_ends_at_a_local_optimum(space in any_space(), salt: u64, added in added()) {
        let mut spec = spec(space, SamplerKind::Coordinate);
        spec.search.passes = 99;
        let (simulation, _) = disturbed(&spec, salt, &added);
        let study = &simulation.study;
        let Some(incumbent) = study.incumbent() else { return Ok(()) };
        let best = Standing::of(study, incumbent);
        for parameter in spec.space.parameters() {
            if incumbent.params.get(&parameter.name).is_none() {
                continue;
            }
            for value in parameter.domain.levels(spec.search.levels) {
                let Ok(neighbour) = spec.space.with(&incumbent.params, &parameter.name, &value) else {
                    continue;
                };
                let tried = study.trial_of(&neighbour);
                prop_assert!(tried.is_some(), "{neighbour:?} was not tried");
                let standing = tried.and_then(|trial| Standing::of(study, trial));
                prop_assert!(!standing.is_some_and(|s| s.beats(best, &spec.objective)));
            }
        }
    }

    #[test]
    fn a_preview_is_what_comes(spec in any_spec(), before in 0usize..12, salt: u64) {
        let coordinate = spec.search.sampler == SamplerKind::Coordinate;
        let mut simulation = Simulation::new(spec);
        // Failures teach `coordinate` nothing, as the preview supposes.
        let program = program(salt);
        let answer = |params: &Params| if coordinate { fails() } else { program(params) };
        simulation.run(before, answer);
        let planned = preview(&simulation.study, 20);
        let (asked, _) = simulation.run(20, answer);
        prop_assert_eq!(planned, asked);
    }
}
