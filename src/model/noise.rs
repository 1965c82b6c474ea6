//! How much of what was measured is noise: pooled over the study, for one
//! metric at a time.
//!
//! # Scale
//! Where all measurements of a metric lie on one side of 0, its noise is taken
//! as relative: numbers are compared by their logarithms, `ln x`, or `-ln |x|`
//! where all are below 0, so that more stays more. Else it is absolute.
//!
//! # Variance
//! A run is its trial's level, plus something of its start, plus something of
//! its own: `y = m + s + e`. The variance of `e` is pooled over the runs of all
//! trials, each around the mean of its own sitting; that of `s` over the
//! sittings of all trials that had several, by the method of moments
//! (C. R. Henderson, Estimation of variance and covariance components,
//! Biometrics 9, 1953, method 1). Both begin with a prior that counts as a few
//! degrees of freedom, the scaled inverse χ² (A. Gelman et al., Bayesian Data
//! Analysis, 3rd edition, 2013, section 2.6): a study has no spread to show
//! while its trials have one run each.

use super::metric::Direction;
use super::study::{Spread, Study};
use super::trial::Trial;

/// What the spread of a run is taken for while nothing is known: this share of
/// its value.
const PRIOR: f64 = 0.03;
/// As many degrees of freedom is that worth.
const PRIOR_FREEDOM: f64 = 4.0;
/// The same of the spread between starts, as a share of that of a run.
const PRIOR_START: f64 = 1.0 / 6.0;
const PRIOR_START_FREEDOM: f64 = 2.0;
/// No run is taken to be more exact than this share of its value: runs that
/// agree to the last printed figure have not shown that there is no noise.
const FINEST: f64 = 0.001;

/// The noise of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    scale: Scale,
    /// Of a run, within its sitting.
    pub run: f64,
    /// Between the starts of one params.
    pub start: f64,
    /// That of a run by what was measured alone, without the prior, and what it
    /// is known from; `None` while there is nothing.
    pub measured: Option<Measured>,
}

/// A variance with its degrees of freedom.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The variance.
    pub variance: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
}

/// On what differences are taken.
#[derive(Clone, Copy, Debug)]
struct Scale {
    relative: bool,
    /// Where all is below 0.
    negative: bool,
    /// -1 where less is better.
    sign: f64,
}

impl Noise {
    /// That of the objective; more is better on its scale, whatever the
    /// direction.
    pub fn of_objective(study: &Study) -> Self {
        let objective = &study.spec().objective;
        let sign = match objective.direction {
            Direction::Maximize => 1.0,
            Direction::Minimize => -1.0,
        };
        let typical = study
            .leader()
            .or_else(|| study.trials().iter().next())
            .and_then(|trial| study.objective(trial))
            .map_or(1.0, |summary| summary.mean);
        Self::new(&study.spread(&objective.metric), typical, sign)
    }

    /// That of the metric of a bound; more is better if `rises`.
    pub fn of_bound(study: &Study, metric: &str, bound: f64, rises: bool) -> Self {
        let sign = if rises { 1.0 } else { -1.0 };
        Self::new(&study.spread(metric), bound, sign)
    }

    /// `typical` is a value at which the noise is of interest.
    fn new(spread: &Spread, typical: f64, sign: f64) -> Self {
        let one_sided = |count: f64| count >= spread.runs && spread.runs > 0.0;
        let relative = (typical > 0.0 && one_sided(spread.positive))
            || (typical < 0.0 && one_sided(spread.negative));
        let unit = if relative { 1.0 } else { typical.abs() };
        let (squares, start_squares) = if relative {
            (spread.log_squares, spread.start_log_squares)
        } else {
            (spread.squares, spread.start_squares)
        };
        let freedom = PRIOR_FREEDOM + spread.freedom.max(0.0);
        let prior = PRIOR_FREEDOM * (PRIOR * unit).powi(2);
        let run = (prior + squares.max(0.0)) / freedom;
        let finest = (FINEST * unit).powi(2);
        let run = run.max(finest);
        let measured = (spread.freedom > 0.5).then(|| Measured {
            variance: (squares / spread.freedom).max(finest),
            freedom: spread.freedom,
        });
        let starts = spread.start_freedom.max(0.0);
        let start = if starts > 0.0 && spread.start_weight > 0.0 {
            let found = (start_squares - starts * run) * starts / spread.start_weight;
            let prior = PRIOR_START_FREEDOM * run * PRIOR_START.powi(2);
            (prior + found.max(0.0)) / (PRIOR_START_FREEDOM + starts)
        } else {
            run * PRIOR_START.powi(2)
        };
        Self {
            scale: Scale {
                relative,
                negative: typical < 0.0,
                sign,
            },
            run,
            start,
            measured,
        }
    }

    /// A number on the scale of comparison, where more is better.
    pub fn scaled(&self, number: f64) -> f64 {
        let scaled = if self.scale.relative {
            number.signum() * number.abs().max(f64::MIN_POSITIVE).ln()
        } else {
            number
        };
        self.scale.sign * scaled
    }

    /// The number that is there on the scale of comparison.
    pub fn unscaled(&self, scaled: f64) -> f64 {
        let number = self.scale.sign * scaled;
        match (self.scale.relative, self.scale.negative) {
            (false, _) => number,
            (true, false) => number.exp(),
            (true, true) => -(-number).exp(),
        }
    }

    /// A difference on the scale of comparison as a share of the number that is
    /// at `from` there; `None` where that is 0.
    pub fn share(&self, difference: f64, from: f64) -> Option<f64> {
        let share = if self.scale.relative {
            difference.exp_m1()
        } else {
            difference / from.abs()
        };
        share.is_finite().then_some(share)
    }

    /// The variance of the mean of a trial's good runs of `metric`.
    pub fn of_mean(&self, trial: &Trial, metric: &str) -> f64 {
        let (mut runs, mut starts, mut last) = (0.0, 0.0, None);
        for (sitting, _) in trial.measurements_by_sitting(metric) {
            runs += 1.0;
            if last.replace(sitting) != Some(sitting) {
                starts += 1.0;
            }
        }
        self.run / f64::max(runs, 1.0) + self.start / f64::max(starts, 1.0)
    }

    /// The standard error of the difference of these trials' means, or of the
    /// one trial's mean, by what was measured alone, with its degrees of freedom.
    pub fn measured_error(&self, trials: &[&Trial], metric: &str) -> Option<(f64, f64)> {
        let Measured { variance, freedom } = self.measured?;
        let noise = Self {
            run: variance,
            start: self.start.max(variance * PRIOR_START.powi(2)),
            ..*self
        };
        let sum: f64 = trials
            .iter()
            .map(|trial| noise.of_mean(trial, metric))
            .sum();
        Some((sum.sqrt(), freedom))
    }
}
