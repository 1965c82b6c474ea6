//! Racing on made-up studies: what it loses and what it saves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use proptest::prelude::*;
use rand::RngExt;
use statrs::distribution::Normal;

use super::*;
use crate::base::random::generator;
use crate::model::event::Event;
use crate::model::metric::Direction;
use crate::model::outcome::{Ending, Outcome};
use crate::model::params::Params;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::trial::Run;
use crate::model::value::Finite;
use crate::search::simulation::{self, Answer, Simulation, list, measure, space, spec};

/// A program whose runs vary.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    /// The spread of a run, in logarithms: 0.1 is about 10 %.
    noise: f64,
    /// The share of its variance that all runs of one number have in common.
    shared: f64,
    /// What the first run of each trial is multiplied with.
    first: f64,
    /// How far apart the params are, in the same terms.
    range: f64,
    direction: Direction,
}

const RUNS: u32 = 5;

impl World {
    fn spec(self, racing: bool) -> Spec {
        let values = "1 2 3 4 5";
        let space = space(vec![list("A", values, ""), list("B", values, "")], &[]);
        let mut spec = spec(space, SamplerKind::Random);
        spec.seed = self.seed;
        spec.search.racing = racing;
        spec.objective.direction = self.direction;
        spec.constraints.clear();
        spec.steps = vec![measure("measure", RUNS, &["speed", "quality"])];
        spec
    }

    fn normal(self, what: impl Hash) -> f64 {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let mut random = generator(self.seed, hasher.finish());
        let normal = Normal::new(0.0, 1.0).expect("a distribution");
        normal.inverse_cdf(random.random_range(1e-12..1.0))
    }

    /// The runs of some params, the same each time.
    fn runs(self, params: &Params) -> Vec<f64> {
        let key = params.key();
        let level = self.range * self.normal((&key, "level"));
        let run = |number: u32| {
            let own = (1.0 - self.shared).sqrt() * self.normal((&key, number));
            let common = self.shared.sqrt() * self.normal(("run", number));
            let noise = self.noise * (own + common);
            let first = if number == 1 { self.first } else { 1.0 };
            100.0 * (level + noise).exp() * first
        };
        (1..=RUNS).map(run).collect()
    }

    fn study(self, racing: bool) -> Study {
        let mut simulation = Simulation::new(self.spec(racing));
        simulation.run(99, |params| {
            Answer::Runs(
                self.runs(params)
                    .into_iter()
                    .map(|run| (run, 1.0))
                    .collect(),
            )
        });
        simulation.study
    }

    /// How good the params are in truth.
    fn level(self, params: &Params) -> f64 {
        let level = self.range * self.normal((&params.key(), "level"));
        match self.direction {
            Direction::Maximize => level,
            Direction::Minimize => -level,
        }
    }

    /// Races all params against each other.
    fn race(self, tally: &mut Tally) {
        let study = self.study(true);
        let trials = study.trials();
        let by_level = |a: &&Arc<Trial>, b: &&Arc<Trial>| {
            self.level(&a.params).total_cmp(&self.level(&b.params))
        };
        let best = trials.iter().max_by(by_level).expect("trials");
        let found = study.incumbent().expect("it has an end");
        tally.studies += 1;
        // Pruned, or left behind.
        tally.lost += u32::from(best.runs.len() < RUNS as usize);
        tally.runs += study.runs();
        tally.saved += study.runs_saved();
        tally.regret += self.level(&best.params) - self.level(&found.params);
        assert_eq!(
            f64::from(study.runs()) + study.runs_saved(),
            f64::from(RUNS * trials.len() as u32)
        );
        // Nothing is left open, and what is announced is no lucky run.
        assert_eq!(study.leader().map(|trial| trial.id), Some(found.id));
        for trial in [found, &trials[0]] {
            assert_eq!(trial.runs.len() as u32, RUNS);
        }
        assert_eq!(undecided(&study), None);
        let whole = self.study(false);
        let found = whole.incumbent().expect("it has an end");
        tally.whole_regret += self.level(&best.params) - self.level(&found.params);
    }
}

