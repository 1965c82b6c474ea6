//! `autotunectl` against the daemon of a study, and bare connections to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use autotune::wire::hello::OURS;
use serde_json::Value as Json;

use super::{Study, code, said};

/// Where the daemon of the study listens.
pub fn socket(study: &Study) -> PathBuf {
    study.path("runtime/autotune/control.sock")
}

/// `autotunectl` with these arguments, not started yet.
pub fn client(study: &Study, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(arguments)
        .current_dir(study.path(""))
        .env("XDG_RUNTIME_DIR", study.path("runtime"))
        .env_remove("AUTOTUNE_SOCKET")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub fn ctl(study: &Study, arguments: &[&str]) -> Output {
    client(study, arguments).output().expect("autotunectl")
}

/// What it prints when all is well.
pub fn good(study: &Study, arguments: &[&str]) -> String {
    let output = ctl(study, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", said(&output));
    said(&output)
}

/// What it prints as JSON when all is well.
pub fn json(study: &Study, arguments: &[&str]) -> Json {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let text = good(study, &all);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What GPU memory the running trial waits for, as `autotunectl status` has it,
/// once it waits.
pub fn waits_for(study: &Study) -> String {
    let text = || {
        let status = json(study, &["status"]);
        let text = status["running"]["doing"]["waiting"]["text"].as_str();
        text.map(str::to_owned)
    };
    study.await_events("waiting", 1);
    study.wait("a status that says so", || text().is_some());
    text().expect("it still waits")
}

/// What it says when it ends with code `with`.
pub fn refused(study: &Study, arguments: &[&str], with: u8) -> String {
    let output = ctl(study, arguments);
    assert_eq!(
        code(&output),
        i32::from(with),
        "{arguments:?}: {}",
        said(&output)
    );
    said(&output)
}

/// What came of each trial, in a word.
pub fn outcomes(study: &Study) -> Vec<String> {
    let trials = json(study, &["trials"]);
    let rows = trials["rows"].as_array().expect("rows");
    let word = |row: &Json| row["outcome"].as_str().expect("a word").to_owned();
    rows.iter().map(word).collect()
}

/// A greeted connection.
pub fn connection(study: &Study) -> UnixStream {
    let mut stream = UnixStream::connect(socket(study)).expect("connected");
    stream.write_all(&OURS.hello()).expect("sent");
    let mut hello = [0; 12];
    stream.read_exact(&mut hello).expect("greeted");
    assert_eq!(hello, OURS.hello());
    stream
}

/// The exit code of one that was started.
pub fn code_of(client: &mut Child) -> i32 {
    client.wait().expect("its end").code().unwrap_or(-1)
}

/// The memory that a process has in use, in KiB.
pub fn resident(pid: i32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most memory that a process ever had in use, in KiB.
pub fn peak(pid: i32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a size").parse().expect("a number")
}
