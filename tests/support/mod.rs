//! What the tests with real processes share: a study in a folder of its own,
//! the daemon as a process, and waiting for what it writes.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod control;
pub mod said;
pub mod screen;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value as Json;

/// No step of a test takes longer, on however slow a machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A study in a temporary folder.
pub struct Study {
    folder: tempfile::TempDir,
    /// A port that was free when the study was made.
    pub port: u16,
}

/// A spec whose trials come in the order of its space, each with all its runs,
/// and nothing after them, unless it says otherwise.
fn in_order(spec: &str) -> String {
    let mut spec = spec.to_owned();
    if spec.contains("[space]") && !spec.contains("[confirm]") {
        spec.push_str("\n[confirm]\nruns = 0\n");
    }
    let spec = &*spec;
    let defaults = [("sampler", "\"coordinate\""), ("racing", "false")];
    let missing = defaults.iter().filter(|(key, _)| !spec.contains(key));
    let missing: String = missing
        .map(|(key, value)| format!("{key} = {value}\n"))
        .collect();
    if missing.is_empty() || !spec.contains("[space]") {
        spec.to_owned()
    } else if spec.contains("[search]\n") {
        spec.replacen("[search]\n", &format!("[search]\n{missing}"), 1)
    } else {
        format!("{spec}\n[search]\n{missing}")
    }
}

/// The path of the program that plays the children.
pub fn child() -> PathBuf {
    let daemon = Path::new(env!("CARGO_BIN_EXE_autotuned"));
    let child = daemon.parent().expect("a folder").join("examples/child");
    // `cargo test` builds it, `cargo test --test NAME` does not.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/child.rs");
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let built = changed(&child).expect("`cargo build --example child` makes it");
    let fresh = changed(Path::new(source)).is_none_or(|source| source <= built);
    assert!(
        fresh,
        "`cargo build --example child`: it is older than its source"
    );
    child
}

