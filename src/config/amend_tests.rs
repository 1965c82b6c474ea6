//! What users change in a running study's spec.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Draft, Origin, check};
use crate::base::clock::Timestamp;
use crate::model::amendment::Amendments;
use crate::model::event::{Event, Fact};
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::{self, TrialId};

const SPEC: &str = r#"
[study]
name = "s"
[objective]
maximize = "speed"
[[constraint]]
metric = "quality"
min = 0.5
[base]
BATCH = 16
[space]
MODE = ["fast", "safe"]
BATCH = [8, 16, 32]
RATE = { float = [0.1, 0.9] }
RANK = { int = [4, 64], log = true, when = "MODE == 'safe'" }
[env]
SET = "1"
[[step]]
name = "eval"
kind = "measure"
runs = 3
command = ["true"]
metrics.speed = '(\d+)'
metrics.quality = '(\d+)'
"#;

fn spec(text: &str) -> Arc<Spec> {
    let checked = check(text, &Origin::of(Path::new("s.toml")));
    Arc::new(checked.unwrap_or_else(|error| panic!("{error}")).spec)
}

fn study() -> Study {
    Study::new(spec(SPEC))
}

fn amend(study: &mut Study, amendments: Amendments) {
    let event = Event::SpecAmended { amendments };
    let at = Timestamp::from_millis(0);
    study.apply(&Fact { at, event }).expect("it always fits");
}

/// Makes one change as `autotunectl` would ask for it, `add BATCH 64`.
fn make(draft: &mut Draft<'_>, words: &[&str]) -> Result<(), String> {
    let owned = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    match words {
        ["add", name, values @ ..] => draft.add_values(name, &owned(values)),
        ["remove", name, values @ ..] => draft.remove_values(name, &owned(values)),
        ["domain", name, text] => draft.set_domain(name, text),
        ["new", name, text, base] => draft.add_parameter(name, text, base, None),
        ["new", name, text, base, when] => draft.add_parameter(name, text, base, Some(when)),
        ["order", names @ ..] => draft.set_order(&owned(names)),
        ["set", name, value] => draft.set(name, value),
        ["reset", names @ ..] => draft.reset_space(&owned(names)),
        ["unset", names @ ..] => draft.reset_settings(&owned(names)),
        other => panic!("{other:?}"),
    }
}

fn with(study: &Study, changes: &[&[&str]]) -> Amendments {
    let mut draft = Draft::new(study);
    for change in changes {
        make(&mut draft, change).unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }
    draft.finish()
}

fn texts(amendments: &Amendments) -> Vec<String> {
    amendments.iter().map(ToString::to_string).collect()
}

fn domain(study: &Study, name: &str) -> String {
    let parameter = study.spec().space.parameter(name);
    parameter.expect("a parameter").domain.to_string()
}

#[test]
fn values_come_and_go() {
    let mut study = study();
    let changes = with(
        &study,
        &[&["add", "BATCH", "64", "16"], &["remove", "BATCH", "8"]],
    );
    assert_eq!(texts(&changes), ["BATCH with 64", "BATCH without 8"]);
    amend(&mut study, changes.clone());
    assert_eq!(domain(&study, "BATCH"), "one of 16, 32, 64");
    // It is so already.
    let again = with(
        &study,
        &[&["remove", "BATCH", "8"], &["add", "BATCH", "64"]],
    );
    assert_eq!(again, changes);
    // Back where it was, in the spec's order.
    let back = with(
        &study,
        &[&["add", "BATCH", "8"], &["remove", "BATCH", "64"]],
    );
    assert!(back.is_empty(), "{back:?}");
    let other = with(
        &study,
        &[&["domain", "BATCH", "[16, 128]"], &["add", "BATCH", "256"]],
    );
    assert_eq!(texts(&other), ["BATCH: one of 16, 128", "BATCH with 256"]);
    amend(&mut study, other);
    assert_eq!(domain(&study, "BATCH"), "one of 16, 128, 256");
    assert!(with(&study, &[&["reset", "BATCH"]]).is_empty());
}

