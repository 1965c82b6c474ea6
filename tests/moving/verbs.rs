//! The other verbs that know a repo, and what its study is called.

use std::fs;

use crate::Repo;
use crate::support::{code, said};

#[test]
fn doctor_looks_for_what_a_repo_needs() {
    let repo = Repo::new();
    let port = repo.port.to_string();
    let arguments = ["doctor", "--preset", "serving-env", "--repo"];
    let looked = |repo_dir: &str, more: &[&str]| {
        repo.autotuned(&[&arguments[..], &[repo_dir], more].concat(), &[])
    };
    let output = looked(".", &["--port", &port]);
    let text = said(&output);
    assert!(
        text.contains(&format!("ports: port {port} is free")),
        "{text}"
    );
    let folder = repo.path("repo");
    assert!(text.contains(&folder.display().to_string()), "{text}");
    // What is in the way is found by the repo's own settings.
    let _holder = std::net::TcpListener::bind(("127.0.0.1", repo.port)).expect("a free port");
    let output = looked(".", &["--port", &port]);
    assert_eq!(code(&output), 1, "{}", said(&output));
    // Nothing is looked at that nobody means.
    for (arguments, words) in [
        (&["doctor", "--port", &port][..], "belongs to --preset"),
        (
            &["doctor", "--output-dir", "out"],
            "give its spec, or --preset",
        ),
        (
            &["doctor", "s.toml", "--preset", "vllm"],
            "cannot be used with",
        ),
    ] {
        let output = repo.autotuned(arguments, &[]);
        assert_eq!(code(&output), 2, "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let output = looked(".", &["--output-dir", "out"]);
    assert_eq!(code(&output), 2, "{}", said(&output));
    let output = looked("nowhere", &[]);
    assert_eq!(code(&output), 3, "{}", said(&output));
}

#[test]
fn one_trial_of_a_repo_by_hand() {
    let repo = Repo::new();
    let before = repo.names();
    let port = repo.port.to_string();
    let preset = ["try", "--preset", "serving-env", "--port", &port];
    let tried = |values: &[&str]| repo.autotuned(&[&preset[..], values].concat(), &[]);
    let output = tried(&["VLLM_MAX_NUM_SEQS=1536", "MAX_NEW_TOKENS=48"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("total_tps 6536"), "{text}");
    let environment = repo.read("eval.last.env");
    assert_eq!(
        crate::variable(&environment, "MAX_NEW_TOKENS"),
        Some("48"),
        "{environment}"
    );
    let made = ["eval.arguments", "eval.last.env", "server.last.env"];
    let mut after = repo.names();
    after.retain(|name| !made.contains(&name.as_str()));
    assert_eq!(after, before, "nothing is recorded");
    // The starting values, and what is none.
    let output = tried(&[]);
    assert!(
        said(&output).contains("total_tps 6024"),
        "{}",
        said(&output)
    );
    for (words, answer) in [
        (
            &["study.toml"][..],
            "study.toml beside --preset is no value",
        ),
        (&["A=1", "A=2"], "A is given twice"),
        (&["NO_SUCH=1"], "NO_SUCH"),
    ] {
        let output = tried(words);
        assert_eq!(code(&output), 2, "{}", said(&output));
        assert!(said(&output).contains(answer), "{}", said(&output));
    }
}

/// What `convert` says a repo's study is called.
fn name_of(repo: &Repo, folder: &str) -> String {
    let output = repo.autotuned(&["convert", "--repo", folder], &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let table: toml::Table = text.parse().expect("TOML");
    table["study"]["name"].as_str().expect("text").to_owned()
}

#[test]
fn a_study_is_called_as_its_folder() {
    let repo = Repo::new();
    let long = "n".repeat(80);
    for (folder, name) in [
        ("qwen-2.5_b", "qwen-2.5_b"),
        ("my repo (2)", "my-repo--2"),
        (".hidden", "hidden"),
        ("通义 qwen", "qwen"),
        ("调参", "serving-env"),
        (&long, &long[..64]),
    ] {
        let path = repo.path(folder);
        fs::create_dir(&path).expect("a folder");
        assert_eq!(name_of(&repo, path.to_str().expect("text")), name);
    }
    let output = repo.autotuned(&["plan", "--preset", "serving-env"], &[]);
    assert!(said(&output).contains("study repo,"), "{}", said(&output));
}

/// A study that was begun under another name, as that of a preset once was, or
/// in a folder that was called otherwise.
#[test]
fn a_study_keeps_the_name_with_which_it_began() {
    let repo = Repo::new();
    let port = repo.port.to_string();
    let convert = ["convert", "--port", &port, "--cooldown", "0"];
    let text = String::from_utf8(repo.autotuned(&convert, &[]).stdout).expect("text");
    let named = |name: &str| text.replace("name = \"repo\"", &format!("name = \"{name}\""));
    let spec = repo.path("old.toml");
    fs::write(&spec, named("serving-env") + "\n[budget]\ntrials = 1\n").expect("written");
    let run = ["run", spec.to_str().expect("text"), "--no-socket"];
    let output = repo.autotuned(&run, &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));

    assert_eq!(name_of(&repo, "."), "serving-env");
    let plan = repo.autotuned(&["plan", "--preset", "serving-env"], &[]);
    let text = said(&plan);
    assert!(text.contains("study serving-env,") && text.contains("after 1 trial"));
    // Another history has no name yet.
    let plan = ["plan", "--preset", "serving-env", "--results", "r.jsonl"];
    let text = said(&repo.autotuned(&plan, &[]));
    assert!(text.contains("study repo,"), "{text}");
    // Who names it otherwise is told how it is called.
    fs::write(&spec, named("repo")).expect("written");
    let output = repo.autotuned(&run, &[]);
    assert_eq!(code(&output), 4, "{}", said(&output));
    let words = "belongs to study `serving-env`, not to `repo`: set name = \"serving-env\"";
    assert!(said(&output).contains(words), "{}", said(&output));
}

#[test]
fn a_number_is_its_digits() {
    let repo = Repo::new();
    repo.write(
        "space.json",
        r#"{"MAX_MODEL_LEN": [512, "1024", 1024], "BATCH": [1, 2], "RATE": [0.5, 1e-4, -1]}"#,
    );
    repo.write(
        "best_params.json",
        r#"{"MAX_NEW_TOKENS": 72, "BATCH": 2, "RATE": 0.50}"#,
    );
    let environment = [("SEARCH_SPACE_FILE", "space.json")];
    let output = repo.autotuned(&["convert"], &environment);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    let table: toml::Table = text.parse().expect("TOML");
    let values = |name: &str| {
        let values = table["space"][name].as_array().expect("a list").iter();
        values
            .map(|value| value.as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        values("MAX_MODEL_LEN"),
        ["768", "1024", "1536", "2048", "512"]
    );
    assert_eq!(values("BATCH"), ["1", "2"]);
    assert_eq!(values("RATE"), ["0.5", "0.0001", "-1"]);
    let base = |name: &str| table["base"][name].as_str().expect("text").to_owned();
    assert_eq!(
        ["MAX_NEW_TOKENS", "BATCH", "RATE"].map(base),
        ["72", "2", "0.5"]
    );
}
