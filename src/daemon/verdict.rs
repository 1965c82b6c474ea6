//! What the reports of a runner and its end amount to: pure.

use super::decide::Effect;
use crate::exec::order::missing_runs;
use crate::exec::report::{FailureReport, Report, SittingResult};
use crate::model::artifacts::ArtifactsChange;
use crate::model::event::Event;
use crate::model::outcome::{Failure, FailureKind, HostFault, Outcome};
use crate::model::spec::Spec;
use crate::model::step::{Step, StepKind};
use crate::model::study::Study;
use crate::model::trial::{Purpose, SittingEnd, Trial, TrialId};
use crate::search::{self, racing::Verdict};

/// The fact that a report amounts to.
pub fn fact_of(trial: TrialId, sitting: u32, report: Report) -> Option<Event> {
    Some(match report {
        Report::StepStarted {
            step,
            run,
            pid,
            start_ticks,
        } => Event::StepStarted {
            trial,
            sitting,
            step: step.into(),
            run,
            pid,
            start_ticks,
        },
        Report::PortBusy { port, holder } => Event::PortBusy {
            trial,
            sitting,
            port,
            holder: holder.into(),
        },
        Report::ServicesReady { startup, health } => Event::ServicesReady {
            trial,
            sitting,
            startup,
            health: health.map(Into::into),
        },
        Report::RunMarked(mark) => Event::RunMarked {
            trial,
            mark: mark.into_mark(sitting)?,
        },
        Report::RunTold(told) => Event::RunTold {
            trial,
            told: told.into_told(sitting)?,
        },
        Report::RunEnded(run) => Event::RunEnded {
            trial,
            run: run.into_run(sitting),
        },
        Report::Warning(text) => Event::Warned {
            trial,
            sitting,
            text: text.into(),
        },
        Report::Waiting(text) => Event::Waiting {
            trial,
            sitting,
            text: text.into(),
        },
        Report::TaskResumed { step, checkpoint } => Event::TaskResumed {
            trial,
            sitting,
            step: step.into(),
            checkpoint: checkpoint.into(),
        },
        Report::ArtifactsFound { files, bytes } => Event::Artifacts {
            trial,
            change: ArtifactsChange::Found {
                sitting,
                files,
                bytes,
            },
        },
        Report::GpuLevels(_) => return None,
    })
}

/// The end of the running trial, where its newest run, or what is known of the
/// one that goes on, shows that it is not worth the rest.
pub(super) fn race(study: &Study, event: &Event) -> Option<Event> {
    let (id, sitting) = match event {
        Event::RunEnded { trial, run } => (trial, run.sitting),
        Event::RunMarked { trial, mark } => (trial, mark.sitting),
        Event::RunTold { trial, told } if study.spec().search.median.is_some() => {
            (trial, told.sitting)
        }
        _ => return None,
    };
    let trial = study.trial(*id)?;
    if trial.purpose_of(sitting) != Purpose::Measure {
        return None;
    }
    if trial.skipped || trial.pruning.is_some() || trial.deferred {
        return None;
    }
    let mut trial = Trial::clone(trial);
    let verdict = match event {
        Event::RunMarked { mark, .. } => {
            trial.marks.push(mark.clone());
            search::racing::look_into(study, &trial).map(Verdict::Prune)
        }
        Event::RunTold { told, .. } => {
            trial.hear(told);
            search::racing::behind(study, &trial, &told.step, told.run).map(Verdict::Prune)
        }
        Event::RunEnded { run, .. } if run.is_good() => {
            trial.runs.push(run.clone());
            search::racing::look(study, &trial)
        }
        _ => None,
    };
    Some(match verdict? {
        Verdict::Prune(pruning) => Event::TrialPruned {
            trial: *id,
            pruning: Box::new(pruning),
        },
        Verdict::Defer => Event::TrialDeferred { trial: *id },
    })
}

/// How a sitting ends, given its runner's result and all the runs of the
/// trial.
pub fn conclude(study: &Study, trial: TrialId, sitting: u32, result: SittingResult) -> Event {
    let health = match &result {
        SittingResult::Failed(failure) => failure.health.as_deref().map(Into::into),
        _ => None,
    };
    let extra = study.trial(trial);
    let extra = extra.filter(|trial| trial.purpose_of(sitting) != Purpose::Measure);
    if let Some(of) = extra {
        let end = conclude_extra(study, of, sitting, result);
        return Event::SittingEnded {
            trial,
            sitting,
            end,
            health,
        };
    }
    let lacks = |spec: &Spec, trial: &Trial| {
        let mut steps = spec.steps.iter();
        steps.any(|step| !missing_runs(trial, step).is_empty())
    };
    // It is whole with the runs that it was started for, and with those that
    // are asked for now.
    let begun = study.spec_of_running(trial);
    let missing = |trial: &Trial| lacks(study.spec(), trial) && lacks(begun, trial);
    let end = match (study.trial(trial), result) {
        // What was cut short may have been complete all the same.
        (Some(trial), result) if is_cut_short(&result) && !missing(trial) => {
            SittingEnd::Finished(judge(study, trial))
        }
        (Some(trial), SittingResult::Interrupted) if trial.skipped => {
            SittingEnd::Finished(Outcome::Pruned)
        }
        // What broke in the moments until its end came has cost nothing.
        (Some(trial), result) if trial.pruning.is_some() && !is_stuck(&result) => {
            SittingEnd::Finished(Outcome::Pruned)
        }
        (Some(trial), result) if trial.deferred && !is_stuck(&result) => {
            SittingEnd::Finished(study.judge(trial))
        }
        (trial, SittingResult::Failed(failure)) => {
            let mut failure = Failure::from(failure);
            let of_runs = matches!(failure.kind, FailureKind::SomeRuns | FailureKind::AllRuns);
            if let (true, Some(trial), Some(step)) = (of_runs, trial, &failure.step) {
                // The runner knows only of the runs of its own sitting.
                failure.kind = bad_runs(study, trial, step);
            }
            SittingEnd::Finished(Outcome::Failed(Box::new(failure)))
        }
        (Some(trial), SittingResult::Good) if !missing(trial) => {
            SittingEnd::Finished(judge(study, trial))
        }
        // What the runner did and what is known of it are two things after a
        // crash on a full disk: what is not known is run again.
        (_, SittingResult::Interrupted | SittingResult::Good) => SittingEnd::Interrupted,
    };
    Event::SittingEnded {
        trial,
        sitting,
        end,
        health,
    }
}

