//! `autotunectl top` and `status --watch` against a real daemon, on a real
//! terminal.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use autotune::term::screen::Screen as Drawn;
use nix::sys::signal::Signal;
use support::control::{client, code_of, ctl, good, socket};
use support::screen::Screen;
use support::{Daemon, Study, code, on_its_own, said};

const SPEC: &str = r#"
[study]
name = "watched"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[space]
N = [1, 2, 3, 4]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}", "--print", "score={{ N }}"]
metrics.score = 'score=(\S+)'
"#;

/// A study with its daemon, whose first trial waits at a gate.
fn begun() -> (Study, Daemon) {
    let study = Study::new(SPEC);
    let daemon = stays(&study);
    study.await_gate("gate-1");
    (study, daemon)
}

fn stays(study: &Study) -> Daemon {
    study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"])
}

fn top(study: &Study) -> Command {
    let path = socket(study).display().to_string();
    on_its_own(&client(study, &["--socket", &path, "top"]), study)
}

#[test]
fn it_shows_pauses_and_gives_the_terminal_back() {
    let (study, _daemon) = begun();
    let Some(mut screen) = Screen::open(top(&study)) else {
        return;
    };
    screen.wait_for(&study, "watched goes on");
    screen.wait_for(
        &study,
        "trial 1 (the starting values): 0 of 1 run; in step eval",
    );
    screen.wait_for(&study, "1  running");
    assert!(screen.is_raw());
    // Nothing is done that was not said yes to.
    screen.press("p");
    screen.wait_for(&study, "Pause the study? It has trial 1 running.");
    screen.press("n");
    screen.wait_for(&study, "nothing is done");
    assert!(study.events_of("paused").is_empty());
    screen.press("py");
    study.await_events("paused", 1);
    screen.wait_for(&study, "paused; trial 1 is finished first");
    screen.wait_for(&study, "watched is paused after trial 1");
    study.open_gate("gate-1");
    screen.wait_for(&study, "1  complete *");
    screen.press("ry");
    screen.wait_for(&study, "2  running");
    // A trial is opened, and its page left.
    screen.press("2\u{1b}[B\u{1b}[B\r");
    screen.wait_for(&study, "Trial 1");
    screen.wait_for(&study, "origin   the starting values");
    screen.press("q");
    assert_eq!(screen.program.end(), 0);
    screen.wait_given_back(&study);
}

#[test]
fn every_end_gives_the_terminal_back() {
    let (study, _daemon) = begun();
    let signals = [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ];
    for signal in signals.into_iter().map(Some).chain([None]) {
        let Some(mut screen) = Screen::open(top(&study)) else {
            return;
        };
        screen.wait_for(&study, "in step eval");
        match signal {
            Some(signal) => screen.program.signal(signal),
            None => screen.press("\u{3}"),
        }
        assert_eq!(screen.program.end(), 0, "{signal:?}");
        screen.wait_given_back(&study);
    }
}

#[test]
fn stopped_it_gives_the_terminal_back_until_it_goes_on() {
    let (study, _daemon) = begun();
    let Some(mut screen) = Screen::open(top(&study)) else {
        return;
    };
    screen.wait_for(&study, "in step eval");
    screen.program.signal(Signal::SIGTSTP);
    screen.wait_given_back(&study);
    let pid = screen.program.pid();
    study.wait("a stopped process", || state(pid) == 'T');
    screen.program.signal(Signal::SIGCONT);
    screen.wait_for(&study, "in step eval");
    study.wait("raw keys", || screen.is_raw());
    // Also after a stop that nobody can see coming.
    screen.program.signal(Signal::SIGSTOP);
    study.wait("a stopped process", || state(pid) == 'T');
    screen.program.signal(Signal::SIGCONT);
    screen.press("?");
    screen.wait_for(&study, "Ctrl-Z");
    screen.press("q");
    assert_eq!(screen.program.end(), 0);
    screen.wait_given_back(&study);
}

fn state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
    after.and_then(|rest| rest.chars().next()).unwrap_or('?')
}

#[test]
fn a_daemon_that_goes_is_waited_for() {
    let (study, mut daemon) = begun();
    let Some(mut screen) = Screen::open(top(&study)) else {
        return;
    };
    screen.wait_for(&study, "in step eval");
    daemon.kill();
    screen.wait_for(&study, "the daemon has gone");
    screen.press("p");
    screen.wait_for(&study, "the daemon does not answer");
    let _daemon = stays(&study);
    study.await_events("opened", 2);
    screen.press("1");
    screen.wait(&study, "the daemon back", |seen| {
        let text = seen.text();
        text.contains("in step eval") && !text.contains("the daemon has gone")
    });
    // It is asked again.
    screen.press("p");
    screen.wait_for(&study, "Pause the study? It has trial 1 running.");
    screen.press("n");
    study.open_gate("gate-1");
    screen.wait_for(&study, "1  complete *");
    screen.press("q");
    assert_eq!(screen.program.end(), 0);
    screen.wait_given_back(&study);
}

