//! What evaluates a fine-tuned model: packaging/ms-swift, of which the tests are
//! Python's own and need nothing but Python, and the step of the preset that
//! runs it, with programs in the places of `swift` and `lm_eval` that leave what
//! real runs of them left.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Study, code, said};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn scoring_and_what_is_read_of_the_tools() {
    let tests = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(Path::new(ROOT).join("tests/evaluation"))
        .output();
    // Where there is no Python, nothing of this can run.
    let Ok(output) = tests else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // All of them were found.
    assert!(said.contains("\nRan 34 tests"), "{said}");
}

#[test]
fn each_trial_is_evaluated_and_the_base_model_once() {
    let study = Study::new(&format!(
        r#"
preset = "ms-swift-sft"
[study]
name = "tuned"
[objective]
maximize = "score"
[budget]
trials = 2
[base]
VENV = "{ROOT}/tests/helpers/ms-swift"
SCRIPTS = "{ROOT}/packaging/ms-swift"
PORT = {{port}}
model = "base"
dataset = "train.jsonl"
report_to = "none"
lm_eval = "pceb_mcq,psyqa"
eval_data = "data"
eval_weights = "pceb_mcq.partial_credit=1,psyqa.key_points=1"
eval_limit = 3
eval_base = "base"
[space]
learning_rate = [1e-4, 2e-4]
lora_rank = [8]
lora_alpha = [32]
lora_dropout = [0.05]
warmup_ratio = [0.0]
[env]
CALLS = "{{dir}}/calls"
PYTHONPATH = "{ROOT}/tests/helpers/ms-swift/lib"
PYTHONDONTWRITEBYTECODE = "1"
SWANLAB_API_KEY = "none"
SWANLAB = "none"
[[preflight]]
name = "preflight"
enabled = false
[[step]]
name = "deploy"
enabled = true
[[step]]
name = "evaluate"
enabled = true
[[incumbent]]
name = "merge"
enabled = false
"#
    ));
    fs::create_dir(study.path("data")).expect("a folder");
    let choice = r#"{"question": "?", "choices": ["x", "y"], "answer": "B"}"#;
    fs::write(study.path("data/pceb_mcq.jsonl"), choice).expect("written");
    let open = r#"{"question": "?", "answer": "y"}"#;
    fs::write(study.path("data/psyqa.jsonl"), open).expect("written");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));

    let runs = study.events_of("run-ended");
    let evaluated: Vec<_> = runs
        .iter()
        .filter(|run| run["step"] == "evaluate")
        .collect();
    assert_eq!(evaluated.len(), 2, "{}", study.trace());
    // The numbers of tests/fixtures/ms-swift/lm_eval-results.json.
    let score = (0.111_111_111_111_111_1 + 0.25) / 2.0;
    for run in evaluated {
        let expected = serde_json::json!({
            "score": score, "base_score": score, "gain": 0.0, "pceb_mcq": 0.0,
            "pceb_mcq_partial": 0.111_111_111_111_111_1,
            "psyqa_rouge_l": 0.128_822_381_262_199_08,
            "psyqa_rouge_1": 0.185_426_154_847_104_73,
            "psyqa_bleu": 0.037_580_624_033_628_44, "psyqa_key_points": 0.25,
            "base_pceb_mcq": 0.0, "base_pceb_mcq_partial": 0.111_111_111_111_111_1,
            "base_psyqa_rouge_l": 0.128_822_381_262_199_08,
            "base_psyqa_rouge_1": 0.185_426_154_847_104_73,
            "base_psyqa_bleu": 0.037_580_624_033_628_44, "base_psyqa_key_points": 0.25,
            "pceb_mcq_samples": 3.0, "psyqa_samples": 2.0,
        });
        assert_eq!(run["metrics"], expected);
    }
    let calls = fs::read_to_string(study.path("calls")).expect("calls");
    let asked = calls.lines().filter(|line| line.starts_with("lm_eval "));
    let asked: Vec<&str> = asked.filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(asked, ["tuned", "base", "tuned"], "{calls}");
    assert!(calls.contains("--tasks pceb_mcq,psyqa"), "{calls}");
    assert!(calls.contains("--limit 3"), "{calls}");
}

