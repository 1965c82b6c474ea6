//! What samplers make of what was imported.
//!
//! The numbers of a source are another host's: a level that is off by a
//! constant, or by a factor, says nothing about which params are good. So they
//! are compared within their source alone, and `model` takes what a source is
//! off by for unknown.
//!
//! The best of each source that keeps the constraints there is tried here right
//! after the baseline, by every sampler. `model` and `tpe` learn of the others as
//! well, as long as the study has few trials of its own; `coordinate` goes on
//! from the best trial and so from that one where it is better; `grid`,
//! `random` and `advisor` choose what follows as without.

use std::cmp::Ordering;

use super::standing::Standing;
use crate::model::params::Params;
use crate::model::prior::{Prior, Source};
use crate::model::study::Study;

/// The model learns of so many at most, less one for each trial of the study's
/// own: what misleads is forgotten then, and of the rest it knows enough.
const LEARNED: usize = 60;

/// One of what was imported, of those that the space allows.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The number of its source, from 1.
    pub(super) source: usize,
    pub(super) params: &'a Params,
    pub(super) prior: &'a Prior,
}

/// The best of a source that keeps the constraints and was neither tried nor
/// refused here, of the first source that has one.
pub(super) fn best_untried(study: &Study) -> Option<Params> {
    let spec = study.spec();
    let mut sources = study.priors().sources().iter();
    sources.find_map(|source| {
        let mut best: Option<(Standing, &Params)> = None;
        for (params, prior) in source.fitting() {
            let kept = prior.violation(&spec.constraints) == (0.0, true);
            let Some(standing) = standing(study, prior).filter(|_| kept) else {
                continue;
            };
            let known = best.map(|(known, _)| known);
            if standing.beats(known, &spec.objective) {
                best = Some((standing, params));
            }
        }
        let (_, params) = best?;
        study.is_new(params).then(|| params.clone())
    })
}

/// The best share of each source, and the others; each from the best to the
/// worst of its source, at most so many.
pub(super) fn split(
    study: &Study,
    good: f64,
    most: (usize, usize),
) -> (Vec<&Params>, Vec<&Params>) {
    let (mut better, mut others) = (Vec::new(), Vec::new());
    for known in by_source(study) {
        let count = (good * known.len() as f64).ceil() as usize;
        let (first, rest) = known.split_at(count);
        better.extend(first.iter().map(|known| known.params));
        others.extend(rest.iter().map(|known| known.params));
    }
    better.truncate(most.0);
    let every = others.len().div_ceil(most.1.max(1)).max(1);
    (better, others.into_iter().step_by(every).collect())
}

/// What a model that learns of `own` trials learns besides: the best of each
/// source, and the rest evenly. What the study has measured itself counts for
/// more, and takes the room of what was imported.
pub(super) fn learned(study: &Study, own: usize) -> Vec<Known<'_>> {
    let sources = by_source(study);
    let room = LEARNED.saturating_sub(own);
    let each = room / sources.len().max(1);
    let mut learned = Vec::new();
    for known in &sources {
        let (best, rest) = known.split_at((each / 2).min(known.len()));
        let every = rest.len().div_ceil((each - best.len()).max(1)).max(1);
        learned.extend(best.iter().chain(rest.iter().step_by(every)));
    }
    learned.truncate(room);
    learned
}

/// Those of each source that the space allows, the best first and what failed
/// last.
fn by_source(study: &Study) -> Vec<Vec<Known<'_>>> {
    let sources = study.priors().sources().iter().zip(1..);
    let sources = sources.map(|(source, number)| ranked(study, source, number));
    sources.filter(|known| !known.is_empty()).collect()
}

fn ranked<'a>(study: &'a Study, source: &'a Source, number: usize) -> Vec<Known<'a>> {
    let known = source.fitting().map(|(params, prior)| {
        let known = Known {
            source: number,
            params,
            prior,
        };
        (standing(study, prior), known)
    });
    let mut known: Vec<_> = known.collect();
    let objective = &study.spec().objective;
    // Stable: of equals the earlier comes first.
    known.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), b) if a.beats(*b, objective) => Ordering::Less,
        (a, Some(b)) if b.beats(*a, objective) => Ordering::Greater,
        _ => Ordering::Equal,
    });
    known.into_iter().map(|(_, known)| known).collect()
}

/// How good it is among those of its source: a constraint of which nothing was
/// told counts as kept. `None` for what failed.
fn standing(study: &Study, prior: &Prior) -> Option<Standing> {
    let spec = study.spec();
    let objective = prior.metric(&spec.objective.metric)?;
    let (violation, _) = prior.violation(&spec.constraints);
    Some(if violation > 0.0 {
        Standing::Infeasible {
            violation,
            objective: Some(objective),
        }
    } else {
        Standing::Feasible(objective)
    })
}