/// What racing did in many worlds.
#[derive(Debug, Default)]
struct Tally {
    studies: u32,
    /// Studies whose best params were pruned.
    lost: u32,
    runs: u32,
    saved: f64,
    /// By how much what was found is worse than the best, in logarithms.
    regret: f64,
    /// The same where nothing races.
    whole_regret: f64,
}

#[test]
fn the_best_is_hardly_ever_pruned() {
    let mut seed = 0;
    // Runs that vary by less than is supposed at first, by 13 % and by 40 %.
    for noise in [0.01, 0.13, 0.4] {
        // Params that differ by less than a run does, and by much more.
        for factor in [0.3, 1.0, 6.0] {
            let mut tally = Tally::default();
            for direction in [Direction::Maximize, Direction::Minimize] {
                for _ in 0..20 {
                    seed += 1;
                    let world = World {
                        seed,
                        noise,
                        shared: 0.0,
                        first: 1.0,
                        range: noise * factor,
                        direction,
                    };
                    world.race(&mut tally);
                }
            }
            // Three standard errors above the level that is promised.
            let promised = LEVEL * f64::from(tally.studies);
            let most = promised + 3.0 * promised.sqrt();
            assert!(f64::from(tally.lost) < most, "{noise} {factor} {tally:?}");
            let studies = f64::from(tally.studies);
            let worse = (tally.regret - tally.whole_regret) / studies;
            assert!(worse < 0.2 * noise, "{noise} {factor} {tally:?}");
            if factor > 5.0 {
                assert!(
                    tally.saved * 2.0 > f64::from(tally.runs),
                    "{noise} {factor} {tally:?}"
                );
            }
        }
    }
}

/// A study of a baseline of 100 and a second trial whose runs are given.
fn second(spec: Spec, baseline: &[(f64, f64)], runs: &[(f64, f64)], origin: Origin) -> Study {
    let mut simulation = Simulation::new(spec);
    let params = simulation.study.spec().space.baseline().expect("params");
    // It has all its runs, so that it shows how much they vary.
    simulation.try_params(&params, Origin::User, &Answer::Runs(baseline.to_vec()));
    let a = simulation.study.spec().space.parameters()[0].clone();
    let value = a.domain.levels(5)[1].clone();
    let other = simulation.study.spec().space.with(&params, &a.name, &value);
    simulation.try_params(
        &other.expect("params"),
        origin,
        &Answer::Runs(runs.to_vec()),
    );
    simulation.study
}

const QUIET: World = World {
    seed: 1,
    noise: 0.0,
    shared: 0.0,
    first: 1.0,
    range: 0.0,
    direction: Direction::Maximize,
};

const BASELINE: [(f64, f64); 5] = [
    (100.0, 0.9),
    (101.0, 0.91),
    (99.0, 0.9),
    (100.0, 0.89),
    (100.0, 0.9),
];

fn constrained() -> Spec {
    let mut spec = QUIET.spec(true);
    spec.constraints = simulation::spec(spec.space.clone(), SamplerKind::Random).constraints;
    spec
}

#[test]
fn a_trial_beyond_doubt_has_one_run() {
    let study = second(constrained(), &BASELINE, &[(50.0, 0.9); 5], Origin::Sampler);
    let trial = &study.trials()[1];
    let found = trial.pruned_by_racing().expect("pruned");
    assert_eq!(
        (found.runs, found.of, found.mean, found.needed),
        (1, 5, 50.0, 100.0)
    );
    assert_eq!(found.rival.map(|rival| rival.0), Some(1));
    assert!(found.chance < LEVEL / 8.0, "{found:?}");
    assert_eq!((study.runs(), study.runs_saved()), (6, 4.0));
    // One that is a little worse may still win: it has come out by one run.
    let close = second(constrained(), &BASELINE, &[(98.5, 0.9); 5], Origin::Sampler);
    let trial = &close.trials()[1];
    assert_eq!((trial.runs.len(), trial.is_provisional()), (1, true));
    assert_eq!(trial.outcome, Some(Outcome::Complete));
    assert_eq!(close.runs_saved(), 4.0);
}

