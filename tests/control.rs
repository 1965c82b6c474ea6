//! The control socket from end to end: `autotunectl` against a daemon that
//! works on a study of real processes.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use support::control::{client, connection, ctl, good, json, outcomes, refused, resident, socket};
use support::{Daemon, Study, code, said};

/// Three values; each run waits at a gate of its own: `gate-N-RUN`.
const SPEC: &str = r#"
[study]
name = "steered"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[search]
racing = false
[space]
N = [1, 2, 3]
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}-{{ run }}", "--print", "score={{ N }}"]
metrics.score = 'score=(\S+)'
"#;

fn study() -> Study {
    Study::new(SPEC)
}

fn open_gates(study: &Study, value: u32) {
    for run in 1..=2 {
        study.open_gate(&format!("gate-{value}-{run}"));
    }
}

/// A daemon whose first trial waits at its first gate.
fn started(study: &Study) -> Daemon {
    let daemon = study.start();
    await_step(study, 1);
    daemon
}

fn await_step(study: &Study, count: usize) {
    study.await_events("step-started", count);
}

#[test]
fn a_study_is_asked_and_steered() {
    let study = study();
    let mut daemon = started(&study);

    let pong = good(&study, &["ping"]);
    assert!(
        pong.contains(&format!("process {}", daemon.pid())),
        "{pong}"
    );
    assert!(good(&study, &["version"]).contains("autotuned   0."));
    let status = json(&study, &["status"]);
    assert_eq!(status["running"]["trial"], 1);
    assert_eq!(status["running"]["runs_all"], 2);
    assert_eq!(status["phase"], "active");
    assert!(good(&study, &["status"]).contains("trial 1 (the starting values): 0 of 2 runs"));
    assert!(refused(&study, &["best"], 4).contains("no trial keeps all constraints yet"));
    assert!(refused(&study, &["show", "9"], 4).contains("there is no trial 9"));
    assert!(refused(&study, &["retry", "1"], 4).contains("not over yet"));

    let planned = good(&study, &["enqueue", "N=3"]);
    assert!(
        planned.contains("tried as trial 2 after trial 1"),
        "{planned}"
    );
    assert!(good(&study, &["enqueue", "N=3"]).contains("planned already"));
    let wrong = refused(&study, &["enqueue", "N=9", "M=1"], 4);
    assert!(wrong.contains('M'), "{wrong}");

    let paused = good(&study, &["pause"]);
    assert!(paused.contains("trial 1 is finished first"), "{paused}");
    open_gates(&study, 1);
    good(&study, &["wait", "--for", "paused", "--timeout", "60s"]);
    assert_eq!(
        code(&ctl(
            &study,
            &["wait", "--for", "done", "--timeout", "100ms"]
        )),
        7
    );
    let status = good(&study, &["status"]);
    assert!(
        status.contains("is paused; to go on: autotunectl resume"),
        "{status}"
    );
    assert_eq!(good(&study, &["best", "--env"]), "N=1\n");
    good(&study, &["best", "--export", "best.json"]);
    let exported = std::fs::read_to_string(study.path("best.json")).expect("exported");
    assert_eq!(exported, "{\n  \"N\": \"1\"\n}\n");
    assert!(good(&study, &["pause"]).contains("already"));
    assert!(refused(&study, &["skip"], 4).contains("no trial runs"));
    assert!(refused(&study, &["retry", "1"], 4).contains("has all its runs"));
    assert!(refused(&study, &["enqueue", "N=1"], 4).contains("trial 1 has tried that"));

    good(&study, &["resume"]);
    await_step(&study, 3);
    assert_eq!(study.events_of("trial-planned")[1]["origin"], "user");
    let skipped = good(&study, &["skip"]);
    assert!(skipped.contains("trial 2 is being ended"), "{skipped}");
    good(&study, &["wait", "--for", "trial=2", "--timeout", "60s"]);
    let show = good(&study, &["show", "2"]);
    assert!(show.contains("pruned, skipped by a user"), "{show}");
    assert!(show.contains("wanted by a user"), "{show}");

    await_step(&study, 4);
    assert_eq!(outcomes(&study), ["complete", "pruned", "running"]);
    assert!(good(&study, &["skip", "2"]).contains("trial 2 is dropped already"));
    assert!(refused(&study, &["skip", "1"], 4).contains("trial 1 is over already"));
    assert!(refused(&study, &["skip", "9"], 4).contains("there is no trial 9"));
    let retried = good(&study, &["retry", "2"]);
    assert!(
        retried.contains("trial 2 is repeated after trial 3"),
        "{retried}"
    );
    let waiting = client(&study, &["wait", "--for", "done"])
        .spawn()
        .expect("waits");
    let following = client(&study, &["events", "-f", "-n", "all"])
        .spawn()
        .expect("follows");
    open_gates(&study, 2);
    open_gates(&study, 3);
    assert_eq!(code(&waiting.wait_with_output().expect("waited")), 0);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    // The follower looks for the daemon until it is ended.
    let pid = i32::try_from(following.id()).expect("a pid");
    std::thread::sleep(Duration::from_millis(100));
    support::kill(pid);
    let followed = following.wait_with_output().expect("followed");
    let lines = said(&followed)
        .lines()
        .filter(|line| line.starts_with("20"))
        .count();
    assert_eq!(lines, study.events().len(), "{}", said(&followed));

    let nobody = refused(&study, &["status"], 3);
    assert!(nobody.contains("no autotuned is running here"), "{nobody}");
    assert!(nobody.contains("autotuned view DIR"), "{nobody}");
    assert!(!socket(&study).exists());
}

