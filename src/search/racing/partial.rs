//! Looking into a run: a trial that cannot win any more is ended in the midst
//! of its first one.
//!
//! What a run will come out by is foretold from its marks: those of a run in
//! parts by the mean over its parts so far, those of progress by the latest
//! number. How far off that is, is learned from the whole first runs of the
//! study's other trials, one of each: `d = y - m`, from what was known at the
//! same mark to what the run came out by, on the scale of
//! [`noise`](crate::model::noise). Of `n` such `d` with mean `d̄` and variance
//! `s²` the next one is `d̄` with a variance of `s² (1 + 1/n)` and `n - 1`
//! degrees of freedom (the prediction interval of a normal distribution: W. Q.
//! Meeker, G. J. Hahn and L. A. Escobar, Statistical Intervals, 2nd edition,
//! 2017, chapter 4). So parts that are easier than others, and numbers that
//! rise while a run goes on, are taken into account, and what tells little
//! prunes little. Below [`ENOUGH`] runs nothing is foretold.
//!
//! That variance is added to the noise of a whole run, the degrees of freedom
//! being those of B. L. Welch, Biometrika 34, 1947; where the trial has no
//! other run, the one that goes on decides, and its rest alone is uncertain.
//! The looks into the first run share [`LEVEL`](super::LEVEL) with all others
//! of the trial. What it supposes, beyond what racing does between runs: that
//! the `d` of the best params is one like those of the others. A trial that is
//! worse at first and better in the end than all that were seen has to be
//! measured without: `racing = false`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::median::promised;
use super::{criteria, is_raced, pruning};
use crate::model::metric::Summary;
use crate::model::noise::{Measured, Noise};
use crate::model::outcome::Ending;
use crate::model::step::{Marks, Step};
use crate::model::study::Study;
use crate::model::trial::{Cut, Mark, Pruning, Run, Trial};
use crate::model::value::Finite;

/// So many whole runs show how far off a mark is.
const ENOUGH: f64 = 5.0;

/// Looks at `trial`, which has the marks so far of a run that goes on; `None`
/// when that goes on. Takes a look at each trial of the study.
pub fn look_into(study: &Study, trial: &Trial) -> Option<Pruning> {
    if !is_raced(study, trial) {
        return None;
    }
    let last = trial.marks.last()?;
    let step = study.spec().step(&last.step)?;
    let is_first = trial.runs.iter().all(|run| run.step != last.step);
    let of = match step.parts() {
        Some(parts) => f64::from(parts),
        None => last_marks(study, step),
    };
    // With the last mark the run is about to end.
    let share = f64::from(last.number) / of;
    if !is_first || share >= 1.0 {
        return None;
    }
    // As it would stand if the run came out as foretold.
    let foretold = step.metrics.iter().filter_map(|rule| {
        let course = Course::learn(study, step, &rule.metric, noise_of(study, &rule.metric)?);
        let number = course.foretell(trial)?.number;
        Some((rule.metric.clone(), Finite::new(number)?))
    });
    let mut whole = trial.clone();
    whole.runs.push(Run {
        step: last.step.clone(),
        number: last.run,
        sitting: last.sitting,
        elapsed: Duration::ZERO,
        ending: Ending::Exited(0),
        metrics: foretold.collect(),
        fault: None,
    });
    let mut criteria = criteria(study, &whole);
    criteria.retain_mut(|criterion| {
        let noise = match criterion.rival {
            Some(_) => Noise::of_objective(study),
            None => Noise::of_bound(study, criterion.metric, criterion.needed, true),
        };
        let course = Course::learn(study, step, criterion.metric, noise);
        criterion.foretold = course.foretell(trial).map(|foretold| foretold.error);
        criterion.foretold.is_some()
    });
    let found = pruning(study, &whole, &criteria)?;
    Some(Pruning {
        runs: found.runs - 1,
        cut: Some(Cut {
            step: step.name.clone(),
            mark: last.number,
            parts: step.parts(),
            share,
        }),
        ..found
    })
}

/// The scale of a metric that decides.
fn noise_of(study: &Study, metric: &str) -> Option<Noise> {
    let spec = study.spec();
    if *spec.objective.metric == *metric {
        return Some(Noise::of_objective(study));
    }
    let mut constraints = spec.constraints.iter();
    let constraint = constraints.find(|constraint| *constraint.metric == *metric)?;
    let bound = constraint.min.or(constraint.max)?;
    Some(Noise::of_bound(study, metric, bound.get(), true))
}

/// Which was the last mark of a whole run, on average; 0 where there is none.
fn last_marks(study: &Study, step: &Step) -> f64 {
    let mut last = Moments::default();
    for trial in study.trials() {
        let run = whole_run(trial, step);
        let mark = run.and_then(|run| trial.marks_of(&step.name, run.number).last());
        mark.into_iter()
            .for_each(|mark| last.take(f64::from(mark.number)));
    }
    last.mean
}

