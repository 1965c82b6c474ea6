//! The model on functions that are known.

use super::belief::{Belief, Clip, Estimate, Sample};
use super::importance::{At, NEEDED, importance};
use super::process::{Hyper, Places, Process};
use super::promise::{log_expected_improvement, log_normal_cdf};
use super::*;
use crate::model::choice::Rule;
use crate::model::domain::Scale;
use crate::model::event::Event;
use crate::model::noise::Doubt;
use crate::model::outcome::{Failure, FailureKind, HostFault, Outcome};
use crate::model::spec::{Converged, SamplerKind};
use crate::model::trial::{Origin, Purpose, SittingEnd};
use crate::model::value::Value;
use crate::search::simulation::{Answer, Simulation, fails, int, list, space, spec, speed};
use crate::search::{ask, explained};

const VALUES: &str = "1 2 3 4 5 6 7 8";

fn number(params: &Params, name: &str) -> f64 {
    params
        .get(name)
        .and_then(|value| value.number())
        .expect("a number")
}

/// A smooth hill over four parameters, with its top at 6, 3, 7 and `b`.
fn hill(params: &Params) -> f64 {
    let off = |name: &str, top: f64| (number(params, name) - top).powi(2);
    let kind = params.get("K").is_some_and(|kind| *kind == "b".into());
    let far = off("A", 6.0) + off("B", 3.0) + 0.5 * off("C", 7.0);
    100.0 * (-far / 30.0).exp() * if kind { 1.0 } else { 0.8 }
}

fn hilly(sampler: SamplerKind, seed: u64) -> Simulation {
    let lists = ["A", "B", "C"].map(|name| list(name, VALUES, ""));
    let mut parameters = lists.to_vec();
    parameters.push(list("K", "a b c", ""));
    let mut spec = spec(space(parameters, &[]), sampler);
    spec.seed = seed;
    Simulation::new(spec)
}

fn best(simulation: &Simulation) -> f64 {
    let best = simulation.study.incumbent().expect("a feasible trial");
    hill(&best.params)
}

#[test]
fn it_climbs_a_hill_that_chance_does_not() {
    let (mut modelled, mut random) = (0.0, 0.0);
    for seed in 1..=4 {
        let found = |sampler| {
            let mut simulation = hilly(sampler, seed);
            simulation.run(30, |params| speed(hill(params)));
            best(&simulation)
        };
        modelled += found(SamplerKind::Model) / 4.0;
        random += found(SamplerKind::Random) / 4.0;
    }
    assert!(modelled > 97.0, "{modelled}, by chance {random}");
    assert!(random < modelled - 3.0, "{modelled}, by chance {random}");
}

/// The top of the hill cannot be had: one slope of it does not start, another
/// is infeasible. Each of the three values that fail has to be tried, since the
/// hill rises towards them, and seldom more than once.
#[test]
fn it_keeps_away_from_what_fails_and_what_is_infeasible() {
    let fails_at = |params: &Params| number(params, "A") >= 6.0;
    let (mut failed, mut infeasible) = (0, 0);
    for seed in 1..=4 {
        let mut simulation = hilly(SamplerKind::Model, seed);
        let (asked, _) = simulation.run(20, |params| {
            if fails_at(params) {
                return fails();
            }
            let quality = 0.5 + 0.1 * (number(params, "B") - 3.5);
            Answer::Runs(vec![(hill(params), quality)])
        });
        // The best that is allowed is 5, 4, 7, b.
        let found = best(&simulation);
        assert!(found > 0.97 * 100.0 * (-2.0f64 / 30.0).exp(), "{found}");
        let (fail, start): (Vec<_>, Vec<_>) = asked.iter().partition(|params| fails_at(params));
        failed += fail.len();
        infeasible += start.iter().filter(|p| number(p, "B") <= 3.0).count();
        for value in [6.0, 7.0, 8.0] {
            let again = fail.iter().filter(|p| number(p, "A") == value);
            assert!(again.count() <= 3, "{fail:?}");
        }
    }
    // Of 80, by chance 30 would fail, and 19 be infeasible.
    assert!(failed <= 18, "{failed} failed");
    assert!(infeasible <= 14, "{infeasible} were infeasible");
}