#[test]
fn logs_are_shown_and_followed() {
    let study = Study::new(&SPEC.replace("\"--print\"", "\"--print\", \"你好\", \"--print\""));
    let mut daemon = started(&study);
    let follower = client(&study, &["logs", "1", "-f"])
        .spawn()
        .expect("follows");
    open_gates(&study, 1);
    let followed = follower.wait_with_output().expect("followed");
    let text = said(&followed);
    assert_eq!(text.matches("score=1").count(), 2, "{text}");
    assert!(text.contains("你好"), "{text}");
    assert_eq!(good(&study, &["logs", "1", "--step", "eval"]), text);
    assert!(refused(&study, &["logs", "1", "--step", "x"], 4).contains("no log of x"));
    assert!(good(&study, &["show", "1"]).contains("score=1"));
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    study.await_nothing_alive();
}

/// A sitting that was ended before it began has no log; the one before has.
#[test]
fn the_log_of_the_last_sitting_that_has_one_is_meant() {
    let study = study();
    let mut daemon = started(&study);
    study.open_gate("gate-1-1");
    await_step(&study, 2);
    good(&study, &["pause", "--now"]);
    good(&study, &["wait", "--for", "paused", "--timeout", "60s"]);
    good(&study, &["resume"]);
    await_step(&study, 3);
    good(&study, &["skip"]);
    good(&study, &["wait", "--for", "trial=1", "--timeout", "60s"]);
    let log = study.out("tune_server_logs/trial_00001.2.eval.log");
    std::fs::remove_file(log).expect("the log of the second sitting");
    assert!(good(&study, &["logs", "1"]).contains("score=1"));
    let shown = good(&study, &["show", "1"]);
    assert!(shown.contains("score=1"), "{shown}");
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    study.await_nothing_alive();
}

