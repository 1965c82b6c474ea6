//! Whether the difference of two trials is more than noise.
//!
//! Welch's test, which does not suppose that both vary equally (B. L. Welch,
//! The generalization of "Student's" problem when several different population
//! variances are involved, Biometrika 34, 1947). It supposes that the runs of
//! a trial are independent, and that their mean is about normal.
//!
//! A trial that was picked as the best of many was also lucky: its gain is
//! overstated by about what the noise of one trial is, and the interval here does
//! not allow for that.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::model::metric::{Direction, Objective, Summary};

/// The share of cases in which an [`Interval`] holds the true value.
pub const CONFIDENCE: f64 = 0.95;

/// A value with the interval that holds the true one with [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What the runs of two trials tell about their true means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The new mean less the old one, in the metric's unit.
    pub difference: Interval,
    /// By how much the new one is better as a share of the old one: 0.2 is
    /// 20 % better, whichever way is better. `None` unless both means are
    /// above 0.
    pub gain: Option<Interval>,
    /// Degrees of freedom by Welch and Satterthwaite; infinite when neither
    /// trial varies.
    pub freedom: f64,
}

impl Comparison {
    /// Whether the difference is more than noise: noise alone gives
    /// such a one in fewer than 1 - [`CONFIDENCE`] of all cases. Told by the
    /// interval that people see, so that the two never contradict each other.
    pub fn is_clear(&self) -> bool {
        let shown = self.gain.unwrap_or(self.difference);
        shown.low > 0.0 || shown.high < 0.0
    }
}

/// Compares two trials by the summaries of their runs. `None`, which is to say
/// "cannot tell", unless each has two runs at least.
///
/// The interval of the gain is made on the scale of logarithms, where a ratio
/// is a difference: var(ln mean) is about spread² / (count · mean²) by the
/// delta method (L. V. Hedges, J. Gurevitch and P. S. Curtis, The meta-analysis
/// of response ratios in experimental ecology, Ecology 80, 1999, equation 1),
/// here with Student's t instead of the normal quantile since trials have few
/// runs. It is never below -100 %, and swapping the trials inverts it.
///
/// Where no run of either trial differs from its mean, the difference is taken
/// as exact: the interval is a point.
pub fn compare(objective: &Objective, old: &Summary, new: &Summary) -> Option<Comparison> {
    let (old_error, new_error) = (Error::of_mean(old)?, Error::of_mean(new)?);
    let estimate = new.mean - old.mean;
    let error = old_error.plus(new_error);
    let half = error.half_width()?;
    Some(Comparison {
        difference: finite(estimate, estimate - half, estimate + half)?,
        gain: gain(objective.direction, (old, old_error), (new, new_error)),
        freedom: error.freedom,
    })
}

fn gain(
    direction: Direction,
    (old, old_error): (&Summary, Error),
    (new, new_error): (&Summary, Error),
) -> Option<Interval> {
    if old.mean <= 0.0 || new.mean <= 0.0 {
        return None;
    }
    let error = old_error
        .of_logarithm(old.mean)
        .plus(new_error.of_logarithm(new.mean));
    let half = error.half_width()?;
    let log = new.mean.ln() - old.mean.ln();
    let share = |log: f64| log.exp_m1();
    match direction {
        Direction::Maximize => finite(share(log), share(log - half), share(log + half)),
        Direction::Minimize => finite(-share(log), -share(log + half), -share(log - half)),
    }
}

fn finite(estimate: f64, low: f64, high: f64) -> Option<Interval> {
    let all = estimate.is_finite() && low.is_finite() && high.is_finite();
    all.then_some(Interval {
        estimate,
        low,
        high,
    })
}

/// The squared standard error of an estimate, and what it is known from.
#[derive(Clone, Copy)]
struct Error {
    variance: f64,
    freedom: f64,
}

impl Error {
    fn of_mean(summary: &Summary) -> Option<Self> {
        let spread = summary.spread?;
        (summary.count > 1).then(|| Self {
            variance: spread * spread / f64::from(summary.count),
            freedom: f64::from(summary.count - 1),
        })
    }

    fn of_logarithm(self, mean: f64) -> Self {
        Self {
            variance: self.variance / mean / mean,
            ..self
        }
    }

    /// The error of a difference; its degrees of freedom by F. E. Satterthwaite,
    /// An approximate distribution of estimates of variance components,
    /// Biometrics Bulletin 2, 1946.
    fn plus(self, other: Self) -> Self {
        let variance = self.variance + other.variance;
        // In shares of the whole, so that no square runs over.
        let (a, b) = (self.variance / variance, other.variance / variance);
        Self {
            variance,
            freedom: if variance > 0.0 {
                1.0 / (a * a / self.freedom + b * b / other.freedom)
            } else {
                f64::INFINITY
            },
        }
    }

