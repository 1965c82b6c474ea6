//! Ports that somebody else holds.

use std::net::TcpListener;

use crate::checks::{assert_nothing_left, ends, failures};
use crate::support::{Study, code, said};

const SPEC: &str = r#"
[study]
name = "strangers"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[budget]
trials = 2
[space]
N = [1, 2]
[host]
port_wait = "{port_wait}"
fault_wait = "0s"
cgroup = {cgroup}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--gate", "{dir}/start"]
ready = { http = "http://127.0.0.1:{port}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--print", "m={{ N }}"]
metrics.m = 'm=(\S+)'
"#;

fn study(cgroup: bool, port_wait: &str) -> Study {
    let spec = SPEC.replace("{cgroup}", &cgroup.to_string());
    Study::new(&spec.replace("{port_wait}", port_wait))
}

/// This process plays the stranger.
fn hold(study: &Study) -> TcpListener {
    TcpListener::bind(("127.0.0.1", study.port)).expect("a free port")
}

/// A trial waits for its port, and is not begun before it is free.
fn a_busy_port_is_waited_for(cgroup: bool) {
    let study = study(cgroup, "10m");
    study.open_gate("start");
    let stranger = hold(&study);
    let mut daemon = study.start();
    let log = || std::fs::read_to_string(study.path("daemon.log")).unwrap_or_default();
    let waiting = format!(
        "waiting for port {}, held by process {}",
        study.port,
        std::process::id()
    );
    study.wait("a word about the port", || log().contains(&waiting));
    assert_eq!(study.processes(), [], "nothing is started while it is busy");
    study.wait("the status", || {
        let text = std::fs::read(study.out("tune_status.json")).unwrap_or_default();
        let status: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let said = status["message"].as_str().unwrap_or_default();
        status["phase"] == "port_busy" && status["attempt"] == 1 && said.contains(&waiting)
    });
    assert_eq!(study.events_of("port-busy")[0]["port"], study.port);
    // That we are still here to say so proves that nobody killed us.
    drop(stranger);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(ends(&study), ["complete", "complete"]);
    assert_nothing_left(&study);
}

/// Five faults of the host in a row pause the study. The sampler has learnt
/// nothing, and the same command goes on with the same trial.
fn a_port_that_stays_busy_pauses_the_study(cgroup: bool) {
    let study = study(cgroup, "0s");
    study.open_gate("start");
    let stranger = hold(&study);
    let paused = study.run();
    assert_eq!(code(&paused), 6, "{}", said(&paused));
    let holder = format!("by process {}", std::process::id());
    assert!(said(&paused).contains(&holder), "{}", said(&paused));
    assert_eq!(failures(&study), ["port-taken"; 5]);
    for end in ends(&study) {
        let message = end["failed"]["message"].as_str().expect("a message");
        assert!(message.contains(&holder), "{message}");
    }
    let reason = study.events_of("paused")[0]["reason"]
        .as_str()
        .expect("a reason")
        .to_owned();
    assert!(reason.contains(&holder), "{reason}");
    assert_eq!(study.events_of("trial-planned").len(), 1);
    assert_eq!(study.processes(), [], "nothing was started");
    assert_nothing_left(&study);

    drop(stranger);
    let done = study.run();
    assert_eq!(code(&done), 0, "{}", said(&done));
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
    let expected = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 1)];
    assert_eq!(sittings, expected, "{}", study.trace());
    assert_eq!(ends(&study)[5..], ["complete", "complete"]);
    assert_eq!(study.best()["N"], "2");
    assert_nothing_left(&study);
}

/// The stranger comes while our service is still starting: its answers are not
/// taken for ours, and what it would have spoilt is done again.
fn a_stranger_that_comes_late_is_not_taken_for_ready(cgroup: bool) {
    let study = study(cgroup, "10m");
    let mut daemon = study.start();
    study.await_gate("start");
    let stranger = hold(&study);
    study.await_events("sitting-ended", 1);
    assert_eq!(failures(&study), ["port-taken"], "{}", study.trace());
    let message = ends(&study)[0]["failed"]["message"].to_string();
    let holder = format!("process {}", std::process::id());
    assert!(message.contains(&holder), "{message}");
    assert_eq!(study.events_of("services-ready").len(), 0);
    study.open_gate("start");
    drop(stranger);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(ends(&study)[1..], ["complete", "complete"]);
    assert_nothing_left(&study);
}

/// A service that ends as soon as it listens died; nobody took its port.
fn a_service_that_dies_is_not_blamed_on_a_stranger(cgroup: bool) {
    let spec = SPEC
        .replace("{cgroup}", &cgroup.to_string())
        .replace("{port_wait}", "10m");
    let study = Study::new(&spec.replace(r#""--gate", "{dir}/start""#, r#""--die", "0""#));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let kinds = failures(&study);
    assert_eq!(kinds.len(), 2, "{}", study.trace());
    assert!(
        kinds.iter().all(|kind| kind.starts_with("died")),
        "{kinds:?}"
    );
    assert_nothing_left(&study);
}

both_ways! {
    a_busy_port_is_waited_for,
    a_port_that_stays_busy_pauses_the_study,
    a_stranger_that_comes_late_is_not_taken_for_ready,
    a_service_that_dies_is_not_blamed_on_a_stranger,
}
