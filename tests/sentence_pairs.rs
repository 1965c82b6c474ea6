//! The example that trains: its spec holds, its scripts parse, and the studies
//! whose results its README tells are there to be looked at.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Study, code, said};

/// Six studies: their folder, and whether a language model was asked.
const RESULTS: [(&str, bool); 6] = [
    ("coordinate-1", false),
    ("coordinate-2", false),
    ("coordinate-3", false),
    ("advisor-1", true),
    ("advisor-2", true),
    ("advisor-3", true),
];

fn example(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("examples/sentence-pairs").join(name)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn python(arguments: &[&str], folder: &Path) -> Option<std::process::Output> {
    let output = Command::new("python3")
        .args(arguments)
        .current_dir(folder)
        .output();
    output.ok()
}

#[test]
fn the_spec_holds_with_a_model_and_without() {
    let study = Study::new("");
    let spec = example("autotune.toml").display().to_string();
    let check = study.autotuned(&["check", "--no-host", &spec]);
    assert_eq!(code(&check), 0, "{}", said(&check));
    let coordinate = text(&example("autotune.toml"))
        .replace("sampler = \"advisor\"", "sampler = \"coordinate\"");
    std::fs::write(study.path("coordinate.toml"), coordinate).expect("a spec");
    let check = study.autotuned(&["check", "--no-host", "coordinate.toml"]);
    assert_eq!(code(&check), 0, "{}", said(&check));
}

#[test]
fn scripts_parse() {
    for name in ["setup.sh", "advisor.sh", "compare.sh"] {
        let output = Command::new("bash")
            .arg("-n")
            .arg(example(name))
            .output()
            .expect("bash");
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

/// What is not installed here is said with the way to it.
#[test]
fn without_its_packages_the_training_says_what_to_do() {
    let study = Study::new("");
    let script = example("train.py").display().to_string();
    // Without the packages of whoever runs this.
    let Some(output) = python(&["-I", "-S", &script], &study.path("")) else {
        return;
    };
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(
        said(&output).contains("run setup.sh first"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_pairs_are_made_of_the_library_that_is_there() {
    let study = Study::new("");
    let script = example("pairs.py").display().to_string();
    let Some(output) = python(&[&script, "data"], &study.path("")) else {
        return;
    };
    // Some systems install Python without the most of its library.
    if said(&output).contains("error: only ") {
        return;
    }
    assert_eq!(code(&output), 0, "{}", said(&output));
    for (name, count) in [("train", 400), ("held-out", 300), ("test", 400)] {
        let pairs = text(&study.path(&format!("data/{name}.jsonl")));
        assert_eq!(pairs.lines().count(), count, "{name}");
        for pair in pairs.lines() {
            let pair: serde_json::Value = serde_json::from_str(pair).expect("JSON");
            assert!(pair["name"].is_string() && pair["does"].is_string());
        }
    }
}

#[test]
fn the_studies_of_the_readme_can_be_looked_at() {
    let readme = text(&example("README.md"));
    for (name, is_advised) in RESULTS {
        let kept = example("results").join(name);
        let study = Study::new("");
        for file in ["spec.toml", "journal.jsonl"] {
            std::fs::copy(kept.join(file), study.path(file)).expect("a copy");
        }
        let view = study.autotuned(&["view", "."]);
        assert_eq!(code(&view), 0, "{}", said(&view));
        assert!(
            said(&view).contains(&format!("{name} is done")),
            "{}",
            said(&view)
        );
        assert_eq!(kept.join("advisor.jsonl").exists(), is_advised);
        assert!(readme.contains(&format!("results/{name}")), "{name}");
    }
}
