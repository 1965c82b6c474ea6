//! How much runs of one number share.
//!
//! Run 3 of one trial and run 3 of another may have the same cause: the same
//! data in the same order, the same seed. With `y = m + s + c_k + e`, where `k` is
//! the run's number, the deviations of runs from the mean of their sitting have
//! no `m` and no `s` in them; what deviations of the same number have in common
//! over different sittings is `c`. Its variance is found by the method of
//! moments: the products of deviations of all pairs of sittings, by what a
//! variance of 1 would make of them. That is the trace of the product of the
//! two centring matrices, whose sum over all pairs is that of the square of
//! their sum, less those of a sitting with itself.

use super::trial::Trial;

/// Runs beyond this number are left out.
const NUMBERS: usize = 8;

/// Sums over the sittings of a study, for one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shared {
    plain: Deviations,
    /// Of the logarithms of amounts.
    log: Deviations,
    /// Of the centring matrices.
    centring: [[f64; NUMBERS]; NUMBERS],
    /// Degrees of freedom within sittings.
    freedom: f64,
}

/// Deviations from the mean of a sitting.
#[derive(Clone, Debug, Default, PartialEq)]
struct Deviations {
    /// Their sum, for each number.
    sums: [f64; NUMBERS],
    /// The sum of their squares.
    squares: f64,
}

impl Deviations {
    fn add(&mut self, runs: &[(usize, f64)], sign: f64) {
        let mean = runs.iter().map(|(_, value)| value).sum::<f64>() / runs.len() as f64;
        for (number, value) in runs {
            self.sums[*number] += sign * (value - mean);
            self.squares += sign * (value - mean).powi(2);
        }
    }
}

impl Shared {
    /// Adds the good runs of a trial, or takes them out again with a `sign` of
    /// -1.
    pub(super) fn add(&mut self, trial: &Trial, metric: &str, sign: f64) {
        let mut runs: Vec<(u32, usize, f64)> = Vec::new();
        for run in trial.runs.iter().filter(|run| run.is_good()) {
            let found = run.metrics.iter().find(|(name, _)| &**name == metric);
            let number = (run.number as usize).checked_sub(1);
            if let (Some((_, value)), Some(number)) = (found, number)
                && number < NUMBERS
            {
                runs.push((run.sitting, number, value.get()));
            }
        }
        for sitting in runs.chunk_by(|a, b| a.0 == b.0) {
            let count = sitting.len() as f64;
            if sitting.len() < 2 {
                continue;
            }
            let plain: Vec<_> = sitting.iter().map(|(_, k, value)| (*k, *value)).collect();
            let log = |value: f64| value.abs().max(f64::MIN_POSITIVE).ln();
            let logs: Vec<_> = plain.iter().map(|(k, value)| (*k, log(*value))).collect();
            self.plain.add(&plain, sign);
            self.log.add(&logs, sign);
            for (a, _) in &plain {
                for (b, _) in &plain {
                    let own = if a == b { 1.0 } else { 0.0 };
                    self.centring[*a][*b] += sign * (own - 1.0 / count);
                }
            }
            self.freedom += sign * (count - 1.0);
        }
    }

    /// The share of the variance within sittings that runs of one number share,
    /// 0 to 1: what was found less its standard error where there is none, so
    /// that nothing is made of what chance makes alike.
    pub(super) fn share(&self, log: bool) -> f64 {
        let found = if log { &self.log } else { &self.plain };
        let squares = |sums: &[f64]| sums.iter().map(|sum| sum * sum).sum::<f64>();
        let weight = self.centring.iter().map(|row| squares(row)).sum::<f64>() - self.freedom;
        let variance = found.squares / self.freedom;
        let error = (2.0 / weight).sqrt();
        let share = (squares(&found.sums) - found.squares) / weight / variance - error;
        // Sums from which all was taken out again are not quite 0.
        if weight > 0.5 && share > 0.0 {
            share.min(0.9)
        } else {
            0.0
        }
    }
}
