//! Curves in words, and as lines of blocks.

use super::phrase::{clean, figures};
use crate::model::curve::Curve;

/// So many columns a curve takes, at most.
pub const WIDTH: usize = 16;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// At most so many of the items at equal distances, the first and the last
/// among them.
pub fn spread<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    if items.len() <= most || most < 2 {
        return items.to_vec();
    }
    let last = items.len() - 1;
    let place = |index: usize| items[index * last / (most - 1)];
    (0..most).map(place).collect()
}

/// A curve as a line of blocks, from its least value to its greatest; empty for
/// one point.
pub fn sparkline(curve: &Curve) -> String {
    let points = spread(&curve.points, WIDTH);
    let values = points.iter().map(|point| point.value.get());
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let greatest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if points.len() < 2 {
        return String::new();
    }
    let block = |value: f64| {
        // Halves, since the difference of two numbers may be none.
        let share = (value / 2.0 - least / 2.0) / (greatest / 2.0 - least / 2.0);
        let index = if share.is_finite() { share * 7.0 } else { 3.0 };
        BLOCKS[(index.round() as usize).min(7)]
    };
    values.map(block).collect()
}

/// How far a curve is: `step 340 of 1000`.
pub fn place(curve: &Curve) -> String {
    let shown = |number: f64| figures(number, 9);
    let at = curve.last().map(|point| shown(point.at.get()));
    let of = curve.of.map(|of| format!(" of {}", shown(of.get())));
    format!("step {}{}", at.unwrap_or_default(), of.unwrap_or_default())
}

/// Where a run is, by the curve that has come furthest.
pub fn furthest<'a>(curves: impl Iterator<Item = &'a Curve>) -> Option<&'a Curve> {
    let at = |curve: &Curve| curve.last().map_or(f64::NEG_INFINITY, |last| last.at.get());
    curves.max_by(|a, b| at(a).total_cmp(&at(b)))
}

/// What a metric was last: `loss 1.23`.
pub fn newest(curve: &Curve) -> String {
    let value = curve.last().map(|point| figures(point.value.get(), 4));
    format!("{} {}", clean(&curve.metric), value.unwrap_or_default())
}

/// Where a run is, and what it told last: `step 340 of 1000, loss 1.23,
/// eval_loss 0.71`; `None` where it has told nothing.
pub fn in_one_line<'a>(curves: impl Iterator<Item = &'a Curve> + Clone) -> Option<String> {
    let mut parts = vec![place(furthest(curves.clone())?)];
    parts.extend(curves.map(newest));
    Some(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::curve::Point;
    use crate::model::value::Finite;

    fn curve(metric: &str, points: &[(f64, f64)]) -> Curve {
        let finite = |number| Finite::new(number).expect("finite");
        let points = points.iter().map(|(at, value)| Point {
            at: finite(*at),
            value: finite(*value),
            sitting: 1,
        });
        Curve {
            step: "train".into(),
            run: 1,
            metric: metric.into(),
            of: Finite::new(1000.0),
            points: points.collect(),
        }
    }

    #[test]
    fn where_a_run_is() {
        let loss: Vec<_> = (1..=34)
            .map(|n| (f64::from(n) * 10.0, 50.0 / f64::from(n)))
            .collect();
        let curves = [curve("loss", &loss), curve("eval", &[(300.0, 0.714_28)])];
        assert_eq!(
            in_one_line(curves.iter()).as_deref(),
            Some("step 340 of 1000, loss 1.471, eval 0.7143")
        );
        assert_eq!(newest(&curves[1]), "eval 0.7143");
        assert_eq!(sparkline(&curves[0]), "█▃▂▂▂▁▁▁▁▁▁▁▁▁▁▁");
        assert_eq!(in_one_line([].iter()), None);
    }

    #[test]
    fn lines_of_blocks() {
        let drawn = |values: &[f64]| {
            let points = values.iter().enumerate();
            let points: Vec<_> = points.map(|(at, value)| (at as f64, *value)).collect();
            sparkline(&curve("a", &points))
        };
        assert_eq!(drawn(&[0.0, 1.0, 0.5]), "▁█▅");
        assert_eq!(drawn(&[2.0, 2.0]), "▄▄");
        assert_eq!(drawn(&[2.0]), "");
        assert_eq!(drawn(&[f64::MAX, f64::MIN]), "█▁");
        assert_eq!(spread(&[1, 2, 3, 4, 5, 6, 7], 3), [1, 4, 7]);
    }
}