/// Two trials at the same time, each with a port of its own, and of each run the
/// best of its checkpoints.
#[test]
fn in_two_slots_the_best_checkpoint_of_each_run_counts() {
    let port = support::free_port();
    let study = Study::new(&format!(
        r#"
preset = "ms-swift-sft"
[study]
name = "tuned"
[objective]
maximize = "score"
[budget]
trials = 2
[base]
VENV = "{ROOT}/tests/helpers/ms-swift"
SCRIPTS = "{ROOT}/packaging/ms-swift"
NPROC_PER_NODE = 2
model = "base"
dataset = "train.jsonl"
report_to = "none"
lm_eval = "pceb_mcq,psyqa"
eval_weights = "psyqa.key_points=1"
eval_base = "base"
checkpoints = 2
[space]
learning_rate = [1e-4, 2e-4]
lora_rank = [8]
lora_alpha = [32]
lora_dropout = [0.05]
warmup_ratio = [0.0]
[env]
CALLS = "{{dir}}/calls"
PYTHONPATH = "{ROOT}/tests/helpers/ms-swift/lib"
PYTHONDONTWRITEBYTECODE = "1"
SWANLAB_API_KEY = "none"
SWANLAB = "none"
STEPS = "100 200 300"
BETTER = "tuned-200"
[[slot]]
name = "one"
port = {{port}}
env = {{ CUDA_VISIBLE_DEVICES = "0,1" }}
[[slot]]
name = "two"
port = {port}
env = {{ CUDA_VISIBLE_DEVICES = "2,3" }}
[[preflight]]
name = "preflight"
enabled = false
[[step]]
name = "deploy"
enabled = true
[[step]]
name = "evaluate"
enabled = true
"#
    ));
    fs::create_dir(study.path("data")).expect("a folder");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));

    let runs = study.events_of("run-ended");
    let evaluated = runs.iter().filter(|run| run["step"] == "evaluate");
    let evaluated: Vec<_> = evaluated.map(|run| &run["metrics"]).collect();
    assert_eq!(evaluated.len(), 2, "{}", study.trace());
    for metrics in evaluated {
        assert_eq!(metrics["checkpoint"], 200.0, "{metrics}");
        assert_eq!(
            (&metrics["score"], &metrics["gain"]),
            (&0.75.into(), &0.5.into())
        );
    }
    let told = support::said::unfolded(&said(&output));
    let scores = "checkpoints: 200: 0.75 (the best), 300: 0.25";
    assert!(told.contains(scores), "{told}");

    let calls = fs::read_to_string(study.path("calls")).expect("calls");
    let deployed = calls.lines().filter(|line| line.starts_with("deploy "));
    let mut ports: Vec<&str> = deployed
        .filter_map(|line| {
            line.split(' ')
                .find_map(|word| word.strip_prefix("--port="))
        })
        .collect();
    ports.sort_unstable();
    let mut expected = [study.port.to_string(), port.to_string()];
    expected.sort_unstable();
    assert_eq!(ports, expected, "{calls}");
    let torchrun = calls.lines().filter(|line| line.starts_with("torchrun "));
    let mut torchrun: Vec<&str> = torchrun.collect();
    torchrun.sort_unstable();
    assert_eq!(
        torchrun,
        ["torchrun 2 29501", "torchrun 2 29502"],
        "{calls}"
    );
    // Once for both, whichever of them comes first.
    let of_base = calls
        .lines()
        .filter(|line| line.starts_with("lm_eval base "));
    assert_eq!(of_base.count(), 1, "{calls}");
    // What was the best is merged, and kept.
    let merged = fs::read_to_string(study.out("merged/model.safetensors")).expect("merged");
    assert!(merged.trim_end().ends_with("/best-checkpoint"), "{merged}");
    let kept = study.out("artifacts/best/best-checkpoint/adapter_model.safetensors");
    assert!(kept.exists(), "{}", kept.display());
}

/// Without any service, each checkpoint of each run by itself, and the base model once.
#[test]
fn each_checkpoint_is_loaded_from_its_folder_where_that_is_asked_for() {
    let study = Study::new(&format!(
        r#"
preset = "ms-swift-sft"
[study]
name = "tuned"
[objective]
maximize = "score"
[budget]
trials = 2
[base]
VENV = "{ROOT}/tests/helpers/ms-swift"
SCRIPTS = "{ROOT}/packaging/ms-swift"
model = "base"
dataset = "train.jsonl"
report_to = "none"
lm_eval = "pceb_mcq,psyqa"
eval_weights = "psyqa.key_points=1"
eval_type = "local"
eval_batch_size = 4
eval_limit = 3
eval_base = "base"
checkpoints = 2
[space]
learning_rate = [1e-4, 2e-4]
lora_rank = [8]
lora_alpha = [32]
lora_dropout = [0.05]
warmup_ratio = [0.0]
[env]
CALLS = "{{dir}}/calls"
PYTHONPATH = "{ROOT}/tests/helpers/ms-swift/lib"
PYTHONDONTWRITEBYTECODE = "1"
SWANLAB_API_KEY = "none"
SWANLAB = "none"
STEPS = "100 200 300"
BETTER = "checkpoint-200"
[[preflight]]
name = "preflight"
enabled = false
[[step]]
name = "evaluate"
enabled = true
"#
    ));
    fs::create_dir(study.path("data")).expect("a folder");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));

    let runs = study.events_of("run-ended");
    let evaluated = runs.iter().filter(|run| run["step"] == "evaluate");
    let evaluated: Vec<_> = evaluated.map(|run| &run["metrics"]).collect();
    assert_eq!(evaluated.len(), 2, "{}", study.trace());
    for metrics in evaluated {
        assert_eq!(metrics["checkpoint"], 200.0, "{metrics}");
        assert_eq!(
            (&metrics["score"], &metrics["gain"]),
            (&0.75.into(), &0.5.into())
        );
    }
    let calls = fs::read_to_string(study.path("calls")).expect("calls");
    assert!(!calls.contains("deploy "), "{calls}");
    let asked: Vec<&str> = calls
        .lines()
        .filter(|l| l.starts_with("lm_eval "))
        .collect();
    let who: Vec<&str> = asked.iter().filter_map(|l| l.split(' ').nth(1)).collect();
    let each = ["checkpoint-200", "checkpoint-300"];
    assert_eq!(who, [each[0], each[1], "base", each[0], each[1]], "{calls}");
    for words in [
        "--model hf --model_args pretrained=base,dtype=bfloat16,peft=",
        ",attn_implementation=flash_attention_2 ",
        "--batch_size 4",
        "--limit 3",
    ] {
        assert!(asked[0].contains(words), "{words} in {}", asked[0]);
    }
    assert!(!asked[0].contains("base_url"), "{}", asked[0]);
}
