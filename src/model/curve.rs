//! Curves: what a run tells on its way, as a metric over its training steps.
//!
//! A program may tell a million numbers; a [`Curve`] has some two hundred of
//! them. [`Thinning`] says which, while nobody knows yet how many will come: its
//! first and its last, and between them points at equal distances where the
//! program says where it will end, else at ever larger ones, each 1/32 of the way
//! so far.

use super::Name;
use super::metric::{Direction, Metrics};
use super::value::Finite;

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The training step; where the program does not tell it, the so manieth
    /// number that it told, from 1.
    pub at: Finite,
    /// What the metric was there.
    pub value: Finite,
    /// The sitting that told it.
    pub sitting: u32,
}

/// The numbers that one run has told of one metric, at rising steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The step of the trial.
    pub step: Name,
    /// The run's number within that step.
    pub run: u32,
    /// The metric.
    pub metric: Name,
    /// The training step at which the run will end, where it says so.
    pub of: Option<Finite>,
    /// The points, one at least.
    pub points: Vec<Point>,
}

/// What a run has told at one training step.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The step of the trial.
    pub step: Name,
    /// The run's number within that step.
    pub run: u32,
    /// The sitting in which it runs.
    pub sitting: u32,
    /// See [`Point::at`].
    pub at: Finite,
    /// See [`Curve::of`].
    pub of: Option<Finite>,
    /// The metrics.
    pub metrics: Metrics,
}

impl Curve {
    /// Adds a point. What an earlier sitting told from there on is forgotten: a
    /// run that goes on from a checkpoint goes over it again, and one that
    /// begins anew over all of it.
    pub(super) fn take(&mut self, point: Point, of: Option<Finite>) {
        let is_before = |known: &Point| known.at.get() < point.at.get();
        self.points.retain(is_before);
        self.points.push(point);
        self.of = of.or(self.of);
    }

    /// The newest point.
    pub fn last(&self) -> Option<&Point> {
        self.points.last()
    }

    /// The points up to a training step.
    fn until(&self, at: f64) -> &[Point] {
        let end = self.points.partition_point(|point| point.at.get() <= at);
        &self.points[..end]
    }

    /// The value up to a training step that no other is better than.
    pub fn best_until(&self, at: f64, direction: Direction) -> Option<f64> {
        let values = self.until(at).iter().map(|point| point.value.get());
        values.reduce(|a, b| match direction {
            Direction::Maximize => a.max(b),
            Direction::Minimize => a.min(b),
        })
    }

    /// The mean up to a training step. A point stands for all steps since the
    /// one before it, so that the mean is that of what was told and not of what
    /// was kept.
    pub fn mean_until(&self, at: f64) -> Option<f64> {
        let points = self.until(at);
        let (mut mean, mut weight, mut before) = (0.0, 0.0, 0.0);
        for point in points {
            let own = point.at.get() - before;
            before = point.at.get();
            if own > 0.0 {
                weight += own;
                mean += (point.value.get() - mean) * (own / weight);
            }
        }
        // Told at step 0 alone.
        let first = points.first()?.value.get();
        Some(if weight > 0.0 { mean } else { first })
    }

    /// The value at a training step, by the last point up to there.
    pub fn value_at(&self, at: f64) -> Option<f64> {
        Some(self.until(at).last()?.value.get())
    }
}

/// Chooses the points of one curve that are kept, as they come.
#[derive(Clone, Debug, Default)]
pub struct Thinning {
    count: u64,
    kept: u64,
    /// Which was kept last.
    last: u64,
    /// The highest step that was kept.
    reached: f64,
}

impl Thinning {
    /// So many points a curve has where its program says where it ends.
    const EVEN: f64 = 200.0;
    /// The distance between two points, as a divisor of the way so far.
    const SPREAD: u64 = 32;
    /// More are never kept, whatever a program says of its end.
    const MOST: u64 = 1000;