#[test]
fn a_line_that_takes_nothing_does_not_hold_the_end_up() {
    let (study, _daemon) = begun();
    let Some((mut screen, terminal)) = Screen::stuck(top(&study)) else {
        return;
    };
    study.wait("raw keys", || screen.is_raw());
    // More than the kernel keeps of what nobody reads.
    for _ in 0..50 {
        screen.program.signal(Signal::SIGWINCH);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    screen.program.signal(Signal::SIGTERM);
    assert_eq!(screen.program.end(), 0);
    assert!(screen.is_as_before());
    drop(terminal);
}

/// What the next test starts on a terminal.
#[test]
#[ignore = "it is to panic"]
fn panics_while_it_draws() {
    let mut screen = Drawn::open(std::io::stdout()).expect("a terminal");
    screen
        .draw(|_| panic!("of all things"))
        .expect("it panics before");
}

#[test]
fn a_panic_is_read_on_the_terminal_as_it_was() {
    let study = Study::new(SPEC);
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let name = "panics_while_it_draws";
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    let Some(mut screen) = Screen::open(on_its_own(&command, &study)) else {
        return;
    };
    assert_eq!(screen.program.end(), 101);
    screen.wait_given_back(&study);
    screen.wait(&study, "the message", |seen| {
        let (_, after) = seen.all.rsplit_once("\u{1b}[?1049l").expect("left");
        after.contains("of all things")
    });
}

#[test]
fn where_it_cannot_draw_it_names_its_sister() {
    let (study, _daemon) = begun();
    let output = ctl(&study, &["top"]);
    assert_eq!(code(&output), 2);
    assert!(
        said(&output).contains("status --watch"),
        "{}",
        said(&output)
    );
    let mut dumb = top(&study);
    dumb.env("TERM", "dumb");
    let Some(mut screen) = Screen::open(dumb) else {
        return;
    };
    assert_eq!(screen.program.end(), 2);
    screen.wait(&study, "what to do", |seen| {
        seen.all.contains("status --watch")
    });
    assert!(!screen.all().contains("1049"), "{}", screen.all());
}

#[test]
fn no_color_is_obeyed() {
    let (study, _daemon) = begun();
    study.open_gate("gate-1");
    study.await_gate("gate-2");
    for colored in [false, true] {
        let mut command = top(&study);
        if !colored {
            command.env("NO_COLOR", "1");
        }
        let Some(mut screen) = Screen::open(command) else {
            return;
        };
        screen.wait_for(&study, "1  complete *");
        screen.press("q");
        assert_eq!(screen.program.end(), 0);
        screen.wait_given_back(&study);
        let all = screen.all();
        let green = all.contains("[32;") || all.contains("[32m");
        assert_eq!(green, colored, "{all:?}");
        // Terminals of 16 colours know no other.
        assert!(!all.contains("38;5;"), "{all:?}");
    }
}

#[test]
fn status_is_watched_in_a_pipe() {
    let (study, mut daemon) = begun();
    let mut text = client(&study, &["status", "--watch"])
        .spawn()
        .expect("autotunectl");
    let mut lines = BufReader::new(text.stdout.take().expect("a pipe")).lines();
    let mut until = |wanted: &str| {
        lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find(|line| line.contains(wanted))
            .unwrap_or_else(|| panic!("no {wanted}"))
    };
    until("in step eval");
    good(&study, &["pause"]);
    until("is paused after trial 1");
    study.open_gate("gate-1");
    until("trial 1: score 1");
    daemon.kill();
    let _daemon = stays(&study);
    study.await_events("opened", 2);
    good(&study, &["resume"]);
    study.await_gate("gate-2");
    until("trial 2 (N=2)");
    let pid = nix::unistd::Pid::from_raw(text.id().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGINT).expect("sent");
    text.wait().expect("ended");

    let mut json = client(&study, &["status", "-w", "--json"]);
    let mut json = json.stderr(Stdio::null()).spawn().expect("autotunectl");
    let mut lines = BufReader::new(json.stdout.take().expect("a pipe")).lines();
    let line = lines.next().expect("a line").expect("text");
    let status: serde_json::Value = serde_json::from_str(&line).expect("JSON in one line");
    assert_eq!(status["running"]["trial"], 2);
    // Who reads no more ends it.
    drop(lines);
    good(&study, &["pause"]);
    assert_eq!(code_of(&mut json), 0);
}
