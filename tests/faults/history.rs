//! What is known from before a restart counts: faults 1 to 4.

use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;

use crate::support::{Study, key, said};

/// Each trial waits for the gate of its params, so that a test decides where a
/// daemon is interrupted.
fn groups(scores: &str) -> Study {
    Study::new(&format!(
        r#"
        [study]
        name = "groups"
        pass_env = ["PIDS"]
        [objective]
        maximize = "score"
        [host]
        fault_wait = "1ms"
        [space]
        A = ["1", "2", "3", "4", "5"]
        B = ["x", "y", "z"]
        C = ["p", "q"]
        [[step]]
        name = "serve"
        kind = "service"
        command = ["{{child}}", "serve", "--port", "{{port}}"]
        ready = {{ http = "http://127.0.0.1:{{port}}/" }}
        [[step]]
        name = "eval"
        kind = "measure"
        runs = 1
        command = ["{{child}}", "run", "--gate", "{{dir}}gate-{{{{ A }}}}-{{{{ B }}}}-{{{{ C }}}}",
                   "--print", "score={{{{ {scores} }}}}"]
        metrics.score = 'score=(\S+)'
        "#
    ))
}

/// The best of A is 2, of B it is y, of C it is p.
const BEST_EARLY: &str = "{'1': 10, '2': 50, '3': 20, '4': 30, '5': 40}[A] \
                          + {'x': 0, 'y': 1, 'z': -1}[B] + {'p': 0, 'q': -1}[C]";

/// Nothing is better than the baseline.
const BEST_FIRST: &str = "{'1': 100, '2': 5, '3': 4, '4': 3, '5': 2}[A] \
                          + {'x': 0, 'y': -9, 'z': -8}[B] + {'p': 0, 'q': -7}[C]";

fn open(study: &Study, keys: &[&str]) {
    for key in keys {
        study.open_gate(&format!("gate-{key}"));
    }
}

/// Opens these gates, and kills the daemon in the trial that waits behind.
fn run_until(study: &Study, keys: &[&str], trials: usize) {
    open(study, keys);
    let mut daemon = study.start();
    study.await_events("sitting-ended", trials);
    study.wait("the evaluator that waits", || is_waiting(study, trials + 1));
    daemon.kill();
}

/// Whether the newest trial's evaluator was started.
fn is_waiting(study: &Study, trial: usize) -> bool {
    study
        .events_of("step-started")
        .iter()
        .any(|step| step["trial"] == trial && step["step"] == "eval")
}

/// The reference forgot the trials that a resumed group skips: it chose A=5,
/// the best of those that ran after the restart.
#[test]
fn a_resumed_group_remembers_its_first_half() {
    let study = groups(BEST_EARLY);
    run_until(&study, &["1-x-p", "2-x-p", "3-x-p"], 3);
    open(&study, &["4-x-p", "5-x-p", "2-y-p", "2-z-p", "2-y-q"]);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    let expected = [
        "A=1 B=x C=p",
        "A=2 B=x C=p",
        "A=3 B=x C=p",
        "A=4 B=x C=p",
        "A=5 B=x C=p",
        "A=2 B=y C=p",
        "A=2 B=z C=p",
        "A=2 B=y C=q",
    ];
    assert_eq!(study.planned(), expected);
    assert_eq!(key(&study.best()), "A=2 B=y C=p");
}

/// The reference left the incumbent's own value out of each group, and so
/// replaced it by the best of the others, which was worse.
#[test]
fn the_incumbent_competes_in_every_group() {
    let study = groups(BEST_FIRST);
    run_until(&study, &["1-x-p", "2-x-p", "3-x-p", "4-x-p"], 4);
    // The second daemon is stopped in order, in the middle of the next group.
    open(&study, &["5-x-p", "1-y-p"]);
    let mut daemon = study.start();
    study.await_events("sitting-ended", 7);
    study.wait("the evaluator that waits", || is_waiting(&study, 7));
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    open(&study, &["1-z-p", "1-x-q"]);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    let expected = [
        "A=1 B=x C=p",
        "A=2 B=x C=p",
        "A=3 B=x C=p",
        "A=4 B=x C=p",
        "A=5 B=x C=p",
        "A=1 B=y C=p",
        "A=1 B=z C=p",
        "A=1 B=x C=q",
    ];
    assert_eq!(study.planned(), expected);
    assert_eq!(key(&study.best()), "A=1 B=x C=p");
}

/// The reference counted its trials from 1 again after a restart, and wrote
/// over the logs of the first ones.
#[test]
fn numbers_and_logs_go_on_after_a_restart() {
    let study = groups(BEST_EARLY);
    run_until(&study, &["1-x-p", "2-x-p"], 2);
    let log = |name: &str| std::fs::read(study.out("tune_server_logs").join(name));
    let logs = ["trial_00001.log", "trial_00001.eval.log", "trial_00002.log"];
    let before = logs.map(|name| log(name).expect("a log"));
    let rest = ["3-x-p", "4-x-p", "5-x-p", "2-y-p", "2-z-p", "2-y-q"];
    open(&study, &rest);
    assert_eq!(study.finish(), 0, "{}", study.trace());
    assert_eq!(logs.map(|name| log(name).expect("a log")), before);
    let results = study.results();
    let numbers: Vec<u64> = results
        .iter()
        .filter_map(|line| line["trial"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let mut names: Vec<&str> = results
        .iter()
        .filter_map(|line| line["server_log"].as_str())
        .collect();
    assert_eq!(names[2], "tune_server_logs/trial_00003.2.log");
    assert!(names.iter().all(|name| study.out(name).exists()));
    names.dedup();
    assert_eq!(names.len(), 8);
    // What the interrupted sitting had printed is still there.
    assert!(study.out("tune_server_logs/trial_00003.log").exists());
    let status: serde_json::Value =
        serde_json::from_slice(&std::fs::read(study.out("tune_status.json")).expect("a status"))
            .expect("JSON");
    assert_eq!(status["phase"], "done");
}

/// The reference forgot the best score at a restart, announced the next trial
/// as a new best whatever it was, and wrote it to best_params.json.
#[test]
fn an_old_best_is_not_news() {
    let study = groups(BEST_EARLY);
    run_until(&study, &["1-x-p", "2-x-p"], 2);
    assert_eq!(key(&study.best()), "A=2 B=x C=p");
    let stamp = || {
        let file = std::fs::metadata(study.out("best_params.json")).expect("best params");
        (file.ino(), file.mtime(), file.mtime_nsec())
    };
    let before = stamp();
    let first_log = study.log();
    // All that the second daemon tries is worse, up to B=y.
    open(&study, &["3-x-p", "4-x-p", "5-x-p"]);
    let mut daemon = study.start();
    study.await_events("sitting-ended", 6);
    study.wait("the evaluator that waits", || is_waiting(&study, 6));
    assert_eq!(stamp(), before, "best_params.json was written again");
    open(&study, &["2-y-p", "2-z-p", "2-y-q"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let log = study.log();
    let second = log.strip_prefix(&first_log).expect("appended");
    let news: Vec<&str> = second.lines().filter(|line| line.contains('★')).collect();
    assert_eq!(news.len(), 1, "{second}");
    assert!(
        news[0].contains("B=y") && news[0].ends_with("★ +2.0 %"),
        "{second}"
    );
    assert_ne!(stamp(), before);
    // And nothing at all is news to the third.
    let again = study.run();
    assert!(!said(&again).contains('★'), "{}", said(&again));
}
