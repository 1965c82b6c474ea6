//! The confirmation of the winner from end to end: real runs from fresh starts,
//! a daemon that dies in their midst, and what users are told.

mod support;

use serde_json::{Value as Json, json};
use support::control::{ctl, good};
use support::{Study, code, said};

/// Two values; the second is better. The runs of each sitting wait at a gate of
/// its own: `gate-N-SITTING`.
const SPEC: &str = r#"
[study]
name = "confirmed"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[[constraint]]
metric = "quality"
min = 0.5
[confirm]
runs = 2
[space]
N = [1, 2]
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"]
ready = { http = "http://127.0.0.1:{port}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}-{{ sitting }}",
    "--print", "score={{ (N | int) * 100 + (sitting | int) }}",
    "--print", "quality=0.9"]
[step.metrics]
score = 'score=(\S+)'
quality = 'quality=(\S+)'
"#;

/// What is measured is; what is confirmed waits.
fn study() -> Study {
    let study = Study::new(SPEC);
    study.open_gate("gate-1-1");
    study.open_gate("gate-2-1");
    study
}

fn open(study: &Study, sittings: std::ops::RangeInclusive<u32>) {
    for sitting in sittings {
        study.open_gate(&format!("gate-1-{sitting}"));
        study.open_gate(&format!("gate-2-{sitting}"));
    }
}

/// Which trial was started with which purpose, in order.
fn started(study: &Study) -> Vec<(u64, Json)> {
    let started = study.events_of("sitting-started").into_iter();
    let started = started.map(|event| {
        let trial = event["trial"].as_u64().expect("a trial");
        (trial, event["purpose"].clone())
    });
    started.collect()
}

/// A text as if its lines had not been broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn confirm() -> Json {
    json!({"confirm": {"baseline": 1, "winner": 2}})
}

#[test]
fn a_daemon_that_dies_goes_on_with_the_confirmation() {
    let study = study();
    let mut daemon = study.start();
    study.open_gate("gate-1-2");
    // The winner's first fresh start is being measured.
    study.await_gate("gate-2-2");
    daemon.kill();
    daemon.end();
    study.await_nothing_alive();
    open(&study, 2..=9);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let trials: Vec<u64> = started(&study).iter().map(|(trial, _)| *trial).collect();
    // What was cut short is made again; then the winner is first.
    assert_eq!(trials, [1, 2, 1, 2, 2, 2, 1], "{}", study.trace());
    let purposes = started(&study).into_iter().map(|(_, purpose)| purpose);
    let purposes: Vec<Json> = purposes.collect();
    assert_eq!(purposes[..2], [Json::Null, Json::Null]);
    assert!(purposes[2..].iter().all(|purpose| *purpose == confirm()));
    // 102 and 103 against 203 and 204, whatever the search has measured.
    let told = flat(&said(&study.autotuned(&["view", "out"])));
    assert!(
        told.contains("score is 99 % better than the baseline's"),
        "{told}"
    );
    assert!(told.contains("confirmed by 2 fresh starts each"), "{told}");
    // Other programs see the search alone.
    assert_eq!(study.results().len(), 2);
    assert_eq!(study.best(), json!({"N": "2"}));
    assert_eq!(study.alive(), Vec::<i32>::new());
    // Done is done.
    let before = study.events_of("sitting-started").len();
    assert_eq!(code(&study.run()), 0);
    assert_eq!(study.events_of("sitting-started").len(), before);
}

