//! SIGKILL, as a power cut or the kernel's out-of-memory killer would have it,
//! in every phase of a trial.

use std::process::Stdio;

use autotune::exec::leftovers;
use nix::sys::signal::Signal;

use crate::checks::{
    assert_complete, assert_no_cgroup_left, assert_nothing_left, ends, failures, gated, go_on,
    journalled, kill_both, on_disk, open_all, performed, signal,
};
use crate::support::{Study, kill, start_of};

/// Where a trial is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The service runs and does not listen yet.
    ServiceStarts,
    /// It listens and answers 503.
    AwaitsReadiness,
    Task,
    Run,
    /// A run has just been journalled, and the next one begins.
    BetweenRuns,
    /// All runs are done, and the service does not heed SIGTERM.
    Stopping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Daemon,
    Runner,
    Both,
}

impl Phase {
    /// The gate that holds a trial in this phase.
    const fn gate(self) -> &'static str {
        match self {
            Self::ServiceStarts => "start",
            Self::AwaitsReadiness => "ready",
            Self::Task => "train",
            Self::Run => "run-1",
            Self::BetweenRuns => "run-2",
            Self::Stopping => "stop",
        }
    }

    /// How many runs are on record in this phase.
    const fn runs(self) -> usize {
        match self {
            Self::ServiceStarts | Self::AwaitsReadiness | Self::Task => 0,
            Self::Run => 1,
            Self::BetweenRuns => 2,
            Self::Stopping => 3,
        }
    }

    /// Waits until the first trial is in this phase.
    fn wait(self, study: &Study) {
        study.await_events("run-ended", self.runs());
        if self != Self::BetweenRuns {
            study.await_gate(self.gate());
        }
    }
}

fn crash(phase: Phase, victim: Victim, cgroup: bool) {
    let study = gated(cgroup, phase.gate());
    let mut daemon = study.start();
    phase.wait(&study);
    let kept = on_disk(&study);
    if victim == Victim::Runner {
        kill(study.runner_pid());
        study.await_events("sitting-ended", 1);
        // It goes on by itself.
        open_all(&study);
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        let expected: &[&str] = match phase {
            // All that was to be measured was: there is nothing to repeat.
            Phase::Stopping => &[],
            _ => &["runner-died"],
        };
        assert_eq!(failures(&study), expected, "{}", study.trace());
    } else {
        if victim == Victim::Both {
            kill_both(&study, &mut daemon);
        } else {
            let runner = study.runner_pid();
            daemon.kill();
            // The runner ends its trial by itself, without a restart.
            study.open_gate("stop");
            study.wait("the runner's end", || start_of(runner).is_none());
            assert_eq!(study.alive(), [0; 0], "{}", study.trace());
            assert_no_cgroup_left(&study);
        }
        assert_eq!(go_on(&study), 0, "{}", study.trace());
        let stopping = phase == Phase::Stopping;
        let expected = if stopping { "complete" } else { "interrupted" };
        assert_eq!(ends(&study)[0], expected, "{}", study.trace());
    }
    assert_complete(&study);
    let journal = journalled(&study);
    assert_eq!(kept.iter().find(|run| !journal.contains_key(run)), None);
    assert!(kept.len() >= phase.runs(), "{kept:?}");
}

macro_rules! crashes {
    ($($name:ident $phase:ident,)*) => {
        $(mod $name {
            use super::{Phase::$phase, Victim, crash};
            #[test] fn daemon_with_cgroup() { crash($phase, Victim::Daemon, true); }
            #[test] fn daemon_without_cgroup() { crash($phase, Victim::Daemon, false); }
            #[test] fn runner_with_cgroup() { crash($phase, Victim::Runner, true); }
            #[test] fn runner_without_cgroup() { crash($phase, Victim::Runner, false); }
            #[test] fn both_with_cgroup() { crash($phase, Victim::Both, true); }
            #[test] fn both_without_cgroup() { crash($phase, Victim::Both, false); }
        })*
    };
}

crashes! {
    while_the_service_starts ServiceStarts,
    while_readiness_is_awaited AwaitsReadiness,
    in_a_task Task,
    in_a_run Run,
    between_runs BetweenRuns,
    while_stopping Stopping,
}

