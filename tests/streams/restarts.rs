//! What follows and waits outlives a restart of the daemon.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::Study;
use super::support::control::{client, ctl, good};
use super::support::{code, said};
use super::{Follower, GATED, connections, log, open_gates};

fn started(study: &Study) -> super::support::Daemon {
    let daemon = study.start();
    study.await_events("step-started", 1);
    study.wait("the socket", || code(&ctl(study, &["ping"])) == 0);
    // The connections of those who asked have to be gone before any are counted.
    study.wait("quiet", || connections(daemon.pid()) == 0);
    daemon
}

#[test]
fn following_and_waiting_outlive_a_kill() {
    let study = Study::new(GATED);
    let mut daemon = started(&study);
    study.await_gate("gate-1");
    let start =
        |name: &str, arguments: &[&str]| Follower::start(&study, name, client(&study, arguments));
    // Who waits shows nothing: it is there first, and has met the daemon by the
    // time that the others have shown something.
    let mut done = start("done", &["wait", "--for", "done", "--timeout", "60s"]);
    let mut best = start("best", &["wait", "--for", "best"]);
    study.wait("two connections", || connections(daemon.pid()) >= 2);
    let mut events = start("events", &["events", "-f", "-n", "all", "--json"]);
    let mut logs = start("logs", &["logs", "1", "-f"]);
    study.wait("four connections", || connections(daemon.pid()) >= 4);
    study.wait("the log", || logs.out().contains("begun"));
    study.wait("the events", || !events.out().is_empty());
    daemon.kill();
    for follower in [&events, &logs, &done, &best] {
        study.wait("a word", || follower.err().contains("the daemon has gone"));
    }
    let mut daemon = study.start();
    open_gates(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(logs.end(&study), 0, "{}", logs.err());
    assert_eq!(done.end(&study), 0, "{}", done.err());
    assert_eq!(best.end(&study), 0, "{}", best.err());
    // Twice it went, and each time it is said once.
    study.wait("a word", || events.err().matches("has gone").count() == 2);
    assert_eq!(events.err().matches("is back").count(), 1);
    kill(Pid::from_raw(events.child.id() as i32), Signal::SIGTERM).expect("sent");
    assert_ne!(events.end(&study), 0);

    let out = events.out();
    let numbers: Vec<u64> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| line["seq"].as_u64().expect("a number"))
        .collect();
    let all: Vec<u64> = (1..=study.events().len() as u64).collect();
    assert_eq!(numbers, all, "none is lost, none is there twice");
    // The log of the first sitting, then that of the second.
    let expected = [log(&study, 1), log(&study, 2)].concat();
    assert_eq!(logs.out().as_bytes(), expected, "{}", study.trace());
    assert!(logs.err().contains("trial 1 is gone on with: sitting 2"));
}

#[test]
fn another_study_behind_the_socket_is_noticed() {
    let study = Study::new(GATED);
    let mut daemon = started(&study);
    let mut events = Follower::start(&study, "events", client(&study, &["events", "-f"]));
    study.wait("an event", || !events.out().is_empty());
    daemon.kill();
    study.await_nothing_alive();
    let other = Study::new(&GATED.replace("streamed", "another"));
    let runtime = study.path("runtime").display().to_string();
    let run = ["run", "study.toml", "--output-dir", "out"];
    let _daemon = other.start_with(&run, &[("XDG_RUNTIME_DIR", &runtime)]);
    assert_eq!(events.end(&study), 1, "{}", events.err());
    let said = events.err();
    assert!(
        said.contains("another study is behind this socket now"),
        "{said}"
    );
}

#[test]
fn an_end_is_told_to_those_who_do_not_wait() {
    let study = Study::new(GATED);
    let mut daemon = started(&study);
    let mut logs = Follower::start(&study, "logs", client(&study, &["logs", "1", "-f"]));
    let mut paused = Follower::start(
        &study,
        "paused",
        client(&study, &["wait", "--for", "paused", "--timeout", "10s"]),
    );
    study.wait("connections", || connections(daemon.pid()) >= 2);
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    assert_eq!(paused.end(&study), 7, "{}", paused.err());
    study.wait("a word", || logs.err().contains("the daemon has gone"));
    // Nobody was there from the beginning: that is not waited for.
    assert_eq!(code(&ctl(&study, &["events", "-f"])), 3);
    logs.child.kill().expect("killed");
}

#[test]
fn a_daemon_that_clears_up_says_so() {
    let study = Study::new(&GATED.replace(
        "[[step]]",
        "[[step]]\nname = \"serve\"\nkind = \"service\"\n\
         command = [\"{child}\", \"serve\", \"--port\", \"{port}\", \"--ignore-term\"]\n\
         ready = { http = \"http://127.0.0.1:{port}/\" }\nstop_grace = \"4s\"\n[[step]]",
    ));
    let mut daemon = study.start();
    study.await_gate("gate-1");
    daemon.kill();
    // Its runner is still ending the trial: the server takes its time.
    let mut daemon = study.start();
    let first = std::cell::RefCell::new(None);
    study.wait("an answer", || {
        let pong = ctl(&study, &["ping"]);
        let answered = code(&pong) != 3;
        first.replace(answered.then_some(pong));
        answered
    });
    let first = first.take().expect("an answer");
    assert_eq!(code(&first), 0, "{}", said(&first));
    let word = "is starting and clears up after trial 1";
    assert!(said(&first).contains(word), "{}", said(&first));
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    study.await_nothing_alive();
}
