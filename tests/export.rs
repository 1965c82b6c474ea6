//! Exports from end to end: with and without a daemon, and read by the programs
//! that they are for.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;
use support::control::{ctl, good, json, refused};
use support::{Daemon, Study, code, free_port, said};

/// The third value fails, the fourth misses the bound.
const SPEC: &str = r#"
[study]
name = "exported"
[objective]
maximize = "score"
[[constraint]]
metric = "quality"
min = 0.5
[space]
N = [1, 2, 3, 4, 5, 6, 7]
lr = { float = [1e-5, 1e-3], log = true }
[search]
sampler = "grid"
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}",
    "--print", "{{ 'nothing' if (N | int) == 3 else 'score' }}={{ (N | int) * 100 + (run | int) }}",
    "--print", "quality={{ 0.25 if (N | int) == 4 else 0.75 }}"]
[step.metrics]
score = 'score=(\S+)'
quality = 'quality=(\S+)'
"#;

/// A study of which trial 6 runs and trial 7 waits.
fn in_midst() -> (Study, Daemon) {
    let study = Study::new(SPEC);
    let daemon = study.start();
    study.await_events("trial-planned", 1);
    let lr = &study.events_of("trial-planned")[0]["params"]["lr"];
    for n in 2..=6 {
        good(&study, &["enqueue", &format!("N={n}"), &format!("lr={lr}")]);
    }
    good(&study, &["skip", "5"]);
    good(&study, &["enqueue", "N=7", &format!("lr={lr}")]);
    for n in 1..=4 {
        study.open_gate(&format!("gate-{n}"));
    }
    study.await_gate("gate-6");
    (study, daemon)
}

fn lines(text: &str) -> Vec<Json> {
    let lines = text.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines.collect()
}

