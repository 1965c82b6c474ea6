//! What the parameters matter, as the model sees it: functional analysis of
//! variance (F. Hutter, H. Hoos and K. Leyton-Brown, An efficient approach for
//! assessing hyperparameter importance, ICML 2014) of the objective that the
//! Gaussian process expects, in place of their random forest.
//!
//! The share of a parameter is that of the variance of `E[f | its value]` in the
//! variance of `f` over the space, the rules and conditions kept, and each
//! combination counting the same; that of a pair is what the two have together
//! beyond that. Of a parameter that is active under a condition, what differs
//! where it is counts, and not that it is: that is its condition's doing. Of a
//! large space it is estimated from combinations at random, less what as many groups of such would have by chance. `f` is on the scale of
//! [`noise`](crate::model::noise).
//!
//! How sure that is comes from a bootstrap over the trials (B. Efron, Bootstrap
//! methods: another look at the jackknife, Annals of Statistics 7, 1979): the
//! model is learned anew from as many trials drawn with replacement, and asked
//! for those that were not drawn, which tells how much it explains.
//!
//! None of it is an experiment: the trials are those that a sampler chose, many
//! near the best, few elsewhere.

use std::collections::BTreeMap;

use rand::RngExt;

use super::belief::{Belief, Clip, Sample};
use super::learned;
use super::process::Places;
use super::promise::History;
use crate::base::random::{Generator, generator};
use crate::model::Name;
use crate::model::choice::Forecast;
use crate::model::domain::Domain;
use crate::model::noise::{Doubt, Noise};
use crate::model::params::Params;
use crate::model::space::{Parameter, Space};
use crate::model::study::Study;
use crate::model::value::Value;
use crate::search::geometry::Geometry;
use crate::search::lattice::Lattice;

/// So many measured trials are needed.
pub const NEEDED: usize = 30;
/// Combinations that stand for the space.
const COMBINATIONS: usize = 3_000;
/// Into so many parts a range is divided.
const PARTS: usize = 8;
/// So many times the model is learned anew.
const RESAMPLES: usize = 20;
/// Pairs are looked at among so many parameters that matter most.
const PAIRED: usize = 12;

/// What the parameters matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// How much of the squares around their mean the model tells of trials that
    /// it has not seen, 1 for all; below 0 where the mean tells more.
    pub explained: f64,
    /// What each parameter does by itself, the most important first.
    pub parameters: Vec<Effect>,
    /// What two do together, the most important first.
    pub pairs: Vec<(Name, Name, Forecast)>,
}

/// What a parameter does by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The parameter.
    pub name: Name,
    /// Its share of the variance.
    pub share: Forecast,
    /// The objective at each of its values or parts, in the metric's unit.
    pub values: Vec<Marginal>,
}

/// The objective at a value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Marginal {
    /// Where.
    pub at: At,
    /// The trials that had it.
    pub trials: u32,
    /// The objective.
    pub objective: Forecast,
}

/// A value of a parameter, or several that count as one.
#[derive(Clone, Debug, PartialEq)]
pub enum At {
    /// A value of a list.
    Value(Value),
    /// A part of a range.
    Part {
        /// Its lowest value.
        low: Value,
        /// Its highest.
        high: Value,
    },
    /// Where the parameter is not active.
    Inactive,
}

/// How many trials have measured the objective, of those that a model learns
/// from.
pub fn measured(study: &Study) -> usize {
    let trials = learned(study).into_iter();
    trials
        .filter(|trial| study.objective(trial).is_some())
        .count()
}