/// A port that nobody listens on, and that no other test is given as long as
/// this process lives. Not one of those that the kernel gives to outgoing
/// connections: it could be in use before it is.
pub fn free_port() -> u16 {
    let start = std::process::id() * 50;
    for number in 0..20_000 {
        let port = u16::try_from(10_000 + (start + number) % 20_000).expect("a port");
        // A name in the abstract namespace goes with the process that took it.
        let name = format!("autotune-test-port-{port}");
        let address = SocketAddr::from_abstract_name(name).expect("a short name");
        let Ok(claim) = UnixListener::bind_addr(&address) else {
            continue;
        };
        std::mem::forget(claim);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("every port is in use");
}

impl Study {
    /// A study with this spec. `{child}`, `{port}` and `{dir}` are filled in.
    pub fn new(spec: &str) -> Self {
        let study = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: free_port(),
        };
        study.write_spec(spec);
        study
    }

    /// Replaces the spec.
    pub fn write_spec(&self, spec: &str) {
        let spec = in_order(spec)
            .replace("{child}", &child().display().to_string())
            .replace("{port}", &self.port.to_string())
            .replace("{dir}", &self.path("").display().to_string());
        std::fs::write(self.path("study.toml"), spec).expect("the spec");
    }

    /// A path in the study's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path in the output folder.
    pub fn out(&self, name: &str) -> PathBuf {
        self.path("out").join(name)
    }

    /// `autotuned` with these arguments; every process of the study notes its
    /// pid in a file.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autotuned"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PIDS", self.path("pids"))
            // Its control socket is its own, too.
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .env_remove("AUTOTUNE_SOCKET")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts `autotuned run` on the study.
    pub fn start(&self) -> Daemon {
        self.start_verb(&["run", "study.toml", "--output-dir", "out"])
    }

    /// Starts `autotuned` with these arguments; what it says is added to
    /// `daemon.log`.
    pub fn start_verb(&self, arguments: &[&str]) -> Daemon {
        self.start_with(arguments, &[])
    }

    /// The same, with these environment variables.
    pub fn start_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Daemon {
        let mut command = self.command(arguments);
        command.envs(env.iter().copied());
        self.start_command(command)
    }

    /// Starts a program; what it says is added to `daemon.log`.
    pub fn start_command(&self, mut command: Command) -> Daemon {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("daemon.log"))
            .expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Daemon {
            child: command.spawn().expect("the daemon"),
        }
    }

    /// What the daemons of this study have said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// The params of every trial so far as `A=1 B=x`, in the order of their
    /// numbers.
    pub fn planned(&self) -> Vec<String> {
        let trials = self.events_of("trial-planned");
        for (index, trial) in trials.iter().enumerate() {
            assert_eq!(trial["trial"], index + 1, "{}", self.trace());
        }
        trials.iter().map(|trial| key(&trial["params"])).collect()
    }

    /// Runs `autotuned run` to its end.
    pub fn run(&self) -> Output {
        self.autotuned(&["run", "study.toml", "--output-dir", "out"])
    }

    /// Runs `autotuned` to its end.
    pub fn autotuned(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the daemon")
    }

    /// The events of the journal so far, with their kind under `kind`; a line
    /// that is being written is left out.
    pub fn events(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.out("journal.jsonl")).unwrap_or_default();
        text.lines()
            .skip(1)
            .filter_map(|line| serde_json::from_str::<Json>(line).ok())
            .map(|line| line["event"].clone())
            .collect()
    }

    /// The events of one kind.
    pub fn events_of(&self, kind: &str) -> Vec<Json> {
        self.events()
            .into_iter()
            .filter_map(|event| event.get(kind).cloned())
            .collect()
    }

    /// Waits until the journal has `count` events of a kind.
    pub fn await_events(&self, kind: &str, count: usize) {
        self.wait(&format!("{count} × {kind}"), || {
            self.events_of(kind).len() >= count
        });
    }

    /// Waits until something holds.
    pub fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds() {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}:\n{}",
                self.trace()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What happened so far, for a test that fails.
    pub fn trace(&self) -> String {
        let log = std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default();
        let events: Vec<String> = self.events().iter().map(Json::to_string).collect();
        format!("{log}\n{}", events.join("\n"))
    }

    /// The lines of the results file.
    pub fn results(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.out("tune_results.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// The best params, as their file has them.
    pub fn best(&self) -> Json {
        let text = std::fs::read_to_string(self.out("best_params.json")).expect("best params");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The pids of every process that the study has made.
    pub fn pids(&self) -> Vec<i32> {
        self.processes().into_iter().map(|(pid, _)| pid).collect()
    }

    /// Every process that the study has made: its pid and its start time.
    pub fn processes(&self) -> Vec<(i32, u64)> {
        let text = std::fs::read_to_string(self.path("pids")).unwrap_or_default();
        let parse = |line: &str| {
            let (pid, ticks) = line.split_once(' ')?;
            Some((pid.parse().ok()?, ticks.parse().ok()?))
        };
        text.lines()
            .map(|line| parse(line).expect("a process"))
            .collect()
    }

    /// Waits until no process of the study is alive.
    pub fn await_nothing_alive(&self) {
        self.wait("the end of every process", || self.alive().is_empty());
    }

    /// The processes of the study that are alive. A number that was given to
    /// another process meanwhile does not count, nor does a zombie.
    pub fn alive(&self) -> Vec<i32> {
        let processes = self.processes().into_iter();
        let alive = processes.filter(|(pid, ticks)| start_of(*pid) == Some(*ticks));
        alive.map(|(pid, _)| pid).collect()
    }

    /// The process of the runner that was started last.
    pub fn runner_pid(&self) -> i32 {
        self.wait("a runner", || self.newest_runner().is_some());
        self.newest_runner().expect("a runner")
    }

    /// The same, where there is one.
    pub fn newest_runner(&self) -> Option<i32> {
        let sittings = std::fs::read_dir(self.out("sittings")).ok()?;
        let newest = sittings.flatten().map(|entry| entry.path()).max()?;
        let text = std::fs::read_to_string(newest.join("runner.json")).ok()?;
        let runner: Json = serde_json::from_str(&text).ok()?;
        i32::try_from(runner["pid"].as_i64()?).ok()
    }

    /// Opens a gate that children wait at.
    pub fn open_gate(&self, name: &str) {
        std::fs::write(self.path(name), "").expect("a gate");
    }

    /// Waits until a child has come to a gate that is closed.
    pub fn await_gate(&self, name: &str) {
        let mark = self.path(&format!("{name}.waits"));
        self.wait(&format!("a child at the gate {name}"), || mark.exists());
    }
}

/// When a process started, in clock ticks since boot; `None` for one that is
/// dead.
pub fn start_of(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The third field comes after the name, which stands in parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let dead = matches!(*fields.first()?, "Z" | "X");
    fields.get(19).filter(|_| !dead)?.parse().ok()
}

/// A daemon that was started. It is killed when dropped.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// One that was started otherwise.
    pub fn of(child: Child) -> Self {
        Self { child }
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Kills it as a power cut would, without a chance to do anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("sent");
    }

    /// Sends it a signal that is another wish than one that came just now.
    pub fn signal_again(&self, signal: nix::sys::signal::Signal) {
        std::thread::sleep(autotune::daemon::signals::ONE_WISH);
        self.signal(signal);
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    /// Waits for its end and returns its exit code.
    pub fn end(&mut self) -> i32 {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command without the terminal that this test may have been started
/// from.
pub fn without_terminal(command: &Command) -> Command {
    let mut without = Command::new("setsid");
    without.arg(command.get_program()).args(command.get_args());
    let set = command.get_envs();
    without.envs(set.filter_map(|(name, value)| Some((name, value?))));
    without.current_dir(command.get_current_dir().expect("the study's folder"));
    without.stdin(Stdio::null());
    without
}

/// A terminal with `autotuned` on it; `None` where there is no `setsid`.
pub fn on_terminal(study: &Study, arguments: &[&str]) -> Option<(OwnedFd, Child)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotuned"));
    command.args(arguments);
    let mut command = on_its_own(&command, study);
    command.env("PIDS", study.path("pids"));
    put_on_terminal(command)
}

/// A program as the first of a session, with a terminal that knows colours.
pub fn on_its_own(program: &Command, study: &Study) -> Command {
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(program.get_program());
    command.args(program.get_args());
    command.current_dir(study.path(""));
    command
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR");
    command
}

/// A new terminal with that on it; `None` where there is no such program.
pub fn put_on_terminal(mut command: Command) -> Option<(OwnedFd, Child)> {
    let terminal =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let name = ptsname(&terminal, Vec::new()).expect("its name");
    let path = Path::new(name.to_str().expect("text")).to_owned();
    let open = || {
        let options = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path);
        Stdio::from(options.expect("the terminal"))
    };
    command.stdin(open()).stdout(open()).stderr(open());
    match command.spawn() {
        Ok(child) => Some((terminal, child)),
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "skipped: setsid: {error}");
            None
        }
    }
}

/// Params as `A=1 B=x`.
pub fn key(params: &Json) -> String {
    let pairs = params.as_object().expect("an object").iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| match value {
            Json::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    pairs.join(" ")
}

/// Sends SIGKILL to a process of the test.
pub fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    // It may have ended in between.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

/// The exit code of a program.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// What a program said, on both its streams.
pub fn said(output: &Output) -> String {
    let both =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    both.concat()
}
