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

#[test]
fn a_report_that_a_kill_came_before_is_made_up_once() {
    let study = Study::new(SPEC);
    std::fs::create_dir_all(study.out("")).expect("a folder");
    // So none is written before the kill, however quick the machine is.
    std::fs::write(study.out("reports"), "a file in the way").expect("written");
    let arguments = ["run", "study.toml", "--output-dir", "out", "--stay"];
    let mut daemon = study.start_verb(&arguments);
    study.await_events("done", 1);
    daemon.kill();
    std::fs::remove_file(study.out("reports")).expect("removed");

    let mut daemon = study.start_verb(&arguments);
    study.wait("both reports", || reports(&study).len() == 2);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
    let written = || -> Vec<_> {
        let files = reports(&study).into_iter();
        files
            .map(|path| (std::fs::read(&path).expect("read"), path))
            .collect()
    };
    let before = written();
    assert!(String::from_utf8_lossy(&before[1].0).contains("export N=3"));
    // The next start has nothing to make up.
    assert_eq!(code(&study.run()), 0);
    assert_eq!(written(), before);
    // Half of it is not all of it.
    std::fs::remove_file(&before[0].1).expect("removed");
    assert_eq!(code(&study.run()), 0);
    assert_eq!(reports(&study).len(), 2);
}

#[test]
fn a_spec_says_what_its_reports_are_like() {
    let study = Study::new(&format!(
        r#"{SPEC}
[report]
language = "zh"
format = "html"
title = "第一次实验"
notes = """
一段说明

另一段
"""
dialogues = "said-*.jsonl"
[[report.dataset]]
name = "C-Eval"
samples = 100
metrics = {{ accuracy = "score" }}
base = {{ accuracy = 41.2 }}
"#
    ));
    let line = r#"{"prompt":"你好","base":"<b>","best":"我听到了"}"#;
    std::fs::write(study.path("said-1.jsonl"), format!("{line}\nnonsense\n")).expect("written");
    let ran = study.run();
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    let found = reports(&study);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].extension().is_some_and(|end| end == "html"));
    assert!(said(&ran).contains("report-"), "{}", said(&ran));
    let page = std::fs::read_to_string(&found[0]).expect("read");
    for part in [
        "第一次实验",
        "一段说明",
        "41.2",
        "我听到了",
        "&lt;b&gt;",
        "第 2 行",
        "已结束",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Result"), "{page}");
    // Who asks for another language gets that.
    let output = study.out("").display().to_string();
    let asked = |more: &[&str]| {
        let words = [&["report", &*output, "-o", "-"], more].concat();
        String::from_utf8(study.autotuned(&words).stdout).expect("text")
    };
    assert!(asked(&[]).contains("## 结论"), "{}", asked(&[]));
    let english = asked(&["--lang", "en"]);
    assert!(
        english.contains("## Result") && english.contains("41.2"),
        "{english}"
    );

    let wrong = SPEC.to_owned()
        + "\n[report]\ndialogues = \"../x\"\nlanguage = \"fr\"\n\
        [[report.dataset]]\nname = \"A\"\nmetrics = { accuracy = \"skore\" }\n\
        base = { accuracy = 1, f1 = 2 }\n";
    study.write_spec(&wrong);
    let told = said(&study.autotuned(&["check", "study.toml"]));
    for part in [
        "without `..`",
        "cannot be `fr`",
        "no step yields the metric `skore`",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
