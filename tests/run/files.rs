//! The files for other programs: what somebody who comes from the reference
//! tuner finds where it was.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::{Value as Json, json};

use crate::simple;
use crate::support::{Study, code, said};

/// A serving study whose evaluator prints what the reference's does.
fn serving() -> Study {
    Study::new(
        r#"
        [study]
        name = "serving"
        pass_env = ["PIDS"]
        [objective]
        maximize = "total_tps"
        [[constraint]]
        metric = "accuracy"
        min = 0.88
        [host]
        port_wait = "1ms"
        fault_wait = "1ms"
        [space]
        MAX_MODEL_LEN = ["1024", "2048", "512", "768", "64"]
        [[step]]
        name = "serve"
        kind = "service"
        command = ["sh", "-c", '''
            echo loading a model of $MAX_MODEL_LEN
            case $MAX_MODEL_LEN in
                512) echo 'ValueError: No available memory for the cache blocks'; exit 1;;
                64) exec {child} serve --port {port} --late 300000;;
            esac
            exec {child} serve --port {port}''']
        ready = { http = "http://127.0.0.1:{port}/health", timeout = "2s" }
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 2
        timeout = "2s"
        command = ["sh", "-c", '''
            [ $MAX_MODEL_LEN.{{ run }} != 768.1 ] || exit 1
            [ $MAX_MODEL_LEN.{{ run }} != 768.2 ] || exec {child} run --gate {dir}never
            echo '===== Summary [bonus] ====='
            echo "Questions: 92, OK: 92, Total time: 1.7{{ run }}s"
            echo "Accuracy (RougeL-F1 mean, RAW): 0.8815"
            echo "Tokens (prompt/answer RAW): 1907 / 8554"
            echo "Throughput RAW: answer_tokens/s=$MAX_MODEL_LEN.5, (prompt+answer)_tokens/s=5940.43"''']
        [step.metrics]
        accuracy = 'Accuracy \(RougeL-F1 mean, RAW\):\s*([0-9.]+)'
        answer_tps = 'Throughput RAW:.*answer_tokens/s=([0-9.]+)'
        total_tps = '\(prompt\+answer\)_tokens/s=([0-9.]+)'
        total_time_s = 'Total time:\s*([0-9.]+)s'
        "#,
    )
}

/// The status file as it is now; `null` before there is one.
fn status(study: &Study) -> Json {
    let text = std::fs::read_to_string(study.out("tune_status.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Times and paths differ from one run to the next.
fn steady(study: &Study, line: &Json) -> Json {
    let mut line: Json =
        serde_json::from_str(&crate::redacted(study, &line.to_string())).expect("JSON");
    for (name, instead) in [
        ("ts", json!("TS")),
        ("startup_s", json!(0.0)),
        ("total_s", json!(0.0)),
    ] {
        if let Some(field) = line.get_mut(name) {
            assert_eq!(field.is_string(), instead.is_string(), "{name}");
            *field = instead;
        }
    }
    let runs = line.get_mut("eval_runs").and_then(Json::as_array_mut);
    for run in runs.into_iter().flatten() {
        if let Some(elapsed) = run.get_mut("elapsed_s") {
            assert!(elapsed.as_f64().is_some_and(|elapsed| elapsed > 0.0));
            *elapsed = json!(0.0);
        }
    }
    line
}

#[test]
fn files_have_the_references_fields() {
    let study = serving();
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let results = study.results();
    let words: Vec<&Json> = results.iter().map(|line| &line["status"]).collect();
    assert_eq!(
        words,
        ["ok", "ok", "crashed", "failed", "timeout"],
        "{}",
        study.trace()
    );
    let is_iso = regex::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$").expect("a pattern");
    for line in &results {
        let ts = line["ts"].as_str().expect("a time");
        assert!(is_iso.is_match(ts), "{ts}");
        assert!(
            study
                .out(line["server_log"].as_str().expect("a log"))
                .exists()
        );
    }
    let lines: Vec<Json> = results.iter().map(|line| steady(&study, line)).collect();
    assert_json_snapshot!("results", lines);

    let best = std::fs::read_to_string(study.out("best_params.json")).expect("best params");
    assert_eq!(best, "{\n  \"MAX_MODEL_LEN\": \"1024\"\n}\n");
    assert_json_snapshot!("status", steady(&study, &status(&study)));
    let log =
        std::fs::read_to_string(study.out("tune_server_logs/trial_00003.log")).expect("a log");
    assert_snapshot!(log, @r"
    loading a model of 512
    ValueError: No available memory for the cache blocks
    ");
}

/// A busy port has fields of its own; the trial is not given up.
#[test]
fn a_busy_port_is_told_as_the_reference_does() {
    let study = serving();
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("fault_wait = \"1ms\"", "fault_wait = \"1h\""));
    let stranger = std::net::TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    let mut daemon = study.start();
    let status = || status(&study);
    study.wait("a busy port", || status()["phase"] == "port_busy");
    drop(stranger);
    assert_eq!(
        (&status()["trial_index"], &status()["attempt"]),
        (&json!(1), &json!(1))
    );
    let own = format!("by process {}", std::process::id());
    let line = study.results().remove(0);
    let reason = line["reason"].as_str().expect("a reason");
    assert!(reason.contains(&own), "{reason}");
    let names: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert_eq!(
        names,
        [
            "ts",
            "trial_key",
            "status",
            "params",
            "reason",
            "trial",
            "cause"
        ]
    );
    assert_eq!(status()["message"], line["reason"]);
    assert_eq!(
        (&line["status"], &line["cause"]),
        (&json!("failed"), &json!("port-taken"))
    );
    daemon.kill();
}

/// A trial's status while it runs.
#[test]
fn the_status_file_follows() {
    let command =
        r#"["{child}", "run", "--gate", "{dir}gate-{{ N }}", "--print", "score={{ N }}"]"#;
    let study = crate::simple("[space]\nN = [\"1\", \"2\"]\n", command);
    let mut daemon = study.start();
    let status = || status(&study);
    study.wait("the first trial", || status()["phase"] == "trial_start");
    assert_eq!(status()["trial_index"], 1);
    assert_eq!(status()["best_params"], Json::Null);
    study.open_gate("gate-1");
    study.wait("the second trial", || status()["trial_index"] == 2);
    let seen = status();
    assert_eq!(seen["params"], json!({"N": "2"}));
    assert_eq!(seen["trial_key"], "N=2");
    assert_eq!(seen["param"], "N");
    assert_eq!(seen["best_params"], json!({"N": "1"}));
    study.open_gate("gate-2");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(status()["phase"], "done");
}

/// `RESULTS=run1/r.jsonl`, say.
#[test]
fn files_may_have_folders_of_their_own() {
    let spec = "[space]\nN = [1, 2]\n[files]\nresults = \"run1/r.jsonl\"\n\
                best = \"b/best.json\"\nstatus = \"s/status.json\"\n";
    let command = r#"["sh", "-c", "echo score=$N"]"#;
    let study = simple(spec, command);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        !said(&output).contains("cannot be written"),
        "{}",
        said(&output)
    );
    let lines = std::fs::read_to_string(study.out("run1/r.jsonl")).expect("results");
    assert_eq!(lines.lines().count(), 2);
    for name in ["b/best.json", "s/status.json"] {
        assert!(study.out(name).is_file(), "{name}");
    }
}
