//! Which numbers count, and what is fixed in the code: faults 12 to 14.

use serde_json::{Value as Json, json};

use crate::support::Study;

/// A study whose evaluator prints `score=` and the value of `V`.
fn values(values: &str, direction: &str, metric: &str, print: &str) -> Study {
    Study::new(&format!(
        r#"
        [study]
        name = "values"
        pass_env = ["PIDS"]
        [objective]
        {direction} = "score"
        [space]
        V = [{values}]
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 2
        command = ["{{child}}", "run", "--print", '''{print}''']
        metrics.score = {metric}
        "#
    ))
}

const PATTERN: &str = r"'score=(\S+)'";

/// The reference took NaN and infinity for scores, read `1.2.3` as far as it
/// could or crashed, and knew no comma.
#[test]
fn only_finite_numbers_count() {
    for direction in ["maximize", "minimize"] {
        let odd = r#""7", "nan", "NaN", "inf", "-inf", "Infinity", "1.2.3", "1,5", "1e999", """#;
        let study = values(odd, direction, PATTERN, "score={{ V }};");
        let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
        study.write_spec(&spec.replace(r"(\S+)", "([^;]*)"));
        assert_eq!(study.finish(), 0, "{}", study.trace());
        let results = study.results();
        assert_eq!(results.len(), 10);
        assert_eq!(results[0]["avg_score"], 7.0);
        for line in &results[1..] {
            assert_eq!(line["status"], "failed", "{line}");
            assert_eq!(line["cause"], "all-runs", "{line}");
            let run = &line["eval_runs"][0];
            assert_eq!(
                (&run["ok"], &run["returncode"]),
                (&false.into(), &0.into()),
                "{line}"
            );
            let value = line["params"]["V"].as_str().expect("a text");
            let error = run["error"].as_str().expect("why");
            assert!(
                error.starts_with(&format!("score: `{value}` is not a ")),
                "{error}"
            );
        }
        let comma = results[7]["eval_runs"][0]["error"].as_str().expect("why");
        assert!(
            comma.ends_with("write it with a point and without commas"),
            "{comma}"
        );
        assert_eq!(study.best(), json!({"V": "7"}), "{direction}");
    }
}

/// The same for numbers in JSON, which some programs write without its rules.
#[test]
fn only_finite_numbers_count_in_json() {
    let odd =
        r#"'7', '"7.5"', 'NaN', 'Infinity', '"nan"', '1e999', 'null', 'true', '"1,5"', '[1]'"#;
    let study = values(
        odd,
        "maximize",
        r#"{ json = "/r/score" }"#,
        r#"{"r": {"score": {{ V }}}}"#,
    );
    assert_eq!(study.finish(), 0, "{}", study.trace());
    let results = study.results();
    let good: Vec<&Json> = results
        .iter()
        .filter(|line| line["status"] == "ok")
        .map(|line| &line["avg_score"])
        .collect();
    assert_eq!(good, [7.0, 7.5], "{}", study.trace());
    assert_eq!(
        results
            .iter()
            .filter(|line| line["status"] == "failed")
            .count(),
        8
    );
    assert_eq!(study.best(), json!({"V": "\"7.5\""}));
}

/// The reference took the first match anywhere, even where a later summary
/// corrected it. Here the last one counts, or the first where the spec says so.
#[test]
fn which_match_counts_is_said() {
    let print = "score=1 (so far)\nscore=2 score=3\nall done";
    for (metric, expected) in [
        (PATTERN.to_owned(), 3.0),
        (format!("{{ regex = {PATTERN}, match = 'last' }}"), 3.0),
        (format!("{{ regex = {PATTERN}, match = 'first' }}"), 1.0),
    ] {
        let study = values("1", "maximize", &metric, print);
        assert_eq!(study.finish(), 0, "{}", study.trace());
        assert_eq!(study.results()[0]["avg_score"], expected, "{metric}");
    }
}

/// The reference had the evaluator's command, the health path and the four
/// patterns in its code.
#[test]
fn command_path_and_patterns_can_be_set() {
    let spec = |path: &str, pattern: &str| {
        format!(
            r#"
            [study]
            name = "mine"
            pass_env = ["PIDS"]
            [objective]
            minimize = "latency"
            [space]
            N = [3]
            [[step]]
            name = "my-server"
            kind = "service"
            command = ["{{child}}", "serve", "--port", "{{port}}", "--path", "/healthz/live?deep=1"]
            ready = {{ http = "http://127.0.0.1:{{port}}{path}", timeout = "1s" }}
            [[step]]
            name = "my-eval"
            kind = "measure"
            runs = 1
            command = ["sh", "-c", "printf 'p99 latency: 12.5 ms\nanswers: %s of 4\n' $N"]
            [step.metrics]
            latency = '{pattern}'
            answers = 'answers: (\d+) of'
            "#
        )
    };
    let good = Study::new(&spec("/healthz/live?deep=1", r"p99 latency: (\S+) ms"));
    assert_eq!(good.finish(), 0, "{}", good.trace());
    let line = &good.results()[0];
    assert_eq!(
        (&line["avg_latency"], &line["avg_answers"]),
        (&json!(12.5), &json!(3.0))
    );

    let wrong_path = Study::new(&spec("/", r"p99 latency: (\S+) ms"));
    assert_eq!(wrong_path.finish(), 0, "{}", wrong_path.trace());
    assert_eq!(wrong_path.results()[0]["status"], "timeout");

    let wrong_pattern = Study::new(&spec("/healthz/live?deep=1", r"p50 latency: (\S+) ms"));
    assert_eq!(wrong_pattern.finish(), 0, "{}", wrong_pattern.trace());
    let run = &wrong_pattern.results()[0]["eval_runs"][0];
    let error = run["error"].as_str().expect("why");
    assert_eq!(
        error,
        r"latency: the pattern `p50 latency: (\S+) ms` found nothing in the output"
    );
}
