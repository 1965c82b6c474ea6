//! Racing: spends runs on the trials that are worth them.
//!
//! A trial has one run, and then one of two things is decided:
//!
//! ```text
//!             ┌─ clearly worse, or clearly infeasible ─▶ pruned, for good: in its midst,
//!             │                                          where it has marks (see [`look_into`])
//!   first run ┤
//!             └─ anything else ───────────────────────▶ deferred: it comes out by the run that
//!                                                        it has, and may be taken up again
//!   taken up ───▶ further runs, one by one, until it is pruned or has them all
//! ```
//!
//! The best of all trials, deferred ones too, *leads*; it is the incumbent only
//! once it has all its runs. So a lucky run is never announced. A deferred trial
//! is taken up
//! - when it leads and eight trials have not beaten it;
//! - when it leads and the study is about to be done;
//! - when the sampler has nothing left to try and it could still be the best.
//!
//! Why one run: a sampler learns more from a run of something new, with its
//! start, than from further runs of what it knows, as long as starting does not
//! cost many times what a run does; and runs of one start share what that start
//! was like. `cargo bench --bench search` measures it.
//!
//! # What pruning may lose
//! Of all params there is one best. It is pruned only where a look at it finds
//! its mean behind that of the leader of that time, or outside a bound, by more
//! than Student's t allows at [`LEVEL`], divided by the number of looks that a
//! trial gets, of criteria, and, for the comparison with the leader, of trials
//! that may have come to lead by luck: all that are complete by then. So by the
//! inequality of Bonferroni (O. J. Dunn, Multiple comparisons among means,
//! Journal of the American Statistical Association 56, 1961) the chance that
//! it is pruned at all is at most [`LEVEL`], over all looks and all trials of a
//! study: the noise of its own runs, that of every rival, and that the luckiest
//! rival is the one compared are all in it. What the runs vary by is that of
//! the whole study, by what was measured alone; as long as no trial has two runs
//! of one start, nothing is pruned. As far as the study's own runs show that those of
//! one number share a cause, such are compared with each other. See [`noise`](crate::model::noise). `racing_tests` measures it on
//! studies made up. Races that drop what is clearly worse go back to O. Maron
//! and A. W. Moore, Hoeffding races, NIPS 1993; M. Birattari et al., A racing
//! algorithm for configuring metaheuristics, GECCO 2002, brought them to tuning.
//!
//! A study that tries all it can thus ends with its best params but for that
//! chance. One that a budget ends has left deferred trials as they are, all but
//! the leader: which of them are worth more is the sampler's to judge.
//!
//! # What is not deferred
//! Trials with a task: to take one up again would mean to train again. They go
//! on until they are pruned or have all their runs.
//!
//! # What is never pruned
//! The baseline, against which every gain is measured: it is deferred like any
//! other, and taken up before the study is done.
//!
//! # The median rule
//! A run of hours is looked at by its curve: see [`behind`]. That is apart from
//! all of this, and bounds no chance.
//!
//! # What has all its runs at once
//! What a user enqueued, and what a user has measured again: whoever wants that
//! wants to know.

mod median;
mod partial;

use statrs::distribution::{ContinuousCDF, StudentsT};

pub use self::median::behind;
pub(super) use self::partial::Known;
pub use self::partial::look_into;
use crate::model::noise::{Measured, Noise};
use crate::model::step::{Step, StepKind};
use crate::model::study::Study;
use crate::model::trial::{Origin, Pruning, Trial, TrialId};
use crate::model::value::Finite;

/// The most that the chance may be that the best of all params is pruned.
pub const LEVEL: f64 = 0.01;

/// A leader that so many trials have not beaten gets all its runs.
const PATIENCE: usize = 8;

/// Why a trial ends before its last run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It cannot win.
    Prune(Pruning),
    /// Another trial is a better use of its runs.
    Defer,
}

