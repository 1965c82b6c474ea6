//! `autotuned setup`: what it refuses, and what systemd thinks of what it
//! writes. What it does is tested on a booted machine, in tests/booted.

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use autotune::setup::drop_in::{Account, Settings};
use support::{Study, code, said};

#[track_caller]
fn assert_refused(arguments: &[&str], expected: i32, words: &str) {
    let study = Study::new("");
    let output = study.autotuned(&[&["setup"], arguments].concat());
    assert_eq!(code(&output), expected, "{}", said(&output));
    assert!(said(&output).contains(words), "{}", said(&output));
}

#[test]
fn wishes_that_cannot_be() {
    assert_refused(&[], 2, "--workdir");
    assert_refused(&["--remove", "--user", "x"], 2, "cannot be used with");
    assert_refused(&["--workdir", "/no/such"], 1, "/no/such cannot be");
    assert_refused(&["--workdir", "/usr"], 1, "name a folder below it");
    assert_refused(&["--workdir", "/tmp"], 1, "a /tmp of its own");
    let fine = ["--workdir", "/usr/bin"];
    let with = |more: &[&'static str]| [&fine, more].concat();
    assert_refused(&with(&["--user", "no one"]), 1, "there is no user `no one`");
    assert_refused(&with(&["-i", "../x"]), 2, "letters, digits");
    assert_refused(&with(&["--gpus", "first"]), 2, "numbers with commas");
    assert_refused(
        &with(&["--spec", "none.toml"]),
        1,
        "none.toml: write it first",
    );
}

/// systemd-analyze says nothing about a unit with the drop-in, whatever the
/// folder is called.
#[test]
fn systemd_takes_the_drop_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    for name in ["autotune.service", "autotune-failed@.service"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("systemd")
            .join(name);
        let unit = fs::read_to_string(source).expect("the unit");
        // It looks whether the programs are there.
        let unit = unit.replace("/usr/bin/autotunectl", "/bin/true");
        let unit = unit.replace("/usr/bin/autotuned", "/bin/true");
        fs::write(place(name), unit).expect("written");
    }
    let verify = |drop_in: &str| {
        fs::create_dir_all(place("autotune.service.d")).expect("made");
        fs::write(place("autotune.service.d/50-setup.conf"), drop_in).expect("written");
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(place("autotune.service"))
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output()
            .ok()?;
        let text = said(&output);
        let ours = text.lines().filter(|line| line.contains("autotune"));
        Some(ours.map(str::to_owned).collect::<Vec<_>>())
    };
    let settings = Settings {
        folders: vec![r#"/home/alice/a "50%h" \ $HOME; #1"#.into()],
        spec: Some(r"/home/alice/it's 100%/\study.toml".into()),
        user: Some(Account {
            user: "alice".to_owned(),
            group: "users".to_owned(),
        }),
        groups: vec!["video".to_owned()],
        devices: Some(vec!["/dev/nvidiactl".to_owned()]),
        modprobe: Some("/bin/true".into()),
    };
    let drop_in = settings.drop_in().expect("good");
    let Some(complaints) = verify(&drop_in) else {
        let _ = writeln!(std::io::stderr(), "skipped, there is no systemd-analyze");
        return;
    };
    assert_eq!(complaints, [""; 0]);
    // It would have said so.
    let wrong = drop_in.replace("\\\"50", "\"50");
    assert!(!verify(&wrong).expect("it is there").is_empty(), "{wrong}");
}
