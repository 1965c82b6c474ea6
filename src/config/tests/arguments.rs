//! The arguments of steps that call what a catalogue describes.

use std::collections::BTreeMap;

use super::*;
use crate::catalogue::{Generation, ms_swift};
use crate::model::domain::Domain;

/// What is said about a study of fine-tuning with these words behind `sft`.
fn said(catalogue: &str, words: &str) -> String {
    let text = format!(
        "{catalogue}\n[study]\nname = 's'\nworkdir = '/'\n[objective]\nminimize = 'loss'\n\
         [base]\nSEED = 'x'\n[space]\nRANK = {{ int = [4, 64] }}\nTYPE = ['lora', 'lorra']\n\
         [[step]]\nname = 'train'\nkind = 'task'\n\
         command = ['swift', 'sft', {words}]\nmetrics.loss = 'loss=(.*)'\n"
    );
    match check(&text, &origin()) {
        Ok(checked) => checked.warnings.to_string(),
        Err(complaints) => complaints.to_string(),
    }
}

#[test]
fn a_slip_in_a_name_is_an_error_once_the_release_is_known() {
    let words = "'--lora_rank', '{{ RANK }}', '--lora_alpah', '32'";
    let line = "`swift sft` has no argument --lora_alpah, as ms-swift 3.0 describes it (did you \
                mean --lora_alpha?)";
    let warning = format!("spec.toml:15:57: warning: {line}");
    assert_eq!(said("", words), warning);
    assert_eq!(
        said("[catalogue]\nms_swift = '3.7'", words),
        warning.replace(":15:", ":16:")
    );
    let error = format!("spec.toml:16:57: error: {line}");
    assert_eq!(said("[catalogue]\nms_swift = '3.0.1'", words), error);
}

#[test]
fn values_of_parameters_are_checked_where_they_are_passed() {
    let known = "[catalogue]\nms_swift = '3.0'";
    let wrong = said(known, "'--train_type', '{{ TYPE }}', '--seed={{ SEED }}'");
    let lines: Vec<&str> = wrong.lines().collect();
    let [first, second] = lines.as_slice() else {
        panic!("{wrong}");
    };
    assert!(
        first.starts_with("spec.toml:16:44: error: --train_type: `lorra` is none of lora, full")
    );
    assert!(second.starts_with("spec.toml:16:58: error: --seed: `x` is not a whole number"));
    assert_eq!(
        said(
            known,
            "'--lora_rank', '{{ RANK }}', '--model', '{{ trial }}/{{ SEED }}'"
        ),
        ""
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let words = "'--train_type', 'full', '--lora_rank', '{{ RANK }}'";
    let text = said("[catalogue]\nms_swift = '3.0'", words);
    assert!(
        text.contains("16:52: warning: --lora_rank has no effect here: it takes train_type not in"),
        "{text}"
    );
}

#[test]
fn a_release_is_a_number() {
    let text = said("[catalogue]\nms_swift = 'newest'", "'--seed', '1'");
    assert!(
        text.contains("2:12: error: `newest` is no release"),
        "{text}"
    );
    let text = said("[catalogue]\nms_swift = '2.6'", "'--seed', '1'");
    assert!(
        text.contains("2:12: warning: no catalogue describes ms-swift 2.6"),
        "{text}"
    );
}

#[test]
fn every_domain_of_the_catalogues_can_be_pasted_and_is_taken() {
    for generation in [Generation::Three, Generation::Four] {
        let entries = ms_swift(generation).entries();
        let tuned = entries
            .filter_map(|e| Some((e.argument.name.as_str(), (e, e.argument.tune.as_deref()?))));
        let tuned: BTreeMap<_, _> = tuned.collect();
        let lines = tuned
            .iter()
            .map(|(name, (_, tune))| format!("{name} = {tune}\n"));
        let lines: String = lines.collect();
        let text = GOOD.replace("[space]\n", &format!("[space]\n{lines}"));
        let checked = check(&text, &origin()).unwrap_or_else(|e| panic!("{e}"));
        for (name, (entry, _)) in &tuned {
            let parameters = checked.spec.space.parameters().iter();
            let mut named = parameters.filter(|p| *p.name == **name);
            let domain = &named.next().expect("a parameter").domain;
            let values = match domain {
                Domain::Values(values) => values.clone(),
                range => vec![range.at(0.0), range.at(1.0)],
            };
            for value in values {
                let taken = entry.argument.read(&value.to_string());
                assert!(taken.is_ok(), "{name}: {taken:?}");
            }
        }
    }
}
