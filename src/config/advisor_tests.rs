use std::path::PathBuf;
use std::time::Duration;

use super::tests::{GOOD, good};
use super::{Complaints, Origin, check};
use crate::base::secret::Source;
use crate::model::spec::{Advisor, Key, Language, Price};

/// The good spec's advisor, after `section`.
fn advisor(section: &str) -> Advisor {
    let spec = good(&format!("{GOOD}\n{section}")).spec;
    spec.advisor.expect("an advisor")
}

/// What is said about a text.
fn complaints(text: &str) -> Complaints {
    let origin = Origin {
        file: "spec.toml".to_owned(),
        folder: PathBuf::from("/etc/autotune"),
    };
    match check(text, &origin) {
        Ok(checked) => checked.warnings,
        Err(complaints) => complaints,
    }
}

#[test]
fn a_model_is_enough() {
    assert_eq!(good(GOOD).spec.advisor, None);
    let advisor = advisor("[advisor]\nmodel = \"m\"");
    assert_eq!(advisor.base_url, "https://api.openai.com/v1");
    assert_eq!((&*advisor.model, advisor.api_key), ("m", Key::Usual));
    assert_eq!(advisor.temperature, None);
    assert_eq!(advisor.timeout, Duration::from_secs(120));
    assert_eq!(advisor.max_tokens, Some(500_000));
    assert_eq!(
        (advisor.max_priority_params, advisor.rounds_per_param),
        (3, 3)
    );
    assert_eq!((advisor.share, advisor.language), (0.0, Language::English));
}

#[test]
fn everything_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.txt");
    std::fs::write(&plan, "{{ space }} {{ answer }}\n").expect("written");
    let advisor = advisor(&format!(
        "[advisor]\nmodel = \"m\"\nbase_url = \"http://127.0.0.1:8000/v1/\"\n\
         api_key = {{ file = \"keys.sh\", name = \"KEY\" }}\ntemperature = 0.2\ntimeout = 9\n\
         max_tokens = 0\nprice = {{ prompt = 1, completion = 2.5 }}\nshare = 0.2\n\
         language = \"both\"\nabout = \" it \"\nprompt_file = {{ plan = '{}' }}",
        plan.display()
    ));
    assert_eq!(advisor.base_url, "http://127.0.0.1:8000/v1");
    let source = Source::Exported {
        file: PathBuf::from("/etc/autotune/keys.sh"),
        name: "KEY".to_owned(),
    };
    assert_eq!(advisor.api_key, Key::At(source));
    assert_eq!(advisor.max_tokens, None);
    let price = Price {
        prompt: 1.0,
        completion: 2.5,
    };
    assert_eq!(advisor.price, Some(price));
    assert_eq!((advisor.share, advisor.language), (0.2, Language::Both));
    assert_eq!(advisor.about.as_deref(), Some("it"));
    let plan = advisor.prompts.plan.expect("a template");
    assert_eq!(plan.source(), "{{ space }} {{ answer }}\n");
    assert_eq!(advisor.prompts.value, None);
}

#[test]
fn protected_parameters() {
    let spec = good(&GOOD.replace(
        "[space]",
        "[space]\nA1 = { values = [1, 2], tunable = false }\nA2 = { int = [1, 2] }\n",
    ))
    .spec;
    let tunable = |name: &str| spec.space.parameter(name).map(|one| one.is_tunable());
    assert_eq!(tunable("A1"), Some(false));
    assert_eq!(tunable("A2"), Some(true));
}

#[test]
fn slips_are_shown_where_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let bad = write("bad.txt", "one\n{{ two\n");
    let unknown = write("unknown.txt", "one\ntwo\n{{ spaces }}\n");
    let cases = [
        (
            "",
            "error: [advisor] has no `model` (for instance: model = \"gpt-4o-mini\")",
        ),
        ("model = \"\"", "error: `model` is empty"),
        (
            "model = \"m\"\nbase_url = \"localhost:8000\"",
            "error: `base_url` must begin with https:// or http:// and a host (for instance: \
             base_url = \"http://127.0.0.1:8000/v1\")",
        ),
        (
            "model = \"m\"\nbase_url = \"https://h/v1/chat/completions\"",
            "error: `base_url` is the address below which the endpoint is (leave \
             /chat/completions out: it is added)",
        ),
        (
            "model = \"m\"\nbase_url = \"https://user:hunter2@h/v1\"",
            "error: `base_url` has a secret in it, which does not belong into a spec (give the key \
             by `api_key`)",
        ),
        (
            "model = \"m\"\napi_key = \"sk-hunter2\"",
            "error: `api_key` is a secret, which does not belong into a spec (say where it is \
             found: api_key = { credential = \"api_key\" }, or file, or env)",
        ),
        (
            "model = \"m\"\napi_key = true",
            "error: `api_key` says where the key is found, or false (leave it out to have the key \
             looked for where it usually is)",
        ),
        (
            "model = \"m\"\napi_keys = \"sk-hunter2\"",
            "error: [advisor] has no key `api_keys` (did you mean `api_key`?)",
        ),
        (
            "model = \"m\"\ntemperature = 3",
            "error: `temperature` must be a number from 0 to 2",
        ),
        (
            "model = \"m\"\nmax_tokens = 100",
            "error: `max_tokens` is for the whole study: 2000 at least, or 0 for no limit",
        ),
        (
            "model = \"m\"\nshare = 20",
            "error: `share` must be a number from 0 to 1",
        ),
        (
            "model = \"m\"\nprice = { prompt = 1, completion = -1 }",
            "error: `completion` must be 0 or more, for a million tokens",
        ),
        (
            "model = \"m\"\nlanguage = \"de\"",
            "error: `language` cannot be `de`: choose en, zh or both",
        ),
        (
            &format!("model = \"m\"\nprompt_file = {{ plan = '{bad}' }}"),
            "error: FOLDER/bad.txt:2: this is not a template: unexpected end of input, expected \
             end of variable block ({{ NAME }} is filled in; for braces as text write {{ '{{' }})",
        ),
        (
            &format!("model = \"m\"\nprompt_file = {{ plan = '{unknown}' }}"),
            "error: FOLDER/unknown.txt:3: a question has no `spaces` (did you mean `space`?)",
        ),
        (
            "model = \"m\"\nbase_url = \"http://gpu.example/v1\"\napi_key = { env = \"KEY\" }",
            "warning: the key goes over the network for everybody to read (use https://, or \
             api_key = false where the server wants none)",
        ),
    ];
    for (section, expected) in cases {
        let text = format!("{GOOD}\n[advisor]\n{section}\n");
        let found = complaints(&text);
        let shown = found.to_string();
        let all = format!("{shown}{}", found.render(false));
        assert!(!all.contains("hunter2"), "{all}");
        let shown = shown.replace(&folder.path().display().to_string(), "FOLDER");
        assert!(shown.contains(expected), "{shown}\n{expected}");
        assert_eq!(found.len(), 1, "{shown}");
    }
}

#[test]
fn a_key_beside_a_slip_of_syntax_is_not_shown() {
    let text = format!("{GOOD}\n[advisor]\napi_key = \"sk-hunter2\nmodel = \"m\"\n");
    let found = complaints(&text);
    let all = format!("{found}{}", found.render(false));
    assert!(
        all.contains("not TOML") && !all.contains("hunter2"),
        "{all}"
    );
}
