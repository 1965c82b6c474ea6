//! `autotunectl params`, and `autotuned check` of a study that calls ms-swift:
//! what users read.

use std::process::{Command, Output};

use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr;

/// `autotunectl params ms-swift` where no daemon is.
fn params(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    let command = command.args(["params", "ms-swift"]).args(arguments);
    let command = command
        .env("NO_COLOR", "1")
        .env("AUTOTUNE_SOCKET", "/nobody");
    command.output().expect("autotunectl")
}

fn good(arguments: &[&str]) -> String {
    let output = params(arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    said
}

fn refused(arguments: &[&str]) -> String {
    let output = params(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_of_it_fits_80_columns() {
    for release in ["3", "4"] {
        for lang in ["zh", "en"] {
            let list = good(&["--release", release, "--lang", lang]);
            let long = list.lines().find(|line| line.width() > 80);
            assert_eq!(long, None, "--release {release} --lang {lang}");
        }
    }
    for name in [
        "deepspeed",
        "target_modules",
        "temperature",
        "reft_intervention_type",
        "HD_NUM",
    ] {
        for lang in ["zh", "en"] {
            let details = good(&[name, "--lang", lang]);
            let long = details.lines().find(|line| line.width() > 80);
            assert_eq!(long, None, "{details}");
        }
    }
}

#[test]
fn lists_are_by_group_and_aligned() {
    insta::assert_snapshot!(good(&["--group", "llamapro", "--lang", "zh"]));
    insta::assert_snapshot!(good(&["--search", "lora-rank"]));
    insta::assert_snapshot!(good(&[
        "--group",
        "lora",
        "--search",
        "DROPOUT",
        "--release",
        "4"
    ]));
}

#[test]
fn one_argument_is_shown_in_full() {
    insta::assert_snapshot!(good(&["lora-dtype", "--lang", "zh"]));
    insta::assert_snapshot!(good(&["train_type"]));
    insta::assert_snapshot!(good(&["temperature", "--command", "eval"]));
}

#[test]
fn json_has_it_all() {
    let json: Json = serde_json::from_str(&good(&["lora_rank", "--json"])).expect("JSON");
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).expect("JSON"));
}

#[test]
fn what_there_is_not_gets_the_nearest() {
    assert!(
        refused(&["lora_rnk"])
            .contains("ms-swift 3.0 has no argument `lora_rnk`: did you mean `lora_rank`?")
    );
    assert!(refused(&["tuner_type"]).contains("it is called `train_type` there"));
    assert!(refused(&["train_type", "--release", "4"]).contains("it is called `tuner_type` there"));
    assert!(refused(&["enable_thinking"]).contains("--release 4 has it"));
    assert!(refused(&["--group", "lorra"]).contains("has no group `lorra`: did you mean `lora`?"));
    assert!(refused(&["--command", "train"]).contains("has no command `train`"));
    assert!(
        refused(&["--search", "frobnicate"]).contains("no argument of ms-swift 3.0 is like that")
    );
}
