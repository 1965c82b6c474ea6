//! Racing from end to end: real runs, a real daemon, and its death at the
//! worst moment.

mod support;

use serde_json::{Value as Json, json};
use support::control::good;
use support::{Study, code, said};

/// Three values, of which the second is hopeless from its first run on and the
/// third is the best. Each run waits at a gate of its own: `gate-N-RUN`.
const SPEC: &str = r#"
[study]
name = "raced"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[[constraint]]
metric = "quality"
min = 0.5
[search]
sampler = "coordinate"
racing = true
[space]
N = [1, 2, 3]
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--term-gate", "{dir}term-{{ N }}"]
ready = { http = "http://127.0.0.1:{port}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 4
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}-{{ run }}",
    "--print", "score={{ {'1': 100, '2': 50, '3': 120}[N] + (run | int) / 10 }}",
    "--print", "quality=0.9"]
[step.metrics]
score = 'score=(\S+)'
quality = 'quality=(\S+)'
"#;

fn open_runs(study: &Study, value: u32) {
    (1..=4).for_each(|run| study.open_gate(&format!("gate-{value}-{run}")));
}

/// Lets the first run of a value pass, and its service end. The next run waits,
/// however late the word comes that the trial is put off.
fn open_first(study: &Study, value: u32) {
    study.open_gate(&format!("gate-{value}-1"));
    study.open_gate(&format!("term-{value}"));
}

/// Lets all runs of a value pass once so many sittings are over.
fn open_after(study: &Study, sittings: usize, value: u32) {
    study.await_events("sitting-ended", sittings);
    open_runs(study, value);
}

/// The first runs pass, but for that of the second value.
fn study() -> Study {
    let study = Study::new(SPEC);
    open_first(&study, 1);
    open_first(&study, 3);
    study
}

fn runs_of(study: &Study, trial: u32) -> Vec<Json> {
    let runs = study.events_of("run-ended").into_iter();
    let runs = runs.filter(|run| run["trial"] == trial);
    runs.map(|run| run["run"].clone()).collect()
}

fn ends(study: &Study) -> Vec<Json> {
    let ends = study.events_of("sitting-ended").into_iter();
    ends.map(|end| end["end"].clone()).collect()
}

fn deferred(study: &Study) -> Vec<Json> {
    let deferred = study.events_of("trial-deferred").into_iter();
    deferred.map(|event| event["trial"].clone()).collect()
}

/// A text as if its lines had not been broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The baseline, the best, the hopeless one, and the baseline again.
const ENDS: [&str; 4] = ["complete", "complete", "pruned", "complete"];

const WHY: &str = "after 1 of 4 runs score is 50.1, trial 2 has 120.2: chance to win below 1 %";

/// Starts the study so that its second trial is the best value, with all its
/// runs since a user wants it: that shows how much runs vary.
fn start_with_the_best(study: &Study) -> support::Daemon {
    std::fs::remove_file(study.path("gate-1-1")).expect("an open gate");
    let daemon = study.start();
    study.await_gate("gate-1-1");
    good(study, &["enqueue", "N=3"]);
    open_runs(study, 3);
    study.open_gate("gate-1-1");
    open_after(study, 1, 1);
    daemon
}

