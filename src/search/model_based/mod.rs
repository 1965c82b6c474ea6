//! The sampler `model`: tries what a model of the space, learned from the
//! trials so far, promises most of for its cost.
//!
//! # The model
//! A Gaussian process each for the objective, for the margin of each bound, for
//! whether a trial starts at all, and for the time that it takes; see
//! [`process`]. Objective and margins are learned on the scale of [`noise`](crate::model::noise):
//! logarithms where all values lie on one side of 0. A trial counts by the mean
//! of its runs, and is trusted as its runs and starts are many. So a lucky run
//! is drawn towards what its neighbours tell.
//!
//! # The promise
//! ```text
//! ln EI(objective over the best so far) + Σ ln P(each bound is met)
//!     + ln P(it starts) - ln E(time)
//! ```
//! `EI` is the expected improvement (D. R. Jones, M. Schonlau and W. J. Welch,
//! Efficient global optimization of expensive black-box functions, Journal of
//! Global Optimization 13, 1998) over the best of the means that the model
//! itself has for the feasible trials, since the best measured one was lucky
//! (the plug-in of V. Picheny, T. Wagner and D. Ginsbourger, A benchmark of
//! kriging-based infill criteria for noisy optimization, Structural and
//! Multidisciplinary Optimization 48, 2013: the plug-in). Constraints as probabilities: J. R.
//! Gardner et al., Bayesian optimization with inequality constraints, ICML
//! 2014; as long as nothing is feasible, their probability alone counts. Time:
//! J. Snoek, H. Larochelle and R. P. Adams, Practical Bayesian optimization of
//! machine learning algorithms, NIPS 2012.
//!
//! # The beginning, and many trials
//! The first trial after the baseline is the baseline with about half of its
//! parameters drawn anew. A study of more than [`LEARNED`] trials is learned
//! from that many of them: the best, the newest, and the rest evenly.
//!
//! A trial that is planned or runs counts as a lie: as if it had come out
//! average (D. Ginsbourger, R. Le Riche and L. Carraro, Kriging is well-suited
//! to parallelize optimization, 2010: the constant liar), so that no two that
//! run at a time look for the same thing.
//!
//! Nothing is kept between two asks: all is computed from the history, with
//! random numbers of the study's seed and the number of trials.

mod belief;
mod candidates;
mod expect;
pub mod importance;
mod process;

use rand::RngExt;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use self::belief::{Belief, Clip, Estimate, Sample};
use self::candidates::candidates;
pub(super) use self::expect::expected;
use self::process::Places;
use super::geometry::Geometry;
use super::standing::Standing;
use super::{Ask, random};
use crate::base::random::{Generator, generator};
use crate::model::metric::Constraint;
use crate::model::noise::Noise;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::model::value::Finite;

/// So many trials come before the model is asked, beside the baseline.
const OPENING: usize = 1;
/// How often a change at random is tried before it is left.
const DRAWS: usize = 100;
/// The model learns from so many trials at most.
const LEARNED: usize = 140;
/// Times that differ by less than this, as logarithms, are not worth a model.
const SAME_TIME: f64 = 0.05;

/// What to try next.
pub(super) fn ask(study: &Study, baseline: &Params) -> Ask {
    let mut random = generator(study.spec().seed, study.trials().len() as u64);
    let promising = if opens(study) {
        half_changed(study, baseline, &mut random)
    } else {
        most_promising(study, baseline, &mut random)
    };
    match promising {
        Some(params) => Ask::Try(params),
        // What few there are left, or none.
        None => random::ask(study),
    }
}

/// Whether nothing is asked of the model yet.
pub(super) fn opens(study: &Study) -> bool {
    study.trials().len() <= OPENING
}

/// The baseline with about half of its parameters drawn anew.
fn half_changed(study: &Study, baseline: &Params, random: &mut Generator) -> Option<Params> {
    (0..DRAWS).find_map(|_| {
        let drawn = study.spec().space.choose(|parameter| {
            let own = baseline.get(&parameter.name).cloned();
            let kept = own.filter(|_| random.random_bool(0.5));
            kept.unwrap_or_else(|| parameter.domain.at(random.random()))
        });
        drawn.ok().filter(|params| study.trial_of(params).is_none())
    })
}

fn most_promising(study: &Study, baseline: &Params, random: &mut Generator) -> Option<Params> {
    let geometry = Geometry::new(&study.spec().space);
    let trials = learned(study);
    let candidates = candidates(study, &geometry, &trials, baseline, random);
    let history = History {
        study,
        geometry: &geometry,
        trials,
    };
    let points: Vec<Vec<f64>> = candidates
        .iter()
        .map(|params| geometry.point(params))
        .collect();
    let points: Vec<&[f64]> = points.iter().map(|point| &**point).collect();
    let promises = history.promises(&Places::new(&geometry, &points));
    let best = promises
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    candidates.into_iter().nth(best?.0)
}

