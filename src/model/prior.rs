//! What was measured of some params before the study, elsewhere: imported, to
//! be learned from.
//!
//! It is no trial. Nothing is known of the host, the load and the versions
//! behind it, so that its numbers are never compared with the study's own: only
//! those of one [`Source`] with each other.

use std::collections::HashSet;
use std::sync::Arc;

use super::Name;
use super::metric::{Constraint, Metrics};
use super::params::Params;
use super::space::Space;

/// So many are kept at most: each ask looks at all of them.
pub const PRIORS_MAX: usize = 100_000;

/// One measurement: two are equal when the same came of the same params.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prior {
    /// Of what; as the space had them when it was imported.
    pub params: Params,
    /// What was measured: the objective, unless it failed, and constraints.
    pub metrics: Metrics,
    /// Whether nothing could be measured, and that was these params' fault.
    pub failed: bool,
}

impl Prior {
    /// The number that was measured of a metric.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|(known, _)| **known == *name);
        found.map(|(_, number)| number.get())
    }

    /// By how much it misses the constraints of which it tells, together, each as
    /// a share of its bound; and whether it tells of all.
    pub fn violation(&self, constraints: &[Constraint]) -> (f64, bool) {
        let mut sum = (0.0, true);
        for constraint in constraints {
            match self.metric(&constraint.metric) {
                Some(number) => sum.0 += constraint.missed_share(number),
                None => sum.1 = false,
            }
        }
        sum
    }
}

/// What was imported at once, of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The name of the file.
    pub file: Name,
    /// Its format: `csv`, `jsonl`, `optuna`.
    pub format: Name,
    /// Where each stands in the file, and what it is.
    pub rows: Vec<(u64, Arc<Prior>)>,
}

/// All that was imported from files of one name and format.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name of the file.
    pub file: Name,
    /// Its format.
    pub format: Name,
    /// Where each stands in the file, and what it is.
    pub rows: Vec<(u64, Arc<Prior>)>,
    /// Those that the present space allows: their places in `rows`, and the
    /// params as it has them now.
    fitting: Vec<(usize, Params)>,
}

impl Source {
    /// Those that the present space allows, with the params as it has them now.
    /// The others are kept: a later space may allow them.
    pub fn fitting(&self) -> impl ExactSizeIterator<Item = (&Params, &Prior)> {
        let fitting = self.fitting.iter();
        fitting.map(|(place, params)| (params, &*self.rows[*place].1))
    }

    fn fit(&mut self, from: usize, space: &Space) {
        for (place, (_, prior)) in self.rows.iter().enumerate().skip(from) {
            let params = space.completed(&prior.params);
            if space.allows(&params) {
                self.fitting.push((place, params));
            }
        }
    }
}

/// All that was imported, each measurement once.
#[derive(Clone, Debug, Default)]
pub struct Priors {
    sources: Vec<Source>,
    known: HashSet<Arc<Prior>>,
}

impl Priors {
    /// Where they are from, in the order in which that came.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many the present space allows.
    pub fn count_fitting(&self) -> usize {
        let counts = self.sources.iter().map(|source| source.fitting.len());
        counts.sum()
    }

    /// Whether this is known already, from whatever source.
    pub fn has(&self, prior: &Prior) -> bool {
        self.known.contains(prior)
    }

    pub(super) fn add(&mut self, batch: &Batch, space: &Space) {
        let of_batch = |source: &Source| source.file == batch.file && source.format == batch.format;
        let index = match self.sources.iter().position(of_batch) {
            Some(index) => index,
            None => {
                self.sources.push(Source {
                    file: batch.file.clone(),
                    format: batch.format.clone(),
                    rows: Vec::new(),
                    fitting: Vec::new(),
                });
                self.sources.len() - 1
            }
        };
        let source = &mut self.sources[index];
        let before = source.rows.len();
        for (row, prior) in &batch.rows {
            if self.known.insert(Arc::clone(prior)) {
                source.rows.push((*row, Arc::clone(prior)));
            }
        }
        source.fit(before, space);
    }

    pub(super) fn refit(&mut self, space: &Space) {
        for source in &mut self.sources {
            source.fitting.clear();
            source.fit(0, space);
        }
    }
}

/// What was imported, in words: `37 measurements from before.csv`.
pub fn imported(count: usize, file: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} measurement{s} from {file}")
}
