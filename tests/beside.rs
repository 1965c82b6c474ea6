//! Steps beside a trial: the pre-flight, and what follows a new best trial.

mod support;

use std::fs;

use support::control::{ctl, good};
use support::{Study, code, said};

/// A study of trials that print a score: N, and of which 3 is the best.
fn scoring(more: &str) -> Study {
    Study::new(&format!(
        r#"
[study]
name = "beside"
[objective]
maximize = "score"
[space]
N = [1, 3, 2]
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", 'mkdir -p "$1/out/c-$N"; echo $N > "$1/out/c-$N/model"; echo score=$N', "train", "{{{{ trial_dir }}}}"]
[step.metrics]
score = 'score=(\S+)'
{more}
"#
    ))
}

/// A step that follows a new best one: it notes what it finds.
const FOLLOWS: &str = r#"
[[incumbent]]
name = "export"
find = { model = "{{ trial_dir }}/out/c-*/model" }
command = ["sh", "-c", 'echo "$TRIAL $(cat "$1")" >> exported', "export", "{{ model }}"]
env = { TRIAL = "{{ trial }}" }
"#;

fn exported(study: &Study) -> String {
    fs::read_to_string(study.path("exported")).unwrap_or_default()
}

#[test]
fn steps_follow_each_new_best_once() {
    let study = scoring(FOLLOWS);
    let ran = study.run();
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    assert_eq!(exported(&study), "1 1\n2 3\n");
    // They are told, and change nothing of what came of the trials.
    assert!(
        said(&ran).contains("what follows a new best"),
        "{}",
        said(&ran)
    );
    assert_eq!(study.results().len(), 3);
    assert!(study.log().is_empty() || !study.log().contains("panicked"));
    // A restart has nothing to make up.
    assert_eq!(code(&study.run()), 0);
    assert_eq!(exported(&study), "1 1\n2 3\n");
}

#[test]
fn what_a_kill_has_cut_short_is_made_up() {
    let study = scoring(
        r#"
[[incumbent]]
name = "export"
command = ["sh", "-c", 'echo begun >> begun; [ -e go ] || sleep 600; echo "$TRIAL" >> exported']
env = { TRIAL = "{{ trial }}" }
"#,
    );
    let mut daemon = study.start();
    study.wait("the first step", || study.path("begun").exists());
    daemon.kill();
    study.await_nothing_alive();
    assert_eq!(exported(&study), "");
    fs::write(study.path("go"), "").expect("written");
    assert_eq!(code(&study.run()), 0);
    assert_eq!(exported(&study), "1\n2\n");
}

#[test]
fn one_that_fails_is_told_and_ends_nothing() {
    let study = scoring(
        "[[incumbent]]\nname = \"export\"\ncommand = [\"sh\", \"-c\", \"echo no room; exit 3\"]\n",
    );
    let ran = study.run();
    assert_eq!(code(&ran), 0, "{}", said(&ran));
    let told = support::said::unfolded(&said(&ran));
    assert!(told.contains("exited with code 3: no room"), "{told}");
    assert_eq!(study.results().len(), 3);
    assert_eq!(study.best()["N"], "3");
}

#[test]
fn a_pre_flight_that_fails_pauses_until_it_is_mended() {
    let study = scoring(
        r#"
[[preflight]]
name = "look"
command = ["sh", "-c", 'echo looked >> looks; echo "warning: the fan is loud"; [ -e ready ] || { echo "error: no data"; exit 1; }']
notes = { look = 'warning: (.*)' }
"#,
    );
    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.await_events("paused", 1);
    study.wait("the socket", || code(&ctl(&study, &["ping"])) == 0);
    let status = support::said::unfolded(&good(&study, &["status"]));
    assert!(
        status.contains("the pre-flight `look` failed: exited with code 1: error: no data"),
        "{status}"
    );
    let shown = good(&study, &["show", "1"]);
    assert!(shown.contains("look: the fan is loud"), "{shown}");
    assert!(study.results().is_empty());
    fs::write(study.path("ready"), "").expect("written");
    good(&study, &["resume"]);
    study.await_events("done", 1);
    // It has gone well once, and that is enough.
    let looks = fs::read_to_string(study.path("looks")).expect("looks");
    assert_eq!(looks.lines().count(), 2);
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
    // The last line may be written after the end is on record.
    assert_eq!(study.results().len(), 3);
}
