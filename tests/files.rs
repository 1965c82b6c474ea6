//! The files for other programs on disk: repaired from the journal, written by
//! threads of their own, and taken up as history.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use autotune::base::clock::Timestamp;
use autotune::model::event::{Event, Fact};
use autotune::model::outcome::Outcome;
use autotune::model::study::Phase;
use autotune::model::trial::{Purpose, SittingEnd};
use autotune::model::value::Value;
use autotune::store::writer::{FilesThread, JournalThread};
use autotune::store::{Opening, Repaired, status};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

#[path = "helpers/study.rs"]
mod study;

const COMPLETE: SittingEnd = SittingEnd::Finished(Outcome::Complete);

fn open(folder: &Path) -> Opening {
    let now = Timestamp::from_millis(study::BEGAN);
    autotune::store::open(
        &folder.join("journal"),
        folder,
        Arc::new(study::spec()),
        "spec",
        now,
    )
    .expect("opens")
}

const RESULTS: &str = "tune_results.jsonl";
const BEST: &str = "best_params.json";

/// A folder with five trials, with nobody in it.
fn five_trials() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut opening = open(folder.path());
    assert_eq!((opening.repaired, opening.former_spec), (Vec::new(), None));
    let mut story = study::Story::new(opening.study.spec().clone(), 9);
    for fact in (0..5).flat_map(|_| story.good_trial()) {
        opening
            .journal
            .append(std::slice::from_ref(&fact))
            .expect("room");
        opening.study.apply(&fact).expect("fits");
        if let Some(line) = opening.results.take(&fact, &opening.study) {
            opening.files.append(&line).expect("room");
        }
    }
    let best = opening.study.incumbent().expect("complete trials");
    opening
        .files
        .best(Some(&status::best_text(&best.params)))
        .expect("room");
    let results = fs::read(folder.path().join(RESULTS)).expect("read");
    assert_eq!(results.iter().filter(|byte| **byte == b'\n').count(), 5);
    (folder, results)
}

#[test]
fn results_are_completed_wherever_they_are_cut() {
    let (folder, whole) = five_trials();
    let path = folder.path().join(RESULTS);
    assert_eq!(open(folder.path()).repaired, [], "as they should be");
    for cut in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..cut]).expect("cut");
        let [Repaired::Completed { torn, .. }] = &open(folder.path()).repaired[..] else {
            panic!("cut at {cut}");
        };
        let begin = whole[..cut]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        assert_eq!(*torn, (cut - begin) as u64);
        assert_eq!(fs::read(&path).expect("read"), whole, "cut at {cut}");
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!(
        open(folder.path()).repaired,
        [Repaired::Made { path: path.clone() }]
    );
    assert_eq!(fs::read(&path).expect("read"), whole);
}

#[test]
fn another_file_is_kept_beside() {
    let (folder, whole) = five_trials();
    let path = folder.path().join(RESULTS);
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let longer = [&whole[..], b"{}\n"].concat();
    for (number, other) in (1..).zip([&changed[..], &longer, b"something else\n"]) {
        fs::write(&path, other).expect("written");
        let kept = folder.path().join(format!("{RESULTS}.old-{number}"));
        assert_eq!(
            open(folder.path()).repaired,
            [Repaired::Replaced {
                path: path.clone(),
                kept: kept.clone()
            }]
        );
        assert_eq!(fs::read(&path).expect("read"), whole);
        assert_eq!(fs::read(&kept).expect("read"), other);
    }
    // A daemon in another time zone writes other times, and nothing else.
    let mut elsewhere = whole.clone();
    elsewhere[18..20].copy_from_slice(b"99");
    fs::write(&path, &elsewhere).expect("written");
    assert_eq!(open(folder.path()).repaired, []);
}

