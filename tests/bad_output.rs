//! What programs do wrong that are tried: floods, junk, numbers that are none,
//! processes that stay behind; and what happens to whoever looks on: a pipe
//! that is closed, a terminal that goes away.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::said::{GOOD, SERVED, assert_said};
use support::{Study, on_terminal, said};

const CHILD: &str = r#"["{child}", "run", "--print", "m=1"]"#;

/// The good study with another evaluator, a line of shell.
fn shell(script: &str) -> Study {
    assert!(!script.contains("'''"));
    let command = format!("[\"sh\", \"-c\", '''{script}''']");
    Study::new(&GOOD.replace(CHILD, &command))
}

/// The most memory that a process has had, in KiB.
fn most_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.expect("VmHWM").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

/// Hundreds of megabytes in one line: neither memory nor log grow with it, and
/// the line after it is read.
#[test]
fn a_flood() {
    let script = "{child} run --flood 300; echo; touch {dir}/flooded; \
                  while ! [ -e {dir}/gate ]; do sleep 0.01; done; echo m=7";
    let study = shell(script);
    let small = GOOD.replace("[study]", "[study]\nlog_max = '64 KiB'");
    study.write_spec(&small.replace(CHILD, &format!("[\"sh\", \"-c\", '''{script}''']")));
    let mut daemon = study.start();
    study.wait("the flood", || study.path("flooded").exists());
    let runner = most_memory(study.runner_pid());
    assert!(runner < 64 << 10, "the runner had {runner} KiB");
    study.open_gate("gate");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let results = study.results();
    assert!(
        results.iter().all(|line| line["avg_m"] == 7.0),
        "{results:?}"
    );
    for log in fs::read_dir(study.out("tune_server_logs"))
        .expect("logs")
        .flatten()
    {
        let length = log.metadata().expect("its length").len();
        assert!(length < (64 + 256 + 4) << 10, "{log:?} has {length} bytes");
        let text = fs::read_to_string(log.path()).expect("the log");
        assert!(text.contains("bytes left out: over log_max]"));
    }
}

/// A number at the end of a line that is too long is not found; the message
/// says what was looked for, and is short.
#[test]
fn a_line_without_end() {
    let study = shell("{child} run --flood 3 --print m=1");
    let words = ["the pattern `m=(\\S+)` found nothing in the output"];
    assert_said(&study.autotuned(&["try", "study.toml"]), 7, &words);
    let output = study.run();
    assert_said(&output, 0, &words);
    // The pattern catches a megabyte.
    let caught = GOOD
        .replace(r"'m=(\S+)'", r"'(j+)'")
        .replace(CHILD, r#"["{child}", "run", "--flood", "2"]"#);
    study.write_spec(&caught.replace("\"words\"", "\"caught\""));
    let output = study.autotuned(&["run", "study.toml", "-o", "caught"]);
    assert_said(&output, 0, &["jjj…`"]);
    let journal = fs::metadata(study.path("caught/journal.jsonl")).expect("the journal");
    assert!(journal.len() < 10_000, "{} bytes", journal.len());
    assert!(said(&output).len() < 10_000);
}

#[test]
fn junk_and_numbers_that_are_none() {
    let study = shell("{child} run --garbage --print m=5");
    assert_said(&study.run(), 0, &["Incumbent"]);
    assert_eq!(study.results()[0]["avg_m"], 5.0);
    for (number, words) in [
        ("nan", "m: `nan` is not a finite number"),
        ("-inf", "m: `-inf` is not a finite number"),
        ("1e999", "m: `1e999` is not a finite number"),
        ("1,234.5", "write it with a point and without commas"),
        ("12ms", "m: `12ms` is not a number"),
    ] {
        let study = Study::new(&GOOD.replace("m=1", &format!("m={number}")));
        assert_said(
            &study.autotuned(&["try", "study.toml"]),
            7,
            &["failed", words],
        );
        assert_said(&study.run(), 0, &["Failed", words, "No trial has a result"]);
        assert!(!study.out("best_params.json").exists(), "{number}");
        let journal = fs::read_to_string(study.out("journal.jsonl")).expect("the journal");
        assert!(!journal.contains("null,\"m\"") && !journal.contains("NaN"));
    }
    // Escapes of a program that fails do not steer the terminal.
    let study = shell("printf \"\\033[2J\\033]0;title\\007\\rfatal: no\\n\"; exit 3");
    for arguments in [&["run", "study.toml", "-o", "out"][..], &["view", "out"]] {
        let mut command = study.command(arguments);
        command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
        let text = said(&command.output().expect("run"));
        assert!(
            text.contains("fatal: no") && text.contains("\u{1b}["),
            "{text:?}"
        );
        for steering in ["\u{1b}[2J", "\u{1b}]", "\u{7}", "\r"] {
            assert!(!text.contains(steering), "{text:?}");
        }
    }
}

#[test]
fn evaluators_that_are_killed() {
    for (signal, words) in [
        ("SEGV", "SIGSEGV"),
        ("KILL", "SIGKILL"),
        ("TERM", "SIGTERM"),
    ] {
        let study = shell(&format!("echo m=1; kill -{signal} $$"));
        let words = ["was killed by", words];
        assert_said(&study.autotuned(&["try", "study.toml"]), 7, &words);
        assert_said(&study.run(), 0, &words);
    }
}

/// A process that stays behind and goes on printing neither holds up the run
/// nor survives it.
#[test]
fn output_that_goes_on() {
    let noise = "(while :; do echo noise; sleep 0.01; done) & echo $! >> {dir}/noise; echo m=1";
    let study = shell(noise);
    assert_said(&study.run(), 0, &["done"]);
    assert_eq!(study.results().len(), 2);
    let is_alive = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(sh)") && !stat.contains(") Z ")
    };
    let pids = fs::read_to_string(study.path("noise")).expect("pids");
    assert_eq!(pids.lines().count(), 2);
    assert!(!pids.lines().any(is_alive), "{pids}");
}

