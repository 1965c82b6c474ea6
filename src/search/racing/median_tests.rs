//! Studies made up of curves: what the median rule saves, and what it loses.

use std::time::Duration;

use rand::RngExt;

use super::*;
use crate::base::random::generator;
use crate::model::curve::Told;
use crate::model::domain::Scale;
use crate::model::event::Event;
use crate::model::metric::Direction;
use crate::model::outcome::Ending;
use crate::model::params::Params;
use crate::model::spec::{Median as Rule, SamplerKind};
use crate::model::step::StepKind;
use crate::model::trial::{Purpose, SittingEnd};
use crate::model::value::Value;
use crate::search::simulation::{Simulation, int, measure, space, spec};

/// The steps of a training run, each of which it tells.
const STEPS: u32 = 50;

/// A study of one task, the metric of which is told on its way.
fn study(direction: Direction, after: u32, from: u64) -> Simulation {
    let mut spec = spec(
        space(vec![int("N", 0, 9999, Scale::Linear, "")], &[]),
        SamplerKind::Random,
    );
    spec.objective.direction = direction;
    spec.constraints.clear();
    spec.search.racing = false;
    spec.search.median = Some(Rule {
        after,
        from,
        metric: "speed".into(),
        direction,
    });
    let timeout = Duration::from_secs(9);
    let mut train = measure("measure", 1, &["speed"]);
    train.kind = StepKind::Task { timeout };
    spec.steps = vec![train];
    Simulation::new(spec)
}

fn params(of: &Simulation, n: i64) -> Params {
    let assignment = [("N".to_owned(), Value::from(n))].into();
    of.study
        .spec()
        .space
        .check(&assignment)
        .expect("in the space")
}

/// A training run that tells `curve`, as far as the rule lets it come; whether
/// that was to its end, and how many steps it took.
fn train(of: &mut Simulation, origin: Origin, curve: &[f64]) -> (bool, usize) {
    let number = of.study.trials().len() as i64;
    let trial = of.plan(&params(of, number), origin);
    of.happen(Event::SittingStarted {
        trial,
        sitting: 1,
        purpose: Purpose::Measure,
        token: String::new(),
        boot_id: "".into(),
        slot: None,
    });
    let finite = |number| Finite::new(number).expect("finite");
    let mut end = (Outcome::Complete, curve.len());
    for (index, value) in curve.iter().enumerate() {
        let told = Told {
            step: "measure".into(),
            run: 1,
            sitting: 1,
            at: finite(index as f64 + 1.0),
            of: None,
            metrics: Box::new([("speed".into(), finite(*value))]),
        };
        of.happen(Event::RunTold { trial, told });
        let known = of.study.trial(trial).expect("planned");
        if let Some(pruning) = behind(&of.study, known, "measure", 1) {
            let pruning = Box::new(pruning);
            of.happen(Event::TrialPruned { trial, pruning });
            end = (Outcome::Pruned, index + 1);
            break;
        }
    }
    if end.0 == Outcome::Complete {
        let last = *curve.last().expect("a curve");
        let run = Run {
            step: "measure".into(),
            number: 1,
            sitting: 1,
            elapsed: Duration::from_secs(1),
            ending: Ending::Exited(0),
            metrics: Box::new([("speed".into(), finite(last))]),
            fault: None,
        };
        of.happen(Event::RunEnded { trial, run });
    }
    let is_whole = end.0 == Outcome::Complete;
    of.happen(Event::SittingEnded {
        trial,
        sitting: 1,
        end: SittingEnd::Finished(end.0),
        health: None,
    });
    (is_whole, end.1)
}

fn flat(value: f64) -> Vec<f64> {
    vec![value; 10]
}

#[test]
fn what_is_behind_the_median_is_ended_and_what_ties_is_not() {
    let mut of = study(Direction::Maximize, 3, 4);
    assert_eq!(train(&mut of, Origin::Baseline, &flat(1.0)), (true, 10));
    // As long as too few have come out, all do.
    assert_eq!(train(&mut of, Origin::Sampler, &flat(5.0)), (true, 10));
    assert_eq!(train(&mut of, Origin::Sampler, &flat(0.5)), (true, 10));
    // The median is 1.
    assert_eq!(train(&mut of, Origin::Sampler, &flat(1.0)), (true, 10));
    assert_eq!(train(&mut of, Origin::Sampler, &flat(0.9)), (false, 4));
    let pruned = of.study.trials()[4].pruned_by_racing().expect("pruned");
    let median = pruned.median.expect("by the median");
    assert_eq!((median.at.get(), median.trials), (4.0, 4));
    assert_eq!((pruned.mean, pruned.needed), (0.9, 1.0));
    let cut = pruned.cut.as_ref().expect("in its midst");
    assert!((cut.share - 0.4).abs() < 1e-12, "{cut:?}");
    // What was ended is not one of them.
    assert_eq!(train(&mut of, Origin::Sampler, &flat(0.95)), (false, 4));
    let third = of.study.trials()[5].pruned_by_racing().expect("pruned");
    assert_eq!(third.median.expect("by the median").trials, 4);
    // It has been better once.
    let mut once = flat(0.1);
    once[1] = 1.5;
    assert_eq!(train(&mut of, Origin::Sampler, &once), (true, 10));
    // Whoever wants a trial wants to know.
    assert_eq!(train(&mut of, Origin::User, &flat(0.1)), (true, 10));
}