/// A run that ended and was not recorded is repeated; one that was recorded is
/// not, whoever recorded it.
fn a_run_that_nobody_recorded_is_repeated(cgroup: bool) {
    let study = gated(cgroup, "run-2");
    let mut daemon = study.start();
    study.await_gate("run-2");
    study.await_events("run-ended", 2);
    let runner = study.runner_pid();
    // The run ends under a runner that cannot see it.
    signal(runner, Signal::SIGSTOP);
    study.open_gate("run-2");
    study.wait("the run's own line", || {
        std::fs::read_to_string(study.path("runs")).is_ok_and(|text| text.contains("1 eval 2"))
    });
    kill_both(&study, &mut daemon);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let journal = journalled(&study);
    assert_eq!(journal.values().filter(|count| **count != 1).count(), 0);
    assert_eq!(journal.len(), 6, "{}", study.trace());
    let performed = performed(&study);
    assert_eq!(performed[&(1, "eval".to_owned(), 2)], 2);
    assert_eq!(performed.values().sum::<usize>(), 7);
}

/// A daemon that died with facts in its runner's reports only.
fn reports_that_the_daemon_never_heard_are_taken_over(cgroup: bool) {
    let study = gated(cgroup, "run-1");
    let mut daemon = study.start();
    study.await_gate("run-1");
    study.await_events("run-ended", 1);
    daemon.signal(Signal::SIGSTOP);
    study.open_gate("run-1");
    // The runner goes on alone to the end of its trial.
    let result = study.out("sittings").join("00001.1/result.json");
    study.wait("the runner's result", || result.exists());
    assert_eq!(
        journalled(&study).len(),
        1,
        "only the task is in the journal"
    );
    daemon.kill();
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_eq!(ends(&study), ["complete", "complete"]);
    assert_complete(&study);
}

/// The time until the next start is nobody's running time: a budget of wall
/// time does not pay for it.
fn the_time_after_a_crash_is_not_charged(cgroup: bool) {
    let study = gated(cgroup, "run-2");
    let mut daemon = study.start();
    study.await_gate("run-2");
    study.await_events("run-ended", 2);
    let runner = study.runner_pid();
    daemon.kill();
    study.wait("the runner's end", || start_of(runner).is_none());
    let all_dead = autotune::base::clock::now().as_millis();
    study.wait("a later time", || {
        autotune::base::clock::now().as_millis() > all_dead + 20
    });
    open_all(&study);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let text = std::fs::read_to_string(study.out("journal.jsonl")).expect("the journal");
    let ended = text
        .lines()
        .find(|line| line.contains("sitting-ended"))
        .expect("the end");
    let ended: serde_json::Value = serde_json::from_str(ended).expect("JSON");
    let at = ended["at"].as_i64().expect("a time");
    assert!(at <= all_dead, "{at} is after {all_dead}");
}

both_ways! {
    a_run_that_nobody_recorded_is_repeated,
    reports_that_the_daemon_never_heard_are_taken_over,
    the_time_after_a_crash_is_not_charged,
    a_sitting_that_the_journal_has_lost_is_ended,
}

/// Two trials of three runs. The first run of the first trial is bad until
/// `mended` is there; the second trial waits at `second`.
const WITH_A_BAD_RUN: &str = r#"
[study]
name = "bad"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[search]
racing = false
[space]
N = [1, 2]
[host]
cgroup = false
[[step]]
name = "eval"
kind = "measure"
runs = 3
command = ["sh", "-c", "[ {{ N }}-{{ run }} != 1-1 ] || [ -e mended ] || exit 1; exec {child} run --gate {{ N }} --print speed={{ N }}"]
metrics.speed = 'speed=(\S+)'
"#;

/// No good run is repeated, whatever came between; a bad one is: at the next
/// start, where its trial has good ones.
#[test]
fn of_a_trial_with_a_bad_run_that_alone_is_repeated() {
    let study = Study::new(WITH_A_BAD_RUN);
    study.open_gate("1");
    let mut daemon = study.start();
    study.await_events("run-ended", 3);
    study.await_events("sitting-started", 2);
    study.await_events("step-started", 4);
    kill_both(&study, &mut daemon);
    study.open_gate("mended");
    study.open_gate("2");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let runs = study.events_of("run-ended");
    let of_first = runs.iter().filter(|run| run["trial"] == 1).map(|run| {
        let number = |name: &str| run[name].as_u64().expect("a number");
        (number("sitting"), number("run"), run["fault"].is_null())
    });
    let expected = [(1, 1, false), (1, 2, true), (1, 3, true), (2, 1, true)];
    assert_eq!(of_first.collect::<Vec<_>>(), expected, "{}", study.trace());
    assert_eq!(runs.len(), 7, "{}", study.trace());
    assert_eq!(ends(&study)[2..], ["complete", "complete"]);
}