/// Looks at `trial`, which has the runs of the running trial so far; `None`
/// when it goes on. Costs no more for a study of many trials.
pub fn look(study: &Study, trial: &Trial) -> Option<Verdict> {
    if !is_raced(study, trial) || runs_to_come(study, trial, None) == 0 {
        return None;
    }
    let criteria = criteria(study, trial);
    if let Some(pruning) = pruning(study, trial, &criteria) {
        return Some(Verdict::Prune(pruning));
    }
    let constraints = study
        .spec()
        .constraints
        .iter()
        .map(|constraint| &constraint.metric);
    let mut metrics = constraints.chain([&study.spec().objective.metric]);
    if metrics.any(|metric| trial.summary(metric).is_none()) {
        return None;
    }
    let steps = &study.spec().steps;
    let trains = steps
        .iter()
        .any(|step| matches!(step.kind, StepKind::Task { .. }));
    // What was taken up is to have them all: another start costs more than a
    // run.
    let sitting = trial.runs.last()?.sitting;
    let is_first = trial.runs.iter().all(|run| run.sitting == sitting);
    (is_first && !trains).then_some(Verdict::Defer)
}

/// The deferred trial that is to be taken up before anything new is tried.
pub(super) fn challenged(study: &Study) -> Option<TrialId> {
    let leader = study.leader().filter(|leader| is_open(study, leader))?;
    let since = study.trials().len() - leader.id.0 as usize;
    (since >= PATIENCE).then_some(leader.id)
}

/// The deferred trial that is to be taken up before the study is done: what
/// leads must not owe it to luck, nor to that of the baseline.
pub fn unconfirmed(study: &Study) -> Option<TrialId> {
    let trials = [study.leader(), study.baseline()].into_iter().flatten();
    let mut open = trials.filter(|trial| is_open(study, trial));
    open.next().map(|trial| trial.id)
}

/// The deferred trial that may be better than the leader: the most promising
/// one.
pub(super) fn undecided(study: &Study) -> Option<TrialId> {
    let mut best: Option<(f64, TrialId)> = None;
    for trial in study.trials() {
        if !is_open(study, trial) || !is_raced(study, trial) {
            continue;
        }
        let criteria = criteria(study, trial);
        if pruning(study, trial, &criteria).is_some() {
            continue;
        }
        let lead = criteria
            .iter()
            .map(Criterion::lead)
            .fold(f64::INFINITY, f64::min);
        if best.is_none_or(|(known, _)| lead > known) {
            best = Some((lead, trial.id));
        }
    }
    best.map(|(_, id)| id)
}

/// Whether it has come out by only some of its runs.
fn is_open(study: &Study, trial: &Trial) -> bool {
    trial.is_provisional() && runs_to_come(study, trial, None) > 0
}

fn is_raced(study: &Study, trial: &Trial) -> bool {
    study.spec().search.racing && trial.origin != Origin::User && !trial.reopened
}

/// How many runs the trial still gets, of those that yield the metric.
fn runs_to_come(study: &Study, trial: &Trial, metric: Option<&str>) -> u32 {
    let yields = |step: &&Step| metric.is_none_or(|metric| step.yields(metric));
    let steps = study.spec().steps.iter().filter(yields);
    let open = steps.map(|step| {
        let ran = trial.runs.iter().filter(|run| run.step == step.name);
        step.counted_runs().saturating_sub(ran.count() as u32)
    });
    open.sum()
}

/// Something that a trial must reach.
struct Criterion<'a> {
    metric: &'a str,
    runs: u32,
    mean: f64,
    needed: f64,
    /// Whose mean `needed` is.
    rival: Option<TrialId>,
    /// By how much it is reached, on the scale of comparison.
    distance: f64,
    /// The standard error of that.
    error: f64,
    /// By what was measured alone, with its degrees of freedom; `None` while
    /// nothing tells how much runs vary.
    measured: Option<(f64, f64)>,
    /// How far off what is foretold of a run that goes on may be, where one of
    /// the runs is that.
    foretold: Option<Measured>,
    /// How many could have come to be what it is compared with.
    rivals: u32,
    /// How many runs that measure it are still to come.
    to_come: u32,
}

