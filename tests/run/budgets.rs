//! What ends a study, and what makes it go on.

use nix::sys::signal::Signal;
use serde_json::Value as Json;

use crate::support::{Study, code, said};
use crate::{simple, spec};

const COMMAND: &str = r#"["{child}", "run", "--append", "{dir}runs", "--print", "score={{ N }}"]"#;

fn with(budget: &str, values: &str) -> String {
    format!("[budget]\n{budget}\n[space]\nN = [{values}]\n")
}

fn run(study: &Study) -> String {
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    said(&output)
}

fn reason(study: &Study) -> Json {
    study.events_of("done").last().expect("done")["reason"].clone()
}

#[test]
fn each_budget_ends_a_study() {
    for (budget, trials, why) in [
        ("trials = 2", 2, "the budget of 2 trials is used up"),
        // A trial has two runs, and one that is begun is finished.
        ("runs = 5", 3, "the budget of 5 runs is used up"),
        ("wall = \"1ms\"", 1, "the budget of 1 ms is used up"),
    ] {
        let study = simple(&with(budget, "1, 2, 3, 4, 5"), COMMAND);
        run(&study);
        assert_eq!(study.planned().len(), trials, "{budget}");
        assert_eq!(reason(&study), why);
        assert_eq!(study.results().len(), trials, "{budget}");
    }
}

#[test]
fn a_finished_study_starts_no_trial() {
    for budget in ["trials = 2", "runs = 3", "wall = \"1ms\"", ""] {
        let study = simple(&with(budget, "1, 2, 3"), COMMAND);
        run(&study);
        let files = || {
            ["tune_results.jsonl", "best_params.json"]
                .map(|name| std::fs::read(study.out(name)).expect("a file"))
        };
        let (before, started, events) = (files(), study.pids().len(), study.events().len());
        for restart in 1..=2 {
            let text = run(&study);
            assert!(text.contains("\ndone: "), "{text}");
            assert_eq!(files(), before);
            assert_eq!(study.pids().len(), started, "{text}");
            // That it was opened is all there is to say.
            assert_eq!(study.events().len(), events + restart, "{}", study.trace());
        }
    }
}

#[test]
fn a_larger_budget_or_space_goes_on() {
    let study = simple(&with("trials = 2", "1, 2, 3"), COMMAND);
    run(&study);
    for (budget, values, trials) in [
        ("trials = 3", "1, 2, 3", 3),
        ("", "1, 2, 3", 3),
        ("", "1, 2, 3, 4", 4),
        ("runs = 100", "5, 1, 2, 3, 4", 5),
    ] {
        study.write_spec(&spec(&with(budget, values), COMMAND));
        let text = run(&study);
        assert!(
            text.contains("the spec has changed; the former one is kept in"),
            "{text}"
        );
        assert_eq!(study.planned().len(), trials, "{budget} {values}");
    }
    // Two runs for each of five trials, and none a second time.
    let runs = std::fs::read_to_string(study.path("runs")).expect("runs");
    assert_eq!(runs.lines().count(), 10);
    assert_eq!(study.best()["N"], "5");
}

/// It is not taken for done any more, whatever it was before.
#[test]
fn a_study_that_goes_on_can_be_stopped() {
    let command = COMMAND.replace("\"--append\"", "\"--gate\", \"gate-{{ N }}\", \"--append\"");
    let study = simple(&with("trials = 1", "1, 2"), &command);
    study.open_gate("gate-1");
    run(&study);
    study.write_spec(&spec(&with("trials = 2", "1, 2"), &command));
    let mut daemon = study.start();
    study.wait("the second trial", || {
        study
            .events_of("step-started")
            .iter()
            .any(|step| step["trial"] == 2)
    });
    let view = said(&study.autotuned(&["view", "out"]));
    assert!(!view.contains("is done"), "{view}");
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.end(), 130, "{}", study.trace());
    let log = study.log();
    assert!(
        log.contains("stopped with 1 trial done; nothing is left running"),
        "{log}"
    );
    assert_eq!(study.alive(), Vec::<i32>::new());
    study.open_gate("gate-2");
    run(&study);
    assert_eq!(study.planned().len(), 2);
}

