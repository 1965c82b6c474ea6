//! What the packages install, held against the program.

use std::collections::BTreeSet;
use std::path::Path;

use autotune::config::{Checked, Origin, check, presets};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn checked(text: &str) -> Checked {
    let origin = Origin::of(Path::new("/etc/autotune/autotune.toml"));
    check(text, &origin).unwrap_or_else(|complaints| panic!("{complaints:?}"))
}

/// Whether a line of the conffile is a key that is commented out: a default,
/// or, with a space, an example.
fn commented(line: &str) -> Option<&str> {
    let line = line.strip_prefix('#')?;
    let line = line.strip_prefix(' ').unwrap_or(line);
    let key = line.split(" = ").next()?;
    let word = |c: char| c.is_ascii_lowercase() || c == '_';
    (line.contains(" = ") && key.chars().all(word)).then_some(line)
}

/// The keys of the table in `config`, each with its section; the names that a
/// user gives are left out.
fn keys() -> Vec<(String, String)> {
    let source = read("src/config/mod.rs");
    let mut section = String::new();
    let mut keys = Vec::new();
    for row in source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
    {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells[0].starts_with('`') {
            section = cells[0].trim_matches(['`', '[', ']']).to_owned();
        }
        let words = cells[1].split('`').skip(1).step_by(2);
        keys.extend(words.map(|key| (section.clone(), key.trim_start_matches('.').to_owned())));
    }
    assert!(keys.len() > 40, "the table of keys was not found: {keys:?}");
    keys
}

#[test]
fn the_conffile_has_every_key_in_its_section() {
    let text = read("packaging/autotune.toml");
    let mut section = String::new();
    let mut found = BTreeSet::new();
    let mut prose = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        // Of what there may be several, one is there as an example.
        let header = line.strip_prefix("# ").unwrap_or(line);
        if header.starts_with('[') {
            section = header.trim_matches(['[', ']']).to_owned();
            // A table of a step is a key of it as well.
            if let Some(key) = section.strip_prefix("step.") {
                found.insert(("step".to_owned(), key.to_owned()));
            }
            section = section.replace("step.ready", "ready");
            if section.starts_with("remedy.") {
                section = "remedy.TROUBLE".to_owned();
            }
            continue;
        }
        let key = commented(line).unwrap_or(line).split(" = ").next();
        found.insert((section.clone(), key.unwrap_or_default().to_owned()));
        // Keys within braces.
        let inner = line.split(['{', ',']).skip(1);
        prose.extend(inner.filter_map(|part| Some(part.split_once(" = ")?.0.trim().to_owned())));
    }
    let missing: Vec<_> = keys()
        .into_iter()
        .filter(|(section, key)| !found.contains(&(section.clone(), key.clone())))
        .filter(|(section, key)| {
            let in_braces = matches!(
                section.as_str(),
                "space" | "step.metrics" | "step.progress" | "median" | "secret"
            );
            !(in_braces && prose.contains(key))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_conffile_is_valid_and_what_it_calls_a_default_is_one() {
    let text = read("packaging/autotune.toml");
    let shipped = checked(&text);
    let mut defaults = 0;
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && commented(line).is_some() => {
            defaults += 1;
            rest
        }
        _ => line,
    });
    let written_out = checked(&lines.collect::<Vec<_>>().join("\n"));
    assert!(defaults > 15, "{defaults}");
    let mut spec = written_out.spec;
    spec.digest.clone_from(&shipped.spec.digest);
    assert_eq!(spec, shipped.spec);
}

#[test]
fn the_conffile_tunes_what_the_demo_tunes() {
    let shipped = checked(&read("packaging/autotune.toml")).spec;
    let demo = read("src/demo/demo.toml").replace("{{ program }}", "/usr/bin/autotuned");
    let demo = checked(&demo).spec;
    assert_eq!(shipped.objective, demo.objective);
    assert_eq!(shipped.constraints, demo.constraints);
    assert_eq!(shipped.budget, demo.budget);
    let domains = |spec: &autotune::model::spec::Spec| -> Vec<String> {
        let parameters = spec.space.parameters().iter();
        parameters
            .map(|p| format!("{} {:?}", p.name, p.domain.size()))
            .collect()
    };
    assert_eq!(domains(&shipped), domains(&demo));
}

#[test]
fn presets_and_what_they_start_are_installed() {
    let build = read("packaging/build");
    assert!(build.contains("for preset in src/config/presets/*.toml; do\n  put 644"));
    assert!(read("packaging/rpm/autotune.spec").contains("\n/usr/share/autotune\n"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/presets");
    let files = std::fs::read_dir(folder).expect("the presets");
    let names = files.map(|file| {
        file.expect("a file")
            .file_name()
            .into_string()
            .expect("text")
    });
    let files: BTreeSet<String> = names.filter(|name| name.ends_with(".toml")).collect();
    let known = presets::ALL.map(|preset| format!("{}.toml", preset.name));
    assert_eq!(files, BTreeSet::from(known));
    // The evaluator of llama-cpp, and the questions that it reads beside it.
    let evaluator = "/usr/share/autotune/llama-cpp/eval_local.py";
    let llama = presets::find("llama-cpp").expect("a preset");
    assert!(llama.text.contains(evaluator));
    assert!(build.contains("for file in eval_local.py qa.jsonl; do\n  put 644"));
    assert!(read("examples/llama-cpp/eval_local.py").contains("qa.jsonl"));
    assert!(!read("examples/llama-cpp/qa.jsonl").is_empty());
}

/// The settings of a unit, without its comments.
fn settings(path: &str) -> Vec<String> {
    let text = read(path);
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_instance_is_as_the_service() {
    let service = settings("systemd/autotune.service");
    assert!(service.len() > 40, "{service:?}");
    let expected: Vec<String> = service
        .iter()
        .map(|line| {
            if line.starts_with("Description=") {
                "Description=autotune, study of %i.toml".to_owned()
            } else {
                line.replace("/control.sock", "/%i.sock")
                    .replace("/etc/autotune/autotune.toml", "/etc/autotune/%i.toml")
            }
        })
        .collect();
    assert_eq!(settings("systemd/autotune@.service"), expected);
}

#[test]
fn the_unit_fits_the_exit_codes_and_the_socket() {
    use autotune::cli::exit::Exit;
    let service = settings("systemd/autotune.service");
    let hopeless = [Exit::Usage, Exit::Spec, Exit::Folder, Exit::Journal];
    let codes: Vec<String> = hopeless.map(|exit| exit.code().to_string()).into();
    let line = format!("RestartPreventExitStatus={}", codes.join(" "));
    assert!(service.contains(&line), "{line}");
    let socket = autotune::wire::socket::SERVICE;
    for start in ["ExecStart=", "ExecReload="] {
        let line = service.iter().find(|line| line.starts_with(start));
        assert!(line.is_some_and(|line| line.contains(socket)), "{start}");
    }
}