#[test]
fn an_order_and_a_new_parameter() {
    let mut study = study();
    let new = with(
        &study,
        &[
            &["new", "CACHE", "[256, 1024]", "0", "MODE == 'safe'"],
            &["order", "BATCH", "MODE"],
        ],
    );
    amend(&mut study, new);
    let names = |study: &Study| {
        let parameters = study.spec().space.parameters().iter();
        parameters.map(|p| p.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&study), ["BATCH", "MODE", "RATE", "RANK", "CACHE"]);
    assert_eq!(domain(&study, "CACHE"), "one of 0, 256, 1024");
    let first = with(&study, &[&["order", "MODE", "CACHE"]]);
    amend(&mut study, first);
    assert_eq!(names(&study), ["MODE", "CACHE", "BATCH", "RATE", "RANK"]);
    let gone = with(&study, &[&["reset", "CACHE"]]);
    amend(&mut study, gone);
    assert_eq!(names(&study), ["MODE", "BATCH", "RATE", "RANK"]);
    assert_eq!(study.unfit(), []);
}

#[test]
fn settings_by_their_names_or_ends() {
    let mut study = study();
    let changes = with(
        &study,
        &[
            &["set", "trials", "40"],
            &["set", "budget.wall", "12h"],
            &["set", "speed.max", "9"],
            &["set", "constraint.quality.min", "none"],
            &["set", "eval.runs", "5"],
            &["set", "racing", "off"],
        ],
    );
    amend(&mut study, changes);
    let spec = study.spec();
    assert_eq!(spec.budget.trials, Some(40));
    assert_eq!(spec.runs_per_trial(), 5);
    assert!(!spec.search.racing);
    let constraints: Vec<_> = spec.constraints.iter().map(ToString::to_string).collect();
    assert_eq!(constraints, ["speed ≤ 9"]);
    let fewer = with(&study, &[&["unset", "trials", "quality.min"]]);
    assert_eq!(fewer.iter().count(), 4);
    assert!(with(&study, &[&["unset"]]).is_empty());
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["add", "BACH", "64"],
            "no parameter `BACH`: did you mean `BATCH`?; a new one:",
        ),
        (
            &["add", "BATCH", "many"],
            "`BATCH` takes a number, not `many`",
        ),
        (&["add", "BATCH", "16.0"], "the same number as"),
        (
            &["add", "RATE", "0.5"],
            "not a list: give it another range with `autotunectl space set RATE",
        ),
        (&["add", "MODE", "a\0b"], "NUL"),
        (
            &["remove", "BATCH", "16"],
            "it stays; to start from another value, change `BATCH` in [base]",
        ),
        (
            &["remove", "BATCH", "17"],
            "`17` is not a value of `BATCH`, which is one of 8, 16, 32",
        ),
        (&["remove", "RATE", "0.5"], "not a list"),
        (
            &["domain", "BATCH", "[8, 64]"],
            "`16` is where `BATCH` starts",
        ),
        (&["domain", "RATE", "{ float = [0.9, 0.1] }"], "is empty"),
        (&["domain", "RATE", "{ floats = [0.1, 0.9] }"], "floats"),
        (
            &[
                "domain",
                "RATE",
                "{ float = [0.1, 0.9], when = \"MODE == 'fast'\" }",
            ],
            "leave `when` out",
        ),
        (&["domain", "MODE", "fast, safe"], "write it as in [space]"),
        (&["domain", "BATCH", "[16]\nRATE = [1]"], "takes one domain"),
        (&["domain", "BATCH", ""], "not TOML"),
        (
            &["new", "BATCH", "[1]", "1"],
            "already: `autotunectl space set BATCH DOMAIN`",
        ),
        (
            &["new", "1X", "[1]", "1"],
            "cannot be the name of an environment variable",
        ),
        (&["new", "A B = 1\nC", "[1]", "1"], "cannot be the name"),
        (
            &["new", "trial", "[1]", "1"],
            "know something else by this name",
        ),
        (&["new", "PATH", "[1]", "1"], "reserved"),
        (&["new", "SET", "[1]", "1"], "hidden"),
        (
            &["new", "X", "[1, 2]", "a"],
            "the base value of `X`: takes a number, not `a`",
        ),
        (
            &["new", "X", "{ int = [1, 4] }", "9"],
            "the base value of `X`: `9` is not allowed",
        ),
        (
            &["new", "X", "[1]", "1", "MOD == 'a'"],
            "`MOD`, which is no parameter above it: did you mean `MODE`?",
        ),
        (
            &["new", "X", "[1]", "1", "MODE == 'slow'"],
            "would never be active",
        ),
        (&["new", "X", "[1]", "1", "X == 1"], "asks for `X`"),
        (&["new", "X", "[1]", "1", "MODE =="], "is not a condition"),
        (&["order", "RANK", "MODE"], "no parameter above it has"),
        (&["order", "MODE", "MODE"], "given twice"),
        (&["order", "MODEL"], "did you mean `MODE`?"),
        (
            &["set", "runs", "5"],
            "`runs` may be step.eval.runs, budget.runs or confirm.runs",
        ),
        (&["set", "trails", "5"], "did you mean `trials`?"),
        (&["set", "x", "5"], "`autotunectl set` shows them all"),
        (&["set", "search.median", "off"], "add `progress` to one"),
        (
            &["set", "median", "off"],
            "no step tells values while it runs",
        ),
        (
            &["set", "trials", "0"],
            "a whole number, 1 or more, or `none`, not `0`",
        ),
        (&["set", "trials", "-1"], "a whole number"),
        (&["set", "eval.runs", "none"], "from 1 to 1000"),
        (&["set", "eval.runs", "1001"], "from 1 to 1000"),
        (&["set", "wall", "soon"], "a duration such as"),
        (&["set", "wall", "0s"], "a duration such as"),
        (&["set", "wall", "99999999999999h"], "a duration such as"),
        (&["set", "quality.min", "nan"], "a number or `none`"),
        (&["set", "quality.max", "0.4"], "leave nothing between them"),
        (&["set", "racing", "yes"], "`true` or `false`"),
        (&["set", "confirm.runs", "none"], "from 0 to 1000"),
        (&["set", "recheck", "often"], "a whole number; 0 is never"),
        (&["set", "confidence", "1"], "`mean`, or 0.5 or more"),
        (&["reset", "BACH"], "did you mean `BATCH`?"),
        (&["unset", "x"], "shows them all"),
    ];
    let study = study();
    for (change, expected) in cases {
        let mut draft = Draft::new(&study);
        let error = make(&mut draft, change).expect_err("it cannot be");
        assert!(error.contains(expected), "{change:?}: {error}");
        assert!(!error.contains('\n'), "{change:?}: {error}");
        assert!(draft.finish().is_empty(), "{change:?} leaves a trace");
    }
}

