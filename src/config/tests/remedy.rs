//! `[remedy]`: what is done about known troubles.

use super::*;
use crate::model::remedy::Remedy;

fn text(remedy: &str) -> String {
    format!(
        "[study]\nname = 's'\nworkdir = '/'\n[objective]\nminimize = 'loss'\n\
         [base]\nBATCH = '8'\nNAME = 'x'\n\
         [space]\nSTEPS = [4, 8]\nKEPT = {{ values = [1, 2], tunable = false }}\n\
         ODD = [3, 5]\n[[step]]\nname = 'train'\nkind = 'task'\ncommand = ['train']\n\
         metrics.loss = 'loss=(.*)'\n{remedy}"
    )
}

fn read(remedy: &str) -> Vec<Remedy> {
    let checked = check(&text(remedy), &origin()).unwrap_or_else(|e| panic!("{e}"));
    checked.spec.remedies
}

/// The complaints about it, without their places and the lines that they show.
fn said(remedy: &str) -> String {
    let complaints = match check(&text(remedy), &origin()) {
        Ok(checked) => checked.warnings.to_string(),
        Err(complaints) => complaints.to_string(),
    };
    let lines = complaints.lines().map(|line| {
        let mut parts = line.splitn(4, ':');
        parts.nth(3).unwrap_or(line).trim().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

const OOM: &str = "[remedy.gpu-out-of-memory]\nhalve = 'BATCH'\ndouble = ['STEPS']\n";

#[test]
fn rules_are_read_unless_they_are_switched_off() {
    assert_eq!(read(""), []);
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    let oom = Remedy {
        trouble: "gpu-out-of-memory".into(),
        halve: names(&["BATCH"]),
        double: names(&["STEPS"]),
        set: Vec::new(),
    };
    assert_eq!(read(OOM), [oom]);
    assert_eq!(read(&format!("[remedy]\nenabled = true\n{OOM}")).len(), 1);
    assert_eq!(read(&format!("[remedy]\nenabled = false\n{OOM}")), []);
    let set = read("[remedy.bf16-unsupported]\nset = { NAME = 'y', STEPS = '8' }\n");
    let given: Vec<String> = set[0].set.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(given, ["NAME=y", "STEPS=8"]);
}

#[test]
fn slips_are_named() {
    let of = |keys: &str| said(&format!("[remedy.gpu-out-of-memory]\n{keys}\n"));
    let unknown = said("[remedy.gpu-out-of-memry]\nhalve = 'BATCH'\n");
    assert_eq!(
        unknown,
        "error: there is no known trouble `gpu-out-of-memry` (did you mean `gpu-out-of-memory`?)"
    );
    let host = said("[remedy.disk-full]\nhalve = 'BATCH'\n");
    assert!(host.contains("`disk-full` is the host's fault"), "{host}");
    assert!(of("halve = 'BATHC'").contains("no parameter `BATHC` (did you mean `BATCH`?)"));
    assert!(of("double = 'KEPT'").contains("`KEPT` is protected"));
    assert!(of("set = { KEPT = 2 }").contains("`KEPT` is protected"));
    assert!(of("halve = 'NAME'").contains("`NAME` is `x` and no number"));
    assert!(of("halve = 'BATCH'\ndouble = 'BATCH'").contains("`BATCH` is changed twice"));
    assert!(of("set = { STEPS = 5 }").contains("STEPS: `5` is not allowed"));
    assert!(of("halve = 3").contains("error"));
    assert!(of("").contains("[remedy.gpu-out-of-memory] changes nothing"));
    assert!(of("half = 'BATCH'").contains("has no key `half`"));
    let never = of("double = 'ODD'");
    assert!(never.starts_with("warning: this never helps"), "{never}");
    assert_eq!(of("double = 'STEPS'"), "");
    // Switched off, but still read.
    let off = said("[remedy]\nenabled = false\n[remedy.no]\nhalve = 'BATCH'\n");
    assert!(off.contains("no known trouble `no`"), "{off}");
    // A preset's rules may name what a spec protects, as long as they wait.
    let off = said("[remedy]\nenabled = false\n[remedy.gpu-out-of-memory]\nhalve = 'KEPT'\n");
    assert_eq!(off, "");
}

#[test]
fn rules_of_ones_own_that_a_preset_has_switched_off_are_warned_of() {
    let of = |remedy: &str| {
        let text = format!(
            "preset = 'ms-swift-sft'\n[study]\nname = 's'\nworkdir = '/'\n\
             [base]\nVENV = '/v'\nmodel = 'm'\ndataset = 'd'\n{remedy}"
        );
        let checked = check(&text, &origin()).unwrap_or_else(|e| panic!("{e}"));
        checked.warnings.to_string()
    };
    let rule = "[remedy.gpu-out-of-memory]\nhalve = 'max_length'\n";
    let warned = of(rule);
    let words = "[remedy] has rules of yours, and the preset `ms-swift-sft` has switched it off";
    assert!(warned.contains(words), "{warned}");
    assert!(warned.contains("enabled = true in [remedy]"), "{warned}");
    // Where the spec says which it is to be, and of the preset's own, nothing is said.
    for quiet in [
        &format!("[remedy]\nenabled = true\n{rule}"),
        &format!("[remedy]\nenabled = false\n{rule}"),
        "",
    ] {
        let said = of(quiet);
        assert!(!said.contains("rules of yours"), "{said}");
    }
}