/// A lucky run leads, and is announced only once the others bear it out.
#[test]
fn a_leader_is_taken_up_again() {
    let runs = [120.0, 96.0, 95.0, 96.0, 95.0].map(|speed| (speed, 0.9));
    let study = second(constrained(), &BASELINE, &runs, Origin::Sampler);
    let id = |trial: Option<&Arc<Trial>>| trial.map(|trial| trial.id.0);
    assert_eq!(
        (id(study.leader()), id(study.incumbent())),
        (Some(2), Some(1))
    );
    assert_eq!(
        (challenged(&study), unconfirmed(&study)),
        (None, Some(TrialId(2)))
    );
    let mut simulation = Simulation {
        study,
        facts: Vec::new(),
    };
    // The others are worse, so it has time to be challenged.
    let trials = simulation.study.trials().len();
    let (asked, _) = simulation.run(PATIENCE, |params| match simulation_trial(params) {
        2 => Answer::Runs(runs.to_vec()),
        _ => Answer::Runs(vec![(80.0, 0.9); 5]),
    });
    assert_eq!(asked.len(), PATIENCE);
    assert_eq!(simulation.study.trials().len(), trials + PATIENCE);
    assert_eq!(challenged(&simulation.study), Some(TrialId(2)));
    simulation.run(1, |params| match simulation_trial(params) {
        2 => Answer::Runs(runs.to_vec()),
        _ => Answer::Runs(vec![(80.0, 0.9); 5]),
    });
    let trial = &simulation.study.trials()[1];
    assert_eq!((trial.runs.len(), trial.sittings.len()), (5, 2));
    assert_eq!(id(simulation.study.leader()), Some(2), "its mean is 100.4");
    assert_eq!(id(simulation.study.incumbent()), Some(2));
}

/// The second trial is the one with the second value of A and the first of B.
fn simulation_trial(params: &Params) -> u32 {
    if params.key() == "A=2|B=1" { 2 } else { 0 }
}

/// What has a task would have to do it again.
#[test]
fn a_task_is_not_done_twice() {
    let mut spec = constrained();
    let mut train = measure("train", 1, &[]);
    train.kind = StepKind::Task {
        timeout: std::time::Duration::from_secs(9),
    };
    spec.steps.insert(0, train);
    let study = second(spec, &BASELINE, &[(98.5, 0.9); 5], Origin::Sampler);
    assert!(study.trials()[1].runs.len() > 3);
}

#[test]
fn a_bound_that_cannot_be_met_ends_a_trial() {
    let study = second(
        constrained(),
        &BASELINE,
        &[(500.0, 0.2); 5],
        Origin::Sampler,
    );
    let found = study.trials()[1].pruned_by_racing().expect("pruned");
    assert_eq!(
        (&*found.metric, found.needed, found.rival),
        ("quality", 0.5, None)
    );
    assert_eq!(found.runs, 1);
}

#[test]
fn what_is_not_raced() {
    let bad = [(50.0, 0.9); 5];
    let runs = |study: &Study| study.trials()[1].runs.len();
    let mut off = constrained();
    off.search.racing = false;
    assert_eq!(runs(&second(off, &BASELINE, &bad, Origin::Sampler)), 5);
    assert_eq!(
        runs(&second(constrained(), &BASELINE, &bad, Origin::User)),
        5
    );
    // What was pruned and is measured again has all its runs.
    let study = second(constrained(), &BASELINE, &bad, Origin::Sampler);
    let mut again = Simulation {
        study,
        facts: Vec::new(),
    };
    let trial = crate::model::trial::TrialId(2);
    again.happen(Event::TrialReopened { trial });
    again.work(trial, &Answer::Runs(bad[1..].to_vec()));
    let trial = &again.study.trials()[1];
    assert_eq!(
        (trial.runs.len(), trial.outcome.as_ref()),
        (5, Some(&Outcome::Complete))
    );
    assert_eq!(
        (trial.pruned_by_racing(), again.study.runs_saved()),
        (None, 0.0)
    );
}