#[test]
fn an_edited_spec_meets_what_was_changed() {
    let before = study();
    let changes = with(
        &before,
        &[
            &["add", "BATCH", "64"],
            &["remove", "BATCH", "8"],
            &["set", "eval.runs", "5"],
            &["set", "trials", "9"],
        ],
    );
    // The owner writes some of it into the file, renames a step, and has a
    // value more.
    let edited = SPEC
        .replace("[8, 16, 32]", "[8, 16, 64, 128]")
        .replace("\"eval\"", "\"measure\"");
    let mut after = Study::new(spec(&edited));
    amend(&mut after, changes.clone());
    assert_eq!(domain(&after, "BATCH"), "one of 16, 64, 128");
    assert_eq!(after.spec().budget.trials, Some(9));
    let unfit: Vec<String> = after.unfit().iter().map(ToString::to_string).collect();
    assert_eq!(
        unfit,
        ["step.eval.runs = 5: there is no setting `step.eval.runs`"]
    );
    assert_eq!(*after.amendments(), changes, "nothing is lost");
    // What does not fit is in the way of nothing.
    let more = with(&after, &[&["set", "trials", "10"]]);
    amend(&mut after, more);
    assert_eq!(after.spec().budget.trials, Some(10));
    assert_eq!(after.amendments().iter().count(), 4);
}