    /// How many numbers there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether the next number, told at step `at` where it says so, of a run that
    /// ends at step `of`, is kept.
    pub fn keeps(&mut self, at: Option<f64>, of: Option<f64>) -> bool {
        self.count += 1;
        let end = at.zip(of).filter(|(at, of)| *of > 0.0 && at <= of);
        let is_far = match end {
            Some((at, of)) => at - self.reached >= of / Self::EVEN,
            None => self.count - self.last > self.last / Self::SPREAD,
        };
        if self.kept >= Self::MOST || !(is_far || self.count == 1) {
            return false;
        }
        self.kept += 1;
        self.last = self.count;
        self.reached = at.unwrap_or_default().max(self.reached);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finite(number: f64) -> Finite {
        Finite::new(number).expect("finite")
    }

    fn curve(points: &[(f64, f64)]) -> Curve {
        let mut curve = Curve {
            step: "train".into(),
            run: 1,
            metric: "loss".into(),
            of: None,
            points: Vec::new(),
        };
        for (at, value) in points {
            curve.take(point(*at, *value, 1), None);
        }
        curve
    }

    fn point(at: f64, value: f64, sitting: u32) -> Point {
        Point {
            at: finite(at),
            value: finite(value),
            sitting,
        }
    }

    fn kept(count: u64, of: Option<f64>) -> Vec<u64> {
        let mut thinning = Thinning::default();
        let keeps = |at: &u64| thinning.keeps(Some(*at as f64), of);
        (1..=count).filter(keeps).collect()
    }

    #[test]
    fn few_points_are_all_kept_and_many_are_thinned() {
        assert_eq!(kept(32, None), (1..=32).collect::<Vec<_>>());
        for (count, most) in [(1000, 150), (10_000, 230), (1_000_000, 390)] {
            let kept = kept(count, None);
            assert!(kept.len() <= most, "{count}: {}", kept.len());
            // The newest is never far behind.
            let gap = count - kept.last().expect("some");
            assert!(gap <= count / 32 + 1, "{count}: {gap}");
        }
    }

    #[test]
    fn a_run_that_says_where_it_ends_has_points_at_equal_distances() {
        let points = kept(1000, Some(1000.0));
        assert_eq!(points.len(), 200);
        assert_eq!(points[..3], [1, 6, 11]);
        assert_eq!(kept(7, Some(1000.0)), [1, 6]);
        assert_eq!(kept(40, Some(40.0)).len(), 40);
        // It says what is not so.
        assert!(kept(100_000, Some(100.0)).len() < 350);
    }

    #[test]
    fn a_program_that_turns_in_circles_keeps_a_bound() {
        let mut thinning = Thinning::default();
        let ats = (0..1_000_000_u64).map(|n| (n % 100) as f64);
        let kept = ats.filter(|at| thinning.keeps(Some(*at), Some(at + 1.0)));
        assert!(kept.count() <= 1000);
    }

    #[test]
    fn the_mean_is_that_of_what_was_told() {
        // Step by step up to 2, then only each second.
        let whole = curve(&[(1.0, 10.0), (2.0, 10.0), (4.0, 4.0), (6.0, 4.0)]);
        assert_eq!(whole.mean_until(6.0), Some(6.0));
        assert_eq!(whole.mean_until(3.0), Some(10.0));
        assert_eq!(whole.mean_until(0.5), None);
        assert_eq!(curve(&[(0.0, 3.0)]).mean_until(9.0), Some(3.0));
        assert_eq!(whole.value_at(5.0), Some(4.0));
        let best = |direction| whole.best_until(9.0, direction);
        assert_eq!(best(Direction::Maximize), Some(10.0));
        assert_eq!(best(Direction::Minimize), Some(4.0));
    }

    #[test]
    fn a_later_sitting_writes_over_what_it_goes_over_again() {
        let mut resumed = curve(&[(10.0, 3.0), (20.0, 2.0), (30.0, 1.0)]);
        resumed.take(point(20.0, 2.5, 2), Some(finite(50.0)));
        let known: Vec<f64> = resumed.points.iter().map(|p| p.value.get()).collect();
        assert_eq!(known, [3.0, 2.5]);
        resumed.take(point(1.0, 9.0, 3), None);
        assert_eq!(resumed.points.len(), 1);
        assert_eq!(resumed.of, Some(finite(50.0)));
    }
}