/// The objective is known once its own step is done, and a constraint once
/// its own is: the runs of other steps cannot mend it.
#[test]
fn each_metric_has_the_runs_of_its_own_steps() {
    let mut spec = constrained();
    spec.steps = vec![
        measure("first", 1, &["quality"]),
        measure("measure", 5, &["speed"]),
    ];
    let study = second(spec, &BASELINE, &[], Origin::Sampler);
    let mut trial = Trial::clone(&study.trials()[1]);
    let run = |step: &str, metric: &str, value: f64| Run {
        step: step.into(),
        number: 1,
        sitting: 1,
        elapsed: std::time::Duration::ZERO,
        ending: Ending::Exited(0),
        metrics: Box::new([(metric.into(), Finite::new(value).expect("finite"))]),
        fault: None,
    };
    trial.runs = vec![run("first", "quality", 0.499)];
    let pruned = |trial: &Trial| match look(&study, trial) {
        Some(Verdict::Prune(pruning)) => Some(pruning),
        _ => None,
    };
    let found = pruned(&trial).expect("it stays so");
    assert_eq!(
        (&*found.metric, found.runs, found.of, found.chance),
        ("quality", 1, 1, 0.0)
    );
    trial.runs = vec![run("first", "quality", 0.5)];
    assert_eq!(look(&study, &trial), None, "its speed is not known");
    trial.runs.push(run("measure", "speed", 20.0));
    let found = pruned(&trial).expect("far off");
    assert_eq!((&*found.metric, found.runs, found.of), ("speed", 1, 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the runs are, nothing but a better trial takes the incumbent's
    /// place, and neither it nor the baseline is ever pruned.
    #[test]
    fn the_incumbent_is_never_dropped(
        runs in prop::collection::vec(prop::collection::vec((-5.0f64..50.0, 0.3f64..1.0), 5), 25),
        coordinate: bool,
    ) {
        let mut spec = constrained();
        if coordinate {
            spec.search.sampler = SamplerKind::Coordinate;
        }
        let mut simulation = Simulation::new(spec);
        let mut best: Option<f64> = None;
        for runs in &runs {
            let incumbent = simulation.study.incumbent().map(|trial| trial.id);
            simulation.run(1, |_| Answer::Runs(runs.clone()));
            let study = &simulation.study;
            let now = study.incumbent().and_then(|t| study.objective(t)).map(|s| s.mean);
            if let Some(id) = incumbent.filter(|id| id.0 > 1) {
                prop_assert!(now >= best);
                let trial = study.trial(id).expect("it is there");
                prop_assert_eq!(trial.outcome.as_ref(), Some(&Outcome::Complete));
                prop_assert_eq!(trial.runs.len(), 5);
            }
            best = now;
            prop_assert!(study.trials()[0].pruning.is_none());
        }
    }
}

/// Runs of one number have a part of their variance in common.
#[test]
fn what_runs_share_is_found_and_the_best_is_still_kept() {
    let mut seed = 9_000;
    for shared in [0.25, 0.5, 0.8] {
        for factor in [0.3, 1.0] {
            let mut tally = Tally::default();
            for _ in 0..40 {
                seed += 1;
                let world = World {
                    seed,
                    noise: 0.13,
                    shared,
                    first: 1.0,
                    range: 0.13 * factor,
                    direction: Direction::Maximize,
                };
                world.race(&mut tally);
            }
            let promised = LEVEL * f64::from(tally.studies);
            let most = promised + 3.0 * promised.sqrt();
            assert!(f64::from(tally.lost) < most, "{shared} {factor} {tally:?}");
        }
    }
}

/// How many runs it takes to prune what can be pruned, of trials that have all
/// of them; with the numbers of the runs, and with numbers that say nothing.
fn runs_needed(shared: f64) -> (u32, u32, f64) {
    let (mut paired, mut alone, mut found) = (0, 0, 0.0);
    for seed in 1..=30 {
        let world = World {
            seed: 7_000 + seed,
            noise: 0.1,
            shared,
            first: 1.0,
            range: 0.15,
            direction: Direction::Maximize,
        };
        let mut simulation = Simulation::new(world.spec(false));
        simulation.run(99, |params| {
            let runs = world.runs(params).into_iter();
            Answer::Runs(runs.map(|run| (run, 1.0)).collect())
        });
        let mut spec = Spec::clone(simulation.study.spec());
        spec.search.racing = true;
        let spec = Arc::new(spec);
        let mut facts = simulation.facts.clone();
        paired += look_at_all(&Simulation::replay(&spec, &facts));
        let noise = Noise::of_objective(&Simulation::replay(&spec, &facts));
        found += noise.shared / 30.0;
        for fact in &mut facts {
            if let Event::RunEnded { trial, run } = &mut fact.event {
                run.number += 100 * trial.0;
            }
        }
        alone += look_at_all(&Simulation::replay(&spec, &facts));
    }
    (paired, alone, found)
}

fn look_at_all(study: &Study) -> u32 {
    let mut runs = 0;
    for whole in study.trials() {
        let mut trial = Trial::clone(whole);
        for count in 1..=RUNS {
            trial.runs = whole.runs[..count as usize].to_vec();
            runs += 1;
            if pruning(study, &trial, &criteria(study, &trial)).is_some() {
                break;
            }
        }
    }
    runs
}

#[test]
fn pairing_saves_runs_where_there_is_something_to_pair() {
    let (paired, alone, found) = runs_needed(0.0);
    assert!(found < 0.03, "{found}");
    assert!(paired * 100 >= alone * 99, "{paired} {alone}");
    let (paired, alone, found) = runs_needed(0.25);
    assert!((0.1..0.35).contains(&found), "{found}");
    assert!(paired * 100 < alone * 98, "{paired} {alone}");
    let (paired, alone, found) = runs_needed(0.5);
    assert!((0.3..0.6).contains(&found), "{found}");
    assert!(paired * 100 < alone * 93, "{paired} {alone}");
}

/// While the best trial has its other runs it stays the best: nobody is to find
/// that there is none.
#[test]
fn what_is_taken_up_stays_the_best() {
    let mut simulation = Simulation::new(QUIET.spec(true));
    let baseline = simulation.study.spec().space.baseline().expect("params");
    let trial = simulation.plan(&baseline, Origin::Baseline);
    let one = |speed: f64| Answer::Runs(vec![(speed, 1.0); 1]);
    simulation.work(trial, &one(100.0));
    let incumbent = |simulation: &Simulation| simulation.study.incumbent().map(|best| best.id);
    assert_eq!(incumbent(&simulation), Some(trial));
    simulation.happen(Event::SittingStarted {
        trial,
        sitting: 2,
        purpose: crate::model::trial::Purpose::Measure,
        token: String::new(),
        boot_id: "".into(),
        slot: None,
    });
    assert!(
        simulation.study.leader().is_none(),
        "nothing is raced with itself"
    );
    assert_eq!(incumbent(&simulation), Some(trial));
    let failed = crate::search::simulation::fails();
    let Answer::Fails(failure) = failed else {
        panic!("it fails")
    };
    simulation.happen(Event::SittingEnded {
        trial,
        sitting: 2,
        end: crate::model::trial::SittingEnd::Finished(Outcome::Failed(Box::new(failure))),
        health: None,
    });
    assert_eq!(incumbent(&simulation), None);
}
