//! What other programs read: the metrics for monitoring, and the shapes of
//! `--json`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use regex::Regex;
use serde_json::Value as Json;
use support::control::{client, ctl, good, json, refused};
use support::{Study, code, said};

/// Three values of which 2 fails; each run waits at a gate of its own.
const SPEC: &str = r#"
[study]
name = "monitored"
[objective]
maximize = 'a"b"\c'
[[constraint]]
metric = 'a"b"\c'
max = 10
[space]
N = [1, 2, 3]
[files]
metrics = "{dir}/collector/autotune.prom"
[[notify.channel]]
name = "hook"
type = "webhook"
url = { env = "HOOK" }
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["sh", "-c", "{child} run --gate {dir}/gate-{{ N }} --print score={{ N }}; test {{ N }} != 2"]
metrics.'a"b"\c' = 'score=(\S+)'
"#;

fn study() -> Study {
    let study = Study::new(SPEC);
    std::fs::create_dir(study.path("collector")).expect("a folder");
    study
}

/// A daemon that stays. Nobody listens where its channel goes.
fn stays(study: &Study) -> support::Daemon {
    study.start_with(
        &["run", "study.toml", "--output-dir", "out", "--stay"],
        &[("HOOK", "http://127.0.0.1:9/")],
    )
}

/// Checks a text by the grammar of Prometheus' text format 0.0.4 and by the
/// habits that `promtool check metrics` looks for; the numbers by name and
/// labels.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let head = Regex::new(r"^# (HELP|TYPE) ([a-z_]+) (.+)$").expect("a pattern");
    let label = r#"[a-z_]+="(?:[^"\\\n]|\\["\\n])*""#;
    let sample = format!(r"^(([a-z_]+)\{{{label}(?:,{label})*\}}) (\S+)$");
    let sample = Regex::new(&sample).expect("a pattern");
    let mut families = BTreeSet::new();
    let mut family = String::new();
    let mut helped = String::new();
    let mut numbers = BTreeMap::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(found) = head.captures(line) {
            let name = found[2].to_owned();
            if &found[1] == "HELP" {
                assert!(families.insert(name.clone()), "twice: {line}");
                helped = name;
            } else {
                assert_eq!(name, helped, "no HELP before {line}");
                let counts = &found[3] == "counter";
                assert!(counts || &found[3] == "gauge", "{line}");
                assert_eq!(counts, name.ends_with("_total"), "{line}");
                family = name;
            }
            continue;
        }
        let found = sample
            .captures(line)
            .unwrap_or_else(|| panic!("no sample: {line}"));
        assert_eq!(found[2], *family, "not below its TYPE: {line}");
        let value: f64 = found[3].parse().expect("a number");
        assert!(
            numbers.insert(found[1].to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    numbers
}

const METRIC: &str = r#"metric="a\"b\"\\c""#;

/// The number with these further labels; `None` where there is none.
fn number(numbers: &BTreeMap<String, f64>, name: &str, labels: &str) -> Option<f64> {
    let labels = if labels.is_empty() {
        String::new()
    } else {
        format!(",{labels}")
    };
    numbers
        .get(&format!("autotune_{name}{{study=\"monitored\"{labels}}}"))
        .copied()
}

#[test]
fn a_file_for_node_exporter_follows_the_study() {
    let study = study();
    let path = study.path("collector/autotune.prom");
    let file = || {
        std::fs::read_to_string(&path)
            .map(|text| parsed(&text))
            .unwrap_or_default()
    };
    let holds = |name: &str, labels: &str, value: f64| number(&file(), name, labels) == Some(value);
    let mut command = study.command(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    // A service has such a mask, and node_exporter is another user.
    command.env("HOOK", "http://127.0.0.1:9/");
    let mut daemon = study.start_command(masked(command));

    study.await_gate("gate-1");
    study.wait("a trial that runs", || holds("running_trial", "", 1.0));
    let mode = path.metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let now = file();
    assert_eq!(number(&now, "up", ""), Some(1.0));
    assert_eq!(number(&now, "phase", r#"phase="active""#), Some(1.0));
    assert_eq!(number(&now, "phase", r#"phase="done""#), Some(0.0));
    assert_eq!(number(&now, "running_trials", ""), Some(1.0));
    assert_eq!(number(&now, "best_trial", ""), None);
    assert_eq!(number(&now, "restarts_total", ""), Some(0.0));
    assert!(
        number(
            &now,
            "running_trial_phase_seconds",
            r#"phase="step",step="eval""#
        )
        .is_some()
    );
    // The message that it has started reaches nobody.
    study.wait("an outbox", || {
        holds("outbox_messages", r#"channel="hook""#, 1.0)
    });

    for gate in ["gate-1", "gate-2", "gate-3"] {
        study.open_gate(gate);
    }
    study.await_events("done", 1);
    study.wait("a study that is done", || {
        holds("phase", r#"phase="done""#, 1.0)
    });
    let done = file();
    assert_eq!(number(&done, "trials", r#"outcome="complete""#), Some(2.0));
    assert_eq!(number(&done, "trials", r#"outcome="failed""#), Some(1.0));
    assert_eq!(number(&done, "best_objective", METRIC), Some(3.0));
    assert_eq!(number(&done, "baseline_objective", METRIC), Some(1.0));
    assert_eq!(number(&done, "last_run_objective", METRIC), Some(3.0));
    assert_eq!(number(&done, "runs", ""), Some(4.0));
    let asked = parsed(&good(&study, &["metrics"]));
    assert_eq!(
        asked.keys().collect::<Vec<_>>(),
        done.keys().collect::<Vec<_>>()
    );

    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
    assert_eq!(
        number(&file(), "up", ""),
        Some(0.0),
        "the last thing it says"
    );
    assert_eq!(
        study
            .path("collector")
            .read_dir()
            .expect("a folder")
            .count(),
        1
    );

    let mut daemon = stays(&study);
    study.wait("a daemon again", || {
        holds("up", "", 1.0) && holds("restarts_total", "", 1.0)
    });
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

/// With the mask that the service has.
fn masked(command: std::process::Command) -> std::process::Command {
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "umask 0027; exec \"$@\"", "sh"])
        .arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().expect("a folder"));
    shell.stdin(std::process::Stdio::null());
    shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    shell
}

#[test]
fn a_file_that_cannot_be_written_is_told_once_and_disturbs_nothing() {
    let study = study();
    std::fs::remove_dir(study.path("collector")).expect("gone");
    for gate in ["gate-1", "gate-2", "gate-3"] {
        study.open_gate(gate);
    }
    let mut command = study.command(&["run", "study.toml", "--output-dir", "out"]);
    let output = command
        .env("HOOK", "http://127.0.0.1:9/")
        .output()
        .expect("autotuned");
    let all = format!(
        "{}{}",
        said(&output),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(code(&output), 0, "{all}");
    assert_eq!(
        all.matches("failed to write the metrics to").count(),
        1,
        "{all}"
    );
}

/// Makes a schema refuse what it does not name.
fn close(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Json::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

/// Complains when a reply is not of the shape that its verb has.
fn check(study: &Study, verb: &str, reply: &Json) {
    let words: Vec<&str> = ["schema"].into_iter().chain(verb.split(' ')).collect();
    let mut schema = json(study, &words);
    close(&mut schema);
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let wrong: Vec<String> = validator
        .iter_errors(reply)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{verb}: {wrong:?} in {reply:#}");
    if let Json::Object(reply) = reply {
        let mut more = reply.clone();
        more.insert("unheard_of".to_owned(), Json::Null);
        assert!(!validator.is_valid(&Json::Object(more)), "{verb}");
    }
}

#[test]
fn every_reply_has_the_shape_that_its_schema_says() {
    let study = study();
    let mut daemon = stays(&study);
    study.await_gate("gate-1");
    // Its lines are looked at one by one.
    let mut seen = BTreeSet::from(["events"]);
    let mut checked = |verb: &'static str, arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = client(&study, &all).output().expect("autotunectl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let reply = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{verb}: {error}: {}", said(&output)));
        check(&study, verb, &reply);
        seen.insert(verb);
    };
    // While it works.
    for verb in [
        "status", "trials", "metrics", "ping", "version", "space", "set", "doctor",
    ] {
        checked(verb, &[verb]);
    }
    checked("show", &["show", "1"]);
    checked("refused", &["best"]);
    checked("refused", &["enqueue", "N=9"]);
    checked("enqueue", &["enqueue", "N=3"]);
    checked("pause", &["pause"]);
    checked("pause", &["pause"]);
    checked("status", &["status"]);
    checked("resume", &["resume"]);
    checked("set NAME=VALUE", &["set", "budget.trials=3"]);
    checked("set", &["set"]);
    checked("set NAME=VALUE", &["set", "--reset"]);
    checked("space add", &["space", "add", "N", "4"]);
    checked("space remove", &["space", "remove", "N", "4"]);
    checked("space set", &["space", "set", "N", "[1, 2, 3]"]);
    checked("space new", &["space", "new", "M", "[5, 6]", "--base", "5"]);
    checked("space order", &["space", "order", "M"]);
    checked("space reset", &["space", "reset"]);
    checked("reload", &["reload"]);
    checked("refused", &["approve"]);
    checked("refused", &["reject"]);
    checked("refused", &["advisor", "test"]);
    checked("notify", &["notify"]);
    checked("notify list", &["notify", "list"]);
    checked("notify test", &["notify", "test"]);
    checked("skip", &["skip", "2"]);
    for gate in ["gate-1", "gate-2", "gate-3"] {
        study.open_gate(gate);
    }
    study.await_events("done", 1);
    // Once it is done.
    for verb in ["status", "best", "trials", "importance", "report"] {
        checked(verb, &[verb]);
    }
    for trial in ["1", "2", "3"] {
        checked("show", &["show", trial]);
        checked("why", &["why", trial]);
    }
    for line in good(&study, &["events", "--json"]).lines() {
        check(&study, "events", &serde_json::from_str(line).expect("JSON"));
    }
    checked("export", &["export", "-o", "trials.csv"]);
    std::fs::write(
        study.path("before.csv"),
        "N,\"a\"\"b\"\"\\c\"\n3,9.5\n7,9\n",
    )
    .expect("written");
    checked("import", &["import", "before.csv"]);
    checked("status", &["status"]);
    checked("retry", &["retry", "2"]);
    // Without a daemon.
    checked("presets", &["presets"]);
    checked("presets PRESET", &["presets", "vllm"]);
    checked("init", &["init", "vllm"]);
    checked("params", &["params", "ms-swift"]);
    checked("stop", &["stop"]);
    assert_eq!(daemon.end(), 0);

    // The next test has two of them; the others need a language model.
    let all = good(&study, &["schema"]);
    let left: Vec<&str> = all.lines().filter(|verb| !seen.contains(verb)).collect();
    assert_eq!(left, ["approve", "reject", "advisor setup", "advisor test"]);
}

#[test]
fn so_have_those_about_a_proposal() {
    let study = Study::new(&SPEC.replace("[objective]", "approve = \"trial\"\n[objective]"));
    for gate in ["gate-1", "gate-2", "gate-3"] {
        study.open_gate(gate);
    }
    let mut daemon = stays(&study);
    for (number, verb) in [(1, "approve"), (2, "reject")] {
        study.await_events("approval-asked", number);
        study.wait("a proposal", || {
            !json(&study, &["status"])["proposal"].is_null()
        });
        check(&study, "status", &json(&study, &["status"]));
        check(&study, verb, &json(&study, &[verb]));
    }
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}

#[test]
fn who_asks_for_a_schema_that_is_not_there_is_told_which_are() {
    let study = study();
    let wrong = refused(&study, &["schema", "logs"], 2);
    assert!(wrong.contains("`autotunectl schema` lists"), "{wrong}");
    let named = good(&study, &["schema", "set", "NAME=VALUE"]);
    assert!(
        named.contains("urn:autotune:json:1:set-name=value"),
        "{named}"
    );
    assert_eq!(code(&ctl(&study, &["schema", "status"])), 0);
}
