//! SIGINT and SIGTERM: once for an orderly end, twice for one at once.

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGTERM};

use crate::checks::{
    assert_complete, assert_nothing_left, ends, gated, journalled, open_all, signal,
};
use crate::support::{Study, start_of};

/// The trial is interrupted, its good runs are kept, and the next start goes
/// on with those that are missing.
fn once(cgroup: bool) {
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 0)] {
        let study = gated(cgroup, "run-2");
        let mut daemon = study.start();
        study.await_gate("run-2");
        daemon.signal(signal);
        assert_eq!(daemon.end(), code, "{signal}: {}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(ends(&study), ["interrupted"], "{signal}");
        assert_eq!(journalled(&study).len(), 2, "{signal}");
        open_all(&study);
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert_complete(&study);
        let sittings: Vec<(u64, u64)> = study
            .events_of("sitting-started")
            .iter()
            .map(|s| {
                (
                    s["trial"].as_u64().expect("a trial"),
                    s["sitting"].as_u64().expect("a number"),
                )
            })
            .collect();
        assert_eq!(sittings, [(1, 1), (1, 2), (2, 1)], "{signal}");
        let logs = study.out("tune_server_logs");
        for log in ["trial_00001.log", "trial_00001.2.log", "trial_00002.log"] {
            assert!(logs.join(log).exists(), "{signal}: {log}");
        }
        assert!(
            !logs.join("trial_00001.2.train.log").exists(),
            "the task was repeated"
        );
    }
}