#[test]
fn less_may_be_better() {
    let mut of = study(Direction::Minimize, 1, 0);
    assert_eq!(train(&mut of, Origin::Baseline, &flat(1.0)), (true, 10));
    assert_eq!(train(&mut of, Origin::Sampler, &flat(1.1)), (false, 1));
    assert_eq!(train(&mut of, Origin::Sampler, &flat(0.9)), (true, 10));
}

#[test]
fn a_model_learns_what_was_promised() {
    let mut of = study(Direction::Maximize, 5, 5);
    for result in [10.0, 11.0, 12.0, 13.0, 14.0] {
        // Each rises by 5 after the fifth step.
        let mut curve = flat(result);
        curve[..5].fill(result - 5.0);
        train(&mut of, Origin::Baseline, &curve);
    }
    assert_eq!(train(&mut of, Origin::Sampler, &flat(3.0)), (false, 5));
    let noise = Noise::of_objective(&of.study);
    let pruned = &of.study.trials()[5];
    let (mean, variance) = promised(&of.study, pruned, "speed", &noise).expect("known");
    // What the others had not told by then is added to what it had told; that is
    // still less than the worst of them came to.
    let (least, most) = (noise.scaled(3.0), noise.scaled(10.0));
    assert!(least < mean && mean < most, "{least} {mean} {most}");
    assert!(variance.is_finite() && variance > 0.0, "{variance}");
}

/// Curves that approach a level of their own at a speed of their own, with
/// noise. Where good ones are `late`, the higher the level, the longer nothing
/// is seen of it.
fn curve(seed: u64, number: u64, late: bool) -> Vec<f64> {
    let mut random = generator(seed, number);
    let level: f64 = random.random_range(0.5..1.0);
    let lag: f64 = random.random_range(3.0..20.0);
    let value = |step: u32| match late {
        true => (f64::from(step) / f64::from(STEPS)).powf(6.0 * level - 2.0),
        false => 1.0 - (-f64::from(step) / lag).exp(),
    };
    (1..=STEPS)
        .map(|step| level * value(step) + random.random_range(-0.02..0.02))
        .collect()
}

/// What the rule does on 60 studies of 40 trials each: the share of the training
/// that it saves, the share of studies in which it ends the best, and how much
/// worse what is left is then, on average over all.
fn rates(late: bool) -> (f64, f64, f64) {
    const STUDIES: u64 = 60;
    let (mut spent, mut all, mut lost, mut worse) = (0, 0, 0, 0.0);
    for seed in 0..STUDIES {
        let mut of = study(Direction::Maximize, 5, 10);
        let (mut best, mut kept) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for number in 0..40 {
            let origin = match number {
                0 => Origin::Baseline,
                _ => Origin::Sampler,
            };
            let curve = curve(seed, number, late);
            let result = *curve.last().expect("a curve");
            let (is_whole, steps) = train(&mut of, origin, &curve);
            spent += steps;
            all += curve.len();
            best = best.max(result);
            kept = if is_whole { kept.max(result) } else { kept };
        }
        lost += u32::from(kept < best);
        worse += (best - kept) / best;
    }
    let studies = STUDIES as f64;
    (
        1.0 - spent as f64 / f64::from(all as u32),
        f64::from(lost) / studies,
        worse / studies,
    )
}

#[test]
fn what_it_saves_and_what_it_loses() {
    // 16 % saved, and the best never lost.
    let (saved, lost, worse) = rates(false);
    assert!(saved > 0.12, "{saved}");
    assert!(lost < 0.05 && worse < 0.001, "{lost} {worse}");
    // It supposes that what is far behind does not come to be ahead: 12 % saved,
    // the best lost in half of the studies, and 4 % of it on average.
    let (saved, lost, worse) = rates(true);
    assert!(lost > 0.3 && worse > 0.01, "{saved} {lost} {worse}");
}
