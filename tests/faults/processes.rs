//! What a run leaves behind, and what it sees: faults 8 and 9.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::support::{Study, code, said};

/// The reference killed a run that timed out, and left its children.
#[test]
fn a_run_that_times_out_takes_its_children_along() {
    for cgroup in [true, false] {
        time_out(cgroup);
    }
}

fn time_out(cgroup: bool) {
    let spec = r#"
        [study]
        name = "hang"
        pass_env = ["PIDS"]
        [objective]
        maximize = "score"
        [host]
        cgroup = CGROUP
        [space]
        N = [1]
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 2
        timeout = "2s"
        command = ["{child}", "run", "--leave", "--gate", "{dir}never"]
        metrics.score = 'score=(\S+)'
        "#;
    let study = Study::new(&spec.replace("CGROUP", &cgroup.to_string()));
    let mut daemon = study.start();
    study.await_events("run-ended", 1);
    // The evaluator and what it has left; the second run may have begun.
    let first = &study.pids()[..2];
    let alive = study.alive();
    let left = first.iter().find(|pid| alive.contains(pid));
    assert_eq!(left, None, "{}", study.trace());
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.alive(), Vec::<i32>::new());
    let results = study.results();
    assert_eq!(results[0]["status"], "failed");
    let runs = json!([
        {"i": 1, "ok": false, "timeout": true},
        {"i": 2, "ok": false, "timeout": true},
    ]);
    assert_eq!(results[0]["eval_runs"], runs);
}

fn environment(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).expect("an environment");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The reference's evaluator did not see the trial's parameters, and both
/// programs inherited its secrets.
#[test]
fn every_step_sees_the_params_and_no_secret() {
    let study = Study::new(
        r#"
        [study]
        name = "seen"
        pass_env = ["PIDS", "HF_*"]
        [objective]
        maximize = "score"
        [base]
        MAX_MODEL_LEN = "1024"
        [space]
        MAX_MODEL_LEN = ["1024", "2048"]
        MAX_NEW_TOKENS = [32]
        [env]
        OMP_NUM_THREADS = "2"
        [[step]]
        name = "serve"
        kind = "service"
        command = ["sh", "-c", "env > {dir}serve-$MAX_MODEL_LEN; exec {child} serve --port {port}"]
        ready = { http = "http://127.0.0.1:{port}/" }
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 1
        command = ["{child}", "run", "--env", "{dir}eval-{{ MAX_MODEL_LEN }}", "--print", "score=1"]
        metrics.score = 'score=(\S+)'
        "#,
    );
    let secrets = [
        ("SMTP_PASSWORD", "hunter2-mail"),
        ("FEISHU_SECRET", "hunter2-hook"),
        ("CREDENTIALS_DIRECTORY", "/run/hunter2"),
        ("HTTPS_PROXY", "http://hunter2@proxy.invalid"),
    ];
    let mut command = study.command(&["run", "study.toml", "--output-dir", "out"]);
    command.envs(secrets).env("HF_HOME", "/models");
    let output = command.output().expect("the daemon");
    assert_eq!(code(&output), 0, "{}", said(&output));
    for step in ["serve", "eval"] {
        for length in ["1024", "2048"] {
            let seen = environment(&study.path(&format!("{step}-{length}")));
            let expected = [
                ("MAX_MODEL_LEN", length),
                ("MAX_NEW_TOKENS", "32"),
                ("OMP_NUM_THREADS", "2"),
                ("HF_HOME", "/models"),
            ];
            for (name, value) in expected {
                assert_eq!(
                    seen.get(name).map(String::as_str),
                    Some(value),
                    "{step} {name}"
                );
            }
            let leaked = seen.iter().find(|(_, value)| value.contains("hunter2"));
            assert_eq!(leaked, None, "{step}");
        }
    }
    // Nor are they in anything that is written down.
    let mut folders = vec![study.out("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).expect("a file");
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains("hunter2"), "{}", entry.path().display());
            }
        }
    }
}
