//! How many trials a study makes at most, and which come first.

use super::lattice::{ENUMERABLE, Lattice};
use super::{Ask, advisor};
use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::outcome::{Failure, FailureKind, Outcome};
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::{Origin, Purpose, SittingEnd, TrialId};

/// How many trials a sampler asks for, the baseline among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// So many, unless somebody adds trials.
    Exactly(u64),
    /// Not more.
    AtMost(u64),
    /// As many as it is given.
    Unlimited,
}

impl Planned {
    /// What a budget of trials leaves of it.
    #[must_use]
    pub fn within(self, budget: Option<u32>) -> Self {
        let Some(budget) = budget.map(u64::from) else {
            return self;
        };
        match self {
            Self::Exactly(count) => Self::Exactly(count.min(budget)),
            Self::AtMost(count) => Self::AtMost(count.min(budget)),
            Self::Unlimited => Self::AtMost(budget),
        }
    }

    /// The number; `None` where there is no end.
    pub const fn most(self) -> Option<u64> {
        match self {
            Self::Exactly(most) | Self::AtMost(most) => Some(most),
            Self::Unlimited => None,
        }
    }
}

/// How many trials the sampler of `spec` asks for, whatever the budget.
///
/// - `coordinate`: the baseline, and in each pass every value but the base's
///   own of each parameter. Conditions, rules, repeats and an early end make
///   it less.
/// - `advisor`: the baseline, the base of the plan, and each round of as many
///   parameters as the plan may have.
/// - `grid`: exact up to 100,000 combinations; beyond that the product,
///   without the rules and conditions that make it less.
/// - `model`, `tpe`, `random`: exact where a space has up to 100,000 combinations, since it is
///   then tried to its end.
pub fn trials(spec: &Spec) -> Planned {
    match spec.search.sampler {
        SamplerKind::Coordinate => {
            let pass = one_pass(spec);
            let passes = u64::from(spec.search.passes.max(1));
            Planned::AtMost(pass.saturating_mul(passes).saturating_add(1))
        }
        SamplerKind::Advisor => Planned::AtMost(advisor::most(spec)),
        SamplerKind::Grid => {
            let lattice = Lattice::of_levels(&spec.space, spec.search.levels);
            match lattice.product() {
                0..=ENUMERABLE => Planned::Exactly(count(&lattice, spec)),
                // The baseline need not be on the grid.
                product => Planned::AtMost(product.saturating_add(1)),
            }
        }
        SamplerKind::Model | SamplerKind::Tpe | SamplerKind::Random => {
            match Lattice::of_everything(&spec.space) {
                Some(lattice) => Planned::Exactly(count(&lattice, spec)),
                None => Planned::Unlimited,
            }
        }
    }
}

/// How many trials one pass of `coordinate` adds to the baseline at most.
pub fn one_pass(spec: &Spec) -> u64 {
    let others = |parameter: &Parameter| {
        let levels = parameter.domain.levels(spec.search.levels);
        // The base of a range may lie between its levels.
        levels.len() as u64 - u64::from(levels.contains(&parameter.base))
    };
    let others = spec.space.parameters().iter().map(others);
    others.fold(0, u64::saturating_add)
}

fn count(lattice: &Lattice<'_>, spec: &Spec) -> u64 {
    let Ok(baseline) = spec.space.baseline() else {
        return 0;
    };
    let others = lattice.all().filter(|params| *params != baseline).count();
    others as u64 + 1
}

/// The next `count` params that the study would try, in order; fewer when the
/// sampler has no more.
///
/// The answers of `grid` and `random` do not depend on results, so theirs are
/// what will be tried. `coordinate` is shown as if no group found anything
/// better than its base: as soon as one does, the later ones start from there.
pub fn preview(study: &Study, count: usize) -> Vec<Params> {
    let mut study = study.clone();
    while let Some(trial) = study.unsettled() {
        let (trial, sitting) = (trial.id, trial.running().map(|sitting| sitting.number));
        if !learn_nothing(&mut study, trial, sitting) {
            return Vec::new();
        }
    }
    let mut planned = Vec::new();
    while planned.len() < count {
        let Ask::Try(params) = super::ask(&study) else {
            break;
        };
        let trial = study.next_id();
        let event = Event::TrialPlanned {
            trial,
            params: params.clone(),
            origin: Origin::Sampler,
            choice: None,
        };
        let noted = study.apply(&fact(event)).is_ok() && learn_nothing(&mut study, trial, None);
        planned.push(params);
        if !noted {
            break;
        }
    }
    planned
}

/// Settles a trial so that it can be no base: as a failure. Whether that was
/// possible.
fn learn_nothing(study: &mut Study, trial: TrialId, running: Option<u32>) -> bool {
    let last = study.trial(trial).and_then(|trial| trial.sittings.last());
    let sitting = running.unwrap_or_else(|| last.map_or(1, |sitting| sitting.number + 1));
    let started = running.is_some()
        || study
            .apply(&fact(Event::SittingStarted {
                trial,
                sitting,
                purpose: Purpose::Measure,
                token: String::new(),
                boot_id: "".into(),
                slot: None,
            }))
            .is_ok();
    let unknown = Outcome::Failed(Box::new(Failure {
        kind: FailureKind::AllRuns,
        step: None,
        ending: None,
        message: "not known yet".to_owned(),
        cause: None,
    }));
    let ended = Event::SittingEnded {
        trial,
        sitting,
        end: SittingEnd::Finished(unknown),
        health: None,
    };
    started && study.apply(&fact(ended)).is_ok()
}

const fn fact(event: Event) -> Fact {
    Fact {
        at: Timestamp::from_millis(0),
        event,
    }
}
