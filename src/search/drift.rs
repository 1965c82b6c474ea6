//! Drift: is the host still what it was?
//!
//! Every so many trials (`[search] recheck`) the *reference* is started again for
//! one run: the baseline or, where that has no result, the first trial that is
//! complete. Not the incumbent: that was picked for its luck, and would seem to
//! slow down whenever the luck ends; and not another trial each time, since
//! what all checks say of one trial adds up. A check that looks suspicious is
//! repeated at once, five in a row at most, before anything is said.
//!
//! # When it is drift
//! The starts of the reference are cut in two at each check, the later part of
//! two starts at least, and the means of both parts compared by Student's t. A
//! start varies by the noise of the study and by the scatter of these starts
//! around the means, which count as the more the more of them there are. The
//! level is [`LEVEL`] for the whole of a study: the m-th check may spend
//! 1/(m(m+1)) of it, which sums up to 1, divided by its number of cuts (the
//! inequality of Bonferroni, as in [`racing`](super::racing)). A change of less
//! than 3 % is none. The earlier part then is an epoch of its own; see
//! [`model::drift`](crate::model::drift).
//!
//! Constraints are not put on another level: a bound holds for what the host
//! gives now.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::model::drift::{Start, starts};
use crate::model::event::Event;
use crate::model::noise::Noise;
use crate::model::outcome::Outcome;
use crate::model::study::Study;
use crate::model::trial::{Purpose, Trial, TrialId};

/// The most that the chance may be that drift is seen in a study without it.
pub const LEVEL: f64 = 0.01;
/// A check is repeated where noise alone would give such a one as seldom.
const SUSPICIOUS: f64 = 0.05;
/// So many checks follow each other at most.
const REPEATS: usize = 5;
/// A change of less than this share is of no interest.
const SMALLEST: f64 = 0.03;
/// What the noise of the study tells counts as so many degrees of freedom at
/// most, beside what the starts of the reference show themselves: it may not
/// know what starts vary by.
const NOISE_FREEDOM: f64 = 10.0;

/// The trial that is to be started again now, to check.
pub fn due(study: &Study) -> Option<TrialId> {
    let every = study.spec().recheck();
    if every == 0 || study.waiting().is_some() {
        return None;
    }
    let reference = reference(study)?;
    let known = |purpose| matches!(purpose, Purpose::Measure | Purpose::Check);
    let mut sittings = reference.sittings.iter().rev();
    let last = sittings.find(|sitting| known(sitting.purpose) && sitting.is_held())?;
    let begun_since = |trial: &Trial| {
        let first = trial.sittings.first();
        first.is_none_or(|first| first.started > last.started)
    };
    let trials = study.trials().iter().rev();
    let since = trials.take_while(|trial| begun_since(trial)).count();
    let is_due = since >= every as usize || since == 0 && is_in_doubt(study, reference);
    is_due.then_some(reference.id)
}

/// The event that drift is seen, where the newest check of a trial shows it.
pub fn look(study: &Study, trial: TrialId) -> Option<Event> {
    let trial = study.trial(trial)?;
    let starts = of_epoch(study, trial);
    if !starts.last()?.is_check {
        return None;
    }
    let checks = trial.held(Purpose::Check).count() as f64;
    let cuts: Vec<Cut> = cuts(study, &starts)
        .filter(|cut| starts.len() - cut.first >= 2)
        .collect();
    let level = LEVEL / (checks * (checks + 1.0)) / cuts.len() as f64;
    let clear = cuts.into_iter().filter(|cut| cut.p < level);
    let cut = clear.min_by(|a, b| a.p.total_cmp(&b.p))?;
    Some(Event::Drifted {
        trial: trial.id,
        sitting: starts[cut.first].sitting,
        before: cut.before,
        after: cut.after,
    })
}