#[test]
fn best_params_are_mended() {
    let (folder, _) = five_trials();
    let path = folder.path().join(BEST);
    let right = fs::read(&path).expect("read");
    let opening = open(folder.path());
    let other = opening
        .study
        .trials()
        .iter()
        .find(|trial| status::best_text(&trial.params) != right);
    let stale = status::best_text(&other.expect("five trials").params);
    drop(opening);
    fs::write(&path, stale).expect("written");
    let stale = Repaired::Completed {
        path: path.clone(),
        torn: 0,
    };
    assert_eq!(
        open(folder.path()).repaired,
        [stale],
        "an earlier best is ours"
    );
    fs::write(&path, "{\"MINE\": \"1\"}").expect("written");
    let kept = folder.path().join(format!("{BEST}.old-1"));
    assert_eq!(
        open(folder.path()).repaired,
        [Repaired::Replaced {
            path: path.clone(),
            kept
        }]
    );
    assert_eq!(fs::read(&path).expect("read"), right);
}

#[test]
fn files_that_cannot_be_written_stop_nothing() {
    let (folder, whole) = five_trials();
    let path = folder.path().join(RESULTS);
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a folder in the way");
    let opening = open(folder.path());
    assert_eq!(opening.unrepaired.expect("a folder is no file").path, path);
    assert_eq!(opening.study.trials().len(), 5);

    let (report, reports) = mpsc::channel();
    let files = FilesThread::start(opening.files, move |error| drop(report.send(error.path)))
        .expect("a thread");
    files.line(b"{\"one\":1}\n".to_vec());
    files.flush().blocking_recv().expect("tried");
    assert_eq!(reports.try_recv(), Ok(path.clone()));
    fs::remove_dir(&path).expect("out of the way");
    files.line(b"{\"two\":2}\n".to_vec());
    (1..=9).for_each(|number| files.status(format!("{number}").into_bytes()));
    files.close().expect("no panic");
    assert_eq!(
        fs::read(&path).expect("read"),
        b"{\"one\":1}\n{\"two\":2}\n"
    );
    assert_eq!(
        fs::read(folder.path().join("tune_status.json")).expect("read"),
        b"9"
    );
    drop(opening.journal);
    open(folder.path());
    assert_eq!(fs::read(&path).expect("read"), whole);
}

#[test]
fn the_journal_thread_keeps_facts_in_their_places() {
    let (folder, _) = five_trials();
    let opening = open(folder.path());
    let path = opening.journal.path().to_owned();
    let (facts, good) = (opening.journal.facts(), fs::read(&path).expect("read"));
    let fact = |reason: &str| Fact {
        at: Timestamp::from_millis(1),
        event: Event::Paused {
            reason: reason.to_owned(),
            by_user: false,
        },
    };
    let thread = JournalThread::start(opening.journal).expect("a thread");
    thread
        .append(vec![fact("a")])
        .blocking_recv()
        .expect("told")
        .expect("room");
    let better = fs::read(&path).expect("read");
    fs::write(&path, [&better[..], b"?"].concat()).expect("disturbed");
    let first = thread
        .append(vec![fact("b")])
        .blocking_recv()
        .expect("told")
        .expect_err("disturbed");
    let second = thread
        .append(vec![fact("c")])
        .blocking_recv()
        .expect("told")
        .expect_err("out of turn");
    assert_eq!(
        (first.facts.len(), second.to_string()),
        (
            1,
            "facts that came before these could not be written yet".to_owned()
        )
    );
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(better.len() as u64))
        .expect("mended");
    thread
        .retry(first.facts)
        .blocking_recv()
        .expect("told")
        .expect("room");
    thread
        .append(second.facts)
        .blocking_recv()
        .expect("told")
        .expect("room");
    let journal = thread.close().expect("no panic");
    assert_eq!(journal.facts(), facts + 3);
    let text = fs::read_to_string(&path).expect("read");
    let reasons: Vec<&str> = text[good.len()..]
        .lines()
        .filter_map(|line| line.split("reason\":").nth(1))
        .map(|rest| &rest[..3])
        .collect();
    assert_eq!(reasons, ["\"a\"", "\"b\"", "\"c\""]);
}