/// What the model believes that the parameters matter; `None` under [`NEEDED`]
/// trials. Takes some seconds for a large study, and is the same for the same
/// history.
pub fn importance(study: &Study) -> Option<Importance> {
    let geometry = Geometry::new(&study.spec().space);
    let metric = &study.spec().objective.metric;
    let noise = Noise::of_objective(study);
    let history = History {
        study,
        geometry: &geometry,
        trials: &learned(study),
        imported: &[],
    };
    let samples = history.samples(|trial| {
        let mean = noise.scaled(study.levelled(trial)?.mean);
        mean.is_finite()
            .then(|| (mean, noise.of_mean(trial, metric)))
    });
    if samples.len() < NEEDED {
        return None;
    }
    let mut random = generator(study.spec().seed, study.trials().len() as u64);
    let (combinations, is_whole) = combinations(&study.spec().space, &mut random);
    let points: Vec<Vec<f64>> = combinations.iter().map(|p| geometry.point(p)).collect();
    let points: Vec<&[f64]> = points.iter().map(|point| &**point).collect();
    let places = Places::new(&geometry, &points);
    let parameters = study.spec().space.parameters();
    let axes: Vec<Axis> = parameters
        .iter()
        .enumerate()
        .map(|(axis, parameter)| {
            let coordinates = points.iter().map(|point| point[axis]);
            Axis::new(&geometry, axis, parameter, coordinates)
        })
        .collect();
    let design = Design { axes, is_whole };

    let whole = means(
        &Belief::learn(&geometry, &samples, Doubt::NONE, Clip::Low)?,
        &places,
    );
    let main = design.shares(&whole);
    let mut order: Vec<usize> = (0..parameters.len()).collect();
    order.sort_by(|a, b| main[*b].total_cmp(&main[*a]).then(a.cmp(b)));
    let paired = design.pairs(&order);

    let mut again = Resampled::default();
    for _ in 0..RESAMPLES {
        let (drawn, rest) = resample(&samples, &mut random);
        let Some(belief) = Belief::learn(&geometry, &drawn, Doubt::NONE, Clip::Low) else {
            continue;
        };
        let values = means(&belief, &places);
        again.shares.push(design.shares(&values));
        again
            .pairs
            .push(design.shares_of(&paired, &values, &design.shares(&values)));
        again.values.push(design.marginals(&values));
        let seen: Vec<&[f64]> = rest.iter().map(|sample| &*sample.point).collect();
        let found = means(&belief, &Places::new(&geometry, &seen));
        let pairs = rest.iter().zip(found);
        again
            .unseen
            .extend(pairs.map(|(sample, mean)| (sample.value, mean)));
    }

    let counts: Vec<Vec<u32>> = design
        .axes
        .iter()
        .enumerate()
        .map(|(index, axis)| axis.count(samples.iter().map(|sample| sample.point[index])))
        .collect();
    let marginals = design.marginals(&whole);
    let effect = |axis: &usize| {
        let axis = *axis;
        let values = (0..design.axes[axis].labels.len()).filter_map(|cell| {
            let own = marginals[axis][cell]?;
            let others = again.values.iter().filter_map(|values| values[axis][cell]);
            let scaled = between(own, others.collect());
            let (one, other) = (noise.unscaled(scaled.low), noise.unscaled(scaled.high));
            Some(Marginal {
                at: design.axes[axis].labels[cell].clone(),
                trials: counts[axis][cell],
                objective: Forecast {
                    mean: noise.unscaled(own),
                    low: one.min(other),
                    high: one.max(other),
                },
            })
        });
        Effect {
            name: parameters[axis].name.clone(),
            share: between(main[axis], again.shares.iter().map(|s| s[axis]).collect()),
            values: values.collect(),
        }
    };
    let together = design.shares_of(&paired, &whole, &main);
    let mut pairs: Vec<(Name, Name, Forecast)> = paired
        .iter()
        .enumerate()
        .map(|(index, (a, b))| {
            let others = again.pairs.iter().map(|shares| shares[index]);
            let share = between(together[index], others.collect());
            (
                parameters[*a].name.clone(),
                parameters[*b].name.clone(),
                share,
            )
        })
        .collect();
    pairs.sort_by(|(.., a), (.., b)| b.mean.total_cmp(&a.mean));
    Some(Importance {
        explained: explained(&again.unseen),
        parameters: order.iter().map(effect).collect(),
        pairs,
    })
}

