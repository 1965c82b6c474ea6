//! A spec that builds on a preset.

use super::*;

/// A small preset, of the shape that the real ones have.
const PRESET: Preset = Preset {
    name: "small",
    summary: "",
    text: r#"# A preset.
[study]
name = { required = "a name for this study" }
seed = 7

[objective]
maximize = "tps"

[base]
MODEL = { required = "the model, a folder" }
N = 2

[space]
N = [1, 2, 4]

[[step]]
name = "bench"
kind = "measure"
params = "none"
command = ["bench", "{{ MODEL }}", "{{ N }}"]
metrics.tps = 'tps=(\S+)'
"#,
};

fn on_preset(text: &str) -> Result<Checked, Complaints> {
    let mut r = Reader::new(text, Path::new("/"));
    let table = parse(&mut r, text).expect("TOML");
    check_with(text, table, &PRESET, (&origin(), Path::new("/")))
}

#[test]
fn a_preset_fills_in_what_the_spec_does_not_say() {
    let given = "[study]\nname = 's'\n[base]\nMODEL = '/m'\n[space]\nN = [8, 16]\n";
    let checked = on_preset(given).unwrap_or_else(|e| panic!("{e}"));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    assert_eq!((checked.spec.name.as_str(), checked.spec.seed), ("s", 7));
    let baseline = checked.spec.space.baseline().expect("a baseline");
    assert_eq!(baseline.get("N"), Some(&Value::Int(8)));
    // What is kept means the same without the preset, and is told by the same
    // digest.
    let again = check(&checked.text, &origin()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(again.spec, checked.spec);
    // Words that mean nothing do not count as a change; others do.
    let same = on_preset(&format!("# mine\n{given}")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(same.spec.digest, checked.spec.digest);
    let other = on_preset(&given.replace("16", "32")).unwrap_or_else(|e| panic!("{e}"));
    assert_ne!(other.spec.digest, checked.spec.digest);
}

#[test]
fn what_is_written_out_means_the_same() {
    let empty = Preset { text: "", ..PRESET };
    let plain = check(GOOD, &origin()).unwrap_or_else(|e| panic!("{e}"));
    let mut r = Reader::new(GOOD, Path::new("/"));
    let table = parse(&mut r, GOOD).expect("TOML");
    let checked = check_with(GOOD, table, &empty, (&origin(), Path::new("/")))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_ne!(checked.text, GOOD);
    let mut spec = plain.spec;
    spec.digest.clone_from(&checked.spec.digest);
    assert_eq!(checked.spec, spec);
    let again = check(&checked.text, &origin()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(again.spec, spec);
}

#[test]
fn complaints_say_in_which_text() {
    let text = "[study]\nname = 's'\n[base]\nMODEL = 1.5\n[space]\nN = [1, 'x']\n[[step]]\n\
                name = 'bench'\nruns = 0\n";
    let wrong = on_preset(text).expect_err("wrong");
    insta::assert_snapshot!(wrong.to_string(), @r"
    spec.toml:6:9: error: `N` mixes numbers and text (put all of them in quotes)
    spec.toml:9:8: error: `runs` must be a whole number from 1 to 1000, not 0
    ");
    let wrong = on_preset("objective.maximize = 'tsp'").expect_err("wrong");
    insta::assert_snapshot!(wrong.to_string());
    insta::assert_snapshot!(wrong.render(false));
}

#[test]
fn a_name_that_nothing_asks_for_is_probably_a_slip() {
    let text = "[study]\nname = 's'\n[base]\nMODEL = '/m'\nM = 4\n[space]\nMODLE = ['a', 'b']\n";
    let warnings = |text: &str| match on_preset(text) {
        Ok(checked) => checked.warnings.to_string(),
        Err(complaints) => panic!("{complaints}"),
    };
    insta::assert_snapshot!(warnings(text), @r"
    spec.toml:5:1: warning: nothing asks for `M`: its value has no effect (did you mean `N`?)
    spec.toml:7:1: warning: nothing asks for `MODLE`: its value has no effect (did you mean `MODEL`?)
    ");
    // A step that gets all parameters by its environment may use it.
    let seen = format!("{text}[[step]]\nname = 'bench'\nparams = 'env'\n");
    assert_eq!(warnings(&seen), "");
    let asked = format!("{text}[[rule]]\nrequire = 'M > 1'\n");
    assert_eq!(warnings(&asked).lines().count(), 1);
}

#[test]
fn an_unknown_preset_gets_the_nearest() {
    let complaints = |text| check(text, &origin()).expect_err("wrong").to_string();
    insta::assert_snapshot!(complaints("preset = 'serving_env'\n[study]\nname = 's'"), @"spec.toml:1:10: error: there is no preset `serving_env` (did you mean `serving-env`?)");
    let message = complaints("preset = 'xyz'");
    assert!(message.starts_with("spec.toml:1:10: error: there is no preset `xyz` (there are: "));
    let message = complaints("preset = 7");
    assert!(message.starts_with("spec.toml:1:10: error: `preset` must be a name in quotes (there"));
}

#[test]
fn a_step_that_the_preset_has_not_gets_the_nearest() {
    let given = "[study]\nname = 's'\n[base]\nMODEL = '/m'\n[[step]]\nname = 'benhc'\nruns = 7\n";
    let complaints = |text: &str| on_preset(text).expect_err("wrong").to_string();
    insta::assert_snapshot!(complaints(given), @"spec.toml:6:8: error: the preset `small` has no step `benhc`, and a step of one's own needs a `kind` (did you mean `bench`?)");
    // One that the spec changes is known all the same, and changed once.
    let changed = "[[step]]\nname = 'bench'\nenv.A = 'b'\n";
    let both = format!("{given}{changed}");
    assert_eq!(complaints(&both), complaints(given));
    let twice = given.replace("benhc", "bench") + changed;
    insta::assert_snapshot!(complaints(&twice), @"spec.toml:9:8: error: there is a step `bench` already");
    // Nothing near: those that there are.
    let other = given.replace("benhc", "accuracy");
    insta::assert_snapshot!(complaints(&other), @"spec.toml:6:8: error: the preset `small` has no step `accuracy`, and a step of one's own needs a `kind` (its steps: bench)");
    // One of its own it may have.
    let own = format!("{other}kind = 'task'\ncommand = ['true']\n").replace("runs = 7\n", "");
    assert!(on_preset(&own).is_ok());
}