fn reference_line(seqs: &str, status: &str, extra: &Json) -> String {
    let mut line = json!({
        "ts": "2026-03-01T12:00:00", "trial_key": "not used", "status": status, "phase": "eval",
        "params": {
            "CHUNKED": "true", "GPU_MEMORY_UTILIZATION": "0.745", "MAX_MODEL_LEN": "768",
            "MAX_NUM_SEQS": seqs, "REPETITION_PENALTY": "1.00", "STOP_STRINGS": "<|im_end|>",
        },
    });
    let fields = extra.as_object().expect("fields").clone();
    line.as_object_mut().expect("an object").extend(fields);
    line.to_string() + "\n"
}

fn reference_runs(accuracy: f64, tps: f64) -> Json {
    json!([
        {"i": 1, "ok": true, "returncode": 0, "accuracy": accuracy, "answer_tps": 4857.5, "total_tps": tps, "total_time_s": 1.76, "elapsed_s": 9.5},
        {"i": 2, "ok": false, "timeout": true},
    ])
}

#[test]
fn a_results_file_becomes_history() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ok =
        json!({"health": "HTTP 200", "eval_runs": reference_runs(0.9, 6000.0), "total_s": 60.5});
    let low = json!({"eval_runs": reference_runs(0.5, 9000.0)});
    let torn = "{\"ts\": \"2026-03-01T12:";
    let lines = [
        reference_line("1", "partial", &ok),
        reference_line("2", "ok", &low),
        reference_line(
            "3",
            "crashed",
            &json!({"phase": "startup", "exit_code": -9, "startup_s": 30.0, "health": "refused"}),
        ),
        reference_line("4", "timeout", &json!({})),
        reference_line(
            "5",
            "failed",
            &json!({"reason": "port 8000 still in use before start"}),
        ),
        reference_line(
            "6",
            "failed",
            &json!({"eval_runs": [{"i": 1, "ok": false, "error": "boom"}]}),
        ),
        reference_line(
            "7",
            "partial",
            &json!({"eval_runs": reference_runs(0.9, 5000.0)}),
        ),
        reference_line(
            "8",
            "partial",
            &json!({"eval_runs": reference_runs(0.9, 5000.0), "pruned": true}),
        ),
        "{\"avg_accuracy\": NaN}\n".to_owned(),
        reference_line(
            "9",
            "ok",
            &json!({"eval_runs": [{"i": 1, "ok": true, "accuracy": "0,88"}]}),
        ),
        reference_line(
            "9",
            "ok",
            &json!({"eval_runs": [{"i": 1, "ok": true, "accuracy": 0.9}]}),
        ),
        reference_line("9", "great", &json!({})),
        "\n".to_owned(),
        reference_line("1", "ok", &ok),
        torn.to_owned(),
    ];
    let original = lines.concat();
    let path = folder.path().join(RESULTS);
    fs::write(&path, &original).expect("written");

    let opening = open(folder.path());
    let import = opening.import.expect("imported");
    let problems: Vec<String> = import
        .problems
        .iter()
        .map(|p| format!("{}: {}", p.line, p.text))
        .collect();
    insta::assert_snapshot!(problems.join("\n"));
    assert_eq!((import.trials, import.host_faults), (7, 1));
    let trials: Vec<String> = opening
        .study
        .trials()
        .iter()
        .map(|trial| {
            let end = trial.sittings[0].end.as_ref();
            let runs: Vec<String> = trial
                .runs
                .iter()
                .map(|run| format!("{:?} {:?}", run.ending, run.metrics))
                .collect();
            let seqs = trial.params.get("MAX_NUM_SEQS");
            format!("{} seqs={seqs:?} {end:?} runs={runs:?}", trial.id)
        })
        .collect();
    insta::assert_snapshot!(trials.join("\n"));
    assert_eq!(opening.study.phase(), &Phase::Active);
    let best = opening.study.incumbent().expect("one is complete");
    let sitting = &best.sittings[0];
    assert_eq!(
        sitting.ended.map(|end| end.since(sitting.started)),
        Some(Duration::from_millis(60_500))
    );
    assert_eq!(
        sitting.ended.map(Timestamp::local_iso).as_deref(),
        Some("2026-03-01T12:00:00")
    );
    assert!(
        matches!(best.params.get("MAX_NUM_SEQS"), Some(Value::Int(1))),
        "with the space's types"
    );

    let whole = original.strip_suffix(torn).expect("the torn line");
    assert_eq!(fs::read_to_string(&path).expect("read"), whole);
    let beside = |end: &str| {
        fs::read_to_string(folder.path().join(format!("{RESULTS}.{end}"))).expect("kept")
    };
    assert_eq!(beside("imported"), whole);
    // What is cut off is with the damaged lines.
    assert!(!folder.path().join(format!("{RESULTS}.old-1")).exists());
    assert_eq!(
        beside("damaged"),
        [&lines[8], &lines[9], &lines[10], &lines[11]]
            .map(String::as_str)
            .concat()
            + torn
            + "\n"
    );

    // From here on the study's own lines come after.
    let (mut journal, mut files, mut results, mut study) = (
        opening.journal,
        opening.files,
        opening.results,
        opening.study,
    );
    let trial = study.unsettled().expect("the partial one").id;
    let events = [
        Event::SittingStarted {
            trial,
            sitting: 2,
            purpose: Purpose::Measure,
            token: "t".to_owned(),
            boot_id: "".into(),
            slot: None,
        },
        Event::SittingEnded {
            trial,
            sitting: 2,
            end: COMPLETE,
            health: None,
        },
    ];
    for event in events {
        let fact = Fact {
            at: Timestamp::from_millis(study::BEGAN),
            event,
        };
        journal.append(std::slice::from_ref(&fact)).expect("room");
        study.apply(&fact).expect("fits");
        if let Some(line) = results.take(&fact, &study) {
            files.append(&line).expect("room");
        }
    }
    drop(journal);
    let more = fs::read_to_string(&path).expect("read");
    assert_eq!(more[whole.len()..].lines().count(), 1);
    fs::write(&path, &more[..whole.len() / 2]).expect("cut");
    let opening = open(folder.path());
    assert!(
        matches!(opening.repaired[..], [Repaired::Completed { .. }]),
        "{:?}",
        opening.repaired
    );
    assert_eq!(opening.import, None, "only into an empty journal");
    assert_eq!(fs::read_to_string(&path).expect("read"), more);
}

