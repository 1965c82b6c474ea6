//! Params among which the most promising are looked for.
//!
//! All that are untried where they are few. Else the neighbours of the best
//! trials in one parameter, changes of two or three parameters of theirs at
//! random, and params from anywhere: an optimum of what is promised is mostly
//! near what is good, and the rest keeps the search from staying there.

use std::collections::HashSet;

use rand::RngExt;

use crate::base::random::Generator;
use crate::model::domain::Domain;
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::model::value::Value;
use crate::search::geometry::Geometry;
use crate::search::lattice::Lattice;
use crate::search::standing::Standing;

/// Spaces of so many combinations are looked at as a whole.
const WHOLE: u64 = 1_500;
/// The best trials, whose neighbours are looked at.
const BEST: usize = 4;
/// So many params that differ from one of them in two or three parameters.
const CHANGED: usize = 200;
/// So many from anywhere.
const ANYWHERE: usize = 400;
/// How far the neighbours in a range are, as shares of it.
const STEPS: [f64; 5] = [0.01, 0.03, 0.1, 0.2, 0.4];

/// Finds params that were neither tried nor refused and keep the rules, each
/// once.
pub(super) struct Candidates<'a> {
    study: &'a Study,
    geometry: &'a Geometry,
    found: HashSet<Params>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(study: &'a Study, geometry: &'a Geometry) -> Self {
        Self {
            study,
            geometry,
            found: HashSet::new(),
        }
    }

    /// Those of the space at large and near the best trials.
    pub(super) fn wide(
        &mut self,
        trials: &[&Trial],
        baseline: &Params,
        random: &mut Generator,
    ) -> Vec<Params> {
        let space = &self.study.spec().space;
        let whole = Lattice::of_everything(space).filter(|whole| whole.product() <= WHOLE);
        if let Some(whole) = whole {
            return whole.all().filter_map(|params| self.take(params)).collect();
        }
        let mut best = best(self.study, trials);
        if best.is_empty() {
            best.push(baseline.clone());
        }
        let mut wide = Vec::new();
        for params in &best {
            wide.extend(self.near(params));
        }
        let parameters = space.parameters();
        for _ in 0..CHANGED {
            let mut changed = best[random.random_range(0..best.len())].clone();
            for _ in 0..random.random_range(2..=3) {
                let parameter = &parameters[random.random_range(0..parameters.len())];
                let value = parameter.domain.at(random.random());
                changed = space
                    .with(&changed, &parameter.name, &value)
                    .unwrap_or(changed);
            }
            wide.extend(self.take(changed));
        }
        for _ in 0..ANYWHERE {
            if let Ok(params) = space.choose(|parameter| parameter.domain.at(random.random())) {
                wide.extend(self.take(params));
            }
        }
        wide
    }

    /// Those that differ from these params in one parameter.
    pub(super) fn near(&mut self, params: &Params) -> Vec<Params> {
        let space = &self.study.spec().space;
        let mut near = Vec::new();
        for (axis, parameter) in space.parameters().iter().enumerate() {
            let Some(own) = params.get(&parameter.name) else {
                continue;
            };
            for value in neighbours(self.geometry, axis, parameter, own) {
                if let Ok(changed) = space.with(params, &parameter.name, &value) {
                    near.extend(self.take(changed));
                }
            }
        }
        near
    }

    /// `None` where it was tried, refused or found before.
    pub(super) fn take(&mut self, params: Params) -> Option<Params> {
        let new = self.study.is_new(&params) && self.found.insert(params.clone());
        new.then_some(params)
    }
}

/// The params of the best trials that the space still allows.
fn best(study: &Study, trials: &[&Trial]) -> Vec<Params> {
    let mut best: Vec<(Standing, Params)> = Vec::with_capacity(BEST + 1);
    for trial in trials {
        let Some(standing) = Standing::of(study, trial) else {
            continue;
        };
        let objective = &study.spec().objective;
        let better = |(known, _): &(Standing, Params)| !standing.beats(Some(*known), objective);
        let place = best.iter().take_while(|known| better(known)).count();
        let params = study.params_of(trial);
        if place < BEST && study.spec().space.allows(&params) {
            best.insert(place, (standing, params));
            best.truncate(BEST);
        }
    }
    best.into_iter().map(|(_, params)| params).collect()
}

/// Every value of a list, and some of a range: near ones and far ones.
fn neighbours(geometry: &Geometry, axis: usize, parameter: &Parameter, own: &Value) -> Vec<Value> {
    let domain = &parameter.domain;
    if let Domain::Values(values) = domain {
        return values.clone();
    }
    let Some(at) = geometry.coordinate(axis, own) else {
        return domain.levels(STEPS.len());
    };
    let steps = STEPS.iter().flat_map(|step| [at - step, at + step]);
    let inside = steps.filter(|at| (0.0..=1.0).contains(at));
    inside.map(|at| domain.at(at)).collect()
}