/// In whichever phase a trial is: the end comes, and nothing is left.
fn in_every_phase(cgroup: bool) {
    for gate in ["start", "ready", "train", "run-1"] {
        let study = gated(cgroup, gate);
        let mut daemon = study.start();
        study.await_gate(gate);
        daemon.signal(SIGTERM);
        assert_eq!(daemon.end(), 0, "{gate}: {}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(ends(&study), ["interrupted"], "{gate}");
        open_all(&study);
        assert_eq!(study.start().end(), 0, "{gate}: {}", study.trace());
        assert_complete(&study);
    }
}

/// An end that is asked for when all was measured loses nothing.
fn at_the_end_of_a_trial(cgroup: bool) {
    let study = gated(cgroup, "stop");
    let mut daemon = study.start();
    study.await_gate("stop");
    daemon.signal(SIGTERM);
    study.open_gate("stop");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    assert_eq!(ends(&study), ["complete"]);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_complete(&study);
}

/// The service does not heed SIGTERM, and its grace is longer than any test.
fn twice(cgroup: bool) {
    for (first, second, code) in [(SIGINT, SIGINT, 130), (SIGTERM, SIGTERM, 0)] {
        let study = gated(cgroup, "stop");
        // Another gate is closed too, so that it is in the middle of a run.
        std::fs::remove_file(study.path("run-2")).expect("an open gate");
        let mut daemon = study.start();
        study.await_gate("run-2");
        daemon.signal(first);
        study.await_gate("stop");
        daemon.signal_again(second);
        assert_eq!(daemon.end(), code, "{}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(ends(&study), ["interrupted"]);
        open_all(&study);
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert_complete(&study);
    }
}

/// Who ends a whole tree, as timeout(1) does, sends the same signal twice: the
/// trial is ended in order all the same.
fn twice_at_the_same_time(cgroup: bool) {
    let study = gated(cgroup, "stop");
    let mut daemon = study.start();
    study.await_gate("stop");
    let service = study.processes()[0];
    daemon.signal(SIGTERM);
    let log = || std::fs::read_to_string(study.path("daemon.log")).unwrap_or_default();
    study.wait("the first signal's echo", || log().contains("once more"));
    daemon.signal(SIGTERM);
    daemon.signal(SIGHUP);
    study.open_gate("stop");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(!log().contains("ending at once"), "{}", log());
    assert_ne!(start_of(service.0), Some(service.1));
    assert_nothing_left(&study);
}

/// The runner of a daemon that was killed is still in a grace longer than any
/// test. The next daemon waits for it, and an end at once ends that too.
fn twice_while_the_past_is_cleared_up(cgroup: bool) {
    let study = gated(cgroup, "stop");
    std::fs::remove_file(study.path("run-2")).expect("an open gate");
    let mut daemon = study.start();
    study.await_gate("run-2");
    let runner = study.runner_pid();
    daemon.kill();
    study.await_gate("stop");
    let mut daemon = study.start();
    let log = || std::fs::read_to_string(study.path("daemon.log")).unwrap_or_default();
    study.wait("the clearing up", || log().contains("clearing up"));
    daemon.signal(SIGINT);
    study.wait("the first signal's echo", || log().contains("once more"));
    assert!(
        start_of(runner).is_some(),
        "the first one waits for the runner"
    );
    daemon.signal_again(SIGINT);
    assert_eq!(daemon.end(), 130, "{}", study.trace());
    assert_nothing_left(&study);
    assert_eq!(start_of(runner), None);
    open_all(&study);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_complete(&study);
}

/// The runner that a killed daemon has left ends in its own time; a restart
/// waits for it and begins nothing before.
fn a_restart_waits_for_a_runner_that_is_still_ending(cgroup: bool) {
    let study = gated(cgroup, "stop");
    let mut daemon = study.start();
    study.await_gate("stop");
    let runner = study.runner_pid();
    daemon.kill();
    let mut daemon = study.start();
    let log = || std::fs::read_to_string(study.path("daemon.log")).unwrap_or_default();
    study.wait("the clearing up", || log().contains("clearing up"));
    assert!(start_of(runner).is_some());
    study.open_gate("stop");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    // It came to write its result, so nothing was repeated.
    assert_eq!(ends(&study), ["complete", "complete"]);
    assert_complete(&study);
}

/// `pkill autotuned` reaches the runner as well as the daemon: that is one
/// wish for an orderly end, not a fault of the host.
fn daemon_and_runner_are_asked(cgroup: bool) {
    for kind in [SIGINT, SIGTERM] {
        let study = gated(cgroup, "stop");
        std::fs::remove_file(study.path("run-2")).expect("an open gate");
        let mut daemon = study.start();
        study.await_gate("run-2");
        study.await_events("run-ended", 2);
        signal(study.runner_pid(), kind);
        daemon.signal(kind);
        // The service is asked as well, and has its grace.
        study.await_gate("stop");
        study.open_gate("stop");
        let code = if kind == SIGINT { 130 } else { 0 };
        assert_eq!(daemon.end(), code, "{kind}: {}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(ends(&study), ["interrupted"], "{kind}");
        open_all(&study);
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert_complete(&study);
    }
}

both_ways! {
    daemon_and_runner_are_asked,
    once,
    in_every_phase,
    at_the_end_of_a_trial,
    twice,
    twice_at_the_same_time,
    twice_while_the_past_is_cleared_up,
    a_restart_waits_for_a_runner_that_is_still_ending,
}

/// A service that does not heed SIGTERM, and has a command that ends it.
const STOPPED: &str = r#"
[study]
name = "stopped"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[space]
N = [1, 2]
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--ignore-term"]
ready = { http = "http://127.0.0.1:{port}/" }
stop = ["{child}", "run", "--gate", "{dir}/stop", "--done", "{dir}/stopped"]
stop_grace = "10m"
[[step]]
name = "eval"
kind = "measure"
command = ["{child}", "run", "--gate", "{dir}/run", "--print", "m=1"]
metrics.m = 'm=(\S+)'
"#;

/// A trial that is to end at once is killed while a `stop` command still runs,
/// and that has a short time to come to its end.
#[test]
fn twice_while_a_stop_command_runs() {
    let study = Study::new(STOPPED);
    let mut daemon = study.start();
    study.await_gate("run");
    let service = study.processes()[0];
    daemon.signal(Signal::SIGTERM);
    study.await_gate("stop");
    daemon.signal_again(Signal::SIGTERM);
    study.wait("the service's end", || {
        start_of(service.0) != Some(service.1)
    });
    study.open_gate("stop");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(study.path("stopped").exists());
    assert_nothing_left(&study);
}

/// One that hangs holds up an end at once for some seconds, not for ever.
#[test]
fn twice_with_a_stop_command_that_hangs() {
    let study = Study::new(STOPPED);
    let mut daemon = study.start();
    study.await_gate("run");
    daemon.signal(Signal::SIGTERM);
    study.await_gate("stop");
    daemon.signal_again(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(!study.path("stopped").exists());
    assert_nothing_left(&study);
    let log = std::fs::read_to_string(study.path("daemon.log")).expect("the log");
    assert!(log.contains("the stop commands took too long"), "{log}");
}
