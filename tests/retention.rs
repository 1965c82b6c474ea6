//! The output of old trials goes, nothing else does, and it is said.

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use support::control::{client, good, json, refused};
use support::{Study, code, said};

/// Six values; 3 and 4 fail. Every trial leaves a file in its own folder.
fn study(retention: &str) -> Study {
    Study::new(&format!(
        r#"
[study]
name = "kept"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[search]
sampler = "grid"
[space]
N = [1, 2, 3, 4, 5, 6]
[retention]
{retention}
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["sh", "-c", "case $N in 3|4) exit 1;; esac; echo score=$N; echo > {{{{ trial_dir }}}}/made"]
metrics.score = 'score=(\S+)'
"#
    ))
}

/// The names in a folder of the study.
fn names(study: &Study, folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(study.out(folder)).into_iter().flatten();
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("text"))
        .collect()
}

fn logs(trials: &[u32]) -> BTreeSet<String> {
    let names = trials.iter();
    names.map(|n| format!("trial_{n:05}.eval.log")).collect()
}

#[test]
fn the_output_of_old_trials_goes() {
    let study = study("trials = 2\nfailures = 1");
    let outside = study.path("outside");
    std::fs::create_dir_all(outside.join("made")).expect("a folder");
    std::fs::write(outside.join("file"), "kept").expect("a file");
    let strangers = ["notes.txt", "trial_00002.eval.log.old", "trial_2.eval.log"];
    std::fs::create_dir_all(study.out("tune_server_logs")).expect("a folder");
    for name in strangers {
        std::fs::write(study.out("tune_server_logs").join(name), "kept").expect("a file");
    }
    std::fs::create_dir_all(study.out("trials")).expect("a folder");
    std::fs::create_dir_all(study.out("trials/trial_00099")).expect("a folder");
    // A link in the place of a folder of ours.
    symlink(&outside, study.out("trials/trial_00003")).expect("a link");
    assert_eq!(code(&study.run()), 0);

    // The baseline, the newest failure, and the newest two, of which 6 is the
    // best. The last sweep has seen the end of trial 6, but may come later.
    let kept = logs(&[1, 4, 5, 6]);
    let ours = || {
        let mut ours = names(&study, "tune_server_logs");
        ours.retain(|name| !strangers.contains(&&**name));
        ours
    };
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.wait("a sweep", || ours() == kept);
    for name in strangers {
        assert!(study.out("tune_server_logs").join(name).exists(), "{name}");
    }
    let folders = names(&study, "trials");
    let expected = [
        "trial_00001",
        "trial_00003",
        "trial_00005",
        "trial_00006",
        "trial_00099",
    ];
    assert_eq!(folders, expected.map(str::to_owned).into());
    assert!(outside.join("file").exists() && outside.join("made").exists());
    assert_eq!(study.results().len(), 6);
    assert_eq!(study.events_of("sitting-ended").len(), 6);

    study.wait("the socket", || {
        let output = client(&study, &["ping"]).output();
        code(&output.expect("autotunectl")) == 0
    });
    let gone = refused(&study, &["logs", "2"], 4);
    assert!(
        gone.contains("trial 2: its logs are gone; [retention]"),
        "{gone}"
    );
    assert!(good(&study, &["show", "2"]).contains("its logs are gone"));
    assert!(!good(&study, &["show", "5"]).contains("gone"));
    assert_eq!(json(&study, &["show", "2"])["logs_gone"], true);
    assert_eq!(good(&study, &["logs", "5"]), "[autotune: run 1]\nscore=5\n");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn logs_that_others_have_written_stay() {
    let study = study("");
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let hour = std::time::Duration::from_secs(3600);
    let now = std::time::SystemTime::now();
    for (trial, at) in [(2, now - hour), (3, now + hour)] {
        let log = study.out(&format!("tune_server_logs/trial_{trial:05}.eval.log"));
        let log = std::fs::File::options().append(true).open(log);
        log.expect("a log").set_modified(at).expect("a time");
    }
    let text = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&text.replace("[retention]", "[retention]\ntrials = 1\nfailures = 0"));
    good(&study, &["reload", "--wait"]);
    let left: BTreeSet<String> = ["trial_00001", "trial_00006"].map(str::to_owned).into();
    // The folders go after the logs.
    study.wait("a sweep", || names(&study, "trials") == left);
    assert_eq!(names(&study, "tune_server_logs"), logs(&[1, 2, 3, 6]));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_reload_makes_it_so_and_a_link_to_the_logs_is_not_followed() {
    let study = study("");
    let elsewhere = study.path("elsewhere");
    std::fs::create_dir_all(&elsewhere).expect("a folder");
    std::fs::create_dir_all(study.out("")).expect("a folder");
    symlink(&elsewhere, study.out("tune_server_logs")).expect("a link");
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    assert_eq!(names(&study, "tune_server_logs"), logs(&[1, 2, 3, 4, 5, 6]));
    let text = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    study.write_spec(&text.replace("[retention]", "[retention]\ntrials = 1\nfailures = 0"));
    let reloaded = client(&study, &["reload", "--wait"])
        .output()
        .expect("autotunectl");
    assert_eq!(code(&reloaded), 0, "{}", said(&reloaded));
    let left: BTreeSet<String> = ["trial_00001", "trial_00006"].map(str::to_owned).into();
    study.wait("a sweep", || names(&study, "trials") == left);
    assert_eq!(names(&study, "tune_server_logs"), logs(&[1, 2, 3, 4, 5, 6]));
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

/// The limit of what all of it takes: trial 2 goes when 5 has come.
#[test]
fn by_size() {
    let study = study("size = \"1MiB\"\nfailures = 0");
    let text = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let large = "head -c 300000 /dev/zero >";
    study.write_spec(&text.replace("echo > {{", &format!("{large} {{{{")));
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("done", 1);
    let left = ["trial_00001", "trial_00005", "trial_00006"].map(str::to_owned);
    study.wait("a sweep", || names(&study, "trials") == left.clone().into());
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}
