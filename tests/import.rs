//! Imports from end to end: other programs' files, our own exports, and what is
//! no such file.

mod support;

use std::fs;
use std::process::Command;

use serde_json::{Value as Json, json as value};
use support::control::{client, ctl, good, json, refused};
use support::{Daemon, Study, code, said};

/// The third value fails, the fourth misses the bound.
const SPEC: &str = r#"
[study]
name = "imports"
[objective]
maximize = "score"
[[constraint]]
metric = "quality"
min = 0.5
[space]
N = [1, 2, 3, 4, 5, 6, 7]
lr = { float = [1e-5, 1e-3], log = true }
[search]
sampler = "model"
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}",
    "--print", "{{ 'nothing' if (N | int) == 3 else 'score' }}={{ (N | int) * 100 }}",
    "--print", "quality={{ 0.25 if (N | int) == 4 else 0.75 }}"]
[step.metrics]
score = 'score=(\S+)'
quality = 'quality=(\S+)'
"#;

/// A study whose first trial runs and waits.
fn begun() -> (Study, Daemon) {
    let study = Study::new(SPEC);
    let daemon = study.start();
    study.await_gate("gate-1");
    (study, daemon)
}

/// Starts the daemon again, and waits until it answers.
fn again(study: &Study) -> Daemon {
    let daemon = study.start();
    study.wait("an answer", || code(&ctl(study, &["ping"])) == 0);
    daemon
}

fn end(study: &Study, daemon: &mut Daemon) {
    assert_eq!(code(&ctl(study, &["stop", "--now"])), 0);
    assert_eq!(daemon.end(), 0);
}

