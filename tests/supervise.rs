//! `autotuned supervise`, with real daemons; and with a stand-in where a daemon
//! is to do what ours does not.

mod support;

use std::fs;
use std::io::Write;
use std::process::Command;

use nix::sys::signal::Signal;
use support::said::{GOOD, SERVED, assert_said};
use support::{Daemon, Study, child, kill, start_of, without_terminal};

/// What the supervisor is told to do in these tests.
const SUPERVISE: [&str; 4] = ["supervise", "study.toml", "--output-dir", "out"];

/// Two trials of two runs each. The second trial waits at a gate.
fn gated() -> Study {
    let gated = GOOD.replace("runs = 1", "runs = 2");
    let study = Study::new(&gated.replace(r#""m=1""#, r#""m=1", "--gate", "{dir}/gate-{{ N }}""#));
    study.open_gate("gate-1");
    study
}

fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it is alive");
}

/// The daemons that the supervisor has started so far.
fn daemons(study: &Study) -> Vec<i32> {
    let log = study.log();
    // What has no end yet is still being written.
    let lines = log.split_inclusive('\n');
    let whole = lines.filter_map(|line| line.strip_suffix('\n'));
    let numbers = whole.filter_map(|line| line.split_once("started the daemon, process "));
    numbers
        .map(|(_, pid)| pid.parse().expect("a number"))
        .collect()
}

/// Waits for the daemon that is started as the `count`th.
fn await_daemon(study: &Study, count: usize) -> i32 {
    study.wait("a daemon", || daemons(study).len() >= count);
    daemons(study)[count - 1]
}

fn await_log(study: &Study, words: &str) {
    study.wait(words, || study.log().contains(words));
}

/// Every run of the study is on record once, and nothing is left.
fn assert_complete(study: &Study) {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for run in study.events_of("run-ended") {
        let number = |name: &str| run[name].as_u64().expect("a number");
        runs.push((number("trial"), number("run")));
    }
    runs.sort_unstable();
    assert_eq!(runs, [(1, 1), (1, 2), (2, 1), (2, 2)], "{}", study.trace());
    assert_eq!(study.results().len(), 2);
    study.await_nothing_alive();
    assert!(!study.out("autotune.watchdog.pid").exists());
}

#[test]
fn a_daemon_that_is_killed_is_started_again() {
    let study = gated();
    let mut supervisor = study.start_verb(&SUPERVISE);
    study.await_gate("gate-2");
    let pid_file = study.out("autotune.watchdog.pid");
    let text = fs::read_to_string(&pid_file).expect("a pid file");
    assert_eq!(text, format!("{}\n", supervisor.pid()));
    let first = await_daemon(&study, 1);
    kill(first);
    await_log(&study, "was killed by SIGKILL");
    let second = await_daemon(&study, 2);
    assert_ne!(first, second);
    study.open_gate("gate-2");
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    assert!(study.log().contains(", restarting in 1.0 s"));
    assert_complete(&study);
}

/// What a supervisor that is killed leaves, the next one uses.
#[test]
fn a_killed_supervisor_leaves_nothing_elsewhere() {
    let study = gated();
    let temporary = study.path("temporary");
    fs::create_dir(&temporary).expect("a folder");
    let folder = temporary.to_str().expect("text");
    let start = || study.start_with(&SUPERVISE, &[("TMPDIR", folder)]);
    let socket = study.out("autotune.watchdog.pid.socket");
    let mut supervisor = start();
    study.await_gate("gate-2");
    assert!(socket.exists());
    let daemon = await_daemon(&study, 1);
    supervisor.kill();
    study.wait("the daemon's end", || start_of(daemon).is_none());
    study.await_nothing_alive();
    assert!(fs::read_dir(&temporary).expect("a folder").next().is_none());
    let mut supervisor = start();
    study.open_gate("gate-2");
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    assert!(!socket.exists());
    assert_complete(&study);
}

#[test]
fn gives_up_after_too_many_failures() {
    let study = gated();
    let mut supervisor = study.start_verb(&[&SUPERVISE[..], &["--max-restarts", "1"]].concat());
    for count in 1..=2 {
        kill(await_daemon(&study, count));
    }
    assert_eq!(supervisor.end(), 8, "{}", study.trace());
    let log = study.log();
    let last = log.lines().last().expect("a line");
    let words = "the daemon was killed by SIGKILL, giving up (--max-restarts 1, --within 1h 00m)";
    assert!(last.contains(words), "{last}");
    assert!(!study.out("autotune.watchdog.pid").exists());
    // The same command goes on.
    study.open_gate("gate-2");
    assert_said(&study.autotuned(&SUPERVISE), 0, &["done"]);
    assert_complete(&study);
}

#[test]
fn what_a_restart_does_not_mend_is_not_restarted() {
    let study = gated();
    study.write_spec("[study]\nnme = 'x'\n");
    assert_said(&study.autotuned(&SUPERVISE), 3, &["nme"]);
    assert!(!study.path("out").exists(), "nothing was made");

    let study = gated();
    let mut supervisor = study.start_verb(&SUPERVISE);
    study.await_gate("gate-2");
    study.write_spec("[study]\nnme = 'x'\n");
    kill(await_daemon(&study, 1));
    assert_eq!(supervisor.end(), 3, "{}", study.trace());
    let words = "the daemon ended with exit code 3, which no restart mends";
    assert!(study.log().contains(words), "{}", study.log());
    assert_eq!(daemons(&study).len(), 2);
    study.await_nothing_alive();
}

#[test]
fn a_study_has_one_supervisor() {
    let study = gated();
    let mut first = study.start_verb(&SUPERVISE);
    study.await_gate("gate-2");
    let holder = format!("held by another supervisor, process {}", first.pid());
    assert_said(&study.autotuned(&SUPERVISE), 4, &[&holder]);
    // With another pid file it is the daemon that finds the folder in use.
    let other = [&SUPERVISE[..], &["--pid-file", "other.pid"]].concat();
    assert_said(&study.autotuned(&other), 4, &["in use by process"]);
    assert!(!study.path("other.pid").exists());
    study.open_gate("gate-2");
    assert_eq!(first.end(), 0, "{}", study.trace());
    assert_complete(&study);
}

#[test]
fn signals_end_both_in_order() {
    for (asked, code) in [(Signal::SIGTERM, 0), (Signal::SIGINT, 130)] {
        let study = gated();
        let mut supervisor = study.start_verb(&SUPERVISE);
        study.await_gate("gate-2");
        supervisor.signal(asked);
        assert_eq!(supervisor.end(), code, "{asked}: {}", study.trace());
        assert_eq!(daemons(&study).len(), 1, "{asked}");
        assert_eq!(study.events_of("sitting-ended").len(), 2, "{asked}");
        study.await_nothing_alive();
        study.open_gate("gate-2");
        assert_said(&study.autotuned(&SUPERVISE), 0, &["done"]);
        assert_complete(&study);
    }
}

/// A trial that ends in order only once the gate `stop` is open.
fn slow_to_end() -> Study {
    let served = SERVED.replace(
        r#""{port}"]"#,
        r#""{port}", "--term-gate", "{dir}/stop"]
stop_grace = "5m""#,
    );
    Study::new(&served.replace(r#""m=1""#, r#""m=1", "--gate", "{dir}/gate""#))
}

#[test]
fn a_second_signal_ends_at_once() {
    let study = slow_to_end();
    let mut supervisor = study.start_verb(&SUPERVISE);
    study.await_gate("gate");
    supervisor.signal(Signal::SIGTERM);
    study.await_gate("stop");
    supervisor.signal_again(Signal::SIGTERM);
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    study.await_nothing_alive();
}

#[test]
fn a_signal_ends_the_wait_for_a_restart() {
    let study = gated();
    let mut supervisor = study.start_verb(&SUPERVISE);
    for count in 1..=3 {
        kill(await_daemon(&study, count));
    }
    await_log(&study, "restarting in 4.0 s");
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    assert_eq!(daemons(&study).len(), 3, "{}", study.trace());
}

#[test]
fn a_daemon_whose_supervisor_is_killed_ends_in_order() {
    let study = gated();
    let mut supervisor = study.start_verb(&SUPERVISE);
    study.await_gate("gate-2");
    let daemon = await_daemon(&study, 1);
    supervisor.kill();
    study.wait("the daemon's end", || start_of(daemon).is_none());
    study.await_nothing_alive();
    // It was asked to: its trial is on record as interrupted.
    assert_eq!(study.events_of("sitting-ended").len(), 2);
    // The pid file was left, and is in nobody's way.
    assert!(study.out("autotune.watchdog.pid").exists());
    study.open_gate("gate-2");
    assert_said(&study.autotuned(&SUPERVISE), 0, &["done"]);
    assert_complete(&study);
}

/// A daemon that is told of a supervisor which is not its parent comes too
/// late: nobody would be there to start it again.
#[test]
fn a_daemon_whose_supervisor_is_gone_does_not_begin() {
    let study = gated();
    let mut run = study.command(&["run", "study.toml", "-o", "out"]);
    let output = run.env("AUTOTUNE_SUPERVISOR", "1999999999").output();
    let words = "process 1999999999, which was to supervise this one, is gone";
    assert_said(&output.expect("the daemon"), 1, &[words]);
    assert!(!study.path("out").exists());
}

/// SIGHUP reaches the daemon, and ends neither.
#[test]
fn a_hangup_without_a_terminal_is_passed_on() {
    let study = gated();
    let command = without_terminal(&study.command(&SUPERVISE));
    let mut supervisor = study.start_command(command);
    study.await_gate("gate-2");
    supervisor.signal(Signal::SIGHUP);
    await_log(&study, "the spec says what it said");
    study.open_gate("gate-2");
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    assert_complete(&study);
}

#[test]
fn a_terminal_that_goes_away_ends_both_in_order() {
    let study = gated();
    let Some((terminal, mut supervisor)) = support::on_terminal(&study, &SUPERVISE) else {
        return;
    };
    study.await_gate("gate-2");
    drop(terminal);
    assert_eq!(supervisor.wait().expect("its end").code(), Some(0));
    assert_eq!(study.events_of("sitting-ended").len(), 2);
    study.await_nothing_alive();
    study.open_gate("gate-2");
    assert_said(&study.autotuned(&SUPERVISE), 0, &["done"]);
    assert_complete(&study);
}

/// Under `nohup` the end of a terminal ends nothing.
#[test]
fn nohup_is_respected() {
    let study = gated();
    let mut nohup = Command::new("nohup");
    nohup
        .arg(env!("CARGO_BIN_EXE_autotuned"))
        .args(SUPERVISE)
        .current_dir(study.path(""))
        .env("PIDS", study.path("pids"))
        .env("XDG_RUNTIME_DIR", study.path("runtime"));
    let mut supervisor = study.start_command(nohup);
    study.await_gate("gate-2");
    let daemon = await_daemon(&study, 1);
    supervisor.signal(Signal::SIGHUP);
    signal(daemon, Signal::SIGHUP);
    study.open_gate("gate-2");
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    assert!(!study.log().contains("ending the running trial"));
    assert_complete(&study);
}

/// Ctrl-C at a terminal arrives once: the daemon ends its trial in order.
#[test]
fn ctrl_c_arrives_once() {
    let study = slow_to_end();
    let arguments = [&SUPERVISE[..], &["--no-socket"]].concat();
    let Some((terminal, mut supervisor)) = support::on_terminal(&study, &arguments) else {
        return;
    };
    // Somebody must read what it shows.
    let reader = terminal.try_clone().expect("the terminal");
    let shown = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut block = [0; 4096];
        while let Ok(read @ 1..) = rustix::io::read(&reader, &mut block) {
            seen.extend_from_slice(&block[..read]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    });
    study.await_gate("gate");
    // Two that come at one moment can look like one: see that none can come
    // from the terminal itself.
    let pid = supervisor.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let daemon = children.expect("its children").trim().parse();
    let daemon = nix::unistd::Pid::from_raw(daemon.expect("one child, the daemon"));
    assert_eq!(nix::unistd::getpgid(Some(daemon)), Ok(daemon));
    rustix::io::write(&terminal, b"\x03").expect("Ctrl-C");
    study.await_gate("stop");
    study.open_gate("stop");
    let status = supervisor.wait().expect("its end");
    let shown = shown.join().expect("read");
    assert_eq!(status.code(), Some(130), "{shown}");
    assert!(shown.contains("ending the running trial"), "{shown}");
    assert!(!shown.contains("ending at once"), "{shown}");
    study.await_nothing_alive();
}

/// The stand-in for a daemon, supervised.
fn stand_in(study: &Study, options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(child());
    command
        .arg("supervise")
        .args(options)
        .arg("--")
        .args(program)
        .current_dir(study.path(""))
        .env("PIDS", study.path("pids"));
    command
}

#[test]
fn every_signal_is_passed_on() {
    let study = gated();
    let child = child().display().to_string();
    let program = [&*child, "echo-signals", "--ends", "2"];
    let command = without_terminal(&stand_in(&study, &[], &program));
    let mut supervisor = study.start_command(command);
    await_log(&study, "listening");
    let names = [
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGTERM,
    ];
    let mut expected = String::new();
    for name in names {
        supervisor.signal(name);
        expected += &format!("got {name}\n");
        study.wait("its echo", || {
            let log = study.log();
            let got = log.lines().filter(|line| line.starts_with("got "));
            got.map(|line| format!("{line}\n")).collect::<String>() == expected
        });
    }
    assert_eq!(supervisor.end(), 0, "{}", study.log());
}

/// Makes orphans, waits until whoever supervises it has no child but it, and
/// ends with a code of its own.
const ORPHANS: &str = r#"
children() { wc -w < /proc/$PPID/task/$PPID/children; }
i=0
while [ $i -lt 20 ]; do
    (while [ ! -e go ]; do sleep 0.1; done &)
    i=$((i + 1))
done
[ "$(children)" -eq 21 ] || exit 9
: > go
while [ "$(children)" -ne 1 ]; do sleep 0.01; done
exit 42
"#;

#[test]
fn orphans_are_reaped() {
    let study = gated();
    let program = ["sh", "-c", ORPHANS];
    let mut supervisor = study.start_command(stand_in(&study, &[], &program));
    assert_eq!(supervisor.end(), 42, "{}", study.log());
}

#[test]
fn orphans_are_reaped_by_pid_1() {
    let study = gated();
    let namespace = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    let mut probe = Command::new("unshare");
    let probe = probe.args(namespace).arg("true").output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "skipped, no namespaces here: {probe:?}");
        return;
    }
    let script = format!("[ $PPID -eq 1 ] || exit 8\n{ORPHANS}");
    let inside = stand_in(&study, &[], &["sh", "-c", &script]);
    let mut unshare = Command::new("unshare");
    unshare
        .args(namespace)
        .arg(inside.get_program())
        .args(inside.get_args())
        .current_dir(study.path(""));
    let mut supervisor = study.start_command(unshare);
    assert_eq!(supervisor.end(), 42, "{}", study.log());
}

/// A program that gives signs of life, three or for ever; started again, it
/// ends.
fn beating(study: &Study, options: &[&str], beats: &str) -> Daemon {
    let child = child().display().to_string();
    let mark = study.path("hung").display().to_string();
    let program = [&*child, "beat", beats, "--once", &mark];
    study.start_command(stand_in(study, options, &program))
}

#[test]
fn a_daemon_that_hangs_is_started_again() {
    let study = gated();
    let mut supervisor = beating(&study, &["--watchdog", "1"], "three");
    assert_eq!(supervisor.end(), 0, "{}", study.log());
    let log = study.log();
    assert!(log.contains("no sign of life from the daemon for 1.0 s, sending SIGABRT"));
    assert!(log.contains("the daemon was killed by SIGABRT"), "{log}");
    assert_eq!(daemons(&study).len(), 2, "{log}");
}

/// One that is stopped does not heed SIGABRT.
#[test]
fn a_daemon_that_hangs_hard_is_killed() {
    let study = gated();
    let mut supervisor = beating(&study, &["--watchdog", "1"], "for-ever");
    await_log(&study, "alive");
    signal(await_daemon(&study, 1), Signal::SIGSTOP);
    assert_eq!(supervisor.end(), 0, "{}", study.log());
    let log = study.log();
    assert!(
        log.contains("still there 10.0 s later, sending SIGKILL"),
        "{log}"
    );
    assert!(log.contains("the daemon was killed by SIGKILL"), "{log}");
}

#[test]
fn without_a_watchdog_nobody_listens() {
    let study = gated();
    let mut supervisor = beating(&study, &["--watchdog", "0"], "three");
    await_log(&study, "nobody listens");
    supervisor.signal(Signal::SIGTERM);
    assert_eq!(supervisor.end(), 0, "{}", study.log());
}
