//! What training trials leave: the best one's is kept whole whatever happens,
//! the others' goes as the owner wants it, and a trial that was cut short goes
//! on from its newest checkpoint.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use support::control::{good, json};
use support::{Study, code, said};

/// A trial that writes a model of its own into the folder that they all use.
/// The second of three is the best.
fn training(more: &str, script: &str) -> Study {
    let study = Study::new(&format!(
        r#"
[study]
name = "training"
workdir = "work"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[space]
N = [1, 3, 2]
{more}
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''{script}''', "train"]
artifacts = ["model/**", "notes.txt", {{ glob = "extra.txt", required = false }}]
[step.metrics]
score = 'score=(\S+)'
"#
    ));
    fs::create_dir(study.path("work")).expect("a folder");
    study
}

const SCRIPT: &str =
    "mkdir -p model/sub; echo $N > model/weights; echo $N > model/sub/tokens; echo score=$N";

/// What the copy of the best says of itself, where there is one: it must be
/// whole.
#[track_caller]
fn whole(best: &Path) -> Option<Json> {
    if !best.exists() {
        return None;
    }
    let about = fs::read(best.join("autotune.json")).expect("a copy that names its trial");
    let about: Json = serde_json::from_slice(&about).expect("JSON");
    for file in about["files"].as_array().expect("files") {
        let path = best.join(file["path"].as_str().expect("a path"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let hash = Sha256::digest(&bytes);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file["sha256"], *hash, "{}", path.display());
    }
    Some(about)
}

#[test]
fn the_best_trials_artifacts_are_kept_and_shown() {
    let study = training("", SCRIPT);
    fs::create_dir(study.path("work/model")).expect("a folder");
    fs::write(study.path("work/model/base"), "not of a trial").expect("a file");
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let best = study.out("artifacts/best");
    let about = whole(&best).expect("a copy");
    assert_eq!(about["trial"], 2);
    assert_eq!(about["params"]["N"], "3");
    assert_eq!(about["objective"]["mean"], 3.0);
    assert_eq!(about["files"].as_array().map(Vec::len), Some(2));
    let read = |name: &str| fs::read_to_string(best.join(name)).expect("a file");
    assert_eq!(
        (read("model/weights"), read("model/sub/tokens")),
        ("3\n".into(), "3\n".into())
    );
    assert!(!best.join("model/base").exists());
    assert_eq!(study.events_of("artifacts-found").len(), 3);
    let kept: Vec<Json> = study.events_of("artifacts-kept");
    let trials: Vec<&Json> = kept.iter().map(|kept| &kept["trial"]).collect();
    assert_eq!(trials, [1, 2]);
    // Before the next trial began, which writes into the same folder.
    let events = study.events();
    let names = events.iter().flat_map(|event| event.as_object());
    let names: Vec<&String> = names.flat_map(|event| event.keys()).collect();
    let place = |name: &str, nth: usize| {
        let places = names
            .iter()
            .enumerate()
            .filter(|(_, known)| ***known == *name);
        places.map(|(place, _)| place).nth(nth).expect("an event")
    };
    assert!(place("artifacts-kept", 0) < place("sitting-started", 1));
    assert!(place("artifacts-kept", 1) < place("sitting-started", 2));

    study.wait("the socket", || {
        code(&support::control::ctl(&study, &["ping"])) == 0
    });
    let shown = best.display().to_string();
    // A long path is on a line of its own.
    let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(good(&study, &["best"])).contains(&format!("Artifacts: {shown} (2 files, 4 B)")));
    assert!(flat(good(&study, &["status"])).contains(&shown));
    assert_eq!(json(&study, &["best"])["artifacts"]["copy"], shown);
    assert_eq!(json(&study, &["status"])["artifacts"]["state"], "there");
    assert!(flat(good(&study, &["show", "3"])).contains("2 files, 4 B; where the trial made them"));
    let warned = flat(good(&study, &["show", "1"]));
    assert!(
        warned.contains("the artifact `notes.txt` is missing") && !warned.contains("extra.txt"),
        "{warned}"
    );
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn the_others_artifacts_are_removed_when_that_is_asked_for() {
    let script = "mkdir -p model; echo $N > {{ trial_dir }}/weights; echo score=$N";
    let study = training("[retention]\nartifacts = 1", script);
    let spec = fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&spec.replace("\"model/**\"", "\"{{ trial_dir }}/**\""));
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("artifacts-deleted", 2);
    let weights = |trial: u32| study.out(&format!("trials/trial_0000{trial}/weights"));
    assert!(!weights(1).exists() && weights(2).exists() && !weights(3).exists());
    assert_eq!(
        whole(&study.out("artifacts/best")).expect("a copy")["trial"],
        2
    );
    let deleted = study.events_of("artifacts-deleted");
    assert_eq!(
        (&deleted[0]["files"], &deleted[0]["bytes"]),
        (&1.into(), &2.into())
    );
    study.wait("the socket", || {
        code(&support::control::ctl(&study, &["ping"])) == 0
    });
    assert!(good(&study, &["show", "3"]).contains("removed, as [retention] wants it"));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_required_artifact_that_is_missing_fails_the_trial() {
    let study = training("", "[ $N = 3 ] || echo 1 > notes.txt; echo score=$N");
    let spec = fs::read_to_string(study.path("study.toml")).expect("the spec");
    let required = "{ glob = \"notes.txt\", required = true }";
    study.write_spec(&spec.replace("\"notes.txt\"", required));
    assert_eq!(code(&study.run()), 0);
    let ended = study.events_of("run-ended");
    let faults: Vec<&Json> = ended.iter().map(|run| &run["fault"]).collect();
    let fault = "the artifact `notes.txt` is missing: the run has written no such file";
    assert_eq!(faults, [&Json::Null, &fault.into(), &Json::Null]);
    assert_eq!(study.best()["N"], "2");
    assert_eq!(
        whole(&study.out("artifacts/best")).expect("a copy")["trial"],
        3
    );
}

/// A state of a copy, and whether it is there.
type Moment<'a> = (&'a str, Box<dyn Fn() -> bool + 'a>);

/// Whatever moment of copying SIGKILL hits: what is there under the name of the
/// best is whole, and of the old best or the new one.
#[test]
fn a_kill_at_any_moment_leaves_the_old_best_or_the_new() {
    // Two small files with a large one between them, and many folders.
    let script = "rm -rf model; mkdir -p model/a/b model/c; \
        echo $N > model/a/1; head -c 30000000 /dev/urandom > model/a/b/2; echo $N > model/c/3; \
        echo score=$N";
    let study = training("", script);
    let best = study.out("artifacts/best");
    let new = study.out("artifacts/.best.new");
    let size = |name: &str| new.join(name).metadata().map_or(0, |data| data.len());
    // What is there of the copy when it is hit, each in a daemon of its own.
    let moments: [Moment<'_>; 8] = [
        ("begun", Box::new(|| new.exists())),
        ("a file", Box::new(|| new.join("model/a/1").exists())),
        ("a third", Box::new(|| size("model/a/b/2") > 10_000_000)),
        ("half", Box::new(|| size("model/a/b/2") > 15_000_000)),
        ("most", Box::new(|| size("model/a/b/2") > 25_000_000)),
        ("all", Box::new(|| new.join("model/c/3").exists())),
        ("named", Box::new(|| new.join("autotune.json").exists())),
        ("again", Box::new(|| new.join("model/a").exists())),
    ];
    let (mut seen, mut hits) = (Vec::new(), 0);
    for trial in [1, 2] {
        for (name, is_there) in &moments {
            let kept = study.events_of("artifacts-kept").len();
            let mut daemon = study.start();
            let over = || study.events_of("artifacts-kept").len() > kept;
            study.wait(name, || is_there() || over());
            daemon.kill();
            hits += u32::from(new.exists());
            let about = whole(&best);
            assert!(about.is_some() || seen.is_empty(), "no best is left");
            seen.extend(about.map(|about| about["trial"].as_u64().expect("a trial")));
            study.await_nothing_alive();
            if study.events_of("artifacts-kept").len() >= trial {
                break;
            }
        }
        // It comes to this trial's copy without a kill.
        let mut daemon = study.start();
        study.await_events("artifacts-kept", trial);
        daemon.kill();
        assert_eq!(whole(&best).expect("a copy")["trial"], trial);
        study.await_nothing_alive();
    }
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_eq!(whole(&best).expect("a copy")["trial"], 2);
    assert!(hits > 0, "no copy was hit");
    assert!(seen.is_sorted() && seen.len() > 1, "{seen:?}");
    assert!(!new.exists());
    let names = fs::read_dir(study.out("artifacts"))
        .expect("a folder")
        .count();
    assert_eq!(names, 1);
    assert_eq!(study.results().len(), 3, "{}", study.trace());
}

#[test]
fn a_copy_is_made_at_the_next_start_and_not_of_what_has_changed() {
    let study = training("", SCRIPT);
    // There is something in the way for as long as that is so.
    fs::create_dir_all(study.out("")).expect("a folder");
    fs::write(study.out("artifacts"), "a file").expect("a file");
    let mut daemon = study.start();
    let complaint = "the artifacts of trial 1 cannot be kept yet";
    study.wait("the complaint", || study.log().contains(complaint));
    assert_eq!(study.events_of("sitting-started").len(), 1);
    let state = json(&study, &["status"]);
    assert_eq!(state["artifacts"]["state"], "pending");
    assert!(
        state["disk_trouble"]
            .as_str()
            .is_some_and(|text| text.contains(complaint))
    );
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    fs::remove_file(study.out("artifacts")).expect("removed");
    fs::write(study.path("work/model/weights"), "by another").expect("a file");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let lost = study.events_of("artifacts-lost");
    assert!(
        lost[0]["reason"]
            .as_str()
            .expect("a reason")
            .contains("has changed")
    );
    assert_eq!(
        whole(&study.out("artifacts/best")).expect("a copy")["trial"],
        2
    );
}

/// A trainer that writes checkpoints, of which the last is not whole, and waits
/// for a gate; with an argument it says from where it goes on.
fn with_checkpoints(more: &str, script: &str) -> Study {
    let study = Study::new(&format!(
        r#"
[study]
name = "resumed"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[space]
N = [1, 2]
[host]
fault_wait = "0s"
{more}
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''{script}''', "train"]
resume = {{ checkpoint = "{{{{ trial_dir }}}}/out/checkpoint-*", complete = "state", arguments = ["--from", "{{{{ checkpoint }}}}"], env = {{ FROM = "{{{{ checkpoint }}}}" }} }}
[step.metrics]
score = 'score=(\S+)'
"#
    ));
    fs::create_dir_all(study.path("gates")).expect("a folder");
    study
}

