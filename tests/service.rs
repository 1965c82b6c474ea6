//! What the daemon says to a service manager, heard on a socket as systemd's.

mod support;

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use support::{Daemon, Study};

/// Four trials; every run waits at the gate `go`, and ends on SIGTERM only
/// once the gate `end` is open.
const SPEC: &str = r#"
[study]
name = "service"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[search]
sampler = "grid"
[space]
X = [1, 2]
NOTE = ["a", "b\nREADY=1"]
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--term-gate", "{dir}end"]
ready = { http = "http://127.0.0.1:{port}/", settle = "0s" }
stop_grace = "120s"
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}go", "--print", "speed={{ X }}"]
metrics.speed = 'speed=(\S+)'
"#;

/// The manager's end.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn listen(study: &Study) -> Self {
        let socket = UnixDatagram::bind(study.path("notify")).expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a limit");
        Self {
            socket,
            heard: Vec::new(),
        }
    }

    /// The next message.
    fn next(&mut self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a message in time");
        let text = String::from_utf8(bytes[..length].to_vec()).expect("text");
        self.heard.push(text.clone());
        text.trim_end().to_owned()
    }

    /// The next descriptor that is to be kept, and its name.
    fn next_kept(&mut self) -> (OwnedFd, String) {
        loop {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); 64];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::empty();
            let received = recvmsg(&self.socket, &mut into, &mut control, flags);
            let length = received.expect("a message in time").bytes;
            let text = String::from_utf8(bytes[..length].to_vec()).expect("text");
            let kept = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            self.heard.push(text.clone());
            let mut lines = text.lines();
            if let Some(name) = lines.find_map(|line| line.strip_prefix("FDNAME=")) {
                assert!(text.contains("FDSTORE=1"), "{text}");
                return (kept.expect("a descriptor"), name.to_owned());
            }
        }
    }

    /// Hears messages up to one that fits.
    fn until(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let message = self.next();
            if fits(&message) {
                return message;
            }
            assert!(Instant::now() < deadline, "{:#?}", self.heard);
        }
    }
}

fn start(study: &Study, watchdog: &str) -> Daemon {
    let socket = study.path("notify").display().to_string();
    let env = [
        ("NOTIFY_SOCKET", socket.as_str()),
        ("WATCHDOG_USEC", watchdog),
    ];
    let arguments = ["run", "study.toml", "--output-dir", "out", "--stay"];
    study.start_with(&arguments, &env)
}

#[test]
fn the_manager_hears_of_start_state_and_end() {
    let study = Study::new(SPEC);
    let mut manager = Manager::listen(&study);
    let mut daemon = start(&study, "60000000");
    manager.until(|message| message == "READY=1");
    // Ready means: the journal is open, and clients are answered.
    assert!(study.out("journal.jsonl").exists());
    let socket = study.path("runtime/autotune/control.sock");
    std::os::unix::net::UnixStream::connect(socket).expect("somebody listens");
    let line = manager.until(|message| message.contains("trial 1 of 4"));
    assert!(line.starts_with("STATUS="), "{line}");
    study.open_gate("end");
    study.open_gate("go");
    let line = manager.until(|message| message.contains("done after 4 trials"));
    assert!(line.contains(": speed 2"), "{line}");
    daemon.signal(Signal::SIGTERM);
    manager.until(|message| message == "STOPPING=1");
    assert_eq!(daemon.end(), 0);
    // A value with a newline in it has stood in the status line.
    assert!(
        manager
            .heard
            .iter()
            .any(|message| message.contains(r"b\nREADY=1"))
    );
    let lines = manager.heard.iter().flat_map(|message| message.lines());
    let ready = lines.filter(|line| *line == "READY=1").count();
    assert_eq!(ready, 1, "{:#?}", manager.heard);
}

#[test]
fn signs_of_life_come_with_and_without_work() {
    let study = Study::new(SPEC);
    let mut manager = Manager::listen(&study);
    // Due every 100 ms.
    let mut daemon = start(&study, "300000");
    manager.until(|message| message == "READY=1");
    manager.until(|message| message.contains("eval"));
    for _ in 0..10 {
        manager.until(|message| message == "WATCHDOG=1");
    }
    study.open_gate("end");
    study.open_gate("go");
    manager.until(|message| message.contains("done after 4 trials"));
    for _ in 0..10 {
        manager.until(|message| message == "WATCHDOG=1");
    }
    daemon.signal(Signal::SIGTERM);
    manager.until(|message| message == "STOPPING=1");
    assert_eq!(daemon.end(), 0);
}

#[test]
fn more_time_is_asked_for_while_a_trial_ends() {
    let study = Study::new(SPEC);
    let mut manager = Manager::listen(&study);
    let mut daemon = start(&study, "300000");
    manager.until(|message| message.contains("eval"));
    daemon.signal(Signal::SIGTERM);
    manager.until(|message| message == "STOPPING=1");
    study.await_gate("end");
    manager.heard.clear();
    for _ in 0..3 {
        manager.until(|message| message.starts_with("EXTEND_TIMEOUT_USEC="));
    }
    study.open_gate("end");
    assert_eq!(daemon.end(), 0);
}

/// `autotunectl`, on the study's socket.
fn client(study: &Study, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(arguments)
        .env("XDG_RUNTIME_DIR", study.path("runtime"))
        .env_remove("AUTOTUNE_SOCKET")
        .stdout(Stdio::piped());
    command
}

/// Starts a daemon as a manager does that has kept a descriptor.
fn start_with_kept(study: &Study, kept: OwnedFd, name: &str) -> std::process::Child {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_autotuned")])
        .args(["run", "study.toml", "--output-dir", "out", "--stay"])
        .current_dir(study.path(""))
        .env("PIDS", study.path("pids"))
        .env("XDG_RUNTIME_DIR", study.path("runtime"))
        .env("NOTIFY_SOCKET", study.path("notify"))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name)
        .stdin(Stdio::from(kept))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("a daemon")
}

#[test]
fn a_client_waits_through_a_crash() {
    let study = Study::new(SPEC);
    let mut manager = Manager::listen(&study);
    let mut daemon = start(&study, "60000000");
    let (kept, name) = manager.next_kept();
    manager.until(|message| message.contains("eval"));
    daemon.kill();
    study.open_gate("end");
    // It connects to the socket that nobody serves.
    let mut waiting = client(&study, &["ping"]).spawn().expect("a client");
    let second = kept.try_clone().expect("a copy");
    let mut next = start_with_kept(&study, kept, &name);
    manager.until(|message| message == "READY=1");
    let answered = waiting.wait().expect("an end");
    assert!(answered.success(), "{answered}");
    study.open_gate("go");
    manager.until(|message| message.contains("done after 4 trials"));
    // An end in order leaves it to the manager as well.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(next.id()).expect("a pid")),
        Signal::SIGTERM,
    )
    .expect("sent");
    assert!(next.wait().expect("an end").success());
    assert!(study.path("runtime/autotune/control.sock").exists());
    // Once that has dropped it, nobody is there, and the next daemon listens anew.
    drop(second);
    let nobody = client(&study, &["ping"]).output().expect("a client");
    assert_eq!(nobody.status.code(), Some(3));
    let mut daemon = start(&study, "60000000");
    manager.until(|message| message == "READY=1");
    let answered = client(&study, &["ping"]).output().expect("a client");
    assert!(answered.status.success());
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0);
}