/// The trials that the model learns from, in the order of their numbers.
fn learned(study: &Study) -> Vec<&Trial> {
    let all: Vec<&Trial> = study.trials().iter().map(|trial| &**trial).collect();
    if all.len() <= LEARNED {
        return all;
    }
    let share = LEARNED / 3;
    let (old, new) = all.split_at(all.len() - share);
    let objective = &study.spec().objective;
    let standing = |trial: &&Trial| Some((Standing::of(study, trial)?, trial.id));
    let mut ranked: Vec<_> = old.iter().filter_map(standing).collect();
    ranked.sort_by(|(a, x), (b, y)| {
        let better = |a: &Standing, b: &Standing| a.beats(Some(*b), objective);
        better(b, a).cmp(&better(a, b)).then(x.cmp(y))
    });
    ranked.truncate(share);
    let mut best: Vec<_> = ranked.into_iter().map(|(_, id)| id).collect();
    best.sort_unstable();
    let (best, rest): (Vec<&Trial>, Vec<&Trial>) = old
        .iter()
        .partition(|trial| best.binary_search(&trial.id).is_ok());
    let left = LEARNED - new.len() - best.len();
    let every = rest.len().div_ceil(left.max(1)).max(1);
    let mut learned: Vec<&Trial> = rest.into_iter().step_by(every).chain(best).collect();
    learned.sort_by_key(|trial| trial.id);
    learned.extend(new);
    learned
}

/// The trials with where they lie.
struct History<'a> {
    study: &'a Study,
    geometry: &'a Geometry,
    trials: Vec<&'a Trial>,
}

