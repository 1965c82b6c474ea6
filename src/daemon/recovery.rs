//! After a crash: ends what is left of the sittings that an earlier daemon had
//! open, and takes what their runners reported into the journal.

use super::decide::{conclude, fact_of, open_sittings};
use super::folders::Folders;
use super::records::{Records, written};
use super::{DaemonError, Update};
use crate::base::clock;
use crate::exec::leftovers::{self, Leftover};
use crate::exec::report::{FailureReport, Report, SittingResult};
use crate::model::event::Fact;
use crate::model::outcome::{FailureKind, HostFault};
use crate::model::study::Study;
use crate::model::trial::{Sitting, TrialId};

/// Closes every open sitting of `study`. No process of an old trial is alive
/// afterwards.
///
/// # Errors
/// When the journal cannot be written.
pub async fn recover(
    study: &mut Study,
    folders: &Folders,
    records: &mut Records,
    tell: impl Fn(Update),
) -> Result<(), DaemonError> {
    for (trial, sitting) in open_sittings(study) {
        tell(Update::Recovering {
            trial,
            sitting: sitting.number,
        });
        let folder = folders.sitting(trial, sitting.number);
        let leftover = leftovers::take_over(&folder, &sitting.token).await;
        let leftover = leftover.map_err(|source| DaemonError::Folder {
            path: folder,
            source,
        })?;
        let facts = close(study, trial, &sitting, leftover)?;
        written(&mut records.append(facts.clone()))
            .await
            .map_err(DaemonError::NotRecorded)?;
        for fact in &facts {
            records.follow(fact, study);
        }
        folders.forget_sitting(trial, sitting.number);
    }
    Ok(())
}

/// Applies what a sitting reported and the journal does not have yet, and its
/// end.
fn close(
    study: &mut Study,
    trial: TrialId,
    sitting: &Sitting,
    leftover: Leftover,
) -> Result<Vec<Fact>, DaemonError> {
    let mut facts = Vec::new();
    let mut take = |study: &mut Study, fact: Fact| {
        study.apply(&fact).map_err(DaemonError::Inconsistent)?;
        facts.push(fact);
        Ok::<_, DaemonError>(())
    };
    for (at, report) in leftover.reports {
        if is_new(study, trial, sitting, &report)
            && let Ok(event) = fact_of(trial, sitting.number, report)
        {
            take(study, Fact { at, event })?;
        }
    }
    let result = match leftover.result {
        Some(result) => result,
        None if leftover.stuck.is_empty() => SittingResult::Interrupted,
        None => SittingResult::Failed(not_released(&leftover.stuck)),
    };
    let event = conclude(study, trial, sitting.number, result);
    take(
        study,
        Fact {
            at: clock::now(),
            event,
        },
    )?;
    Ok(facts)
}

fn is_new(study: &Study, trial: TrialId, sitting: &Sitting, report: &Report) -> bool {
    let Some(trial) = study.trial(trial) else {
        return false;
    };
    match report {
        Report::RunEnded(run) => !trial.runs.iter().any(|known| {
            known.number == run.number
                && *known.step == *run.step
                && known.sitting == sitting.number
        }),
        Report::ServicesReady { .. } => trial.running().is_some_and(|s| s.startup.is_none()),
        Report::StepStarted { .. } | Report::Warning(_) => false,
    }
}

fn not_released(stuck: &[i32]) -> FailureReport {
    FailureReport {
        kind: FailureKind::Host(HostFault::NotReleased).name().to_owned(),
        step: None,
        ending: None,
        message: format!("processes {stuck:?} did not end on SIGKILL: they hang in the kernel"),
        cause: None,
        health: None,
    }
}
