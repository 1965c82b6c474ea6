//! Training runs that tell how far they are: real programs, whose lines and
//! files are followed, and the hopeless of which are ended in their midst.

mod support;

use serde_json::{Value as Json, json};
use support::control::{good, json as asked};
use support::{Study, code, said};

/// Seven values, of which the fifth is hopeless.
const TRAIN: &str = r#"
[study]
name = "train"
pass_env = ["PIDS"]
[objective]
maximize = "accuracy"
[search]
sampler = "grid"
median = { after = 3, from = 20 }
[space]
N = [1, 2, 3, 4, 5, 6, 7]
[[step]]
name = "train"
kind = "task"
command = ["{child}", "train", "--to", "{{ [0.8, 0.81, 0.79, 0.82, 0.2, 0.9, 0.85][N | int - 1] }}",
    "--gate", "{dir}gate-{{ N }}", "--gate-at", "{{ [41, 101, 101, 101, 61, 101, 101][N | int - 1] }}"]
[step.progress]
accuracy = "'accuracy': '(?<value>[^']+)'.*'global_step/max_steps': '(?<step>[^']+)'"
loss = { regex = "'loss': '([^']+)'.*max_steps': '(?<step>[0-9]+)/(?<of>[0-9]+)'" }
[step.metrics]
accuracy = "'accuracy': '([^']+)'"
best_loss = { regex = "'loss': '([^']+)'", match = "min" }
at_half = { regex = "'accuracy': '(?<value>[^']+)'.*max_steps': '(?<step>[0-9]+)", at = 50 }
"#;

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The points of one curve, as [step, value, sitting].
fn points(study: &Study, trial: &str, metric: &str) -> Vec<Json> {
    let shown = asked(study, &["show", trial]);
    let curves = shown["curves"].as_array().expect("curves").iter();
    let mut own = curves.filter(|curve| curve["metric"] == metric);
    let points = own.next().expect("the curve")["points"].clone();
    let points = points.as_array().expect("points").iter();
    points
        .map(|point| json!([point["at"], point["value"], point["sitting"]]))
        .collect()
}

