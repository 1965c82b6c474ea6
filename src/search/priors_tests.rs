//! What samplers make of what was imported.

use std::sync::Arc;

use super::simulation::{Simulation, fails, list, space, spec, speed};
use super::{Ask, ask, explained, priors};
use crate::model::amendment::{Amendment, Amendments};
use crate::model::choice::Rule;
use crate::model::domain::Domain;
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::prior::{Batch, Prior};
use crate::model::space::Space;
use crate::model::spec::SamplerKind;
use crate::model::trial::Origin;
use crate::model::value::{Finite, Value};

const NINE: &str = "1 2 3 4 5 6 7 8 9";

fn nine() -> Space {
    space(
        vec![
            list("A", NINE, ""),
            list("B", NINE, ""),
            list("C", NINE, ""),
        ],
        &[],
    )
}

fn params(digits: [u32; 3]) -> Params {
    let names = ["A", "B", "C"].into_iter().zip(digits);
    Params::recorded(names.map(|(name, digit)| (name.into(), Value::from(&*digit.to_string()))))
}

fn digit(params: &Params, name: &str) -> f64 {
    params.get(name).and_then(Value::number).unwrap_or(0.0)
}

/// Best at 7, 3, 5.
fn peak(params: &Params) -> f64 {
    let off = |name, at: f64| (digit(params, name) - at).abs();
    100.0 - 4.0 * off("A", 7.0) - 3.0 * off("B", 3.0) - 2.0 * off("C", 5.0)
}

/// Digits, and their speed and quality or a failure.
type Told = ([u32; 3], Option<(f64, f64)>);

fn told(file: &str, rows: &[Told]) -> Event {
    let rows = rows.iter().zip(2..).map(|((digits, measured), row)| {
        let finite = |number| Finite::new(number).expect("finite");
        let metrics = measured.map(|(speed, quality)| {
            vec![
                ("quality".into(), finite(quality)),
                ("speed".into(), finite(speed)),
            ]
        });
        let prior = Prior {
            params: params(*digits),
            failed: metrics.is_none(),
            metrics: metrics.unwrap_or_default().into(),
        };
        (row, Arc::new(prior))
    });
    Event::Imported(Arc::new(Batch {
        file: file.into(),
        format: "csv".into(),
        rows: rows.collect(),
    }))
}

fn begun(sampler: SamplerKind, event: Event) -> Simulation {
    let mut simulation = Simulation::new(spec(nine(), sampler));
    simulation.happen(event);
    let (asked, _) = simulation.run(1, |params| speed(peak(params)));
    assert_eq!(asked, [params([1, 1, 1])], "the baseline is first");
    simulation
}

