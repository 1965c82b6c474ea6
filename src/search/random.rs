//! Combinations at random, each parameter by itself: a list's values with
//! equal chances, a range's points evenly on its scale. (The two ends of a range
//! of whole numbers come half as often as their neighbours: points are rounded.)
//!
//! A draw that breaks a rule, was tried before or was refused is drawn again.
//! Where the space is small, the last combinations are then found by going
//! through all of it, so that such a space is tried to its end and no draw is
//! lost to luck.

use rand::RngExt;

use super::Ask;
use super::lattice::{ENUMERABLE, Lattice};
use crate::base::random::{Generator, generator};
use crate::model::params::Params;
use crate::model::reason;
use crate::model::study::Study;

/// How many draws a small space gets before all of it is looked at.
const DRAWS_SMALL: u32 = 100;

/// How many draws a space gets that cannot be looked at as a whole: enough
/// that rules which leave a thousandth of it fail once in 22,000 times.
const DRAWS_LARGE: u32 = 10_000;

/// What to try next.
pub(super) fn ask(study: &Study) -> Ask {
    let mut generator = generator(study.spec().seed, study.trials().len() as u64);
    let space = &study.spec().space;
    let everything = Lattice::of_everything(space);
    let draws = if everything.is_some() {
        DRAWS_SMALL
    } else {
        DRAWS_LARGE
    };
    for _ in 0..draws {
        let drawn = space.choose(|parameter| parameter.domain.at(generator.random()));
        if let Ok(params) = drawn
            && study.is_new(&params)
        {
            return Ask::Try(params);
        }
    }
    let Some(lattice) = everything else {
        return Ask::Exhausted(reason::NOTHING_NEW.say([&DRAWS_LARGE]));
    };
    let untried = lattice.all().filter(|params| study.is_new(params));
    match pick(untried, &mut generator) {
        Some(params) => Ask::Try(params),
        None => Ask::Exhausted(reason::SPACE_TRIED.say([])),
    }
}

/// One of them with equal chances, without holding them all: reservoir
/// sampling with a reservoir of one (Vitter's algorithm R, ACM TOMS 11, 1985).
fn pick(candidates: impl Iterator<Item = Params>, generator: &mut Generator) -> Option<Params> {
    let mut picked = None;
    for (before, params) in (0..ENUMERABLE).zip(candidates) {
        if generator.random_range(0..=before) == 0 {
            picked = Some(params);
        }
    }
    picked
}
