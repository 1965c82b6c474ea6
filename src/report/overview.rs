//! A study as plain data: what a report says, before it is said.

use std::sync::Arc;
use std::time::Duration;

use super::retrial::Confirmed;
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::drift::Drift;
use crate::model::metric::{Constraint, Objective, Summary};
use crate::model::outcome::{Failure, Outcome};
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::study::{Counts, Phase, Study};
use crate::model::trial::{SittingEnd, Trial, TrialId};
use crate::model::value::Value;
use crate::search::confirm::Confirmation;
use crate::search::statistics::{Comparison, compare};
use crate::search::{Ask, ask};

/// All that a report says about a study.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The study's name.
    pub name: String,
    /// Whether it goes on, and why not.
    pub phase: Phase,
    /// The metric that is optimised.
    pub objective: Objective,
    /// What a trial must keep to.
    pub constraints: Vec<Constraint>,
    /// What users have changed in the spec, each in words.
    pub amendments: Vec<String>,
    /// How many trials came out how.
    pub counts: Counts,
    /// Good runs, over all trials.
    pub runs: u32,
    /// Runs that racing has saved.
    pub runs_saved: f64,
    /// See [`Study::runs_cut`].
    pub runs_cut: f64,
    /// The time with a trial running.
    pub busy: Duration,
    /// The trial of the starting params, once it is planned.
    pub baseline: Option<Measured>,
    /// The best trial that is complete.
    pub incumbent: Option<Measured>,
    /// How the incumbent's params differ from the baseline's.
    pub changes: Vec<Change>,
    /// What leads by only some of its runs, if that is not the incumbent.
    pub leader: Option<Measured>,
    /// How much better the incumbent is than the baseline.
    pub gain: Gain,
    /// How far the incumbent is confirmed, once that has begun.
    pub confirmed: Option<Confirmed>,
    /// How far the host has drifted, where it has.
    pub drift: Option<Drift>,
    /// The trials that failed, in order.
    pub failed: Vec<Failed>,
    /// The trials that miss a constraint, in order.
    pub infeasible: Vec<Missing>,
    /// The trial that a fault of the host holds up; it is tried again.
    pub held_up: Option<Failed>,
    /// What the sampler wants next; `None` while a trial is not settled, and
    /// where the study is paused or done.
    pub next: Option<Ask>,
    /// How the params that come next differ from the baseline's.
    pub next_changes: Vec<Change>,
    /// Every trial, in order.
    pub rows: Vec<Row>,
}

/// One parameter that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The parameter.
    pub name: Name,
    /// Its value in the baseline; `None` where it is not active there.
    pub from: Option<Value>,
    /// Its value in the trial; `None` where it is not active there.
    pub to: Option<Value>,
}

/// A trial with all its metrics.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its number.
    pub id: TrialId,
    /// What it tried.
    pub params: Params,
    /// What came of it; `None` until it is settled.
    pub outcome: Option<Outcome>,
    /// The metrics that it has: the objective, those of the constraints, then
    /// the others in the spec's order.
    pub metrics: Vec<(Name, Summary)>,
}

/// How much better the incumbent is than the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gain {
    /// No trial is feasible yet.
    NothingFeasible,
    /// The baseline has no measurement of the objective.
    NoBaseline,
    /// The baseline is the incumbent.
    None,
    /// Both were measured.
    Measured {
        /// The better mean less the baseline's, turned so that more is better;
        /// in the metric's unit.
        amount: f64,
        /// The same as a share of the baseline's mean: 0.2 is 20 % better.
        /// `None` when that mean is 0.
        share: Option<f64>,
        /// Whether it is more than noise; `None` when that cannot be told,
        /// since one of the two has a single run.
        comparison: Option<Comparison>,
        /// By so many fresh starts of each it was confirmed: these alone are in
        /// it. `None` of what was found in the search, which flatters the
        /// incumbent.
        confirmed: Option<u32>,
    },
}

/// A trial that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Its number.
    pub id: TrialId,
    /// How its params differ from the baseline's.
    pub changes: Vec<Change>,
    /// What broke.
    pub failure: Failure,
}

