//! Racing that reaches into a run: real parts and real lines of progress.

mod support;

use serde_json::{Value as Json, json};
use support::control::good;
use support::{Study, code, said};

/// Seven values, of which the sixth is hopeless and the last is the best. The
/// parts differ in how hard they are, in the same way for all values. Each notes
/// that it has ended.
const PARTS: &str = r#"
[study]
name = "parts"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[search]
sampler = "grid"
racing = true
[space]
N = [1, 2, 3, 4, 5, 6, 7]
[[step]]
name = "eval"
kind = "measure"
runs = 3
parts = 4
command = ["{child}", "run", "--leave", "--gate", "{dir}gate-{{ N }}-{{ run }}-{{ part }}", "--done", "{dir}done",
    "--line", "{{ N }} {{ run }} {{ part }}/{{ parts }}", "--print",
    "score={{ [100, 100.1, 99.9, 99.95, 100.4, 50, 120][N | int - 1] * (10 + part | int) / 10 }}"]
[step.metrics]
score = 'score=(\S+)'
"#;

/// The same, but a run prints what it is going to come out by, which is too
/// much at first.
const PROGRESS: &str = r#"
[study]
name = "progress"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[search]
sampler = "grid"
racing = true
[space]
N = [1, 2, 3, 4, 5, 6, 7]
[[step]]
name = "eval"
kind = "measure"
runs = 1
progress = 'so far (\S+)'
command = ["{child}", "run", "--leave", "--gate", "{dir}gate-{{ N }}",
    "--tell", "so far {{ [100, 101, 99, 98, 102, 50, 120][N | int - 1] * 2 }}",
    "--tell", "so far {{ [100, 101, 99, 98, 102, 50, 120][N | int - 1] * 1.5 }}",
    "--tell", "so far {{ [100, 101, 99, 98, 102, 50, 120][N | int - 1] * 1.2 }}",
    "--print", "score={{ [100, 101, 99, 98, 102, 50, 120][N | int - 1] }}"]
[step.metrics]
score = 'score=(\S+)'
"#;

const VALUES: std::ops::RangeInclusive<u32> = 1..=7;

/// Opens the gates of so many runs of a value.
fn open(study: &Study, value: u32, runs: u32) {
    for run in 1..=runs {
        (1..=4).for_each(|part| study.open_gate(&format!("gate-{value}-{run}-{part}")));
    }
}

