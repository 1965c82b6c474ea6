//! Trials side by side, as a user meets them: slots that come and go, training
//! that goes on in another slot, what is kept of it, and a supervisor.

mod support;

use std::fs;

use serde_json::Value as Json;
use support::control::{good, json};
use support::said::unfolded;
use support::{Daemon, Study, free_port, kill};

/// Two slots, and trials of one run, each of which waits at a gate of its own.
const MEASURED: &str = r#"
[study]
name = "measured"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[search]
sampler = "grid"
racing = false
recheck = 0
[confirm]
runs = 0
[space]
N = [1, 2, 3, 4, 5, 6]
[host]
fault_wait = "0s"
port_wait = "0s"
[[slot]]
name = "a"
port = {port}
[[slot]]
name = "b"
port = {other}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{{ slot_port }}"]
ready = { http = "http://127.0.0.1:{{ slot_port }}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--gate", "{dir}/gate-{{ trial }}", "--print", "speed={{ N }}"]
metrics.speed = 'speed=(\S+)'
"#;

fn measured() -> (Study, u16) {
    let other = free_port();
    let study = Study::new(&MEASURED.replace("{other}", &other.to_string()));
    study.open_gate("gate-1");
    (study, other)
}

fn stays(study: &Study) -> Daemon {
    study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"])
}

fn open_gates(study: &Study, trials: impl IntoIterator<Item = u32>) {
    for trial in trials {
        study.open_gate(&format!("gate-{trial}"));
    }
}

/// The slots in which the sittings of a trial began, in order.
fn slots_of(study: &Study, trial: u32) -> Vec<String> {
    let started = study.events_of("sitting-started").into_iter();
    let own = started.filter(|sitting| sitting["trial"] == trial);
    own.map(|sitting| sitting["slot"].as_str().expect("a slot").to_owned())
        .collect()
}