/// A trial that misses constraints.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Its number.
    pub id: TrialId,
    /// How its params differ from the baseline's.
    pub changes: Vec<Change>,
    /// The constraints that it misses.
    pub misses: Vec<Miss>,
}

/// One constraint that is missed.
#[derive(Clone, Debug)]
pub struct Miss {
    /// The constraint.
    pub constraint: Constraint,
    /// The mean that misses it.
    pub mean: f64,
    /// By how much, in the metric's unit.
    pub amount: f64,
}

/// One trial, for a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub id: TrialId,
    /// How its params differ from the baseline's; empty for the baseline.
    pub changes: Vec<Change>,
    /// The objective, where it was measured.
    pub objective: Option<Summary>,
    /// The metric of each constraint in turn, and whether it misses it.
    pub constraints: Vec<Option<(Summary, bool)>>,
    /// Its good runs.
    pub runs: u32,
    /// What came of it, in one word: `complete`, `infeasible`, `pruned`,
    /// `failed`; before that `planned`, `running`, `interrupted`, `held up`.
    pub word: &'static str,
    /// Whether it is the baseline.
    pub is_baseline: bool,
    /// Whether it is the incumbent.
    pub is_incumbent: bool,
}

impl Overview {
    /// What there is to say about a study at `now`. Costs one [`ask`] besides
    /// a look at every trial.
    pub fn of(study: &Study, now: Timestamp) -> Self {
        let spec = study.spec();
        let start = spec.space.baseline().ok();
        let changes = |params: &Params| {
            start
                .as_ref()
                .map(|start| changes(&spec.space, start, params))
                .unwrap_or_default()
        };
        let failed = |trial: &Trial, failure: &Failure| Failed {
            id: trial.id,
            changes: changes(&study.params_of(trial)),
            failure: failure.clone(),
        };
        let trials = study.trials();
        let goes_on = *study.phase() == Phase::Active && study.unsettled().is_none();
        let next = goes_on.then(|| ask(study));
        Self {
            name: spec.name.clone(),
            phase: study.phase().clone(),
            objective: spec.objective.clone(),
            constraints: spec.constraints.clone(),
            amendments: study.amendments().iter().map(ToString::to_string).collect(),
            counts: study.counts(),
            runs: study.runs(),
            runs_saved: study.runs_saved(),
            runs_cut: study.runs_cut(),
            busy: study.busy(now),
            baseline: study.baseline().map(|trial| measured(study, trial)),
            incumbent: study.incumbent().map(|trial| measured(study, trial)),
            changes: study
                .incumbent()
                .map(|trial| changes(&study.params_of(trial)))
                .unwrap_or_default(),
            leader: study
                .leader()
                .filter(|leader| leader.is_provisional())
                .map(|trial| measured(study, trial)),
            gain: gain(study),
            confirmed: Confirmed::of(study),
            drift: study.drift(),
            failed: trials
                .iter()
                .filter_map(|trial| match &trial.outcome {
                    Some(Outcome::Failed(failure)) => Some(failed(trial, failure)),
                    _ => None,
                })
                .collect(),
            infeasible: trials
                .iter()
                .filter(|trial| trial.outcome == Some(Outcome::Infeasible))
                .map(|trial| Missing {
                    id: trial.id,
                    changes: changes(&study.params_of(trial)),
                    misses: misses(study, trial),
                })
                .collect(),
            held_up: study
                .unsettled()
                .and_then(|trial| Some(failed(trial, held_up(trial)?))),
            next_changes: match &next {
                Some(Ask::Try(params)) => changes(params),
                _ => Vec::new(),
            },
            next,
            rows: trials
                .iter()
                .map(|trial| row(study, trial, changes(&study.params_of(trial))))
                .collect(),
        }
    }
}

/// A trial with all its metrics.
pub fn measured(study: &Study, trial: &Trial) -> Measured {
    let spec = study.spec();
    let first = std::iter::once(&spec.objective.metric);
    let second = spec.constraints.iter().map(|c| &c.metric);
    let mut metrics: Vec<(Name, Summary)> = Vec::new();
    for name in first.chain(second).chain(spec.metrics()) {
        if metrics.iter().all(|(known, _)| known != name)
            && let Some(summary) = trial.summary(name)
        {
            metrics.push((name.clone(), summary));
        }
    }
    Measured {
        id: trial.id,
        params: study.params_of(trial),
        outcome: trial.outcome.clone(),
        metrics,
    }
}

