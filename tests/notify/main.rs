//! `[notify]` from end to end: a daemon with real trials, and receivers on this
//! machine that behave as receivers do.

#[path = "../support/mod.rs"]
mod support;

mod channels;
mod failures;
mod mail;
mod outbox;
mod real;
mod receiver;
mod secrets;
mod tls;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::Value as Json;
use support::control::ctl;
use support::said::unfolded;
use support::{Study, code, said};

/// A secret part of an address, which must be shown nowhere.
const HUSH: &str = "/hook/hush-hush-hush";

/// A study of so many trials, told by `channels`. Each run waits at its gate,
/// `gate-N`, where the command has one.
fn study(trials: u32, command: &str, channels: &str) -> Study {
    let values: Vec<String> = (1..=trials).map(|n| n.to_string()).collect();
    Study::new(&format!(
        r#"
[study]
name = "told"
pass_env = ["*"]
[objective]
maximize = "score"
[space]
N = [{}]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = [{command}]
metrics.score = 'score=(\S+)'
{channels}
"#,
        values.join(", ")
    ))
}

const SCORE: &str = r#""{child}", "run", "--print", "score={{ N }}""#;
const GATED: &str =
    r#""{child}", "run", "--gate", "{dir}gate-{{ N }}", "--print", "score={{ N }}""#;

/// A webhook whose address is in the file `NAME.url`.
fn hook(name: &str, more: &str) -> String {
    format!(
        "[[notify.channel]]\nname = '{name}'\ntype = 'webhook'\nurl = {{ file = '{name}.url' }}\n{more}\n"
    )
}

/// Writes a secret where only its owner can read it.
fn secret(study: &Study, file: &str, text: &str) {
    let path = study.path(file);
    std::fs::write(&path, format!("{text}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

fn json(study: &Study, arguments: &[&str]) -> Json {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = ctl(study, &all);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
}

fn run_to_end(study: &Study) -> String {
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    unfolded(&said(&output))
}

fn all_differ(texts: &[String]) -> bool {
    texts.iter().collect::<BTreeSet<_>>().len() == texts.len()
}

/// All files of the study and what its daemons have said; nothing secret may be
/// in it.
fn assert_hushed(study: &Study, also: &str, secrets: &[&str]) {
    let mut texts = vec![also.to_owned(), study.log()];
    let mut folders = vec![study.path("out")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    for text in texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
