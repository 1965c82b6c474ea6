//! Search: which params to try next, from what came of those before.
//!
//! | file | holds |
//! |---|---|
//! | `advisor` | what a language model proposes |
//! | [`coordinate`] | one parameter after the other, from the best so far |
//! | [`grid`] | every combination |
//! | [`random`] | combinations at random |
//! | [`model_based`] | what a model of the space promises most of |
//! | `tpe` | what is frequent among good trials and rare among others |
//! | [`racing`] | which trials are worth further runs |
//! | [`confirm`] | whether the winner is better than the baseline, by fresh runs |
//! | `converged` | whether anything is left that is worth a trial |
//! | [`count`] | how many trials that makes, and which come first |
//! | [`drift`] | whether the host still is what it was |
//! | [`neighbours`] | how much trials that run side by side disturb each other |
//! | [`statistics`] | whether a difference is more than noise |
//! | `lattice`, `geometry` | combinations in order; how far apart they are |
//! | `standing` | trials in order of merit |
//! | `priors` | what samplers make of what was imported |
//!
//! # Invariants
//! - [`ask`] depends on the [`Study`] alone. Its random numbers come from the
//!   study's seed and the number of trials so far, so a restart, which reads
//!   the same journal, gets the same answer.
//! - The baseline is asked first, then the best of what was imported, and no
//!   params are asked twice. What a user
//!   has refused is asked no more: see [`Study::is_new`].
//! - A failure is never a number here: a failed trial has no
//!   standing, and nothing can take it for a very bad one.

mod advisor;
#[cfg(test)]
mod advisor_tests;
pub mod confirm;
mod converged;
pub mod coordinate;
pub mod count;
pub mod drift;
mod geometry;
pub mod grid;
mod lattice;
pub mod model_based;
pub mod neighbours;
mod priors;
#[cfg(test)]
mod priors_tests;
#[cfg(test)]
mod property_tests;
pub mod racing;
pub mod random;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
pub(crate) mod simulation;
mod standing;
pub mod statistics;
mod tpe;

use crate::model::advice::Question;
use crate::model::choice::{Choice, Expected, Rule};
use crate::model::params::Params;
use crate::model::reason;
use crate::model::spec::SamplerKind;
use crate::model::study::Study;
use crate::model::trial::TrialId;

/// What a sampler wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A trial of these params, which were neither tried nor refused before.
    Try(Params),
    /// Further runs of this trial, which racing has put off.
    Run(TrialId),
    /// An answer to what it asked before: a trial that is not settled decides
    /// how it goes on.
    Wait,
    /// An answer of the advisor's: the next ask looks at what it said.
    Consult(Question),
    /// Nothing any more; the reason, as a sentence without its full stop.
    Exhausted(String),
}

/// What to try next.
///
/// Costs some milliseconds for a space that people write; [`model_based`] some
/// tens of them, however many trials there are, which `cargo bench --bench
/// search` measures. [`grid`] and [`random`] look at every combination of a
/// small space before they say that none is left.
pub fn ask(study: &Study) -> Ask {
    asked(study).0
}

/// The same, and why it wants params tried.
pub fn explained(study: &Study) -> (Ask, Option<Box<Choice>>) {
    let (ask, expected) = asked(study);
    let choice = match &ask {
        Ask::Try(params) => choice(study, params, expected),
        _ => None,
    };
    (ask, choice)
}

/// With what the model expects of it, which to learn again would take as long
/// as the ask did.
fn asked(study: &Study) -> (Ask, Option<Expected>) {
    let baseline = match study.spec().space.baseline() {
        Ok(params) => params,
        Err(error) => {
            let reason = reason::NO_BASELINE.say([&error]);
            return (Ask::Exhausted(reason), None);
        }
    };
    if study.trial_of(&baseline).is_none() {
        return (Ask::Try(baseline), None);
    }
    if let Some(trial) = racing::challenged(study) {
        return (Ask::Run(trial), None);
    }
    if let Some(params) = priors::best_untried(study) {
        return (Ask::Try(params), None);
    }
    if let Some((ask, _)) = advisor::propose(study, &baseline) {
        return (ask, None);
    }
    let mut expected = None;
    let asked = match study.spec().search.sampler {
        SamplerKind::Model => {
            let (asked, of_model) = model_based::ask(study, &baseline);
            expected = of_model;
            asked
        }
        SamplerKind::Tpe => tpe::ask(study),
        SamplerKind::Coordinate => coordinate::ask(study, &baseline),
        SamplerKind::Grid => grid::ask(study, &baseline),
        SamplerKind::Random => random::ask(study),
        SamplerKind::Advisor => advisor::next(study, &baseline).0,
    };
    if let Some(expected) = &expected
        && let Some(reason) = converged::reason(study, expected)
    {
        let ask = match racing::unconfirmed(study) {
            Some(trial) => Ask::Run(trial),
            None => Ask::Exhausted(reason),
        };
        return (ask, None);
    }
    if let Ask::Exhausted(_) = asked
        && let Some(trial) = racing::undecided(study).or_else(|| racing::unconfirmed(study))
    {
        return (Ask::Run(trial), None);
    }
    (asked, expected)
}

/// Why the sampler wants these params tried.
fn choice(study: &Study, params: &Params, expected: Option<Expected>) -> Option<Box<Choice>> {
    let baseline = study.spec().space.baseline().ok()?;
    if *params == baseline {
        return None;
    }
    if priors::best_untried(study).as_ref() == Some(params) {
        return Some(Box::new(Choice {
            rule: Rule::Imported,
            expected,
        }));
    }
    if let Some((Ask::Try(proposed), Some(rule))) = advisor::propose(study, &baseline)
        && proposed == *params
    {
        let expected = None;
        return Some(Box::new(Choice { rule, expected }));
    }
    let rule = match study.spec().search.sampler {
        SamplerKind::Model if model_based::opens(study) => Rule::Opening,
        SamplerKind::Model => Rule::Model,
        SamplerKind::Tpe if tpe::opens(study) => Rule::Random,
        SamplerKind::Tpe => Rule::Tpe,
        SamplerKind::Coordinate => Rule::Coordinate {
            base: coordinate::base(study, &baseline)?,
        },
        SamplerKind::Grid => Rule::Grid,
        SamplerKind::Random => Rule::Random,
        SamplerKind::Advisor => advisor::next(study, &baseline).1?,
    };
    Some(Box::new(Choice { rule, expected }))
}