/// The first run of a trial, where it is whole.
fn whole_run<'a>(trial: &'a Trial, step: &Step) -> Option<&'a Run> {
    let mut runs = trial.runs.iter().filter(|run| run.step == step.name);
    let run = runs.next().filter(|run| run.number == 1 && run.is_good())?;
    // Its owner may have changed the number of parts.
    let marks = || trial.marks_of(&step.name, 1).count() as u32;
    let is_like = step.parts().is_none_or(|parts| marks() == parts);
    is_like.then_some(run)
}

/// How the runs of a step have come along, in one metric.
pub(in crate::search) struct Course<'a> {
    step: &'a Step,
    metric: &'a str,
    noise: Noise,
    /// The differences at each mark.
    by_mark: BTreeMap<u32, Moments>,
}

/// What a run is going to come out by.
pub(in crate::search) struct Foretold {
    /// On the scale of comparison.
    pub(in crate::search) scaled: f64,
    /// In the metric's own unit.
    number: f64,
    /// How far off it may be.
    pub(in crate::search) error: Measured,
}

impl<'a> Course<'a> {
    /// Learns from the trials so far.
    pub(in crate::search) fn learn(
        study: &Study,
        step: &'a Step,
        metric: &'a str,
        noise: Noise,
    ) -> Self {
        let mut course = Self {
            step,
            metric,
            noise,
            by_mark: BTreeMap::new(),
        };
        for trial in study.trials() {
            let run = whole_run(trial, step);
            let of = |run: &Run| {
                let mut found = run.metrics.iter().filter(|(name, _)| **name == *metric);
                found.next().map(|(_, number)| number.get())
            };
            let Some(number) = run.and_then(of) else {
                continue;
            };
            for (mark, known) in course.known(trial) {
                let moments = course.by_mark.entry(mark).or_default();
                moments.take(course.noise.scaled(number) - course.noise.scaled(known));
            }
        }
        course
    }

    /// What was known of the first run of a trial at each of its marks.
    fn known(&self, trial: &Trial) -> Vec<(u32, f64)> {
        let mut sum = 0.0;
        let found = |mark: &Mark| {
            let mut found = mark.metrics.iter();
            let (_, number) = found.find(|(name, _)| **name == *self.metric)?;
            Some((mark.number, number.get()))
        };
        let marks = trial.marks_of(&self.step.name, 1);
        // What a part lacks, the mean of all lacks from there on.
        let numbers = marks.map_while(found);
        let known = numbers.map(|(mark, number)| match self.step.marks() {
            Marks::Parts(_) => {
                sum += number;
                (mark, sum / f64::from(mark))
            }
            _ => (mark, number),
        });
        known.collect()
    }

    /// What the first run of a trial is going to come out by; `None` while too
    /// little is known.
    pub(in crate::search) fn foretell(&self, trial: &Trial) -> Option<Foretold> {
        let last = trial.marks.last()?;
        let (mark, known) = self.known(trial).pop()?;
        let moments = self.by_mark.get(&mark).filter(|_| mark == last.number)?;
        if moments.count < ENOUGH {
            return None;
        }
        let freedom = moments.count - 1.0;
        // No better than a run is.
        let variance = (moments.squares / freedom).max(self.noise.finest);
        let scaled = self.noise.scaled(known) + moments.mean;
        let found = Foretold {
            scaled,
            number: self.noise.unscaled(scaled),
            error: Measured {
                variance: variance * (1.0 + 1.0 / moments.count),
                freedom,
            },
        };
        (found.scaled.is_finite() && found.error.variance.is_finite()).then_some(found)
    }
}

/// Squares around a mean that moves: Welford's recurrence.
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn take(&mut self, number: f64) {
        self.count += 1.0;
        let step = number - self.mean;
        self.mean += step / self.count;
        self.squares += step * (number - self.mean);
    }
}

/// What is known of the trials of a study in one metric, for a sampler.
pub(in crate::search) struct Known<'a> {
    study: &'a Study,
    metric: &'a str,
    noise: Noise,
    course: Option<Course<'a>>,
}

impl<'a> Known<'a> {
    /// Those on the scale of `noise`.
    pub(in crate::search) fn new(study: &'a Study, metric: &'a str, noise: Noise) -> Self {
        let mut steps = study.spec().steps.iter();
        let step = steps.find(|step| *step.marks() != Marks::None && step.yields(metric));
        let course = step.map(|step| Course::learn(study, step, metric, noise));
        Self {
            study,
            metric,
            noise,
            course,
        }
    }

    /// The mean of a trial's runs with its variance, where it was `measured`;
    /// of a trial that was cut in its first run what that promised.
    pub(in crate::search) fn of(
        &self,
        trial: &Trial,
        measured: Option<Summary>,
    ) -> Option<(f64, f64)> {
        let variance = self.noise.of_mean(trial, self.metric);
        if let Some(summary) = measured {
            return Some((self.noise.scaled(summary.mean), variance));
        }
        let pruning = trial.pruned_by_racing()?;
        if pruning.median.is_some() {
            let (mean, error) = promised(self.study, trial, self.metric, &self.noise)?;
            return Some((mean, variance + error));
        }
        pruning.cut.as_ref()?;
        let foretold = self.course.as_ref()?.foretell(trial)?;
        Some((foretold.scaled, variance + foretold.error.variance))
    }
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
