//! What params promise, by what was learned from the trials.
//!
//! ```text
//! ln EI(objective over the best so far) + Σ ln P(each bound is met)
//!     + ln P(it starts) - ln E(time)
//! ```
//! `EI` is the expected improvement (D. R. Jones, M. Schonlau and W. J. Welch,
//! Efficient global optimization of expensive black-box functions, Journal of
//! Global Optimization 13, 1998) over the best of the means that the model
//! itself has for the feasible trials, since the best measured one was lucky
//! (V. Picheny, T. Wagner and D. Ginsbourger, A benchmark of kriging-based
//! infill criteria for noisy optimization, Structural and Multidisciplinary
//! Optimization 48, 2013: the plug-in). Constraints as probabilities: J. R.
//! Gardner et al., Bayesian optimization with inequality constraints, ICML
//! 2014; as long as nothing is feasible, their probability alone counts. Time:
//! J. Snoek, H. Larochelle and R. P. Adams, Practical Bayesian optimization of
//! machine learning algorithms, NIPS 2012.

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

use super::belief::{Belief, Clip, Estimate, Sample};
use super::process::Places;
use crate::model::metric::Constraint;
use crate::model::noise::{Doubt, Noise};
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::prior::Prior;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::model::value::Finite;
use crate::search::geometry::Geometry;
use crate::search::priors;
use crate::search::racing::Known;

/// Times that differ by less than this, as logarithms, are not worth a model.
const SAME_TIME: f64 = 0.05;
/// Seconds that count as no time: below, a trial costs what lies between two.
const NO_TIME: f64 = 1.0;
/// The variance of whether params start here that have, or have not, elsewhere:
/// with another memory another share of them does.
const STARTED_THERE: f64 = 0.25;
/// So many of the most promising params are kept.
const KEPT: usize = 4;

/// What the trials of a study tell.
pub(super) struct Promise<'a> {
    pub(super) geometry: &'a Geometry,
    /// With what is to be improved on, which is not there as long as nothing is
    /// feasible.
    pub(super) objective: Option<(Belief<'a>, Option<f64>)>,
    /// Each bound by itself, and what is known of the margin by which it is met.
    pub(super) margins: Vec<(Constraint, Belief<'a>)>,
    /// `None` as long as nothing has failed.
    pub(super) starts: Option<Belief<'a>>,
    pub(super) time: Time<'a>,
}

/// How long trials take, in seconds.
pub(super) struct Time<'a> {
    /// Of the logarithm; `None` where all take the same.
    belief: Option<Belief<'a>>,
    /// What the first has taken.
    same: Option<f64>,
    /// What one takes that fails.
    lost: f64,
}

impl<'a> Promise<'a> {
    /// Learns from these trials of the study, and of what was imported.
    pub(super) fn learn(
        study: &Study,
        geometry: &'a Geometry,
        trials: &[&Trial],
        imported: &[priors::Known<'_>],
    ) -> Self {
        let history = History {
            study,
            geometry,
            trials,
            imported,
        };
        Self {
            geometry,
            objective: history.objective(),
            margins: history.margins(),
            starts: history.starts(),
            time: history.time(),
        }
    }

    /// Adds these params to the best so far, and keeps the [`KEPT`] that promise
    /// most, the most promising one first.
    pub(super) fn keep_best(&self, best: &mut Vec<(f64, Params)>, params: Vec<Params>) {
        let promises = self.of(&params);
        best.extend(promises.into_iter().zip(params));
        best.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        best.truncate(KEPT);
    }

    /// What each of these params promises; more is better.
    pub(super) fn of(&self, params: &[Params]) -> Vec<f64> {
        let points: Vec<Vec<f64>> = params.iter().map(|p| self.geometry.point(p)).collect();
        let points: Vec<&[f64]> = points.iter().map(|point| &**point).collect();
        let places = Places::new(self.geometry, &points);
        let mut promises = vec![0.0; places.count()];
        if let Some((belief, Some(best))) = &self.objective {
            for (promise, expected) in promises.iter_mut().zip(belief.at(&places)) {
                *promise += log_expected_improvement(expected, *best);
            }
        }
        for (_, belief) in &self.margins {
            for (promise, margin) in promises.iter_mut().zip(belief.at(&places)) {
                *promise += log_normal_cdf(margin.mean / margin.spread);
            }
        }
        let starts = self.chances_to_start(&places);
        let times = self.time.of(&places, &starts);
        for ((promise, chance), time) in promises.iter_mut().zip(&starts).zip(times) {
            *promise += chance.ln() - time.ln();
            // Numbers beyond what can be computed with promise next to nothing.
            *promise = promise.max(f64::MIN);
        }
        promises
    }

    pub(super) fn chances_to_start(&self, places: &Places) -> Vec<f64> {
        let Some(belief) = &self.starts else {
            return vec![1.0; places.count()];
        };
        let normal = Normal::standard();
        // The two are 2 apart, so half of the spread tells them from each other:
        // each failure costs a start. No chance is taken for certain.
        let chance = |e: Estimate| {
            let spread = (e.spread / 2.0).max(0.1);
            normal.cdf(e.mean / spread).max(1e-12)
        };
        belief.at(places).into_iter().map(chance).collect()
    }
}

impl Time<'_> {
    /// What a start and a run take at each of these places; `None` where none
    /// were timed.
    pub(super) fn whole(&self, places: &Places) -> Option<Vec<f64>> {
        Some(match &self.belief {
            Some(belief) => belief.at(places).iter().map(|e| e.mean.exp()).collect(),
            None => vec![self.same?; places.count()],
        })
    }

