//! The files are read by whatever read the old ones, and old ones are read.

use std::fs;

use serde_json::{Value as Json, json};

use crate::Repo;
use crate::support::{code, said};

/// Whether a value is of a type.
type Check = fn(&Json) -> bool;

/// The fields of a line as the reference writes them: name, type, and in which
/// phases (`None` is a busy port) it must be there.
const FIELDS: [(&str, Check, &[Option<&str>]); 18] = {
    const STARTUP: Option<&str> = Some("startup");
    const EVAL: Option<&str> = Some("eval");
    const ALL: &[Option<&str>] = &[None, STARTUP, EVAL];
    const RUN: &[Option<&str>] = &[STARTUP, EVAL];
    [
        ("ts", is_time, ALL),
        ("trial_key", Json::is_string, ALL),
        ("status", Json::is_string, ALL),
        ("params", is_texts, ALL),
        ("phase", Json::is_string, RUN),
        ("param_under_test", Json::is_string, RUN),
        ("reason", Json::is_string, &[None]),
        ("health", is_text_or_null, RUN),
        ("exit_code", is_whole_or_null, &[STARTUP]),
        ("startup_s", Json::is_number, &[STARTUP]),
        ("eval_ok_n", Json::is_u64, &[EVAL]),
        ("eval_runs", Json::is_array, &[EVAL]),
        ("avg_accuracy", is_number_or_null, &[EVAL]),
        ("avg_total_tps", is_number_or_null, &[EVAL]),
        ("avg_answer_tps", is_number_or_null, &[EVAL]),
        ("avg_total_time_s", is_number_or_null, &[EVAL]),
        ("server_log", Json::is_string, RUN),
        ("total_s", Json::is_number, &[EVAL]),
    ]
};

fn is_time(value: &Json) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 19 && text.parse::<jiff::civil::DateTime>().is_ok()
}

fn is_texts(value: &Json) -> bool {
    let object = value.as_object();
    object.is_some_and(|object| object.values().all(Json::is_string))
}

fn is_text_or_null(value: &Json) -> bool {
    value.is_string() || value.is_null()
}

fn is_whole_or_null(value: &Json) -> bool {
    value.is_i64() || value.is_null()
}

fn is_number_or_null(value: &Json) -> bool {
    value.is_number() || value.is_null()
}

