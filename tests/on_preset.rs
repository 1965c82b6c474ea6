//! What users do with presets: `autotunectl presets` and `init`, and a study
//! of real processes whose spec builds on one.

mod support;

use std::process::{Command, Output, Stdio};

use autotune::config::presets::{ALL, find};
use serde_json::Value as Json;
use support::control::{good, json};
use support::{Study, code, said};

/// The preset llama-cpp with other programs in the places of its own.
const SPEC: &str = r#"
preset = "llama-cpp"
[study]
name = "on-preset"
pass_env = ["PIDS"]
[budget]
trials = 2
[search]
sampler = "coordinate"
racing = false
[base]
MODEL = "model.gguf"
PORT = {port}
[[step]]
name = "serve"
params = "env"
command = ["{child}", "serve", "--port", "{{ PORT }}"]
ready = { tcp = "127.0.0.1:{{ PORT }}" }
[[step]]
name = "eval"
runs = 1
warmup = 0
command = ["{child}", "run",
    "--print", "Accuracy (RougeL-F1 mean, RAW): 0.6",
    "--print", "Throughput RAW: answer_tokens/s=1 (prompt+answer)_tokens/s={{ UBATCH_SIZE }}",
    "--print", "Total time: 1.0s",
    "{% if POLL == '1' %}--no-such-option{% endif %}"]
"#;

/// `autotunectl` where no daemon is, in the folder of a study.
fn ctl(study: &Study, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(arguments)
        .current_dir(study.path(""))
        .env("AUTOTUNE_SOCKET", study.path("nobody.sock"))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command.output().expect("autotunectl")
}

