//! Sittings whose steps are not those of a trial: the pre-flight before
//! anything is tried, and what follows when there is a new incumbent. Pure.
//!
//! Both are sittings of a trial in the journal, so they are contained, stopped
//! and cleared up like every other, and what is due follows from the journal
//! alone: a daemon that was killed in the midst of one makes it up.

use crate::model::outcome::{HostFault, Outcome};
use crate::model::study::Study;
use crate::model::trial::{Purpose, SittingEnd, Trial, TrialId};

/// What the next sitting of a trial that is to be measured is for: the
/// pre-flight comes first, until it has gone well once.
pub(super) fn before_measuring(study: &Study) -> Purpose {
    let good = |trial: &Trial| {
        let mut held = trial.held(Purpose::Preflight);
        held.any(|sitting| sitting.end == Some(SittingEnd::Finished(Outcome::Complete)))
    };
    let mut trials = study.trials().iter();
    if study.spec().preflight.is_empty() || trials.any(|trial| good(trial)) {
        Purpose::Measure
    } else {
        Purpose::Preflight
    }
}

/// Why nothing can be tried, by how the pre-flight has ended.
pub(super) fn refusal(study: &Study, trial: TrialId, sitting: u32) -> Option<String> {
    let sitting = study.trial(trial)?.sitting(sitting)?;
    match (sitting.purpose, &sitting.end) {
        (Purpose::Preflight, Some(SittingEnd::Finished(Outcome::Failed(failure)))) => {
            let step = failure.step.as_deref().unwrap_or("preflight");
            Some(format!(
                "the pre-flight `{step}` failed: {}",
                failure.message
            ))
        }
        _ => None,
    }
}

/// Whether the steps have come to an end of their own: what was interrupted, or
/// lost its runner as in a power cut, is made up.
fn is_over(end: Option<&SittingEnd>) -> bool {
    match end {
        None | Some(SittingEnd::Interrupted) => false,
        Some(SittingEnd::Finished(outcome)) => outcome.host_fault() != Some(HostFault::RunnerDied),
    }
}

/// The incumbent, where its steps have yet to follow. Whether they went well or
/// not, they follow once: again only when another trial was the incumbent
/// meanwhile, or when this one was measured again.
pub(super) fn due(study: &Study) -> Option<TrialId> {
    if study.spec().incumbent.is_empty() || study.ended_by_user() {
        return None;
    }
    let best = study.incumbent()?;
    let trials = study.trials().iter();
    let followed = trials.flat_map(|trial| {
        let mut sittings = trial.sittings.iter().rev();
        let last = sittings
            .find(|sitting| sitting.purpose == Purpose::Incumbent && is_over(sitting.end.as_ref()));
        last.map(|sitting| (sitting.started, sitting.number, trial.id))
    });
    let measured = best
        .sittings
        .iter()
        .filter(|s| s.purpose == Purpose::Measure);
    let measured = measured.map(|sitting| sitting.number).max().unwrap_or(0);
    let is_followed = followed
        .max()
        .is_some_and(|(_, number, trial)| trial == best.id && number > measured);
    (!is_followed && best.running().is_none()).then_some(best.id)
}