#[test]
fn a_hopeless_trial_is_pruned_and_measured_again_when_a_user_wants_it() {
    let study = study();
    study.open_gate("gate-2-1");
    study.open_gate("term-2");
    let plan = said(&study.autotuned(&["plan", "study.toml"]));
    assert!(
        plan.contains("12 runs that count or fewer by racing"),
        "{plan}"
    );
    let mut daemon = start_with_the_best(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    // The baseline gets its other runs last.
    assert_eq!(ends(&study), ENDS);
    assert_eq!(deferred(&study), [1]);
    assert_eq!(runs_of(&study, 1), [1, 2, 3, 4]);
    assert_eq!(runs_of(&study, 3), [1]);
    assert_eq!(study.best(), json!({"N": "3"}));
    let line = &study.results()[2];
    assert_eq!(line["status"], "partial");
    assert_eq!(
        (&line["pruned"], &line["eval_ok_n"]),
        (&json!(true), &json!(1))
    );
    let view = said(&study.autotuned(&["view", "out"]));
    assert!(flat(&view).contains("racing saved 3 of 12 runs"), "{view}");
    assert!(flat(&view).contains(WHY), "{view}");

    // It is settled: another start does not repeat it.
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("opened", 2);
    study.wait("the socket", || {
        study.path("runtime/autotune/control.sock").exists()
    });
    let show = good(&study, &["show", "3"]);
    assert!(flat(&show).contains(&format!("pruned: {WHY}")), "{show}");
    assert!(
        show.lines()
            .all(|line| line.chars().count() <= 80 || line.contains('/')),
        "{show}"
    );
    let shown: Json = serde_json::from_str(&good(&study, &["show", "3", "--json"])).expect("JSON");
    assert_eq!(
        (&shown["pruning"]["rival"], &shown["pruning"]["of"]),
        (&json!(2), &json!(4))
    );
    let status = good(&study, &["status"]);
    assert!(
        flat(&status).contains("racing saved 3 of 12 runs"),
        "{status}"
    );
    assert!(good(&study, &["trials", "--outcome", "pruned"]).contains("N=2"));
    assert_eq!(study.events_of("sitting-started").len(), 4);

    // Whoever measures it again wants all its runs, and the first one counts.
    good(&study, &["retry", "3"]);
    open_runs(&study, 2);
    good(&study, &["wait", "--for", "trial=3", "--timeout", "60s"]);
    assert_eq!(ends(&study)[4], "complete");
    assert_eq!(runs_of(&study, 3), [1, 2, 3, 4]);
    assert!(
        !good(&study, &["status"]).contains("racing"),
        "nothing was saved"
    );
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// The daemon dies when a trial is to be left at its first run and has not
/// ended: it comes out by that run, and is taken up once.
#[test]
fn a_kill_while_a_trial_is_put_off_changes_nothing() {
    let study = study();
    open_first(&study, 2);
    std::fs::remove_file(study.path("term-3")).expect("an open gate");
    let mut daemon = study.start();
    // The service has the signal to end, and does not.
    study.await_gate("term-3");
    assert_eq!(deferred(&study), [1, 2, 3]);
    assert_eq!(ends(&study).len(), 2);
    daemon.kill();
    study.open_gate("term-3");
    open_runs(&study, 1);
    open_runs(&study, 3);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    // The best and the baseline got the others.
    assert_eq!(ends(&study), ["complete"; 5]);
    assert_eq!(deferred(&study), [1, 2, 3]);
    let runs = [1, 2, 3].map(|trial| runs_of(&study, trial).len());
    assert_eq!(runs, [4, 1, 4]);
    assert_eq!(study.best(), json!({"N": "3"}));
    assert_eq!(study.alive(), [0; 0]);
}

/// A budget that is used up leaves no lucky run as the best.
#[test]
fn what_leads_is_confirmed_before_the_study_is_done() {
    let spec = SPEC.replace("[space]", "[budget]\ntrials = 2\n[space]");
    let study = Study::new(&spec.replace("[1, 2, 3]", "[1, 3]"));
    open_first(&study, 1);
    open_first(&study, 3);
    let mut daemon = study.start();
    open_after(&study, 1, 1);
    open_after(&study, 2, 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(study.log().contains("the budget of 2 trials is used up"));
    assert_eq!(ends(&study), ["complete"; 4]);
    assert_eq!(runs_of(&study, 2), [1, 2, 3, 4]);
    assert_eq!(study.best(), json!({"N": "3"}));
}

/// The daemon dies when the trial is to end and has not ended: the next one
/// comes to the same outcome, and repeats nothing.
#[test]
fn a_kill_between_the_decision_and_the_end_changes_nothing() {
    let study = study();
    study.open_gate("gate-2-1");
    let mut daemon = start_with_the_best(&study);
    study.await_events("trial-pruned", 1);
    // The service has the signal to end, and does not.
    study.await_gate("term-2");
    assert_eq!(ends(&study).len(), 2);
    daemon.kill();
    study.open_gate("term-2");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_eq!(ends(&study), ENDS);
    assert_eq!(runs_of(&study, 3), [1]);
    assert_eq!(study.events_of("trial-pruned").len(), 1);
    assert_eq!(study.results()[2]["pruned"], true);
    assert_eq!(study.alive(), [0; 0]);
}

#[test]
fn what_a_user_enqueues_and_what_does_not_race_has_all_its_runs() {
    let study = Study::new(&SPEC.replace("racing = true", "racing = false"));
    for value in 1..=3 {
        open_runs(&study, value);
        study.open_gate(&format!("term-{value}"));
    }
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(ends(&study), ["complete"; 3]);
    assert_eq!(study.events_of("run-ended").len(), 12);

    let study = self::study();
    open_runs(&study, 2);
    study.open_gate("term-2");
    std::fs::remove_file(study.path("gate-1-1")).expect("an open gate");
    let mut daemon = study.start();
    study.await_gate("gate-1-1");
    good(&study, &["enqueue", "N=2"]);
    study.open_gate("gate-1-1");
    open_after(&study, 1, 1);
    open_after(&study, 3, 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(deferred(&study), [1, 3]);
    assert_eq!(ends(&study), ["complete"; 5]);
    assert_eq!(runs_of(&study, 2).len(), 4);
}