/// A script starts the daemon and waits; it need not know when it listens.
#[test]
fn a_daemon_that_is_not_there_yet_is_waited_for_within_a_time() {
    let study = study();
    let nobody = refused(&study, &["wait", "--for", "done"], 3);
    assert!(nobody.contains("no autotuned is running here"), "{nobody}");
    let late = &["wait", "--for", "done", "--timeout", "50ms"];
    let late = refused(&study, late, 7);
    assert!(late.contains("no autotuned is running here"), "{late}");
    assert!(late.contains("not within 50 ms"), "{late}");
    let mut waiting = client(&study, &["wait", "--for", "trial=1", "--timeout", "120s"])
        .spawn()
        .expect("waits");
    let mut said = std::io::BufReader::new(waiting.stderr.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    assert!(line.contains("no autotuned is running here"), "{line}");
    let mut daemon = started(&study);
    open_gates(&study, 1);
    assert_eq!(waiting.wait().expect("its end").code(), Some(0));
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// Whatever is waited for, and in whatever moment the daemon is killed.
#[test]
fn a_daemon_that_is_killed_and_started_again_is_waited_for() {
    let study = study();
    let wait = |until: &str| {
        let arguments = ["wait", "--for", until, "--timeout", "120s"];
        let waiting = client(&study, &arguments).spawn();
        let mut waiting = waiting.expect("waits");
        let mut said = BufReader::new(waiting.stderr.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert!(line.contains("no autotuned is running here"), "{line}");
        (waiting, said)
    };
    let waiting = ["trial=1", "best", "paused", "done"].map(wait);
    let mut daemon = started(&study);
    for _ in 0..2 {
        study.wait("all of them", || connections(&study) == waiting.len());
        daemon.kill();
        study.await_nothing_alive();
        daemon = study.start();
    }
    study.wait("all of them again", || connections(&study) == waiting.len());
    let [first, best, paused, done] = waiting;
    let end = |(mut waiting, mut said): (Child, BufReader<_>)| {
        let mut text = String::new();
        said.read_to_string(&mut text).expect("text");
        let code = waiting.wait().expect("its end").code();
        assert_eq!(code, Some(0), "{text}");
    };
    open_gates(&study, 1);
    end(first);
    end(best);
    good(&study, &["pause"]);
    open_gates(&study, 2);
    end(paused);
    good(&study, &["resume"]);
    open_gates(&study, 3);
    end(done);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// How many clients the daemon has taken on.
fn connections(study: &Study) -> usize {
    // It is bound by another name in the same folder.
    let path = socket(study).with_file_name("").display().to_string();
    let sockets = std::fs::read_to_string("/proc/net/unix").expect("readable");
    let ours = |line: &&str| {
        let mut words = line.split_whitespace();
        // The state 03 is that of a connection.
        words.nth(5) == Some("03") && words.nth(1).is_some_and(|of| of.starts_with(&path))
    };
    sockets.lines().filter(ours).count()
}

#[test]
fn what_users_wanted_survives_a_kill() {
    let study = study();
    let mut daemon = started(&study);
    study.open_gate("gate-1-1");
    await_step(&study, 2);
    let paused = json(&study, &["pause", "--now"]);
    assert_eq!(paused["result"]["paused"]["interrupted"], true);
    good(&study, &["enqueue", "N=3"]);
    good(&study, &["wait", "--for", "paused", "--timeout", "60s"]);
    daemon.kill();
    study.await_nothing_alive();

    let mut daemon = study.start();
    study.await_events("opened", 2);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let status = json(&study, &["status"]);
    assert_eq!(status["phase"]["paused"]["by_user"], true);
    let waiting: Vec<_> = status["waiting"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(waiting.len(), 2, "{status}");
    assert_eq!(study.events_of("sitting-started").len(), 1);
    (1..=3).for_each(|value| open_gates(&study, value));
    good(&study, &["resume"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let runs = study.events_of("run-ended");
    let first = runs
        .iter()
        .filter(|run| run["trial"] == 1 && run["run"] == 1);
    assert_eq!(first.count(), 1, "a good run is kept");
    assert_eq!(runs.len(), 6);
}

#[test]
fn what_waits_is_dropped_and_what_was_tried_is_tried_again() {
    let study = study();
    let mut daemon = started(&study);
    good(&study, &["enqueue", "N=2"]);
    let dropped = good(&study, &["skip", "2"]);
    assert!(dropped.contains("trial 2 is dropped"), "{dropped}");
    assert_eq!(outcomes(&study), ["running", "pruned"]);
    assert!(refused(&study, &["enqueue", "N=2"], 4).contains("enqueue --again"));
    let again = json(&study, &["enqueue", "--again", "N=2"]);
    assert_eq!(again["result"]["enqueued"]["trial"], 3);
    let twice = good(&study, &["enqueue", "--again", "N=2"]);
    assert!(twice.contains("planned already"), "{twice}");
    // One that has begun and waits keeps what it has.
    study.open_gate("gate-1-1");
    study.await_events("run-ended", 1);
    good(&study, &["pause", "--now"]);
    good(&study, &["wait", "--for", "paused", "--timeout", "60s"]);
    let table = good(
        &study,
        &["trials", "--columns", "runs,trial,origin,params,metrics"],
    );
    let table: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(table[0], ["RUNS", "TRIAL", "ORIGIN", "TRIED", "METRICS"]);
    assert_eq!(
        table[1],
        [
            "1", "1", "baseline", "the", "starting", "values", "score", "1"
        ]
    );
    assert_eq!(table[3], ["0", "3", "user", "N=2"]);
    let wrong = refused(&study, &["trials", "--columns", "run"], 2);
    assert!(
        wrong.contains("similar value") && wrong.contains("'runs'"),
        "{wrong}"
    );
    let dropped = json(&study, &["skip", "1"]);
    assert_eq!(dropped["result"]["skipped"]["running"], false);
    daemon.kill();

    let mut daemon = study.start();
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    assert_eq!(outcomes(&study), ["pruned", "pruned", "planned"]);
    let first = json(&study, &["show", "1"]);
    assert_eq!(first["row"]["runs"], 1);
    (2..=3).for_each(|value| open_gates(&study, value));
    good(&study, &["resume"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let values: Vec<Json> = study.events_of("trial-planned");
    let values: Vec<&Json> = values.iter().map(|trial| &trial["params"]["N"]).collect();
    assert_eq!(values, [1, 2, 2, 3]);
    let lines = study.results();
    let shown = |line: &Json| format!("{} {}", line["trial"], line["status"]);
    let lines: Vec<String> = lines.iter().map(shown).collect();
    assert_eq!(lines, ["1 \"partial\"", "3 \"ok\"", "4 \"ok\""]);
}

#[test]
fn a_stopped_daemon_goes_on_when_it_is_started_again() {
    let study = study();
    let mut daemon = started(&study);
    let stopped = good(&study, &["stop"]);
    assert!(stopped.contains("trial 1 is interrupted"), "{stopped}");
    assert_eq!(daemon.end(), 0);
    study.await_nothing_alive();
    (1..=3).for_each(|value| open_gates(&study, value));
    assert_eq!(code(&study.run()), 0);
    assert_eq!(study.results().len(), 3);
}

#[test]
fn one_that_stays_takes_more() {
    let study = study();
    (1..=3).for_each(|value| open_gates(&study, value));
    study.write_spec(&format!("{SPEC}\n[budget]\ntrials = 1\n"));
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    // What is on disk is told a moment later.
    good(&study, &["wait", "--for", "done", "--timeout", "60s"]);
    let status = good(&study, &["status"]);
    assert!(
        status.contains("is done: the budget of 1 trial"),
        "{status}"
    );
    good(&study, &["enqueue", "N=2"]);
    study.await_events("done", 2);
    good(&study, &["wait", "--for", "done", "--timeout", "60s"]);
    assert_eq!(outcomes(&study), ["complete", "complete"]);
    assert!(refused(&study, &["pause"], 4).contains("the study is done"));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_second_daemon_leaves_the_socket_alone() {
    let study = study();
    let mut daemon = started(&study);
    let pong = good(&study, &["ping"]);
    let second = Study::new(SPEC);
    (1..=3).for_each(|value| open_gates(&second, value));
    let mut command = second.command(&["run", "study.toml", "--output-dir", "out"]);
    let output = command
        .env("XDG_RUNTIME_DIR", study.path("runtime"))
        .output()
        .expect("runs");
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        said(&output).contains("another autotuned listens on"),
        "{}",
        said(&output)
    );
    let path = socket(&study).display().to_string();
    let demanding = [
        "run",
        "study.toml",
        "--output-dir",
        "out",
        "--socket",
        &path,
    ];
    let output = second.autotuned(&demanding);
    assert_eq!(code(&output), 4, "{}", said(&output));
    assert_eq!(good(&study, &["ping"]), pong);
    daemon.kill();
    study.await_nothing_alive();
    // A dead one's socket is replaced.
    assert!(socket(&study).exists());
    let mut daemon = study.start();
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
}

/// Whether the peer closes, with no byte before.
fn is_closed(stream: &mut UnixStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

#[test]
fn hostile_peers_do_no_harm() {
    let study = study();
    let mut daemon = started(&study);
    good(&study, &["status"]);
    let before = resident(daemon.pid());

    // Not this protocol: no answer, and the end.
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 4096], &[0xff; 12]] {
        let mut stream = UnixStream::connect(socket(&study)).expect("connected");
        stream.write_all(bytes).expect("sent");
        assert!(is_closed(&mut stream), "{bytes:?}");
    }
    // A version that nobody speaks: a hello, and the end.
    let mut stream = UnixStream::connect(socket(&study)).expect("connected");
    stream.write_all(b"autotune\x00\x09\x00\x0a").expect("sent");
    let mut hello = [0; 12];
    stream.read_exact(&mut hello).expect("named");
    assert!(is_closed(&mut stream));

    // Silent ones, half a hello, half a frame, and claims that stay claims.
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = match number % 4 {
            0 => UnixStream::connect(socket(&study)).expect("connected"),
            1 => {
                let mut stream = UnixStream::connect(socket(&study)).expect("connected");
                stream.write_all(b"autot").expect("sent");
                stream
            }
            _ => connection(&study),
        };
        if number % 4 == 3 {
            stream
                .write_all(&(64_u32 << 10).to_be_bytes())
                .expect("sent");
        }
        held.push(stream);
    }
    // Frames of junk, from a generator without surprises.
    let mut state = 42_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for length in 0..300_u32 {
        let mut stream = connection(&study);
        let body: Vec<u8> = (0..length % 64).map(|_| random() % 16).collect();
        let length = u32::try_from(body.len()).expect("short");
        // Some of it may be understood; a pause or a stop must not be.
        if body.first() == Some(&8) {
            continue;
        }
        stream.write_all(&length.to_be_bytes()).expect("sent");
        stream.write_all(&body).expect("sent");
    }
    let begun = Instant::now();
    let status = json(&study, &["status"]);
    assert_eq!(status["running"]["trial"], 1);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let after = resident(daemon.pid());
    assert!(after < before + 16 * 1024, "{before} kB, then {after} kB");

    // The study goes on beside them.
    (1..=3).for_each(|value| open_gates(&study, value));
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    drop(held);
}

#[test]
fn strangers_may_ask_where_the_spec_says_so() {
    if !nix::unistd::geteuid().is_root() {
        // Another user can only be played by root.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let study = Study::new(&SPEC.replace(
        "[objective]",
        "[control]\nsocket = \"c/sock\"\nread = \"all\"\n[objective]",
    ));
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(study.path(""), readable.clone()).expect("set");
    std::fs::create_dir(study.path("c")).expect("made");
    std::fs::set_permissions(study.path("c"), readable.clone()).expect("set");
    let program = study.path("client");
    std::fs::copy(env!("CARGO_BIN_EXE_autotunectl"), &program).expect("copied");
    std::fs::set_permissions(&program, readable).expect("set");
    let mut daemon = started(&study);
    let path = study.path("c/sock");
    let stranger = |verb: &str| {
        let mut command = Command::new(&program);
        command
            .arg(verb)
            .arg("--socket")
            .arg(&path)
            .uid(65534)
            .gid(65534);
        command.output().expect("runs")
    };
    let status = stranger("status");
    assert_eq!(code(&status), 0, "{}", said(&status));
    let pause = stranger("pause");
    assert_eq!(code(&pause), 5, "{}", said(&pause));
    assert!(said(&pause).contains("may not do that"), "{}", said(&pause));
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.end(), 0);
    // Without it, not even that.
    study.write_spec(&SPEC.replace("[objective]", "[control]\nsocket = \"c/sock\"\n[objective]"));
    let _daemon = study.start();
    study.await_events("opened", 2);
    study.wait("the socket", || path.exists());
    let status = stranger("status");
    assert_eq!(code(&status), 5, "{}", said(&status));
}

#[test]
fn a_warm_up_run_is_called_so() {
    let warm = SPEC.replace("runs = 2", "runs = 2\nwarmup = 1");
    let study = Study::new(&warm);
    let mut daemon = study.start();
    // A warm-up run has the number 0.
    study.await_gate("gate-1-0");
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let status = json(&study, &["status"]);
    assert_eq!(
        status["running"]["doing"]["warm_up"]["step"], "eval",
        "{status}"
    );
    let shown = good(&study, &["status"]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    let shown = words.join(" ");
    assert!(shown.contains("in a warm-up run of step eval"), "{shown}");
    study.open_gate("gate-1-0");
    study.await_gate("gate-1-1");
    study.wait("the first run", || {
        json(&study, &["status"])["running"]["doing"]["step"]["step"] == "eval"
    });
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// The daemon listens where the client looks.
#[test]
fn both_programs_heed_the_same_variable() {
    let study = study();
    let path = study.path("here.sock");
    let here = [("AUTOTUNE_SOCKET", path.to_str().expect("text"))];
    let mut daemon = study.start_with(&["run", "study.toml", "--output-dir", "out"], &here);
    await_step(&study, 1);
    let mut told = client(&study, &["stop", "--now"]);
    told.env(here[0].0, here[0].1);
    study.wait("the socket", || path.exists());
    assert_eq!(code(&told.output().expect("autotunectl")), 0);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(!socket(&study).exists());
}
