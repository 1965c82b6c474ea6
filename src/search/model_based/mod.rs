//! The sampler `model`: tries what a model of the space, learned from the
//! trials so far, promises most of for its cost.
//!
//! # The model
//! A Gaussian process each for the objective, for the margin of each bound, for
//! whether a trial starts at all, and for the time that it takes; see
//! `process`. Objective and margins are learned on the scale of
//! [`noise`](crate::model::noise): logarithms where all values lie on one side of
//! 0. A trial counts by the mean of its runs, and is trusted as its runs and
//! starts are many. So a lucky run is drawn towards what its neighbours tell.
//! How much runs vary is that of [`noise`](crate::model::noise), for margins with
//! a factor that is learned with the rest.
//!
//! # The search
//! What is tried is the most promising of many candidates (see `promise` and
//! `candidates`): those of the space at large and near the best trials, and
//! then, uphill, the neighbours of the most promising ones, until none of them
//! promises more.
//!
//! # The beginning, and many trials
//! The first trial after the baseline is the baseline with about half of its
//! parameters drawn anew. A study of more than 140 trials is learned
//! from that many of them: the best, the newest, and the rest evenly.
//!
//! # What was imported
//! It is learned as well, by the same processes, less the time: a host that is
//! not known tells nothing of that. What the numbers of a source are off by as a whole, since its host
//! is faster or its load another, is one more unknown of each process
//! (`process::OFFSET`), and so is how much they vary beyond that
//! (`process::TRUST`): params that were good there and are not here make
//! what else came from there count for less. Nothing that was imported is
//! something to be improved on.
//!
//! # Trials that are not over
//! A trial that is planned or runs, and what a user refused, counts as a lie: as
//! if it had come out average (D. Ginsbourger, R. Le Riche and L. Carraro,
//! Kriging is well-suited to parallelize optimization, 2010: the constant liar),
//! so that no two that run at a time look for the same thing.
//!
//! Nothing is kept between two asks: all is computed from the history, with
//! random numbers of the study's seed and the number of trials.

mod belief;
mod candidates;
mod expect;
pub mod importance;
mod process;
mod promise;
#[cfg(test)]
mod property_tests;

use rand::RngExt;
use rand::seq::SliceRandom;

use self::candidates::Candidates;
use self::promise::Promise;
use super::geometry::Geometry;
use super::standing::Standing;
use super::{Ask, priors, random};
use crate::base::random::{Generator, generator};
use crate::model::choice::Expected;
use crate::model::params::Params;
use crate::model::study::Study;
use crate::model::trial::Trial;

/// So many trials come before the model is asked, beside the baseline.
const OPENING: usize = 1;
/// How often a change at random is tried before it is left.
const DRAWS: usize = 100;
/// The model learns from so many trials at most.
const LEARNED: usize = 140;
/// The climb from the best candidates ends after so many steps.
const CLIMBS: usize = 10;

/// What to try next, and what the model expects of it where it was asked.
pub(super) fn ask(study: &Study, baseline: &Params) -> (Ask, Option<Expected>) {
    let mut random = generator(study.spec().seed, study.trials().len() as u64);
    let promising = if opens(study) {
        half_changed(study, baseline, &mut random).map(|params| (params, None))
    } else {
        most_promising(study, baseline, &mut random)
            .map(|(params, expected)| (params, Some(expected)))
    };
    match promising {
        Some((params, expected)) => (Ask::Try(params), expected),
        // What few there are left, or none.
        None => (random::ask(study), None),
    }
}

/// Whether nothing is asked of the model yet.
pub(super) fn opens(study: &Study) -> bool {
    study.trials().len() <= OPENING && study.priors().count_fitting() == 0
}

/// The baseline with about half of its parameters drawn anew.
fn half_changed(study: &Study, baseline: &Params, random: &mut Generator) -> Option<Params> {
    (0..DRAWS).find_map(|_| {
        let drawn = study.spec().space.choose(|parameter| {
            let own = baseline.get(&parameter.name).cloned();
            let kept = own.filter(|_| random.random_bool(0.5));
            kept.unwrap_or_else(|| parameter.domain.at(random.random()))
        });
        drawn.ok().filter(|params| study.is_new(params))
    })
}

fn most_promising(
    study: &Study,
    baseline: &Params,
    random: &mut Generator,
) -> Option<(Params, Expected)> {
    let geometry = Geometry::new(&study.spec().space);
    let trials = learned(study);
    let mut candidates = Candidates::new(study, &geometry);
    let imported = priors::learned(study, trials.len());
    let mut wide = candidates.wide(&trials, baseline, random);
    let known = imported.iter();
    wide.extend(known.filter_map(|known| candidates.take(known.params.clone())));
    // In the beginning many promise the same, and none comes first.
    wide.shuffle(random);
    let promise = Promise::learn(study, &geometry, &trials, &imported);
    let mut best = Vec::new();
    promise.keep_best(&mut best, wide);
    for _ in 0..CLIMBS {
        let (before, _) = best.first()?;
        let before = *before;
        let near = best.iter().flat_map(|(_, params)| candidates.near(params));
        let near = near.collect();
        promise.keep_best(&mut best, near);
        if best.first().is_none_or(|(promise, _)| *promise <= before) {
            break;
        }
    }
    let (_, params) = best.into_iter().next()?;
    let expected = promise.expects(study, &params);
    Some((params, expected))
}

/// The trials that the model learns from, in the order of their numbers.
fn learned(study: &Study) -> Vec<&Trial> {
    let all: Vec<&Trial> = study.trials().iter().map(|trial| &**trial).collect();
    if all.len() <= LEARNED {
        return all;
    }
    let share = LEARNED / 3;
    let (old, new) = all.split_at(all.len() - share);
    let objective = &study.spec().objective;
    let standing = |trial: &&Trial| Some((Standing::of(study, trial)?, trial.id));
    let mut ranked: Vec<_> = old.iter().filter_map(standing).collect();
    ranked.sort_by(|(a, x), (b, y)| {
        let better = |a: &Standing, b: &Standing| a.beats(Some(*b), objective);
        better(b, a).cmp(&better(a, b)).then(x.cmp(y))
    });
    ranked.truncate(share);
    let mut best: Vec<_> = ranked.into_iter().map(|(_, id)| id).collect();
    best.sort_unstable();
    let (best, rest): (Vec<&Trial>, Vec<&Trial>) = old
        .iter()
        .partition(|trial| best.binary_search(&trial.id).is_ok());
    let left = LEARNED - new.len() - best.len();
    let every = rest.len().div_ceil(left.max(1)).max(1);
    let mut learned: Vec<&Trial> = rest.into_iter().step_by(every).chain(best).collect();
    learned.sort_by_key(|trial| trial.id);
    learned.extend(new);
    learned
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
