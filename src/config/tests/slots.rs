//! Slots, and what trials in them must not have in common.

use super::*;

/// The good spec with these slots, whose service listens in each of them.
fn with(slots: &str) -> String {
    let text = GOOD.replace(
        "[[step]]\nname = \"serve\"",
        &format!("{slots}\n[[step]]\nname = \"serve\""),
    );
    text.replace("127.0.0.1:8000", "127.0.0.1:{{ slot_port }}")
}

const TWO: &str = "[[slot]]\nname = \"a\"\nport = 8000\nenv = { CUDA_VISIBLE_DEVICES = 0 }\n\
                   [[slot]]\nname = \"b\"\nport = 8001\nenv = { CUDA_VISIBLE_DEVICES = \"1\" }";

/// Whether exactly one complaint is made about it, which has these words.
fn says(text: &str, words: &str) {
    let said = complaints(text);
    assert_eq!(
        said.matches("error").count() + said.matches("warning").count(),
        1,
        "{said}"
    );
    assert!(said.contains(words), "{said}");
}

#[test]
fn two_slots_are_read() {
    let Checked { spec, warnings, .. } = good(&with(TWO));
    assert!(warnings.is_empty(), "{warnings}");
    let slots = spec.slots.iter().map(|slot| (&*slot.name, slot.port));
    let slots: Vec<(&str, Option<u16>)> = slots.collect();
    assert_eq!(slots, [("a", Some(8000)), ("b", Some(8001))]);
    assert_eq!(
        spec.slots[0].env,
        [("CUDA_VISIBLE_DEVICES".to_owned(), "0".to_owned())]
    );
    assert_eq!((spec.gpus(), spec.has_own_gpus(Some("b"))), (1, true));
}

#[test]
fn what_two_trials_would_share_is_refused() {
    let two = with(TWO);
    says(
        &two.replace("port = 8001", "port = 8000"),
        "the slot `a` has this port already",
    );
    says(
        &two.replace("\"b\"", "\"a\""),
        "there is a slot `a` already",
    );
    says(
        &two.replace("{{ slot_port }}", "8000"),
        "the address in `ready` of the step `serve` is the same in every slot",
    );
    says(
        &two.replace("{{ trial_dir }}/out.json", "out.json"),
        "the file of the metric `loss` of the step `eval` is the same in every slot",
    );
    says(
        &two.replace(
            "stop_grace",
            "env = { CUDA_VISIBLE_DEVICES = \"3\" }\nstop_grace",
        ),
        "`CUDA_VISIBLE_DEVICES` is set by the step `serve` and by the slot `a`",
    );
    // One trial at a time may use what it likes.
    let one = with("[[slot]]\nname = \"a\"\nport = 8000");
    assert_eq!(
        complaints(&one.replace("{{ trial_dir }}/out.json", "out.json")),
        ""
    );
}

#[test]
fn slots_that_disturb_each_other_are_warned_of() {
    let two = with(TWO);
    says(
        &two.replace("\"1\"", "\"1,0\"")
            .replace("= 0 }", "= \"0,2\" }"),
        "share GPU 0",
    );
    says(
        &two.replace("\"1\"", "\"1,2\""),
        "different numbers of GPUs",
    );
    let advisor = two.replace("\"coordinate\"", "\"advisor\"");
    says(
        &format!("{advisor}\n[advisor]\nmodel = \"m\""),
        "one slot works, the others wait",
    );
}

#[test]
fn a_name_of_slots_needs_slots() {
    let without = GOOD.replace("127.0.0.1:8000", "127.0.0.1:{{ slot_port }}");
    says(&without, "`slot_port` has no value");
    says(&with("[[slot]]\nname = \"a\""), "`slot_port` has no value");
    // A preset can do for both.
    let either = "127.0.0.1:{{ slot_port if slot_port is defined else 8000 }}";
    assert_eq!(complaints(&GOOD.replace("127.0.0.1:8000", either)), "");
    let slots = with(TWO).replace("127.0.0.1:{{ slot_port }}", either);
    assert_eq!(complaints(&slots), "");
    let no_ports = slots
        .replace("port = 8000\n", "")
        .replace("port = 8001\n", "");
    says(
        &no_ports,
        "the address in `ready` of the step `serve` is the same",
    );
    let hidden = with(&format!(
        "{TWO}\n[[slot]]\nname = \"c\"\nport = 1\nenv = {{ UTIL = 1, CUDA_VISIBLE_DEVICES = 5 }}"
    ));
    says(&hidden, "`UTIL` is a parameter");
}