/// The parts of a value that have ended, as `RUN PART/PARTS`.
fn done(study: &Study, value: u32) -> Vec<String> {
    let text = std::fs::read_to_string(study.path("done")).expect("some have ended");
    let own = format!("{value} ");
    let lines = text.lines().filter_map(|line| line.strip_prefix(&own));
    lines.map(str::to_owned).collect()
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cuts(study: &Study) -> Vec<Json> {
    let pruned = study.events_of("trial-pruned").into_iter();
    pruned
        .map(|event| json!([event["trial"], event["cut"]]))
        .collect()
}

#[test]
fn a_hopeless_trial_is_ended_after_a_part_and_a_good_one_has_them_all() {
    let study = Study::new(PARTS);
    (2..=4).for_each(|value| open(&study, value, 1));
    [5, 7].into_iter().for_each(|value| open(&study, value, 3));
    study.open_gate("gate-1-1-1");
    // What follows would never end by itself.
    study.open_gate("gate-6-1-1");
    let mut daemon = study.start();
    study.await_gate("gate-1-1-2");
    let in_part = || flat(&good(&study, &["status"])).contains("in part 2 of 4 of step eval");
    study.wait("the second part", in_part);
    // One with all its runs shows how much they vary.
    good(&study, &["enqueue", "N=5"]);
    open(&study, 1, 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let cut = json!({"step": "eval", "mark": 1, "parts": 4, "share": 0.25});
    assert_eq!(cuts(&study), [json!([6, cut])]);
    assert_eq!(done(&study, 6), ["1 1/4"]);
    assert_eq!(done(&study, 2), ["1 1/4", "1 2/4", "1 3/4", "1 4/4"]);
    assert_eq!(study.best(), json!({"N": "7"}));
    let runs = study.events_of("run-ended");
    let first = &runs[0];
    assert_eq!(first["metrics"]["score"], 125.0, "the mean of its parts");
    let of = |trial: u32| runs.iter().filter(|run| run["trial"] == trial).count();
    assert_eq!((of(6), of(7)), (0, 3), "the best has all its runs");
    assert_eq!(study.alive(), [0; 0]);
    let view = flat(&said(&study.autotuned(&["view", "out"])));
    // Of 21 runs: the baseline, the one that was wanted and the best have
    // theirs, three others one each.
    assert!(view.contains("racing saved 8.8 of 21 runs"), "{view}");
    let why = "after part 1 of 4 of the first run score promises 62.5, trial 2 has 125.5";
    assert!(view.contains(why), "{view}");
    let line = &study.results()[5];
    assert_eq!(
        (&line["pruned"], &line["eval_ok_n"]),
        (&json!(true), &json!(0))
    );
}

#[test]
fn a_run_that_tells_how_it_goes_is_ended_in_its_midst() {
    let study = Study::new(PROGRESS);
    let others = VALUES.filter(|value| *value != 1 && *value != 6);
    others.for_each(|value| study.open_gate(&format!("gate-{value}")));
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_gate("gate-1");
    let so_far = || flat(&good(&study, &["status"])).contains("in step eval (score 120 so far)");
    study.wait("the third line", so_far);
    study.open_gate("gate-1");
    study.await_events("done", 1);
    let cut = json!({"step": "eval", "mark": 1, "share": 1.0 / 3.0});
    assert_eq!(cuts(&study), [json!([6, cut])]);
    assert_eq!(study.alive(), [0; 0]);
    let show = flat(&good(&study, &["show", "6"]));
    let why = "pruned: at line 1 of the progress of the first run score promises 50, \
               trial 5 has 102: chance to win below 1 %";
    assert!(show.contains(why), "{show}");
    let shown: Json = serde_json::from_str(&good(&study, &["show", "6", "--json"])).expect("JSON");
    assert_eq!(shown["pruning"]["cut"]["parts"], Json::Null);
    let status = flat(&good(&study, &["status"]));
    assert!(status.contains("racing saved 0.7 of 7 runs"), "{status}");
    assert_eq!(study.best(), json!({"N": "7"}));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// Parts of one run share a start: a run that the daemon's death has ended
/// begins anew.
#[test]
fn a_kill_in_the_midst_of_a_part_loses_that_run_alone() {
    let study = Study::new(&PARTS.replace("[1, 2, 3, 4, 5, 6, 7]\n", "[1, 2]\n"));
    study.open_gate("gate-1-1-1");
    study.open_gate("gate-1-1-2");
    let mut daemon = study.start();
    study.await_gate("gate-1-1-3");
    study.await_events("run-marked", 2);
    daemon.kill();
    (1..=2).for_each(|value| open(&study, value, 3));
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let marks = study.events_of("run-marked").into_iter();
    let marks = marks.filter(|mark| mark["trial"] == 1 && mark["run"] == 1);
    let marks: Vec<Json> = marks.map(|m| json!([m["sitting"], m["mark"]])).collect();
    let expected = [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [2, 4]];
    assert_eq!(marks, expected.map(|mark| json!(mark)));
    let runs = study.events_of("run-ended");
    assert_eq!(runs[0]["metrics"]["score"], 125.0);
    assert!(study.events_of("trial-pruned").is_empty());
    assert_eq!(study.alive(), [0; 0]);
}

#[test]
fn what_does_not_race_has_all_its_parts_and_a_bad_part_is_a_bad_run() {
    let spec = PARTS.replace("racing = true", "racing = false");
    let spec = spec.replace("[1, 2, 3, 4, 5, 6, 7]\n", "[1, 6]\n");
    let study = Study::new(&spec);
    VALUES.for_each(|value| open(&study, value, 3));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(study.events_of("run-ended").len(), 6);
    assert_eq!((done(&study, 1).len(), done(&study, 6).len()), (12, 12));

    // The second part of the second value measures nothing.
    let spec = spec.replace(
        "\"score={{",
        "\"{{ '' if N == '6' and part == '2' else 'score=' }}{{",
    );
    let study = Study::new(&spec);
    VALUES.for_each(|value| open(&study, value, 3));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let runs = study.events_of("run-ended");
    let faults: Vec<&Json> = runs.iter().map(|run| &run["fault"]).collect();
    let bad = "part 2: score: the pattern `score=(\\S+)` found nothing in the output";
    assert_eq!(faults[..3], [&Json::Null; 3]);
    assert_eq!(faults[3..], [&json!(bad); 3]);
    // What would have followed would have been for nothing.
    assert_eq!(
        done(&study, 6),
        ["1 1/4", "1 2/4", "2 1/4", "2 2/4", "3 1/4", "3 2/4"]
    );
}