#[test]
fn presets_are_listed_and_shown_without_a_daemon() {
    let study = Study::new("");
    let list = ctl(&study, &["presets"]);
    assert_eq!(code(&list), 0, "{}", said(&list));
    let list = said(&list);
    assert!(
        list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
    for preset in &ALL {
        let line = list.lines().find(|line| line.starts_with(preset.name));
        assert!(
            line.is_some_and(|line| line.contains(preset.summary)),
            "{list}"
        );
        let shown = ctl(&study, &["presets", preset.name]);
        assert_eq!(String::from_utf8_lossy(&shown.stdout), preset.text);
    }
    let list: Json =
        serde_json::from_slice(&ctl(&study, &["presets", "--json"]).stdout).expect("JSON");
    assert_eq!(list["presets"][0]["name"], ALL[0].name);
    assert_eq!(list["presets"][0]["summary"], ALL[0].summary);
    let one = ctl(&study, &["presets", "vllm", "--json"]);
    let one: Json = serde_json::from_slice(&one.stdout).expect("JSON");
    assert_eq!(one["text"], find("vllm").expect("there").text);
    let unknown = ctl(&study, &["presets", "vlm"]);
    assert_eq!(code(&unknown), 2);
    assert!(said(&unknown).contains("'vllm'"), "{}", said(&unknown));
}

#[test]
fn init_writes_a_spec_to_fill_in_and_overwrites_nothing() {
    let study = Study::new("");
    let written = ctl(&study, &["init", "vllm"]);
    assert_eq!(code(&written), 0, "{}", said(&written));
    let path = study.path("vllm.toml");
    let text = std::fs::read_to_string(&path).expect("the spec");
    assert_eq!(text, find("vllm").expect("there").text);
    let said_then = said(&written);
    assert!(said_then.contains("`name` has no value yet"), "{said_then}");
    assert!(
        said_then.contains("`MODEL` has no value yet"),
        "{said_then}"
    );
    assert!(
        said_then.contains("autotuned check vllm.toml"),
        "{said_then}"
    );

    std::fs::write(&path, "mine").expect("changed");
    let again = ctl(&study, &["init", "vllm"]);
    assert_eq!(code(&again), 1);
    assert!(
        said(&again).contains("vllm.toml: it is there already"),
        "{}",
        said(&again)
    );
    assert_eq!(std::fs::read_to_string(&path).expect("the spec"), "mine");

    let other = ctl(&study, &["init", "sglang", "-o", "other.toml", "--json"]);
    let other: Json = serde_json::from_slice(&other.stdout).expect("JSON");
    assert_eq!(other["file"], "other.toml");
    assert_eq!(other["missing"].as_array().map(Vec::len), Some(2));
    // Filled in, it is good.
    let text = std::fs::read_to_string(study.path("other.toml")).expect("the spec");
    let filled = text
        .lines()
        .map(|line| match line.split_once(" = { required") {
            Some((key, _)) => format!("{key} = \"x\""),
            None => line.to_owned(),
        });
    let filled: Vec<String> = filled.collect();
    std::fs::write(study.path("other.toml"), filled.join("\n")).expect("filled in");
    let checked = study.autotuned(&["check", "--no-host", "other.toml"]);
    assert_eq!(code(&checked), 0, "{}", said(&checked));

    let which = ctl(&study, &["init"]);
    assert_eq!(code(&which), 2);
    let which = said(&which);
    assert!(ALL.iter().all(|preset| which.contains(preset.summary)));
    assert!(which.contains("autotunectl init vllm"), "{which}");

    let nowhere = ctl(&study, &["init", "vllm", "--output", "no/such/folder.toml"]);
    assert_eq!(code(&nowhere), 1);
    assert!(
        said(&nowhere).contains("no/such/folder.toml"),
        "{}",
        said(&nowhere)
    );
}

#[test]
fn a_study_goes_by_what_its_spec_and_its_preset_say_together() {
    let study = Study::new(SPEC);
    let expanded = study.autotuned(&["check", "--expand", "study.toml"]);
    assert_eq!(code(&expanded), 0, "{}", said(&expanded));
    let expanded = String::from_utf8(expanded.stdout).expect("text");
    assert!(
        expanded.contains("\nCACHE_TYPE_K = [\"f16\", \"q8_0\"]\n"),
        "{expanded}"
    );

    let mut daemon = study.start_verb(&["run", "--stay", "study.toml", "--output-dir", "out"]);
    study.await_events("done", 1);
    let kept = std::fs::read_to_string(study.out("spec.toml")).expect("the kept spec");
    assert_eq!(kept, expanded);
    // The preset's parameters, in its order, with the base values of both.
    study.wait("both results", || study.results().len() == 2);
    let results = study.results();
    assert!(results.iter().all(|r| r["status"] == "ok"), "{results:?}");
    assert_eq!(results[0]["params"]["UBATCH_SIZE"], "512");
    assert_eq!(results[0]["params"]["PORT"], study.port.to_string());
    assert_eq!(results[1]["param_under_test"], "PARALLEL");
    let space = json(&study, &["space"]);
    let first = &space["parameters"][0];
    assert_eq!(first["name"], "PARALLEL", "{space}");

    // Other words for the same are no change; other values are one.
    study.write_spec(&format!("# The same.\n{SPEC}"));
    assert_eq!(good(&study, &["reload"]), "the spec says what it said\n");
    good(&study, &["space", "add", "POLL", "75"]);
    study.write_spec(
        &SPEC
            .replace("trials = 2", "trials = 3")
            .replace("[base]", "[space]\nPARALLEL = [\"auto\"]\n[base]"),
    );
    good(&study, &["reload"]);
    study.await_events("done", 2);
    study.wait("the third result", || study.results().len() == 3);
    assert_eq!(study.results()[2]["param_under_test"], "UBATCH_SIZE");
    let space = json(&study, &["space"]).to_string();
    assert!(space.contains("75"), "{space}");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
    // It can be looked at without its spec.
    std::fs::remove_file(study.path("study.toml")).expect("gone");
    let view = study.autotuned(&["view", "out"]);
    assert_eq!(code(&view), 0, "{}", said(&view));
    assert!(said(&view).contains("UBATCH_SIZE=128"), "{}", said(&view));
    study.await_nothing_alive();
}

/// What the preset training-agent promises, with a script in the place of a
/// training: it makes a folder named by the time, and is best at 2 epochs.
#[test]
fn a_training_agent_leaves_its_best_model_and_a_report() {
    let study = Study::new(
        r#"
preset = "training-agent"
[study]
name = "agent"
approve = "never"
[space]
NUM_TRAIN_EPOCHS = { int = [1, 3] }
[[step]]
name = "train"
command = ["sh", "train.sh"]
"#,
    );
    let script = "dir=$OUTPUT_DIR_ROOT/$(date +%s%N); mkdir -p $dir\n\
                  echo \"$BASE_MODEL $NUM_TRAIN_EPOCHS\" > $dir/model.txt\n\
                  case $NUM_TRAIN_EPOCHS in 2) echo score: 0.9;; *) echo score=0.5;; esac\n";
    std::fs::write(study.path("train.sh"), script).expect("a script");
    let output = study.autotuned(&["run", "study.toml", "--output-dir", "out", "--no-advisor"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let planned = study.planned();
    assert!(planned.len() > 6, "{planned:?}");
    let is_protected = |key: &String| key.contains("OUTPUT_DIR_ROOT=models");
    assert!(planned.iter().all(is_protected), "{planned:?}");
    let model = study.out("best_overall_model/model.txt");
    let model = std::fs::read_to_string(&model).expect("the best model");
    assert_eq!(model, "sentence-transformers/all-MiniLM-L6-v2 2\n");
    let reports = std::fs::read_dir(study.out("docs/reports")).expect("reports");
    let names = reports.map(|entry| entry.expect("an entry").file_name());
    let names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    let report = names.iter().find(|name| name.ends_with(".md"));
    let report = report.unwrap_or_else(|| panic!("{names:?}"));
    assert!(report.starts_with("agent_run_report_"), "{names:?}");
    let text = std::fs::read_to_string(study.out("docs/reports").join(report)).expect("text");
    assert!(
        text.contains("NUM_TRAIN_EPOCHS") && text.contains("试验"),
        "{text}"
    );
}