fn next(simulation: &Simulation) -> Params {
    match ask(&simulation.study) {
        Ask::Try(params) => params,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_best_that_keeps_the_constraints_is_tried_after_the_baseline() {
    let rows = [
        ([2, 2, 2], Some((50.0, 1.0))),
        ([9, 9, 9], Some((900.0, 0.1))),
        ([3, 3, 3], Some((60.0, 0.5))),
        ([4, 4, 4], None),
    ];
    for sampler in SamplerKind::ALL {
        if sampler == SamplerKind::Advisor {
            continue;
        }
        let mut simulation = begun(sampler, told("old.csv", &rows));
        assert_eq!(next(&simulation), params([3, 3, 3]), "{sampler:?}");
        let (_, choice) = explained(&simulation.study);
        assert_eq!(choice.map(|choice| choice.rule), Some(Rule::Imported));
        simulation.try_params(&params([3, 3, 3]), Origin::Sampler, &fails());
        // Once, whatever came of it; the next best of it is nobody's wish.
        let (_, choice) = explained(&simulation.study);
        assert_ne!(
            choice.expect("a choice").rule,
            Rule::Imported,
            "{sampler:?}"
        );
        // Neither is anything of it a trial, or the best.
        assert_eq!(simulation.study.trials().len(), 2);
        assert_eq!(simulation.study.incumbent().expect("the baseline").id.0, 1);
    }
}

#[test]
fn each_source_has_a_best() {
    let mut simulation = begun(
        SamplerKind::Random,
        told("old.csv", &[([2, 2, 2], Some((50.0, 1.0)))]),
    );
    simulation.happen(told("other.csv", &[([3, 3, 3], Some((5.0, 1.0)))]));
    let (asked, _) = simulation.run(2, |params| speed(peak(params)));
    assert_eq!(asked, [params([2, 2, 2]), params([3, 3, 3])]);
}

#[test]
fn what_the_space_does_not_allow_is_passed_over_and_not_lost() {
    let rows = [
        ([9, 2, 2], Some((90.0, 1.0))),
        ([3, 3, 3], Some((60.0, 1.0))),
    ];
    let mut simulation = begun(SamplerKind::Model, told("old.csv", &rows));
    let domain = |values: &str| {
        let values = values.split(' ').map(Value::from).collect();
        Domain::values(values).expect("a list")
    };
    let amend = |domain| Event::SpecAmended {
        amendments: Amendments::recorded(vec![Amendment::Domain {
            parameter: "A".into(),
            domain,
        }]),
    };
    assert_eq!(next(&simulation), params([9, 2, 2]));
    simulation.happen(amend(domain("1 2 3")));
    assert_eq!(simulation.study.priors().count_fitting(), 1);
    assert_eq!(next(&simulation), params([3, 3, 3]));
    simulation.happen(amend(domain(NINE)));
    assert_eq!(next(&simulation), params([9, 2, 2]));
}

/// Of many sources and rows no more is learned than there is room for, less the
/// study's own trials.
#[test]
fn its_own_trials_take_the_room() {
    let row = |n: u32| {
        (
            [1 + n % 9, 1 + n / 9 % 9, 1 + n / 81 % 9],
            Some((f64::from(n), 1.0)),
        )
    };
    let rows: Vec<_> = (0..700).map(row).collect();
    let mut simulation = begun(SamplerKind::Model, told("a.csv", &rows[..350]));
    simulation.happen(told("b.csv", &rows[350..]));
    let learned = |own| priors::learned(&simulation.study, own);
    assert_eq!(learned(0).len(), 60);
    assert_eq!(learned(30).len(), 30);
    assert!(learned(60).is_empty() && learned(999).is_empty());
    let of_first = learned(0).iter().filter(|known| known.source == 1).count();
    assert_eq!(of_first, 30);
    let (good, others) = priors::split(&simulation.study, 0.15, (25, 100));
    assert_eq!(good.len(), 25);
    assert!((50..=100).contains(&others.len()), "{}", others.len());
}

/// Trials until the best of two parameters is found, over some seeds.
fn trials_to_the_peak(sampler: SamplerKind, event: Option<&Event>) -> usize {
    let tried = |seed| {
        let lists = vec![list("A", NINE, ""), list("B", NINE, ""), list("C", "5", "")];
        let mut spec = spec(space(lists, &[]), sampler);
        spec.seed = seed;
        let mut simulation = Simulation::new(spec);
        event
            .into_iter()
            .for_each(|event| simulation.happen(event.clone()));
        let found = (1..=25).find(|_| {
            let (asked, _) = simulation.run(1, |params| speed(peak(params)));
            asked == [params([7, 3, 5])]
        });
        found.unwrap_or(25)
    };
    (0..4).map(tried).sum()
}

/// On a host ten times as fast, where the level alone would have it that all
/// that was measured there is best.
#[test]
fn what_was_measured_elsewhere_shortens_the_search() {
    let row = |n: u32| {
        let digits = [1 + n * 4 % 9, 1 + n * 5 % 7, 5];
        (digits, Some((10.0 * peak(&params(digits)), 1.0)))
    };
    let rows: Vec<_> = (0..12)
        .map(row)
        .filter(|(digits, _)| *digits != [7, 3, 5])
        .collect();
    let elsewhere = told("fast.csv", &rows);
    for sampler in [SamplerKind::Model, SamplerKind::Tpe] {
        let without = trials_to_the_peak(sampler, None);
        let with = trials_to_the_peak(sampler, Some(&elsewhere));
        assert!(with < without, "{sampler:?}: {with} against {without}");
    }
}