/// Half of the space takes ten times as long, and is no better.
#[test]
fn it_prefers_what_is_quick() {
    let mut simulation = hilly(SamplerKind::Model, 3);
    let mut slow = 0;
    for count in 0..24 {
        let Ask::Try(params) = ask(&simulation.study) else {
            panic!("there is more to try");
        };
        let is_slow = number(&params, "C") > 4.0;
        slow += usize::from(is_slow && count >= 8);
        let trial = simulation.plan(&params, Origin::Sampler);
        let seconds = if is_slow { 600 } else { 60 };
        let off = (number(&params, "A") - 6.0).powi(2) + (number(&params, "B") - 3.0).powi(2);
        simulation.work_for(
            trial,
            &speed(100.0 - off),
            std::time::Duration::from_secs(seconds),
        );
    }
    assert!(slow <= 5, "{slow} of 16 were slow");
}

#[test]
fn what_is_planned_is_not_sought_twice() {
    let mut simulation = hilly(SamplerKind::Model, 1);
    simulation.run(10, |params| speed(hill(params)));
    let mut planned = Vec::new();
    for _ in 0..4 {
        let Ask::Try(params) = ask(&simulation.study) else {
            panic!("there is more to try");
        };
        simulation.plan(&params, Origin::Sampler);
        planned.push(params);
    }
    planned.sort_by_key(Params::key);
    planned.dedup();
    assert_eq!(planned.len(), 4);
}

/// A fault of the host ends a trial and teaches nothing: until it is tried
/// again it is as if it had not been tried.
#[test]
fn a_fault_of_the_host_teaches_nothing() {
    // The advisor would be asked about it.
    let samplers = SamplerKind::ALL.into_iter();
    for sampler in samplers.filter(|sampler| *sampler != SamplerKind::Advisor) {
        let mut simulation = hilly(sampler, 2);
        simulation.run(9, |params| speed(hill(params)));
        let Ask::Try(params) = ask(&simulation.study) else {
            panic!("there is more to try");
        };
        let trial = simulation.plan(&params, Origin::Sampler);
        let before = ask(&simulation.study);
        let (token, boot_id) = (String::new(), "".into());
        simulation.happen(Event::SittingStarted {
            trial,
            sitting: 1,
            purpose: Purpose::Measure,
            token,
            boot_id,
            slot: None,
        });
        let fault = Failure {
            kind: FailureKind::Host(HostFault::DiskFull),
            step: None,
            ending: None,
            message: String::new(),
            cause: None,
        };
        simulation.happen(Event::SittingEnded {
            trial,
            sitting: 1,
            end: SittingEnd::Finished(Outcome::Failed(Box::new(fault))),
            health: None,
        });
        assert_eq!(ask(&simulation.study), before, "{sampler:?}");
    }
}

/// Of two kinds the better one has a parameter of its own.
#[test]
fn what_is_not_active_does_not_matter() {
    let parameters = vec![
        list("A", VALUES, ""),
        list("K", "a b", ""),
        list("Q", VALUES, "K == 'b'"),
        int("R", 1, 1000, Scale::Log, "K == 'a'"),
    ];
    let answer = |params: &Params| {
        let slope = (number(params, "A") - 6.0).powi(2);
        speed(match params.get("Q").and_then(|value| value.number()) {
            Some(q) => 100.0 - slope - (q - 3.0).powi(2),
            None => 80.0 - slope,
        })
    };
    let mut simulation = Simulation::new(spec(space(parameters, &[]), SamplerKind::Model));
    let (asked, _) = simulation.run(30, answer);
    for params in &asked {
        let is_b = params.get("K") == Some(&"b".into());
        assert_eq!(params.get("Q").is_some(), is_b);
        assert_eq!(params.get("R").is_some(), !is_b);
    }
    let geometry = Geometry::new(&simulation.study.spec().space);
    let q_of = |kind: &str| {
        let of_kind = asked.iter().filter(|p| p.get("K") == Some(&kind.into()));
        of_kind.map(|params| geometry.point(params)[2]).collect()
    };
    let (without, with): (Vec<f64>, Vec<f64>) = (q_of("a"), q_of("b"));
    assert!(without.len() > 1 && with.len() > 1);
    for at in &without {
        assert_eq!(geometry.distance(2, *at, without[0]), 0.0);
        assert_eq!(geometry.distance(2, *at, with[0]), 1.0);
    }
    let best = simulation.study.incumbent().expect("a best");
    let found = simulation.study.objective(best).map(|summary| summary.mean);
    assert!(found >= Some(98.0), "{found:?}");
}

