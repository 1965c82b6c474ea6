//! Every combination, the last parameter turning fastest.
//!
//! An ask begins behind the newest trial of the sampler that is on the grid,
//! goes round once, and takes the first combination that was neither tried nor
//! refused. (The baseline does not count as newest: it comes first wherever it
//! stands.) So a whole study makes two rounds, whatever others have tried
//! meanwhile: an ask costs a few looks, not one for every trial before it, and
//! only the ask that finds the grid exhausted looks at all of it. Going round
//! rather than only on finds what a change of the spec has put before that
//! trial.

use super::Ask;
use super::lattice::Lattice;
use crate::model::params::Params;
use crate::model::reason;
use crate::model::study::Study;
use crate::model::trial::Origin;

/// What to try next.
pub(super) fn ask(study: &Study, baseline: &Params) -> Ask {
    let spec = study.spec();
    let lattice = Lattice::of_levels(&spec.space, spec.search.levels);
    let asked = study.trials().iter().rev();
    let newest = asked
        .filter(|trial| trial.origin == Origin::Sampler)
        .map(|trial| study.params_of(trial))
        .filter(|params| params != baseline)
        .find_map(|params| lattice.position(&params));
    let untried = |params: &_| study.is_new(params);
    let next = match newest {
        Some(position) => lattice.round_from(position).find(untried),
        None => lattice.all().find(untried),
    };
    match next {
        Some(params) => Ask::Try(params),
        None => Ask::Exhausted(reason::GRID_TRIED.say([])),
    }
}