/// Reads a line as a program would that was written for the reference's.
fn read_as_before(repo: &Repo, line: &Json) {
    let phase = line.get("phase").and_then(Json::as_str);
    for (field, is_right, phases) in FIELDS {
        let value = line.get(field);
        assert_eq!(
            value.is_some(),
            phases.contains(&phase),
            "{field} in {line}"
        );
        assert!(value.is_none_or(is_right), "{field} in {line}");
    }
    let params = line["params"].as_object().expect("an object");
    let mut pairs: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().expect("text")))
        .collect();
    pairs.sort();
    assert_eq!(line["trial_key"], pairs.join("|"));
    if let Some(log) = line["server_log"].as_str() {
        assert!(repo.file(log).exists(), "{log} is relative to the repo");
    }
    let runs = line["eval_runs"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let good = runs.iter().filter(|run| run["ok"] == true);
    if phase == Some("eval") {
        assert_eq!(line["eval_ok_n"], good.clone().count());
    }
    for (run, number) in runs.iter().zip(1..) {
        assert_eq!(run["i"], number, "{run}");
        if run["ok"] == true {
            let numbers = [
                "accuracy",
                "answer_tps",
                "total_tps",
                "total_time_s",
                "elapsed_s",
            ];
            assert!(numbers.iter().all(|field| run[field].is_number()), "{run}");
            assert_eq!(run["returncode"], 0);
        } else {
            let error = run["error"].is_string();
            assert!(run["timeout"] == true || error, "{run}");
        }
    }
    let mean = |field: &str| {
        let values: Vec<f64> = good.clone().filter_map(|run| run[field].as_f64()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    for field in ["accuracy", "total_tps", "answer_tps", "total_time_s"] {
        let (found, expected) = (line[format!("avg_{field}")].as_f64(), mean(field));
        let differs = found
            .zip(expected)
            .is_some_and(|(a, b)| (a - b).abs() > 1e-9);
        assert!(
            found.is_some() == expected.is_some() && !differs,
            "{field} of {line}"
        );
    }
}

#[test]
fn every_field_is_where_it_was() {
    let repo = Repo::new();
    let output = repo.tune(&[], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let results = repo.results("tune_results.jsonl");
    results.iter().for_each(|line| read_as_before(&repo, line));
    let seen = |status: &str| {
        let mut lines = results.iter().filter(|line| line["status"] == status);
        lines
            .next()
            .unwrap_or_else(|| panic!("no line has {status}"))
    };
    assert_eq!(seen("ok")["phase"], "eval");
    assert_eq!(seen("partial")["phase"], "eval");
    assert_eq!(seen("partial")["eval_ok_n"], 1);
    assert_eq!(seen("failed")["phase"], "eval");
    assert_eq!(seen("failed")["avg_accuracy"], Json::Null);
    assert_eq!(seen("crashed")["phase"], "startup");
    assert_eq!(seen("crashed")["exit_code"], 3);
    assert_eq!(seen("timeout")["phase"], "startup");
    let log = seen("crashed")["server_log"].as_str().expect("a path");
    assert!(repo.read(log).contains("CUDA out of memory"));

    let text = repo.read("best_params.json");
    let best: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&text).expect("an object of strings");
    let lines: Vec<String> = best
        .iter()
        .map(|(name, value)| format!("  {}: {}", json!(name), json!(value)))
        .collect();
    assert_eq!(
        text,
        format!("{{\n{}\n}}\n", lines.join(",\n")),
        "sorted, indented by 2"
    );
    let status: Json = serde_json::from_str(&repo.read("tune_status.json")).expect("JSON");
    assert!(is_time(&status["ts"]), "{status}");
    assert_eq!(status["phase"], "done");
    assert_eq!(status["best_params"], json!(best));
}

/// What the reference has left: a good trial, one that went half well, one
/// that crashed, a busy port, a line of somebody's editor, and half a line.
fn old_results(repo: &Repo) -> Vec<String> {
    let spec = repo.autotuned(&["plan", "--preset", "serving-env", "--first", "4"], &[]);
    assert_eq!(code(&spec), 0);
    let base = [
        ("FREQUENCY_PENALTY", "0.1"),
        ("GPU_MEMORY_UTILIZATION", "0.97"),
        ("HARD_CODE_MIN_HITS", "1"),
        ("LONG_ANSWER_ENABLE_DEFAULT", "1"),
        ("LONG_ANSWER_MIN_HITS", "1"),
        ("MAX_MODEL_LEN", "1024"),
        ("MAX_NEW_TOKENS", "64"),
        ("MAX_NEW_TOKENS_CODE", "192"),
        ("MAX_NEW_TOKENS_CODE_HARD", "192"),
        ("MAX_NEW_TOKENS_CODE_SOFT", "96"),
        ("OUTPUT_MAX_SENTENCES", "6"),
        ("OUTPUT_TRIM_EXAMPLES", "1"),
        ("REPETITION_PENALTY", "1.05"),
        ("STOP_ON_DOUBLE_NEWLINE", "0"),
        ("STOP_STRINGS", "<|im_end|>,<|endoftext|>"),
        ("VLLM_MAX_NUM_BATCHED_TOKENS", "131072"),
        ("VLLM_MAX_NUM_SEQS", "1024"),
    ];
    let line = |status: &str, gpu: &str, extra: Json| {
        let mut params: serde_json::Map<String, Json> = base
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        params["GPU_MEMORY_UTILIZATION"] = json!(gpu);
        let mut line = json!({
            "ts": "2026-03-01T12:00:00", "trial_key": "", "status": status, "phase": "eval",
            "param_under_test": "GPU_MEMORY_UTILIZATION", "params": params, "health": "HTTP 200",
        });
        let line = line.as_object_mut().expect("an object");
        line.extend(extra.as_object().expect("an object").clone());
        json!(line).to_string()
    };
    let run = |i: u32| {
        json!({"i": i, "ok": true, "returncode": 0, "accuracy": 0.9, "answer_tps": 1.0,
               "total_tps": 99_999.0, "total_time_s": 1.7, "elapsed_s": 9.0})
    };
    let bad = json!({"i": 2, "ok": false, "timeout": true});
    vec![
        line(
            "ok",
            "0.97",
            json!({"eval_ok_n": 2, "eval_runs": [run(1), run(2)]}),
        ),
        line(
            "partial",
            "0.98",
            json!({"eval_ok_n": 1, "eval_runs": [run(1), bad]}),
        ),
        "# looked at by hand".to_owned(),
        line(
            "crashed",
            "0.99",
            json!({"phase": "startup", "exit_code": 1, "startup_s": 9.0}),
        ),
        line(
            "failed",
            "0.965",
            json!({"reason": "port 8000 still in use before start"}),
        ),
        r#"{"ts": "2026-03-01T12:0"#.to_owned(),
    ]
}

#[test]
fn old_results_are_history() {
    let repo = Repo::new();
    let lines = old_results(&repo);
    repo.write("tune_results.jsonl", &lines.join("\n"));
    let before = repo.names();
    let plan = said(&repo.autotuned(&["plan", "--preset", "serving-env"], &[]));
    let counted = "\nafter 3 trials that tune_results.jsonl has\n";
    assert!(plan.contains(counted), "{plan}");
    let partial = "\n   2  GPU_MEMORY_UTILIZATION=0.98 (begun)\n";
    assert!(plan.contains(partial), "{plan}");
    assert!(
        plan.lines().all(|line| line.chars().count() <= 80),
        "{plan}"
    );
    assert_eq!(repo.names(), before, "a plan changes nothing");

    let output = repo.tune(&[], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("line 3") && said.contains("line 6"), "{said}");
    let mut notes = said.lines().take_while(|line| !line.is_empty());
    assert_eq!(notes.find(|line| line.chars().count() > 80), None);
    assert!(said.contains("it is half a line"), "{said}");
    assert!(
        !repo.names().iter().any(|name| name.contains(".old")),
        "{said}"
    );
    let damaged = repo.read("tune_results.jsonl.damaged");
    assert_eq!(damaged, format!("{}\n{}\n", lines[2], lines[5]));
    // The old lines stand where they stood, less the torn one.
    let text = repo.read("tune_results.jsonl");
    let mut whole = text.lines();
    assert!(
        lines[..5].iter().all(|line| whole.next() == Some(line)),
        "{text}"
    );
    let new: Vec<Json> = whole
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // The partial one first, with the good run that it had.
    assert_eq!(new[0]["params"]["GPU_MEMORY_UTILIZATION"], "0.98");
    let of = |gpu: &str| {
        let lines = new
            .iter()
            .filter(|line| line["params"]["GPU_MEMORY_UTILIZATION"] == gpu);
        let names = lines.filter(|line| line["param_under_test"] == "GPU_MEMORY_UTILIZATION");
        names.count()
    };
    assert_eq!(of("0.99"), 0, "it is known that it crashes");
    // Nothing is as good as what was measured long ago: it stays the best.
    let best: Json = serde_json::from_str(&repo.read("best_params.json")).expect("JSON");
    assert_eq!(best["VLLM_MAX_NUM_SEQS"], "1024");
    let imported = fs::read_to_string(repo.file("tune_results.jsonl.imported")).expect("kept");
    assert_eq!(imported.lines().count(), 5);
}