/// 10 of 8,000 combinations are allowed: it tries just these.
#[test]
fn rules_that_forbid_most_of_the_space_are_kept() {
    let whole = (0..3).map(|index| int(&format!("P{index}"), 1, 20, Scale::Linear, ""));
    let space = space(whole.collect(), &["P0 + P1 + P2 <= 5"]);
    let mut spec = spec(space.clone(), SamplerKind::Model);
    spec.space = {
        let mut parameters = space.parameters().to_vec();
        for parameter in &mut parameters {
            parameter.base = crate::model::value::Value::Int(1);
        }
        crate::model::space::Space::new(parameters, space.rules().to_vec()).expect("a space")
    };
    let mut simulation = Simulation::new(spec.clone());
    let (asked, why) = simulation.run(30, |params| speed(number(params, "P1")));
    assert!(asked.iter().all(|params| spec.space.allows(params)));
    assert_eq!((asked.len(), why.is_some()), (10, true), "{asked:?}");
}

#[test]
fn a_large_study_is_learned_from_its_best_and_newest() {
    let parameters = vec![int("A", 1, 1_000_000, Scale::Linear, "")];
    let mut simulation = Simulation::new(spec(space(parameters, &[]), SamplerKind::Random));
    simulation.run(400, |params| speed(number(params, "A")));
    let learned = learned(&simulation.study);
    assert!(
        learned.len() <= LEARNED && learned.len() > LEARNED * 3 / 4,
        "{}",
        learned.len()
    );
    let numbers: Vec<u32> = learned.iter().map(|trial| trial.id.0).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    let incumbent = simulation.study.incumbent().expect("a best").id.0;
    assert!(numbers.contains(&incumbent) && numbers.contains(&400) && numbers.contains(&380));
}

/// One parameter, as numbers and places.
fn line() -> Geometry {
    let parameters = vec![int("A", 0, 100, Scale::Linear, ""), list("K", "a b", "")];
    Geometry::new(&space(parameters, &[]))
}

#[test]
fn a_process_knows_what_it_was_told_and_no_more() {
    let geometry = line();
    let points = [[0.1, 0.0], [0.5, 0.0], [0.9, 0.0]];
    let points: Vec<&[f64]> = points.iter().map(|point| &point[..]).collect();
    let values = [1.0, -1.0, 0.5];
    let places = Places::new(&geometry, &points);
    let process = Process::new(
        &geometry,
        places,
        Hyper::first(2, Doubt::NONE, false),
        &values,
        &[1e-4; 3],
    );
    let process = process.expect("three values");
    let known = process.predict(&Places::new(&geometry, &points));
    for ((mean, spread), value) in known.iter().zip(values) {
        assert!((mean - value).abs() < 0.15 && *spread < 0.25, "{known:?}");
    }
    let far: [&[f64]; 2] = [&[0.3, 1.0], &[0.3, f64::NAN]];
    for (_, spread) in process.predict(&Places::new(&geometry, &far)) {
        assert!(spread > 0.5, "{spread}");
    }
}

#[test]
fn the_gradient_is_that_of_the_likelihood() {
    let geometry = line();
    let points: Vec<Vec<f64>> = (0..12)
        .map(|i| vec![f64::from(i * 37 % 12) / 11.0, f64::from(i % 2)])
        .collect();
    let points: Vec<&[f64]> = points.iter().map(|point| &**point).collect();
    let values: Vec<f64> = points
        .iter()
        .map(|p| (6.0 * p[0]).sin() + 0.3 * p[1])
        .collect();
    let places = Places::new(&geometry, &points);
    let noise = vec![0.01; values.len()];
    let doubt = Doubt {
        mean: 0.7,
        spread: 1.0,
    };
    let worst = Hyper::first(2, doubt, false).gradient_error(&geometry, &places, &values, &noise);
    assert!(worst < 1e-5, "{worst}");
}

