//! The tree-structured Parzen estimator: draws values that are frequent among
//! the good trials, and takes the draw for which they are rarest among the
//! others (J. Bergstra et al., Algorithms for hyper-parameter optimization, NIPS
//! 2011).
//!
//! Good are the best [`GOOD`] of the settled trials by their standing: feasible
//! before infeasible, which come by how little they miss, and failed or pruned
//! ones last (S. Watanabe and F. Hutter, c-TPE, IJCAI 2023, rank them as well,
//! instead of giving them numbers). Trials that are planned or run count as the
//! worst, so that no two look for the same. Each parameter is estimated by
//! itself, among the trials where it is active: a normal kernel around each
//! value that was tried, or, in a list without an order, that value with most
//! of the weight, and one even share for all that is possible.
//!
//! What was imported counts as well: the best [`GOOD`] of each source are good,
//! by their order within it, so that the level of its numbers does not matter.
//! It takes the place that trials leave, of those that come at random first and of
//! the good ones, and goes as these come.

use std::cmp::Ordering;
use std::sync::Arc;

use rand::RngExt;
use statrs::distribution::{ContinuousCDF, Normal};

use super::geometry::Geometry;
use super::standing::Standing;
use super::{Ask, priors, random};
use crate::base::random::{Generator, generator};
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::model::value::Value;

/// So many trials come at random first, the baseline among them.
const OPENING: usize = 6;
/// This share of the trials is good.
const GOOD: f64 = 0.15;
/// Not more than so many are, however many there are.
const GOOD_MOST: usize = 25;
/// So many of the others are looked at, evenly from the best to the worst.
const OTHERS_MOST: usize = 1_000;
/// How many draws the best is taken of.
const DRAWS: usize = 48;
/// The weight of a value that was tried in a list without an order.
const OWN: f64 = 0.8;

/// What to try next.
pub(super) fn ask(study: &Study) -> Ask {
    if opens(study) {
        return random::ask(study);
    }
    let mut random = generator(study.spec().seed, study.trials().len() as u64);
    let space = &study.spec().space;
    let geometry = Geometry::new(space);
    let (good, others) = split(study);
    let good = Estimator::new(&geometry, &good);
    let others = Estimator::new(&geometry, &others);
    let mut best: Option<(f64, Params)> = None;
    for _ in 0..DRAWS {
        let mut axis = 0;
        let drawn = space.choose(|parameter| {
            // Parameters are asked for in order, inactive ones left out.
            while space.parameters()[axis].name != parameter.name {
                axis += 1;
            }
            good.draw(axis, parameter, &mut random)
        });
        let Ok(params) = drawn else { continue };
        if !study.is_new(&params) {
            continue;
        }
        let point = geometry.point(&params);
        let gain = good.density(&point) - others.density(&point);
        if best.as_ref().is_none_or(|(known, _)| gain > *known) {
            best = Some((gain, params));
        }
    }
    match best {
        Some((_, params)) => Ask::Try(params),
        None => random::ask(study),
    }
}

/// Whether it draws at random still.
pub(super) fn opens(study: &Study) -> bool {
    study.trials().len() + study.priors().count_fitting() < OPENING
}

/// The params of the good trials and of the others.
fn split(study: &Study) -> (Vec<Params>, Vec<Params>) {
    let objective = &study.spec().objective;
    let ranked = study
        .trials()
        .iter()
        .map(|trial| (Standing::of(study, trial), trial));
    let mut ranked: Vec<_> = ranked.collect();
    // Stable: of equals the earlier is the better.
    ranked.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), b) if a.beats(*b, objective) => Ordering::Less,
        (a, Some(b)) if b.beats(*a, objective) => Ordering::Greater,
        _ => Ordering::Equal,
    });
    let count = (GOOD * ranked.len() as f64).ceil() as usize;
    let (good, others) = ranked.split_at(count.min(GOOD_MOST));
    let every = others.len().div_ceil(OTHERS_MOST).max(1);
    let params = |(_, trial): &(_, &Arc<Trial>)| study.params_of(trial);
    // What a user refused is not looked for either.
    let others = others
        .iter()
        .step_by(every)
        .map(params)
        .chain(study.rejected());
    let room = (GOOD_MOST - good.len(), OTHERS_MOST);
    let (told_good, told_others) = priors::split(study, GOOD, room);
    let good = good
        .iter()
        .map(params)
        .chain(told_good.into_iter().cloned());
    let others = others.chain(told_others.into_iter().cloned());
    (good.collect(), others.collect())
}

struct Estimator<'a> {
    geometry: &'a Geometry,
    points: Vec<Vec<f64>>,
    values: &'a [Params],
    /// The width of a kernel, as a share of an axis.
    width: f64,
}

impl<'a> Estimator<'a> {
    fn new(geometry: &'a Geometry, values: &'a [Params]) -> Self {
        let points: Vec<Vec<f64>> = values.iter().map(|params| geometry.point(params)).collect();
        // Narrower with more of them, as Silverman's rule has it.
        let width = (0.3 * (points.len().max(1) as f64).powf(-0.2)).max(0.08);
        Self {
            geometry,
            points,
            values,
            width,
        }
    }

    /// A value near one that was tried, or any.
    fn draw(&self, axis: usize, parameter: &Parameter, random: &mut Generator) -> Value {
        let any = parameter.domain.at(random.random());
        let Some(params) = self.values.get(random.random_range(0..=self.values.len())) else {
            return any;
        };
        let Some(own) = params.get(&parameter.name) else {
            return any;
        };
        let Some(at) = self.geometry.coordinate(axis, own) else {
            return any;
        };
        let off = self.width * Normal::standard().inverse_cdf(random.random_range(1e-9..1.0));
        match self.geometry.nearest(axis, &parameter.domain, at + off) {
            Some(near) => near,
            None if random.random_bool(OWN) => own.clone(),
            None => any,
        }
    }

    /// The logarithm of how frequent it is, but for a constant of the space.
    fn density(&self, point: &[f64]) -> f64 {
        let axes = point.iter().enumerate().filter(|(_, at)| !at.is_nan());
        let log = |(axis, at): (usize, &f64)| {
            let known = self.points.iter().map(|point| point[axis]);
            let (mut sum, mut count) = (1.0, 1.0);
            for other in known.filter(|other| !other.is_nan()) {
                count += 1.0;
                sum += match self.geometry.is_ordered(axis) {
                    true => {
                        let z = (at - other) / self.width;
                        (-0.5 * z * z).exp() / (self.width * std::f64::consts::TAU.sqrt())
                    }
                    false if *at == other => OWN * self.geometry.values(axis),
                    false => 1.0 - OWN,
                };
            }
            f64::ln(sum / count)
        };
        axes.map(log).sum()
    }
}
