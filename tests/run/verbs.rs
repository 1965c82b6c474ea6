//! What each verb says, starts and leaves, as its user meets it.

use insta::assert_snapshot;

use crate::support::{Study, code, said};
use crate::{redacted, simple};

/// Values that are better, worse, infeasible and failing.
const SHOW: &str = r#"
[study]
name = "show"
pass_env = ["PIDS"]
[objective]
maximize = "tps"
[[constraint]]
metric = "accuracy"
min = 0.88

[search]
racing = false
[space]
BATCH = [1, 8, 32, 128]
DTYPE = ["f16", "f32", "bf16"]

[[step]]
name = "serve"
kind = "service"
command = ["sh", "-c", '''
    [ $DTYPE != bf16 ] || { echo 'ValueError: Bfloat16 is only supported on newer GPUs'; exit 1; }
    exec {child} serve --port {port}''']
ready = { http = "http://127.0.0.1:{port}/" }
[[step]]
name = "eval"
kind = "measure"
runs = 3
command = ["{child}", "run", "--gate", "gate-{{ BATCH }}", "--print",
    "tps={{ {'1': 100, '8': 160, '32': 240, '128': 300}[BATCH] + (run | int) - (30 if DTYPE == 'f32' else 0) }}",
    "--print", "accuracy={{ 0.8 if BATCH == '128' else 0.9 }}"]
[step.metrics]
tps = 'tps=(\S+)'
accuracy = 'accuracy=(\S+)'
"#;

fn open_all(study: &Study) {
    for batch in [1, 8, 32, 128] {
        study.open_gate(&format!("gate-{batch}"));
    }
}

#[test]
fn run_says_what_it_found() {
    let study = Study::new(SHOW);
    open_all(&study);
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let first = redacted(&study, &said(&output));
    // What this host lacks is told first.
    let begun = first.find("study show").expect("a heading");
    let first = &first[begun..];
    assert!(
        first
            .lines()
            .all(|line| line.chars().count() <= 80 || line.contains("DIR")),
        "{first}"
    );
    assert_snapshot!("run", first);
    assert_snapshot!("run_again", redacted(&study, &said(&study.run())));
    let view = study.autotuned(&["view", "out"]);
    assert_eq!(code(&view), 0);
    assert_snapshot!("view", redacted(&study, &said(&view)));
}

