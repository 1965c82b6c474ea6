//! Whether the budget is used up: pure.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::model::study::Study;
use crate::report::phrase::counted;
use crate::search;

/// The confirmation takes at most one in so many parts of the budget of time.
const CONFIRMATION_MOST: u32 = 4;

/// Why no further trial is begun, if the budget says so. A trial that is begun
/// is finished, unless time is up.
pub(super) fn used_up(study: &Study, now: Timestamp) -> Option<String> {
    if let Some(reason) = time_used_up(study, now) {
        return Some(reason);
    }
    if study.unsettled().is_some() {
        return None;
    }
    let budget = &study.spec().budget;
    if let Some(wall) = budget.wall {
        // The search ends early enough for its winner to be confirmed.
        let kept = search::confirm::time(study).min(wall / CONFIRMATION_MOST);
        if study.busy(now) + kept >= wall {
            return Some(wall_used_up(wall));
        }
    }
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
    let wall = study.spec().budget.wall?;
    (study.busy(now) >= wall).then(|| wall_used_up(wall))
}

fn wall_used_up(wall: Duration) -> String {
    let wall = crate::base::quantity::show_duration(wall);
    format!("the budget of {wall} is used up")
}
