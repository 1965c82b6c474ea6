//! The preset ms-swift-sft, with a program in the place of `swift` that leaves
//! and prints what a real run of it did, byte for byte.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::control::{ctl, good, json};
use support::{Study, code, said};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TOKEN: &str = "sk-swanlab-4711";

/// A study on the preset; `more` are sections of its own.
fn on_preset(more: &str) -> Study {
    let study = Study::new(&format!(
        r#"
preset = "ms-swift-sft"
[study]
name = "tuned"
[budget]
trials = 2
[base]
VENV = "{ROOT}/tests/helpers/ms-swift"
SCRIPTS = "{ROOT}/packaging/ms-swift"
model = "base"
SAMPLES = "samples.jsonl"
[space]
learning_rate = [1e-4, 2e-4]
lora_rank = [8]
lora_alpha = [32]
lora_dropout = [0.05]
warmup_ratio = [0.0]
[env]
CALLS = "{{dir}}/calls"
{more}
"#
    ));
    let dotenv = study.path(".env");
    fs::write(
        &dotenv,
        format!("DATASET_ID=train.jsonl\nSWANLAB_PROJECT=mh-sft\nSWANLAB_API_KEY={TOKEN}\n"),
    )
    .expect("written");
    fs::set_permissions(&dotenv, Permissions::from_mode(0o600)).expect("a mode");
    let line = r#"{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "I."}]}"#;
    fs::write(study.path("samples.jsonl"), format!("{line}\n{line}\n")).expect("written");
    study
}

/// Without the pre-flight, which looks for a real ms-swift.
const READY: &str = r#"
[[preflight]]
name = "preflight"
enabled = false
"#;