/// Writes a file of the study's and gives its path.
fn file(study: &Study, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = study.path(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// The numbers of an answer.
fn counts(answer: &Json) -> (u64, u64, usize) {
    let number = |name: &str| answer[name].as_u64().expect("a number");
    let unfit = answer["unfit"].as_array().map_or(0, Vec::len);
    (number("taken"), number("known"), unfit)
}

#[test]
fn a_table_is_learned_from_and_is_no_trial() {
    let (study, mut daemon) = begun();
    let path = file(
        &study,
        "before.csv",
        "N,lr,tokens,quality,host\n\
         5,1e-4,50,0.9,a\n6,1e-4,60,0.8,a\n7,1e-4,70,0.1,a\n9,1e-4,1,1,a\n2,1e-4,,1,a\n",
    );
    let call = ["import", &path, "--map", "tokens=score"];
    let dry = good(&study, &[&call[..], &["--dry-run"]].concat());
    assert!(
        dry.starts_with("3 measurements would be taken, 0 known already, 2 not fitting\n"),
        "{dry}"
    );
    assert!(study.events_of("imported").is_empty());
    let told = good(&study, &call);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[0],
        "3 measurements taken, 0 known already, 2 not fitting"
    );
    assert!(lines[1].starts_with("  line 5: N: "), "{told}");
    assert_eq!(
        lines[2..],
        ["  line 6: it has no score", "of no use to the study: host"]
    );
    assert_eq!(study.events_of("imported").len(), 1);
    assert_eq!(counts(&json(&study, &call)), (0, 3, 2));
    assert_eq!(study.events_of("imported").len(), 1);
    let status = good(&study, &["status"]);
    assert!(
        status.contains("3 measurements from before.csv"),
        "{status}"
    );
    let told = json(&study, &["status"])["imported"].clone();
    let source =
        value!({"file": "before.csv", "format": "csv", "measurements": 3, "passed_over": 0});
    assert_eq!(told, value!([source]));

    // Killed, it knows as much, and goes on with the best that keeps the bound.
    daemon.kill();
    daemon = again(&study);
    assert_eq!(json(&study, &["status"])["imported"], told);
    study.open_gate("gate-1");
    study.await_gate("gate-6");
    let second = &study.events_of("trial-planned")[1];
    assert_eq!(second["params"], value!({"N": 6, "lr": 1e-4}));
    assert_eq!(second["choice"]["rule"], "imported");
    let why = good(&study, &["why", "2"]);
    assert!(why.contains("imported"), "{why}");
    // Trials, results and exports are the study's own.
    assert_eq!(study.results().len(), 1);
    assert_eq!(good(&study, &["export"]).lines().count(), 3);
    assert_eq!(json(&study, &["status"])["best"]["trial"], 1);
    let report = good(&study, &["report", "--lang", "en", "-o", "-"]);
    assert!(
        report.contains("3 measurements from before.csv"),
        "{report}"
    );

    // What the space does not allow any more is passed over, not lost.
    good(&study, &["space", "remove", "N", "5"]);
    let status = json(&study, &["status"]);
    assert_eq!(status["imported"][0]["passed_over"], 1);
    end(&study, &mut daemon);
    // A fresh start forgets it.
    daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--fresh"]);
    study.await_events("trial-planned", 1);
    study.wait("an answer", || code(&ctl(&study, &["ping"])) == 0);
    assert_eq!(json(&study, &["status"])["imported"], value!([]));
    end(&study, &mut daemon);
}

#[test]
fn our_own_exports_come_back() {
    let (study, mut daemon) = begun();
    for n in 2..=4 {
        good(&study, &["enqueue", &format!("N={n}"), "lr=2e-4"]);
    }
    (1..=4).for_each(|n| study.open_gate(&format!("gate-{n}")));
    study.await_events("sitting-ended", 4);
    good(&study, &["pause", "--now"]);
    let (other, mut another) = begun();
    for (format, taken) in [("csv", 4), ("jsonl", 0), ("optuna", 0)] {
        let path = study
            .path(&format!("trials.{format}"))
            .display()
            .to_string();
        good(&study, &["export", "--format", format, "-o", &path]);
        let answer = json(&other, &["import", &path]);
        assert_eq!(answer["format"], format);
        // One that was planned meanwhile is not over.
        let (found, known, _) = counts(&answer);
        assert_eq!((found, known), (taken, 4 - taken), "{answer:#}");
        assert_eq!(answer["absent"], value!({}));
        assert_eq!(answer["ignored"], value!([]), "{format}");
    }
    // And so do the results, which are the reference tuner's.
    let path = study.out("tune_results.jsonl").display().to_string();
    let answer = json(&other, &["import", &path]);
    assert_eq!(counts(&answer), (0, 4, 0), "{answer:#}");
    assert_eq!(other.events_of("imported").len(), 1);
    end(&study, &mut daemon);
    end(&other, &mut another);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let (study, mut daemon) = begun();
    let wrong = |name: &str, text: &[u8], with: u8, word: &str| {
        let path = file(&study, name, text);
        let why = refused(&study, &["import", &path], with);
        assert!(why.contains(word), "{name}: {why}");
    };
    wrong("empty.csv", b"", 1, "empty");
    wrong("utf16.csv", b"\xff\xfeN\0,\0s\0\n\0", 1, "UTF-8");
    wrong("names.csv", b"N,lr\n1,1e-4\n", 4, "no column is score");
    wrong(
        "other.csv",
        b"a,score\n1,2\n",
        4,
        "no column is a parameter",
    );
    wrong("twice.csv", b"N,score,N\n1,2,3\n", 4, "two columns are N");
    let down = r#"{"op_code":0,"study_name":"s","directions":[1]}"#;
    wrong("down.log", format!("{down}\n").as_bytes(), 2, "minimises");
    let why = refused(&study, &["import", "/nowhere/at/all.csv"], 1);
    assert!(why.contains("/nowhere/at/all.csv"), "{why}");
    let folder = study.path("").display().to_string();
    refused(&study, &["import", &folder], 1);

    // A line of a megabyte, numbers beyond all measure, and words for numbers.
    let long = "x".repeat(1 << 20);
    let path = file(
        &study,
        "long.csv",
        format!("N,score\n{long},1\n1,{long}\n1,1e999\n1,NaN\n1,much\n1e300,1\n2,5\n"),
    );
    let answer = json(&study, &["import", &path]);
    assert_eq!(counts(&answer), (1, 0, 6), "{answer:#}");
    let why = answer["unfit"][0]["why"].as_str().expect("a reason");
    assert_eq!(why, "it is longer than 32768 bytes");
    end(&study, &mut daemon);
    let answer = ctl(&study, &["import", &path]);
    assert_eq!(code(&answer), 3, "{}", said(&answer));
}

/// Ten thousand rows, in many batches; the daemon is killed in their midst.
#[test]
fn a_large_table_outlives_a_kill() {
    let (study, mut daemon) = begun();
    let rows = (0..10_000).map(|n| {
        let lr = 1e-5 + f64::from(n) * 9e-8;
        format!("{},{lr},{},0.9\n", 1 + n % 7, n % 911)
    });
    let text = format!("N,lr,score,quality\n{}", rows.collect::<String>());
    let path = file(&study, "large.csv", text);
    let mut importing = client(&study, &["import", &path])
        .spawn()
        .expect("a client");
    study.await_events("imported", 3);
    daemon.kill();
    let ended = importing.wait().expect("it ends");
    let before = study.events_of("imported");
    let rows = |events: &[Json]| -> usize {
        let rows = events.iter().filter_map(|event| event["rows"].as_array());
        rows.map(Vec::len).sum()
    };
    let kept = rows(&before);
    assert!(kept > 0, "{ended:?}");
    let mut daemon = again(&study);
    let (taken, known, unfit) = counts(&json(&study, &["import", &path]));
    assert_eq!((taken + known, unfit), (10_000, 0));
    assert_eq!(known as usize, kept);
    assert_eq!(rows(&study.events_of("imported")), 10_000);
    assert_eq!(counts(&json(&study, &["import", &path])), (0, 10_000, 0));
    // The sampler goes on with them.
    study.open_gate("gate-1");
    study.await_events("trial-planned", 2);
    end(&study, &mut daemon);
}

/// A study of Optuna's, made by Optuna itself.
#[test]
#[ignore = "needs Optuna: see EXPORT_PYTHON"]
fn optunas_own_journal_is_imported() {
    let (study, mut daemon) = begun();
    let path = study.path("optuna.log").display().to_string();
    let python = std::env::var("EXPORT_PYTHON").expect("EXPORT_PYTHON: see tests/export.rs");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/optimised.py");
    let made = Command::new(python)
        .args([script, &path])
        .output()
        .expect("the script");
    assert_eq!(code(&made), 0, "{}", said(&made));
    let answer = json(&study, &["import", &path]);
    assert_eq!(answer["format"], "optuna");
    assert_eq!(counts(&answer), (4, 0, 1), "{answer:#}");
    assert_eq!(answer["unfit"][0]["row"], 2);
    study.open_gate("gate-1");
    study.await_events("trial-planned", 2);
    assert_eq!(
        study.events_of("trial-planned")[1]["choice"]["rule"],
        "imported"
    );
    end(&study, &mut daemon);
}
