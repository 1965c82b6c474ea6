//! Whether a study has used up what it was given: pure.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::quantity::show_duration;
use crate::model::study::Study;
use crate::report::phrase::counted;
use crate::search;

/// The confirmation takes at most one in so many parts of the budget of time.
const CONFIRMATION_MOST: u32 = 4;

/// Why no further trial is begun, if the budget says so. A trial that is begun
/// is finished, unless time is up.
pub fn used_up(study: &Study, now: Timestamp) -> Option<String> {
    if let Some(reason) = time_used_up(study, now) {
        return Some(reason);
    }
    if study.waiting().is_some() {
        return None;
    }
    // The search ends early enough for its winner to be confirmed.
    let kept = search::confirm::time(study);
    if let Some(reason) = time_without(study, now, kept) {
        return Some(reason);
    }
    let budget = &study.spec().budget;
    let trials = u32::try_from(study.trials().len()).unwrap_or(u32::MAX);
    if let Some(most) = budget.trials.filter(|most| trials >= *most) {
        let most = counted(most.into(), "trial");
        return Some(format!("the budget of {most} is used up"));
    }
    let most = budget.runs.filter(|most| study.runs() >= *most)?;
    let most = counted(most.into(), "run");
    Some(format!("the budget of {most} is used up"))
}

/// Why nothing at all is begun any more, if the budget of time says so.
pub(super) fn time_used_up(study: &Study, now: Timestamp) -> Option<String> {
    time_without(study, now, Duration::ZERO)
}

/// The same where so much time is kept, but for most of the budget.
fn time_without(study: &Study, now: Timestamp, kept: Duration) -> Option<String> {
    let budget = &study.spec().budget;
    let is_over = |busy: Duration, kept: Duration, most: Duration| {
        busy + kept.min(most / CONFIRMATION_MOST) >= most
    };
    if let Some(wall) = budget
        .wall
        .filter(|wall| is_over(study.busy(now), kept, *wall))
    {
        let wall = show_duration(wall);
        return Some(format!("the budget of {wall} is used up"));
    }
    let kept = kept.saturating_mul(study.spec().gpus());
    let most = budget.gpu_time;
    let most = most.filter(|most| is_over(study.gpu_time(now), kept, *most))?;
    let hours = most.as_secs_f64() / 3600.0;
    Some(format!("the budget of {hours} GPU hours is used up"))
}
