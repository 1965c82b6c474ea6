//! `autotuned selftest`, as its users call it.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value as Json;
use support::{Daemon, code, said};

/// The program, with a folder of its own for what is temporary.
fn selftest(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotuned"));
    command
        .arg("selftest")
        .args(arguments)
        .env("TMPDIR", folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn is_empty(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder)
        .expect("a folder")
        .next()
        .is_none()
}

#[test]
fn all_is_well_and_nothing_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = selftest(folder.path(), &[]).output().expect("a selftest");
    let text = said(&output);
    assert_eq!(code(&output), 0, "{text}");
    let words: Vec<&str> = text.lines().filter_map(|line| line.get(..17)).collect();
    let checks = [
        "spec",
        "folder",
        "kill",
        "resume",
        "best",
        "files",
        "leftovers",
    ];
    for name in checks {
        let line = format!("ok      {name:<9}");
        assert!(words.contains(&line.as_str()), "{name}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(is_empty(folder.path()), "{text}");
}

#[test]
fn as_json_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    let dir = kept.to_str().expect("text");
    let output = selftest(folder.path(), &["--json", "--dir", dir]).output();
    let output = output.expect("a selftest");
    assert_eq!(code(&output), 0, "{}", said(&output));
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = json["checks"].as_array().expect("a list");
    assert!(
        checks.len() == 7 && checks.iter().all(|check| check["state"] == "ok"),
        "{json}"
    );
    let status = std::fs::read(kept.join("study/tune_status.json")).expect("a status");
    let status: Json = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status["phase"], "selftest");
    assert_eq!(status["best_params"]["N_PROBE"], "8");
    // What is there is not written over.
    let again = selftest(folder.path(), &["--dir", dir])
        .output()
        .expect("a selftest");
    assert_eq!(code(&again), 1);
    assert!(
        said(&again).contains("is there already: give a new one"),
        "{}",
        said(&again)
    );
}

/// A daemon that cannot start: what it says is shown.
#[test]
fn what_fails_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = selftest(folder.path(), &[]);
    // The evaluator finds nothing: the metric is not there.
    command
        .env("AUTOTUNE_SUPERVISOR", "1")
        .env("PATH", "/nonexistent");
    let output = command.output().expect("a selftest");
    assert_eq!(code(&output), 0, "it needs no PATH: {}", said(&output));
    let mut command = selftest(&folder.path().join("none"), &[]);
    let output = command.output().expect("a selftest");
    assert_eq!(code(&output), 1);
    let text = said(&output);
    assert!(
        text.contains("failed  folder     failed to make a folder"),
        "{text}"
    );
    assert!(text.contains("not all is well"), "{text}");
}

#[test]
fn ctrl_c_clears_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut selftest = Daemon::of(selftest(folder.path(), &[]).spawn().expect("a selftest"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let journal = || {
        let made = std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten();
        let journals = made.map(|entry| entry.path().join("study/journal.jsonl"));
        let text = journals
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .next();
        text.is_some_and(|text| text.contains("services-ready"))
    };
    while !journal() {
        assert!(Instant::now() < deadline && selftest.is_alive());
        std::thread::sleep(Duration::from_millis(5));
    }
    selftest.signal(Signal::SIGINT);
    assert_eq!(selftest.end(), 130);
    assert!(is_empty(folder.path()));
}
