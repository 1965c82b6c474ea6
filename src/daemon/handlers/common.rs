//! What several answers have.

use std::path::Path;

use crate::base::clock::Timestamp;
use crate::model::artifacts::Fate;
use crate::model::metric::Constraint;
use crate::model::outcome::{Failure, Outcome};
use crate::model::study::Study;
use crate::model::trial::{Origin, SittingEnd, Trial};
use crate::report::retrial::Confirmed;
use crate::report::{credit, overview};
use crate::search::statistics::Interval;
use crate::wire::convert::milliseconds;
use crate::wire::reply::{
    Artifacts, ArtifactsState, Change, Checked, Confirmation, Gain, Leader, Measured, Metric,
    TrialRow,
};

/// How a trial's params differ from the baseline's.
pub fn changes(study: &Study, trial: &Trial) -> Vec<Change> {
    let space = &study.spec().space;
    let Ok(start) = space.baseline() else {
        return Vec::new();
    };
    wired(overview::changes(space, &start, &study.params_of(trial)))
}

/// Changes as they are sent.
pub fn wired(changes: Vec<overview::Change>) -> Vec<Change> {
    let text = |value: Option<crate::model::value::Value>| value.map(|value| value.to_string());
    let changes = changes.into_iter().map(|change| Change {
        name: change.name.to_string(),
        from: text(change.from),
        to: text(change.to),
    });
    changes.collect()
}

/// A trial with its metrics.
pub fn measured(study: &Study, trial: &Trial) -> Measured {
    Measured {
        trial: trial.id.0,
        outcome: overview::word(trial).to_owned(),
        metrics: metrics(study, trial),
    }
}

/// What a trial of a study in this folder has made.
pub fn artifacts(study: &Study, trial: &Trial, output: &Path) -> Option<Artifacts> {
    let made = trial.artifacts.as_deref().filter(|made| made.files > 0)?;
    let copy = study.kept().filter(|kept| kept.trial == trial.id);
    Some(Artifacts {
        files: made.files,
        bytes: made.bytes,
        state: match &made.fate {
            Fate::There if study.unkept() == Some(trial.id) => ArtifactsState::Pending,
            Fate::There => ArtifactsState::There,
            Fate::Lost { reason } => ArtifactsState::Lost {
                reason: reason.to_string(),
            },
            Fate::Deleted { left } => ArtifactsState::Deleted { left: *left },
        },
        copy: copy.map(|kept| output.join(&*kept.folder).display().to_string()),
    })
}

/// What leads by only some of its runs, if that is not the best already.
pub fn leader(study: &Study) -> Option<Leader> {
    let best = study.incumbent().map(|best| best.id);
    let leader = study.leader().filter(|leader| leader.is_provisional())?;
    if best == Some(leader.id) {
        return None;
    }
    Some(Leader {
        measured: measured(study, leader),
        changes: changes(study, leader),
        runs: leader.runs.iter().filter(|run| run.is_good()).count() as u32,
        runs_all: study.spec().runs_per_trial(),
    })
}

/// The metrics that a trial has.
pub fn metrics(study: &Study, trial: &Trial) -> Vec<Metric> {
    let metrics = overview::measured(study, trial).metrics.into_iter();
    let metrics = metrics.map(|(name, summary)| Metric {
        name: name.to_string(),
        summary: summary.into(),
    });
    metrics.collect()
}

fn cause(failure: &Failure) -> String {
    let cause = failure.cause.as_ref().map(|cause| cause.name.clone());
    cause.unwrap_or_else(|| failure.kind.name().to_owned())
}

/// How much better the incumbent is than the baseline.
pub fn gain(study: &Study) -> Gain {
    match overview::gain(study) {
        overview::Gain::NothingFeasible => Gain::NothingFeasible,
        overview::Gain::NoBaseline => Gain::NoBaseline,
        overview::Gain::None => Gain::None,
        overview::Gain::Measured {
            amount,
            share,
            comparison,
            confirmed,
        } => {
            let interval: Option<Interval> = comparison
                .filter(|found| found.freedom.is_finite())
                .and_then(|found| found.gain);
            Gain::Measured {
                amount,
                share,
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                clear: comparison.map(|found| found.is_clear()),
                confirmed,
            }
        }
    }
}

/// How far the incumbent is confirmed, once that has begun.
pub fn confirmation(study: &Study) -> Option<Confirmation> {
    let found = Confirmed::of(study)?;
    Some(Confirmation {
        winner: found.winner,
        starts: found.starts,
        done: found.done,
        baseline: found.baseline,
        measured: found.measured,
        baseline_failed: found.baseline_failed,
        winner_failed: found.winner_failed,
        better: found.better,
        missed: found.missed,
    })
}

/// The constraints as texts.
pub fn constraints(study: &Study) -> Vec<String> {
    let constraints = study.spec().constraints.iter();
    constraints.map(Constraint::to_string).collect()
}

/// A trial for a table.
pub fn row(study: &Study, trial: &Trial, now: Timestamp) -> TrialRow {
    let row = overview::row(study, trial, Vec::new());
    let wanted = study.spec().constraints.iter();
    let constraints = row.constraints.into_iter().zip(wanted);
    let constraints = constraints.map(|(checked, constraint)| {
        let (summary, missed) = checked?;
        Some(Checked {
            mean: summary.mean,
            missed,
            confidence: study.confidence(trial, constraint),
        })
    });
    TrialRow {
        trial: trial.id.0,
        outcome: row.word.to_owned(),
        origin: credit::origin(trial).to_owned(),
        changes: changes(study, trial),
        objective: row.objective.map(Into::into),
        constraints: constraints.collect(),
        runs: row.runs,
        elapsed: milliseconds(trial.elapsed(now)),
        is_baseline: row.is_baseline,
        is_best: row.is_incumbent,
        failure: failure(trial).map(|failure| failure.message.clone()),
        startup: trial.startup().map(milliseconds),
        metrics: metrics(study, trial),
        cause: failure(trial).map(cause),
        advice: study.advice_of(trial).and_then(|advice| {
            let why = advice.answer.as_ref().err();
            advice.comment.as_ref().or(why).cloned()
        }),
        remedy_of: match trial.origin {
            Origin::Remedy { of } => Some(of.0),
            _ => None,
        },
    }
}

/// Whether a trial that is over has started a program, so that it had logs.
pub fn had_logs(trial: &Trial) -> bool {
    let ended = failure(trial).is_some_and(|failure| failure.ending.is_some());
    let started = !trial.runs.is_empty() || trial.startup().is_some() || ended;
    trial.is_settled() && trial.origin != Origin::Imported && started
}

/// What broke the trial, or its last sitting where it is not settled.
pub fn failure(trial: &Trial) -> Option<&Failure> {
    let last = trial.sittings.last().and_then(|s| s.end.as_ref());
    match (&trial.outcome, last) {
        (Some(Outcome::Failed(failure)), _)
        | (None, Some(SittingEnd::Finished(Outcome::Failed(failure)))) => Some(failure),
        _ => None,
    }
}
