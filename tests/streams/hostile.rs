//! Peers that mean harm: the study goes on, memory stays flat, nothing panics.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use autotune::wire::codec::{decode, encode};
use autotune::wire::frame::{REQUEST_MAX, frame};
use autotune::wire::reply::{Refusal, Reply};
use autotune::wire::request::{Request, Steer};

use super::support::Study;
use super::support::control::{connection, ctl, good, json, peak, socket};
use super::support::{Daemon, code, said};
use super::{Follower, GATED, open_gates};

fn daemon(study: &Study) -> Daemon {
    let daemon = study.start();
    study.await_gate("gate-1");
    study.wait("the socket", || code(&ctl(study, &["ping"])) == 0);
    daemon
}

/// All that the other end says until it closes.
fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("set");
    let mut bytes = Vec::new();
    // A connection that is reset has said before what it had to say.
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => bytes,
    }
}

/// The one reply in these bytes.
fn reply(bytes: &[u8]) -> Reply {
    decode(bytes.get(4..).expect("a frame")).expect("a reply")
}

#[test]
fn every_length_and_every_cut() {
    let study = Study::new(GATED);
    let mut daemon = daemon(&study);
    let before = peak(daemon.pid());
    // Bodies of every length that are no request, and claims of more than may
    // be: both are told, and the connection is over.
    let lengths = (2..300).chain([4095, 4096, 65_535, 65_536]);
    for length in lengths {
        let mut stream = connection(&study);
        let bytes = frame(&vec![0; length], REQUEST_MAX).expect("a frame");
        stream.write_all(&bytes).expect("sent");
        let refused = reply(&rest(&mut stream));
        assert!(
            matches!(&refused, Reply::Refused(Refusal::NotUnderstood(_))),
            "{length}: {refused:?}"
        );
    }
    for claim in [65_537_u32, 1 << 20, 1 << 24, i32::MAX as u32, u32::MAX] {
        let mut stream = connection(&study);
        stream.write_all(&claim.to_be_bytes()).expect("sent");
        let refused = reply(&rest(&mut stream));
        assert!(
            matches!(&refused, Reply::Refused(Refusal::NotUnderstood(why))
            if why.contains("65536 are allowed")),
            "{claim}: {refused:?}"
        );
    }
    // Requests that end too early, at every byte: with the end of the
    // connection, and with silence.
    let long = Steer::Enqueue {
        values: vec![("N".to_owned(), "2".to_owned())],
        again: false,
    };
    let mut held = Vec::new();
    for request in [Request::Status, Request::Steer(long)] {
        let body = encode(&request).expect("encoded");
        let bytes = frame(&body, REQUEST_MAX).expect("a frame");
        for cut in 0..bytes.len() {
            let mut stream = connection(&study);
            stream.write_all(&bytes[..cut]).expect("sent");
            stream.shutdown(std::net::Shutdown::Write).expect("shut");
            assert!(rest(&mut stream).is_empty(), "{cut}");
            let mut stream = connection(&study);
            stream.write_all(&bytes[..cut]).expect("sent");
            held.push(stream);
        }
    }
    // Nested and sizeless claims: lists of lists, each said to be endless.
    for body in [[8, 5, 253].as_slice(), &[3, 253], &[6, 1, 253], &[255; 64]] {
        let mut stream = connection(&study);
        let body = [body, &[255; 500]].concat();
        let bytes = frame(&body, REQUEST_MAX).expect("a frame");
        stream.write_all(&bytes).expect("sent");
        let refused = reply(&rest(&mut stream));
        assert!(matches!(refused, Reply::Refused(_)), "{refused:?}");
    }
    // A full request of what grows most when it is read.
    let mut body = vec![8, 5, 251];
    body.extend(30_000_u16.to_le_bytes());
    body.resize(5 + 60_000, 0);
    for _ in 0..50 {
        let mut stream = connection(&study);
        stream
            .write_all(&frame(&body, REQUEST_MAX).expect("a frame"))
            .expect("sent");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
    }
    let after = peak(daemon.pid());
    assert!(after < before + 32 * 1024, "{before} KiB, then {after} KiB");
    let status = json(&study, &["status"]);
    assert_eq!(status["waiting"].as_array().map(Vec::len), Some(0));
    open_gates(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(!study.log().contains("panic"), "{}", study.log());
}

/// What it asks from then on is not taken, and it knows.
#[test]
fn whoever_has_not_asked_yet_is_told_of_the_end() {
    let study = Study::new(GATED);
    let mut daemon = daemon(&study);
    let mut idle = connection(&study);
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.end(), 0);
    assert_eq!(reply(&rest(&mut idle)), Reply::Refused(Refusal::Leaving));
}