#[test]
fn trials_go_to_a_file_or_to_standard_output() {
    let (study, mut daemon) = in_midst();
    let text = good(&study, &["export", "--format", "jsonl"]);
    let all = lines(&text);
    assert_eq!(all[0]["study"], "exported");
    let words: Vec<&str> = all[1..]
        .iter()
        .filter_map(|t| t["outcome"].as_str())
        .collect();
    assert_eq!(
        words,
        [
            "complete",
            "complete",
            "failed",
            "infeasible",
            "pruned",
            "running",
            "planned"
        ]
    );
    assert_eq!(all[2]["objective"], 201.5);
    assert_eq!(all[2]["runs"].as_array().map(Vec::len), Some(2));

    let path = study.path("trials.csv");
    let named = path.display().to_string();
    let told = json(&study, &["export", "-o", &named]);
    assert_eq!(told, serde_json::json!({ "path": named, "trials": 7 }));
    let table = std::fs::read_to_string(&path).expect("the table");
    assert_eq!(table.lines().count(), 8, "{table}");
    let why = refused(&study, &["export", "-o", &named], 2);
    assert!(why.contains("--force"), "{why}");
    std::fs::write(&path, "old").expect("written");
    good(&study, &["export", "-o", &named, "--force"]);
    assert!(
        std::fs::read_to_string(&path)
            .expect("the table")
            .starts_with("trial,")
    );

    let folder = study.path("").display().to_string();
    let why = refused(&study, &["export", "-o", &folder, "--force"], 2);
    assert!(why.contains("no file"), "{why}");
    let why = refused(&study, &["export", "-o", "/nowhere/at/all.csv"], 1);
    assert!(why.contains("/nowhere/at/all.csv"), "{why}");
    let mlflow = ["export", "--format", "mlflow", "--tracking-uri", "./mlruns"];
    let why = refused(&study, &mlflow, 2);
    assert!(why.contains("http://localhost:5000"), "{why}");
    let mlflow = [
        "export",
        "--format",
        "mlflow",
        "--tracking-uri",
        "mysql://me:hunter2@db/runs",
    ];
    let why = refused(&study, &mlflow, 2);
    assert!(!why.contains("hunter2"), "{why}");
    let closed = format!("http://127.0.0.1:{}", free_port());
    let mlflow = ["export", "--format", "mlflow", "--tracking-uri", &closed];
    let why = refused(&study, &mlflow, 1);
    assert!(why.contains("failed to reach the tracking server"), "{why}");

    assert_eq!(code(&ctl(&study, &["stop", "--now"])), 0);
    assert_eq!(daemon.end(), 0);
    // Its folder is enough.
    let output = study.out("").display().to_string();
    let made = study.autotuned(&["export", &output, "--format", "jsonl"]);
    let again = lines(&String::from_utf8(made.stdout).expect("text"));
    assert_eq!(again[..5], all[..5]);
    let made = study.autotuned(&["export", &output, "-o", &named]);
    assert_eq!(code(&made), 2, "{}", said(&made));
    let made = study.autotuned(&["export", &output, "-o", "/nowhere/at/all.csv"]);
    assert_eq!(code(&made), 4, "{}", said(&made));
    let left: Vec<_> = std::fs::read_dir(study.path(""))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(".new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A Python that has the programs which exports are for; `.ci/run` makes one.
fn python() -> String {
    std::env::var("EXPORT_PYTHON").expect(
        "EXPORT_PYTHON must name a Python that has Optuna and MLflow: python3 -m venv \
         target/export && target/export/bin/pip install optuna==5.0.0 optuna-dashboard==0.21.0 \
         mlflow==3.17.2 && export EXPORT_PYTHON=$PWD/target/export/bin/python",
    )
}

/// What tests/helpers/exported.py finds.
fn found(arguments: &[&str]) -> Json {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/exported.py");
    let output = Command::new(python())
        .arg(script)
        .args(arguments)
        .output()
        .expect("the script");
    assert_eq!(code(&output), 0, "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)))
}

#[test]
#[ignore = "needs Optuna: see EXPORT_PYTHON"]
fn optuna_and_its_dashboard_open_an_export() {
    let (study, mut daemon) = in_midst();
    let path = study.path("study.log").display().to_string();
    good(&study, &["export", "--format", "optuna", "-o", &path]);
    let found = found(&["optuna", &path, "exported"]);
    assert_eq!(found["direction"], "MAXIMIZE");
    assert_eq!(
        found["states"],
        serde_json::json!([
            "COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "PRUNED", "RUNNING", "WAITING"
        ])
    );
    assert_eq!(found["best"], serde_json::json!([1, 201.5]));
    assert_eq!(found["constraints"][0], serde_json::json!([-0.25]));
    assert_eq!(found["constraints"][3], serde_json::json!([0.25]));
    assert_eq!(found["params"][3]["N"], 4);
    assert_eq!(
        found["intermediate"][1],
        serde_json::json!({"1": 201.0, "2": 202.0})
    );
    assert_eq!(found["cause"][2], "all-runs");
    assert_eq!(found["log"], true);
    // A sampler of Optuna's goes on from it, and first tries what waits.
    assert_eq!(found["asked"]["N"], 7);
    assert_eq!(found["dashboard"], serde_json::json!(["exported", 8]));
    assert_eq!(code(&ctl(&study, &["stop", "--now"])), 0);
    assert_eq!(daemon.end(), 0);
}

/// A tracking server that ends with its test.
struct Tracking(Child, u16);

impl Tracking {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let child = Command::new(python())
            .args([
                "-m",
                "mlflow",
                "server",
                "--workers",
                "1",
                "--host",
                "127.0.0.1",
            ])
            .args(["--backend-store-uri", "sqlite:///runs.db"])
            .args(["--port", &port.to_string()])
            .current_dir(folder)
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("a tracking server"), port)
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        // Its workers end with it.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs MLflow: see EXPORT_PYTHON"]
fn a_tracking_server_of_mlflow_takes_an_export() {
    let (study, mut daemon) = in_midst();
    let server = Tracking::start(&study.path(""));
    let address = format!("http://127.0.0.1:{}", server.1);
    let await_server = found(&["await", &address]);
    assert_eq!(await_server, true);
    let export = ["export", "--format", "mlflow", "--tracking-uri", &address];
    let told = json(&study, &export);
    assert_eq!(
        (&told["written"], &told["known"]),
        (&7.into(), &0.into()),
        "{told}"
    );
    // What runs still has changed, the others are as they were.
    let told = json(&study, &export);
    assert_eq!(
        (&told["written"], &told["known"]),
        (&1.into(), &6.into()),
        "{told}"
    );
    let found = found(&["mlflow", &address, "exported"]);
    assert_eq!(
        found["status"],
        serde_json::json!([
            "FINISHED",
            "FINISHED",
            "FAILED",
            "FINISHED",
            "KILLED",
            "RUNNING",
            "SCHEDULED"
        ])
    );
    assert_eq!(found["names"][6], "trial 7");
    assert_eq!(found["score"][1], 201.5);
    assert_eq!(found["params"][3]["N"], "4");
    assert_eq!(found["tags"][3]["autotune.feasible"], "false");
    assert_eq!(found["tags"][2]["autotune.cause"], "all-runs");
    assert_eq!(
        found["runs"][1],
        serde_json::json!([[1, 201.0], [2, 202.0]])
    );
    assert_eq!(code(&ctl(&study, &["stop", "--now"])), 0);
    assert_eq!(daemon.end(), 0);
}