#[test]
fn a_client_sees_it_and_can_pause_it() {
    let study = study();
    let daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_gate("gate-1-2");
    let status = flat(&good(&study, &["status"]));
    let now = "fresh start 1 of 4, to confirm trial 2: trial 1 (the starting values)";
    assert!(status.contains(now), "{status}");
    // What the search has found, until there is better.
    assert!(status.contains("confirm 0 of 4 starts made"), "{status}");
    let line = good(&study, &["--json", "status"]);
    let json: Json = serde_json::from_str(&line).expect("JSON");
    assert_eq!(json["confirmation"]["starts"], 2);
    assert_eq!(json["gain"]["measured"]["confirmed"], Json::Null);
    // A trial that is over cannot be dropped by that.
    assert_ne!(code(&ctl(&study, &["skip"])), 0);
    good(&study, &["pause", "--now"]);
    study.await_events("sitting-ended", 3);
    assert_eq!(study.events_of("sitting-ended")[2]["end"], "interrupted");
    open(&study, 2..=9);
    good(&study, &["resume"]);
    good(&study, &["wait", "--for", "done"]);
    let status = flat(&good(&study, &["status"]));
    assert!(
        status.contains("confirmed by 2 fresh starts each"),
        "{status}"
    );
    assert!(!status.contains("starts made"), "{status}");
    let best = flat(&good(&study, &["best"]));
    assert!(best.contains("confirmed by 2 fresh starts each"), "{best}");
    let shown = good(&study, &["show", "2"]);
    assert!(
        shown.contains("confirm") && shown.contains("Runs beside the search"),
        "{shown}"
    );
    drop(daemon);
}

#[test]
fn what_speaks_against_the_winner_is_told() {
    // Started again, it is no better and misses the bound.
    let spec = SPEC
        .replace(
            "(N | int) * 100 + (sitting | int)",
            "(N | int) * 100 if sitting == '1' else 100 + (sitting | int)",
        )
        .replace(
            "quality=0.9",
            "quality={{ 0.9 if sitting == '1' else 0.4 }}",
        );
    let study = Study::new(&spec);
    open(&study, 1..=9);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let told = flat(&said(&output));
    assert!(told.contains("cannot be told from noise"), "{told}");
    let missed = "Confirmation: trial 2 misses quality ≥ 0.5 in these runs: it is 0.4";
    assert!(told.contains(missed), "{told}");
    // It came out by the runs of its trial.
    assert_eq!(study.best(), json!({"N": "2"}));
}

#[test]
fn a_winner_that_does_not_start_again_stays_and_is_told() {
    let spec = SPEC.replace(
        "\"--port\", \"{port}\"]",
        "\"--port\", \"{port}\", \"{{ '--die=0' if sitting != '1' and N == '2' else '' }}\"]",
    );
    let study = Study::new(&spec);
    open(&study, 1..=9);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let told = flat(&said(&output));
    assert!(told.contains("2 of 2 starts of trial 2 failed"), "{told}");
    assert_eq!(study.best(), json!({"N": "2"}));
    assert_eq!(study.results().len(), 2);
    assert_eq!(study.alive(), Vec::<i32>::new());
}

#[test]
fn what_a_training_has_made_is_left_as_it_is() {
    let spec = r#"
[study]
name = "trained"
[objective]
maximize = "score"
[confirm]
runs = 1
[space]
N = [1, 2]
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", "echo {{ sitting }} > {{ trial_dir }}/model"]
[[step]]
name = "eval"
kind = "measure"
command = ["sh", "-c", "cat {{ trial_dir }}/model; echo score={{ N }}"]
[step.metrics]
score = 'score=(\S+)'
"#;
    let study = Study::new(spec);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(started(&study).len(), 4, "{}", study.trace());
    let model = |path: &str| std::fs::read_to_string(study.out("trials").join(path));
    for trial in ["trial_00001", "trial_00002"] {
        let made = model(&format!("{trial}/model")).expect("a model");
        let again = model(&format!("{trial}/sitting_2/model")).expect("another");
        assert_eq!((made.trim(), again.trim()), ("1", "2"));
    }
    // Unless somebody wants it, nothing is trained twice.
    let study = Study::new(&spec.replace("runs = 1", ""));
    assert_eq!(code(&study.run()), 0);
    assert_eq!(started(&study).len(), 2, "{}", study.trace());
}