/// A trial some of whose runs went wrong is tried again by each later start:
/// good runs are kept.
#[test]
fn a_partial_trial_is_tried_again() {
    // The second run of the first trial fails until the file `good` is there.
    let command = r#"["sh", "-c", '''
        echo {{ N }}/{{ run }} >> {dir}runs
        [ {{ run }} = 1 ] || [ {{ N }} = 2 ] || [ -e {dir}good ] || exit 1
        [ {{ N }} = 1 ] || until [ -e {dir}go-on ]; do sleep 0.01; done
        echo score={{ N }}
    ''']"#;
    let study = simple("[space]\nN = [1, 2]\n", command);
    let mut expected: Vec<&str> = Vec::new();
    // It is interrupted twice in the second trial; then all goes well.
    for time in 1..=3 {
        if time == 3 {
            study.open_gate("good");
            study.open_gate("go-on");
        }
        let mut daemon = study.start();
        let trial = |step: &&Json| step["trial"] == 2;
        if time < 3 {
            study.wait("the second trial", || {
                study.events_of("step-started").iter().filter(trial).count() == time
            });
            daemon.signal(Signal::SIGTERM);
        }
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        expected.extend(if time == 3 {
            &["ok", "ok"][..]
        } else {
            &["partial"]
        });
        let results = study.results();
        let status: Vec<&str> = results
            .iter()
            .filter_map(|line| line["status"].as_str())
            .collect();
        assert_eq!(status, expected, "{}", study.trace());
    }
    let results = study.results();
    let of_first: Vec<&Json> = results.iter().filter(|line| line["trial"] == 1).collect();
    assert_eq!(
        of_first
            .iter()
            .map(|line| line["eval_ok_n"].clone())
            .collect::<Vec<_>>(),
        [1, 1, 2]
    );
    assert_eq!(of_first[2]["sitting"], 3);
    let runs = std::fs::read_to_string(study.path("runs")).expect("runs");
    assert_eq!(
        runs.lines().filter(|line| *line == "1/1").count(),
        1,
        "{runs}"
    );
    assert_eq!(
        runs.lines().filter(|line| *line == "1/2").count(),
        3,
        "{runs}"
    );
}

/// So it is once the study is done; one that racing gave up is left alone.
#[test]
fn a_start_of_a_finished_study_repeats_what_is_partial_once() {
    let command = r#"["sh", "-c", '''
        echo {{ N }}/{{ run }} >> {dir}runs
        [ {{ run }} = 1 ] || [ {{ N }} = 2 ] || [ -e {dir}good ] || exit 1
        echo score={{ N }}
    ''']"#;
    let study = simple("[space]\nN = [1, 2]\n", command);
    let statuses = || -> Vec<String> {
        let results = study.results();
        let status = results.iter().filter_map(|line| line["status"].as_str());
        status.map(str::to_owned).collect()
    };
    run(&study);
    assert_eq!(statuses(), ["partial", "ok"], "{}", study.trace());
    let plan = said(&study.autotuned(&["plan", "study.toml", "-o", "out"]));
    let again = "\n   1  baseline (again, for its bad runs)\n";
    assert!(plan.contains(again), "{plan}");
    run(&study);
    assert_eq!(statuses(), ["partial", "ok", "partial"]);
    study.open_gate("good");
    run(&study);
    let whole = ["partial", "ok", "partial", "ok"];
    assert_eq!(statuses(), whole, "{}", study.trace());
    // Now nothing is partial any more.
    run(&study);
    assert_eq!(statuses(), whole);
    assert_eq!(study.planned().len(), 2);
    let runs = std::fs::read_to_string(study.path("runs")).expect("runs");
    let of = |run: &str| runs.lines().filter(|line| *line == run).count();
    assert_eq!((of("1/1"), of("1/2"), of("2/1")), (1, 3, 1), "{runs}");
}
