//! Gaussian processes over the space (C. E. Rasmussen and C. K. I. Williams,
//! Gaussian Processes for Machine Learning, MIT Press 2006, chapters 2 and 5).
//!
//! # Kernel
//! `k(x, x') = a/D · Σ k_d + p · Π k_d + c`, with `k_d` Matérn-5/2 in the
//! distance of the coordinate `d`: effects of single parameters, and what they
//! have together (D. Duvenaud, H. Nickisch and C. E. Rasmussen, Additive
//! Gaussian processes, NIPS 2011). `c` is what is not known of the mean.
//! Between values of one source that was imported, [`OFFSET`] is added: what is not
//! known of the level of its numbers.
//!
//! # Hyper-parameters
//! A length for each parameter, `a`, `p`, a nugget, a factor for the noise where
//! that is in doubt, and one more for that of what was imported, all at their most probable values: the marginal
//! likelihood with log-normal priors, climbed by its gradient with iRprop-
//! (C. Igel and M. Hüsken, Improving the Rprop learning algorithm, NC 2000). The
//! lengths' prior grows with the root of the number of parameters (C. Hvarfner, E. O. Hellsten and L. Nardi, Vanilla
//! Bayesian optimization performs great in high dimensions, ICML 2024).

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use crate::model::noise::Doubt;
use crate::search::geometry::Geometry;

/// What is not known of the mean, in units of the variance of the values.
const CONSTANT: f64 = 0.1;
/// What is not known of the level of an imported source, once it is on the level
/// of the study's own on average, in the same units.
pub(super) const OFFSET: f64 = 1.0;
/// By how much more what was imported varies than a run of the study's own, as
/// the logarithm of the factor of its variance: its mean, and how far it may be
/// off. Between runs that are as good as the study's own and some that say
/// nothing.
pub(super) const TRUST: (f64, f64) = (1.4, 3.0);

/// Places, with the distances between their coordinates and those of others
/// looked up rather than computed: most spaces have few values an axis.
pub(super) struct Places {
    count: usize,
    axes: Vec<Coordinates>,
    /// From where each was imported; empty where none was.
    sources: Vec<usize>,
}

struct Coordinates {
    distinct: Vec<f64>,
    /// Of each place, which of the distinct ones it has.
    index: Vec<u32>,
}

impl Places {
    pub(super) fn new(geometry: &Geometry, points: &[&[f64]]) -> Self {
        let axes = (0..geometry.dimensions()).map(|axis| {
            let mut distinct: Vec<f64> = points.iter().map(|point| point[axis]).collect();
            distinct.sort_by(f64::total_cmp);
            distinct.dedup_by(|a, b| a.total_cmp(b).is_eq());
            let index = points.iter().map(|point| {
                let found = distinct.binary_search_by(|known| known.total_cmp(&point[axis]));
                found.unwrap_or(0) as u32
            });
            Coordinates {
                index: index.collect(),
                distinct,
            }
        });
        Self {
            count: points.len(),
            axes: axes.collect(),
            sources: Vec::new(),
        }
    }

    /// The same places, of which each was measured at a source: 0 is the study.
    pub(super) fn from(mut self, sources: &[usize]) -> Self {
        if sources.iter().any(|source| *source > 0) {
            self.sources = sources.to_vec();
        }
        self
    }

    /// The source of a place, where it was imported.
    fn source(&self, index: usize) -> Option<usize> {
        let source = self.sources.get(index).copied();
        source.filter(|source| *source > 0)
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }
}

/// Logarithms of the hyper-parameters: a length for each axis, then the
/// additive part, the product part, the nugget, the factor of the noise, and the
/// further one of what was imported.
#[derive(Clone, Debug)]
pub(super) struct Hyper(Vec<f64>);

impl Hyper {
    fn prior(dimensions: usize, doubt: Doubt, imported: bool) -> Vec<(f64, f64)> {
        let length = (0.25 * (dimensions as f64).sqrt()).ln();
        let mut prior = vec![(length, 0.75); dimensions];
        prior.extend([(0.6f64.ln(), 1.0), (0.5f64.ln(), 1.0), (0.02f64.ln(), 1.0)]);
        prior.push((doubt.mean, doubt.spread));
        prior.push(if imported { TRUST } else { (0.0, 0.0) });
        prior
    }

    /// The most probable ones before anything is known.
    pub(super) fn first(dimensions: usize, doubt: Doubt, imported: bool) -> Self {
        Self(
            Self::prior(dimensions, doubt, imported)
                .into_iter()
                .map(|(mean, _)| mean)
                .collect(),
        )
    }

