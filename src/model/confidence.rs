//! With what confidence a trial meets a bound.
//!
//! The true mean of a trial meets a bound with a confidence of 90 % where its
//! measured mean is beyond the bound by the 90 % quantile of Student's t times
//! the mean's standard error: by the [`noise`] of the whole study,
//! as far as it was measured. A trial of which racing has put runs off is judged
//! by its mean: it may only lead by that, and is judged again once it has them
//! all.

use std::collections::HashMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::metric::Constraint;
use super::noise::{self, Noise};
use super::outcome::Outcome;
use super::study::Study;
use super::trial::Trial;
use super::value::Finite;

impl Study {
    /// The constraint that the mean of a trial has to keep, so that its true
    /// mean keeps `constraint` with the confidence that this wants: the same, or
    /// a stricter one.
    pub fn needed(&self, trial: &Trial, constraint: &Constraint) -> Constraint {
        let Some(confidence) = constraint.confidence.filter(|_| !trial.deferred) else {
            return constraint.clone();
        };
        let stricter = |bound: Option<Finite>, rises: bool| {
            let number = bound?.get();
            let metric = &*constraint.metric;
            let noise = Noise::of_bound(self, metric, number, rises);
            let (error, student) = student(&noise, trial, metric)?;
            let margin = student.inverse_cdf(confidence.get()) * error;
            Finite::new(noise.unscaled(noise.scaled(number) + margin))
        };
        Constraint {
            min: stricter(constraint.min, true).or(constraint.min),
            max: stricter(constraint.max, false).or(constraint.max),
            ..constraint.clone()
        }
    }

    /// The confidence with which the true mean of a trial keeps `constraint`, 0
    /// to 1; `None` where the metric was not measured, or where no two runs tell
    /// how much it varies.
    pub fn confidence(&self, trial: &Trial, constraint: &Constraint) -> Option<f64> {
        let metric = &*constraint.metric;
        let mean = trial.summary(metric)?.mean;
        let of_bound = |bound: Option<Finite>, rises: bool| {
            let number = bound?.get();
            let noise = Noise::of_bound(self, metric, number, rises);
            noise.measured?;
            let (error, student) = student(&noise, trial, metric)?;
            Some(student.cdf((noise.scaled(mean) - noise.scaled(number)) / error))
        };
        let both = [(constraint.min, true), (constraint.max, false)];
        let each = both.into_iter().filter(|(bound, _)| bound.is_some());
        // A mean is hardly ever near to both: the less sure one decides.
        each.map(|(bound, rises)| of_bound(bound, rises))
            .try_fold(1.0, |least: f64, chance| Some(least.min(chance?)))
    }

    /// As [`judge`](Self::judge), for one of many trials: `bars` holds what those
    /// before had to keep.
    pub(super) fn judge_of_many(&self, trial: &Trial, bars: &mut Bars) -> Outcome {
        let mut misses = false;
        for (index, constraint) in self.spec().constraints.iter().enumerate() {
            let Some(summary) = trial.summary(&constraint.metric) else {
                return Outcome::Complete;
            };
            let needed = bars.needed(self, index, constraint, trial);
            misses |= needed.violation(summary.mean) > 0.0;
        }
        if misses {
            Outcome::Infeasible
        } else {
            Outcome::Complete
        }
    }

    /// Whether any bound is to be met with a confidence: what comes of a trial
    /// then changes with what others tell about the noise.
    pub(super) fn judges_by_noise(&self) -> bool {
        let mut constraints = self.spec().constraints.iter();
        constraints.any(|constraint| constraint.confidence.is_some())
    }
}

/// What the means of trials have to keep, by what is known of the noise at one
/// time: it is the same of trials with as many runs from as many starts, and a
/// quantile takes longer than all the rest of a judgement.
#[derive(Default)]
pub(super) struct Bars(HashMap<Measuring, Constraint>);

/// Which constraint, how many runs, from how many starts, and whether runs are
/// put off.
type Measuring = (usize, usize, u32, bool);

impl Bars {
    fn needed(
        &mut self,
        study: &Study,
        index: usize,
        constraint: &Constraint,
        trial: &Trial,
    ) -> &Constraint {
        let metric = &*constraint.metric;
        let runs = trial.measurements(metric).count();
        let starts = noise::starts(trial, metric);
        self.0
            .entry((index, runs, starts, trial.deferred))
            .or_insert_with(|| study.needed(trial, constraint))
    }
}

/// The standard error of a trial's mean, and its distribution. While no two
/// runs tell how much a metric varies, that is taken for granted.
fn student(noise: &Noise, trial: &Trial, metric: &str) -> Option<(f64, StudentsT)> {
    let (error, freedom) = noise.measured_error(trial, metric).unwrap_or((
        noise.of_mean(trial, metric).sqrt(),
        super::noise::PRIOR_FREEDOM,
    ));
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    (error > 0.0).then_some((error, student))
}