/// A daemon dies just after it has started a runner, and the next one is there
/// before the runner has said who it is: the runner then begins nothing.
#[test]
fn a_runner_that_comes_too_late_begins_nothing() {
    let study = gated(false, "start");
    let mut daemon = study.start();
    study.await_gate("start");
    let sitting = study.out("sittings/00001.1");
    let order = std::fs::read(sitting.join("trial.json")).expect("the order");
    let runner = study.runner_pid();
    daemon.kill();
    study.wait("the runner's end", || start_of(runner).is_none());
    let known = study.processes().len();

    let begin = |folder: &std::path::Path| {
        std::fs::create_dir(folder).expect("a new folder");
        std::fs::write(folder.join("trial.json"), &order).expect("the order");
        let mut command = study.command(&["trial", &folder.display().to_string()]);
        command.stdin(Stdio::piped());
        command
    };
    // That the order is good and would be carried out: this one comes in time.
    let mut early = begin(&study.path("early")).spawn().expect("a runner");
    study.wait("its service", || study.processes().len() > known);
    drop(early.stdin.take());
    assert!(early.wait().expect("its end").success());
    assert_eq!(study.alive(), [0; 0]);
    let known = study.processes().len();

    let folder = study.path("late");
    let mut late = begin(&folder);
    let token = leftovers::token_of(&folder).expect("a token");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let taken = leftovers::take_over(&folder, &token, std::future::pending());
    let leftover = runtime
        .expect("a runtime")
        .block_on(taken)
        .expect("taken over");
    assert!(leftover.result.is_none() && leftover.reports.is_empty());
    let mut late = late.spawn().expect("a runner");
    assert!(!late.wait().expect("its end").success());
    assert_eq!(study.processes().len(), known, "it has begun something");
}

/// The journal has lost the very beginning of a sitting whose processes are
/// alive: they are found by the sitting's folder.
fn a_sitting_that_the_journal_has_lost_is_ended(cgroup: bool) {
    let study = gated(cgroup, "stop");
    std::fs::remove_file(study.path("run-1")).expect("an open gate");
    let mut daemon = study.start();
    study.await_gate("run-1");
    let runner = study.runner_pid();
    daemon.kill();
    // Not even the runner is dead: it waits for its service, for ten minutes.
    study.await_gate("stop");
    let path = study.out("journal.jsonl");
    let text = std::fs::read_to_string(&path).expect("the journal");
    let lost = text
        .lines()
        .take_while(|line| !line.contains("sitting-started"));
    let kept: usize = lost.map(|line| line.len() + 1).sum();
    std::fs::write(&path, &text[..kept]).expect("the journal");
    let service = study.processes()[0].0;
    assert!(study.alive().contains(&service));
    let mut daemon = study.start();
    // Two signals end the patience with it.
    let log = || std::fs::read_to_string(study.path("daemon.log")).unwrap_or_default();
    study.wait("the second start", || {
        log().matches("study gated").count() == 2
    });
    daemon.signal(Signal::SIGTERM);
    study.wait("the first signal's echo", || log().contains("once more"));
    daemon.signal_again(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.alive(), [0; 0], "{}", study.trace());
    assert_eq!(start_of(runner), None);
    open_all(&study);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    assert_eq!(ends(&study), ["complete", "complete"]);
}

/// A daemon dies after it has made a cgroup and before it has written down
/// where: the cgroup is found by its token.
#[test]
fn a_cgroup_that_nobody_wrote_down_is_removed() {
    let token = autotune::base::random::token();
    // Where there are none, none can be left.
    let Some(cgroup) = autotune::exec::cgroup::Cgroup::create(&token) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let stuck = runtime
        .expect("a runtime")
        .block_on(leftovers::clear(&token, None));
    assert_eq!(stuck, [0; 0]);
    assert!(!cgroup.path().exists());
}
