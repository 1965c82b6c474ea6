//! The presets, held against the programs that they are made for: option
//! lists and result fields of one release each, in `tests/presets`, which
//! `extract.py` there takes from the release's own source.

use std::collections::BTreeMap;
use std::path::Path;

use autotune::config::presets::{ALL, find};
use autotune::config::{Checked, Origin, check};
use autotune::model::domain::Domain;
use autotune::model::params::Params;
use autotune::model::spec::Spec;
use autotune::model::step::{MetricSource, Step};
use autotune::model::value::Value;
use serde_json::Value as Json;

/// The facts about the program of a preset.
fn facts(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/presets/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn checked(text: &str) -> Checked {
    let origin = Origin::of(Path::new("/etc/autotune/autotune.toml"));
    check(text, &origin).unwrap_or_else(|complaints| panic!("{}", complaints.render(false)))
}

/// What a preset leaves to the user.
fn open_keys(name: &str) -> &'static [&'static str] {
    match name {
        // The repo that is tuned has all of it.
        "serving-env" => &[],
        "training-agent" => &["name"],
        _ => &["name", "MODEL"],
    }
}

/// The least that a user has to write.
fn on_preset(name: &str) -> Checked {
    let own = match open_keys(name) {
        [] => "",
        ["name"] => "[study]\nname = 's'\n",
        _ => "[study]\nname = 's'\n[base]\nMODEL = '/models/m'\n",
    };
    checked(&format!("preset = '{name}'\n{own}"))
}

/// Params in which one parameter has one of its values and the others start,
/// for each value there is; the baseline first. Rules are not asked.
fn one_by_one(spec: &Spec) -> Vec<(String, BTreeMap<String, String>)> {
    let baseline = spec.space.baseline().expect("a baseline");
    let base: BTreeMap<String, String> = texts(&baseline);
    let mut all = vec![("the baseline".to_owned(), base.clone())];
    for parameter in spec.space.parameters() {
        let Domain::Values(values) = &parameter.domain else {
            panic!("{} is no list", parameter.name);
        };
        for value in values {
            let mut params = base.clone();
            params.insert(parameter.name.to_string(), value.to_string());
            all.push((format!("{} = {value}", parameter.name), params));
        }
    }
    all
}

fn texts(params: &Params) -> BTreeMap<String, String> {
    let entries = params.iter();
    entries
        .map(|(name, value): (_, &Value)| (name.to_string(), value.to_string()))
        .collect()
}

