//! When a server counts as ready, and what its death means: faults 5 to 7.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};

use crate::support::Study;
use crate::support::control::{good, json};

/// A study of one server and one evaluator that always succeeds. The server is
/// a shell script, which may ask for `$N`.
fn served(script: &str, ready: &str, values: &str) -> Study {
    Study::new(&format!(
        r#"
        [study]
        name = "served"
        pass_env = ["PIDS"]
        [objective]
        maximize = "score"
        [host]
        port_wait = "50ms"
        fault_wait = "1ms"
        cgroup = true
        [space]
        N = [{values}]
        [[step]]
        name = "serve"
        kind = "service"
        command = ["sh", "-c", '''{script}''']
        ready = {{ {ready} }}
        stop_grace = "100ms"
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 1
        command = ["{{child}}", "run", "--append", "{{dir}}runs", "--print", "score={{{{ N }}}}"]
        metrics.score = 'score=(\S+)'
        "#
    ))
}

const HTTP: &str = r#"http = "http://127.0.0.1:{port}/""#;

fn runs(study: &Study) -> usize {
    std::fs::read_to_string(study.path("runs")).map_or(0, |text| text.lines().count())
}

/// With cgroups, where this machine lets us make them, and without.
fn with_and_without_cgroups(study: impl Fn() -> Study, holds: impl Fn(&Study)) {
    for cgroup in ["cgroup = true", "cgroup = false"] {
        let study = study();
        let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
        study.write_spec(&spec.replace("cgroup = true", cgroup));
        assert_eq!(study.finish(), 0, "{cgroup}: {}", study.trace());
        holds(&study);
        assert_eq!(study.alive(), Vec::<i32>::new(), "{cgroup}");
    }
}

/// The reference killed nothing more once the shell that leads the group had
/// exited: its server kept the port, and the next trial found it busy.
#[test]
fn a_server_whose_shell_is_gone_is_ended_too() {
    let script = r"
        case $N in
            1) {child} serve --port {port} --background;;
            2) {child} serve --port {port} --leave --leave-bare --ignore-term & exit 4;;
            *) exec {child} serve --port {port};;
        esac";
    let study = || served(script, HTTP, "1, 2, 3");
    with_and_without_cgroups(study, |study| {
        let results = study.results();
        let status = results.iter().filter_map(|line| line["status"].as_str());
        let status: Vec<&str> = status.collect();
        assert_eq!(status, ["crashed", "crashed", "ok"], "{}", study.trace());
        assert_eq!(results[0]["exit_code"], 3);
        assert_eq!(results[1]["exit_code"], 4);
    });
}

