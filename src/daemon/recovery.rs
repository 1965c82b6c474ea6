//! After a crash: ends what is left of the sittings that an earlier daemon had
//! open, and takes what their runners reported into the journal.
//!
//! A folder of a sitting that the journal does not have open is removed: either
//! all of it is in the journal and the daemon did not come to remove it, or the
//! journal has lost its end, and then its processes are ended as well.

use tokio::sync::mpsc;

use super::decide::{Urgency, open_sittings};
use super::folders::Folders;
use super::records::{Records, written};
use super::verdict::{conclude, fact_of};
use super::{DaemonError, Update};
use crate::base::clock;
use crate::exec::leftovers::{self, Leftover};
use crate::exec::report::{FailureReport, Report, SittingResult};
use crate::model::event::{Fact, port_busy};
use crate::model::outcome::{FailureKind, HostFault};
use crate::model::reason;
use crate::model::study::Study;
use crate::model::trial::{Sitting, TrialId};
use crate::notify::with_notices;

/// The wishes to end that come while the past is cleared up. That is done all
/// the same; a wish for an end at once ends the patience with old runners.
struct Wishes<'a> {
    urgent: &'a mut mpsc::UnboundedReceiver<Urgency>,
    most: Option<Urgency>,
}

impl Wishes<'_> {
    /// Waits for the wish for an end at once, if it has not come yet.
    async fn at_once(&mut self) {
        while self.most != Some(Urgency::AtOnce) {
            match self.urgent.recv().await {
                Some(urgency) => self.most = self.most.max(Some(urgency)),
                None => std::future::pending().await,
            }
        }
    }
}

/// Closes every open sitting of `study`. No process of an old trial is alive
/// afterwards. Returns the wish to end that came meanwhile.
///
/// # Errors
/// When the journal cannot be written.
pub async fn recover(
    study: &mut Study,
    folders: &Folders,
    records: &mut Records,
    urgent: &mut mpsc::UnboundedReceiver<Urgency>,
    tell: impl Fn(Update),
) -> Result<Option<Urgency>, DaemonError> {
    let mut wishes = Wishes { urgent, most: None };
    for (trial, sitting) in open_sittings(study) {
        tell(Update::Recovering {
            trial,
            sitting: sitting.number,
        });
        let folder = folders.sitting(trial, sitting.number);
        let taken = leftovers::take_over(&folder, &sitting.token, wishes.at_once());
        let leftover = taken.await;
        let leftover = leftover.map_err(|source| DaemonError::Folder {
            path: folder,
            source,
        })?;
        let before = study.clone();
        let facts = with_notices(&before, close(study, trial, &sitting, leftover)?);
        *study = before;
        for fact in &facts {
            study.apply(fact).map_err(DaemonError::Inconsistent)?;
        }
        written(&mut records.append(facts.clone()))
            .await
            .map_err(DaemonError::NotRecorded)?;
        for fact in &facts {
            records.follow(fact, study);
        }
        let settled = study.trial(trial).is_some_and(|trial| trial.is_settled());
        folders.forget_sitting(trial, sitting.number, settled);
    }
    for folder in folders.sittings() {
        if let Some(token) = leftovers::token_of(&folder) {
            // What it reported belongs to a past that was given up.
            let _ = leftovers::take_over(&folder, &token, wishes.at_once()).await;
        }
        // One that stays is met again at the next start.
        let _ = std::fs::remove_dir_all(folder);
    }
    Ok(wishes.most)
}

/// Applies what a sitting reported and the journal does not have yet, and its
/// end.
fn close(
    study: &mut Study,
    trial: TrialId,
    sitting: &Sitting,
    leftover: Leftover,
) -> Result<Vec<Fact>, DaemonError> {
    // Since then nothing of it was running, so nobody is charged for the time.
    let ended = leftover.last_sign.unwrap_or(sitting.started);
    let ended = ended.clamp(sitting.started, clock::now().max(sitting.started));
    let mut facts = Vec::new();
    let mut take = |study: &mut Study, fact: Fact| {
        study.apply(&fact).map_err(DaemonError::Inconsistent)?;
        facts.push(fact);
        Ok::<_, DaemonError>(())
    };
    for (at, report) in leftover.reports {
        if is_new(study, trial, sitting, &report)
            && let Some(event) = fact_of(trial, sitting.number, report)
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
    take(study, Fact { at: ended, event })?;
    Ok(facts)
}

fn is_new(study: &Study, trial: TrialId, sitting: &Sitting, report: &Report) -> bool {
    let Some(trial) = study.trial(trial) else {
        return false;
    };
    let is_new_warning = |text: &str| {
        let mut sittings = trial.sittings.iter();
        let known = sittings.find(|known| known.number == sitting.number);
        known.is_some_and(|known| !known.warnings.iter().any(|known| **known == *text))
    };
    match report {
        Report::RunEnded(run) => !trial.runs.iter().chain(&trial.extra).any(|known| {
            known.number == run.number
                && *known.step == *run.step
                && known.sitting == sitting.number
        }),
        // The journal has the first of them: they come in order.
        Report::RunTold(told) => told.metrics.iter().any(|(metric, _)| {
            let curve = trial.curve(&told.step, told.run, metric);
            let last = curve.and_then(|curve| curve.last());
            last.is_none_or(|last| last.sitting != sitting.number || last.at.get() < told.at)
        }),
        Report::ServicesReady { .. } => trial.running().is_some_and(|s| s.startup.is_none()),
        Report::PortBusy { port, holder } => is_new_warning(&port_busy(*port, holder)),
        Report::Warning(text) | Report::Waiting(text) => is_new_warning(text),
        Report::TaskResumed { .. } => trial.running().is_some_and(|s| s.resumed.is_none()),
        Report::ArtifactsFound { files, bytes } => trial
            .artifacts
            .as_ref()
            .is_none_or(|known| (known.files, known.bytes) != (*files, *bytes)),
        // A run that has not ended begins anew.
        Report::StepStarted { .. } | Report::RunMarked(_) | Report::GpuLevels(_) => false,
    }
}

fn not_released(stuck: &[i32]) -> FailureReport {
    FailureReport {
        kind: FailureKind::Host(HostFault::NotReleased).name().to_owned(),
        step: None,
        ending: None,
        message: reason::HANG_IN_KERNEL.say([&format!("{stuck:?}")]),
        cause: None,
        health: None,
    }
}
