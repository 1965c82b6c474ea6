//! Racing on made-up studies: what it loses and what it saves.

use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use rand::RngExt;
use statrs::distribution::Normal;

use super::*;
use crate::base::random::generator;
use crate::model::event::Event;
use crate::model::outcome::{Ending, Outcome};
use crate::model::params::Params;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::trial::Run;
use crate::search::simulation::{self, Answer, Simulation, list, measure, space, spec};

/// A program whose runs vary.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    /// The spread of a run, in logarithms: 0.1 is about 10 %.
    noise: f64,
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
            let noise = self.noise * self.normal((&key, number));
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

    /// Compares a study that races with one that does not.
    fn race(self, tally: &mut Tally) {
        let (raced, whole) = (self.study(true), self.study(false));
        let best = |study: &Study| study.incumbent().map(|trial| trial.params.key());
        tally.studies += 1;
        tally.same_winner += u32::from(best(&raced) == best(&whole));
        tally.runs += whole.runs();
        tally.saved += raced.runs_saved();
        assert_eq!(whole.runs(), raced.runs() + raced.runs_saved());
        let mut best: Option<f64> = None;
        for trial in raced.trials() {
            let mean = mean(&self.runs(&trial.params));
            let objective = &raced.spec().objective;
            let wins = best.is_none_or(|best| objective.better(mean, best));
            let pruned = trial.pruned_by_racing().is_some();
            if best.is_some() && wins {
                tally.winners += 1;
                tally.lost += u32::from(pruned);
            }
            if wins && !pruned {
                best = Some(mean);
            }
        }
    }
}

/// What racing did in many worlds.
#[derive(Debug, Default)]
struct Tally {
    studies: u32,
    same_winner: u32,
    /// Trials that were better than the incumbent of their time, over all runs.
    winners: u32,
    /// Those of them that were pruned.
    lost: u32,
    runs: u32,
    saved: u32,
}

#[test]
fn what_would_have_won_is_hardly_ever_pruned() {
    let mut all = Tally::default();
    let mut seed = 0;
    for direction in [Direction::Maximize, Direction::Minimize] {
        // Runs that vary by 13 % and 40 %, and first runs that are slow.
        for (noise, first) in [(0.13, 1.0), (0.4, 1.0), (0.13, 0.8), (0.4, 1.25)] {
            // Params that differ by less than a run, and by more.
            for range in [0.05, 0.3] {
                for _ in 0..12 {
                    seed += 1;
                    let world = World {
                        seed,
                        noise,
                        first,
                        range,
                        direction,
                    };
                    world.race(&mut all);
                }
            }
        }
    }
    // Three standard errors above the level that is promised.
    let promised = LEVEL * f64::from(all.winners);
    assert!(
        f64::from(all.lost) < promised + 3.0 * promised.sqrt(),
        "{all:?}"
    );
    assert!(all.same_winner * 100 >= all.studies * 98, "{all:?}");
    assert!(all.saved * 5 >= all.runs, "{all:?}");
}

/// A study of a baseline of 100 and a second trial whose runs are given.
fn second(spec: Spec, baseline: &[(f64, f64)], runs: &[(f64, f64)], origin: Origin) -> Study {
    let mut simulation = Simulation::new(spec);
    let params = simulation.study.spec().space.baseline().expect("params");
    simulation.try_params(&params, Origin::Baseline, &Answer::Runs(baseline.to_vec()));
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
    assert_eq!((study.runs(), study.runs_saved()), (6, 4));
    // One that is a little worse may still win.
    let close = second(constrained(), &BASELINE, &[(98.5, 0.9); 5], Origin::Sampler);
    assert!(close.trials()[1].runs.len() > 3);
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
    // One run of a baseline says nothing of the noise.
    assert_eq!(
        runs(&second(
            constrained(),
            &BASELINE[..1],
            &bad,
            Origin::Sampler
        )),
        5
    );
    // As long as nothing is feasible, the least bad one leads on.
    let infeasible = [(100.0, 0.4); 5];
    assert_eq!(
        runs(&second(constrained(), &infeasible, &bad, Origin::Sampler)),
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
        (None, 0)
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
    let found = prune(&study, &trial).expect("it stays so");
    assert_eq!(
        (&*found.metric, found.runs, found.of, found.chance),
        ("quality", 1, 1, 0.0)
    );
    trial.runs = vec![run("first", "quality", 0.5)];
    assert_eq!(prune(&study, &trial), None);
    trial.runs.push(run("measure", "speed", 20.0));
    let found = prune(&study, &trial).expect("far off");
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
            prop_assert!(now >= best);
            best = now;
            if let Some(id) = incumbent {
                let trial = study.trial(id).expect("it is there");
                prop_assert_eq!(trial.outcome.as_ref(), Some(&Outcome::Complete));
                prop_assert_eq!(trial.runs.len(), 5);
            }
            prop_assert!(study.trials()[0].pruning.is_none());
        }
    }
}