/// The words that a trial starts the step with.
fn words(step: &Step, params: &BTreeMap<String, String>) -> Vec<String> {
    let mut values = params.clone();
    for name in autotune::config::CONTEXT_NAMES {
        values.insert(name.to_owned(), "1".to_owned());
    }
    let words = step.command.iter();
    words
        .map(|word| word.render(&values).unwrap_or_else(|e| panic!("{e}")))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The options among words, `--name=value` or `--name value`.
fn options(words: &[String]) -> Vec<(String, Option<String>)> {
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    for word in words {
        match (word.strip_prefix("--"), options.last_mut()) {
            (Some(_), _) => match word.split_once('=') {
                Some((name, value)) => options.push((name.to_owned(), Some(value.to_owned()))),
                None => options.push((word.clone(), None)),
            },
            (None, Some((_, value @ None))) => *value = Some(word.clone()),
            // The program, its subcommand, the model.
            (None, _) => assert!(options.is_empty(), "{word} in {words:?}"),
        }
    }
    options
}

/// What is wrong with an option, by the facts about its program.
fn wrong(known: &Json, name: &str, value: Option<&str>) -> Option<String> {
    let negated = name.replacen("--no-", "--", 1);
    let plain = known.get(name);
    let off = known.get(&negated).filter(|facts| facts["flag"] == "no");
    let Some(facts) = plain.or(off) else {
        return Some("there is no such option".to_owned());
    };
    let kind = facts["type"].as_str().unwrap_or_default();
    match (value, kind == "bool") {
        (None, true) => return None,
        (None, false) => return Some("it wants a value".to_owned()),
        (Some(value), true) => return Some(format!("it is a flag, and gets {value}")),
        (Some(_), false) => {}
    }
    let value = value.unwrap_or_default();
    let is_good = match kind {
        kind if kind.contains("int") => value.parse::<i64>().is_ok(),
        kind if kind.contains("float") => value.parse::<f64>().is_ok(),
        _ => true,
    };
    if !is_good {
        return Some(format!("{value} is no {kind}"));
    }
    let choices = facts["choices"].as_array()?;
    let is_choice = choices.iter().any(|choice| choice == value);
    (!is_choice).then(|| format!("{value} is none of its choices"))
}

/// Whether `value` is the default that the facts know.
fn is_default(facts: &Json, value: &str) -> bool {
    match &facts["default"] {
        Json::String(text) => text == value,
        Json::Number(number) => number.as_f64() == value.parse().ok(),
        _ => false,
    }
}

#[test]
fn options_values_and_defaults_are_those_of_the_release() {
    let programs = [
        ("vllm", "serve", "vllm serve"),
        ("vllm", "bench", "vllm bench serve"),
        ("sglang", "serve", "sglang serve"),
        ("sglang", "bench", "sglang.benchmark.serving"),
        ("llama-cpp", "serve", "llama-server"),
    ];
    let mut faults = Vec::new();
    for (preset, step, program) in programs {
        let facts = facts(preset);
        let known = &facts["programs"][program];
        assert!(
            known.as_object().is_some_and(|all| all.len() > 50),
            "{program}"
        );
        let spec = on_preset(preset).spec;
        let step = spec.step(step).expect("the preset's step");
        let all = one_by_one(&spec);
        let baseline = options(&words(step, &all[0].1));
        assert!(baseline.len() > 5, "{baseline:?}");
        for (what, params) in &all {
            for (name, value) in options(&words(step, params)) {
                if let Some(why) = wrong(known, &name, value.as_deref()) {
                    faults.push(format!("{program} with {what}: {name}: {why}"));
                }
                // What is varied starts at the program's own default.
                let is_varied = baseline
                    .iter()
                    .all(|known| *known != (name.clone(), value.clone()));
                let started = baseline.iter().find(|(known, _)| *known == name);
                if let Some((_, Some(start))) = started.filter(|_| is_varied)
                    && !is_default(&known[&name], start)
                {
                    faults.push(format!("{program}: {name} starts at {start}, no default"));
                }
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn metrics_are_fields_of_the_result() {
    for preset in ["vllm", "sglang"] {
        let facts = facts(preset);
        let fields = facts["result"].as_array().expect("a list of fields");
        let spec = on_preset(preset).spec;
        let step = spec.step("bench").expect("the preset's step");
        assert!(step.metrics.len() > 5);
        for rule in &step.metrics {
            let pointer = match &rule.source {
                MetricSource::Json { pointer, .. } | MetricSource::Records { pointer, .. } => {
                    pointer
                }
                MetricSource::Regex { .. } => panic!("{} is no field", rule.metric),
            };
            let is_field = fields.iter().any(|field| pointer[1..] == *field);
            assert!(is_field, "{preset}: {pointer}");
        }
    }
}

#[test]
fn the_release_is_named_in_the_preset() {
    for (name, program) in [
        ("vllm", "vLLM"),
        ("sglang", "SGLang"),
        ("llama-cpp", "llama.cpp"),
    ] {
        let release = facts(name)["release"]
            .as_str()
            .expect("a release")
            .to_owned();
        let text = find(name).expect("a preset").text;
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        let head = head.join(" ").replace("# ", "");
        assert!(head.contains(&format!("{program} {release}.")), "{head}");
    }
}

#[test]
fn a_preset_needs_only_what_it_asks_for_and_warns_of_nothing() {
    for preset in ALL {
        let merged = on_preset(preset.name);
        assert!(
            merged.warnings.is_empty(),
            "{}",
            merged.warnings.render(false)
        );
        // Written out it is a spec of its own: as init leaves it.
        let text = preset
            .text
            .lines()
            .map(|line| match line.split_once(" = { required") {
                Some(("name", _)) => "name = 's'",
                Some(("MODEL", _)) => "MODEL = '/models/m'",
                _ => line,
            });
        let alone = checked(&text.collect::<Vec<_>>().join("\n"));
        let mut spec = alone.spec;
        spec.digest.clone_from(&merged.spec.digest);
        assert_eq!(spec, merged.spec, "{}", preset.name);
        // What the merged text says is what was merged.
        let again = checked(&merged.text);
        assert_eq!(again.spec, merged.spec, "{}", preset.name);
    }
}

#[test]
fn what_a_preset_leaves_open_is_named() {
    let origin = Origin::of(Path::new("/etc/autotune/autotune.toml"));
    for preset in ALL {
        let complaints = check(&format!("preset = '{}'", preset.name), &origin);
        let complaints = complaints.err().map(|complaints| complaints.to_string());
        let complaints = complaints.unwrap_or_default();
        let lines: Vec<&str> = complaints.lines().collect();
        let open = open_keys(preset.name);
        assert_eq!(lines.len(), open.len(), "{}: {complaints}", preset.name);
        for (line, key) in lines.iter().zip(open) {
            let of_preset = line.starts_with(&format!("presets/{}.toml:", preset.name));
            let named = line.contains(&format!("`{key}` has no value yet"));
            assert!(of_preset && named, "{complaints}");
        }
    }
}