/// How a sitting ends that was not to measure its trial: by its own run alone.
fn conclude_extra(study: &Study, trial: &Trial, sitting: u32, result: SittingResult) -> SittingEnd {
    let purpose = trial.purpose_of(sitting);
    if matches!(purpose, Purpose::Preflight | Purpose::Incumbent) {
        // They measure nothing: how they ended is all.
        return match result {
            SittingResult::Good => SittingEnd::Finished(Outcome::Complete),
            SittingResult::Failed(failure) => {
                SittingEnd::Finished(Outcome::Failed(Box::new(failure.into())))
            }
            SittingResult::Interrupted => SittingEnd::Interrupted,
        };
    }
    let mut own = trial.clone();
    own.runs.clone_from(&trial.extra);
    own.runs.retain(|run| run.sitting == sitting);
    let ran = |step: &Step| own.runs.iter().any(|run| run.step == step.name);
    let mut steps = study.spec_of_running(trial.id).steps.iter();
    let all_ran = steps.all(|step| step.counted_runs() == 0 || ran(step));
    match result {
        SittingResult::Failed(failure) if !is_cut_short_by(&failure) => {
            SittingEnd::Finished(Outcome::Failed(Box::new(failure.into())))
        }
        _ if all_ran => match judge(study, &own) {
            // A bound is for the mean of all of them to keep.
            Outcome::Infeasible => SittingEnd::Finished(Outcome::Complete),
            outcome => SittingEnd::Finished(outcome),
        },
        SittingResult::Failed(failure) => {
            SittingEnd::Finished(Outcome::Failed(Box::new(failure.into())))
        }
        SittingResult::Interrupted | SittingResult::Good => SittingEnd::Interrupted,
    }
}

/// What is to be said of a fault that has cost nothing.
pub(super) fn ignored_fault(result: &SittingResult, end: &Event) -> Option<Effect> {
    let (SittingResult::Failed(failure), Event::SittingEnded { end, .. }) = (result, end) else {
        return None;
    };
    let ignored = is_cut_short(result)
        && !matches!(end, SittingEnd::Finished(outcome) if outcome.host_fault().is_some());
    ignored.then(|| {
        let text = format!("{}, when all was measured, ignoring it", failure.message);
        Effect::Warn(text)
    })
}

/// Whether a sitting ended for reasons that say nothing about its runs.
fn is_cut_short(result: &SittingResult) -> bool {
    match result {
        SittingResult::Interrupted => true,
        SittingResult::Failed(failure) => is_cut_short_by(failure),
        SittingResult::Good => false,
    }
}

fn is_cut_short_by(failure: &FailureReport) -> bool {
    FailureKind::named(&failure.kind) == Some(FailureKind::Host(HostFault::RunnerDied))
}

/// Whether a sitting could not give back what it had.
fn is_stuck(result: &SittingResult) -> bool {
    matches!(result, SittingResult::Failed(failure)
        if FailureKind::named(&failure.kind) == Some(FailureKind::Host(HostFault::NotReleased)))
}

/// The outcome of a trial all of whose runs have been run, over all sittings.
fn judge(study: &Study, trial: &Trial) -> Outcome {
    let bad = trial.runs.iter().find(|run| !run.is_good());
    let Some(bad) = bad else {
        return study.judge(trial);
    };
    Outcome::Failed(Box::new(Failure {
        kind: bad_runs(study, trial, &bad.step),
        step: Some(bad.step.clone()),
        ending: Some(bad.ending.clone()),
        message: bad.fault.as_deref().unwrap_or_default().to_owned(),
        cause: None,
    }))
}

/// What a bad run of `step` makes of a trial, given its runs over all sittings.
fn bad_runs(study: &Study, trial: &Trial, step: &str) -> FailureKind {
    match study.spec().step(step).map(|step| &step.kind) {
        Some(StepKind::Task { .. }) => FailureKind::Task,
        _ if trial.good_runs(step).next().is_some() => FailureKind::SomeRuns,
        _ => FailureKind::AllRuns,
    }
}
