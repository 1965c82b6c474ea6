//! Trials side by side: whatever is killed in one slot, the other goes on, and
//! nothing is left of either.

use serde_json::Value as Json;

use crate::checks::{assert_nothing_left, ends, failures};
use crate::support::control::{good, json, refused};
use crate::support::{Daemon, Study, free_port, kill, start_of};

/// Three trials in two slots. Each run waits at a gate of its own:
/// `gate-TRIAL-RUN`.
const SPEC: &str = r#"
[study]
name = "side-by-side"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[space]
N = [1, 2, 3]
[host]
fault_wait = "0s"
cgroup = {cgroup}
[[slot]]
name = "a"
port = {port}
env = { CUDA_VISIBLE_DEVICES = 0 }
[[slot]]
name = "b"
port = {other}
env = { CUDA_VISIBLE_DEVICES = 1 }
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{{ slot_port }}"]
ready = { http = "http://127.0.0.1:{{ slot_port }}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}/gate-{{ trial }}-{{ run }}", "--print", "speed={{ N }}"]
metrics.speed = 'speed=(\S+)'
"#;

fn study(cgroup: bool) -> Study {
    let spec = SPEC
        .replace("{cgroup}", &cgroup.to_string())
        .replace("{other}", &free_port().to_string());
    Study::new(&spec)
}

fn open_gates(study: &Study, trial: u32) {
    for run in 1..=2 {
        study.open_gate(&format!("gate-{trial}-{run}"));
    }
}

/// A daemon with the trials 2 and 3 at the gates of their second runs.
fn side_by_side(study: &Study) -> Daemon {
    open_gates(study, 1);
    study.open_gate("gate-2-1");
    study.open_gate("gate-3-1");
    let daemon = study.start();
    study.await_gate("gate-2-2");
    study.await_gate("gate-3-2");
    // The runs before them are on record.
    study.wait("two runs", || {
        runs_of(study, 2) == 1 && runs_of(study, 3) == 1
    });
    daemon
}

fn runs_of(study: &Study, trial: u32) -> usize {
    let runs = study.events_of("run-ended").into_iter();
    runs.filter(|run| run["trial"] == trial).count()
}

/// The process of the service of a trial that was started last.
fn server_of(study: &Study, trial: u32) -> i32 {
    let started = study.events_of("step-started").into_iter().rev();
    let mut services = started.filter(|step| step["step"] == "serve" && step["trial"] == trial);
    let pid = services.next().and_then(|step| step["pid"].as_i64());
    i32::try_from(pid.expect("a service")).expect("a pid")
}

/// The process of the runner of a trial that was started last.
fn runner_of(study: &Study, trial: u32) -> i32 {
    let sittings = std::fs::read_dir(study.out("sittings")).expect("sittings");
    let sittings = sittings.flatten().map(|entry| entry.path());
    let name = format!("{trial:05}.");
    let own = sittings.filter(|path| {
        path.file_name()
            .is_some_and(|known| known.to_string_lossy().starts_with(&name))
    });
    let newest = own.max().expect("a sitting");
    let text = std::fs::read_to_string(newest.join("runner.json")).expect("a runner");
    let runner: Json = serde_json::from_str(&text).expect("JSON");
    i32::try_from(runner["pid"].as_i64().expect("a pid")).expect("a pid")
}

/// How the sittings of a trial ended.
fn ends_of(study: &Study, trial: u32) -> Vec<Json> {
    let ended = study.events_of("sitting-ended").into_iter();
    let own = ended.filter(|end| end["trial"] == trial);
    own.map(|end| end["end"].clone()).collect()
}

/// Every trial has both of its runs, each once, and nothing is left.
fn assert_complete(study: &Study) {
    assert_nothing_left(study);
    for trial in 1..=3 {
        // The baseline has one more beside neighbours.
        let expected = if trial == 1 { 3 } else { 2 };
        assert_eq!(runs_of(study, trial), expected, "{}", study.trace());
        let end = ends_of(study, trial).pop();
        assert_eq!(end, Some("complete".into()), "{}", study.trace());
    }
    assert_eq!(study.best()["N"], "3");
}

both_ways!(
    trials_run_side_by_side,
    a_killed_daemon_leaves_neither,
    a_killed_daemon_and_its_runners_leave_neither,
    a_killed_server_is_its_own_trials_affair,
    a_killed_runner_is_its_own_trials_affair,
    a_stop_and_a_pause_are_for_both,
);