/// The same, when the shell exits only once its server is in use.
#[test]
fn a_server_whose_shell_goes_during_a_run_is_ended_too() {
    let script = r"
        {child} serve --port {port} --leave &
        until [ $N = 1 ] && [ -e {dir}runs ]; do sleep 0.01; done";
    let study = || {
        let study = served(script, HTTP, "1, 2");
        // The first evaluator hangs until the trial is ended.
        let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
        let gate = r#""--gate", "gate-{{ N }}", "--append""#;
        study.write_spec(&spec.replace(r#""--append""#, gate));
        study.open_gate("gate-2");
        study
    };
    with_and_without_cgroups(study, |study| {
        let results = study.results();
        assert_eq!(results[0]["status"], "failed", "{}", study.trace());
        assert_eq!(results[0]["cause"], "died-in-runs");
        assert_eq!(results[1]["status"], "ok");
    });
}

/// The reference took any answer on the port for its server's: it measured
/// somebody else's.
#[test]
fn somebody_elses_server_is_not_ours() {
    let study = served("exec {child} serve --port {port}", HTTP, "1");
    let stranger = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    assert_eq!(study.finish(), 6, "{}", study.trace());
    let holder = format!(
        "port {} is still in use before start, by process {}",
        study.port,
        std::process::id()
    );
    for line in study.results() {
        assert_eq!(line["status"], "failed");
        assert_eq!(line.get("phase"), None);
        let reason = line["reason"].as_str().expect("a reason");
        assert!(reason.starts_with(&holder), "{reason}");
    }
    assert!(study.log().contains(&holder), "{}", study.log());
    assert_eq!((study.pids(), runs(&study)), (Vec::new(), 0));
    // It was left alone, and once it is gone the study goes on.
    assert!(stranger.local_addr().is_ok());
    drop(stranger);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert_eq!(study.planned().len(), 1);
    assert_eq!(study.results().last().expect("a line")["status"], "ok");
}

/// Also between two attempts it is seen what the study waits for.
#[test]
fn who_holds_the_port_is_told_while_the_study_waits() {
    let study = served("exec {child} serve --port {port}", HTTP, "1");
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("\"1ms\"", "\"1h\""));
    let _stranger = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    let _daemon = study.start();
    study.await_events("sitting-ended", 1);
    let status = || json(&study, &["status"]);
    study.wait("a status that says so", || status()["held_up"].is_object());
    let status = status();
    let (held_up, user) = (&status["held_up"], nix::unistd::geteuid());
    assert_eq!(held_up["fault"], "port-taken", "{held_up}");
    assert_eq!(
        (&held_up["trial"], &held_up["times"]),
        (&1.into(), &1.into())
    );
    assert!(
        held_up["again"].as_i64() > status["now"].as_i64(),
        "{held_up}"
    );
    let why = held_up["why"].as_str().expect("text");
    let process = format!("by process {} (", std::process::id());
    let user = nix::unistd::User::from_uid(user).expect("users");
    let user = user.map_or_else(String::new, |user| user.name);
    assert!(why.contains(&process), "{why}");
    assert!(why.contains(&format!(") of user {user}")), "{why}");
    let text = good(&study, &["status"]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("held up trial 1, 1 of 5 times in a row: port "),
        "{text}"
    );
    assert!(
        text.contains(&process) && text.contains("tried again in "),
        "{text}"
    );
}

/// Holders of the port are ended where the spec wants it, but not without end:
/// somebody may start them again each time.
#[test]
fn so_many_holders_of_a_port_are_ended_and_no_more() {
    let study = served("exec {child} serve --port {port}", HTTP, "1");
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let kill = "port_kill = [\"sleep\", \"98765\"]\nport_wait = \"50ms\"";
    study.write_spec(&spec.replace("port_wait = \"50ms\"", kill));
    let listener = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    // Each has the one socket, as the workers of a server have.
    let worker = |_| {
        let socket = OwnedFd::from(listener.try_clone().expect("the socket"));
        let mut sleep = Command::new("sleep");
        sleep.arg("98765").stdin(socket).spawn().expect("sleep")
    };
    let mut workers: Vec<Child> = (0..18).map(worker).collect();
    drop(listener);
    let _daemon = study.start();
    study.await_events("sitting-ended", 1);
    let alive = |worker: &mut Child| worker.try_wait().expect("ours").is_none();
    let alive = workers
        .iter_mut()
        .filter_map(|worker| alive(worker).then_some(worker));
    let alive: Vec<&mut Child> = alive.collect();
    let (left, ended) = (alive.len(), study.events_of("sitting-ended"));
    for worker in alive {
        worker.kill().expect("ended");
        worker.wait().expect("reaped");
    }
    assert_eq!(left, 2, "{}", study.trace());
    assert!(ended[0].to_string().contains("port-taken"), "{ended:?}");
    assert_eq!(study.events_of("warned").len(), 16, "{}", study.trace());
}

/// The same, when the stranger comes while our server is still loading.
#[test]
fn a_stranger_who_is_faster_is_not_ours() {
    let study = served(
        "exec {child} serve --port {port} --gate {dir}load",
        HTTP,
        "1",
    );
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("\"50ms\"", "\"60s\""));
    let mut daemon = study.start();
    study.await_events("step-started", 1);
    let stranger = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    study.await_events("sitting-ended", 1);
    let end = &study.events_of("sitting-ended")[0]["end"]["failed"];
    assert_eq!(end["kind"], "port-taken", "{}", study.trace());
    let said = end["message"].as_str().expect("a message");
    let holder = format!(
        "port {} is held by process {}",
        study.port,
        std::process::id()
    );
    assert!(said.starts_with(&holder), "{said}");
    assert_eq!(runs(&study), 0);
    drop(stranger);
    study.open_gate("load");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.results().last().expect("a line")["status"], "ok");
}