#[test]
fn view_looks_at_a_study_while_it_runs() {
    let study = Study::new(SHOW);
    let empty = study.autotuned(&["view", "out"]);
    assert_eq!(code(&empty), 4, "{}", said(&empty));
    study.open_gate("gate-1");
    let mut daemon = study.start();
    study.wait("the second trial's run", || {
        let steps = study.events_of("step-started");
        steps
            .iter()
            .any(|step| step["trial"] == 2 && step["step"] == "eval")
    });
    let view = study.autotuned(&["view", "out"]);
    assert_eq!(code(&view), 0, "{}", said(&view));
    assert_snapshot!("view_while_it_runs", redacted(&study, &said(&view)));
    // Nor may a second daemon come in.
    let second = study.run();
    assert_eq!(code(&second), 4);
    let holder = format!("is in use by process {}", daemon.pid());
    assert!(said(&second).contains(&holder), "{}", said(&second));
    open_all(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn check_says_everything_at_once() {
    let bad = SHOW
        .replace("maximize = \"tps\"", "maximise = \"tps\"")
        .replace("min = 0.88", "min = \"0,88\"")
        .replace("BATCH = [1, 8, 32, 128]", "BATCH = []")
        .replace("ready = {", "redy = {")
        .replace("kind = \"measure\"", "kind = \"mesure\"")
        .replace("accuracy=(\\S+)", "accuracy=(\\S+");
    let study = Study::new(&bad);
    let output = study.autotuned(&["check", "study.toml"]);
    assert_eq!(code(&output), 3);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_snapshot!("check", redacted(&study, &said(&output)));
    // The other verbs refuse it in the same words.
    for verb in ["run", "plan", "try"] {
        let refused = study.autotuned(&[verb, "study.toml"]);
        assert_eq!(
            (code(&refused), said(&refused)),
            (3, said(&output)),
            "{verb}"
        );
    }

    let missing = study.autotuned(&["check", "none.toml"]);
    assert_eq!(code(&missing), 3);
    assert_snapshot!(said(&missing), @r"
    error: there is no spec at none.toml: write one there, or give the path of another
    `autotuned demo --dir DIR` leaves one in DIR to begin with
    ");
    let good = Study::new(SHOW);
    let output = good.autotuned(&["check", "study.toml"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_snapshot!(said(&output), @"good: study `show`, 2 parameters, 2 steps, 3 runs a trial");
}

#[test]
fn check_looks_at_this_machine_too() {
    let study = simple(
        "[space]\nN = [1, 2]\n",
        r#"["autotune-no-such-program", "--all"]"#,
    );
    let output = study.autotuned(&["check", "study.toml"]);
    assert_eq!(code(&output), 3);
    assert_snapshot!(
        redacted(&study, &said(&output)),
        @r"
    error: `command` of the step `eval`: no folder of PATH has the program
      autotune-no-such-program: install it, or write its whole path
    "
    );
    let alone = study.autotuned(&["check", "study.toml", "--no-host"]);
    assert_eq!(code(&alone), 0, "{}", said(&alone));
    // A study is not begun on a machine that cannot do it.
    assert_eq!(code(&study.run()), 3);
    assert!(!study.out("").exists());
}

#[test]
fn plan_goes_on_from_the_journal() {
    let sections =
        "[search]\nsampler = \"grid\"\n[budget]\ntrials = 2\n[space]\nN = [1, 2, 3, 4]\n";
    let command = r#"["{child}", "run", "--print", "score={{ N }}"]"#;
    let study = simple(sections, command);
    assert_eq!(code(&study.run()), 0);
    let plan = || said(&study.autotuned(&["plan", "study.toml", "-o", "out"]));
    let done = plan();
    assert!(
        done.contains("after 2 trials; done: the budget of 2 trials"),
        "{done}"
    );
    assert!(done.contains("nothing: the budget is used up"), "{done}");
    let larger = sections.replace("trials = 2", "trials = 3");
    study.write_spec(&super::spec(&larger, command));
    let next = plan();
    assert!(next.contains("what comes next\n   3  N=3\n"), "{next}");
    assert!(!next.contains("N=4\n"), "{next}");
    // Another study's journal is none of this one.
    study.write_spec(&super::spec(sections, command).replace("\"simple\"", "\"other\""));
    let other = study.autotuned(&["plan", "study.toml", "-o", "out"]);
    assert_eq!(code(&other), 4, "{}", said(&other));
}

#[test]
fn plan_shows_and_starts_nothing() {
    let spec = SHOW.replace(
        "[space]\n",
        r#"
[budget]
trials = 20
wall = "2h"
[[rule]]
require = "MODE == 'full' or BATCH < 128"
[space]
MODE = ["full", "lora"]
RANK = { int = [4, 64], log = true, when = "MODE == 'lora'" }
RATE = { float = [1e-5, 1e-3], log = true }
"#,
    );
    let study = Study::new(&spec);
    let mut command = study.command(&["plan", "study.toml", "--first", "6"]);
    command
        .env("XDG_STATE_HOME", study.path("state"))
        .env("HOME", study.path("home"));
    let output = command.output().expect("the plan");
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_snapshot!("plan", redacted(&study, &said(&output)));
    let names = std::fs::read_dir(study.path(""))
        .expect("the folder")
        .count();
    assert_eq!(
        (names, study.pids()),
        (1, Vec::new()),
        "only the spec is there"
    );
}

#[test]
fn try_does_one_trial_and_records_nothing() {
    let study = Study::new(SHOW);
    open_all(&study);
    let state = study.path("state");
    let attempt = |arguments: &[&str]| {
        let mut command = study.command(&["try", "study.toml"]);
        command
            .args(arguments)
            .env("XDG_STATE_HOME", &state)
            .env("TMPDIR", study.path("tmp"));
        let output = command.output().expect("the trial");
        // No run leaves anything, wherever it might have been.
        assert_eq!(study.alive(), Vec::<i32>::new());
        let left = std::fs::read_dir(study.path("tmp"))
            .expect("the folder")
            .count();
        assert_eq!(
            (left, state.exists(), study.out("").exists()),
            (0, false, false)
        );
        output
    };
    std::fs::create_dir(study.path("tmp")).expect("a folder");
    let good = attempt(&["BATCH=32", "DTYPE=f32"]);
    assert_eq!(code(&good), 0, "{}", said(&good));
    assert_snapshot!(
        "try",
        redacted(&study, &String::from_utf8_lossy(&good.stdout))
    );
    let infeasible = attempt(&["BATCH=128"]);
    assert_eq!(code(&infeasible), 0, "{}", said(&infeasible));
    assert!(
        said(&infeasible).contains("infeasible: accuracy ≥ 0.88 does not hold"),
        "{}",
        said(&infeasible)
    );
    let failed = attempt(&["DTYPE=bf16"]);
    assert_eq!(code(&failed), 7, "{}", said(&failed));
    assert_snapshot!(
        "try_failed",
        redacted(&study, &String::from_utf8_lossy(&failed.stdout))
    );
    // Its output went to standard error.
    let output = String::from_utf8_lossy(&failed.stderr);
    assert!(output.contains("Bfloat16 is only supported"), "{output}");
    for (arguments, expected) in [
        (["BATCH=7"], "BATCH"),
        (["BATSH=8"], "BATSH"),
        (["BATCH"], "NAME=VALUE"),
    ] {
        let wrong = attempt(&arguments);
        assert_eq!(code(&wrong), 2, "{}", said(&wrong));
        assert!(said(&wrong).contains(expected), "{}", said(&wrong));
    }
}

/// The output is there while the program still runs.
#[test]
fn try_shows_the_output_live() {
    let command = r#"["sh", "-c", "echo loading; until [ -e {dir}gate ]; do sleep 0.01; done; echo score=1"]"#;
    let study = simple("[space]\nN = [1, 2]\n", command);
    let mut attempt = study.start_verb(&["try", "study.toml"]);
    study.wait("the first line", || study.log().contains("loading\n"));
    assert!(!study.log().contains("score=1"));
    study.open_gate("gate");
    assert_eq!(attempt.end(), 0, "{}", study.log());
    assert!(study.log().contains("score=1"));
}

#[test]
fn try_can_be_stopped() {
    let study = simple(
        "[space]\nN = [1, 2]\n",
        r#"["{child}", "run", "--leave", "--gate", "{dir}never"]"#,
    );
    // What it leaves ignores SIGTERM.
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("runs = 2", "runs = 2\nstop_grace = \"100ms\""));
    for (signal, expected) in [
        (nix::sys::signal::Signal::SIGINT, 130),
        (nix::sys::signal::Signal::SIGTERM, 0),
    ] {
        let before = study.pids().len();
        let mut attempt = study.start_verb(&["try", "study.toml"]);
        study.wait("its processes", || study.pids().len() == before + 2);
        attempt.signal(signal);
        assert_eq!(attempt.end(), expected, "{}", study.log());
        assert!(
            study.log().contains("nothing of the trial is left running"),
            "{}",
            study.log()
        );
        assert_eq!(study.alive(), Vec::<i32>::new());
    }
}

/// A small part of it: in a debug build all of it takes long.
#[test]
fn demo_tunes_a_real_server() {
    let study = Study::new("");
    let results = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(study.path("demo/study/tune_results.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap_or_default()
    };
    let start = || {
        let size = [
            ("DEMO_VECTORS", "600"),
            ("DEMO_QUERIES", "20"),
            ("DEMO_EVAL_SECONDS", "0.01"),
        ];
        study.start_with(&["demo", "--dir", "demo"], &size)
    };
    let mut demo = start();
    study.wait("two trials", || results().len() >= 2);
    demo.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(demo.end(), 130, "{}", study.log());
    // What it says to go on with is what does.
    let folder = study.path("demo");
    let command = format!("goes on: autotuned demo --dir {}", folder.display());
    assert!(study.log().contains(&command), "{}", study.log());
    let first = results();
    let mut demo = start();
    study.wait("another trial", || results().len() > first.len());
    demo.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(demo.end(), 0, "{}", study.log());

    let lines = results();
    assert_eq!(lines[..first.len()], first);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["trial"], index + 1);
        let pruned = line["status"] == "partial" && line["pruned"] == true;
        assert!(pruned || line["status"] == "ok", "{line}");
        for metric in ["avg_recall", "avg_qps", "avg_p99_ms", "avg_memory_mib"] {
            assert!(
                line[metric].as_f64().is_some_and(|mean| mean > 0.0),
                "{line}"
            );
        }
    }
    // The size of the data set has reached the server.
    let log = std::fs::read_to_string(folder.join("study/tune_server_logs/trial_00001.log"));
    let log = log.expect("a log");
    assert!(log.contains("600 vectors"), "{log}");
}
