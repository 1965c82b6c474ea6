//! The model on histories that break what is computed carelessly.

use proptest::prelude::*;

use crate::model::domain::Scale;
use crate::model::metric::Direction;
use crate::model::spec::SamplerKind;
use crate::model::study::Study;
use crate::model::trial::Origin;
use crate::search::geometry::Geometry;
use crate::search::simulation::{Answer, Simulation, fails, int, list, space, spec};
use crate::search::{Ask, ask};

use super::candidates::Candidates;
use super::learned;
use super::promise::Promise;
use crate::base::random::generator;

/// Numbers at the edges of what there is.
const EDGES: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1.0 + f64::EPSILON,
    1e-300,
    -1e-300,
    1e300,
    -1e300,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
];

/// One of them, or something ordinary.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![prop::sample::select(EDGES.to_vec()), -10.0..10.0f64]
}

/// A few kinds of numbers: all the same, all of one sign, or anything.
fn numbers() -> impl Strategy<Value = Vec<f64>> {
    let any = || prop::collection::vec(number(), 12);
    prop_oneof![
        number().prop_map(|number| vec![number; 12]),
        any().prop_map(|n| n.iter().map(|n| n.abs()).collect()),
        any().prop_map(|n| n.iter().map(|n| -n.abs()).collect()),
        any(),
    ]
}

/// Up to 40 parameters, some with one value only.
fn study(parameters: usize, sampler: SamplerKind, less: bool) -> Simulation {
    let parameters = (0..parameters).map(|index| {
        let name = format!("P{index:02}");
        match index % 4 {
            0 => list(&name, "1 2 4 8", ""),
            1 => list(&name, "only", ""),
            2 => int(&name, 1, 1_000_000, Scale::Log, "P00 != 8"),
            _ => list(&name, "a b c", ""),
        }
    });
    let mut spec = spec(space(parameters.collect(), &[]), sampler);
    if less {
        spec.objective.direction = Direction::Minimize;
    }
    Simulation::new(spec)
}

fn all_promises(study: &Study) -> Vec<f64> {
    let geometry = Geometry::new(&study.spec().space);
    let trials = learned(study);
    let mut random = generator(1, 1);
    let baseline = study.spec().space.baseline().expect("no rules");
    let wide = Candidates::new(study, &geometry).wide(&trials, &baseline, &mut random);
    Promise::learn(study, &geometry, &trials, &[]).of(&wide)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_history_is_too_strange(
        parameters in prop_oneof![1usize..6, Just(40)],
        speeds in numbers(),
        qualities in numbers(),
        failing in prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()],
        trials in 1usize..12,
        tpe: bool,
        less: bool,
    ) {
        let sampler = if tpe { SamplerKind::Tpe } else { SamplerKind::Model };
        let mut simulation = study(parameters, sampler, less);
        for index in 0..trials {
            let Ask::Try(params) = ask(&simulation.study) else { break };
            prop_assert!(simulation.study.spec().space.allows(&params));
            let answer = match failing >> index & 1 {
                1 => fails(),
                _ => Answer::Runs(vec![(speeds[index], qualities[index])]),
            };
            simulation.try_params(&params, Origin::Sampler, &answer);
        }
        if trials > 1 {
            let promises = all_promises(&simulation.study);
            prop_assert!(promises.iter().all(|promise| !promise.is_nan()));
            // Even the strangest history tells candidates apart or leaves them equal.
            prop_assert!(promises.is_empty() || promises.iter().any(|p| p.is_finite()), "{promises:?}");
        }
    }
}
