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
//!
//! Of the variance of `e`, runs of one number may share a part, whatever the
//! trial: [`Noise::lead`] takes it out of comparisons.

use super::metric::Direction;
use super::study::{Spread, Study};
use super::trial::Trial;

/// What the spread of a run is taken for while nothing is known: this share of
/// its value.
const PRIOR: f64 = 0.03;
/// As many degrees of freedom is that worth.
pub(super) const PRIOR_FREEDOM: f64 = 4.0;
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
    /// The share of that of a run which runs of one number have in common; 0
    /// where none was found.
    pub shared: f64,
    /// Between the starts of one params.
    pub start: f64,
    /// The least variance that anything is taken to have.
    pub finest: f64,
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

impl Measured {
    /// The standard error with another variance, given by its standard error,
    /// and the degrees of freedom of both together (B. L. Welch, The
    /// generalization of "Student's" problem when several different population
    /// variances are involved, Biometrika 34, 1947).
    pub fn added_to(self, (error, freedom): (f64, f64)) -> (f64, f64) {
        let other = error * error;
        let sum = self.variance + other;
        let squares = self.variance * self.variance / self.freedom + other * other / freedom;
        (sum.sqrt(), sum * sum / squares)
    }
}

/// How far a trial is ahead of another, on the scale of comparison.
#[derive(Clone, Copy, Debug)]
pub struct Lead {
    /// How far; below 0 where it is behind.
    pub distance: f64,
    /// The standard error of that.
    pub error: f64,
    /// By what was measured alone, with its degrees of freedom; `None` while
    /// nothing tells how much runs vary.
    pub measured: Option<(f64, f64)>,
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
        let noise = Self::new(&study.spread(&objective.metric), typical, sign);
        let shared = study.shared(&objective.metric, noise.scale.relative);
        Self { shared, ..noise }
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
            shared: 0.0,
            start,
            finest,
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
        let runs = trial.measurements(metric).count() as f64;
        self.run / runs.max(1.0) + self.start / f64::from(starts(trial, metric))
    }

    /// How far a trial's mean is ahead of that of another. As far as runs of one
    /// number share what they vary by, those of the other count most that have
    /// the numbers of this one's: with a share `ρ` its mean is `(1 - ρ)` times
    /// that of all its runs, and `ρ` times that of those, which of all weights
    /// makes the variance of the difference least.
    pub fn lead(&self, trial: &Trial, rival: &Trial, metric: &str) -> Option<Lead> {
        let own = by_number(trial, metric);
        let others = by_number(rival, metric);
        let is_paired = |number: &u32| own.iter().any(|(known, _)| known == number);
        let same = others.iter().filter(|(number, _)| is_paired(number));
        let same: Vec<(u32, f64)> = same.copied().collect();
        let shared = if same.len() == own.len() {
            self.shared
        } else {
            0.0
        };
        let mean = |runs: &[(u32, f64)]| {
            let sum: f64 = runs.iter().map(|(_, value)| value).sum();
            (!runs.is_empty()).then(|| sum / runs.len() as f64)
        };
        let all = mean(&others)?;
        let needed = (1.0 - shared) * all + shared * mean(&same).unwrap_or(all);
        let (count, whole) = (own.len() as f64, others.len() as f64);
        let weight = (1.0 - shared) / whole;
        let paired = weight + shared / count;
        let weights = count * paired * paired + (whole - count) * weight * weight;
        let runs = if shared > 0.0 {
            1.0 / count + weights - 2.0 * shared * paired
        } else {
            1.0 / count + 1.0 / whole
        };
        let once = |trial| 1.0 / f64::from(starts(trial, metric));
        let starts = once(trial) + once(rival);
        let error = |run: f64, start: f64| (run * runs + start * starts).sqrt();
        Some(Lead {
            distance: self.scaled(mean(&own)?) - self.scaled(needed),
            error: error(self.run, self.start),
            measured: self.measured.map(|Measured { variance, freedom }| {
                let start = self.start.max(variance * PRIOR_START.powi(2));
                (error(variance, start), freedom)
            }),
        })
    }

    /// The standard error of a trial's mean by what was measured alone, with its
    /// degrees of freedom.
    pub fn measured_error(&self, trial: &Trial, metric: &str) -> Option<(f64, f64)> {
        let Measured { variance, freedom } = self.measured?;
        let noise = Self {
            run: variance,
            start: self.start.max(variance * PRIOR_START.powi(2)),
            ..*self
        };
        Some((noise.of_mean(trial, metric).sqrt(), freedom))
    }
}

/// In how many sittings a metric was measured; 1 at least.
pub(super) fn starts(trial: &Trial, metric: &str) -> u32 {
    let (mut starts, mut last) = (0, None);
    for (sitting, _) in trial.measurements_by_sitting(metric) {
        if last.replace(sitting) != Some(sitting) {
            starts += 1;
        }
    }
    starts.max(1)
}

/// The good measurements of a metric with the numbers of their runs.
fn by_number(trial: &Trial, metric: &str) -> Vec<(u32, f64)> {
    let good = trial.runs.iter().filter(|run| run.is_good());
    let found = good.filter_map(|run| {
        let found = run.metrics.iter().find(|(name, _)| &**name == metric);
        found.map(|(_, value)| (run.number, value.get()))
    });
    found.collect()
}
