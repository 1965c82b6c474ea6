//! The median rule: a run is ended in its midst when it is worse by then than
//! half of those that ran to their end.
//!
//! At training step `s` that is so where the best that the run has told by `s`
//! is strictly worse than the median of the means, over all steps up to `s`, of
//! what the other trials had told: D. Golovin et al., Google Vizier: A Service
//! for Black-Box Optimization, KDD 2017, section 3.2.2. The rule supposes no
//! shape of a curve; what it may lose is a run that is behind for long and ahead
//! in the end. It is for runs of hours, and off by default.
//!
//! The trials that count are those that have come out by all their runs,
//! whether they keep the constraints or not: of one that was pruned, or failed,
//! nobody knows how it would have gone on.

use statrs::statistics::{Data, Median as _, Statistics};

use crate::model::curve::Curve;
use crate::model::metric::Direction;
use crate::model::noise::Noise;
use crate::model::outcome::Outcome;
use crate::model::study::Study;
use crate::model::trial::{Cut, MedianReached, Origin, Pruning, Run, Trial};
use crate::model::value::Finite;

/// So many whole runs show how far off a curve is.
const ENOUGH: usize = 5;

/// Looks at `trial`, of which a run has just told something; `None` when it
/// goes on. Takes a look at each trial of the study.
pub fn behind(study: &Study, trial: &Trial, step: &str, run: u32) -> Option<Pruning> {
    let rule = study.spec().search.median.as_ref()?;
    // The baseline is what all is measured against; whoever wants a trial, or
    // wants it again, wants to know.
    let is_exempt = matches!(trial.origin, Origin::Baseline | Origin::User) || trial.reopened;
    // A run that has ended is not cut any more.
    let has_ended = |ended: &Run| *ended.step == *step && ended.number == run;
    if is_exempt || trial.runs.iter().any(has_ended) {
        return None;
    }
    let curve = trial.curve(step, run, &rule.metric)?;
    let last = curve.last()?.at;
    let at = last.get();
    if at < rule.from as f64 {
        return None;
    }
    let others = study.trials().iter().map(AsRef::as_ref);
    let others = others.filter(|other: &&Trial| other.id != trial.id && is_whole(other));
    let curves = others.filter_map(|other| other.curve(step, run, &rule.metric));
    let means: Vec<f64> = curves.filter_map(|curve| curve.mean_until(at)).collect();
    let trials = means.len() as u32;
    if trials < rule.after {
        return None;
    }
    let median = median(means)?;
    let best = curve.best_until(at, rule.direction)?;
    let is_behind = match rule.direction {
        Direction::Maximize => best < median,
        Direction::Minimize => best > median,
    };
    let runs = study
        .spec()
        .step(step)
        .map_or(1, |step| step.counted_runs());
    let ended = trial.runs.iter().filter(|run| *run.step == *step).count() as u32;
    is_behind.then(|| Pruning {
        metric: rule.metric.clone(),
        runs: ended,
        of: runs,
        mean: best,
        needed: median,
        rival: None,
        chance: 0.0,
        cut: Some(Cut {
            step: step.into(),
            mark: curve.points.len() as u32,
            parts: None,
            share: share(study, trial, step, run, at),
        }),
        median: Some(MedianReached { at: last, trials }),
    })
}

/// What a trial that was [`behind`] would have come out by, and how far off
/// that may be, as a variance; both on the scale of `noise`, on which more is
/// better. Told by the curve of that metric, from what those of others lacked at
/// that training step: see `partial`. Where it has none it is thought to be one
/// of the worse half, since that is all that is known.
pub(super) fn promised(
    study: &Study,
    trial: &Trial,
    metric: &str,
    noise: &Noise,
) -> Option<(f64, f64)> {
    let pruning = trial.pruned_by_racing()?;
    let at = pruning.median?.at.get();
    let step = &*pruning.cut.as_ref()?.step;
    let others = || {
        study
            .trials()
            .iter()
            .map(AsRef::as_ref)
            .filter(|t| is_whole(t))
    };
    let result = |trial: &Trial| trial.summary(metric).map(|found| noise.scaled(found.mean));
    let told = |trial: &Trial| {
        let curve = trial.curves.iter();
        let mut curve = curve.filter(|curve| *curve.step == *step && *curve.metric == *metric);
        curve.next()?.value_at(at).map(|value| noise.scaled(value))
    };
    if let Some(own) = told(trial) {
        let lacked: Vec<f64> = others()
            .filter_map(|other| Some(result(other)? - told(other)?))
            .collect();
        if lacked.len() >= ENOUGH {
            let of = 1.0 + 1.0 / lacked.len() as f64;
            let variance = (&lacked).variance().max(noise.finest);
            let mean = own + (&lacked).mean();
            return (mean + variance)
                .is_finite()
                .then_some((mean, variance * of));
        }
    }
    if *study.spec().objective.metric != *metric {
        return None;
    }
    let mut results: Vec<f64> = others().filter_map(result).collect();
    results.sort_by(f64::total_cmp);
    results.truncate(results.len().div_ceil(2));
    let spread = (&results).variance();
    // One result has none.
    let variance = if spread.is_finite() { spread } else { 0.0 };
    let mean = (&results).mean();
    mean.is_finite()
        .then_some((mean, variance.max(noise.finest)))
}

fn is_whole(trial: &Trial) -> bool {
    let has_come_out = matches!(trial.outcome, Some(Outcome::Complete | Outcome::Infeasible));
    has_come_out && !trial.deferred
}

/// `None` where there is none of finite numbers.
fn median(numbers: Vec<f64>) -> Option<f64> {
    let median = Data::new(numbers).median();
    median.is_finite().then_some(median)
}

/// How much of its run a trial has behind it at a training step: by where it
/// says that it ends, else by where those of others ended; 0 where neither is
/// known.
fn share(study: &Study, trial: &Trial, step: &str, run: u32, at: f64) -> f64 {
    let ended = |trial: &Trial| {
        let ends = curves_of(trial, step, run).filter_map(|curve| Some(curve.last()?.at.get()));
        ends.reduce(f64::max)
    };
    let said = curves_of(trial, step, run).find_map(|curve| curve.of);
    let of_others = || {
        let others = study.trials().iter();
        let whole = others.filter(|other| other.outcome == Some(Outcome::Complete));
        median(whole.filter_map(|other| ended(other)).collect())
    };
    let end = said.map(Finite::get).or_else(of_others);
    let end = end.filter(|end| *end > 0.0);
    end.map_or(0.0, |end| (at / end).clamp(0.0, 1.0))
}

fn curves_of<'a>(trial: &'a Trial, step: &'a str, run: u32) -> impl Iterator<Item = &'a Curve> {
    let is_of_run = move |curve: &&Curve| *curve.step == *step && curve.run == run;
    trial.curves.iter().filter(is_of_run)
}

#[cfg(test)]
#[path = "median_tests.rs"]
mod tests;
