//! `autotuned` from end to end, as its users start it: every verb as a process,
//! on studies whose steps are processes too.

#[path = "../support/mod.rs"]
mod support;

mod budgets;
mod files;
mod samplers;
mod steps;
mod verbs;

use regex::Regex;
use support::Study;

/// A study without a service, of one measure step that prints `score=`.
fn simple(sections: &str, command: &str) -> Study {
    Study::new(&spec(sections, command))
}

/// Its spec; `sections` begin within `[study]`.
fn spec(sections: &str, command: &str) -> String {
    format!(
        r#"
[study]
name = "simple"
pass_env = ["PIDS"]
{sections}
[objective]
maximize = "score"

[[step]]
name = "eval"
kind = "measure"
runs = 2
command = {command}
metrics.score = 'score=(\S+)'
"#
    )
}

/// What a user reads, without what differs from one machine or moment to the
/// next.
fn redacted(study: &Study, text: &str) -> String {
    let mut text = text.replace(study.path("").to_str().expect("a path"), "DIR/");
    text = text.replace(support::child().to_str().expect("a path"), "CHILD");
    for (pattern, instead) in [
        (r"\b\d+(\.\d+)? (ms|s)\b|\b\d+m \d\ds\b", "TIME"),
        (r"\bprocess \d+", "process PID"),
        (r"report-\d{8}-\d{6}", "report-TIME"),
        (r"127\.0\.0\.1:\d+|\bport \d+", "PORT"),
    ] {
        let pattern = Regex::new(pattern).expect("a pattern");
        text = pattern.replace_all(&text, instead).into_owned();
    }
    text
}
