//! Interactive mode from end to end: what is proposed waits for somebody's
//! word, by `autotunectl` or at a terminal.

mod support;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use support::control::{good, json, refused, socket};
use support::{Daemon, Study, code, on_terminal, said};

const SPEC: &str = r#"
[study]
name = "asked"
pass_env = ["PIDS"]
approve = "trial"
[objective]
maximize = "score"
[space]
N = [1, 2, 3, 4]
MODE = ["a", "b"]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--print", "score={{ N }}"]
metrics.score = 'score=(\S+)'
"#;

fn stays(study: &Study) -> Daemon {
    study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"])
}

/// The proposal of that number, as clients see it once they do.
fn proposed(study: &Study, number: u32) -> serde_json::Value {
    study.await_events("approval-asked", number as usize);
    let proposal = || json(study, &["status"])["proposal"].clone();
    study.wait("a proposal", || proposal()["number"] == number);
    proposal()
}

fn settled(study: &Study, count: usize) {
    study.await_events("sitting-ended", count);
}

#[test]
fn a_proposal_waits_through_a_kill_and_is_answered() {
    let study = Study::new(SPEC);
    let mut daemon = study.start();
    study.await_events("approval-asked", 1);
    good(&study, &["wait", "--for", "approval"]);
    assert_eq!(study.planned(), ["MODE=a N=1"], "only the baseline");
    let before = json(&study, &["status"]);
    assert_eq!(before["phase"], "awaiting_approval");
    let proposal = &before["proposal"];
    assert_eq!(proposal["number"], 1);
    assert_eq!(proposal["parameter"], "N");
    assert_eq!(proposal["against"], 1);
    assert_eq!(proposal["changes"][0]["to"], "2");
    assert_eq!(proposal["until"], serde_json::Value::Null);
    daemon.kill();
    study.await_nothing_alive();

    let mut daemon = study.start();
    study.await_events("opened", 2);
    let after = proposed(&study, 1);
    assert_eq!(after, *proposal, "the same, since then");
    let text = good(&study, &["status"]);
    let waits = "asked waits for approval";
    assert!(text.contains(waits) && text.contains("N: 1 → 2"), "{text}");
    assert!(text.contains("autotunectl approve 1"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert_eq!(study.events_of("approval-asked").len(), 1);

    let wrong = refused(&study, &["approve", "--value", "9"], 4);
    assert!(wrong.contains("choose one of 1, 2, 3, 4"), "{wrong}");
    let wrong = refused(&study, &["approve", "7"], 4);
    assert!(wrong.contains("proposal 1 waits"), "{wrong}");
    let said = good(&study, &["approve", "1", "--value", "3"]);
    assert_eq!(said, "proposal 1 is tried as trial 2\n");
    settled(&study, 2);
    proposed(&study, 2);
    let given = &study.events_of("approval-given")[0];
    let uid = nix::unistd::Uid::current().as_raw();
    assert_eq!(given["by"]["user"]["uid"], uid);
    assert_eq!(given["instead"]["N"], 3);

    let said = good(&study, &["reject"]);
    assert!(said.starts_with("proposal 2 is not tried"), "{said}");
    // 2 and 4 are out, 3 was tried: the next parameter, from the best.
    let proposal = proposed(&study, 3);
    assert_eq!(proposal["parameter"], "MODE");
    assert_eq!(proposal["against"], 2);
    good(&study, &["enqueue", "N=4"]);
    settled(&study, 3);
    good(&study, &["wait", "--for", "approval"]);
    let said = good(&study, &["reject", "--study"]);
    assert!(said.contains("autotunectl resume"), "{said}");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.planned(), ["MODE=a N=1", "MODE=a N=3", "MODE=a N=4"]);
    let log = study.log();
    assert!(log.contains("the study is ended by"), "{log}");
}

/// Settings of approval change while it waits, and the end of a parameter is
/// taken back.
#[test]
fn a_parameter_that_was_ended_is_taken_up_again() {
    let study = Study::new(SPEC);
    let _daemon = stays(&study);
    assert_eq!(proposed(&study, 1)["parameter"], "N");
    let said = good(&study, &["reject", "--parameter"]);
    assert!(said.contains("no further value of N"), "{said}");
    assert_eq!(proposed(&study, 2)["parameter"], "MODE");
    let text = good(&study, &["status"]);
    assert!(text.contains("approve --parameter NAME"), "{text}");
    let ended = || json(&study, &["status"])["ended"].clone();
    assert_eq!(ended(), serde_json::json!(["N"]));

    let wrong = refused(&study, &["approve", "--parameter", "M"], 4);
    assert!(wrong.contains("there is no parameter `M`"), "{wrong}");
    let said = good(&study, &["approve", "--parameter", "MODE"]);
    assert!(said.starts_with("nobody has ended MODE"), "{said}");
    let said = good(&study, &["approve", "--parameter", "N"]);
    assert_eq!(said, "values of N are proposed again\n");
    let reopened = study.events_of("parameter-reopened");
    assert_eq!(
        (reopened.len(), &reopened[0]["parameter"]),
        (1, &"N".into())
    );
    assert_eq!(ended(), serde_json::json!([]));
    good(&study, &["reject"]);
    assert_eq!(proposed(&study, 3)["parameter"], "N");

    good(
        &study,
        &["set", "approve_timeout=1h", "approve_default=reject"],
    );
    let proposal = proposed(&study, 3);
    assert_eq!(proposal["then"], "reject");
    let (since, until) = (&proposal["since"], &proposal["until"]);
    let hour = until.as_i64().zip(since.as_i64()).map(|(u, s)| u - s);
    assert_eq!(hour, Some(3_600_000));
    good(&study, &["set", "approve=never"]);
    study.await_events("done", 1);
    assert_eq!(study.events_of("approval-withdrawn").len(), 1);
    assert!(study.planned().len() > 2, "{:?}", study.planned());
}

#[test]
fn time_answers_where_nobody_does() {
    let spec = SPEC.replace(
        "approve = \"trial\"",
        "approve = \"parameter\"\napprove_timeout = \"50ms\"\napprove_default = \"approve\"",
    );
    let study = Study::new(&spec);
    // Nobody could answer, and nobody needs to.
    let arguments = ["run", "study.toml", "--output-dir", "out", "--no-socket"];
    let output = study.autotuned(&arguments);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(study.planned().len(), 5);
    // N, and then MODE.
    assert_eq!(study.events_of("approval-asked").len(), 2);
    let given = study.events_of("approval-given");
    assert!(
        given.iter().all(|given| given["by"] == "timeout"),
        "{given:?}"
    );
}

#[test]
fn nobody_to_ask_is_said_before_anything_starts() {
    let study = Study::new(SPEC);
    let arguments = ["run", "study.toml", "--output-dir", "out", "--no-socket"];
    let output = study.autotuned(&arguments);
    assert_eq!(code(&output), 2, "{}", said(&output));
    assert!(
        said(&output).contains("nobody could approve"),
        "{}",
        said(&output)
    );
    assert!(study.events().is_empty());
    let spec = format!("{SPEC}\n[search]\nsampler = \"grid\"");
    let spec = spec.replace("approve = \"trial\"", "approve = \"parameter\"");
    study.write_spec(&spec);
    let output = study.autotuned(&["check", "study.toml"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let warned = "the sampler `grid` has no order of parameters";
    assert!(said(&output).contains(warned), "{}", said(&output));
}

#[test]
fn another_spec_takes_a_proposal_back() {
    let study = Study::new(SPEC);
    let mut daemon = stays(&study);
    proposed(&study, 1);
    good(&study, &["space", "remove", "N", "2"]);
    let proposal = proposed(&study, 2);
    assert_eq!(study.events_of("approval-withdrawn").len(), 1);
    assert_eq!(proposal["changes"][0]["to"], "3");
    // Without approval it goes on at once, to its end.
    study.write_spec(&SPEC.replace("approve = \"trial\"", "approve = \"never\""));
    good(&study, &["reload"]);
    study.await_events("done", 1);
    assert_eq!(study.planned().len(), 4);
    let nothing = refused(&study, &["approve"], 4);
    assert!(nothing.contains("nothing waits for approval"), "{nothing}");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// A terminal with a daemon on it, and what it has shown so far.
struct Terminal {
    typed: std::fs::File,
    shown: Arc<Mutex<String>>,
    daemon: Daemon,
}

impl Terminal {
    fn open(study: &Study) -> Option<Self> {
        let path = socket(study).display().to_string();
        let arguments = ["run", "study.toml", "-o", "out", "--socket", &path];
        let (terminal, child): (OwnedFd, _) = on_terminal(study, &arguments)?;
        let typed = std::fs::File::from(terminal.try_clone().expect("a copy"));
        let mut read = std::fs::File::from(terminal);
        let shown = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = read.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                kept.lock().expect("whole").push_str(&text);
            }
        });
        Some(Self {
            typed,
            shown,
            daemon: Daemon::of(child),
        })
    }

    fn shown(&self) -> String {
        self.shown.lock().expect("whole").clone()
    }

    /// How often the question was asked so far.
    fn asked(&self) -> usize {
        self.shown().matches("try it? [").count()
    }

    fn await_asked(&self, study: &Study, times: usize) {
        study.wait(&format!("question {times} in {}", self.shown()), || {
            self.asked() >= times
        });
    }

    fn await_shown(&self, study: &Study, text: &str) {
        study.wait(text, || self.shown().contains(text));
    }

    fn type_line(&mut self, text: &str) {
        self.typed.write_all(text.as_bytes()).expect("typed");
        self.typed.write_all(b"\n").expect("typed");
    }
}

#[test]
fn a_terminal_is_asked() {
    let study = Study::new(SPEC);
    std::fs::create_dir_all(study.path("runtime/autotune")).expect("a folder");
    let Some(mut terminal) = Terminal::open(&study) else {
        return;
    };
    terminal.await_asked(&study, 1);
    let shown = terminal.shown();
    assert!(
        shown.contains("proposal 1: N: 1 → 2, else as in trial 1"),
        "{shown}"
    );
    assert!(shown.contains("  n      end the study"), "{shown}");
    // What is no value is said, and asked again.
    terminal.type_line("9");
    terminal.await_asked(&study, 2);
    assert!(terminal.shown().contains("choose one of 1, 2, 3, 4"));
    terminal.type_line("y");
    terminal.await_asked(&study, 3);
    settled(&study, 2);
    assert!(
        terminal.shown().contains("  n      enough of N"),
        "{}",
        terminal.shown()
    );
    // Answered elsewhere, the question goes away and the next one comes.
    proposed(&study, 2);
    good(&study, &["approve", "2"]);
    terminal.await_asked(&study, 4);
    settled(&study, 3);
    assert_eq!(study.planned(), ["MODE=a N=1", "MODE=a N=2", "MODE=a N=3"]);
    terminal.type_line("n");
    study.await_events("approval-refused", 1);
    terminal.await_asked(&study, 5);
    assert_eq!(
        study.events_of("approval-refused")[0]["ends"]["parameter"],
        "N"
    );
    // The best has N=3. A bare value is another of the one that is tuned.
    terminal.type_line("q");
    assert_eq!(terminal.daemon.end(), 0, "{}", study.trace());
    terminal.await_shown(&study, "still waits for approval");

    // Started again, it asks the same, and the study can be ended.
    let Some(mut terminal) = Terminal::open(&study) else {
        return;
    };
    terminal.await_asked(&study, 1);
    let shown = terminal.shown();
    assert!(
        shown.contains("proposal 4: MODE: a → b, else as in trial 3"),
        "{shown}"
    );
    terminal.type_line("n");
    assert_eq!(terminal.daemon.end(), 0, "{}", study.trace());
    terminal.await_shown(&study, "a user ended it");
    assert_eq!(study.planned().len(), 3);
}

#[test]
fn what_was_typed_before_the_question_answers_nothing() {
    let spec = SPEC.replace("\"run\",", "\"run\", \"--gate\", \"{dir}gate-{{ N }}\",");
    let study = Study::new(&spec);
    std::fs::create_dir_all(study.path("runtime/autotune")).expect("a folder");
    let Some(mut terminal) = Terminal::open(&study) else {
        return;
    };
    study.await_gate("gate-1");
    terminal.type_line("y");
    study.open_gate("gate-1");
    terminal.await_asked(&study, 1);
    // It is still waited for after the next trial, which a user enqueues.
    good(&study, &["enqueue", "N=3"]);
    study.await_gate("gate-3");
    terminal.type_line("y");
    study.open_gate("gate-3");
    terminal.await_asked(&study, 2);
    assert_eq!(study.planned(), ["MODE=a N=1", "MODE=a N=3"]);
    terminal.daemon.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(terminal.daemon.end(), 130, "{}", study.trace());
    assert!(study.events_of("approval-given").is_empty());
}
