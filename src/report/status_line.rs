//! A study in one line.

use super::overview::{Gain, changes, gain};
use super::phrase::{clean, counted, cut, difference, figures, percent};
use super::retrial;
use crate::model::params::Params;
use crate::model::study::{Phase, Study};
use crate::search::confirm;

/// What changes takes at most so many columns.
const CHANGES: usize = 60;

/// Where a study of at most `most` trials is, in one line: the running trial and
/// what it tries, what it does (`doing`), what runs beside it, the incumbent, and what is to come.
///
/// `trial 12 of 200 (BATCH=32), 2 of 5 runs done, eval; best trial 8: tps 93.1
/// (+34 %)`
pub fn status_line(study: &Study, most: Option<u64>, doing: Option<&str>) -> String {
    let mut parts = vec![now(study, most, doing)];
    let beside = study.all_running().skip(1);
    parts.extend(beside.map(|trial| {
        let differs = differs(study, &trial.params);
        format!("beside it trial {} ({differs})", trial.id)
    }));
    parts.extend(best(study));
    let queued = study.trials().iter().filter(|trial| {
        let begun = trial.running().is_some();
        !trial.is_settled() && !begun
    });
    if let Some(next) = queued.min_by_key(|trial| trial.id)
        && study.running().is_some()
    {
        let differs = differs(study, &next.params);
        parts.push(format!("next trial {} ({differs})", next.id));
    }
    parts.join("; ")
}

fn now(study: &Study, most: Option<u64>, doing: Option<&str>) -> String {
    let Some(trial) = study.running() else {
        let settled = study.trials().iter().filter(|trial| trial.is_settled());
        let after = counted(settled.count() as u64, "trial");
        if let Some((trial, failure, _)) = study.held_up() {
            let why = clean(&failure.message);
            return format!("trial {} is held up: {why}", trial.id);
        }
        return match study.phase() {
            Phase::Active if confirm::is_under_way(study) => {
                format!("confirming the best, after {after}")
            }
            Phase::Active => format!("choosing what to try next, after {after}"),
            Phase::AwaitingApproval => {
                format!("waiting for approval, after {after}: autotunectl approve")
            }
            Phase::Paused(reason) => format!("paused after {after}: {}", clean(reason)),
            Phase::Done(reason) => format!("done after {after}: {}", clean(reason)),
        };
    };
    let of = most.map(|most| format!(" of {most}"));
    let mut text = format!(
        "trial {}{} ({})",
        trial.id,
        of.unwrap_or_default(),
        differs(study, &trial.params)
    );
    if let Some(why) = retrial::running(study, trial) {
        text = format!(
            "{why}: trial {} ({})",
            trial.id,
            differs(study, &trial.params)
        );
        if let Some(doing) = doing {
            text += &format!(", {}", clean(doing));
        }
        return text;
    }
    let done = trial.runs.iter().filter(|run| run.is_good()).count();
    let all = study.spec().runs_per_trial();
    if done > 0 {
        text += &format!(", {done} of {} done", counted(all.into(), "run"));
    }
    if let Some(doing) = doing {
        text += &format!(", {}", clean(doing));
    }
    if let Phase::Paused(_) = study.phase() {
        text += ", then paused";
    }
    text
}

fn differs(study: &Study, params: &Params) -> String {
    let space = &study.spec().space;
    let changes = match space.baseline() {
        Ok(baseline) => changes(space, &baseline, params),
        Err(_) => Vec::new(),
    };
    cut(&difference(&changes), CHANGES)
}

fn best(study: &Study) -> Option<String> {
    let best = study.incumbent()?;
    let summary = study.objective(best)?;
    let metric = clean(&study.spec().objective.metric);
    let gained = match gain(study) {
        Gain::Measured {
            share: Some(share),
            confirmed,
            ..
        } => format!(
            " ({}{}{})",
            if share < 0.0 { "" } else { "+" },
            percent(share),
            if confirmed.is_some() {
                " in fresh runs"
            } else {
                ""
            },
        ),
        _ => String::new(),
    };
    let mean = figures(summary.mean, 4);
    Some(format!("best trial {}: {metric} {mean}{gained}", best.id))
}
