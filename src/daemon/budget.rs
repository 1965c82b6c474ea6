//! Whether a study has used up what it was given: pure.

use crate::base::clock::Timestamp;
use crate::base::quantity::show_duration;
use crate::model::study::Study;
use crate::report::phrase::counted;

/// Why no further trial is begun, if the budget says so. A trial that is begun
/// is finished, unless time is up.
pub(super) fn budget_used_up(study: &Study, now: Timestamp) -> Option<String> {
    if let Some(reason) = time_used_up(study, now) {
        return Some(reason);
    }
    if study.unsettled().is_some() {
        return None;
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

pub(super) fn time_used_up(study: &Study, now: Timestamp) -> Option<String> {
    let budget = &study.spec().budget;
    if let Some(wall) = budget.wall.filter(|wall| study.busy(now) >= *wall) {
        let wall = show_duration(wall);
        return Some(format!("the budget of {wall} is used up"));
    }
    let most = budget
        .gpu_time
        .filter(|most| study.gpu_time(now) >= *most)?;
    let hours = most.as_secs_f64() / 3600.0;
    Some(format!("the budget of {hours} GPU hours is used up"))
}