/// The reference took an answer of 415 for ready, although the server was
/// still loading its model and died of it.
#[test]
fn a_server_that_answers_4xx_and_dies_was_never_ready() {
    let script = "exec {child} serve --port {port} --status 415 --die 300";
    let study = served(script, &format!("{HTTP}, status = \"200-499\""), "1");
    assert_eq!(study.finish(), 0, "{}", study.trace());
    let results = study.results();
    assert_eq!(results[0]["status"], "crashed", "{}", study.trace());
    assert_eq!(results[0]["exit_code"], 3);
    assert_eq!(results[0]["phase"], "startup");
    assert_eq!(
        (study.events_of("services-ready").len(), runs(&study)),
        (0, 0)
    );
}

/// A server that answers 4xx for good is ready: once it has stayed so, or at
/// once when it does what it is for.
#[test]
fn a_server_that_always_answers_4xx_can_be_ready() {
    let script = "exec {child} serve --port {port} --status 415";
    let status = format!("{HTTP}, status = \"200-499\", timeout = \"30s\"");
    let probe = r#"probe = { url = "http://127.0.0.1:{port}/v1", body = "{}", expect = "hello" }"#;
    let ways = [
        ("a short settle", "settle = \"100ms\"".to_owned(), "ok"),
        ("a probe", format!("settle = \"1h\", {probe}"), "ok"),
        (
            "a probe that fails",
            format!(
                "settle = \"0s\", timeout = \"300ms\", {}",
                probe.replace("hello", "bye")
            ),
            "timeout",
        ),
    ];
    for (what, more, expected) in ways {
        let ready = if more.contains("timeout") {
            format!("{HTTP}, status = \"200-499\", {more}")
        } else {
            format!("{status}, {more}")
        };
        let study = served(script, &ready, "1");
        assert_eq!(study.finish(), 0, "{what}: {}", study.trace());
        assert_eq!(
            study.results()[0]["status"],
            expected,
            "{what}: {}",
            study.trace()
        );
        assert_eq!(study.results()[0]["health"], "hello", "{what}");
    }
}

/// The reference went on with all the runs that were left when the server was
/// dead, each up to its time-out.
#[test]
fn no_run_is_tried_on_a_dead_server() {
    // One evaluator hangs when it gets no answer, the other ends.
    for give_up in ["", r#""--give-up", "--code", "1","#] {
        let study = Study::new(
            &r#"
            [study]
            name = "murder"
            pass_env = ["PIDS"]
            [objective]
            maximize = "score"
            [space]
            N = [1, 2]
            [[step]]
            name = "serve"
            kind = "service"
            command = ["{child}", "serve", "--port", "{port}"]
            ready = { http = "http://127.0.0.1:{port}/" }
            [[step]]
            name = "eval"
            kind = "measure"
            runs = 5
            timeout = "300s"
            command = ["{child}", "run", GIVE_UP "--murder", "{port}"]
            metrics.score = 'score=(\S+)'
            "#
            .replace("GIVE_UP", give_up),
        );
        assert_eq!(study.finish(), 0, "{}", study.trace());
        let started = study.events_of("step-started");
        let runs = started.iter().filter(|step| step["step"] == "eval").count();
        assert_eq!(runs, 2, "{}", study.trace());
        for line in study.results() {
            assert_eq!(line["status"], "failed", "{}", study.trace());
            assert_eq!(line["cause"], "died-in-runs", "{}", study.trace());
            assert_eq!(line["eval_ok_n"], 0);
        }
        assert_eq!(study.alive(), Vec::<i32>::new());
    }
}
