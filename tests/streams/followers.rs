//! A thousand clients follow the events and a thousand a log, and all of them
//! get all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use autotune::wire::client::Client;
use autotune::wire::reply::{EndOfStream, Reply};
use autotune::wire::request::{EventsQuery, LogQuery, Request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::support::Study;
use super::support::code;
use super::support::control::{ctl, good, socket};
use super::{GATED, log, open_gates};

/// How many of each kind there can be, with the files that this process may
/// have open.
fn followers() -> usize {
    let hard = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: hard,
        maximum: hard,
    };
    setrlimit(Resource::Nofile, raised).expect("raised");
    let room = hard.map_or(usize::MAX, |hard| hard as usize);
    (room.saturating_sub(300) / 2).min(1000)
}

async fn events(mut client: Client, ready: Arc<AtomicUsize>) -> Vec<u64> {
    let query = EventsQuery {
        after: None,
        last: None,
        follow: true,
    };
    client.send(&Request::Events(query)).await.expect("asked");
    let mut numbers = Vec::new();
    loop {
        match client.receive().await.expect("a reply") {
            Reply::Events(events) => {
                if numbers.is_empty() {
                    ready.fetch_add(1, Ordering::Relaxed);
                }
                numbers.extend(events.iter().map(|event| event.seq));
            }
            Reply::End(EndOfStream::Leaving) => return numbers,
            other => panic!("{other:?}"),
        }
    }
}

async fn log_of(mut client: Client, ready: Arc<AtomicUsize>) -> Vec<u8> {
    let query = LogQuery {
        trial: 1,
        step: None,
        from: None,
        follow: true,
    };
    client.send(&Request::Log(query)).await.expect("asked");
    let mut bytes = Vec::new();
    loop {
        match client.receive().await.expect("a reply") {
            Reply::Log(piece) => {
                if bytes.is_empty() {
                    ready.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(piece.offset, bytes.len() as u64);
                bytes.extend(piece.bytes);
            }
            Reply::End(EndOfStream::Complete) => return bytes,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn two_thousand_followers_get_everything() {
    let count = followers();
    let study = Study::new(&GATED.replace("[1, 2, 3]", "[1, 2, 3, 4, 5, 6]"));
    let mut daemon = study.start();
    study.await_gate("gate-1");
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let ready = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let path = socket(&study);
    let connect = async || Client::connect(&path).await.expect("connected");
    let mut silent = Vec::new();
    let (mut followed, mut logs) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        for number in 0..count {
            followed.push(tokio::spawn(events(connect().await, Arc::clone(&ready))));
            logs.push(tokio::spawn(log_of(connect().await, Arc::clone(&ready))));
            if number % 50 == 0 {
                // One that asks for everything and reads nothing.
                let mut client = connect().await;
                let query = EventsQuery {
                    after: None,
                    last: None,
                    follow: true,
                };
                client.send(&Request::Events(query)).await.expect("asked");
                silent.push(client);
            }
        }
        while ready.load(Ordering::Relaxed) < 2 * count {
            tokio::task::yield_now().await;
        }
        // Steering is as ever beside them.
        let answer = connect().await.ask(&Request::Ping).await.expect("a pong");
        assert!(matches!(answer, Reply::Pong(_)), "{answer:?}");
        open_gates(&study);
        (4..=6).for_each(|value| study.open_gate(&format!("gate-{value}")));
        let (mut ended, mut whole) = (Vec::new(), Vec::new());
        for follower in followed {
            ended.push(follower.await.expect("a follower"));
        }
        for follower in logs {
            whole.push(follower.await.expect("a follower"));
        }
        let all: Vec<u64> = (1..=study.events().len() as u64).collect();
        assert!(all.len() > 20 && ended.iter().all(|numbers| *numbers == all));
        let expected = log(&study, 1);
        assert!(expected.ends_with(b"score=1\n"));
        assert!(whole.iter().all(|bytes| *bytes == expected));
    });
    drop(silent);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn children_keep_the_limit_of_open_files_that_the_daemon_had() {
    let limits = "ulimit -Sn 300; ulimit -Hn 900; exec \"$0\" \"$@\"";
    let line = GATED.lines().find(|line| line.starts_with("command"));
    let study = Study::new(&GATED.replace(
        line.expect("a command"),
        "command = [\"sh\", \"-c\", \"echo soft=$(ulimit -Sn) hard=$(ulimit -Hn) score={{ N }}\"]",
    ));
    let program = env!("CARGO_BIN_EXE_autotuned");
    let mut command = std::process::Command::new("sh");
    command
        .args([
            "-c",
            limits,
            program,
            "run",
            "study.toml",
            "--output-dir",
            "out",
            "--stay",
        ])
        .current_dir(study.path(""))
        .env("XDG_RUNTIME_DIR", study.path("runtime"));
    let mut daemon = super::Follower::start(&study, "daemon", command);
    study.await_events("done", 1);
    let log = good(&study, &["logs", "1"]);
    assert!(log.contains("soft=300 hard=900"), "{log}");
    // Its own is raised.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id()));
    let limits = limits.expect("its limits");
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = files.expect("a line").split_whitespace().collect();
    assert_eq!(words[3..5], ["900", "900"]);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(&study), 0);
}
