//! Looking into runs of made-up studies: what it loses and what it saves.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal};

use super::super::LEVEL;
use super::*;
use crate::base::random::generator;
use crate::model::params::Params;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::step::{Pattern, StepKind};
use crate::search::simulation::{Answer, MarkedRun, Simulation, list, measure, space, spec};

const PARTS: u32 = 4;
/// Lines of progress that are marks.
const LINES: [u32; 5] = [1, 2, 3, 4, 6];

/// A program whose runs can be looked into.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    runs: u32,
    /// Whether runs have parts; else they tell how it goes.
    parts: bool,
    /// The spread of a run, in logarithms: 0.1 is about 10 %.
    noise: f64,
    /// How far apart the params are, in the same terms.
    range: f64,
    /// How differently the params do on the same part, or come along.
    own: f64,
}

impl World {
    fn spec(self) -> Spec {
        let values = "1 2 3 4 5";
        let space = space(vec![list("A", values, ""), list("B", values, "")], &[]);
        let mut spec = spec(space, SamplerKind::Random);
        spec.seed = self.seed;
        spec.constraints.clear();
        spec.steps = vec![measure("measure", self.runs, &["speed", "quality"])];
        if let StepKind::Measure { marks, .. } = &mut spec.steps[0].kind {
            *marks = match self.parts {
                true => Marks::Parts(PARTS),
                false => Marks::Progress {
                    metric: "speed".into(),
                    pattern: Pattern::new("(.)").expect("a pattern"),
                },
            };
        }
        spec
    }

    fn normal(self, what: impl Hash) -> f64 {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let mut random = generator(self.seed, hasher.finish());
        let normal = Normal::new(0.0, 1.0).expect("a distribution");
        normal.inverse_cdf(random.random_range(1e-12..1.0))
    }

    /// What the params do on a part, whatever the run.
    fn on_part(self, params: &Params, part: u32) -> f64 {
        let hard = 0.5 * self.normal(("part", part));
        let own = self.own * self.normal((&params.key(), "part", part));
        self.range * self.normal((&params.key(), "level")) + hard + own
    }

    /// How good the params are in truth.
    fn level(self, params: &Params) -> f64 {
        if self.parts {
            let each = (1..=PARTS).map(|part| self.on_part(params, part).exp());
            return each.sum::<f64>().ln();
        }
        self.range * self.normal((&params.key(), "level"))
    }

    fn run(self, params: &Params, number: u32) -> MarkedRun {
        let noise = |what: u32| self.normal((&params.key(), number, what));
        if self.parts {
            // A run is as noisy as without parts.
            let spread = self.noise * f64::from(PARTS).sqrt();
            let part = |part| 100.0 * (self.on_part(params, part) + spread * noise(part)).exp();
            let parts: Vec<(f64, f64)> = (1..=PARTS).map(|number| (part(number), 1.0)).collect();
            return MarkedRun::of_parts(&parts);
        }
        let last = 100.0 * (self.level(params) + self.noise * noise(0)).exp();
        // It is too low at first, by how much differs.
        let told = |line: u32| {
            let off = -1.0 + self.own * noise(line);
            last * (off / f64::from(line)).exp()
        };
        MarkedRun {
            marks: LINES.map(|line| (line, (told(line), 1.0))).to_vec(),
            run: (last, 1.0),
        }
    }

    fn race(self, tally: &mut Tally) {
        let mut simulation = Simulation::new(self.spec());
        simulation.run(99, |params| {
            Answer::Marked(
                (1..=self.runs)
                    .map(|number| self.run(params, number))
                    .collect(),
            )
        });
        let study = &simulation.study;
        let trials = study.trials();
        let merit = |trial: &Trial| match self.runs {
            // That run decides, whatever the truth is.
            1 => self.run(&trial.params, 1).run.0,
            _ => self.level(&trial.params),
        };
        let best = trials.iter().max_by(|a, b| merit(a).total_cmp(&merit(b)));
        let best = best.expect("trials");
        tally.studies += 1;
        tally.lost += u32::from(best.pruned_by_racing().is_some());
        let cut = |trial: &Trial| Some(trial.pruned_by_racing()?.cut.clone()?.share);
        for share in trials.iter().filter_map(|trial| cut(trial)) {
            tally.cut += 1;
            tally.cut_saved += 1.0 - share;
        }
        tally.trials += trials.len() as u32;
        let spent = f64::from(study.runs()) + study.runs_cut() + study.runs_saved();
        assert!((spent - f64::from(self.runs * trials.len() as u32)).abs() < 1e-6);
    }
}

