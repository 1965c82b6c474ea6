//! Tables for spreadsheets and data frames.
//!
//! A spreadsheet takes a text that begins like a formula for one, and carries it
//! out: such a text gets a `'` in front of it.

use super::record::{Head, Trial, text_of};

/// The columns that every table has, before those of metrics and parameters.
pub(super) const FIXED: [&str; 12] = [
    "trial",
    "outcome",
    "feasible",
    "best",
    "origin",
    "started",
    "ended",
    "elapsed_s",
    "startup_s",
    "runs",
    "cause",
    "failure",
];

/// What the columns of means begin with.
pub(super) const METRIC: &str = "metrics_";
/// What the columns of standard deviations begin with.
pub(super) const DEVIATION: &str = "sd_";
/// What the columns of parameters begin with, as in Optuna's own tables.
pub(super) const PARAMETER: &str = "params_";

pub(super) fn header(head: &Head) -> String {
    let fixed = FIXED.iter().map(|name| (*name).to_owned());
    let metrics = head
        .metrics
        .iter()
        .flat_map(|name| [format!("{METRIC}{name}"), format!("{DEVIATION}{name}")]);
    let params = head
        .parameters
        .iter()
        .map(|known| format!("{PARAMETER}{}", known.name));
    record(fixed.chain(metrics).chain(params))
}

pub(super) fn line(head: &Head, trial: &Trial) -> String {
    let number = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
    let truth = |truth: Option<bool>| truth.map(|t| t.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.as_deref().map(guarded).unwrap_or_default();
    let good = trial.runs.iter().filter(|run| run.fault.is_none()).count();
    let fixed = [
        trial.trial.to_string(),
        trial.outcome.clone(),
        truth(trial.feasible),
        trial.best.to_string(),
        trial.origin.clone(),
        text(&trial.started),
        text(&trial.ended),
        trial.elapsed_s.to_string(),
        number(trial.startup_s),
        good.to_string(),
        text(&trial.cause),
        text(&trial.failure),
    ];
    let metrics = head.metrics.iter().flat_map(|name| {
        let measured = trial.metrics.get(name);
        let mean = measured.map(|measured| measured.mean);
        let deviation = measured.and_then(|measured| measured.sd);
        [number(mean), number(deviation)]
    });
    let params = head.parameters.iter().map(|known| {
        let value = trial.params.get(&known.name);
        value
            .map(|value| guarded(&text_of(value)))
            .unwrap_or_default()
    });
    record(fixed.into_iter().chain(metrics).chain(params))
}

fn record(cells: impl Iterator<Item = String>) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let cells: Vec<String> = cells.collect();
    writer.write_record(&cells).expect("memory takes all");
    let bytes = writer.into_inner().expect("memory takes all");
    String::from_utf8(bytes).expect("texts stay texts")
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err()
}

fn guarded(text: &str) -> String {
    // What begins with the guard itself gets one more, so that none is lost.
    let rest = text.trim_start_matches('\'');
    if is_formula(rest) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// A text as it was before it was guarded.
pub(super) fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spreadsheet_carries_out_a_text() {
        for formula in ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "'=1"] {
            assert_eq!(guarded(formula), format!("'{formula}"));
            assert_eq!(unguarded(&guarded(formula)), formula);
        }
        for text in ["-1.5", "+3", "1e-5", "'quoted'", "a=b", "", "-inf"] {
            assert_eq!(guarded(text), text);
            assert_eq!(unguarded(text), text);
        }
    }
}