#[test]
fn logs_that_cannot_be_written() {
    // Its folder is a file: nothing can be started, and that is said.
    let study = Study::new(SERVED);
    fs::create_dir(study.path("out")).expect("a folder");
    fs::write(study.out("tune_server_logs"), "mine").expect("written");
    let words = [
        "paused: 5 times",
        "tune_server_logs cannot be made",
        "the same command goes on",
    ];
    assert_said(&study.run(), 6, &words);
    assert_eq!(
        fs::read(study.out("tune_server_logs")).expect("there"),
        b"mine"
    );
    fs::remove_file(study.out("tune_server_logs")).expect("removed");
    assert_said(&study.run(), 0, &["done"]);
    // One log is a folder: the runs count all the same.
    let study = Study::new(GOOD);
    assert_said(&study.run(), 0, &["done"]);
    let logs = fs::read_dir(study.out("tune_server_logs")).expect("logs");
    let names: Vec<_> = logs.flatten().map(|log| log.file_name()).collect();
    let study = Study::new(GOOD);
    for name in names {
        fs::create_dir_all(study.out("tune_server_logs").join(name)).expect("a folder");
    }
    assert_said(
        &study.run(),
        0,
        &["note: ", "Is a directory", "ignoring it", "done"],
    );
    assert_eq!(study.results().len(), 2);
}