/// Values on a slope tell that they vary by less than was supposed; those that
/// scatter do not.
#[test]
fn noise_in_doubt_is_learned() {
    let geometry = line();
    let spread = |scatter: f64, doubt: Doubt| {
        let sample = |i: u32| {
            let at = f64::from(i * 37 % 16) / 15.0;
            let off = if i.is_multiple_of(2) {
                scatter
            } else {
                -scatter
            };
            Sample {
                point: vec![at, 0.0],
                value: 0.1 * at + off,
                noise: 9e-4,
                source: 0,
            }
        };
        let samples: Vec<Sample> = (0..16).map(sample).collect();
        let belief = Belief::learn(&geometry, &samples, doubt, Clip::Both);
        let belief = belief.expect("samples");
        belief.at(&Places::new(&geometry, &[&[0.5, 0.0]]))[0].spread
    };
    let doubt = Doubt {
        mean: 0.0,
        spread: 2.0,
    };
    let (sure, learned) = (spread(0.0, Doubt::NONE), spread(0.0, doubt));
    assert!(learned < 0.6 * sure, "{learned} {sure}");
    let (sure, learned) = (spread(0.03, Doubt::NONE), spread(0.03, doubt));
    assert!(learned > 0.6 * sure, "{learned} {sure}");
}

/// Both logarithms go on where the plain formulas have nothing left.
#[test]
fn logarithms_do_not_break_far_out() {
    let improvement = |z: f64| {
        log_expected_improvement(
            Estimate {
                mean: z,
                spread: 1.0,
            },
            0.0,
        )
    };
    for (at, log) in [
        (-6.0, &improvement as &dyn Fn(f64) -> f64),
        (-8.0, &log_normal_cdf),
    ] {
        let (inside, outside) = (log(at + 1e-9), log(at - 1e-9));
        assert!((inside - outside).abs() < 0.1, "{inside} {outside}");
        assert!(log(-40.0).is_finite() && log(-41.0) < log(-40.0));
    }
    // φ(0) and Φ(0).
    assert!((improvement(0.0) - 0.398_942_280_401f64.ln()).abs() < 1e-9);
    assert!((log_normal_cdf(0.0) - 0.5f64.ln()).abs() < 1e-12);
}

/// A hill where nothing is known, then where it is.
#[test]
fn what_it_expects_is_about_what_comes() {
    let mut simulation = hilly(SamplerKind::Model, 2);
    let baseline = simulation.study.spec().space.baseline().expect("params");
    assert_eq!(explained(&simulation.study), (Ask::Try(baseline), None));
    let why = |simulation: &Simulation| match explained(&simulation.study) {
        (Ask::Try(params), choice) => (choice, params),
        other => panic!("{other:?}"),
    };
    simulation.run(1, |params| speed(hill(params)));
    let (chosen, _) = why(&simulation);
    let chosen = chosen.expect("a choice");
    assert_eq!((chosen.rule, chosen.expected), (Rule::Opening, None));
    simulation.run(1, |params| speed(hill(params)));
    let mut within = 0;
    for count in 3..=30 {
        let (chosen, params) = why(&simulation);
        let chosen = chosen.expect("a choice");
        assert_eq!(chosen.rule, Rule::Model);
        let expected = chosen.expected.expect("it knows something");
        let found = expected.objective.expect("some were measured");
        assert!(found.low < found.mean && found.mean < found.high);
        within += u32::from(count > 10 && (found.low..=found.high).contains(&hill(&params)));
        assert_eq!(expected.bounds.len(), 1);
        assert!(expected.bounds[0].1 > 0.5, "{expected:?}");
        assert_eq!(expected.starts, None);
        assert_eq!(expected.time, Some(std::time::Duration::from_secs(1)));
        simulation.try_params(&params, Origin::Sampler, &speed(hill(&params)));
    }
    assert!(within >= 14, "{within} of 20");
}

fn converging(under: f64, asks: u32) -> Simulation {
    let lists = ["A", "B", "C"].map(|name| list(name, VALUES, ""));
    let mut parameters = lists.to_vec();
    parameters.push(list("K", "a b c", ""));
    let mut spec = spec(space(parameters, &[]), SamplerKind::Model);
    spec.budget.converged = Some(Converged { under, asks });
    Simulation::new(spec)
}

