//! Reports from end to end: what a study leaves when it is done, and what is
//! asked for, with and without a daemon.

mod support;

use std::path::PathBuf;

use support::control::{ctl, good, json, refused};
use support::{Study, code, said};

const SPEC: &str = r#"
[study]
name = "reported"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[space]
N = [1, 2, 3]
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--print", "score={{ (N | int) * 100 }}"]
[step.metrics]
score = 'score=(\S+)'
"#;

/// The reports in the study's folder, by name.
fn reports(study: &Study) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(study.out("reports"));
    let entries = entries.into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn a_study_that_is_done_leaves_a_report_in_both_languages() {
    let study = Study::new(SPEC);
    let ran = study.run();
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    let reports = reports(&study);
    let markdown = reports
        .iter()
        .find(|path| path.ends_with(".md") || path.extension().is_some_and(|e| e == "md"));
    let text = std::fs::read_to_string(markdown.expect("a report")).expect("read");
    for words in [
        "# 调参报告：reported / Tuning report: reported",
        "export N=3",
        "trial 3",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(said(&ran).contains("report-"), "{}", said(&ran));

    // Its folder is enough for more of them, and what goes to standard output
    // leaves no file.
    let output = study.out("").display().to_string();
    let made = study.autotuned(&["report", &output, "--lang", "en", "-o", "-"]);
    let text = String::from_utf8(made.stdout).expect("text");
    assert!(text.starts_with("# Tuning report: reported\n"), "{text}");
    let before = self::reports(&study);
    assert_eq!(before, reports);
    let named = study.path("mine.md").display().to_string();
    let made = study.autotuned(&["report", &output, "--lang", "zh", "-o", &named]);
    assert_eq!(code(&made), 0, "{}", said(&made));
    let text = std::fs::read_to_string(&named).expect("read");
    assert!(text.starts_with("# 调参报告：reported\n"), "{text}");
    let made = study.autotuned(&["report", &output, "--lang", "fr"]);
    assert_eq!(code(&made), 2, "{}", said(&made));
    let made = study.autotuned(&["report", &output, "-o", "/nowhere/at/all.md"]);
    assert_eq!(code(&made), 4, "{}", said(&made));
}

#[test]
fn a_report_that_cannot_be_written_harms_nothing() {
    let study = Study::new(SPEC);
    std::fs::create_dir_all(study.out("")).expect("a folder");
    std::fs::write(study.out("reports"), "a file in the way").expect("written");
    let ran = study.run();
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    assert!(
        said(&ran).contains("leaving out the report"),
        "{}",
        said(&ran)
    );
    assert_eq!(study.best()["N"], "3");
}

#[test]
fn a_daemon_makes_reports_of_the_moment() {
    let study =
        Study::new(&SPEC.replace(r#""run", "#, r#""run", "--gate", "{dir}gate-{{ N }}", "#));
    study.open_gate("gate-1");
    let mut daemon = study.start();
    study.await_gate("gate-2");
    let path = json(&study, &["report"])["path"].clone();
    let path = PathBuf::from(path.as_str().expect("a path"));
    let text = std::fs::read_to_string(&path).expect("read");
    assert!(text.contains("goes on"), "{text}");
    assert_eq!(reports(&study), [path]);

    let text = good(&study, &["report", "--lang", "zh", "-o", "-"]);
    assert!(text.starts_with("# 调参报告：reported\n"), "{text}");
    let named = study.path("mine.md").display().to_string();
    let told = good(&study, &["report", "--lang", "en", "-o", &named]);
    assert_eq!(told, format!("{named}\n"));
    assert_eq!(reports(&study).len(), 1);

    std::fs::remove_dir_all(study.out("reports")).expect("removed");
    std::fs::write(study.out("reports"), "a file in the way").expect("written");
    let why = refused(&study, &["report"], 4);
    assert!(why.contains("reports"), "{why}");
    let stopped = ctl(&study, &["stop"]);
    assert_eq!(code(&stopped), 0, "{}", said(&stopped));
    assert_eq!(daemon.end(), 0);
}
