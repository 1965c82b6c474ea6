//! One trial in all its parts: how params reach the steps, and how metrics are
//! read.

use serde_json::{Value as Json, json};

use crate::support::{Study, code, said};

/// A service, a task and two measure steps, with every way for params to get
/// in and every way for metrics to get out.
const WHOLE: &str = r#"
[study]
name = "whole"
pass_env = ["PIDS"]
[objective]
minimize = "loss"
[[constraint]]
metric = "accuracy"
min = 0.5
[[constraint]]
metric = "tps"
max = 250

[search]
sampler = "grid"
levels = 2
racing = false
[space]
kind = ["full", "lora"]
rank = { int = [4, 16], when = "kind == 'lora'" }
soft = [1, 2, 3]
hard = [2, 3]
[[rule]]
require = "soft <= hard"

[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"]
ready = { tcp = "127.0.0.1:{port}" }
file = [
    { name = "config.yaml", text = "kind: {{ kind }}\n{% if rank is defined %}rank: {{ rank }}\n{% endif %}" },
    { name = "limits.ini", template = "limits.template" },
]

[[step]]
name = "train"
kind = "task"
workdir = "train"
command = ["sh", "-c", '''
    cp {{ trial_dir }}/config.yaml {{ trial_dir }}/seen.yaml
    { echo '{"step": 1, "eval": {"loss": 9}}'
      echo '{"step": 2, "eval": {"loss": '$((10 * soft + hard))'}}'
      echo '{"step": 3}'; } > log.jsonl''']
metrics.loss = { jsonl = "log.jsonl", pointer = "/eval/loss" }

[[step]]
name = "quality"
kind = "measure"
runs = 2
warmup = 1
command = ["sh", "-c", '''
    echo {{ trial }}.{{ sitting }}.{{ run }} >> {{ trial_dir }}/quality.runs
    echo '{"acc": [0, 0.{{ 3 * (soft | int) }}]}' > {{ trial_dir }}/acc.json''']
metrics.accuracy = { json = "/acc/1", file = "{{ trial_dir }}/acc.json" }

[[step]]
name = "speed"
kind = "measure"
runs = 3
params = "none"
env = { HARD = "{{ hard }} of {{ study }}" }
command = ["{child}", "run", "--env", "{{ trial_dir }}/speed.{{ run }}",
           "--print", "loading …", "--print", '{"tps": 1}', "--print", '{"tps": {{ 100 * (hard | int) }}}',
           "--print", "[done]"]
metrics.tps = { json = "/tps" }
"#;

fn whole() -> Study {
    let study = Study::new(WHOLE);
    std::fs::create_dir(study.path("train")).expect("a folder");
    std::fs::write(study.path("limits.template"), "[limits]\nhard={{ hard }}\n")
        .expect("a template");
    study
}

#[test]
fn a_study_of_every_kind_of_step() {
    let study = whole();
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    // 5 pairs of soft and hard keep the rule; lora comes with two ranks.
    let planned = study.planned();
    assert_eq!(planned.len(), 15, "{planned:?}");
    assert_eq!(planned[0], "hard=2 kind=full soft=1");
    assert_eq!(planned[5], "hard=2 kind=lora rank=4 soft=1");
    assert_eq!(planned[14], "hard=3 kind=lora rank=16 soft=3");

    let read = |trial: u32, name: &str| {
        let folder = study.out("trials").join(format!("trial_{trial:05}"));
        std::fs::read_to_string(folder.join(name)).expect("a file of the trial")
    };
    assert_eq!(read(1, "seen.yaml"), "kind: full\n");
    assert_eq!(read(6, "seen.yaml"), "kind: lora\nrank: 4\n");
    assert_eq!(read(6, "limits.ini"), "[limits]\nhard=2\n");
    // Two runs that count, after one that does not.
    assert_eq!(read(6, "quality.runs"), "6.1.0\n6.1.1\n6.1.2\n");
    let seen = read(6, "speed.3");
    assert!(seen.contains("\nHARD=2 of whole\n"), "{seen}");
    assert!(
        !seen.contains("\nkind=") && !seen.contains("\nhard="),
        "{seen}"
    );

    let results = study.results();
    assert_eq!(results.len(), 15);
    let first = &results[0];
    assert_eq!(
        (
            &first["avg_loss"],
            &first["avg_accuracy"],
            &first["avg_tps"]
        ),
        (&json!(12.0), &json!(0.3), &json!(200.0))
    );
    // One of the task, two and three of the others.
    assert_eq!(first["eval_ok_n"], 6);
    let steps: Vec<&Json> = first["eval_runs"]
        .as_array()
        .expect("runs")
        .iter()
        .map(|run| &run["step"])
        .collect();
    assert_eq!(
        steps,
        ["train", "quality", "quality", "speed", "speed", "speed"]
    );

    // The lowest loss misses the accuracy, the next is too fast; ties go to
    // the first.
    assert_eq!(
        study.best(),
        json!({"kind": "full", "soft": "2", "hard": "2"})
    );
    let logs = ["log", "train.log", "quality.log", "speed.log"];
    for log in logs {
        let path = study
            .out("tune_server_logs")
            .join(format!("trial_00015.{log}"));
        assert!(path.exists(), "{}", path.display());
    }
    let quality = std::fs::read_to_string(study.out("tune_server_logs/trial_00001.speed.log"));
    let quality = quality.expect("a log");
    assert_eq!(quality.matches("[autotune: run ").count(), 3, "{quality}");
    assert_eq!(quality.matches("loading …\n").count(), 3, "{quality}");
    assert_eq!(study.alive(), Vec::<i32>::new());
}

/// A file of yesterday is no result, and a task that fails is the end of a
/// trial, but not of the study.
#[test]
fn what_goes_wrong_in_a_step_is_named() {
    let study = Study::new(
        r#"
        [study]
        name = "wrong"
        pass_env = ["PIDS"]
        [objective]
        minimize = "loss"
        [space]
        how = ["good", "code", "stale", "hangs", "missing", "oom"]
        [[step]]
        name = "train"
        kind = "task"
        timeout = "1s"
        command = ["sh", "-c", '''case $how in
            good) echo '{"loss": 1}' > loss.json;;
            code) echo 'no such data set' >&2; exit 3;;
            hangs) exec {child} run --gate {dir}never;;
            missing) echo '{"other": 1}' > loss.json;;
            oom) echo 'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB'; exit 1;;
        esac''']
        metrics.loss = { json = "/loss", file = "loss.json" }
        "#,
    );
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let results = study.results();
    let found: Vec<(&str, &str)> = results[1..]
        .iter()
        .map(|line| {
            assert_eq!(line["status"], "failed", "{line}");
            (
                line["cause"].as_str().expect("a cause"),
                line["message"].as_str().expect("a message"),
            )
        })
        .collect();
    let file = study.path("loss.json");
    let file = file.display();
    let expected = [
        ("task", "exited with code 3: no such data set".to_owned()),
        ("task", format!("loss: {file} was not written by this run")),
        ("task", "ran into its time limit of 1.0 s".to_owned()),
        ("task", format!("loss: {file}: has nothing at `/loss`")),
        (
            "gpu-out-of-memory",
            "exited with code 1: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB".to_owned(),
        ),
    ];
    let found: Vec<(&str, String)> = found
        .into_iter()
        .map(|(cause, text)| (cause, text.to_owned()))
        .collect();
    assert_eq!(found, expected);
}

/// The runs would take as long as the warm-up run, each of them.
#[test]
fn a_warm_up_run_that_times_out_ends_the_trial() {
    let study = super::simple(
        "[space]\nN = [1]\n",
        r#"["{child}", "run", "--gate", "{dir}never"]"#,
    );
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let warm = "runs = 3\nwarmup = 1\ntimeout = \"300ms\"\nstop_grace = \"10ms\"";
    study.write_spec(&spec.replace("runs = 2", warm));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(
        study.events_of("step-started").len(),
        1,
        "{}",
        study.trace()
    );
    assert_eq!(study.events_of("run-ended").len(), 0, "{}", study.trace());
    let results = study.results();
    assert_eq!(results[0]["status"], "failed", "{results:?}");
    let trace = study.trace();
    assert!(
        trace.contains("the warm-up run ran into its time limit"),
        "{trace}"
    );
}
