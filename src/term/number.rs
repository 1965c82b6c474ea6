//! Numbers for people.

/// The figures of a number that stands alone.
pub const FIGURES: u32 = 4;

/// The most figures after the point.
const MOST_DECIMALS: i32 = 12;

/// A number with `figures` significant figures, of which trailing zeros after
/// the point are left out: `0.9731`, `12346`, `1.2e-5`. No figure before the
/// point is lost. What is not finite is `–`.
pub fn significant(number: f64, figures: u32) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    let figures = figures.clamp(1, 17) as i32;
    let power = power(number);
    if (-3..9).contains(&power) {
        let decimals = (figures - 1 - power).clamp(0, MOST_DECIMALS);
        return trim(&fixed(number, decimals)).to_owned();
    }
    let shown = format!("{number:.*e}", (figures - 1) as usize);
    match shown.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trim(digits)),
        None => shown,
    }
}

/// A share as a signed change in percent: 0.341 is `+34.1 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        return "–".to_owned();
    }
    let decimals = i32::from(percent.abs() < 999.95);
    let shown = fixed(percent, decimals);
    let is_zero = shown.chars().all(|c| matches!(c, '0' | '.'));
    let sign = if percent > 0.0 && !is_zero { "+" } else { "" };
    format!("{sign}{shown} %")
}

/// A mean with its spread, which has two significant figures and decides how
/// many the mean has: `0.8815 ± 0.0021`, `5940 ± 12`. A mean without a spread,
/// or with none to see, has [`FIGURES`].
pub fn mean_spread(mean: f64, spread: Option<f64>) -> String {
    let Some(spread) = spread.filter(|spread| spread.is_finite() && mean.is_finite()) else {
        return significant(mean, FIGURES);
    };
    let spread = spread.abs();
    if spread == 0.0 {
        return format!("{} ± 0", significant(mean, FIGURES));
    }
    let largest = power(mean.abs().max(spread));
    if (-3..9).contains(&largest) {
        let decimals = (1 - power(spread)).clamp(0, MOST_DECIMALS);
        return format!("{} ± {}", fixed(mean, decimals), fixed(spread, decimals));
    }
    // 10 to a power that is no number itself is divided by in two steps.
    let scaled = |number: f64| number / 10f64.powi(largest / 2) / 10f64.powi(largest - largest / 2);
    let (mean, spread) = (scaled(mean), scaled(spread));
    let decimals = (1 - power(spread)).clamp(0, MOST_DECIMALS);
    let (mean, spread) = (fixed(mean, decimals), fixed(spread, decimals));
    format!("({mean} ± {spread})e{largest}")
}

/// The power of ten of the first figure.
fn power(number: f64) -> i32 {
    let shown = format!("{number:e}");
    let exponent = shown.split_once('e').map(|(_, exponent)| exponent.parse());
    exponent.and_then(Result::ok).unwrap_or(0)
}

/// With that many figures after the point; never `-0`.
fn fixed(number: f64, decimals: i32) -> String {
    let shown = format!("{number:.*}", decimals.max(0) as usize);
    match shown.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        _ => shown,
    }
}

fn trim(shown: &str) -> &str {
    if shown.contains('.') {
        shown.trim_end_matches('0').trim_end_matches('.')
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn significant_figures() {
        let cases = [
            (12_345.6, "12346"),
            (0.973_12, "0.9731"),
            (1.2e-5, "1.2e-5"),
            (5940.43, "5940"),
            (594.043, "594"),
            (59.4043, "59.4"),
            (1.0, "1"),
            (0.5, "0.5"),
            (-0.25, "-0.25"),
            (0.0, "0"),
            (-0.0, "0"),
            (0.001_234_5, "0.001234"),
            (9.9999, "10"),
            (1e9, "1e9"),
            (123_456_789.0, "123456789"),
            (6.022e23, "6.022e23"),
            (f64::NAN, "–"),
            (f64::NEG_INFINITY, "–"),
        ];
        for (number, expected) in cases {
            assert_eq!(significant(number, FIGURES), expected, "{number}");
        }
        assert_eq!(significant(2.0 / 3.0, 2), "0.67");
    }

    #[test]
    fn percents() {
        let cases = [
            (0.341, "+34.1 %"),
            (-0.02, "-2.0 %"),
            (0.0, "0.0 %"),
            (-0.000_01, "0.0 %"),
            (0.000_01, "0.0 %"),
            (9.9994, "+999.9 %"),
            (12.0, "+1200 %"),
            (f64::INFINITY, "–"),
        ];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected, "{share}");
        }
    }

    #[test]
    fn means_show_what_the_spread_leaves_sure() {
        let cases = [
            (0.881_53, Some(0.002_14), "0.8815 ± 0.0021"),
            (5940.43, Some(12.34), "5940 ± 12"),
            (5940.43, Some(123.4), "5940 ± 123"),
            (5940.43, Some(1.234), "5940.4 ± 1.2"),
            (1.234e-5, Some(2.1e-7), "(1.234 ± 0.021)e-5"),
            (5.0, Some(20.0), "5 ± 20"),
            (5940.43, None, "5940"),
            (5940.43, Some(0.0), "5940 ± 0"),
            (5940.43, Some(f64::NAN), "5940"),
            (0.0, Some(0.5), "0.00 ± 0.50"),
        ];
        for (mean, spread, expected) in cases {
            assert_eq!(mean_spread(mean, spread), expected);
        }
    }

    proptest! {
        #[test]
        fn every_number_is_shown_closely(number in proptest::num::f64::ANY, figures in 0u32..20) {
            let shown = significant(number, figures);
            if number.is_finite() && figures >= 4 {
                let read: f64 = shown.parse().expect("a number");
                let error = (read - number).abs();
                prop_assert!(!error.is_finite() || error <= number.abs() * 1e-3, "{shown}");
            }
            prop_assert!(!percent(number).is_empty());
            prop_assert!(!mean_spread(number, Some(number / 3.0)).is_empty());
            prop_assert!(!mean_spread(number / 1e300, Some(number)).is_empty());
        }
    }
}
