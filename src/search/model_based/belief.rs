//! What trials tell about one quantity.

use super::process::{Hyper, Places, Process};
use crate::model::noise::Doubt;
use crate::search::geometry::Geometry;

/// The lengths are learned from so many values at most: they cost its third
/// power, several times.
const FITTED: usize = 72;
/// Steps of the climb to them.
const STEPS: usize = 15;
/// What lies farther out than so many spreads is an outlier.
const OUTLIER: f64 = 3.0;

/// A value at a place.
pub(super) struct Sample {
    pub(super) point: Vec<f64>,
    pub(super) value: f64,
    /// Its variance by what is known of the noise.
    pub(super) noise: f64,
    /// From where it was imported; 0 for what the study has measured.
    pub(super) source: usize,
}

/// Which outliers say no more than that they are far out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clip {
    /// Very low ones: of a high one it matters how high it is.
    Low,
    /// All: only what is near 0 matters.
    Both,
    /// None; and the values are taken as they are, around 0.
    Neither,
}

/// A mean with its standard deviation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) spread: f64,
}

/// A process that has learned a quantity, in the quantity's own unit.
pub(super) struct Belief<'a> {
    process: Process<'a>,
    center: f64,
    unit: f64,
}

impl<'a> Belief<'a> {
    /// From samples whose noise is in `doubt`; `None` without any.
    pub(super) fn learn(
        geometry: &'a Geometry,
        samples: &[Sample],
        doubt: Doubt,
        clip: Clip,
    ) -> Option<Self> {
        let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        let sources: Vec<usize> = samples.iter().map(|sample| sample.source).collect();
        if clip != Clip::Neither {
            align(&mut values, &sources);
        }
        clip_outliers(&mut values, clip);
        let (center, unit) = match clip {
            Clip::Neither => (0.0, 1.0),
            _ => moments(&values)?,
        };
        for value in &mut values {
            *value = (*value - center) / unit;
        }
        // The squares of very large numbers are beyond what can be computed with.
        let noise = samples.iter().map(|s| s.noise / unit / unit);
        let noise: Vec<f64> = noise.map(|n| if n.is_finite() { n } else { 1.0 }).collect();
        let points: Vec<&[f64]> = samples.iter().map(|s| &*s.point).collect();
        let every = values.len().div_ceil(FITTED).max(1);
        let hyper = if every == 1 {
            Hyper::fit(
                geometry,
                &Places::new(geometry, &points).from(&sources),
                &values,
                (&noise, doubt),
                STEPS,
            )
        } else {
            // The newest is always one of them.
            let part = |index: &usize| (values.len() - 1 - index).is_multiple_of(every);
            let part: Vec<usize> = (0..values.len()).filter(part).collect();
            let points: Vec<&[f64]> = part.iter().map(|index| points[*index]).collect();
            let some = |of: &[f64]| part.iter().map(|index| of[*index]).collect::<Vec<f64>>();
            let sources: Vec<usize> = part.iter().map(|index| sources[*index]).collect();
            let places = Places::new(geometry, &points).from(&sources);
            let noise = some(&noise);
            Hyper::fit(geometry, &places, &some(&values), (&noise, doubt), STEPS)
        };
        let places = Places::new(geometry, &points).from(&sources);
        let process = Process::new(geometry, places, hyper, &values, &noise)?;
        Some(Self {
            process,
            center,
            unit,
        })
    }

    /// What it expects at each of these places.
    pub(super) fn at(&self, places: &Places) -> Vec<Estimate> {
        let found = self.process.predict(places).into_iter();
        let estimate = |(mean, spread): (f64, f64)| Estimate {
            mean: self.center + self.unit * mean,
            spread: self.unit * spread,
        };
        found.map(estimate).collect()
    }
}

/// Puts each source on the level of what the study has measured, on average: by
/// how much that is wrong is left to the process.
fn align(values: &mut [f64], sources: &[usize]) {
    let level = |values: &[f64], source: usize| {
        let of_source = values.iter().zip(sources).filter(|(_, of)| **of == source);
        let count = of_source.clone().count().max(1) as f64;
        of_source.map(|(value, _)| value / count).sum::<f64>()
    };
    let own = level(values, 0);
    let last = sources.iter().copied().max().unwrap_or(0);
    for source in 1..=last {
        let off = own - level(values, source);
        for (value, of) in values.iter_mut().zip(sources) {
            if *of == source {
                *value += off;
            }
        }
    }
}

/// Moves outliers to where outliers begin.
fn clip_outliers(values: &mut [f64], clip: Clip) {
    if clip == Clip::Neither || values.len() < 4 {
        return;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
    let Some((_, deviation)) = moments(values) else {
        return;
    };
    let middle = quantile(0.5);
    let (low, high) = match clip {
        Clip::Low => (middle - OUTLIER * deviation, f64::INFINITY),
        _ => {
            // That of a normal distribution by its quartiles, which outliers
            // do not move.
            let robust = (quantile(0.75) - quantile(0.25)) / 1.349;
            let reach = OUTLIER * robust.max(deviation / 10.0);
            (middle - reach, middle + reach)
        }
    };
    for value in values {
        *value = value.clamp(low, high);
    }
}

/// Mean and standard deviation, which is 1 where nothing varies.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let farthest = values.iter().map(|value| (value - mean).abs());
    // Squares of shares: those of very large or small numbers have no room.
    let farthest = farthest.fold(f64::MIN_POSITIVE, f64::max);
    let shares = values
        .iter()
        .map(|value| ((value - mean) / farthest).powi(2));
    let deviation = farthest * (shares.sum::<f64>() / count).sqrt();
    let deviation = if deviation > 0.0 { deviation } else { 1.0 };
    (mean.is_finite() && deviation.is_finite()).then_some((mean, deviation))
}