fn plan(study: &mut Study, number: u32) {
    let event = Event::TrialPlanned {
        trial: TrialId(number),
        params: study.spec().space.baseline().expect("params"),
        origin: trial::Origin::Baseline,
        choice: None,
    };
    let at = Timestamp::from_millis(0);
    study.apply(&Fact { at, event }).expect("it fits");
}

#[test]
fn trials_from_before_a_parameter_count_as_at_its_base() {
    let mut study = study();
    plan(&mut study, 1);
    let new = with(&study, &[&["new", "CACHE", "[0, 1]", "0"]]);
    let edited = SPEC.replace("[env]", "CACHE = [0, 1]\n[env]");
    // Whether it was added while it ran or in the file, before or after.
    let mut file = Study::new(spec(&edited));
    let event = Event::TrialPlanned {
        trial: TrialId(1),
        params: study.spec().space.baseline().expect("params"),
        origin: trial::Origin::Baseline,
        choice: None,
    };
    let at = Timestamp::from_millis(0);
    file.apply(&Fact { at, event }).expect("it fits");
    amend(&mut study, new);
    for study in [&study, &file] {
        let baseline = study.baseline().expect("it is known");
        assert_eq!(baseline.id, TrialId(1));
        assert!(baseline.params.get("CACHE").is_none(), "as it was tried");
        let params = study.params_of(baseline);
        assert_eq!(
            params.get("CACHE").map(ToString::to_string),
            Some("0".into())
        );
        assert!(study.spec().space.allows(&params));
        // `RANK` has no meaning there, and gets no value.
        assert!(params.get("RANK").is_none());
    }
}

/// Changes that may fit or not.
fn change() -> impl Strategy<Value = Vec<&'static str>> {
    let words: Vec<Vec<&'static str>> = vec![
        vec!["add", "BATCH", "64"],
        vec!["add", "BATCH", "8", "64"],
        vec!["remove", "BATCH", "8"],
        vec!["remove", "BATCH", "64"],
        vec!["remove", "BATCH", "16"],
        vec!["domain", "BATCH", "[16, 64]"],
        vec!["domain", "RATE", "[0.5, 0.7]"],
        vec!["add", "RATE", "0.8"],
        vec!["new", "CACHE", "[0, 1]", "0", "MODE == 'safe'"],
        vec!["new", "TIER", "[0, 1]", "0", "CACHE == 1"],
        vec!["add", "CACHE", "2"],
        vec!["order", "CACHE"],
        vec!["order", "BATCH", "MODE", "CACHE"],
        vec!["order", "MODE"],
        vec!["set", "eval.runs", "5"],
        vec!["set", "eval.runs", "3"],
        vec!["set", "quality.min", "0.7"],
        vec!["set", "quality.max", "0.6"],
        vec!["set", "quality.min", "none"],
        vec!["set", "trials", "4"],
        vec!["reset", "CACHE"],
        vec!["reset", "BATCH"],
        vec!["reset"],
        vec!["unset"],
        vec!["unset", "quality.max"],
    ];
    prop::sample::select(words)
}

proptest! {
    #[test]
    fn changes_are_idempotent_and_leave_no_misfit(changes in prop::collection::vec(change(), 1..12)) {
        let mut study = study();
        for change in &changes {
            let mut draft = Draft::new(&study);
            let made = make(&mut draft, change);
            let draft = draft.finish();
            if made.is_err() {
                prop_assert_eq!(&draft, study.amendments());
                continue;
            }
            amend(&mut study, draft);
            prop_assert_eq!(study.unfit(), []);
            prop_assert!(study.spec().space.baseline().is_ok());
            // Twice is once, or refused: nothing is new or gone twice.
            let mut draft = Draft::new(&study);
            let _ = make(&mut draft, change);
            prop_assert_eq!(&draft.finish(), study.amendments());
        }
        let (again, _) = study.amendments().over(study.written());
        prop_assert_eq!(&again, &**study.spec());
        prop_assert!(with(&study, &[&["reset"], &["unset"]]).is_empty());
    }
}
