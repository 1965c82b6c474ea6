//! The words and numbers that sentences and cells are made of.

use super::overview::Change;
pub use crate::base::text::{clean, clean_lines, cut, shell};
use crate::model::event::Event;
use crate::model::metric::{Constraint, Summary};
use crate::model::trial::{MedianReached, Pruning};
use crate::model::value::Value;
use crate::search::racing::LEVEL;

/// A number with so many significant figures and no zeros at its end: `5940`,
/// `0.8815`, `1.3e-7`. Whole numbers keep all their digits up to 10¹⁵.
pub fn figures(number: f64, figures: usize) -> String {
    if number == 0.0 || !number.is_finite() {
        return format!("{}", number + 0.0);
    }
    let magnitude = number.abs().log10().floor();
    if !(-4.0..15.0).contains(&magnitude) {
        return format!("{number:.*e}", figures.saturating_sub(1));
    }
    let decimals = (figures as f64 - 1.0 - magnitude).max(0.0) as usize;
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A share as a percentage of two figures: `8.4 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", figures(share * 100.0, 2))
}

/// A summary in short: `5936 ± 54`; the mean alone after one run.
pub fn mean_and_spread(summary: &Summary) -> String {
    let mean = figures(summary.mean, 4);
    match summary.spread {
        Some(spread) => format!("{mean} ± {}", figures(spread, 2)),
        None => mean,
    }
}

/// `1 run`, `5 runs`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Why racing has pruned a trial: `after 2 of 5 runs qps is 61.2, trial 7 has
/// 84: chance to win below 1 %`; `in part 1 of 4 of the first run qps promises
/// 61.2, …` where a run was cut; `at step 300 loss 1.4 is above the median 1.2
/// of 6 trials` where the median rule did it.
pub fn pruning(pruning: &Pruning) -> String {
    let Pruning {
        runs, of, rival, ..
    } = pruning;
    let metric = clean(&pruning.metric);
    let (mean, needed) = (figures(pruning.mean, 4), figures(pruning.needed, 4));
    if let Some(MedianReached { at, trials }) = &pruning.median {
        let at = figures(at.get(), 9);
        let side = if pruning.mean < pruning.needed {
            "below"
        } else {
            "above"
        };
        let trials = counted((*trials).into(), "trial");
        return format!("at step {at} {metric} {mean} is {side} the median {needed} of {trials}");
    }
    let so_far = match &pruning.cut {
        None => {
            let of = counted((*of).into(), "run");
            format!("after {runs} of {of} {metric} is {mean}")
        }
        Some(cut) => {
            let place = match cut.parts {
                Some(parts) => format!("after part {} of {parts}", cut.mark),
                None => format!("at line {} of the progress", cut.mark),
            };
            format!("{place} of the first run {metric} promises {mean}")
        }
    };
    let below = format!("below {}", percent(LEVEL));
    match rival {
        Some(rival) => format!("{so_far}, trial {rival} has {needed}: chance to win {below}"),
        None => format!("{so_far}, the bound is {needed}: chance to keep it {below}"),
    }
}

/// What racing has saved, where it has: `racing saved 31.5 of 120 runs`, given
/// what was run, all in runs.
pub fn saved(spent: f64, saved: f64) -> Option<String> {
    let shown = |runs: f64| (runs * 10.0).round() / 10.0;
    let (saved, all) = (shown(saved), shown(spent + saved));
    (saved > 0.0).then(|| format!("racing saved {saved} of {all} runs"))
}

/// What a channel has given up on, and why: `channel feishu has given up on 2
/// messages: it answers 404; mail tells them`. `None` for other events.
pub fn undelivered(event: &Event) -> Option<String> {
    let Event::NoticeGivenUp {
        channel,
        notices,
        reason,
        to,
    } = event
    else {
        return None;
    };
    let messages = counted(notices.len() as u64, "message");
    let taken = match &to[..] {
        [] => String::new(),
        to => format!("; {} gets them", to.join(", ")),
    };
    Some(format!(
        "channel {channel} has given up on {messages}: {}{taken}",
        clean(reason)
    ))
}

/// What a constraint asks for: `accuracy ≥ 0.88`.
pub fn constraint(constraint: &Constraint) -> String {
    clean(&constraint.to_string())
}

/// How params differ from the baseline's: `SEQS=1536, no rank`; long values
/// are cut. `the baseline's params` when they do not.
pub fn difference(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "the baseline's params".to_owned();
    }
    let one = |change: &Change| match &change.to {
        Some(value) => format!("{}={}", clean(&change.name), cut(&shown(value), 40)),
        None => format!("no {}", clean(&change.name)),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// One change in full: `SEQS: 512 → 1536`. A parameter that is not active has
/// a dash.
pub fn change(change: &Change) -> String {
    let side = |value: &Option<Value>| value.as_ref().map_or("–".to_owned(), shown);
    let (from, to) = (side(&change.from), side(&change.to));
    format!("{}: {from} → {to}", clean(&change.name))
}

/// A value as text that can be seen: quotes around what is empty or has blanks
/// at an end, escapes for control characters.
pub fn shown(value: &Value) -> String {
    let text = clean(&value.to_string());
    if text.trim() == text && !text.is_empty() {
        text
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_few_figures() {
        let cases = [
            (5940.43, "5940"),
            (123_456.7, "123457"),
            (0.881_52, "0.8815"),
            (0.88, "0.88"),
            (9.999_96, "10"),
            (-12.3456, "-12.35"),
            (0.0, "0"),
            (0.000_123_456, "0.0001235"),
            (0.000_000_123_456, "1.235e-7"),
            (1e300, "1.000e300"),
            (f64::NAN, "NaN"),
        ];
        for (number, text) in cases {
            assert_eq!(figures(number, 4), text);
        }
        assert_eq!(percent(0.083_9), "8.4 %");
        assert_eq!(percent(-0.5), "-50 %");
    }

    #[test]
    fn values_that_would_not_be_seen() {
        assert_eq!(shown(&"".into()), "\"\"");
        assert_eq!(shown(&" a".into()), "\" a\"");
        assert_eq!(shown(&"a\n\u{1b}[31mb\u{7}".into()), r"a\nb\u{7}");
        assert_eq!(clean("\u{1b}"), r"\u{1b}");
        assert_eq!(clean("\u{1b}[1;3"), "");
        assert_eq!(shown(&"句号。".into()), "句号。");
    }

    #[test]
    fn why_a_trial_was_pruned() {
        let mut found = Pruning {
            metric: "qps".into(),
            runs: 2,
            of: 5,
            mean: 61.23,
            needed: 84.0,
            rival: Some(crate::model::trial::TrialId(7)),
            chance: 1e-4,
            cut: None,
            median: None,
        };
        assert_eq!(
            pruning(&found),
            "after 2 of 5 runs qps is 61.23, trial 7 has 84: chance to win below 1 %"
        );
        found.rival = None;
        assert_eq!(
            pruning(&found),
            "after 2 of 5 runs qps is 61.23, the bound is 84: chance to keep it below 1 %"
        );
        found.runs = 0;
        found.cut = Some(crate::model::trial::Cut {
            step: "eval".into(),
            mark: 3,
            parts: Some(4),
            share: 0.75,
        });
        let rest = "of the first run qps promises 61.23, the bound is 84: \
                    chance to keep it below 1 %";
        assert_eq!(pruning(&found), format!("after part 3 of 4 {rest}"));
        found.cut.as_mut().expect("a cut").parts = None;
        let place = "at line 3 of the progress";
        assert_eq!(pruning(&found), format!("{place} {rest}"));
        found.median = Some(MedianReached {
            at: crate::model::value::Finite::new(300.0).expect("finite"),
            trials: 6,
        });
        assert_eq!(
            pruning(&found),
            "at step 300 qps 61.23 is below the median 84 of 6 trials"
        );
        found.mean = 90.0;
        assert!(pruning(&found).contains("qps 90 is above the median 84"));
        assert_eq!(
            saved(89.0, 31.0).as_deref(),
            Some("racing saved 31 of 120 runs")
        );
        assert_eq!(
            saved(88.5, 31.5).as_deref(),
            Some("racing saved 31.5 of 120 runs")
        );
        assert_eq!(saved(89.0, 0.0), None);
    }
}
