//! The examples, so that they do not rot: their specs hold here, their scripts
//! parse, and what their evaluators print is what their specs read.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Study, code, said};

fn example(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("examples/llama-cpp").join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn spec() -> toml::Table {
    text(&example("autotune.toml")).parse().expect("a spec")
}

/// The patterns that the spec reads the evaluator's output by.
fn patterns() -> toml::Table {
    let spec = spec();
    let steps = spec["step"].as_array().expect("steps");
    let eval = steps
        .iter()
        .find(|step| step["name"].as_str() == Some("eval"));
    let metrics = eval.expect("the step eval")["metrics"].as_table();
    metrics.expect("its metrics").clone()
}

/// Whether there is a Python, which the evaluator needs and the tests do not.
fn has_python() -> bool {
    let python = Command::new("python3").arg("--version").output();
    python.is_ok_and(|output| output.status.success())
}

/// What the spec's patterns find in the output of a command.
fn metrics_of(command: &[String], env: toml::Table) -> serde_json::Value {
    let mut study = toml::toml! {
        [study]
        name = "patterns"
        [objective]
        maximize = "total_tps"
        [space]
        A = [1]
        [budget]
        trials = 1
    };
    let mut eval = toml::Table::new();
    eval.insert("name".into(), "eval".into());
    eval.insert("kind".into(), "measure".into());
    eval.insert("runs".into(), 1.into());
    eval.insert("command".into(), command.to_vec().into());
    eval.insert("env".into(), env.into());
    eval.insert("metrics".into(), patterns().into());
    study.insert("step".into(), vec![eval].into());
    let study = Study::new(&toml::to_string(&study).expect("a spec"));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let runs = study.events_of("run-ended");
    assert_eq!(runs.len(), 1, "{}", study.trace());
    runs[0]["metrics"].clone()
}

#[test]
fn the_spec_holds_in_a_checkout() {
    let spec = example("autotune.toml").display().to_string();
    let study = Study::new("");
    let mut check = vec!["check", &spec];
    check.extend((!has_python()).then_some("--no-host"));
    let check = study.autotuned(&check);
    assert_eq!(code(&check), 0, "{}", said(&check));
    assert_eq!(String::from_utf8_lossy(&check.stderr), "");
    let plan = study.autotuned(&["plan", &spec]);
    assert!(said(&plan).contains("TYPE_V=q8_0"), "{}", said(&plan));
}

/// A refusal of the server that the README promises, and the way to it.
#[test]
fn without_its_model_the_server_says_what_to_do() {
    let study = Study::new("");
    for name in ["run_model.sh", "server.py"] {
        std::fs::copy(example(name), study.path(name)).expect("a copy");
    }
    let output = Command::new("bash")
        .arg(study.path("run_model.sh"))
        .output()
        .expect("bash");
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(
        said(&output).contains("setup.sh first"),
        "{}",
        said(&output)
    );
}

#[test]
fn scripts_parse() {
    for name in ["setup.sh", "run_model.sh"] {
        let path = example(name);
        let output = Command::new("bash")
            .arg("-n")
            .arg(&path)
            .output()
            .expect("bash");
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn the_spec_reads_what_the_evaluator_printed() {
    let recorded = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/llama-cpp/eval.log"
    );
    let found = metrics_of(&["cat".into(), recorded.into()], toml::Table::new());
    let expected = serde_json::json!({
        "accuracy": 0.5721, "total_tps": 476.8, "answer_tps": 35.7, "total_time_s": 8.6
    });
    assert_eq!(found, expected);
}

/// Answers every question with the same words, in the form of llama.cpp.
fn answer_all(listener: &TcpListener) {
    let answer = serde_json::json!({
        "choices": [{"message": {"content": "They sell cups, bowls and tiles."}}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 8},
    });
    let answer = answer.to_string();
    for stream in listener.incoming() {
        let mut stream: TcpStream = stream.expect("a connection");
        let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line).expect("a request") > 2 {
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["max_tokens"], 7);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).expect("a client");
        stream.write_all(answer.as_bytes()).expect("a client");
    }
}