    fn of(&self, places: &Places, starts: &[f64]) -> Vec<f64> {
        let times = self.whole(places);
        let times = times.unwrap_or_else(|| vec![NO_TIME; places.count()]);
        let expected = times.into_iter().zip(starts);
        let expected = expected.map(|(time, chance)| chance * time + (1.0 - chance) * self.lost);
        expected.map(|time| time.max(NO_TIME)).collect()
    }
}

/// The trials that are learned from.
pub(super) struct History<'a, 'b> {
    pub(super) study: &'b Study,
    pub(super) geometry: &'a Geometry,
    pub(super) trials: &'b [&'b Trial],
    pub(super) imported: &'b [priors::Known<'b>],
}

impl<'a> History<'a, '_> {
    pub(super) fn samples(&self, value: impl Fn(&Trial) -> Option<(f64, f64)>) -> Vec<Sample> {
        let sample = |trial: &&Trial| {
            let (value, noise) = value(trial)?;
            let point = self.geometry.point(&self.study.params_of(trial));
            Some(Sample {
                point,
                value,
                noise,
                source: 0,
            })
        };
        self.trials.iter().filter_map(sample).collect()
    }

    /// Those of what was imported, each with this variance, which the model
    /// doubts.
    fn imported(&self, noise: f64, value: impl Fn(&Prior) -> Option<f64>) -> Vec<Sample> {
        let sample = |known: &priors::Known<'_>| {
            let value = value(known.prior).filter(|value| value.is_finite())?;
            Some(Sample {
                point: self.geometry.point(known.params),
                value,
                noise,
                source: known.source,
            })
        };
        self.imported.iter().filter_map(sample).collect()
    }

    /// The objective, and the best of what it is thought to be where it was
    /// feasible. Its noise is taken as pooled: racing measures that, and where it
    /// was learned, too, what changes abruptly was often taken for noise.
    fn objective(&self) -> Option<(Belief<'a>, Option<f64>)> {
        let study = self.study;
        let metric = &study.spec().objective.metric;
        let noise = Noise::of_objective(study);
        let known = Known::new(study, metric, noise);
        let mut samples = self.samples(|trial| known.of(trial, study.levelled(trial)));
        let sum: f64 = samples.iter().map(|sample| sample.value).sum();
        let average = sum / samples.len().max(1) as f64;
        let lie = |trial: &Trial| !trial.is_settled() && study.objective(trial).is_none();
        samples.extend(self.samples(|trial| lie(trial).then_some((average, noise.run))));
        samples.extend(study.rejected().map(|params| Sample {
            point: self.geometry.point(&params),
            value: average,
            noise: noise.run,
            source: 0,
        }));
        let told = self.imported(noise.run + noise.start, |prior| {
            Some(noise.scaled(prior.metric(metric)?))
        });
        // The newest come last.
        samples.splice(..0, told);
        let belief = Belief::learn(self.geometry, &samples, Doubt::NONE, Clip::Low)?;
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

    /// By how much each bound is met. What a bound is set on often varies by much
    /// less than the prior of the noise says, an accuracy by a part in some
    /// hundreds, and how narrowly a bound can be met at all depends on it: so the
    /// noise is learned with the rest.
    fn margins(&self) -> Vec<(Constraint, Belief<'a>)> {
        let mut margins = Vec::new();
        for constraint in &self.study.spec().constraints {
            for (rises, bound) in [(true, constraint.min), (false, constraint.max)] {
                let Some(needed) = bound.map(Finite::get) else {
                    continue;
                };
                let metric = &*constraint.metric;
                let noise = Noise::of_bound(self.study, metric, needed, rises);
                let known = Known::new(self.study, metric, noise);
                let mut samples = self.samples(|trial| {
                    let (mean, variance) = known.of(trial, trial.summary(metric))?;
                    Some((mean - noise.scaled(needed), variance))
                });
                let told = self.imported(noise.run + noise.start, |prior| {
                    Some(noise.scaled(prior.metric(metric)?) - noise.scaled(needed))
                });
                samples.splice(..0, told);
                let (min, max) = if rises { (bound, None) } else { (None, bound) };
                let alone = Constraint {
                    min,
                    max,
                    // What is told is the chance that the bound itself is met.
                    confidence: None,
                    ..constraint.clone()
                };
                let belief = Belief::learn(self.geometry, &samples, noise.doubt, Clip::Both);
                margins.extend(belief.map(|belief| (alone, belief)));
            }
        }
        margins
    }

    /// Whether it starts is learned as a number, 1 or -1: a process with a
    /// likelihood of its own would find the same order, for many times the work.
    fn starts(&self) -> Option<Belief<'a>> {
        let lost = |known: &priors::Known<'_>| known.prior.failed;
        if !self.trials.iter().any(|trial| failed(trial)) && !self.imported.iter().any(lost) {
            return None;
        }
        let mut samples = self.samples(|trial| {
            let started = if failed(trial) { -1.0 } else { 1.0 };
            trial.is_settled().then_some((started, 0.01))
        });
        let told = self.imported(STARTED_THERE, |prior| {
            Some(if prior.failed { -1.0 } else { 1.0 })
        });
        samples.splice(..0, told);
        Belief::learn(self.geometry, &samples, Doubt::NONE, Clip::Neither)
    }

    /// A trial takes its start and a run at least; one that fails what such
    /// have taken.
    fn time(&self) -> Time<'a> {
        let samples = self.samples(|trial| {
            let run = trial.runs.iter().find(|run| run.is_good())?;
            let time = trial.startup().unwrap_or_default() + run.elapsed;
            let time = time.as_secs_f64().max(NO_TIME);
            Some((time.ln(), SAME_TIME * SAME_TIME))
        });
        let same = samples.first().map(|sample| sample.value.exp());
        let first = samples.first().map_or(0.0, |sample| sample.value);
        let varies = |sample: &Sample| (sample.value - first).abs() > SAME_TIME;
        let belief = match samples.iter().any(varies) {
            true => Belief::learn(self.geometry, &samples, Doubt::NONE, Clip::Both),
            false => None,
        };
        let lost = self.trials.iter().filter(|trial| failed(trial));
        let lost = lost.filter_map(|trial| {
            let sitting = trial.sittings.last()?;
            Some(sitting.ended?.since(sitting.started).as_secs_f64())
        });
        let lost: Vec<f64> = lost.collect();
        Time {
            belief,
            same,
            lost: lost.iter().sum::<f64>() / lost.len().max(1) as f64,
        }
    }
}

const fn failed(trial: &Trial) -> bool {
    matches!(trial.outcome, Some(Outcome::Failed(_)))
}

/// `ln(s · (φ(z) + z Φ(z)))` with `z = (mean - best) / s`. Far below the best
/// by what the sum tends to there, `φ(z) / z²`, which does not vanish (S. Ament
/// et al., Unexpected improvements to expected improvement for Bayesian
/// optimization, NeurIPS 2023).
pub(super) fn log_expected_improvement(expected: Estimate, best: f64) -> f64 {
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
pub(super) fn log_normal_cdf(z: f64) -> f64 {
    let normal = Normal::standard();
    if z < -8.0 {
        normal.ln_pdf(z) - (-z).ln()
    } else {
        normal.cdf(z).ln()
    }
}