/// What the models that were learned anew say.
#[derive(Default)]
struct Resampled {
    shares: Vec<Vec<f64>>,
    pairs: Vec<Vec<f64>>,
    values: Vec<Vec<Vec<Option<f64>>>>,
    /// Of trials that a model had not seen: the value and what it said.
    unseen: Vec<(f64, f64)>,
}

/// All combinations of a small space, or some at random; whether it is all.
fn combinations(space: &Space, random: &mut Generator) -> (Vec<Params>, bool) {
    let whole = Lattice::of_everything(space);
    if let Some(whole) = whole.filter(|whole| whole.product() <= COMBINATIONS as u64) {
        return (whole.all().collect(), true);
    }
    let drawn = (0..COMBINATIONS).filter_map(|_| {
        let drawn = space.choose(|parameter| parameter.domain.at(random.random()));
        drawn.ok()
    });
    (drawn.collect(), false)
}

/// As many samples drawn with replacement, one that is drawn several times as
/// one that is surer; and those that were not.
fn resample<'a>(samples: &'a [Sample], random: &mut Generator) -> (Vec<Sample>, Vec<&'a Sample>) {
    let mut times = vec![0u32; samples.len()];
    for _ in samples {
        times[random.random_range(0..samples.len())] += 1;
    }
    let (mut drawn, mut rest) = (Vec::new(), Vec::new());
    for (sample, times) in samples.iter().zip(times) {
        match times {
            0 => rest.push(sample),
            _ => drawn.push(Sample {
                point: sample.point.clone(),
                value: sample.value,
                noise: sample.noise / f64::from(times),
                source: 0,
            }),
        }
    }
    (drawn, rest)
}

fn means(belief: &Belief<'_>, places: &Places) -> Vec<f64> {
    belief.at(places).iter().map(|found| found.mean).collect()
}

/// A number, and where 9 of 10 resamples have it.
fn between(mean: f64, mut others: Vec<f64>) -> Forecast {
    others.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = others.len().saturating_sub(1) as f64;
        others.get((share * last).round() as usize).copied()
    };
    Forecast {
        mean,
        low: at(0.05).map_or(mean, |low| low.min(mean)),
        high: at(0.95).map_or(mean, |high| high.max(mean)),
    }
}

/// The share of the squares around the mean that is told.
fn explained(unseen: &[(f64, f64)]) -> f64 {
    let count = unseen.len().max(1) as f64;
    let mean = unseen.iter().map(|(value, _)| value).sum::<f64>() / count;
    let squares: f64 = unseen.iter().map(|(value, _)| (value - mean).powi(2)).sum();
    let missed: f64 = unseen
        .iter()
        .map(|(value, said)| (value - said).powi(2))
        .sum();
    if squares > 0.0 {
        1.0 - missed / squares
    } else {
        0.0
    }
}

/// The values of a parameter, and which of them each combination has.
struct Axis {
    labels: Vec<At>,
    /// The coordinates of a list's values; none for a range.
    known: Vec<f64>,
    cells: Vec<usize>,
}

impl Axis {
    fn new(
        geometry: &Geometry,
        axis: usize,
        parameter: &Parameter,
        coordinates: impl Iterator<Item = f64>,
    ) -> Self {
        let domain = &parameter.domain;
        let (labels, known) = match domain {
            Domain::Values(values) => {
                let at = |value| geometry.coordinate(axis, value).unwrap_or(f64::NAN);
                let labels = values.iter().cloned().map(At::Value);
                (labels.collect::<Vec<_>>(), values.iter().map(at).collect())
            }
            Domain::Int(_) | Domain::Float(_) => {
                let end = |part: usize| domain.at(part as f64 / PARTS as f64);
                let labels = (0..PARTS).map(|part| At::Part {
                    low: end(part),
                    high: end(part + 1),
                });
                (labels.collect(), Vec::new())
            }
        };
        let mut axis = Self {
            labels,
            known,
            cells: Vec::new(),
        };
        // The last is for where it is not active.
        axis.labels.push(At::Inactive);
        axis.cells = coordinates.map(|at| axis.cell(at)).collect();
        axis
    }