/// What a slot is idle for, once that has these words.
fn await_idle(study: &Study, slot: usize, words: &str) -> String {
    let idle = || json(study, &["status"])["slots"][slot]["idle"].clone();
    let has = |idle: &Json| idle.as_str().is_some_and(|idle| idle.contains(words));
    study.wait(words, || has(&idle()));
    idle().as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_slot_whose_port_is_held_goes_out_of_use_and_comes_back() {
    let (study, other) = measured();
    let stranger = std::net::TcpListener::bind(("127.0.0.1", other)).expect("a free port");
    let mut daemon = stays(&study);
    // The other slot works meanwhile.
    study.await_gate("gate-2");
    let idle = await_idle(&study, 1, "out of use");
    let until = "out of use until autotunectl resume: 5 times in a row";
    assert!(idle.starts_with(until), "{idle}");
    assert!(idle.contains(&other.to_string()), "{idle}");
    let status = unfolded(&good(&study, &["status"]));
    assert!(status.contains(&format!("slot b: {until}")), "{status}");
    let told = unfolded(&study.log());
    assert!(told.contains(&format!("slot b is {until}")), "{told}");
    open_gates(&study, [2]);
    // What the lost slot could not measure is measured in the other.
    study.await_gate("gate-3");
    assert_eq!(slots_of(&study, 3).last().map(String::as_str), Some("a"));
    drop(stranger);
    good(&study, &["resume"]);
    study.await_gate("gate-4");
    assert_eq!(slots_of(&study, 4), ["b"], "{}", study.trace());
    open_gates(&study, 3..=6);
    study.await_events("done", 1);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    study.await_nothing_alive();
}

#[test]
fn a_reload_adds_and_removes_slots_while_all_work() {
    let (study, _) = measured();
    let spec = fs::read_to_string(study.path("study.toml")).expect("the spec");
    let mut daemon = stays(&study);
    study.await_gate("gate-2");
    study.await_gate("gate-3");
    let third = format!(
        "[[slot]]\nname = \"c\"\nport = {}\n[[step]]\nname = \"serve\"",
        free_port()
    );
    let wide = spec.replacen("[[step]]\nname = \"serve\"", &third, 1);
    fs::write(study.path("study.toml"), &wide).expect("written");
    good(&study, &["reload"]);
    study.await_gate("gate-4");
    assert_eq!(slots_of(&study, 4), ["c"]);
    // Without b and c their trials are finished, and nothing begins beside them.
    let (head, tail) = wide
        .split_once("[[slot]]\nname = \"b\"")
        .expect("two slots");
    let (_, tail) = tail.split_once("[[step]]").expect("a step");
    fs::write(study.path("study.toml"), format!("{head}[[step]]{tail}")).expect("written");
    good(&study, &["reload"]);
    open_gates(&study, [2]);
    study.await_events("sitting-ended", 3);
    let status = json(&study, &["status"]);
    assert_eq!(status["slots"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        status["slots"][0]["idle"], "trial 3 is to end first, in a slot that the spec has no more",
        "{status}"
    );
    assert_eq!(
        study.events_of("sitting-started").len(),
        5,
        "{}",
        study.trace()
    );
    open_gates(&study, 3..=6);
    study.await_events("done", 1);
    assert_eq!(
        (slots_of(&study, 5), slots_of(&study, 6)),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_supervisor_goes_on_with_both() {
    let (study, _) = measured();
    let mut supervisor = study.start_verb(&["supervise", "study.toml", "--output-dir", "out"]);
    study.await_gate("gate-2");
    study.await_gate("gate-3");
    let pid = || {
        let log = study.log();
        let mut said = log.split("started the daemon, process ").skip(1);
        let pid = said.next().and_then(|rest| rest.lines().next());
        pid.and_then(|pid| pid.parse().ok())
    };
    study.wait("the daemon's number", || pid().is_some());
    kill(pid().expect("a number"));
    study.await_events("opened", 2);
    open_gates(&study, 2..=6);
    assert_eq!(supervisor.end(), 0, "{}", study.trace());
    study.await_nothing_alive();
    let runs = study.events_of("run-ended");
    let of = |trial: u32| runs.iter().filter(|run| run["trial"] == trial).count();
    // The first is measured beside neighbours, too.
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(of),
        [2, 1, 1, 1, 1, 1],
        "{}",
        study.trace()
    );
    let told = study.autotuned(&["report", "out", "--lang", "en", "-o", "-"]);
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(
        told.contains("**side by side, in the slots**: a, b"),
        "{told}"
    );
    // Shares of the time of both, so that they are none of more than all.
    assert!(told.contains("Time, of 2 slots together"), "{told}");
}

/// Trials that train side by side and leave a model each; the value is the
/// score. Each waits at a gate of its own once it has a checkpoint.
const TRAINED: &str = r#"
[study]
name = "trained"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[search]
sampler = "grid"
racing = false
recheck = 0
[confirm]
runs = 0
[space]
N = [1, 2, 3, 4]
[retention]
artifacts = 1
[[slot]]
name = "a"
[[slot]]
name = "b"
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''
echo "$N $*" >> {dir}/calls
cd {{ trial_dir }}; mkdir -p model checkpoint-1; echo $N > model/weights; echo > checkpoint-1/state
{child} run --gate {dir}/gate-$N
echo score=$N''', "train"]
artifacts = ["{{ trial_dir }}/model/**"]
resume = { checkpoint = "{{ trial_dir }}/checkpoint-*", complete = "state", arguments = ["--from", "{{ checkpoint }}"] }
metrics.score = 'score=(\S+)'
"#;

/// The trial whose model is kept as the best.
fn best(study: &Study) -> Json {
    let about = fs::read(study.out("artifacts/best/autotune.json")).expect("a copy");
    let about: Json = serde_json::from_slice(&about).expect("JSON");
    about["trial"].clone()
}

#[test]
fn training_goes_on_in_another_slot_and_the_best_is_kept_beside_what_runs() {
    let study = Study::new(TRAINED);
    let mut daemon = study.start();
    study.await_gate("gate-1");
    study.await_gate("gate-2");
    assert_eq!(
        (slots_of(&study, 1), slots_of(&study, 2)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    daemon.kill();
    study.await_nothing_alive();
    // The slots have changed places: each trial goes on in the other.
    let spec = fs::read_to_string(study.path("study.toml")).expect("the spec");
    let swapped = spec
        .replace("name = \"a\"", "name = \"?\"")
        .replace("name = \"b\"", "name = \"a\"")
        .replace("name = \"?\"", "name = \"b\"");
    fs::write(study.path("study.toml"), swapped).expect("written");
    fs::remove_file(study.path("gate-1.waits")).expect("it waited");
    fs::remove_file(study.path("gate-2.waits")).expect("it waited");
    let mut daemon = study.start();
    study.await_gate("gate-1");
    study.await_gate("gate-2");
    assert_eq!(slots_of(&study, 1), ["a", "b"]);
    assert_eq!(slots_of(&study, 2), ["b", "a"]);
    let calls = fs::read_to_string(study.path("calls")).expect("calls");
    for trial in [1, 2] {
        let from = study.out(&format!("trials/trial_{trial:05}/checkpoint-1"));
        let from = format!("{trial} --from {}\n", from.display());
        assert!(calls.contains(&from), "{calls}");
    }
    let weights = |trial: u32| study.out(&format!("trials/trial_{trial:05}/model/weights"));
    // The first is over, and the best: it is kept while the second runs.
    study.open_gate("gate-1");
    study.await_events("artifacts-kept", 1);
    study.await_gate("gate-3");
    assert!(weights(2).exists() && weights(3).exists());
    // A better one takes its place. Then what the first has made goes, and not
    // what those make that run.
    study.open_gate("gate-3");
    study.await_events("artifacts-kept", 2);
    study.await_events("artifacts-deleted", 1);
    study.await_gate("gate-4");
    assert!(!weights(1).exists());
    assert!(weights(2).exists() && weights(4).exists());
    assert_eq!(best(&study), 3);
    study.open_gate("gate-2");
    study.open_gate("gate-4");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    study.await_nothing_alive();
    assert_eq!(best(&study), 4);
    assert_eq!(study.best()["N"], "4");
}

#[test]
fn the_starting_values_are_no_new_best_where_a_neighbour_is_at_its_end_before() {
    // The neighbour's value is the worse of the two.
    let study = Study::new(&TRAINED.replace("N = [1, 2, 3, 4]", "N = [2, 1]"));
    let mut daemon = study.start();
    study.await_gate("gate-2");
    study.open_gate("gate-1");
    study.await_events("run-ended", 1);
    study.open_gate("gate-2");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let ended = study.events_of("run-ended");
    assert_eq!(ended[0]["trial"], 2, "{}", study.trace());
    let log = study.log();
    let mut rows = log.lines().filter(|line| line.starts_with("1  "));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("the row of trial 1: {log}"));
    assert!(row.contains("baseline"), "{row}");
    assert!(!row.contains(['★', '%']), "{row}");
}
