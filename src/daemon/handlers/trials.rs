//! `Trials`: a page of the table.

use std::cmp::Ordering;
use std::sync::Arc;

use super::common;
use crate::base::clock;
use crate::model::metric::Direction;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::report::overview;
use crate::wire::reply::{Reply, Trials};
use crate::wire::request::{Sort, TrialsQuery};

/// The most rows of a page; longer texts than usual still fit a frame.
const PAGE: usize = 100;

pub fn answer(study: &Study, query: &TrialsQuery) -> Reply {
    let now = clock::now();
    let wanted = |trial: &&Arc<Trial>| {
        let word = overview::word(trial);
        query.outcomes.is_empty() || query.outcomes.iter().any(|outcome| outcome == word)
    };
    let mut trials: Vec<&Arc<Trial>> = study.trials().iter().filter(wanted).collect();
    match query.sort {
        Sort::Number => {}
        Sort::Time => trials.sort_by_cached_key(|trial| std::cmp::Reverse(trial.elapsed(now))),
        Sort::Objective => {
            let maximize = study.spec().objective.direction == Direction::Maximize;
            let mut keyed: Vec<(Option<f64>, bool, &Arc<Trial>)> = trials
                .into_iter()
                .map(|trial| {
                    let mean = study.objective(trial).map(|summary| summary.mean);
                    (mean, overview::word(trial) == "infeasible", trial)
                })
                .collect();
            // However good it is, what misses a constraint is not the best.
            keyed.sort_by(|(a, a_misses, _), (b, b_misses, _)| match (a, b) {
                (Some(_), Some(_)) if a_misses != b_misses => a_misses.cmp(b_misses),
                (Some(a), Some(b)) if maximize => b.total_cmp(a),
                (Some(a), Some(b)) => a.total_cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            });
            trials = keyed.into_iter().map(|(_, _, trial)| trial).collect();
        }
    }
    if query.reverse {
        trials.reverse();
    }
    let page = trials
        .iter()
        .skip(query.offset as usize)
        .take(PAGE.min(query.limit as usize));
    Reply::Trials(Trials {
        total: u32::try_from(trials.len()).unwrap_or(u32::MAX),
        objective: (&study.spec().objective).into(),
        constraints: common::constraints(study),
        rows: page.map(|trial| common::row(study, trial, now)).collect(),
    })
}
