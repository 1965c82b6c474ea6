//! Records that a crash has torn, or that somebody has damaged: fault 11.

use std::fs::OpenOptions;
use std::io::Write;

use crate::support::said::unfolded;
use crate::support::{Study, code, key, said};

fn study() -> Study {
    Study::new(
        r#"
        [study]
        name = "torn"
        pass_env = ["PIDS"]
        [objective]
        maximize = "score"
        [space]
        N = ["1", "2", "3", "4"]
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 2
        command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}", "--append", "{dir}runs",
                   "--line", "{{ N }}/{{ run }}", "--print", "score={{ N }}"]
        metrics.score = 'score=(\S+)'
        "#,
    )
}

/// A study whose daemon was killed in its third trial.
fn killed() -> Study {
    let study = study();
    study.open_gate("gate-1");
    study.open_gate("gate-2");
    let mut daemon = study.start();
    study.await_events("step-started", 5);
    daemon.kill();
    study.open_gate("gate-3");
    study.open_gate("gate-4");
    study
}

fn shorten(path: &std::path::Path, by: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    let length = file.metadata().expect("its length").len();
    file.set_len(length - by).expect("shortened");
}

/// The results of a study that ran to its end: every trial once, whole.
fn assert_whole(study: &Study) {
    assert_eq!(study.planned(), ["N=1", "N=2", "N=3", "N=4"]);
    let results = study.results();
    let keys: Vec<&str> = results
        .iter()
        .filter_map(|line| line["trial_key"].as_str())
        .collect();
    assert_eq!(keys, ["N=1", "N=2", "N=3", "N=4"], "{}", study.trace());
    for line in &results {
        assert_eq!(
            (&line["status"], &line["eval_ok_n"]),
            (&"ok".into(), &2.into())
        );
    }
    assert_eq!(key(&study.best()), "N=4");
    let text = std::fs::read_to_string(study.out("journal.jsonl")).expect("the journal");
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}

/// The reference skipped a torn record without a word, and glued the next one
/// to it, so that both were lost.
#[test]
fn a_torn_record_of_the_journal_is_cut_off_and_said() {
    let study = killed();
    shorten(&study.out("journal.jsonl"), 7);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert!(study.log().contains("half a line"), "{}", study.log());
    let kept = std::fs::read_dir(study.out(""))
        .expect("the folder")
        .flatten();
    let kept: Vec<_> = kept
        .filter(|entry| entry.file_name().to_string_lossy().contains("torn"))
        .collect();
    assert_eq!(kept.len(), 1, "{}", study.log());
    assert_whole(&study);
    // Runs that were on disk are not done again.
    let runs = std::fs::read_to_string(study.path("runs")).expect("runs");
    for run in ["1/1", "1/2", "2/1", "2/2"] {
        assert_eq!(
            runs.lines().filter(|line| *line == run).count(),
            1,
            "{runs}"
        );
    }
}

/// The same, when the last record is the end of a trial: it is concluded from
/// its runs.
#[test]
fn a_torn_end_of_a_trial_is_concluded_again() {
    let study = killed();
    let path = study.out("journal.jsonl");
    let text = std::fs::read_to_string(&path).expect("the journal");
    let end = text
        .match_indices("\"sitting-ended\"")
        .nth(1)
        .expect("the second end")
        .0;
    shorten(&path, (text.len() - end - 30) as u64);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert_whole(&study);
    let runs = std::fs::read_to_string(study.path("runs")).expect("runs");
    assert_eq!(
        runs.lines().filter(|line| *line == "2/1").count(),
        1,
        "{runs}"
    );
}

/// The same of the results file: it is completed from the journal.
#[test]
fn a_torn_line_of_the_results_is_completed() {
    let study = killed();
    study.wait("the second line", || {
        std::fs::read_to_string(study.out("tune_results.jsonl"))
            .is_ok_and(|text| text.lines().count() == 2)
    });
    shorten(&study.out("tune_results.jsonl"), 25);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert!(
        unfolded(&study.log()).contains("was completed"),
        "{}",
        study.log()
    );
    assert_whole(&study);
}

/// The same, with somebody's editor: a line that is not ours is kept beside.
#[test]
fn a_damaged_results_file_is_made_anew() {
    let study = killed();
    let path = study.out("tune_results.jsonl");
    let mut file = OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("the results");
    write!(file, "{{\"ts\": \"half a li").expect("written");
    let text = std::fs::read_to_string(&path).expect("the results");
    std::fs::write(&path, text.replacen("\"ok\"", "\"OK\"", 1)).expect("damaged");
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert!(
        unfolded(&study.log()).contains("was made anew"),
        "{}",
        study.log()
    );
    assert_whole(&study);
}

/// The reference skipped damage anywhere. A journal that is not what was
/// written is an error that says where, and nothing is changed.
#[test]
fn damage_in_the_middle_is_an_error_with_its_place() {
    let study = killed();
    let path = study.out("journal.jsonl");
    let text = std::fs::read_to_string(&path).expect("the journal");
    let damaged = text.replacen("\"N\":\"1\"", "\"N\":\"7\"", 1);
    assert_ne!(damaged, text);
    std::fs::write(&path, &damaged).expect("damaged");
    let offset: usize = text
        .lines()
        .take_while(|line| !line.contains("\"N\":\"1\""))
        .map(|line| line.len() + 1)
        .sum();
    for verb in [
        &["run", "study.toml", "--output-dir", "out"][..],
        &["view", "out"],
    ] {
        let output = study.autotuned(verb);
        assert_eq!(code(&output), 5, "{}", said(&output));
        let place = format!("byte {offset}");
        assert!(said(&output).contains(&place), "{place}: {}", said(&output));
    }
    assert_eq!(
        std::fs::read_to_string(&path).expect("the journal"),
        damaged
    );
}