/// The evaluator itself, where there is a Python to run it.
#[test]
fn the_spec_reads_what_the_evaluator_prints() {
    if !has_python() {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || answer_all(&listener));
    let script = example("eval_local.py").display().to_string();
    let mut env = toml::toml! {
        MAX_NEW_TOKENS = "7"
    };
    env.insert("BASE_URL".into(), address.into());
    let found = metrics_of(&["python3".into(), script], env);
    // One of the questions is answered well, some others share a few words.
    let accuracy = found["accuracy"].as_f64().expect("a number");
    assert!((0.06..0.5).contains(&accuracy), "{found}");
    for name in ["total_tps", "answer_tps", "total_time_s"] {
        assert!(found[name].as_f64().is_some(), "{found}");
    }
}

fn fine_tuning(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("examples/ms-swift").join(name)
}

#[test]
fn the_fine_tuning_spec_holds_and_begins_with_the_base_model() {
    let spec = fine_tuning("autotune.toml").display().to_string();
    let study = Study::new("");
    let check = study.autotuned(&["check", "--no-host", &spec]);
    assert_eq!(code(&check), 0, "{}", said(&check));
    let plan = said(&study.autotuned(&["plan", &spec]));
    assert!(plan.contains("1  the baseline"), "{plan}");
    // What is base once is not tried again: all others are trained.
    for trial in 2..=8 {
        let line = format!("{trial}  MODEL=tuned learning_rate=");
        assert!(plan.contains(&line), "{plan}");
    }
    // What it shares with the others is read first.
    let help = Command::new(fine_tuning("setup.sh")).arg("--help").output();
    let help = help.expect("bash");
    assert_eq!(code(&help), 0, "{}", said(&help));
    assert!(said(&help).contains("./setup.sh FOLDER"), "{}", said(&help));
}

/// The steps of the example, with what they wrote when they ran in place of
/// them: ms-swift's log, and the last line of the evaluation.
#[test]
fn the_fine_tuning_spec_reads_what_its_steps_wrote() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ms-swift");
    let mut spec: toml::Table = text(&fine_tuning("autotune.toml")).parse().expect("a spec");
    spec["budget"] = toml::toml!(trials = 2).into();
    let steps = spec["step"].as_array_mut().expect("steps");
    steps.retain(|step| step["kind"].as_str() != Some("service"));
    let log = recorded.join("logging.jsonl").display().to_string();
    let train = "if [ $2 = tuned ]; then mkdir $1; cat $3 >$1/logging.jsonl; fi";
    let train = [
        "sh",
        "-c",
        train,
        "sh",
        "{{ trial_dir }}/output",
        "{{ MODEL }}",
        &log,
    ];
    let evaluated = recorded.join("evaluate.stdout").display().to_string();
    for step in steps {
        let command: Vec<&str> = match step["name"].as_str() {
            Some("train") => train.to_vec(),
            _ => vec!["cat", &evaluated],
        };
        let command: Vec<String> = command.into_iter().map(str::to_owned).collect();
        step["command"] = command.into();
    }
    let study = Study::new(&toml::to_string(&spec).expect("a spec"));
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let runs = study.events_of("run-ended");
    let metrics: Vec<&serde_json::Value> = runs.iter().map(|run| &run["metrics"]).collect();
    assert_eq!(metrics.len(), 4, "{}", study.trace());
    // The base model is not trained.
    assert_eq!(*metrics[0], serde_json::json!({}));
    assert_eq!(metrics[2]["eval_loss"], 0.64213932);
    assert_eq!(metrics[1], metrics[3]);
    assert_eq!(metrics[3]["score"], 0.8772727272727273);
    assert_eq!(metrics[3]["reading_bleu"], 0.8617492363786523);
    let told = study.events_of("run-told");
    assert!(
        told.iter().any(|told| told["metrics"]["loss"].is_number()),
        "{told:?}"
    );
}

/// The journal of the study that the README of the example tells of.
#[test]
fn the_recorded_fine_tuning_can_be_viewed() {
    let study = Study::new("");
    for name in ["journal.jsonl", "spec.toml"] {
        let recorded = fine_tuning("recorded").join(name);
        std::fs::copy(recorded, study.path(name)).expect("a copy");
    }
    let folder = study.path("").display().to_string();
    let view = study.autotuned(&["view", &folder]);
    assert_eq!(code(&view), 0, "{}", said(&view));
    let shown = said(&view);
    assert!(shown.contains("8 trials: 8 complete"), "{shown}");
    let readme = text(&fine_tuning("README.md"));
    for score in [
        "0.4078", "0.8773", "0.404", "0.8862", "0.8251", "0.9567", "0.5923", "0.9208",
    ] {
        assert!(shown.contains(score), "{score} in {shown}");
        assert!(readme.contains(score), "{score}");
    }
}