/// What came of many worlds.
#[derive(Debug, Default)]
struct Tally {
    studies: u32,
    /// Studies whose best params were pruned.
    lost: u32,
    trials: u32,
    /// Trials that were ended in the midst of a run.
    cut: u32,
    /// What of that run was not run, in runs.
    cut_saved: f64,
}

/// Races in many worlds, some of which have parts, and some progress.
fn races(runs: u32, range: f64) -> [Tally; 2] {
    [true, false].map(|parts| {
        let mut tally = Tally::default();
        for seed in 0..8 {
            for (noise, own) in [(0.01, 0.01), (0.1, 0.1), (0.05, 0.3)] {
                World {
                    seed,
                    runs,
                    parts,
                    noise,
                    range: range * noise.max(own),
                    own,
                }
                .race(&mut tally);
            }
        }
        tally
    })
}

#[test]
fn the_best_is_hardly_ever_cut() {
    for runs in [1, 4] {
        for range in [0.5, 2.0, 8.0] {
            for tally in races(runs, range) {
                // Three standard errors above the level that is promised.
                let promised = LEVEL * f64::from(tally.studies);
                let most = promised + 3.0 * promised.sqrt();
                assert!(f64::from(tally.lost) < most, "{runs} {range} {tally:?}");
                if range > 5.0 {
                    assert!(tally.cut * 5 > tally.trials, "{runs} {range} {tally:?}");
                }
            }
        }
    }
}

/// A study of so many good trials, and one whose first mark is given.
fn after(world: World, good: u32, mark: (f64, f64)) -> Simulation {
    let mut simulation = Simulation::new(world.spec());
    simulation.run(good as usize, |params| {
        Answer::Marked(
            (1..=world.runs)
                .map(|number| world.run(params, number))
                .collect(),
        )
    });
    simulation.run(1, |_| {
        let marks = vec![(1, mark)];
        Answer::Marked(vec![MarkedRun { marks, run: mark }; world.runs as usize])
    });
    simulation
}

const QUIET: World = World {
    seed: 1,
    runs: 1,
    parts: true,
    noise: 0.01,
    range: 0.01,
    own: 0.01,
};

#[test]
fn nothing_is_cut_before_it_is_known_how_runs_come_along() {
    for parts in [true, false] {
        let world = World { parts, ..QUIET };
        let cut = |good: u32| {
            let simulation = after(world, good, (1.0, 1.0));
            let trial = simulation.study.trials().iter().last().expect("trials");
            (
                trial.runs.len(),
                trial.pruned_by_racing().and_then(|p| p.cut.clone()),
            )
        };
        assert_eq!(cut(4), (1, None));
        let share = if parts { 0.25 } else { 1.0 / 6.0 };
        let expected = Cut {
            step: "measure".into(),
            mark: 1,
            parts: parts.then_some(PARTS),
            share,
        };
        assert_eq!(cut(5), (0, Some(expected)));
    }
}

/// What a sampler learns of a trial that has no run.
#[test]
fn a_cut_trial_is_known_too() {
    let simulation = after(QUIET, 9, (1.0, 1.0));
    let study = &simulation.study;
    let known = Known::new(study, "speed", Noise::of_objective(study));
    let of = |index: usize| {
        let trial = &study.trials()[index];
        known.of(trial, trial.summary("speed")).expect("known")
    };
    let (whole, exact) = of(3);
    let (cut, vague) = of(9);
    let measured = study.trials()[3].summary("speed").expect("a run").mean;
    assert!((whole - measured.ln()).abs() < 1e-9);
    // Parts differ, but not by a factor of a hundred.
    assert!((-2.0..2.0).contains(&cut) && vague > exact, "{cut} {vague}");
}