#[test]
fn it_ends_when_it_promises_nothing_any_more() {
    let mut simulation = converging(0.005, 5);
    let (asked, why) = simulation.run(200, |params| speed(hill(params)));
    let why = why.expect("it ends long before 1536 combinations are tried");
    assert!(
        why.starts_with("converged: each of the last 5 asks"),
        "{why}"
    );
    assert!(asked.len() >= 7, "{}", asked.len());
    assert!(best(&simulation) > 97.0);
    let promised: Vec<f64> = simulation
        .study
        .trials()
        .iter()
        .filter_map(|trial| trial.choice.as_ref()?.expected.as_ref()?.improvement)
        .collect();
    let low = promised
        .iter()
        .rev()
        .take_while(|promised| **promised < 0.005);
    assert_eq!(low.count(), 4, "{promised:?}");
    // A restart changes nothing, and so does a trial that a user wants.
    let replayed = Simulation::replay(simulation.study.spec(), &simulation.facts);
    assert_eq!(ask(&replayed), Ask::Exhausted(why));
    let untried = simulation
        .study
        .spec()
        .space
        .choose(|parameter| parameter.domain.at(0.99));
    let untried = untried.expect("params");
    simulation.try_params(&untried, Origin::User, &speed(hill(&untried)));
    assert!(matches!(ask(&simulation.study), Ask::Exhausted(_)));
}

/// Nothing is feasible: that is no reason to give up.
#[test]
fn it_does_not_end_before_something_is_feasible() {
    let mut simulation = converging(0.9, 1);
    let (_, why) = simulation.run(15, |params| Answer::Runs(vec![(hill(params), 0.1)]));
    assert_eq!(why, None);
    let mut simulation = converging(0.9, 1);
    let (asked, why) = simulation.run(15, |params| speed(hill(params)));
    assert!(why.is_some() && asked.len() < 15, "{}", asked.len());
}

#[test]
fn what_matters_is_found_and_what_does_not_is_not() {
    let lists = ["A", "B", "N"].map(|name| list(name, VALUES, ""));
    let mut parameters = lists.to_vec();
    parameters.push(int("R", 1, 64, Scale::Log, "A != 8"));
    let spec = spec(
        space(parameters, &["A != 8 or B != 1"]),
        SamplerKind::Random,
    );
    let mut simulation = Simulation::new(spec);
    // A does most, B some, both together a little; N and R do nothing.
    let truth = |params: &Params| {
        let (a, b) = (number(params, "A"), number(params, "B"));
        100.0 * (0.1 * a + 0.05 * b + if a > 4.0 && b > 4.0 { 0.1 } else { 0.0 }).exp()
    };
    simulation.run(NEEDED - 1, |params| speed(truth(params)));
    assert_eq!(importance(&simulation.study), None);
    simulation.run(31, |params| speed(truth(params)));
    let found = importance(&simulation.study).expect("there are enough");
    assert_eq!(Some(&found), importance(&simulation.study).as_ref());
    let names: Vec<&str> = found
        .parameters
        .iter()
        .map(|effect| &*effect.name)
        .collect();
    assert_eq!(names[..2], ["A", "B"], "{found:#?}");
    let share = |name: &str| {
        let effect = found.parameters.iter().find(|effect| &*effect.name == name);
        effect.expect("it is one").share
    };
    assert!(
        share("A").mean > 0.6 && share("A").low > 0.5,
        "{:?}",
        share("A")
    );
    assert!((0.1..0.4).contains(&share("B").mean), "{:?}", share("B"));
    assert!(share("N").mean < 0.1 && share("R").mean < 0.1, "{found:#?}");
    assert!(found.explained > 0.8, "{}", found.explained);
    // What is expected at each value rises with it, about as it should.
    let values = &found.parameters[0].values;
    let at = |value: i64| {
        let is = |at: &At| *at == At::Value(Value::from(value.to_string().as_str()));
        let found = values.iter().find(|marginal| is(&marginal.at));
        found.expect("it was a value").objective.mean
    };
    let ratio = at(8) / at(2);
    assert!((ratio / 0.65f64.exp()).ln().abs() < 0.15, "{ratio}");
    let of_r = found.parameters.iter().find(|effect| &*effect.name == "R");
    let of_r = &of_r.expect("it is one").values;
    assert!(of_r.iter().any(|marginal| marginal.at == At::Inactive));
    let counted: u32 = values.iter().map(|marginal| marginal.trials).sum();
    assert_eq!(counted, 60);
}