    /// The most probable ones for these values, with these variances, which are
    /// in doubt by one factor.
    pub(super) fn fit(
        geometry: &Geometry,
        places: &Places,
        values: &[f64],
        (noise, doubt): (&[f64], Doubt),
        steps: usize,
    ) -> Self {
        let imported = !places.sources.is_empty();
        let prior = Self::prior(places.axes.len(), doubt, imported);
        let mut hyper = Self::first(places.axes.len(), doubt, imported);
        let count = hyper.0.len();
        let mut step = vec![0.2; count];
        let mut last = vec![0.0; count];
        let mut best = (f64::NEG_INFINITY, hyper.clone());
        for _ in 0..steps {
            let Some((likelihood, mut gradient)) =
                hyper.likelihood(geometry, places, values, noise)
            else {
                break;
            };
            let mut posterior = likelihood;
            for (index, (mean, spread)) in prior.iter().enumerate() {
                if *spread == 0.0 {
                    gradient[index] = 0.0;
                    continue;
                }
                let off = (hyper.0[index] - mean) / spread;
                posterior -= 0.5 * off * off;
                gradient[index] -= off / spread;
            }
            if posterior > best.0 {
                best = (posterior, hyper.clone());
            }
            for index in 0..count {
                let turn = gradient[index] * last[index];
                if turn > 0.0 {
                    step[index] = f64::min(step[index] * 1.4, 0.8);
                } else if turn < 0.0 {
                    step[index] = f64::max(step[index] * 0.5, 0.01);
                    gradient[index] = 0.0;
                }
                if gradient[index] != 0.0 {
                    hyper.0[index] += gradient[index].signum() * step[index];
                }
                let (mean, spread) = prior[index];
                hyper.0[index] = hyper.0[index].clamp(mean - 3.5 * spread, mean + 3.5 * spread);
                last[index] = gradient[index];
            }
        }
        best.1
    }

    /// The weights of the additive and of the product part.
    fn parts(&self) -> (f64, f64) {
        let count = self.0.len();
        (self.0[count - 5].exp(), self.0[count - 4].exp())
    }

    /// The variance that is there for each value: the nugget, and its noise.
    fn diagonal(&self, noise: &[f64], places: &Places) -> (f64, Vec<f64>) {
        let count = self.0.len();
        let [nugget, factor, further] = [3, 2, 1].map(|last| self.0[count - last].exp());
        let noise = noise.iter().enumerate().map(|(index, noise)| {
            let further = places.source(index).map_or(1.0, |_| further);
            factor * further * noise
        });
        (nugget, noise.collect())
    }

    /// The logarithm of the marginal likelihood, and its gradient.
    fn likelihood(
        &self,
        geometry: &Geometry,
        places: &Places,
        values: &[f64],
        noise: &[f64],
    ) -> Option<(f64, Vec<f64>)> {
        let (additive, product) = self.parts();
        let (nugget, noise) = self.diagonal(noise, places);
        let tables = self.tables(geometry, places, places, true);
        let n = places.count;
        let dimensions = places.axes.len();
        let kernel = self.covariance(&tables, places, places);
        let mut noisy = kernel;
        for index in 0..n {
            noisy[(index, index)] += noise[index] + nugget;
        }
        let cholesky = Cholesky::new(noisy)?;
        let y = DVector::from_column_slice(values);
        let alpha = cholesky.solve(&y);
        let logs: f64 = cholesky.l_dirty().diagonal().iter().map(|d| d.ln()).sum();
        let likelihood = -0.5 * y.dot(&alpha) - logs - 0.5 * n as f64 * std::f64::consts::TAU.ln();
        let inverse = cholesky.inverse();
        let mut gradient = vec![0.0; self.0.len()];
        let mut factors = vec![(0.0, 0.0); dimensions];
        for j in 0..n {
            for i in j..n {
                let weight = alpha[i] * alpha[j] - inverse[(i, j)];
                let weight = if i == j { 0.5 * weight } else { weight };
                let (mut sum, mut whole) = (0.0, 1.0);
                for (axis, factor) in factors.iter_mut().enumerate() {
                    *factor = tables[axis].of(places, places, axis, i, j);
                    sum += factor.0;
                    whole *= factor.0;
                }
                for (axis, factor) in factors.iter().enumerate() {
                    let by = additive / dimensions as f64 + product * whole / factor.0;
                    gradient[axis] += weight * by * factor.1;
                }
                gradient[dimensions] += weight * additive * sum / dimensions as f64;
                gradient[dimensions + 1] += weight * product * whole;
                if i == j {
                    gradient[dimensions + 2] += weight * nugget;
                    gradient[dimensions + 3] += weight * noise[i];
                    if places.source(i).is_some() {
                        gradient[dimensions + 4] += weight * noise[i];
                    }
                }
            }
        }
        Some((likelihood, gradient))
    }