impl Criterion<'_> {
    fn lead(&self) -> f64 {
        self.distance / self.error
    }

    /// The chance of being at least as far behind, were it just good enough;
    /// `None` where that cannot be told.
    fn chance(&self) -> Option<f64> {
        let (error, freedom) = match (self.to_come, self.foretold) {
            // That is how it stays, by the mean that decides.
            (0, None) => return Some(if self.distance < 0.0 { 0.0 } else { 1.0 }),
            // Once the run has ended.
            (0, Some(foretold)) => (foretold.variance.sqrt(), foretold.freedom),
            (_, None) => self.measured?,
            (_, Some(foretold)) => foretold.added_to(self.measured?),
        };
        let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
        Some(student.cdf(self.distance / error).clamp(0.0, 1.0))
    }
}

/// All that can be told by what was measured.
fn criteria<'a>(study: &'a Study, trial: &Trial) -> Vec<Criterion<'a>> {
    let spec = study.spec();
    let mut criteria = Vec::with_capacity(spec.constraints.len() + 1);
    for constraint in &spec.constraints {
        let metric = &*constraint.metric;
        let Some(summary) = trial.summary(metric) else {
            continue;
        };
        let to_come = runs_to_come(study, trial, Some(metric));
        for (rises, bound) in [(true, constraint.min), (false, constraint.max)] {
            let Some(needed) = bound.map(Finite::get) else {
                continue;
            };
            let noise = Noise::of_bound(study, metric, needed, rises);
            criteria.push(Criterion {
                metric,
                runs: summary.count,
                mean: summary.mean,
                needed,
                rival: None,
                distance: noise.scaled(summary.mean) - noise.scaled(needed),
                error: noise.of_mean(trial, metric).sqrt(),
                measured: noise.measured_error(trial, metric),
                foretold: None,
                rivals: 1,
                to_come,
            });
        }
    }
    let metric = &*spec.objective.metric;
    let rival = study.leader().filter(|rival| rival.id != trial.id);
    let needed = rival.and_then(|rival| study.levelled(rival));
    if let (Some(rival), Some(needed), Some(summary)) = (rival, needed, study.levelled(trial)) {
        let noise = Noise::of_objective(study);
        let Some(lead) = noise.lead(trial, rival, metric) else {
            return criteria;
        };
        criteria.push(Criterion {
            metric,
            runs: summary.count,
            mean: summary.mean,
            needed: needed.mean,
            rival: Some(rival.id),
            // What drift has done to the runs is taken out.
            distance: lead.distance + moved(study, &noise, trial) - moved(study, &noise, rival),
            error: lead.error,
            measured: lead.measured,
            foretold: None,
            rivals: study.counts().complete,
            to_come: runs_to_come(study, trial, Some(metric)),
        });
    }
    criteria
}

/// How far the level of the study's beginning is from that on which a trial was
/// measured.
fn moved(study: &Study, noise: &Noise, trial: &Trial) -> f64 {
    let raw = study.objective(trial).map(|raw| noise.scaled(raw.mean));
    let levelled = study.levelled(trial).map(|on| noise.scaled(on.mean));
    levelled
        .zip(raw)
        .map_or(0.0, |(levelled, raw)| levelled - raw)
}

/// The finding that a trial cannot win, where it is sure enough.
fn pruning(study: &Study, trial: &Trial, criteria: &[Criterion<'_>]) -> Option<Pruning> {
    if trial.origin == Origin::Baseline {
        return None;
    }
    let runs = trial.runs.len() as u32 + runs_to_come(study, trial, None);
    let into_runs: u32 = study
        .spec()
        .steps
        .iter()
        .map(|step| step.marks().looks())
        .sum();
    let looks = runs.saturating_sub(1) + into_runs;
    let looks = looks.max(1) * (study.spec().constraints.len() as u32 + 1);
    criteria.iter().find_map(|criterion| {
        let chance = criterion.chance()?;
        let level = LEVEL / f64::from(looks) / f64::from(criterion.rivals.max(1));
        (chance < level && criterion.distance.is_finite()).then(|| Pruning {
            metric: criterion.metric.into(),
            runs: criterion.runs,
            of: criterion.runs + criterion.to_come,
            mean: criterion.mean,
            needed: criterion.needed,
            rival: criterion.rival,
            chance,
            cut: None,
            median: None,
        })
    })
}

#[cfg(test)]
#[path = "racing_tests.rs"]
mod tests;
