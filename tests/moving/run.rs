//! `autotuned run --preset serving-env` does what `./auto_tune.sh` did.

use std::fs;

use serde_json::json;

use crate::support::{code, said};
use crate::{Repo, variable};

/// How the key of the first trial begins.
const KEY: &str = "FREQUENCY_PENALTY=0.1|GPU_MEMORY_UTILIZATION=0.97|";

#[test]
fn a_repo_is_tuned_in_place() {
    let repo = Repo::new();
    let before = repo.names();
    let output = repo.tune(&[], &[("MY_OWN", "1"), ("TUNE_WEBHOOK_URL", "")]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let made: Vec<String> = repo
        .names()
        .into_iter()
        .filter(|n| !before.contains(n))
        .collect();
    let expected = [
        ".autotune",
        "best_params.json",
        "eval.arguments",
        "eval.last.env",
        "mended",
        "reports",
        "server.last.env",
        "tune_results.jsonl",
        "tune_server_logs",
        "tune_status.json",
    ];
    assert_eq!(made, expected);
    assert!(
        repo.file(".autotune/tune_results.jsonl/journal.jsonl")
            .exists()
    );

    let results = repo.results("tune_results.jsonl");
    let key = results[0]["trial_key"].as_str().expect("a key");
    assert!(key.starts_with(KEY), "{key}");
    assert_eq!(
        results[0]["eval_runs"].as_array().map(Vec::len),
        Some(2),
        "EVAL_RUNS=2"
    );
    assert_eq!(results[1]["param_under_test"], "GPU_MEMORY_UTILIZATION");
    let best: serde_json::Value =
        serde_json::from_str(&repo.read("best_params.json")).expect("JSON");
    assert_eq!(best["VLLM_MAX_NUM_SEQS"], "1536", "the fastest");
    assert_eq!(best["GPU_MEMORY_UTILIZATION"], "0.97");

    // What reached the steps.
    let arguments = "--which bonus --model_dir_for_tokenizer \
                     ./model/YukinoStuki/Qwen2.5-0.5B-Plus-LLM --batch --overwrite_jsonl";
    assert_eq!(repo.read("eval.arguments").trim_end(), arguments);
    for file in ["server.last.env", "eval.last.env"] {
        let text = repo.read(file);
        let of = |name| variable(&text, name);
        assert_eq!(of("VLLM_MAX_NUM_SEQS"), Some("1536"), "{file}");
        assert_eq!(of("SKIP_PIP_INSTALL"), Some("1"));
        assert_eq!(of("SKIP_MODEL_DOWNLOAD"), Some("1"));
        assert_eq!(
            of("HF_HOME"),
            Some("/models/{hub}"),
            "set by tune_secrets.sh"
        );
        assert_eq!(of("MY_OWN"), Some("1"), "all of the environment");
        let secret = text.lines().find(|line| line.starts_with("TUNE_"));
        assert_eq!(secret, None);
        assert!(!text.contains("hunter2"));
    }

    // Once more: all is known, and only what had a bad run is tried again.
    let output = repo.tune(&["--skip_existing"], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let again = repo.results("tune_results.jsonl");
    let [repeated] = &again[results.len()..] else {
        panic!("{} lines and {}", results.len(), again.len());
    };
    assert_eq!(repeated["params"]["MAX_MODEL_LEN"], "2048");
    assert_eq!(repeated["status"], "ok", "mended meanwhile");
}

#[test]
fn another_results_file_is_another_history() {
    let repo = Repo::new();
    let environment = [("EVAL_RUNS", "1"), ("RESULTS", "./tune_results_run2.jsonl")];
    repo.write(
        "best_params.json",
        r#"{"MAX_NEW_TOKENS": "72", "EXTRA": "on"}"#,
    );
    assert_eq!(code(&repo.tune(&[], &environment)), 0);
    assert!(!repo.file("tune_results.jsonl").exists());
    let first = repo.results("tune_results_run2.jsonl");
    assert_eq!(
        first[0]["params"]["MAX_NEW_TOKENS"], "72",
        "best_params.json is the base"
    );
    assert_eq!(first[0]["params"]["EXTRA"], "on");
    assert!(
        repo.file(".autotune/tune_results_run2.jsonl/journal.jsonl")
            .exists()
    );
    // The values that follow are the preset's.
    let tokens = first
        .iter()
        .filter(|line| line["param_under_test"] == "MAX_NEW_TOKENS");
    let tokens: Vec<&str> = tokens
        .filter_map(|line| line["params"]["MAX_NEW_TOKENS"].as_str())
        .collect();
    assert_eq!(tokens, ["32", "48", "64", "80"]);
    // `view` finds the one study of the repo by itself.
    let output = repo.autotuned(&["view", "."], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("tune_results_run2.jsonl/journal.jsonl"));
}

#[test]
fn a_new_beginning_keeps_what_there_was() {
    let repo = Repo::new();
    let environment = [("EVAL_RUNS", "1")];
    assert_eq!(code(&repo.tune(&[], &environment)), 0);
    let old = repo.read("tune_results.jsonl");
    let log = repo.read("tune_server_logs/trial_00001.log");
    let output = repo.tune(&["--fresh"], &environment);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let journal = repo.file(".autotune/tune_results.jsonl");
    let former: Vec<_> = fs::read_dir(journal.join("former"))
        .expect("kept")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let [former] = &former[..] else {
        panic!("{former:?}");
    };
    assert!(said(&output).contains(&former.display().to_string()));
    let kept = |name: &str| fs::read_to_string(former.join(name)).expect("kept");
    assert_eq!(kept("tune_results.jsonl"), old);
    assert_eq!(kept("tune_server_logs/trial_00001.log"), log);
    let output = repo.autotuned(&["view", former.to_str().expect("text")], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    // Begun from the best, with all trials run again.
    let results = repo.results("tune_results.jsonl");
    assert_eq!(results[0]["params"]["VLLM_MAX_NUM_SEQS"], "1536");
    assert_eq!(results[0]["trial"], 1);
    assert!(results.len() > 20, "{}", results.len());
}

#[test]
fn a_supervised_repo_has_its_pid_file() {
    let repo = Repo::new();
    let port = repo.port.to_string();
    let arguments = [
        "supervise",
        "--preset",
        "serving-env",
        "--port",
        &port,
        "--cooldown=0",
    ];
    let more = ["--eval_runs", "1", "--startup-timeout", "1", "--no-socket"];
    // Its server looks whether the file is there, and whose number it has.
    let script = repo.read("run_model.sh");
    let look = "[ -e autotune.watchdog.pid ] && cp autotune.watchdog.pid seen.pid\nexec";
    repo.write(
        "run_model.sh",
        &script.replace("\nexec", &format!("\n{look}")),
    );
    let mut command = repo.command(&[&arguments[..], &more[..]].concat(), &[]);
    let mut child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let pid = child.id().to_string();
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(repo.read("seen.pid").trim(), pid);
    assert!(repo.results("tune_results.jsonl").len() > 20);
}

/// The reference killed whatever listened, once it was told to.
#[test]
fn a_left_over_server_is_ended_only_where_that_is_wanted() {
    use std::os::unix::process::CommandExt;
    let repo = Repo::new();
    let port = repo.port.to_string();
    let stranger = |name: &str| {
        let mut command = std::process::Command::new(crate::support::child());
        command.arg0(name).args(["serve", "--port", &port]);
        let child = command.spawn().expect("a stranger");
        while std::net::TcpStream::connect(("127.0.0.1", repo.port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child
    };
    let one = [
        ("EVAL_RUNS", "1"),
        ("PORT_BUSY_RETRIES", "1"),
        ("PORT_BUSY_WAIT_S", "0"),
    ];
    // Another's server: the host is in the way, and it lives.
    let mut other = stranger("uvicorn other:app");
    let busy = [&one[..], &[("PORT_BUSY_KILL", "1")]].concat();
    let spec = repo.path("study.toml");
    let convert = [
        "convert",
        "--port",
        &port,
        "--cooldown",
        "0",
        "--startup_timeout",
        "1",
    ];
    let text = repo.autotuned(&convert, &busy).stdout;
    let text = String::from_utf8(text).expect("text") + "\n[budget]\ntrials = 1\n";
    // The pause after a fault of the host is no part of this.
    let text = text.replace("[host]\n", "[host]\nfault_wait = \"1ms\"\n");
    fs::write(&spec, text).expect("written");
    let run = ["run", spec.to_str().expect("text"), "--no-socket"];
    let output = repo.autotuned(&run, &busy);
    assert_eq!(code(&output), 6, "paused: {}", said(&output));
    assert!(
        said(&output).contains("uvicorn other:app"),
        "{}",
        said(&output)
    );
    assert_eq!(other.try_wait().expect("its status"), None, "it lives");
    let line = &repo.results("tune_results.jsonl")[0];
    let reason = line["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with(&format!("port {port} is still in use before start")),
        "{reason}"
    );
    assert_eq!(
        (&line["status"], line.get("phase")),
        (&json!("failed"), None)
    );
    other.kill().expect("killed");
    other.wait().expect("reaped");
    // One of the reference's own.
    let mut own = stranger("uvicorn serve:app");
    let output = repo.autotuned(&run, &busy);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(!own.wait().expect("ended").success());
    let results = repo.results("tune_results.jsonl");
    assert_eq!(results.last().expect("a line")["status"], "ok");
}