const CHECKPOINTS: &str = "echo \"$N: $* $FROM\" >> {dir}/calls; cd {{ trial_dir }}; \
    for n in 9 10 11; do mkdir -p out/checkpoint-$n; done; \
    if [ -z \"$FROM\" ]; then echo > out/checkpoint-10/state; echo > out/checkpoint-9/state; \
    echo > out/checkpoint-11/weights; fi; \
    while ! [ -e {dir}/go ]; do sleep 0.01; done; ";

fn calls(study: &Study) -> Vec<String> {
    let calls = fs::read_to_string(study.path("calls")).unwrap_or_default();
    calls
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[test]
fn a_trial_goes_on_from_its_newest_whole_checkpoint() {
    let study = with_checkpoints("", &format!("{CHECKPOINTS} echo score=$N"));
    let mut daemon = study.start();
    let last = study.out("trials/trial_00001/out/checkpoint-11/weights");
    study.wait("a checkpoint", || last.exists());
    daemon.kill();
    study.await_nothing_alive();
    fs::write(study.path("go"), "").expect("a file");
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let checkpoint = study
        .out("trials/trial_00001/out/checkpoint-10")
        .display()
        .to_string();
    let expected = [
        "1:".to_owned(),
        format!("1: --from {checkpoint} {checkpoint}"),
        "2:".to_owned(),
    ];
    assert_eq!(calls(&study), expected);
    let resumed = study.events_of("task-resumed");
    assert_eq!(resumed.len(), 1);
    assert_eq!(
        (&resumed[0]["trial"], &resumed[0]["sitting"]),
        (&1.into(), &2.into())
    );
    assert_eq!(resumed[0]["checkpoint"], checkpoint);
    study.wait("the socket", || {
        code(&support::control::ctl(&study, &["ping"])) == 0
    });
    assert!(good(&study, &["show", "1"]).contains("sitting 2 went on from"));
    assert_eq!(
        json(&study, &["show", "1"])["sittings"][1]["resumed"],
        checkpoint
    );
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_checkpoint_that_cannot_be_gone_on_from_is_given_up() {
    let script = format!("{CHECKPOINTS} [ -z \"$FROM\" ] || exit 7; echo score=$N");
    let study = with_checkpoints("", &script);
    let mut daemon = study.start();
    let last = study.out("trials/trial_00001/out/checkpoint-11/weights");
    study.wait("a checkpoint", || last.exists());
    daemon.kill();
    study.await_nothing_alive();
    fs::write(study.path("go"), "").expect("a file");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let calls = calls(&study);
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert!(calls[1].contains("--from") && calls[2] == "1:", "{calls:?}");
    let warned = study.events_of("warned");
    let text = warned[0]["text"].as_str().expect("a text");
    assert!(
        text.contains("exited with code 7 when it went on from"),
        "{text}"
    );
    assert!(text.contains("it begins anew"), "{text}");
    assert_eq!(study.events_of("run-ended").len(), 2);
}

#[test]
fn checkpoints_of_others_are_not_gone_on_from() {
    // All trials use one folder, and the second's sitting comes between.
    let script = "echo \"$N: $*\" >> {dir}/calls; mkdir -p {dir}/shared; \
        while ! [ -e {dir}/go ]; do sleep 0.01; done; echo score=$N";
    let study = with_checkpoints("", script);
    let spec = fs::read_to_string(study.path("study.toml")).expect("the spec");
    let shared = spec.replace("{{ trial_dir }}/out/checkpoint-*", "shared/checkpoint-*");
    study.write_spec(&shared.replace("complete = \"state\", ", ""));
    fs::create_dir_all(study.path("shared/checkpoint-99")).expect("a folder");
    fs::write(study.path("shared/checkpoint-99/state"), "of nobody").expect("a file");
    symlink("/etc", study.path("shared/checkpoint-100")).expect("a link");
    let mut daemon = study.start();
    study.wait("the trial", || calls(&study).len() == 1);
    daemon.kill();
    study.await_nothing_alive();
    fs::write(study.path("go"), "").expect("a file");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_eq!(calls(&study), ["1:", "1:", "2:"]);
    let warned = study.events_of("warned");
    let text = warned[0]["text"].as_str().expect("a text");
    assert!(
        text.contains("begins anew: no whole checkpoint of it matches"),
        "{text}"
    );
}

/// A script that reads its configuration from a module beside it gets that of
/// its trial instead.
#[test]
fn a_rendered_module_is_imported_before_that_beside_the_script() {
    let mut version = Command::new("python3");
    version.args(["-c", "import sys; print(sys.version_info >= (3, 11))"]);
    let has_python = version
        .output()
        .is_ok_and(|output| output.stdout == b"True\n");
    if !has_python {
        let why = "skipped, there is no python3 of 3.11 or later here";
        let _ = writeln!(std::io::stderr(), "{why}");
        return;
    }
    let study = Study::new(
        r#"
[study]
name = "configured"
workdir = "repo"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[base]
LEARNING_RATE = 1e-4
[space]
LEARNING_RATE = [1e-4, 3e-4]
[[step]]
name = "train"
kind = "task"
command = ["python3", "run.py"]
params = "none"
env = { PYTHONSAFEPATH = "1", PYTHONPATH = "{{ trial_dir }}:{{ workdir }}" }
file = [{ name = "config.py", template = "config.py.jinja" }]
[step.metrics]
score = 'score=(\S+)'
"#,
    );
    fs::create_dir_all(study.path("repo/core")).expect("a folder");
    fs::write(
        study.path("config.py.jinja"),
        "DEFAULT_CONFIG = {\n    \"LEARNING_RATE\": {{ LEARNING_RATE }},\n}\n",
    )
    .expect("a file");
    fs::write(
        study.path("repo/config.py"),
        "DEFAULT_CONFIG = {\"LEARNING_RATE\": 0}\n",
    )
    .expect("a file");
    fs::write(study.path("repo/core/training.py"), "from config import DEFAULT_CONFIG\n\ndef train():\n    print(f\"score={DEFAULT_CONFIG['LEARNING_RATE']}\")\n").expect("a file");
    fs::write(
        study.path("repo/run.py"),
        "from core.training import train\n\ntrain()\n",
    )
    .expect("a file");
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(study.best()["LEARNING_RATE"], "0.0003");
}