#[test]
fn an_import_that_was_interrupted_is_done_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let line = reference_line(
        "1",
        "ok",
        &json!({"eval_runs": reference_runs(0.9, 6000.0)}),
    );
    let path = folder.path().join(RESULTS);
    // Without the last newline, which is no damage.
    fs::write(&path, line.trim_end()).expect("written");
    drop(open(folder.path()));
    assert_eq!(fs::read_to_string(&path).expect("read"), line);
    // As if the journal had never got the facts.
    fs::remove_dir_all(folder.path().join("journal")).expect("removed");
    let opening = open(folder.path());
    assert_eq!(opening.import.map(|import| import.trials), Some(1));
    assert_eq!(opening.repaired, []);
    drop(opening.journal);
    // A new beginning without the results: nothing of the old comes back.
    fs::remove_dir_all(folder.path().join("journal")).expect("removed");
    fs::remove_file(&path).expect("removed");
    let opening = open(folder.path());
    assert_eq!((opening.import, opening.repaired), (None, Vec::new()));
    assert!(!path.exists());
}

#[test]
fn lines_are_not_glued_to_somebody_elses_half_line() {
    let (folder, whole) = five_trials();
    let path = folder.path().join(RESULTS);
    let mut opening = open(folder.path());
    fs::write(&path, [&whole[..], b"half"].concat()).expect("written");
    opening.files.append(b"{}\n").expect("room");
    assert!(fs::read(&path).expect("read").ends_with(b"half\n{}\n"));
}