    fn cell(&self, coordinate: f64) -> usize {
        let inactive = self.labels.len() - 1;
        if coordinate.is_nan() {
            return inactive;
        }
        if self.known.is_empty() {
            return ((coordinate * PARTS as f64) as usize).min(PARTS - 1);
        }
        let found = self.known.iter().position(|known| *known == coordinate);
        found.unwrap_or(inactive)
    }

    /// The value that a combination has, where the parameter is active.
    fn active(&self, index: usize) -> Option<usize> {
        let cell = self.cells[index];
        (cell + 1 < self.labels.len()).then_some(cell)
    }

    fn count(&self, coordinates: impl Iterator<Item = f64>) -> Vec<u32> {
        let mut counts = vec![0; self.labels.len()];
        for at in coordinates {
            counts[self.cell(at)] += 1;
        }
        counts
    }
}

/// The combinations by their values.
struct Design {
    axes: Vec<Axis>,
    /// Whether they are all that there are.
    is_whole: bool,
}

impl Design {
    /// The share of each parameter in the variance of `values`.
    fn shares(&self, values: &[f64]) -> Vec<f64> {
        let share = |axis: &Axis| self.share(values, |index| axis.active(index));
        self.axes.iter().map(share).collect()
    }

    /// The pairs worth a look: those of which each combination of values comes
    /// often enough.
    fn pairs(&self, order: &[usize]) -> Vec<(usize, usize)> {
        let order = &order[..order.len().min(PAIRED)];
        let mut pairs = Vec::new();
        for (index, a) in order.iter().enumerate() {
            for b in &order[index + 1..] {
                let cells = self.axes[*a].labels.len() * self.axes[*b].labels.len();
                if self.is_whole || cells * 10 <= COMBINATIONS {
                    pairs.push((*a, *b));
                }
            }
        }
        pairs
    }

    /// The shares that pairs have beyond those of their two parameters.
    fn shares_of(&self, pairs: &[(usize, usize)], values: &[f64], main: &[f64]) -> Vec<f64> {
        let share = |(a, b): &(usize, usize)| {
            let width = self.axes[*b].labels.len();
            let cell = |index: usize| {
                let a = self.axes[*a].active(index)?;
                Some(a * width + self.axes[*b].active(index)?)
            };
            (self.share(values, cell) - main[*a] - main[*b]).max(0.0)
        };
        pairs.iter().map(share).collect()
    }

    /// The share of the variance that is between groups; what has none has no
    /// part in it.
    fn share(&self, values: &[f64], group: impl Fn(usize) -> Option<usize>) -> f64 {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let all: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (index, value) in values.iter().enumerate() {
            let Some(group) = group(index) else { continue };
            let off = value - mean;
            let (members, of_group) = groups.entry(group).or_default();
            *members += 1.0;
            *of_group += off;
            count += 1.0;
            sum += off;
            squares += off * off;
        }
        // Where the model sees no difference, nothing matters.
        if count == 0.0 || all / (values.len() as f64) < 1e-12 {
            return 0.0;
        }
        let around = sum * sum / count;
        let between: f64 = groups.values().map(|(n, sum)| sum * sum / n).sum();
        let between = between - around;
        let free = groups.len() as f64 - 1.0;
        let by_chance = if self.is_whole || count <= free + 1.0 {
            0.0
        } else {
            free * (squares - around - between).max(0.0) / (count - free - 1.0)
        };
        ((between - by_chance) / all).clamp(0.0, 1.0)
    }

    /// The mean at each value of each parameter; `None` where no combination
    /// has it.
    fn marginals(&self, values: &[f64]) -> Vec<Vec<Option<f64>>> {
        let of_axis = |axis: &Axis| {
            let mut sums = vec![(0.0, 0.0); axis.labels.len()];
            for (cell, value) in axis.cells.iter().zip(values) {
                sums[*cell].0 += 1.0;
                sums[*cell].1 += value;
            }
            let mean = |(count, sum): (f64, f64)| (count > 0.0).then(|| sum / count);
            sums.into_iter().map(mean).collect()
        };
        self.axes.iter().map(of_axis).collect()
    }
}
