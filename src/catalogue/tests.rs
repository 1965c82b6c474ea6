use std::collections::BTreeMap;

use super::assigned::swift;
use super::*;
use crate::model::expression::Expression;

const BOTH: [Generation; 2] = [Generation::Three, Generation::Four];

/// The arguments of the page that the catalogue of release 3 describes, by
/// `tests/catalogue/extract.py`.
const NAMES: &str = include_str!("../../tests/catalogue/ms_swift_3_names.txt");

#[test]
fn every_argument_of_the_page_is_there_with_its_mark() {
    let mut missing: BTreeMap<&str, i32> = BTreeMap::new();
    for line in NAMES.lines() {
        *missing.entry(line).or_default() += 1;
    }
    for entry in ms_swift(Generation::Three).entries() {
        let Argument {
            name, recommended, ..
        } = entry.argument;
        let line = if *recommended {
            format!("{name} *")
        } else {
            name.clone()
        };
        let line = NAMES.lines().find(|known| *known == line);
        *missing
            .entry(line.expect("a name of the page"))
            .or_default() -= 1;
    }
    missing.retain(|_, count| *count != 0);
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn defaults_are_of_their_type_and_among_the_choices() {
    for entry in BOTH.map(ms_swift).into_iter().flat_map(Catalogue::entries) {
        let argument = entry.argument;
        let name = &argument.name;
        let is_list = matches!(argument.default, Some(toml::Value::Array(_)));
        if argument.default.is_some() {
            assert_eq!(is_list, argument.list, "{name}");
        }
        let Some(default) = argument.default_text() else {
            continue;
        };
        let words = if argument.list {
            default.split_whitespace().collect()
        } else {
            vec![default.as_str()]
        };
        for word in words {
            assert!(argument.read(word).is_ok(), "{name}: {word}");
        }
    }
}

#[test]
fn release_3_is_said_in_both_languages_and_fits_a_line() {
    for entry in ms_swift(Generation::Three).entries() {
        let Argument { name, zh, en, .. } = entry.argument;
        assert!(zh.chars().any(|c| c > '\u{2e80}'), "{name}: {zh}");
        assert!(
            !en.is_empty() && en.is_ascii() || en.contains('…'),
            "{name}: {en}"
        );
        for text in [zh, en] {
            assert!(
                unicode_width::UnicodeWidthStr::width(&**text) <= 72,
                "{text}"
            );
        }
    }
}

#[test]
fn conditions_compile_and_ask_for_arguments_that_there_are() {
    for generation in BOTH {
        let catalogue = ms_swift(generation);
        let known = |name: &str| {
            let either = [catalogue, ms_swift(generation.other())];
            either.into_iter().any(|c| c.named(name).next().is_some())
        };
        for entry in catalogue.entries() {
            for when in entry.whens() {
                let name = &entry.argument.name;
                let expression = Expression::new(when);
                let expression = expression.unwrap_or_else(|e| panic!("{name}: {when}: {e}"));
                for asked in expression.names() {
                    assert!(known(asked), "{name}: {when}");
                }
            }
        }
    }
}

#[test]
fn an_argument_is_for_commands_or_for_models() {
    for entry in BOTH.map(ms_swift).into_iter().flat_map(Catalogue::entries) {
        let is_for_models = !entry.group.models.is_empty();
        assert_eq!(entry.commands().is_empty(), is_for_models, "{entry:?}");
    }
}

#[test]
fn a_name_means_to_a_command_what_is_its_own() {
    let three = ms_swift(Generation::Three);
    let default = |command: &str, name: &str| {
        let own = three.of(command, name).last().expect("an argument");
        own.argument.default_text()
    };
    assert_eq!(default("infer", "temperature"), None);
    assert_eq!(default("sft", "temperature").as_deref(), Some("0.0"));
    assert_eq!(default("rlhf", "temperature").as_deref(), Some("0.7"));
    assert_eq!(default("eval", "temperature").as_deref(), Some("0.0"));
    assert_eq!(default("export", "max-length").as_deref(), Some("2048"));
    assert_eq!(default("sft", "--max_length"), None);
    assert_eq!(default("app", "lang").as_deref(), Some("en"));
}

#[test]
fn what_was_renamed_is_known_in_both() {
    assert_eq!(renamed(Generation::Four, "train_type"), Some("tuner_type"));
    assert_eq!(renamed(Generation::Three, "tuner-type"), Some("train_type"));
    assert_eq!(renamed(Generation::Four, "lora_rank"), None);
    for entry in ms_swift(Generation::Four).entries() {
        if let Some(former) = &entry.argument.former {
            let mut old = ms_swift(Generation::Three).named(former);
            assert!(old.next().is_some(), "{former}");
        }
    }
}

/// The doubts about a line of words; `{{ A }}` may be 1 or 2.
fn said(release: Option<&str>, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let call = swift(&words).expect("a call of swift");
    let doubts = doubts(&call, release, |word| match word {
        "$A" => vec!["1".to_owned(), "2".to_owned()],
        "$OPEN" => Vec::new(),
        word => vec![word.to_owned()],
    });
    let level = |certain| if certain { "error" } else { "warning" };
    let said = doubts.iter().map(|doubt| {
        let word = words[doubt.at];
        format!("{} at {word}: {}", level(doubt.certain), doubt.trouble)
    });
    said.collect()
}

#[test]
fn an_unknown_name_is_an_error_of_the_described_release_alone() {
    let unknown =
        "--lora_rnk: `swift sft` has no argument --lora_rnk, as ms-swift 3.0 describes it";
    let line = "swift sft --lora_rnk 8";
    assert_eq!(said(Some("3.0.2"), line), [format!("error at {unknown}")]);
    assert_eq!(said(Some("3.7"), line), [format!("warning at {unknown}")]);
    assert_eq!(said(None, line), [format!("warning at {unknown}")]);
    // The page leaves out what comes from the library below.
    assert!(said(Some("3.0"), "swift sft --bf16 true --swanlab_mode cloud").is_empty());
    assert_eq!(said(Some("4.6.0"), "swift sft --train_type full").len(), 1);
    assert_eq!(said(Some("3.0"), "swift sft --tuner_type full").len(), 1);
    assert!(said(None, "swift sft --tuner_type full").is_empty());
    assert!(said(Some("9.1"), "swift frobnicate --x").is_empty());
    assert!(
        said(
            Some("4.6"),
            "swift sft --no_packing --no-gradient-checkpointing"
        )
        .is_empty()
    );
}

#[test]
fn values_are_of_their_type_and_among_the_choices() {
    let one = |line: &str| said(Some("3.0"), &format!("swift sft {line}")).concat();
    assert_eq!(
        one("--lora_rank 8.5"),
        "error at 8.5: --lora_rank: `8.5` is not a whole number"
    );
    assert_eq!(
        one("--packing maybe"),
        "error at maybe: --packing: `maybe` is not true or false"
    );
    assert!(
        one("--train_type lorra")
            .starts_with("error at lorra: --train_type: `lorra` is none of lora, full,")
    );
    assert_eq!(one("--seed"), "error at --seed: --seed: it needs a value");
    assert_eq!(
        one("--seed 1 2"),
        "error at --seed: --seed: it takes one value, not 2"
    );
    assert_eq!(
        one("--model_kwargs {"),
        "error at {: --model_kwargs: `{` is not a JSON object"
    );
    assert_eq!(
        one("--packing --seed $A --lora_rank $OPEN --learning_rate 1e-4 --dataset a b"),
        ""
    );
    assert!(one("--train_type $A").starts_with("error at $A: --train_type: `1` is none of"));
    // A back end that came after the described release.
    assert_eq!(
        said(Some("3.0"), "swift deploy --infer_backend sglang").len(),
        1
    );
    assert!(said(Some("3.7"), "swift deploy --infer_backend sglang").is_empty());
    assert!(said(None, "swift deploy --infer_backend sglang").is_empty());
}

#[test]
fn what_has_no_effect_is_doubted() {
    let none = |line: &str| said(Some("3.0"), &format!("swift {line}"));
    let adalora = "warning at --adalora_init_r: --adalora_init_r has no effect here: \
                   it takes train_type == 'adalora'";
    assert_eq!(none("sft --adalora_init_r 12"), [adalora]);
    assert!(none("sft --adalora_init_r 12 --train_type adalora").is_empty());
    assert!(none("sft --adalora_init_r 12 --train_type $OPEN").is_empty());
    assert_eq!(
        none("sft --train_type full --lora_rank 8 --learning_rate 1e-5").len(),
        1
    );
    assert_eq!(none("deploy --tp 2 --infer_backend vllm").len(), 1);
    assert!(none("deploy --tp 2 --infer-backend lmdeploy").is_empty());
    assert!(none("deploy --max_batch_size 4").is_empty());
    assert_eq!(none("sft --num_train_epochs 1 --max_steps 10").len(), 1);
    assert_eq!(
        none("sft --gradient_checkpointing false --gradient_checkpointing_kwargs {}").len(),
        1
    );
    assert_eq!(
        none("sft --lora_dtype float16 --train_type adalora").len(),
        1
    );
    assert_eq!(none("sft --target_modules a b --target_regex x").len(), 1);
    assert!(none("rlhf --rlhf_type dpo --temperature 1").is_empty());
    assert_eq!(none("rlhf --rlhf_type dpo --kl_coef 0.1").len(), 1);
    assert_eq!(
        said(Some("4.6.0"), "swift sft --tuner_type full --lora_rank 8").len(),
        1
    );
}

#[test]
fn the_commands_of_a_real_study_are_not_doubted() {
    let sft = "swift sft --model Qwen/Qwen2.5-7B-Instruct --train_type lora --dataset a.jsonl \
        --num_train_epochs 1 --per_device_train_batch_size 8 --gradient_accumulation_steps 4 \
        --learning_rate 2e-4 --max_length 3072 --packing true --attn_impl flash_attn --bf16 true \
        --gradient_checkpointing true --save_steps 200 --save_total_limit 3 --logging_steps 20 \
        --output_dir out --report_to swanlab --swanlab_token t --swanlab_project p \
        --swanlab_mode cloud --swanlab_exp_name e";
    let deploy = "swift deploy --model m --adapters c --infer_backend lmdeploy \
        --served_model_name mh --tp 1 --cache-max-entry-count 0 --session-len 4096";
    let infer = "swift infer --model m --adapters c --infer_backend pt --attn_impl flash_attn \
        --stream true --max_new_tokens 512";
    for line in [sft, deploy, infer] {
        for release in [None, Some("3.0"), Some("3.7.1")] {
            assert_eq!(said(release, line), Vec::<String>::new());
        }
    }
}
