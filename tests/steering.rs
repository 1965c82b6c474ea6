//! `autotunectl space` and `set` from end to end: the owner changes the spec
//! of a study of real processes while it runs.

mod support;

use nix::sys::signal::Signal::SIGHUP;
use support::control::{ctl, good, json, outcomes, refused};
use support::said::unfolded;
use support::{Daemon, Study, code, said};

/// Each run waits at a gate of its trial's own: `gate-N-MODE`.
const SPEC: &str = r#"
[study]
name = "steered"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[[constraint]]
metric = "score"
max = 100
[space]
N = [1, 2, 3]
MODE = ["a", "b"]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--gate", "{dir}gate-{{ N }}-{{ MODE }}", "--print", "score={{ N }}"]
metrics.score = 'score=(\S+)'
"#;

/// A daemon whose first trial, `N=1 MODE=a`, waits at its gate.
fn started(study: &Study) -> Daemon {
    let daemon = study.start();
    study.await_gate("gate-1-a");
    daemon
}

fn open(study: &Study, gates: &[&str]) {
    for gate in gates {
        study.open_gate(&format!("gate-{gate}"));
    }
}

fn stays(study: &Study) -> Daemon {
    study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"])
}

#[test]
fn a_space_is_changed_while_a_trial_runs_and_outlives_a_kill() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    let removed = good(&study, &["space", "remove", "N", "2"]);
    assert!(removed.contains("changed: N without 2"), "{removed}");
    assert!(
        removed.contains("trial 1 runs on as it was started"),
        "{removed}"
    );
    assert_eq!(
        good(&study, &["space", "remove", "N", "2"]),
        "it is so already\n"
    );
    let added = json(&study, &["space", "add", "N", "7"]);
    assert_eq!(added["changed"], true);
    assert_eq!(added["result"]["amended"]["running"], 1);
    good(&study, &["space", "order", "MODE"]);
    good(&study, &["space", "new", "CACHE", "[0, 64]", "--base", "0"]);
    daemon.kill();
    study.await_nothing_alive();

    let mut daemon = study.start();
    study.await_events("opened", 2);
    open(&study, &["1-a", "1-b", "3-b", "7-a", "7-b"]);
    study.await_gate("gate-3-a");
    // The order holds, what is out is out, and the first trial is known.
    let space = json(&study, &["space"]);
    let parameters = space["parameters"].as_array().expect("a list").iter();
    let names: Vec<&str> = parameters
        .map(|p| p["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["MODE", "N", "CACHE"]);
    let shown = good(&study, &["space"]);
    assert!(shown.contains("1, 3, 7"), "{shown}");
    assert!(shown.contains("* changed: N without 2"), "{shown}");
    assert!(
        study.log().contains("on top of the spec: N without 2"),
        "{}",
        study.log()
    );
    open(&study, &["3-a"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(
        study.planned(),
        [
            "MODE=a N=1",
            "CACHE=0 MODE=b N=1",
            "CACHE=0 MODE=a N=3",
            "CACHE=0 MODE=a N=7",
            "CACHE=64 MODE=a N=7",
        ]
    );
    // The steps got the new one.
    assert_eq!(study.best()["N"], "7");
    assert_eq!(study.best()["CACHE"], "0");
    let view = said(&study.autotuned(&["view", "out"]));
    assert!(view.contains("N without 2"), "{view}");
}

#[test]
fn a_threshold_moves_the_best_and_its_file() {
    let study = Study::new(SPEC);
    open(&study, &["1-a", "2-a", "3-a", "3-b"]);
    let mut daemon = stays(&study);
    study.await_events("done", 1);
    assert_eq!(study.best()["N"], "3");
    let best = |n: &str| {
        let path = study.out("best_params.json");
        study.wait("the file of the best", || {
            path.exists() && study.best()["N"] == n
        });
    };

    let lower = good(&study, &["set", "score.max=2.5"]);
    assert!(
        lower.contains("changed: constraint.score.max = 2.5"),
        "{lower}"
    );
    assert!(lower.contains("the best is now trial 2"), "{lower}");
    best("2");
    let status = json(&study, &["status"]);
    assert_eq!(status["amendments"][0], "constraint.score.max = 2.5");
    let status = good(&study, &["status"]);
    assert!(
        status.contains("constraint.score.max = 2.5, on top of the spec"),
        "{status}"
    );
    // What comes next is seen from the journal, with what was changed.
    let plan = said(&study.autotuned(&["plan", "study.toml", "--output-dir", "out"]));
    assert!(plan.contains("what comes next"), "{plan}");
    assert!(
        plan.contains("changed by autotunectl: constraint.score.max = 2.5"),
        "{plan}"
    );
    assert_eq!(
        outcomes(&study)[..3],
        ["complete", "complete", "infeasible"]
    );
    // From another best, there is more to try.
    open(&study, &["2-b"]);
    study.await_events("trial-planned", 5);
    study.await_events("done", 2);
    daemon.kill();

    let mut daemon = stays(&study);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    assert_eq!(outcomes(&study)[2], "infeasible");
    best("2");
    let none = good(&study, &["set", "score.max=0.5"]);
    assert!(
        none.contains("no trial so far keeps the constraints"),
        "{none}"
    );
    study.wait("no file", || !study.out("best_params.json").exists());
    assert!(study.out("best_params.json.old-1").exists());
    let settings = good(&study, &["set"]);
    assert!(
        settings.contains("constraint.score.max *       0.5"),
        "{settings}"
    );
    let back = good(&study, &["set", "--reset"]);
    assert!(
        back.contains("taken back: constraint.score.max = 0.5"),
        "{back}"
    );
    best("3");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

/// The best trial is measured further, and nothing else was: nothing is the
/// best meanwhile, and yet its values are not known to be bad.
#[test]
fn the_file_of_the_best_goes_only_when_that_misses_a_constraint() {
    let spec = SPEC
        .replace("N = [1, 2, 3]", "N = [1]")
        .replace("MODE = [\"a\", \"b\"]\n", "")
        .replace("gate-{{ N }}-{{ MODE }}", "gate-{{ run }}");
    let study = Study::new(&spec);
    let kept = study.out("best_params.json.old-1");
    study.open_gate("gate-1");
    let mut daemon = stays(&study);
    study.await_events("done", 1);
    good(&study, &["set", "step.eval.runs=2"]);
    good(&study, &["retry", "1"]);
    study.await_gate("gate-2");
    refused(&study, &["best"], 4);
    good(&study, &["set", "budget.trials=50"]);
    study.open_gate("gate-2");
    study.await_events("done", 2);
    good(&study, &["best"]);
    good(&study, &["set", "step.eval.runs=3"]);
    good(&study, &["retry", "1"]);
    study.await_gate("gate-3");
    good(&study, &["set", "score.max=0.5"]);
    assert_eq!(study.best()["N"], "1");
    assert!(!kept.exists(), "it was set aside while it was measured");
    study.open_gate("gate-3");
    study.wait("no file", || !study.out("best_params.json").exists());
    assert!(kept.exists());
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn runs_are_for_what_starts_later_and_retry_gives_them_to_the_rest() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    good(&study, &["set", "eval.runs=2"]);
    let status = json(&study, &["status"]);
    assert_eq!(status["running"]["runs_all"], 1, "as it was started");
    open(&study, &["1-a"]);
    study.await_gate("gate-2-a");
    assert_eq!(json(&study, &["status"])["running"]["runs_all"], 2);
    assert_eq!(study.events_of("run-ended").len(), 1);
    assert_eq!(study.events_of("sitting-started").len(), 2);
    good(&study, &["retry", "1"]);
    open(&study, &["2-a", "3-a", "3-b"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let runs = study.events_of("run-ended");
    for trial in 1..=4 {
        let own = runs.iter().filter(|run| run["trial"] == trial);
        assert_eq!(own.count(), 2, "trial {trial}");
    }
}

#[test]
fn a_budget_ends_a_study_and_lets_it_go_on() {
    let study = Study::new(SPEC);
    let mut daemon = stays(&study);
    study.await_gate("gate-1-a");
    let lower = good(&study, &["set", "budget.trials=1"]);
    assert!(lower.contains("trial 1 runs on"), "{lower}");
    open(&study, &["1-a", "2-a", "3-a", "3-b"]);
    study.await_events("done", 1);
    assert_eq!(study.planned().len(), 1);
    let more = good(&study, &["set", "budget.trials=2"]);
    assert!(more.contains("the study was done"), "{more}");
    study.await_events("done", 2);
    assert_eq!(study.planned().len(), 2);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
    // Without a daemon: the file says no more than the change lets it.
    assert_eq!(code(&study.run()), 0);
    assert_eq!(study.planned().len(), 2);
    let mut daemon = stays(&study);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let back = good(&study, &["set", "--reset", "trials"]);
    assert!(back.contains("taken back: budget.trials = 2"), "{back}");
    study.await_events("trial-planned", 4);
    good(&study, &["wait", "--for", "done", "--timeout", "60s"]);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn what_was_planned_before_is_tried_and_the_best_competes() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    good(&study, &["enqueue", "N=3"]);
    good(&study, &["enqueue", "N=2", "MODE=b"]);
    let removed = good(&study, &["space", "remove", "N", "3"]);
    assert!(
        removed.contains("trial 2 was planned before and is tried all the same"),
        "{removed}"
    );
    assert!(refused(&study, &["enqueue", "N=3", "MODE=b"], 4).contains("`3` is not allowed"));
    open(&study, &["1-a", "3-a"]);
    study.await_gate("gate-2-b");
    let removed = good(&study, &["space", "set", "MODE", "[\"a\"]"]);
    assert!(
        removed.contains("trial 2, the best, has values that are not tried"),
        "{removed}"
    );
    open(&study, &["2-b", "2-a"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(
        study.planned(),
        ["MODE=a N=1", "MODE=a N=3", "MODE=b N=2", "MODE=a N=2"]
    );
    assert_eq!(study.best()["N"], "3");
}

#[test]
fn a_change_that_the_edited_spec_does_not_fit_is_ignored_and_kept() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    good(&study, &["space", "remove", "N", "2"]);
    good(&study, &["space", "remove", "MODE", "b"]);
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    let edited = SPEC
        .replace("N = [1, 2, 3]", "N = { int = [1, 3] }")
        .replace("[space]", "[base]\nN = 1\n[space]");
    study.write_spec(&edited);
    open(&study, &["1-a", "2-a", "3-a"]);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        unfolded(&said(&output))
            .contains("N without 2: `N` is a range, not a list of values, ignoring it"),
        "{}",
        said(&output)
    );
    assert!(
        !study
            .planned()
            .iter()
            .any(|params| params.contains("MODE=b"))
    );
    let mut daemon = stays(&study);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let space = good(&study, &["space"]);
    assert!(
        space.contains("does not fit the spec any more, ignored: N without"),
        "{space}"
    );
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn wrong_changes_change_nothing() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    for (arguments, expected) in [
        (&["space", "add", "M", "1"][..], "there is no parameter `M`"),
        (&["space", "remove", "N", "1"], "`1` is where `N` starts"),
        (&["set", "eval.runs=0"], "a whole number from 1 to 1000"),
        (
            &["set", "budget.trials=5", "budget.runs=x"],
            "`budget.runs` takes",
        ),
    ] {
        let said = refused(&study, arguments, 4);
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(code(&ctl(&study, &["set", "trials"])), 2);
    assert_eq!(code(&ctl(&study, &["space", "add", "N"])), 2);
    assert_eq!(study.events_of("spec-amended").len(), 0);
    good(&study, &["stop", "--now"]);
    assert_eq!(daemon.end(), 0);
    study.await_nothing_alive();
}

/// Where there is no terminal, SIGHUP does the same, for whoever it reaches; the
/// answer is said by the daemon.
#[test]
fn a_hangup_without_a_terminal_reloads() {
    let study = Study::new(SPEC);
    let run = ["run", "study.toml", "--output-dir", "out"];
    let command = support::without_terminal(&study.command(&run));
    let mut daemon = study.start_command(command);
    study.await_gate("gate-1-a");
    let hang_up = |daemon: &Daemon| {
        let runner = nix::unistd::Pid::from_raw(study.runner_pid());
        nix::sys::signal::kill(runner, SIGHUP).expect("it is alive");
        daemon.signal(SIGHUP);
    };
    let await_log = |words: &str| study.wait(words, || study.log().contains(words));
    hang_up(&daemon);
    await_log("the spec says what it said");
    study.write_spec(&SPEC.replace("maximize", "maximise"));
    hang_up(&daemon);
    await_log("the spec has mistakes, keeping the old spec:\n");
    await_log("study.toml:6:1");
    study.write_spec(&SPEC.replace("\"steered\"", "\"another\""));
    hang_up(&daemon);
    await_log("[study] name cannot change without a restart, keeping the old spec");
    assert_eq!(study.events_of("spec-reloaded").len(), 0);
    study.write_spec(&SPEC.replace("N = [1, 2, 3]", "N = [1]"));
    hang_up(&daemon);
    study.await_events("spec-reloaded", 1);
    await_log("the spec was read again");
    open(&study, &["1-a", "1-b"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.planned(), ["MODE=a N=1", "MODE=b N=1"]);
    // Nothing was interrupted by it.
    assert_eq!(study.events_of("sitting-started").len(), 2);
}

#[test]
fn an_edited_spec_is_taken_over_without_a_restart() {
    let study = Study::new(SPEC);
    let mut daemon = started(&study);
    assert_eq!(good(&study, &["reload"]), "the spec says what it said\n");
    // A mistake is told, and the old spec stays.
    study.write_spec(&SPEC.replace("maximize", "maximise"));
    let wrong = refused(&study, &["reload"], 4);
    assert!(wrong.contains("keeping the old spec"), "{wrong}");
    assert!(wrong.contains("study.toml:6:1"), "{wrong}");
    study.write_spec(&SPEC.replace("\"steered\"", "\"another\""));
    let fixed = refused(&study, &["reload"], 4);
    assert!(
        fixed.contains("[study] name cannot change while"),
        "{fixed}"
    );
    // What users changed stays, where it still fits.
    good(&study, &["space", "remove", "N", "3"]);
    good(&study, &["set", "max=50"]);
    let edited = SPEC
        .replace("N = [1, 2, 3]", "N = [1, 3, 4]")
        .replace("\n[space]", "\n[search]\nracing = false\n[space]")
        .replace("MODE = [\"a\", \"b\"]", "MODE = [\"a\"]");
    study.write_spec(&edited);
    let said = good(&study, &["reload", "--wait"]);
    assert!(said.contains("trial 1 runs on as it was started"), "{said}");
    assert_eq!(study.events_of("spec-reloaded").len(), 1);
    study.wait("the copy", || {
        std::fs::read_to_string(study.out("spec.toml")).is_ok_and(|copy| copy.contains("4]"))
    });
    open(&study, &["1-a", "4-a"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(study.planned(), ["MODE=a N=1", "MODE=a N=4"]);
    // The next start finds nothing else to do.
    let mut daemon = stays(&study);
    study.wait("an answer", || code(&ctl(&study, &["ping"])) == 0);
    assert_eq!(study.planned().len(), 2);
    let settings = good(&study, &["set"]);
    assert!(settings.contains("50"), "{settings}");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}