    fn tables(&self, geometry: &Geometry, a: &Places, b: &Places, slopes: bool) -> Vec<Table> {
        let axes = a.axes.iter().zip(&b.axes).zip(&self.0).enumerate();
        let table = |(axis, ((a, b), length)): (usize, ((&Coordinates, &Coordinates), &f64))| {
            let length = length.exp();
            let width = b.distinct.len();
            let mut values = Vec::with_capacity(a.distinct.len() * width);
            let mut slope = Vec::new();
            for x in &a.distinct {
                for y in &b.distinct {
                    let r = 5f64.sqrt() * geometry.distance(axis, *x, *y) / length;
                    let decay = (-r).exp();
                    // Far apart is not nothing: it divides.
                    values.push(((1.0 + r + r * r / 3.0) * decay).max(1e-12));
                    if slopes {
                        // By the logarithm of the length.
                        slope.push(r * r * (1.0 + r) / 3.0 * decay);
                    }
                }
            }
            Table {
                width,
                values,
                slope,
            }
        };
        axes.map(table).collect()
    }

    fn covariance(&self, tables: &[Table], a: &Places, b: &Places) -> DMatrix<f64> {
        let (additive, product) = self.parts();
        let share = additive / tables.len() as f64;
        let mut matrix = DMatrix::zeros(a.count, b.count);
        let mut columns: Vec<(&[f64], &[u32], usize)> = Vec::with_capacity(tables.len());
        for j in 0..b.count {
            columns.clear();
            for (axis, table) in tables.iter().enumerate() {
                columns.push((&table.values, &a.axes[axis].index, table.width));
            }
            let mut column = matrix.column_mut(j);
            for (i, cell) in column.iter_mut().enumerate() {
                let (mut sum, mut whole) = (0.0, 1.0);
                for (axis, (values, index, width)) in columns.iter().enumerate() {
                    let factor = values[index[i] as usize * width + b.axes[axis].index[j] as usize];
                    sum += factor;
                    whole *= factor;
                }
                *cell = share * sum + product * whole + CONSTANT;
                if let Some(source) = b.source(j)
                    && a.source(i) == Some(source)
                {
                    *cell += OFFSET;
                }
            }
        }
        matrix
    }
}

/// `k_d` between all distinct coordinates of an axis.
struct Table {
    width: usize,
    values: Vec<f64>,
    slope: Vec<f64>,
}

impl Table {
    fn of(&self, a: &Places, b: &Places, axis: usize, i: usize, j: usize) -> (f64, f64) {
        let at = a.axes[axis].index[i] as usize * self.width + b.axes[axis].index[j] as usize;
        (self.values[at], self.slope[at])
    }
}

/// A process that knows some values.
pub(super) struct Process<'a> {
    geometry: &'a Geometry,
    places: Places,
    hyper: Hyper,
    alpha: DVector<f64>,
    inverse: DMatrix<f64>,
}

impl<'a> Process<'a> {
    /// `None` where the values cannot be explained, which noise rules out.
    pub(super) fn new(
        geometry: &'a Geometry,
        places: Places,
        hyper: Hyper,
        values: &[f64],
        noise: &[f64],
    ) -> Option<Self> {
        let (nugget, noise) = hyper.diagonal(noise, &places);
        let tables = hyper.tables(geometry, &places, &places, false);
        let mut kernel = hyper.covariance(&tables, &places, &places);
        for index in 0..places.count {
            kernel[(index, index)] += noise[index] + nugget;
        }
        let cholesky: Cholesky<f64, Dyn> = Cholesky::new(kernel)?;
        let alpha = cholesky.solve(&DVector::from_column_slice(values));
        if !alpha.iter().all(|weight| weight.is_finite()) {
            return None;
        }
        Some(Self {
            geometry,
            places,
            hyper,
            alpha,
            inverse: cholesky.inverse(),
        })
    }

    /// Mean and standard deviation at each of these places.
    pub(super) fn predict(&self, at: &Places) -> Vec<(f64, f64)> {
        let (additive, product) = self.hyper.parts();
        let tables = self.hyper.tables(self.geometry, &self.places, at, false);
        let cross = self.hyper.covariance(&tables, &self.places, at);
        let means = cross.tr_mul(&self.alpha);
        let solved = &self.inverse * &cross;
        let own = additive + product + CONSTANT;
        let predicted = (0..at.count).map(|index| {
            let known = cross.column(index).dot(&solved.column(index));
            (means[index], (own - known).max(1e-9).sqrt())
        });
        predicted.collect()
    }
}

#[cfg(test)]
impl Hyper {
    /// How far the gradient is from differences of the likelihood, at most.
    pub(super) fn gradient_error(
        &self,
        geometry: &Geometry,
        places: &Places,
        values: &[f64],
        noise: &[f64],
    ) -> f64 {
        let at = |hyper: &Self| {
            let found = hyper.likelihood(geometry, places, values, noise);
            found.expect("values with noise")
        };
        let (_, gradient) = at(self);
        let error = |(index, slope): (usize, &f64)| {
            let moved = |by: f64| {
                let mut moved = self.clone();
                moved.0[index] += by;
                at(&moved).0
            };
            ((moved(1e-5) - moved(-1e-5)) / 2e-5 - slope).abs()
        };
        gradient.iter().enumerate().map(error).fold(0.0, f64::max)
    }
}
