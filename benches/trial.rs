//! What daemon and runner add to a trial beyond its children's own time:
//! `cargo bench --bench trial`.
//!
//! One trial is a server that is ready at once and five runs that end at once.
//! It is done by `autotuned` and, for comparison, directly: start the server,
//! connect until it answers, five runs one after the other, SIGTERM, wait.
//! The difference is what is added: journal, cgroup, readiness check, capture,
//! proof of the end. This program plays the server and the runs itself.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REPETITIONS: usize = 5;
const TRIALS: usize = 20;
const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => serve(arguments[2].parse().unwrap()),
        Some("run") => println!("tps=1"),
        _ => measure(),
    }
}

fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
}

fn measure() {
    println!(
        "one trial: a server ready at once, {RUNS} instant runs; {TRIALS} trials a repetition"
    );
    println!(
        "{:>10} {:>12} {:>12} {:>10}",
        "repetition", "autotuned", "directly", "added"
    );
    let mut added: Vec<f64> = (1..=REPETITIONS)
        .map(|repetition| {
            let (ours, direct) = (by_autotuned(), directly());
            let added = (ours - direct) * 1e3;
            println!(
                "{repetition:>10} {:>9.2} ms {:>9.2} ms {added:>7.2} ms",
                ours * 1e3,
                direct * 1e3
            );
            added
        })
        .collect();
    added.sort_by(f64::total_cmp);
    println!(
        "added to a trial: median {:.2} ms, least {:.2} ms",
        added[REPETITIONS / 2],
        added[0]
    );
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Mean seconds of a trial, from one to the next.
fn by_autotuned() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let (own, port) = (own.display(), free_port());
    let values: Vec<String> = (0..TRIALS).map(|value| value.to_string()).collect();
    let spec = format!(
        r#"
[study]
name = "bench"
[objective]
maximize = "tps"
[search]
sampler = "grid"
[space]
X = [{values}]
[[step]]
name = "serve"
kind = "service"
command = ["{own}", "serve", "{port}"]
ready = {{ http = "http://127.0.0.1:{port}/" }}
[[step]]
name = "run"
kind = "measure"
runs = {RUNS}
command = ["{own}", "run"]
[step.metrics]
tps = 'tps=(\S+)'
"#,
        values = values.join(", ")
    );
    let path = folder.path().join("study.toml");
    std::fs::write(&path, spec).unwrap();
    let output = folder.path().join("out");
    let status = Command::new(env!("CARGO_BIN_EXE_autotuned"))
        .arg("run")
        .arg(&path)
        .arg("--output-dir")
        .arg(&output)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    trial_seconds(&output.join("journal.jsonl"))
}

/// The mean time from the start of a trial to the start of the next.
fn trial_seconds(journal: &Path) -> f64 {
    let text = std::fs::read_to_string(journal).unwrap();
    let starts: Vec<i64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["event"].get("sitting-started").is_some())
        .map(|line| line["at"].as_i64().unwrap())
        .collect();
    assert_eq!(starts.len(), TRIALS);
    (starts[TRIALS - 1] - starts[0]) as f64 / 1e3 / (TRIALS - 1) as f64
}

/// Mean seconds of the same without any supervision.
fn directly() -> f64 {
    let own = std::env::current_exe().unwrap();
    let begun = Instant::now();
    for _ in 0..TRIALS {
        let port = free_port();
        let mut server = Command::new(&own)
            .arg("serve")
            .arg(port.to_string())
            .spawn()
            .unwrap();
        while !answers(port) {
            std::thread::sleep(Duration::from_micros(100));
        }
        for _ in 0..RUNS {
            assert!(
                Command::new(&own)
                    .arg("run")
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
        }
        let pid = nix::unistd::Pid::from_raw(server.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        server.wait().unwrap();
    }
    begun.elapsed().as_secs_f64() / TRIALS as f64
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let sent = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    sent.is_ok() && stream.read(&mut [0; 256]).is_ok_and(|read| read > 0)
}