/// How much better the incumbent is than the baseline.
pub fn gain(study: &Study) -> Gain {
    let Some(incumbent) = study.incumbent() else {
        return Gain::NothingFeasible;
    };
    let baseline = study.baseline().filter(|trial| trial.is_settled());
    if baseline.is_some_and(|baseline| baseline.id == incumbent.id) {
        return Gain::None;
    }
    let confirmation = Confirmation::of(study).filter(Confirmation::is_over);
    let fresh = confirmation.and_then(|found| {
        let (old, new) = found.baseline.zip(found.measured)?;
        Some((old, new, Some(found.starts)))
    });
    let chosen = || {
        let old = study.levelled(baseline?)?;
        Some((old, study.levelled(incumbent)?, None))
    };
    let Some((old, new, confirmed)) = fresh.or_else(chosen) else {
        return Gain::NoBaseline;
    };
    let objective = &study.spec().objective;
    let amount = (new.mean - old.mean).abs();
    Gain::Measured {
        amount: if objective.better(old.mean, new.mean) {
            -amount
        } else {
            amount
        },
        share: objective.gain(old.mean, new.mean),
        comparison: compare(objective, &old, &new),
        confirmed,
    }
}

/// The constraints that a trial misses, and by how much.
pub fn misses(study: &Study, trial: &Trial) -> Vec<Miss> {
    let constraints = study.spec().constraints.iter();
    let missed = constraints.filter_map(|constraint| {
        let mean = trial.summary(&constraint.metric)?.mean;
        let amount = study.needed(trial, constraint).violation(mean);
        (amount > 0.0).then(|| Miss {
            constraint: constraint.clone(),
            mean,
            amount,
        })
    });
    missed.collect()
}

/// The fault of the host that ended the last sitting.
fn held_up(trial: &Trial) -> Option<&Failure> {
    match trial.sittings.last()?.end.as_ref()? {
        SittingEnd::Finished(Outcome::Failed(failure)) if !trial.is_settled() => Some(failure),
        _ => None,
    }
}

/// What came of a trial, in one word; see [`Row::word`].
pub fn word(trial: &Trial) -> &'static str {
    match &trial.outcome {
        Some(outcome) => outcome.word(),
        None if trial.running().is_some() => "running",
        None if trial.sittings.is_empty() => "planned",
        None if held_up(trial).is_some() => "held up",
        None => "interrupted",
    }
}

/// One trial, for a table; `changes` are those from the baseline.
pub fn row(study: &Study, trial: &Trial, changes: Vec<Change>) -> Row {
    let is = |other: Option<&Arc<Trial>>| other.is_some_and(|t| t.id == trial.id);
    let constraints = study.spec().constraints.iter().map(|constraint| {
        let summary = trial.summary(&constraint.metric)?;
        let needed = study.needed(trial, constraint);
        Some((summary, needed.violation(summary.mean) > 0.0))
    });
    Row {
        id: trial.id,
        changes,
        objective: study.objective(trial),
        constraints: constraints.collect(),
        runs: trial.runs.iter().filter(|run| run.is_good()).count() as u32,
        word: word(trial),
        is_baseline: is(study.baseline()),
        is_incumbent: is(study.incumbent()),
    }
}

/// How `to` differs from `from`, in the space's order; what the space does not
/// know comes last.
pub fn changes(space: &Space, from: &Params, to: &Params) -> Vec<Change> {
    let mut names = to.difference(from);
    let place = |name: &Name| {
        let known = space.parameters().iter().position(|p| p.name == *name);
        known.unwrap_or(usize::MAX)
    };
    names.sort_by_key(place);
    names
        .into_iter()
        .map(|name| Change {
            from: from.get(&name).cloned(),
            to: to.get(&name).cloned(),
            name,
        })
        .collect()
}