/// Every file below a folder, but for the pipes and sockets.
fn texts_below(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("there").file_type();
        if kind.is_dir() {
            found.extend(texts_below(&path));
        } else if kind.is_file() {
            let bytes = fs::read(&path).expect("readable");
            let text = String::from_utf8_lossy(&bytes).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[test]
fn a_fine_tuning_is_measured_kept_merged_and_compared() {
    let study = on_preset(&format!(
        "{READY}[[incumbent]]\nname = \"dialogues\"\nenabled = true\n"
    ));
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);

    // What the real run has left is what is read.
    let trial = json(&study, &["show", "1"]);
    let mean = |metric: &str| {
        let metrics = trial["metrics"].as_array().expect("metrics");
        let found = metrics.iter().find(|known| known["name"] == metric);
        found.unwrap_or_else(|| panic!("{metric} in {trial}"))["summary"]["mean"].clone()
    };
    assert_eq!(mean("eval_loss"), 0.642_139_32);
    assert_eq!(mean("eval_token_acc"), 0.794_457_27);
    assert_eq!(mean("train_loss"), 0.761_371_12);
    assert_eq!(mean("steps"), 5.0);
    let told = good(&study, &["show", "1"]);
    let flat = support::said::unfolded(&told);
    assert!(
        flat.contains(
            "SwanLab: https://swanlab.cn/@some-workspace/mh-sft/runs/oxjoanfo0123456789abc"
        ),
        "{told}"
    );

    // The command of it, the arguments of SwanLab complete, and without the token.
    let calls = fs::read_to_string(study.path("calls")).expect("calls");
    let first = calls.lines().next().expect("a call");
    for word in [
        "sft --model=base --use_hf=false --dataset=train.jsonl --split_dataset_ratio=0.02",
        "--tuner_type=lora --lora_rank=8 --lora_alpha=32",
        "--bf16=true --packing=true --attn_impl=flash_attn",
        "--report_to=swanlab --swanlab_project=mh-sft --swanlab_mode=cloud \
         --swanlab_exp_name=tuned-1",
    ] {
        assert!(first.contains(word), "{word} in {first}");
    }
    // Nothing was better than the first, which is what was merged.
    let exports: Vec<&str> = calls.lines().filter(|l| l.starts_with("export")).collect();
    assert_eq!(exports.len(), 1, "{calls}");
    assert!(exports[0].contains("--merge_lora=true"), "{}", exports[0]);
    let merged = fs::read_to_string(study.out("merged/model.safetensors")).expect("merged");
    let checkpoint = "trials/trial_00001/output/v0-20261121-211556/checkpoint-5";
    assert!(merged.trim_end().ends_with(checkpoint), "{merged}");
    assert!(study.out("artifacts/best").exists());
    let dialogues = fs::read_to_string(study.out("dialogues.jsonl")).expect("dialogues");
    let line = r#"{"prompt": "Who?", "base": "base", "best": "tuned"}"#;
    assert_eq!(dialogues, format!("{line}\n{line}\n"));

    // Both are in the report; of the data sets, which are not evaluated, none is.
    let report = good(&study, &["report", "--lang", "both", "-o", "-"]);
    for words in ["Sample dialogues", "样例对话", "| Who?"] {
        assert!(report.contains(words), "{words} in {report}");
    }
    assert!(!report.contains("C-Eval"), "{report}");
    // What templates leave out is no argument in what is there to be pasted.
    assert!(
        report.contains("/bin/swift sft --model=base --use_hf=false"),
        "{report}"
    );
    assert!(!report.contains("''"), "{report}");

    // The token is in no file but its own, and in no answer.
    assert!(!told.contains(TOKEN));
    for (path, text) in texts_below(&study.path("")) {
        let is_own = path.ends_with("/.env");
        assert_eq!(text.contains(TOKEN), is_own, "{path}");
    }
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn release_three_gets_the_name_that_it_knows() {
    let study = on_preset(READY);
    let spec = study.path("study.toml");
    let text = fs::read_to_string(&spec).expect("the spec");
    let text = text.replace("[base]\n", "[base]\nMS_SWIFT = 3\nNPROC_PER_NODE = 2\n");
    fs::write(&spec, text + "[catalogue]\nms_swift = \"3.9\"\n").expect("written");
    let tried = study.autotuned(&["try", "study.toml"]);
    assert_eq!(code(&tried), 0, "{}", said(&tried));
    let checked = study.autotuned(&["check", "--expand", "study.toml"]);
    let expanded = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(expanded.contains("dataset = \"train.jsonl\""), "{expanded}");
    assert!(!expanded.contains(TOKEN), "{expanded}");
    assert!(said(&tried).contains("eval_loss"), "{}", said(&tried));
}

/// What comes of one trial whose stand-ins are told this by the environment.
fn tried(base: &str, env: &str, more: &str) -> (Study, String) {
    let study = on_preset(&format!("{READY}{more}"));
    let spec = study.path("study.toml");
    let text = fs::read_to_string(&spec).expect("the spec");
    let text = text.replace("[base]\n", &format!("[base]\n{base}\n"));
    let text = text.replace("[env]\n", &format!("[env]\n{env}\n"));
    let text = text.replace("trials = 2", "trials = 3");
    fs::write(&spec, text.replace("[1e-4, 2e-4]", "[1e-4]")).expect("written");
    let said = support::said::unfolded(&said(&study.run()));
    (study, said)
}

#[test]
fn the_run_at_swanlab_is_told_or_that_there_is_none() {
    let none = "SwanLab: no experiment was created";
    let (_, local) = tried("swanlab_mode = \"local\"", "SWANLAB = \"local\"", "");
    let watch = "SwanLab: swanlab watch /data/swanlog";
    assert!(local.contains(watch) && !local.contains(none), "{local}");
    let (_, lacking) = tried("", "SWANLAB = \"none\"", "");
    assert!(lacking.contains(none), "{lacking}");
    let (_, unwanted) = tried("report_to = \"none\"", "SWANLAB = \"none\"", "");
    assert!(!unwanted.contains("SwanLab"), "{unwanted}");
}

#[test]
fn what_takes_too_much_memory_is_tried_with_half_the_batch_where_that_is_asked_for() {
    let calls = |study: &Study| fs::read_to_string(study.path("calls")).expect("calls");
    let batch = |size: u32, steps: u32| {
        format!("--per_device_train_batch_size={size} --gradient_accumulation_steps={steps}")
    };
    let (study, _) = tried("", "LARGEST = 4", "[remedy]\nenabled = true\n");
    assert!(calls(&study).contains(&batch(4, 8)), "{}", calls(&study));
    let (study, _) = tried("", "LARGEST = 4", "");
    assert!(!calls(&study).contains(&batch(4, 8)), "{}", calls(&study));
    let (study, _) = tried("", "BF16 = \"no\"", "[remedy]\nenabled = true\n");
    assert!(calls(&study).contains("--fp16=true"), "{}", calls(&study));
}

#[test]
fn what_is_missing_pauses_the_study_before_anything_is_tried() {
    let study = on_preset("");
    let daemon = study.run();
    // This machine's Python has no ms-swift.
    let said = said(&daemon);
    assert_eq!(code(&daemon), 6, "{said}");
    let flat = support::said::unfolded(&said);
    assert!(flat.contains("the pre-flight `preflight` failed"), "{said}");
    let log = study.out("tune_server_logs/trial_00001.preflight.log");
    let log = fs::read_to_string(log).expect("its log");
    assert!(log.contains("error: ms-swift is not installed"), "{log}");
    assert_eq!(study.events_of("paused").len(), 1);
    assert!(!study.path("calls").exists());
}
