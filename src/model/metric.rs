//! Measurements, their summaries, and what a study wants of them.

use std::fmt;

use super::Name;
use super::value::Finite;

/// The metrics of one run, in the order in which the spec names them.
pub type Metrics = Box<[(Name, Finite)]>;

/// The aggregate of one metric over the good runs of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many runs; at least 1.
    pub count: u32,
    /// Their arithmetic mean: what decides.
    pub mean: f64,
    /// Their sample standard deviation (divisor `count - 1`); `None` for one
    /// run, which has no spread to show.
    pub spread: Option<f64>,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// `None` when there is nothing to summarise. Mean and variance by
    /// Welford's recurrence (Technometrics 4, 1962), which does not cancel.
    pub fn of(measurements: impl IntoIterator<Item = Finite>) -> Option<Self> {
        let (mut count, mut mean, mut squares) = (0u32, 0.0, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for measurement in measurements {
            let number = measurement.get();
            count += 1;
            let step = number - mean;
            mean += step / f64::from(count);
            squares += step * (number - mean);
            min = min.min(number);
            max = max.max(number);
        }
        let spread = (count > 1).then(|| (squares / f64::from(count.saturating_sub(1))).sqrt());
        (count > 0).then_some(Self {
            count,
            mean,
            spread,
            min,
            max,
        })
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More is better.
    Maximize,
    /// Less is better.
    Minimize,
}

/// The metric that a study optimises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objective {
    /// Its name.
    pub metric: Name,
    /// Which way is better.
    pub direction: Direction,
}

impl Objective {
    /// Whether the mean `a` is strictly better than the mean `b`.
    pub fn better(&self, a: f64, b: f64) -> bool {
        match self.direction {
            Direction::Maximize => a > b,
            Direction::Minimize => a < b,
        }
    }

    /// By how much `new` is better than `old`, as a share of `old`: 0.2 is
    /// 20 % better, whichever way is better. `None` when `old` is 0.
    pub fn gain(&self, old: f64, new: f64) -> Option<f64> {
        let change = (new - old) / old.abs();
        change.is_finite().then_some(match self.direction {
            Direction::Maximize => change,
            Direction::Minimize => -change,
        })
    }
}

/// Bounds that a trial's summary must meet, both ends allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// The metric.
    pub metric: Name,
    /// The least that it may be.
    pub min: Option<Finite>,
    /// The most that it may be.
    pub max: Option<Finite>,
    /// With what confidence, 0.5 to 1, the true mean is to be within them;
    /// `None` where the mean over the runs decides.
    pub confidence: Option<Finite>,
}

impl Constraint {
    /// By how much `mean` misses the bound, in the metric's own unit; 0 when it
    /// meets it.
    pub fn violation(&self, mean: f64) -> f64 {
        let below = self.min.map_or(0.0, |min| min.get() - mean);
        let above = self.max.map_or(0.0, |max| mean - max.get());
        below.max(above).max(0.0)
    }

    /// The same as a share of the bound, so that those of several constraints
    /// can be added.
    pub fn missed_share(&self, mean: f64) -> f64 {
        let amount = self.violation(mean);
        let bound = self.min.filter(|min| mean < min.get()).or(self.max);
        let scale = bound
            .map_or(1.0, |bound| bound.get().abs())
            .max(f64::MIN_POSITIVE);
        if amount == 0.0 { 0.0 } else { amount / scale }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Some(min), Some(max)) => write!(f, "{} ≤ {} ≤ {}", min.get(), self.metric, max.get()),
            (Some(min), None) => write!(f, "{} ≥ {}", self.metric, min.get()),
            (None, Some(max)) => write!(f, "{} ≤ {}", self.metric, max.get()),
            (None, None) => write!(f, "{}", self.metric),
        }?;
        match self.confidence {
            Some(confidence) => write!(f, " with confidence {}", confidence.get()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(numbers: &[f64]) -> Option<Summary> {
        Summary::of(numbers.iter().map(|n| Finite::new(*n).expect("finite")))
    }

    #[test]
    fn mean_and_spread() {
        assert_eq!(summary(&[]), None);
        let one = summary(&[3.0]).expect("one run");
        assert_eq!((one.mean, one.spread), (3.0, None));
        let four = summary(&[2.0, 4.0, 4.0, 6.0]).expect("four runs");
        assert_eq!(four.mean, 4.0);
        let spread = four.spread.expect("four runs have one");
        assert!((spread - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!((four.min, four.max), (2.0, 6.0));
    }

    #[test]
    fn gains_count_towards_the_better() {
        let less = Objective {
            metric: "ms".into(),
            direction: Direction::Minimize,
        };
        assert_eq!(less.gain(10.0, 8.0), Some(0.2));
        assert!(less.better(8.0, 10.0));
        assert_eq!(less.gain(0.0, 8.0), None);
    }

    #[test]
    fn violations_are_amounts() {
        let floor = Constraint {
            metric: "accuracy".into(),
            min: Finite::new(0.875),
            max: None,
            confidence: None,
        };
        assert_eq!(floor.violation(0.875), 0.0);
        assert_eq!(floor.violation(0.75), 0.125);
        assert_eq!(floor.to_string(), "accuracy ≥ 0.875");
        let sure = Constraint {
            confidence: Finite::new(0.9),
            ..floor
        };
        assert_eq!(sure.to_string(), "accuracy ≥ 0.875 with confidence 0.9");
    }
}