impl History<'_> {
    /// What each of these places promises; more is better.
    fn promises(&self, places: &Places) -> Vec<f64> {
        let mut promises = vec![0.0; places.count()];
        self.add_improvement(places, &mut promises);
        self.add_bounds(places, &mut promises);
        let starts = self.chances_to_start(places);
        for (promise, chance) in promises.iter_mut().zip(&starts) {
            *promise += chance.ln();
        }
        self.subtract_time(places, &starts, &mut promises);
        promises
    }

    fn samples(&self, value: impl Fn(&Trial) -> Option<(f64, f64)>) -> Vec<Sample> {
        let sample = |trial: &&Trial| {
            let (value, noise) = value(trial)?;
            let point = self.geometry.point(&self.study.params_of(trial));
            Some(Sample {
                point,
                value,
                noise,
            })
        };
        self.trials.iter().filter_map(sample).collect()
    }

    fn add_improvement(&self, places: &Places, promises: &mut [f64]) {
        let Some((belief, Some(best))) = self.objective() else {
            return;
        };
        for (promise, expected) in promises.iter_mut().zip(belief.at(places)) {
            *promise += log_expected_improvement(expected, best);
        }
    }

    /// What is known of the objective, and the best mean of a feasible trial.
    fn objective(&self) -> Option<(Belief<'_>, Option<f64>)> {
        let study = self.study;
        let metric = &study.spec().objective.metric;
        let noise = Noise::of_objective(study);
        let mut samples = self.samples(|trial| {
            let mean = noise.scaled(study.objective(trial)?.mean);
            Some((mean, noise.of_mean(trial, metric)))
        });
        let sum: f64 = samples.iter().map(|sample| sample.value).sum();
        let average = sum / samples.len().max(1) as f64;
        let lie = |trial: &Trial| !trial.is_settled() && study.objective(trial).is_none();
        samples.extend(self.samples(|trial| lie(trial).then_some((average, noise.run))));
        let belief = Belief::learn(self.geometry, &samples, Clip::Low)?;
        let feasible = self
            .trials
            .iter()
            .filter(|t| t.outcome == Some(Outcome::Complete));
        let feasible: Vec<Vec<f64>> = feasible
            .map(|trial| self.geometry.point(&study.params_of(trial)))
            .collect();
        let feasible: Vec<&[f64]> = feasible.iter().map(|point| &**point).collect();
        let known = belief.at(&Places::new(self.geometry, &feasible));
        let best = known.iter().map(|known| known.mean).max_by(f64::total_cmp);
        Some((belief, best))
    }

    fn add_bounds(&self, places: &Places, promises: &mut [f64]) {
        for (_, belief) in self.margins() {
            for (promise, margin) in promises.iter_mut().zip(belief.at(places)) {
                *promise += log_normal_cdf(margin.mean / margin.spread);
            }
        }
    }

    /// Each bound by itself, and what is known of the margin by which it is met.
    fn margins(&self) -> Vec<(Constraint, Belief<'_>)> {
        let mut margins = Vec::new();
        for constraint in &self.study.spec().constraints {
            for (rises, bound) in [(true, constraint.min), (false, constraint.max)] {
                let Some(needed) = bound.map(Finite::get) else {
                    continue;
                };
                let metric = &*constraint.metric;
                let noise = Noise::of_bound(self.study, metric, needed, rises);
                let samples = self.samples(|trial| {
                    let margin = noise.scaled(trial.summary(metric)?.mean) - noise.scaled(needed);
                    Some((margin, noise.of_mean(trial, metric)))
                });
                let (min, max) = if rises { (bound, None) } else { (None, bound) };
                let alone = Constraint {
                    min,
                    max,
                    // What is told is the chance that the bound itself is met.
                    confidence: None,
                    ..constraint.clone()
                };
                let belief = Belief::learn(self.geometry, &samples, Clip::Both);
                margins.extend(belief.map(|belief| (alone, belief)));
            }
        }
        margins
    }

    /// Whether it starts is learned as a number, 1 or -1: a process with a
    /// likelihood of its own would find the same order, for many times the work.
    fn chances_to_start(&self, places: &Places) -> Vec<f64> {
        let failed = |trial: &Trial| matches!(trial.outcome, Some(Outcome::Failed(_)));
        if !self.trials.iter().any(|trial| failed(trial)) {
            return vec![1.0; places.count()];
        }
        let samples = self.samples(|trial| {
            let started = if failed(trial) { -1.0 } else { 1.0 };
            trial.is_settled().then_some((started, 0.01))
        });
        let Some(belief) = Belief::learn(self.geometry, &samples, Clip::Neither) else {
            return vec![1.0; places.count()];
        };
        let normal = Normal::standard();
        // What is between the two is rather taken for good, and no chance for
        // certain: one failure says little of its neighbours.
        let chance = |e: Estimate| normal.cdf((e.mean + 0.2) / e.spread.max(0.3)).max(1e-12);
        belief.at(places).into_iter().map(chance).collect()
    }

    /// A trial takes its start and a run at least; one that fails what such
    /// have taken.
    fn subtract_time(&self, places: &Places, starts: &[f64], promises: &mut [f64]) {
        let Some(times) = self.times(places) else {
            return;
        };
        let failed = self.trials.iter().filter_map(|trial| {
            let sitting = trial.sittings.last()?;
            matches!(trial.outcome, Some(Outcome::Failed(_))).then(|| {
                sitting
                    .ended
                    .map(|ended| ended.since(sitting.started).as_secs_f64())
            })?
        });
        let failed: Vec<f64> = failed.collect();
        let lost = failed.iter().sum::<f64>() / failed.len().max(1) as f64;
        for ((promise, time), chance) in promises.iter_mut().zip(times).zip(starts) {
            *promise -= (chance * time + (1.0 - chance) * lost)
                .max(f64::MIN_POSITIVE)
                .ln();
        }
    }

    /// The seconds of a start and a run at each of these places, where any were
    /// timed.
    fn times(&self, places: &Places) -> Option<Vec<f64>> {
        let samples = self.samples(|trial| {
            let run = trial.runs.iter().find(|run| run.is_good())?;
            let time = trial.startup().unwrap_or_default() + run.elapsed;
            let time = time.as_secs_f64();
            (time > 0.0).then_some((time.ln(), SAME_TIME * SAME_TIME))
        });
        let first = samples.first()?.value;
        let vary = samples
            .iter()
            .any(|sample| (sample.value - first).abs() > SAME_TIME);
        Some(match Belief::learn(self.geometry, &samples, Clip::Both) {
            Some(belief) if vary => belief.at(places).iter().map(|e| e.mean.exp()).collect(),
            _ => vec![first.exp(); places.count()],
        })
    }
}

/// `ln(s · (φ(z) + z Φ(z)))` with `z = (mean - best) / s`. Far below the best
/// by what the sum tends to there, `φ(z) / z²`, which does not vanish (S. Ament
/// et al., Unexpected improvements to expected improvement for Bayesian
/// optimization, NeurIPS 2023).
fn log_expected_improvement(expected: Estimate, best: f64) -> f64 {
    let z = (expected.mean - best) / expected.spread;
    let normal = Normal::standard();
    let log = if z < -6.0 {
        normal.ln_pdf(z) - 2.0 * (-z).ln()
    } else {
        (normal.pdf(z) + z * normal.cdf(z)).ln()
    };
    log + expected.spread.ln()
}

/// `ln Φ(z)`; far out by what it tends to there, `φ(z) / -z`.
fn log_normal_cdf(z: f64) -> f64 {
    let normal = Normal::standard();
    if z < -8.0 {
        normal.ln_pdf(z) - (-z).ln()
    } else {
        normal.cdf(z).ln()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
