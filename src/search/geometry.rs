//! Where params lie: one coordinate for each parameter.
//!
//! A list whose values are all numbers, and a range, are ordered: the distance
//! of two values of a list is that of their ranks, of a range that on its
//! scale, both as a share of the whole. Of any other list two values are equal
//! or not (Hamming). Where a parameter is not active it has a place of its own,
//! as far from every value as they can be.

use crate::model::Name;
use crate::model::domain::{Domain, Scale};
use crate::model::params::Params;
use crate::model::space::{Parameter, Space};
use crate::model::value::Value;

/// How the values of a parameter lie.
#[derive(Debug)]
enum Axis {
    /// A list; the coordinate of each value.
    List {
        values: Vec<(Value, f64)>,
        ordered: bool,
    },
    /// A range, from its low to its high end.
    Range { low: f64, high: f64, scale: Scale },
}

/// The space as a place.
pub(super) struct Geometry {
    axes: Vec<(Name, Axis)>,
}

/// The coordinate of a parameter that is not active.
const INACTIVE: f64 = f64::NAN;

impl Geometry {
    pub(super) fn new(space: &Space) -> Self {
        let axis = |parameter: &Parameter| (parameter.name.clone(), Axis::new(&parameter.domain));
        Self {
            axes: space.parameters().iter().map(axis).collect(),
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.axes.len()
    }

    /// Its coordinates; a value that the space does not know any more counts
    /// as inactive.
    pub(super) fn point(&self, params: &Params) -> Vec<f64> {
        let coordinate = |(name, axis): &(Name, Axis)| {
            params
                .get(name)
                .and_then(|value| axis.coordinate(value))
                .unwrap_or(INACTIVE)
        };
        self.axes.iter().map(coordinate).collect()
    }

    /// The coordinate of a value of a parameter, where the space knows it.
    pub(super) fn coordinate(&self, axis: usize, value: &Value) -> Option<f64> {
        self.axes[axis].1.coordinate(value)
    }

    /// Whether values of an axis can be near each other.
    pub(super) fn is_ordered(&self, axis: usize) -> bool {
        !matches!(self.axes[axis].1, Axis::List { ordered: false, .. })
    }

    /// How many values a list has; 1 for a range.
    pub(super) fn values(&self, axis: usize) -> f64 {
        match &self.axes[axis].1 {
            Axis::List { values, .. } => values.len() as f64,
            Axis::Range { .. } => 1.0,
        }
    }

    /// The value of a parameter that lies nearest to a share of its axis; `None`
    /// for a list that has no order.
    pub(super) fn nearest(&self, axis: usize, domain: &Domain, share: f64) -> Option<Value> {
        match &self.axes[axis].1 {
            Axis::List { ordered: false, .. } => None,
            Axis::List { values, .. } => {
                let off = |(_, at): &&(Value, f64)| (at - share).abs();
                let nearest = values.iter().min_by(|a, b| off(a).total_cmp(&off(b)));
                nearest.map(|(value, _)| value.clone())
            }
            Axis::Range { .. } => Some(domain.at(share)),
        }
    }

    /// How far two coordinates of an axis lie apart, 0 to 1.
    pub(super) fn distance(&self, axis: usize, a: f64, b: f64) -> f64 {
        match (a.is_nan(), b.is_nan()) {
            (true, true) => return 0.0,
            (false, false) => {}
            _ => return 1.0,
        }
        match self.axes[axis].1 {
            Axis::List { ordered: false, .. } => f64::from(a != b),
            _ => (a - b).abs(),
        }
    }
}

impl Axis {
    fn new(domain: &Domain) -> Self {
        match domain {
            Domain::Values(values) => {
                let numbers: Option<Vec<f64>> = values.iter().map(Value::number).collect();
                let last = (values.len() - 1).max(1) as f64;
                let coordinate = |index: usize| match &numbers {
                    Some(numbers) => {
                        let below = numbers.iter().filter(|other| **other < numbers[index]);
                        below.count() as f64 / last
                    }
                    None => index as f64,
                };
                Self::List {
                    ordered: numbers.is_some(),
                    values: (0..values.len())
                        .map(|i| (values[i].clone(), coordinate(i)))
                        .collect(),
                }
            }
            Domain::Int(range) => {
                let (low, high) = range.ends();
                Self::Range {
                    low: low as f64,
                    high: high as f64,
                    scale: range.scale(),
                }
            }
            Domain::Float(range) => {
                let (low, high) = range.ends();
                Self::Range {
                    low,
                    high,
                    scale: range.scale(),
                }
            }
        }
    }

    fn coordinate(&self, value: &Value) -> Option<f64> {
        match self {
            Self::List { values, .. } => {
                let known = values.iter().find(|(known, _)| known == value)?;
                Some(known.1)
            }
            Self::Range { low, high, scale } => {
                let number = value.number()?;
                let share = match scale {
                    Scale::Linear => (number - low) / (high - low),
                    Scale::Log => (number / low).ln() / (high / low).ln(),
                };
                // A range of one number has no width.
                Some(if share.is_finite() {
                    share.clamp(0.0, 1.0)
                } else {
                    0.0
                })
            }
        }
    }
}
