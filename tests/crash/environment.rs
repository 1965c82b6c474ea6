//! What a step sees of the environment of the daemon.

use std::collections::BTreeMap;

use crate::support::{Study, code, said};

const SPEC: &str = r#"
[study]
name = "environment"
pass_env = {pass}
[objective]
maximize = "m"
[budget]
trials = 1
[base]
MODEL = "qwen"
[space]
THREADS = [2, 4]
[env]
GREETING = "hello {{ MODEL }}"
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"]
ready = { http = "http://127.0.0.1:{port}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 1
env = { OWN = "{{ run }}" }
command = ["{child}", "run", "--env", "{dir}/seen", "--print", "m=1"]
metrics.m = 'm=(\S+)'
"#;

/// What must never reach a step, whatever the spec says.
const NEVER: [&str; 8] = [
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// What only a spec that says so passes on.
const SECRETS: [&str; 4] = [
    "SMTP_PASSWORD",
    "FEISHU_SECRET",
    "HF_TOKEN",
    "LD_LIBRARY_PATH",
];

/// The environment that an evaluator saw.
fn seen(pass: &str) -> BTreeMap<String, String> {
    let study = Study::new(&SPEC.replace("{pass}", pass));
    let mut command = study.command(&["run", "study.toml", "--output-dir", "out"]);
    command
        .env("AUTOTUNE_TRIAL_ID", "of somebody else")
        .env("NO_PROXY", "example.org");
    for name in NEVER.into_iter().chain(SECRETS) {
        command.env(name, "hunter2");
    }
    let output = command.output().expect("the daemon");
    assert_eq!(code(&output), 0, "{}", said(&output));
    let token = study.events_of("sitting-started")[0]["token"]
        .as_str()
        .expect("text")
        .to_owned();
    let text = std::fs::read_to_string(study.path("seen")).expect("the environment");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let seen: BTreeMap<String, String> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for name in NEVER {
        assert_eq!(seen.get(name), None, "pass_env = {pass}");
    }
    let expected = [
        ("THREADS", "2"),
        ("MODEL", "qwen"),
        ("GREETING", "hello qwen"),
        ("OWN", "1"),
        ("AUTOTUNE_TRIAL_ID", token.as_str()),
    ];
    for (name, value) in expected {
        assert_eq!(
            seen.get(name).map(String::as_str),
            Some(value),
            "{name}, pass_env = {pass}"
        );
    }
    assert_eq!(seen.get("PATH").cloned(), std::env::var("PATH").ok());
    for (name, local) in ["NO_PROXY", "no_proxy"]
        .into_iter()
        .zip(["127.0.0.1", "localhost"])
    {
        let value = &seen[name];
        assert!(
            value.split(',').any(|entry| entry == local),
            "{name}={value}"
        );
    }
    seen
}

/// Which of the secrets a step saw.
fn secrets(pass: &str) -> Vec<&'static str> {
    let seen = seen(pass);
    SECRETS
        .into_iter()
        .filter(|name| seen.contains_key(*name))
        .collect()
}

#[test]
fn secrets_stay_with_the_daemon() {
    assert_eq!(secrets(r#"["PIDS"]"#), [""; 0]);
}

#[test]
fn what_is_named_is_passed_on() {
    assert_eq!(
        secrets(r#"["PIDS", "HF_*", "LD_LIBRARY_PATH"]"#),
        ["HF_TOKEN", "LD_LIBRARY_PATH"]
    );
    assert_eq!(secrets(r#"["PIDS", "NO_PROXY"]"#), [""; 0]);
}

#[test]
fn everything_is_not_quite_everything() {
    assert_eq!(secrets(r#"["*"]"#), SECRETS);
}