/// What the host is measured by.
fn reference(study: &Study) -> Option<&Trial> {
    let measured = |trial: &&Trial| trial.is_settled() && study.objective(trial).is_some();
    let baseline = study.baseline().map(|trial| &**trial).filter(measured);
    baseline.or_else(|| {
        let mut trials = study.trials().iter().map(|trial| &**trial);
        trials.find(|trial| trial.outcome == Some(Outcome::Complete))
    })
}

/// Whether the checks since the latest trial look as if something had changed,
/// and may be repeated.
fn is_in_doubt(study: &Study, reference: &Trial) -> bool {
    let Some(latest) = study.trials().iter().next_back() else {
        return false;
    };
    let Some(begun) = latest.sittings.first().map(|sitting| sitting.started) else {
        return false;
    };
    let is_new = |start: &&Start| start.is_check && start.at > begun;
    let starts = of_epoch(study, reference);
    let new = starts.iter().rev().take_while(is_new).count();
    if !(1..REPEATS).contains(&new) {
        return false;
    }
    let first = starts.len() - new;
    cuts(study, &starts).any(|cut| cut.first == first && cut.p < SUSPICIOUS)
}

/// The starts of a trial since the last change.
fn of_epoch(study: &Study, trial: &Trial) -> Vec<Start> {
    let mut starts = starts(trial, &study.spec().objective.metric);
    let began = study.changed_at(trial.id);
    let first = starts.iter().position(|start| Some(start.sitting) == began);
    starts.drain(..first.unwrap_or(0));
    starts
}

/// The comparison of the starts before a check with those from it on.
struct Cut {
    first: usize,
    /// The means of both parts, as they were measured.
    before: f64,
    after: f64,
    /// The chance of a difference at least as large, either way, if nothing had
    /// changed.
    p: f64,
}

fn cuts<'a>(study: &'a Study, starts: &'a [Start]) -> impl Iterator<Item = Cut> + 'a {
    let noise = Noise::of_objective(study);
    let variance = move |start: &Start| {
        let measured = noise.measured.map_or(noise.run, |found| found.variance);
        measured / start.numbers.len() as f64 + noise.start
    };
    let known = noise.measured.map_or(0.0, |found| found.freedom);
    let known = known.min(NOISE_FREEDOM);
    // Mean and variance of the mean of a part, and its scatter, in shares of
    // what was to be expected.
    let part = move |part: &[Start]| {
        let weight: f64 = part.iter().map(|start| variance(start).recip()).sum();
        let value = |start: &Start| start.mean(|number| noise.scaled(number));
        let each = part.iter();
        let sum: f64 = each.map(|start| value(start) / variance(start)).sum();
        let mean = sum / weight;
        let each = part.iter();
        let scatter = each.map(|start| (value(start) - mean).powi(2) / variance(start));
        (mean, weight.recip(), scatter.sum::<f64>())
    };
    let plain = |part: &[Start]| {
        let sum: f64 = part.iter().map(|start| start.mean(|number| number)).sum();
        sum / part.len() as f64
    };
    let firsts = (1..starts.len()).filter(|first| starts[*first].is_check);
    firsts.filter_map(move |first| {
        let (old, new) = starts.split_at(first);
        let (before, after) = (plain(old), plain(new));
        if (after - before).abs() < SMALLEST * before.abs() {
            return None;
        }
        let ((old_mean, old_error, old_scatter), (new_mean, new_error, new_scatter)) =
            (part(old), part(new));
        let freedom = known + starts.len() as f64 - 2.0;
        // Where nothing tells how much starts vary, nothing is told.
        if freedom < 2.0 {
            return None;
        }
        // Starts that agree by chance do not show that there is no noise.
        let inflation = ((known + old_scatter + new_scatter) / freedom).max(0.25);
        let error = (inflation * (old_error + new_error)).sqrt();
        let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
        let p = 2.0 * student.sf((new_mean - old_mean).abs() / error);
        Some(Cut {
            first,
            before,
            after,
            p,
        })
    })
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