/// Whoever reads may leave at any time: the study goes on to its end.
#[test]
fn readers_that_leave() {
    let gated = GOOD.replace(r#""run", "#, r#""run", "--gate", "{dir}/gate", "#);
    let study = Study::new(&gated);
    let mut command = study.command(&["run", "study.toml", "-o", "out"]);
    let mut daemon = command.spawn().expect("the daemon");
    drop(daemon.stdout.take());
    study.await_events("step-started", 1);
    study.open_gate("gate");
    let mut errors = String::new();
    let mut stderr = daemon.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut errors).expect("text");
    assert_eq!((end(&mut daemon), errors.as_str()), (Some(0), ""));
    assert_eq!(study.results().len(), 2);
    // What only shows something ends quietly.
    for arguments in [&["view", "out"][..], &["plan", "study.toml"], &["--help"]] {
        let mut show = study.command(arguments).spawn().expect("started");
        drop(show.stdout.take());
        let output = show.wait_with_output().expect("run");
        assert_said(&output, 0, &[]);
        assert_eq!(said(&output), "");
    }
    // A trial by hand ends in order.
    let study = Study::new(&SERVED.replace(r#""m=1""#, r#""m=1", "--gate", "{dir}/gate""#));
    let mut hand = study
        .command(&["try", "study.toml"])
        .spawn()
        .expect("started");
    drop(hand.stdout.take());
    let output = hand.wait_with_output().expect("run");
    assert_said(
        &output,
        1,
        &["nobody reads the output any more, so the trial was ended"],
    );
    study.await_nothing_alive();
}

/// Standard streams that are closed from the start, or full.
#[test]
fn streams_that_take_nothing() {
    let study = Study::new(GOOD);
    let program = env!("CARGO_BIN_EXE_autotuned");
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(study.path(""));
        command.output().expect("run")
    };
    let run = format!("exec {program} run study.toml -o out");
    assert_said(&sh(&format!("{run} <&- >&- 2>&-")), 0, &[]);
    assert_eq!(study.results().len(), 2);
    assert_said(&sh(&format!("{run} >/dev/full 2>/dev/full")), 0, &[]);
    let view = format!("exec {program} view out >/dev/full");
    assert_said(
        &sh(&view),
        1,
        &["the output cannot be written: No space left"],
    );
    assert_said(
        &sh(&format!("exec {program} try study.toml <&- >&- 2>&-")),
        0,
        &[],
    );
    assert_said(
        &sh(&format!("exec {program} check gone.toml >&- 2>&-")),
        3,
        &[],
    );
}

/// A terminal that is halted, or a pager whose user reads, takes nothing more:
/// the study goes on, and an end that is asked for comes.
#[test]
fn readers_that_do_not_read() {
    let gated = SERVED.replace(r#""m=1""#, r#""m=1", "--gate", "{dir}/gate""#);
    for (opened, signal, code) in [(true, Signal::SIGTERM, 0), (false, Signal::SIGINT, 130)] {
        let study = Study::new(&gated);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let size = rustix::pipe::fcntl_getpipe_size(&writer).expect("its size");
        writer.write_all(&vec![b'.'; size]).expect("filled");
        let mut command = study.command(&["run", "study.toml", "-o", "out"]);
        command
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer);
        let mut daemon = command.spawn().expect("the daemon");
        drop(command);
        study.await_events("services-ready", 1);
        if opened {
            study.open_gate("gate");
            study.await_events("done", 1);
            assert_eq!(study.results().len(), 2);
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("sent");
        assert_eq!(end(&mut daemon), Some(code), "{}", study.trace());
        study.await_nothing_alive();
        drop(reader);
    }
}

fn end(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("its status") {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// SIGHUP is an orderly end: nothing stays, nothing is lost, and the same
/// command goes on.
#[test]
fn a_terminal_that_goes_away() {
    let study = Study::new(&SERVED.replace(r#""m=1""#, r#""m=1", "--gate", "{dir}/gate""#));
    let Some((terminal, mut daemon)) = on_terminal(&study, &["run", "study.toml", "-o", "out"])
    else {
        return;
    };
    study.await_events("services-ready", 1);
    let runner = study.runner_pid();
    // The live line is there, in colour.
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("trial 1/2") {
        let mut block = [0; 4096];
        let read = rustix::io::read(&terminal, &mut block).expect("the terminal's text");
        seen.extend_from_slice(&block[..read]);
    }
    assert!(seen.windows(4).any(|bytes| bytes == b"\x1b[1m"));
    drop(terminal);
    assert_eq!(end(&mut daemon), Some(0), "{}", study.trace());
    study.await_nothing_alive();
    assert!(!Path::new(&format!("/proc/{runner}")).exists());
    let ended = study.events_of("sitting-ended");
    assert_eq!(ended.len(), 1, "{}", study.trace());
    study.open_gate("gate");
    assert_said(&study.run(), 0, &["done"]);
    assert_eq!(study.events_of("run-ended").len(), 2, "{}", study.trace());
}