#[test]
fn beyond_the_limit_the_answer_is_busy_and_the_study_goes_on() {
    let study = Study::new(GATED);
    // So few files that 200 connections are too many.
    let limits = "ulimit -Sn 400; ulimit -Hn 400; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    let run = ["run", "study.toml", "--output-dir", "out", "--stay"];
    command
        .args(["-c", limits, env!("CARGO_BIN_EXE_autotuned")])
        .args(run)
        .current_dir(study.path(""))
        .env("PIDS", study.path("pids"))
        .env("XDG_RUNTIME_DIR", study.path("runtime"));
    let mut daemon = Follower::start(&study, "daemon", command);
    study.await_gate("gate-1");
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    // Followers stay as long as they like.
    let body = encode(&Request::Wait(autotune::wire::request::Until::Paused)).expect("encoded");
    let wait = frame(&body, REQUEST_MAX).expect("a frame");
    let held: Vec<UnixStream> = (0..200)
        .map(|_| {
            let mut stream = connection(&study);
            stream.write_all(&wait).expect("asked");
            stream
        })
        .collect();
    for _ in 0..2000 {
        let mut stream = UnixStream::connect(socket(&study)).expect("connected");
        let bytes = rest(&mut stream);
        let refused = reply(bytes.get(12..).expect("a hello"));
        assert_eq!(refused, Reply::Refused(Refusal::Busy));
    }
    let busy = ctl(&study, &["status"]);
    assert_eq!(code(&busy), 4, "{}", said(&busy));
    assert!(
        said(&busy).contains("too many connections"),
        "{}",
        said(&busy)
    );
    // Trials are started all the same.
    open_gates(&study);
    study.await_events("done", 1);
    drop(held);
    study.wait("room", || code(&ctl(&study, &["ping"])) == 0);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(&study), 0, "{}", daemon.err());
}

#[test]
fn the_groups_that_count_are_those_of_the_process() {
    let setpriv = || Command::new("setpriv");
    let root = nix::unistd::geteuid().is_root();
    if !root || setpriv().arg("--version").output().is_err() {
        // Another user can only be played by root.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let study = Study::new(&GATED.replace(
        "[objective]",
        "[control]\nsocket = \"c/sock\"\ngroup = \"daemon\"\nread = \"all\"\n[objective]",
    ));
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(study.path(""), readable.clone()).expect("set");
    std::fs::create_dir(study.path("c")).expect("made");
    std::fs::set_permissions(study.path("c"), readable.clone()).expect("set");
    let program = study.path("client");
    std::fs::copy(env!("CARGO_BIN_EXE_autotunectl"), &program).expect("copied");
    std::fs::set_permissions(&program, readable).expect("set");
    let mut daemon = study.start();
    study.await_gate("gate-1");
    let path = study.path("c/sock");
    study.wait("the socket", || path.exists());
    let group = nix::unistd::Group::from_name("daemon");
    let group = group
        .expect("groups")
        .expect("a group that every system has");
    let pause = |groups: &str| {
        let mut command = setpriv();
        command
            .args(["--reuid=65534", "--regid=65534", groups])
            .arg(&program)
            .args(["pause", "--socket"])
            .arg(&path);
        command.output().expect("runs")
    };
    // This user is in the group nowhere but in this process.
    let without = pause("--clear-groups");
    assert_eq!(code(&without), 5, "{}", said(&without));
    let with = pause(&format!("--groups={}", group.gid));
    assert_eq!(code(&with), 0, "{}", said(&with));
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.end(), 0);
}
