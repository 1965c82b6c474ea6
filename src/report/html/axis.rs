//! Numbers to places, and where the ticks of an axis are.

use crate::report::phrase::figures;

/// Numbers to places on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// One on which the numbers from `low` to `high` go from the place `from` to
    /// `to`, with a little room at both ends. `log` asks for numbers above 0.
    pub(super) fn new((low, high): (f64, f64), (from, to): (f64, f64), log: bool) -> Self {
        let log = log && low > 0.0;
        let (mut low, mut high) = if log {
            (low.ln(), high.ln())
        } else {
            (low, high)
        };
        let span = high - low;
        let room = match span > 0.0 {
            true => span * 0.04,
            // One number alone stands in the middle.
            false => (low.abs() * 0.05).max(0.5),
        };
        low -= room;
        high += room;
        Self {
            low,
            high,
            from,
            to,
            log,
        }
    }

    /// The place of a number.
    pub(super) fn at(&self, number: f64) -> f64 {
        let number = if self.log {
            number.max(f64::MIN_POSITIVE).ln()
        } else {
            number
        };
        let share = ((number - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// About so many round numbers, with their texts.
    pub(super) fn ticks(&self, most: usize, whole: bool) -> Vec<(f64, String)> {
        let numbers = match self.log {
            true => log_ticks(self.low.exp(), self.high.exp(), most),
            false => ticks(self.low, self.high, most, whole),
        };
        numbers
            .into_iter()
            .map(|number| (number, text(number)))
            .collect()
    }
}

/// A round number in short: `0.2`, `5000`, `3e-5`.
fn text(number: f64) -> String {
    // Without what a step too many has left at its end.
    let rounded: f64 = format!("{number:.5e}").parse().unwrap_or(number);
    match rounded.abs() {
        size if size == 0.0 || (1e-3..1e6).contains(&size) => figures(rounded, 6),
        _ => format!("{rounded:e}"),
    }
}

/// The round numbers between two, at most about so many: steps of 1, 2 or 5
/// times a power of ten.
pub(super) fn ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![low];
    }
    let rough = span / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power);
    let mut step = step
        .clone()
        .find(|step| *step >= rough)
        .unwrap_or(10.0 * power);
    if whole {
        step = step.max(1.0);
    }
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    let count = (last - first).clamp(0.0, 100.0) as usize;
    // Counted, and not added up: no tick is at 0.30000000000000004.
    (0..=count)
        .map(|index| (first + index as f64) * step)
        .filter(|tick| *tick <= high)
        .collect()
}

fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |number: &f64| (low..=high).contains(number);
    let of = |times: &[f64]| -> Vec<f64> {
        let powers = (first..=last).flat_map(|power| {
            let power = 10f64.powi(power);
            times.iter().map(move |times| times * power)
        });
        powers.filter(within).collect()
    };
    let finest = [of(&[1.0, 2.0, 5.0]), of(&[1.0, 3.0]), of(&[1.0])];
    if let Some(found) = finest
        .iter()
        .find(|found| found.len() <= most && found.len() > 1)
    {
        return found.clone();
    }
    let [fine, _, powers] = finest;
    if powers.len() > most {
        let every = powers.len().div_ceil(most.max(1));
        return powers.into_iter().step_by(every).collect();
    }
    if fine.len() > 1 {
        fine
    } else {
        vec![low, high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(
            ticks(0.0, 1.0, 5, false),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(ticks(97.0, 103.0, 4, false), [98.0, 100.0, 102.0]);
        assert_eq!(ticks(1.0, 3.0, 9, true), [1.0, 2.0, 3.0]);
        assert_eq!(ticks(-1.0, 1.0, 2, false), [-1.0, 0.0, 1.0]);
        assert_eq!(ticks(5.0, 5.0, 3, false), [5.0]);
        assert!(ticks(0.0, f64::MAX, 5, false).len() < 10);
        assert!(ticks(f64::MIN_POSITIVE, 1e-300, 5, false).len() < 10);
    }

    #[test]
    fn ticks_of_ratios() {
        let texts = |low, high, most| {
            let ticks = Scale::new((low, high), (0.0, 1.0), true).ticks(most, false);
            ticks
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(texts(1.0, 1000.0, 5), "1 10 100 1000");
        assert_eq!(texts(4.0, 64.0, 6), "5 10 20 50");
        assert_eq!(texts(1e-5, 1e-3, 6), "1e-5 3e-5 1e-4 3e-4 0.001");
    }

    #[test]
    fn places() {
        let scale = Scale::new((0.0, 100.0), (0.0, 108.0), false);
        assert_eq!(scale.at(50.0), 54.0);
        assert_eq!(scale.at(-1e9), 0.0);
        let one = Scale::new((3.0, 3.0), (0.0, 10.0), false);
        assert_eq!(one.at(3.0), 5.0);
        let log = Scale::new((1.0, 100.0), (0.0, 1.0), true);
        assert!((log.at(10.0) - 0.5).abs() < 1e-9);
    }
}
