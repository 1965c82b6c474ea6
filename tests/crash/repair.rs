//! A second daemon, a torn journal, results that are gone.

use std::path::Path;

use crate::checks::{
    assert_complete, assert_nothing_left, gated, go_on, journalled, kill_both, open_all,
};
use crate::support::{Study, code, said};

#[test]
fn a_second_daemon_on_the_folder_is_turned_away() {
    let study = gated(true, "run-1");
    let mut daemon = study.start();
    study.await_gate("run-1");
    let alive = study.alive();
    let second = study.run();
    assert_eq!(code(&second), 4, "{}", said(&second));
    let named = format!("process {}", daemon.pid());
    assert!(said(&second).contains(&named), "{}", said(&second));
    assert_eq!(study.alive(), alive, "the first one's processes");
    open_all(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_complete(&study);
    assert_eq!(study.events_of("opened").len(), 1);
}

/// Daemon and runner are killed with one run journalled, and the journal loses
/// its last bytes, as in a power cut: the run comes back from the runner's
/// reports.
fn a_torn_journal_loses_no_run(cgroup: bool) {
    // From the last byte back into the event of the first run.
    for torn in ["step-started", "run-ended"] {
        let study = gated(cgroup, "run-2");
        let mut daemon = study.start();
        study.await_gate("run-2");
        // The service, the task and two runs.
        study.await_events("step-started", 4);
        kill_both(&study, &mut daemon);
        let path = study.out("journal.jsonl");
        let text = std::fs::read_to_string(&path).expect("the journal");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let last = lines
            .iter()
            .rposition(|line| line.contains(torn))
            .expect("the event");
        let before: usize = lines[..last].iter().map(|line| line.len()).sum();
        let kept = before + lines[last].len() / 2;
        std::fs::write(&path, &text[..kept]).expect("the journal");
        let left: usize = journalled(&study).values().sum();
        assert_eq!(left, if torn == "run-ended" { 1 } else { 2 });
        assert_eq!(go_on(&study), 0, "{}", study.trace());
        assert_complete(&study);
        let log = std::fs::read_to_string(study.path("daemon.log")).expect("the log");
        assert!(log.contains("ended in half a line"), "{log}");
    }
}

both_ways!(a_torn_journal_loses_no_run);

/// A finished study, its journal cut at several places of its last lines.
#[test]
fn a_torn_end_is_mended() {
    let finished = finished();
    let text = std::fs::read(finished.out("journal.jsonl")).expect("the journal");
    let last = text[..text.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    for kept in [text.len() - 1, text.len() - 7, last + 1, last] {
        std::fs::write(finished.out("journal.jsonl"), &text[..kept]).expect("the journal");
        let output = finished.run();
        assert_eq!(code(&output), 0, "{kept}: {}", said(&output));
        assert_complete(&finished);
        assert_eq!(finished.events_of("done").len(), 1, "{kept}");
        let view = finished.autotuned(&["view", "out"]);
        assert_eq!(code(&view), 0, "{}", said(&view));
    }
}

fn finished() -> Study {
    let study = gated(true, "");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_complete(&study);
    study
}

#[test]
fn results_are_made_again_from_the_journal() {
    let study = finished();
    let files = ["tune_results.jsonl", "best_params.json"].map(|name| study.out(name));
    let originals = [read(&files[0]), read(&files[1])];
    for harm in ["deleted", "emptied", "torn", "halved"] {
        for (path, original) in files.iter().zip(&originals) {
            match harm {
                "deleted" => std::fs::remove_file(path).expect("it was there"),
                "emptied" => cut(path, 0),
                "torn" => cut(path, original.len() - 9),
                _ => cut(path, original.len() / 2),
            }
        }
        let output = study.run();
        assert_eq!(code(&output), 0, "{harm}: {}", said(&output));
        for (path, original) in files.iter().zip(&originals) {
            let now = read(path);
            let shown = String::from_utf8_lossy(&now);
            assert_eq!(now, *original, "{harm}: {shown}");
        }
    }
    // Nothing was tried again for it.
    assert_complete(&study);
}

/// What was torn off is made again too when a trial is under way.
#[test]
fn results_are_mended_before_the_study_goes_on() {
    let study = gated(true, "");
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("/run-{{ run }}", "/run-{{ run }}-{{ trial }}"));
    for gate in ["run-1-1", "run-2-1", "run-1-2"] {
        study.open_gate(gate);
    }
    let mut daemon = study.start();
    study.await_gate("run-2-2");
    kill_both(&study, &mut daemon);
    let results = study.out("tune_results.jsonl");
    let first = read(&results);
    assert_eq!(study.results().len(), 1);
    std::fs::write(&results, &first[..first.len() / 2]).expect("the results");
    std::fs::remove_file(study.out("best_params.json")).expect("the best params");
    let mut daemon = study.start();
    study.await_events("sitting-ended", 2);
    study.open_gate("run-2-2");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_complete(&study);
    assert!(read(&results).starts_with(&first));
    assert_eq!(study.results().len(), 2);
}

/// A folder that an older daemon did not come to remove is removed.
#[test]
fn folders_of_sittings_that_are_over_are_removed() {
    let study = finished();
    let folder = study.out("sittings/00001.1");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("events.jsonl"), "").expect("a file");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_nothing_left(&study);
}

fn cut(path: &Path, length: usize) {
    let text = read(path);
    std::fs::write(path, &text[..length]).expect("a file of results");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file of results")
}