    fn student(self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.freedom).ok()
    }

    fn half_width(self) -> Option<f64> {
        if self.variance == 0.0 {
            return Some(0.0);
        }
        let quantile = self.student()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
        Some(quantile * self.variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::value::Finite;

    fn summary(numbers: &[f64]) -> Summary {
        Summary::of(numbers.iter().filter_map(|n| Finite::new(*n))).expect("numbers")
    }

    fn objective(direction: Direction) -> Objective {
        Objective {
            metric: "m".into(),
            direction,
        }
    }

    fn near(found: f64, expected: f64) {
        let scale = expected.abs().max(1e-3);
        assert!(
            (found - expected).abs() < 1e-9 * scale,
            "{found} {expected}"
        );
    }

    /// Student's sleep data, as R has it: `t.test(extra ~ group)` and
    /// `scipy.stats.ttest_ind(b, a, equal_var=False)` of SciPy 1.17.
    #[test]
    fn agrees_with_scipy_on_the_sleep_data() {
        let old = summary(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]);
        let new = summary(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]);
        let found = compare(&objective(Direction::Maximize), &old, &new).expect("ten runs");
        near(found.freedom, 17.776_473_516_178_488);
        near(found.difference.estimate, 1.58);
        near(found.difference.low, -0.205_483_230_711_711_37);
        near(found.difference.high, 3.365_483_230_711_710_4);
        assert!(!found.is_clear());
    }

    /// Five and three runs; the interval of the ratio with NumPy from the
    /// formula above.
    #[test]
    fn agrees_with_scipy_on_few_runs() {
        let old = summary(&[5940.43, 5871.2, 6012.9, 5899.0, 5955.5]);
        let new = summary(&[6410.0, 6502.7, 6388.8]);
        let found = compare(&objective(Direction::Maximize), &old, &new).expect("runs");
        near(found.freedom, 3.948_844_997_303_399_8);
        near(found.difference.low, 379.064_980_125_880_7);
        near(found.difference.high, 616.989_686_540_786_1);
        let gain = found.gain.expect("both above zero");
        near(gain.estimate, 0.083_902_225_465_814_38);
        near(gain.low, 0.064_040_080_169_239_62);
        near(gain.high, 0.104_135_131_998_863_93);
        assert!(found.is_clear());
    }

    #[test]
    fn one_run_cannot_tell() {
        let max = objective(Direction::Maximize);
        let (one, two) = (summary(&[1.0]), summary(&[2.0, 2.1]));
        assert_eq!(compare(&max, &one, &two), None);
        assert_eq!(compare(&max, &two, &one), None);
    }

    #[test]
    fn what_does_not_vary_is_exact() {
        let max = objective(Direction::Maximize);
        let (old, new) = (summary(&[2.0, 2.0]), summary(&[3.0, 3.0]));
        let better = compare(&max, &old, &new).expect("two runs");
        assert!(better.is_clear());
        let gain = better.gain.expect("both above zero");
        near(gain.low, 0.5);
        near(gain.high, 0.5);
        assert!(!compare(&max, &old, &old).expect("two runs").is_clear());
    }

    #[test]
    fn less_may_be_better() {
        let (old, new) = (summary(&[10.0, 10.2, 9.8]), summary(&[8.0, 8.1, 7.9]));
        let found = compare(&objective(Direction::Minimize), &old, &new).expect("runs");
        let gain = found.gain.expect("both above zero");
        near(gain.estimate, 0.2);
        assert!(gain.low < 0.2 && 0.2 < gain.high);
        assert!(found.difference.estimate < 0.0);
    }

    #[test]
    fn a_ratio_needs_means_above_zero() {
        let (old, new) = (summary(&[-1.0, -1.1]), summary(&[2.0, 2.1]));
        let found = compare(&objective(Direction::Maximize), &old, &new).expect("runs");
        assert_eq!(found.gain, None);
    }

    proptest! {
        #[test]
        fn never_panics_and_always_orders(
            old in prop::collection::vec(prop::num::f64::NORMAL, 1..5),
            new in prop::collection::vec(prop::num::f64::NORMAL, 1..5),
        ) {
            let max = objective(Direction::Maximize);
            if let Some(found) = compare(&max, &summary(&old), &summary(&new)) {
                prop_assert!(found.difference.low <= found.difference.high);
            }
        }

        #[test]
        fn an_interval_holds_its_estimate(
            old in prop::collection::vec(1.0f64..1e6, 2..9),
            new in prop::collection::vec(1.0f64..1e6, 2..9),
        ) {
            for direction in [Direction::Maximize, Direction::Minimize] {
                let found = compare(&objective(direction), &summary(&old), &summary(&new));
                let found = found.expect("ordinary numbers can be compared");
                for interval in [Some(found.difference), found.gain].into_iter().flatten() {
                    prop_assert!(interval.low <= interval.estimate);
                    prop_assert!(interval.estimate <= interval.high);
                }
                // Which of the two is the old one decides nothing.
                let other = compare(&objective(direction), &summary(&new), &summary(&old));
                let other = other.expect("ordinary numbers can be compared");
                prop_assert_eq!(found.is_clear(), other.is_clear());
            }
        }
    }
}
