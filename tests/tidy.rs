//! Invariants of the sources themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom, as `src/lib.rs` has it; `base` may be imported by all.
const IMPORTS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("model", &[]),
    ("term", &[]),
    ("demo", &[]),
    ("search", &["model"]),
    ("catalogue", &["model"]),
    ("troubles", &["model"]),
    ("config", &["model", "catalogue", "troubles"]),
    ("exec", &["model", "troubles"]),
    (
        "doctor",
        &["model", "advisor", "exec", "notify", "report", "systemd"],
    ),
    ("store", &["model"]),
    ("advisor", &["model"]),
    ("supervise", &[]),
    ("setup", &["doctor"]),
    ("report", &["model", "search", "troubles"]),
    ("notify", &["model", "report", "troubles"]),
    ("systemd", &[]),
    (
        "daemon",
        &[
            "model", "search", "config", "exec", "doctor", "store", "report", "wire", "systemd",
            "notify", "advisor",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "search",
            "config",
            "exec",
            "doctor",
            "store",
            "report",
            "daemon",
            "demo",
            "term",
            "wire",
            "setup",
            "supervise",
            "systemd",
            "notify",
            "advisor",
        ],
    ),
    ("wire", &["model"]),
    (
        "ctl",
        &[
            "model",
            "advisor",
            "catalogue",
            "config",
            "setup",
            "wire",
            "report",
            "term",
        ],
    ),
];

/// Rooms that may hold unsafe code.
const UNSAFE: &[&str] = &["exec", "systemd"];
/// Rooms that may start or signal processes; `setup` runs systemctl and its like.
const PROCESSES: &[&str] = &["exec", "setup", "supervise"];
/// Rooms that know no clock, no files and no runtime.
const PURE: &[&str] = &["model", "search", "report", "catalogue", "troubles"];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut stack = vec![root.clone()];
    while let Some(folder) = stack.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("below src").to_owned();
                let room = below
                    .iter()
                    .next()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                let text = std::fs::read_to_string(&path).expect("a source");
                found.push((room, below, text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// The part of a source before its unit tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_import_only_what_they_may() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = IMPORTS
        .iter()
        .map(|(room, others)| {
            (
                *room,
                others.iter().copied().chain(["base", *room]).collect(),
            )
        })
        .collect();
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        let Some(allowed) = allowed.get(room.as_str()) else {
            assert!(
                matches!(room.as_str(), "lib.rs" | "bin"),
                "room `{room}` has no line"
            );
            continue;
        };
        for piece in code(&text).split("crate::").skip(1) {
            let other = piece
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            let other = other.unwrap_or_default();
            if !allowed.contains(other) {
                wrong.push(format!("{} imports crate::{other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_processes_and_the_world_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        let code = code(&text);
        let room = room.as_str();
        let mut forbid = |rooms: &[&str], words: &[&str], inside: bool| {
            if rooms.contains(&room) == inside {
                let found = words.iter().filter(|word| code.contains(**word));
                wrong.extend(found.map(|word| format!("{}: {word}", path.display())));
            }
        };
        forbid(UNSAFE, &["unsafe {", "unsafe fn", "unsafe_code"], false);
        forbid(
            PROCESSES,
            &["process::Command", "pidfd_send_signal", "signal::kill"],
            false,
        );
        forbid(
            PURE,
            &[
                "std::fs",
                "tokio::",
                "SystemTime",
                "Instant::now",
                "clock::now",
            ],
            true,
        );
        forbid(&["cli", "ctl"], &["println!(", "stdout()"], false);
        forbid(&["bin"], &["process::exit"], false);
    }
    let wrong: Vec<_> = wrong.into_iter().filter(|w| !excused(w)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands there for a reason.
fn excused(finding: &str) -> bool {
    // The runner's reports go to its standard output, which is a pipe.
    finding == "exec/report.rs: stdout()"
}

#[test]
fn files_stay_small() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(_, path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > 650)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words that a man page has in the place of a key or an option.
fn is_in(man: &str, macro_name: &str, word: &str) -> bool {
    let lines = man.lines().filter(|line| line.starts_with(".It"));
    lines.into_iter().any(|line| {
        line.split(" , ")
            .flat_map(|part| part.split(".It "))
            .any(|part| {
                let rest = part.trim().strip_prefix(macro_name).map(str::trim_start);
                rest.is_some_and(|rest| rest.split(' ').next() == Some(word))
            })
    })
}

#[test]
fn every_key_of_a_spec_is_in_its_man_page() {
    let man = read("man/autotune.toml.5");
    let rows = read("src/config/mod.rs");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("//! | "));
    let keys: Vec<String> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| {
            cell.split(['`', ',', ' '])
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|word| !word.is_empty() && !["or", "key", "---"].contains(&word.as_str()))
        .collect();
    assert!(keys.len() > 50, "the table of keys was not found: {keys:?}");
    let missing: Vec<_> = keys.iter().filter(|key| !is_in(&man, "Ic", key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_known_trouble_is_in_the_manual() {
    let man = read("man/autotune.7");
    let (_, man) = man.split_once(".Sh KNOWN TROUBLES").expect("a section");
    let (man, _) = man.split_once(".Sh ").expect("the next");
    let listed: Vec<&str> = man
        .lines()
        .filter_map(|line| line.strip_prefix(".It Sy "))
        .collect();
    let known = autotune::troubles::all().iter();
    let known: Vec<&str> = known.map(|trouble| trouble.name.as_str()).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_verb_option_and_exit_code_is_in_the_man_page() {
    use clap::CommandFactory;
    let man = read("man/autotuned.8");
    let readme = read("README.md");
    for verb in autotune::cli::Cli::command()
        .get_subcommands()
        .filter(|v| !v.is_hide_set())
    {
        assert!(
            is_in(&man, "Cm", verb.get_name()),
            "verb {}",
            verb.get_name()
        );
        for option in verb
            .get_arguments()
            .filter_map(|argument| argument.get_long())
        {
            assert!(
                is_in(&man, "Fl Fl", option),
                "option --{option} of {}",
                verb.get_name()
            );
        }
    }
    for exit in autotune::cli::exit::Exit::ALL {
        let code = exit.code();
        assert!(man.contains(&format!("\n.It {code}\n")), "exit code {code}");
        assert!(
            readme.contains(&format!("\n| {code} | ")),
            "exit code {code} in README"
        );
    }
}
