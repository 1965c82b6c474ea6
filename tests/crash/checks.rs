//! The study that most tests run, and what must hold when it is over.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value as Json;

use crate::support::{Daemon, Study, kill, start_of};

/// Two trials of a service, a task and two runs. Every process has a gate:
/// `start`, `ready`, `train`, `run-1`, `run-2`, and `stop`, behind which the
/// service does not heed SIGTERM. `runs` gets a line at the end of each run.
const GATED: &str = r#"
[study]
name = "gated"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[budget]
trials = 2
[space]
N = [1, 2]
[host]
fault_wait = "0s"
cgroup = {cgroup}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--gate", "{dir}/start", "--ready-gate", "{dir}/ready", "--term-gate", "{dir}/stop"]
ready = { http = "http://127.0.0.1:{port}/" }
stop_grace = "10m"
[[step]]
name = "train"
kind = "task"
command = ["{child}", "run", "--gate", "{dir}/train", "--done", "{dir}/runs", "--line", "{{ trial }} train {{ run }}"]
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}/run-{{ run }}", "--print", "speed={{ N }}", "--done", "{dir}/runs", "--line", "{{ trial }} eval {{ run }}"]
metrics.speed = 'speed=(\S+)'
"#;

/// The gates of the gated study.
pub const GATES: [&str; 6] = ["start", "ready", "train", "run-1", "run-2", "stop"];

/// What identifies a run: trial, step and number.
pub type RunKey = (u64, String, u64);

/// The gated study, with all gates open but `closed`.
pub fn gated(cgroup: bool, closed: &str) -> Study {
    let study = Study::new(&GATED.replace("{cgroup}", &cgroup.to_string()));
    for gate in GATES.into_iter().filter(|gate| *gate != closed) {
        study.open_gate(gate);
    }
    study
}

/// Opens every gate.
pub fn open_all(study: &Study) {
    GATES.into_iter().for_each(|gate| study.open_gate(gate));
}

/// Sends a signal to a process that is alive.
pub fn signal(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("it is alive");
}

/// Kills the daemon and its runner at one moment: neither comes to do anything
/// about the end of the other.
pub fn kill_both(study: &Study, daemon: &mut Daemon) {
    let runner = study.runner_pid();
    // Not the runner: the kernel wakes a stopped process whose parent ends.
    daemon.signal(Signal::SIGSTOP);
    kill(runner);
    study.wait("the runner's end", || start_of(runner).is_none());
    daemon.kill();
}

/// Starts the daemon again after a crash, and opens every gate once nothing of
/// the past is alive: what is left of it must not slip through.
pub fn go_on(study: &Study) -> i32 {
    let ended = ends(study).len();
    let mut daemon = study.start();
    study.await_events("sitting-ended", ended + 1);
    open_all(study);
    daemon.end()
}

/// How often each run is in the journal as a good one.
pub fn journalled(study: &Study) -> BTreeMap<RunKey, usize> {
    let mut runs = BTreeMap::new();
    for run in study.events_of("run-ended") {
        assert!(run["fault"].is_null(), "a bad run: {run}");
        let number = |name: &str| run[name].as_u64().expect("a number");
        let step = run["step"].as_str().expect("a step").to_owned();
        *runs
            .entry((number("trial"), step, number("run")))
            .or_default() += 1;
    }
    runs
}

/// Every run that is on disk: in the journal, or in the reports of a runner.
pub fn on_disk(study: &Study) -> Vec<RunKey> {
    let mut runs: Vec<RunKey> = journalled(study).into_keys().collect();
    for folder in entries(&study.out("sittings")) {
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let trial = name
            .split('.')
            .next()
            .expect("a number")
            .parse()
            .expect("a number");
        let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
        for line in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Json>(line).ok())
        {
            let run = &line["report"]["run-ended"];
            if let (Some(step), Some(number)) = (run["step"].as_str(), run["number"].as_u64()) {
                runs.push((trial, step.to_owned(), number));
            }
        }
    }
    runs
}

/// The runs that came to their end, by the evaluator's own account.
pub fn performed(study: &Study) -> BTreeMap<RunKey, usize> {
    let mut runs = BTreeMap::new();
    let text = std::fs::read_to_string(study.path("runs")).unwrap_or_default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().expect("a number");
        *runs
            .entry((number(0), words[1].to_owned(), number(2)))
            .or_default() += 1;
    }
    runs
}

/// Nothing of the study is left: no process, no folder of a sitting, no
/// cgroup. To be called when no daemon runs; it does not wait.
pub fn assert_nothing_left(study: &Study) {
    assert_eq!(study.alive(), [0; 0], "still alive\n{}", study.trace());
    let folders = entries(&study.out("sittings"));
    assert!(folders.is_empty(), "{folders:?}\n{}", study.trace());
    assert_no_cgroup_left(study);
}

/// No cgroup of a sitting is left, not even an empty one.
pub fn assert_no_cgroup_left(study: &Study) {
    let sittings = study.events_of("sitting-started").into_iter();
    let names: HashSet<String> = sittings
        .map(|sitting| format!("autotune-{}", sitting["token"].as_str().expect("a token")))
        .collect();
    let left = cgroups_named(&names);
    assert!(left.is_empty(), "{left:?}\n{}", study.trace());
}

/// The gated study is complete: each run is in the journal once and good, was
/// performed once, and nothing is left.
pub fn assert_complete(study: &Study) {
    assert_nothing_left(study);
    let expected: BTreeMap<RunKey, usize> = [1, 2]
        .into_iter()
        .flat_map(|trial| [(trial, "train", 1), (trial, "eval", 1), (trial, "eval", 2)])
        .map(|(trial, step, number)| ((trial, step.to_owned(), number), 1))
        .collect();
    assert_eq!(journalled(study), expected, "{}", study.trace());
    assert_eq!(performed(study), expected, "{}", study.trace());
    let planned: Vec<u64> = study
        .events_of("trial-planned")
        .iter()
        .filter_map(|trial| trial["trial"].as_u64())
        .collect();
    assert_eq!(planned, [1, 2]);
    let complete: Vec<Json> = ends(study)
        .into_iter()
        .filter(|end| end == "complete")
        .collect();
    assert_eq!(complete.len(), 2, "{}", study.trace());
    assert_eq!(study.best()["N"], "2");
}

/// How the sittings ended so far, in order.
pub fn ends(study: &Study) -> Vec<Json> {
    study
        .events_of("sitting-ended")
        .into_iter()
        .map(|sitting| sitting["end"].clone())
        .collect()
}

/// The kinds of the failures among them.
pub fn failures(study: &Study) -> Vec<String> {
    let kinds = ends(study).into_iter();
    kinds
        .filter_map(|end| Some(end["failed"]["kind"].as_str()?.to_owned()))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The cgroups of these names, wherever cgroups are mounted.
fn cgroups_named(names: &HashSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut stack = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = stack.pop() {
        for path in entries(&folder) {
            let is_folder = path.symlink_metadata().is_ok_and(|data| data.is_dir());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if names.contains(&*name) {
                found.push(path);
            } else if is_folder {
                stack.push(path);
            }
        }
    }
    found
}