fn trials_run_side_by_side(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = study.start();
    // The baseline is measured alone.
    study.await_gate("gate-1-1");
    let status = json(&study, &["status"]);
    assert_eq!(status["running"]["slot"], "a");
    assert_eq!(status["beside"], Json::Array(Vec::new()));
    assert_eq!(status["slots"][1]["idle"], "trial 1 is measured alone");
    open_gates(&study, 1);
    study.await_gate("gate-2-1");
    study.await_gate("gate-3-1");
    let slots: Vec<(u64, String)> = study
        .events_of("sitting-started")
        .iter()
        .map(|sitting| {
            let slot = sitting["slot"].as_str().expect("a slot");
            (sitting["trial"].as_u64().expect("a trial"), slot.to_owned())
        })
        .collect();
    let slot = |trial, slot: &str| (trial, slot.to_owned());
    assert_eq!(
        slots,
        [slot(1, "a"), slot(2, "a"), slot(1, "b"), slot(3, "b")]
    );
    for (trial, gpu) in [(2, "0"), (3, "1")] {
        let server = server_of(&study, trial);
        let env = std::fs::read_to_string(format!("/proc/{server}/environ"));
        let env = env.expect("the environment");
        let wanted = format!("CUDA_VISIBLE_DEVICES={gpu}");
        assert!(env.split('\0').any(|variable| variable == wanted), "{env}");
    }
    let status = json(&study, &["status"]);
    assert_eq!(status["running"]["trial"], 2);
    assert_eq!(status["beside"][0]["trial"], 3);
    assert_eq!(status["beside"][0]["slot"], "b");
    assert_eq!(status["neighbours"]["disturb"], false);
    let text = good(&study, &["status"]);
    assert!(
        text.contains("slot b, trial 3 (N=3): 0 of 2 runs"),
        "{text}"
    );
    // Which is meant must be said.
    let which = refused(&study, &["skip"], 4);
    assert!(which.contains("trials 2 and 3 run: say which"), "{which}");
    let server = server_of(&study, 2);
    let skipped = good(&study, &["skip", "3"]);
    assert!(skipped.contains("trial 3 is being ended"), "{skipped}");
    good(&study, &["wait", "--for", "trial=3", "--timeout", "60s"]);
    assert_eq!(ends_of(&study, 3), ["pruned"]);
    assert!(start_of(server).is_some(), "{}", study.trace());
    let status = json(&study, &["status"]);
    assert_eq!(status["slots"][0]["trial"], 2);
    let idle = &status["slots"][1]["idle"];
    assert_eq!(idle, "coordinate needs the result of trial 2");
    open_gates(&study, 2);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    assert_eq!(ends_of(&study, 2), ["complete"]);
}

fn a_killed_daemon_leaves_neither(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = side_by_side(&study);
    daemon.kill();
    // The runners end their trials by themselves.
    study.await_nothing_alive();
    go_on(&study);
}

fn a_killed_daemon_and_its_runners_leave_neither(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = side_by_side(&study);
    let runners = [2, 3].map(|trial| runner_of(&study, trial));
    let servers = [2, 3].map(|trial| server_of(&study, trial));
    daemon.signal(nix::sys::signal::Signal::SIGSTOP);
    for runner in runners {
        kill(runner);
        study.wait("the runner's end", || start_of(runner).is_none());
    }
    daemon.kill();
    go_on(&study);
    assert_eq!(servers.map(start_of), [None, None]);
}

/// Starts the daemon again, which finds both trials and finishes each.
fn go_on(study: &Study) {
    let ended = ends(study).len();
    let mut daemon = study.start();
    study.await_events("sitting-ended", ended + 2);
    for trial in [2, 3] {
        assert_eq!(ends_of(study, trial), ["interrupted"], "{}", study.trace());
        open_gates(study, trial);
    }
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_complete(study);
}

fn a_killed_server_is_its_own_trials_affair(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = side_by_side(&study);
    let (own, other) = (server_of(&study, 3), server_of(&study, 2));
    kill(own);
    study.wait("the end of trial 3", || !ends_of(&study, 3).is_empty());
    assert_eq!(failures(&study), ["died-in-runs"], "{}", study.trace());
    assert!(start_of(other).is_some(), "{}", study.trace());
    open_gates(&study, 2);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    assert_eq!(ends_of(&study, 2), ["complete"], "{}", study.trace());
    assert_eq!(server_of(&study, 2), other, "it was started once");
}

fn a_killed_runner_is_its_own_trials_affair(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = side_by_side(&study);
    let (own, other) = (server_of(&study, 2), server_of(&study, 3));
    kill(runner_of(&study, 2));
    study.wait("the end of trial 2", || !ends_of(&study, 2).is_empty());
    assert_eq!(failures(&study), ["runner-died"], "{}", study.trace());
    assert!(start_of(own).is_none(), "{}", study.trace());
    assert!(start_of(other).is_some(), "{}", study.trace());
    // It is tried again, beside the other.
    study.wait("another server", || server_of(&study, 2) != own);
    open_gates(&study, 2);
    open_gates(&study, 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_complete(&study);
    assert_eq!(server_of(&study, 3), other, "it was started once");
}

fn a_stop_and_a_pause_are_for_both(cgroup: bool) {
    let study = study(cgroup);
    let mut daemon = side_by_side(&study);
    let ended = ends(&study).len();
    let paused = good(&study, &["pause", "--now"]);
    let expected = "paused; trials 2 and 3 are interrupted, their good runs are kept";
    assert!(paused.contains(expected), "{paused}");
    study.await_events("sitting-ended", ended + 2);
    study.await_nothing_alive();
    let status = json(&study, &["status"]);
    assert_eq!(status["running"], Json::Null);
    assert_eq!(status["slots"][0]["idle"], "the study is paused");
    let started = study.events_of("sitting-started").len();
    good(&study, &["resume"]);
    study.await_events("sitting-started", started + 2);
    let ended = ends(&study).len();
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(ends(&study).len(), ended + 2);
    assert_nothing_left(&study);
    let mut daemon = study.start();
    open_gates(&study, 2);
    open_gates(&study, 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_complete(&study);
}