#[test]
fn a_hopeless_run_is_ended_in_its_midst_and_all_can_be_seen() {
    let study = Study::new(TRAIN);
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_gate("gate-1");
    let so_far = || flat(&good(&study, &["status"])).contains("step 40 of 100");
    study.wait("the fortieth step", so_far);
    let status = flat(&good(&study, &["status"]));
    assert!(status.contains("in step train for"), "{status}");
    let told = "told step 40 of 100 accuracy 0.32 ▁";
    assert!(status.contains(told), "{status}");
    study.open_gate("gate-1");
    // What is hopeless waits at a gate that is never opened.
    study.await_events("done", 1);
    let pruned = study.events_of("trial-pruned");
    assert_eq!(pruned.len(), 1, "{pruned:?}");
    let median = json!({"at": 20.0, "trials": 4});
    assert_eq!(
        (&pruned[0]["trial"], &pruned[0]["median"]),
        (&json!(5), &median)
    );
    assert_eq!(study.alive(), [0; 0]);
    let why = "at step 20 accuracy 0.04 is below the median 0.0845";
    for words in [["show", "5"], ["why", "5"]] {
        let text = flat(&good(&study, &words));
        assert!(text.contains(why), "{text}");
    }
    let view = flat(&said(&study.autotuned(&["view", "out"])));
    assert!(view.contains(why), "{view}");
    let events = good(&study, &["events", "-n", "all"]);
    assert!(events.contains("run-told"), "{events}");
    assert!(events.contains("trials=4"), "{events}");
    // All of it is there, and what counts was picked.
    let whole = points(&study, "2", "accuracy");
    assert_eq!((whole.len(), &whole[99]), (100, &json!([100.0, 0.81, 1])));
    let show = flat(&good(&study, &["show", "2"]));
    assert!(
        show.contains("train accuracy step 100 of 100 0.0081"),
        "{show}"
    );
    let run = &study.events_of("run-ended")[1];
    let picked = json!({"accuracy": 0.81, "best_loss": 1.19, "at_half": 0.405});
    assert_eq!(run["metrics"], picked);
    let line = &study.results()[4];
    assert_eq!(line["pruned"], json!(true));
    assert_eq!(study.best(), json!({"N": "6"}));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_hopeless_run_is_ended_after_a_crash_in_its_midst_too() {
    let waits = "10 if sitting == '1' else 61";
    let study = Study::new(&TRAIN.replace("101, 61, 101", &format!("101, {waits}, 101")));
    study.open_gate("gate-1");
    let mut daemon = study.start();
    study.await_gate("gate-5");
    let is_told = || {
        study
            .events_of("run-told")
            .iter()
            .any(|told| told["trial"] == 5)
    };
    study.wait("a point of the fifth trial", is_told);
    daemon.kill();
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let pruned = study.events_of("trial-pruned");
    let of = |pruned: &Json| (pruned["trial"].clone(), pruned["median"]["at"].clone());
    assert_eq!(
        pruned.iter().map(of).collect::<Vec<_>>(),
        [(json!(5), json!(20.0))]
    );
    let known = points(&study, "5", "accuracy");
    assert!(
        known.len() >= 20 && known.iter().all(|point| point[2] == 2),
        "{known:?}"
    );
    assert_eq!(study.alive(), [0; 0]);
    assert_eq!(study.best(), json!({"N": "6"}));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn what_a_user_wants_and_what_nobody_prunes_runs_to_its_end() {
    let study = Study::new(&TRAIN.replace("median = { after = 3, from = 20 }\n", ""));
    (1..=7).for_each(|n| study.open_gate(&format!("gate-{n}")));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(study.events_of("trial-pruned").len(), 0);
    assert_eq!(study.events_of("run-ended").len(), 7);
}

/// The numbers are in a file in a new folder for each start.
const FILES: &str = r#"
[study]
name = "files"
pass_env = ["PIDS"]
[objective]
maximize = "accuracy"
[search]
sampler = "grid"
[space]
N = [1, 2]
[[step]]
name = "train"
kind = "task"
command = ["{child}", "train", "--to", "0.{{ 7 + N | int }}", "--logs", "{dir}output",
    "--after", "{{ 30 if sitting == '2' else 0 }}",
    "--gate", "{dir}gate-{{ sitting }}", "--gate-at", "51"]
[step.progress]
accuracy = { jsonl = "{dir}output/v*/logging.jsonl", pointer = "/accuracy", step = "/global_step~1max_steps" }
loss = { jsonl = "{dir}output/v*/logging.jsonl", pointer = "/loss" }
[step.metrics]
accuracy = { jsonl = "{dir}output/v*/logging.jsonl", pointer = "/accuracy", match = "max" }
early = { jsonl = "{dir}output/v*/logging.jsonl", pointer = "/accuracy", at = 40, step = "/global_step~1max_steps" }
"#;

#[test]
fn a_trial_that_goes_on_after_a_crash_keeps_its_points() {
    let study = Study::new(FILES);
    // What older trials have left is no result of this one.
    let older = study.path("output/v0");
    std::fs::create_dir_all(&older).expect("made");
    let record = "{\"accuracy\": 0.99, \"global_step/max_steps\": \"40/40\"}\n";
    std::fs::write(older.join("logging.jsonl"), record).expect("written");
    std::fs::create_dir(study.path("output/v1")).expect("a failed start");
    let mut daemon = study.start();
    study.await_gate("gate-1");
    let is_told = || {
        let told = study.events_of("run-told");
        told.iter()
            .any(|told| told["at"] == 50.0 && told["of"] == 100.0)
    };
    study.wait("the fiftieth step", is_told);
    daemon.kill();
    study.open_gate("gate-1");
    study.open_gate("gate-2");
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let known = points(&study, "1", "accuracy");
    assert_eq!(known.len(), 100);
    let sittings: Vec<&Json> = known.iter().map(|point| &point[2]).collect();
    assert_eq!(sittings[..30], [&json!(1); 30]);
    assert_eq!(sittings[30..], [&json!(2); 70]);
    let runs = study.events_of("run-ended");
    assert_eq!(runs[0]["metrics"], json!({"accuracy": 0.8, "early": 0.32}));
    assert_eq!(runs[1]["metrics"], json!({"accuracy": 0.9, "early": 0.36}));
    assert_eq!(study.alive(), [0; 0]);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_run_that_tells_nothing_any_more_is_ended() {
    let spec = TRAIN.replace("[1, 2, 3, 4, 5, 6, 7]\n", "[1]\n");
    let spec = spec.replace(
        "kind = \"task\"\n",
        "kind = \"task\"\nstall_timeout = \"500ms\"\n",
    );
    let study = Study::new(&spec);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let runs = study.events_of("run-ended");
    assert_eq!(runs[0]["fault"], "told nothing for 500 ms (stall_timeout)");
    assert_eq!(runs[0]["ending"], "timed-out");
    // What it had told is kept.
    let told = study.events_of("run-told");
    assert_eq!(told.last().expect("some")["at"], 40.0);
    assert_eq!(study.alive(), [0; 0]);
}

#[test]
fn what_is_no_number_is_counted() {
    let study = Study::new(
        r#"
[study]
name = "diverges"
[objective]
minimize = "end"
[space]
N = [1]
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''
    for loss in 0.5 nan 0.25 inf nan; do
        echo "loss=$loss"
        case $loss in nan) loss=NaN ;; inf) loss=Infinity ;; esac
        printf '{"loss": %s}\n' "$loss" >>log-1
    done
    echo end=1''']
[step.progress]
loss = 'loss=(\S+)'
logged = { jsonl = "log-{{ N }}", pointer = "/loss" }
[step.metrics]
end = 'end=(\S+)'
"#,
    );
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    for metric in ["loss", "logged"] {
        assert_eq!(points(&study, "1", metric).len(), 2);
    }
    let show = flat(&good(&study, &["show", "1"]));
    for (metric, why) in [
        ("loss", "`nan` is not a finite number"),
        ("logged", "its line is no JSON"),
    ] {
        let text = format!("passed over in the curve of {metric}: 3, the first since {why}");
        assert!(show.contains(&text), "{show}");
    }
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}
