//! Folders and journals that cannot be used. Each gets a message that names the
//! thing and the way out, its exit code, and nothing on disk is changed.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use support::said::{GOOD, assert_said, contents};
use support::{Study, said};

/// `autotuned run` on a folder that it must refuse, and leave as it is.
#[track_caller]
fn assert_refused(study: &Study, expected: i32, words: &[&str]) {
    let before = contents(&study.path("out"));
    assert_said(&study.run(), expected, words);
    let after = contents(&study.path("out"));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    assert!(before == after, "a refused start has changed the folder");
}

/// A finished study, to be spoiled.
fn finished() -> Study {
    let study = Study::new(GOOD);
    assert_said(&study.run(), 0, &["done", "best values"]);
    study
}

#[test]
fn output_folders_that_cannot_be() {
    let study = Study::new(GOOD);
    let run = |folder: &str| study.autotuned(&["run", "study.toml", "--output-dir", folder]);
    let way_out = "choose another output_dir";
    assert_said(
        &run("study.toml"),
        4,
        &["cannot be made (it is a file)", way_out],
    );
    assert_said(
        &run("study.toml/x/y"),
        4,
        &["study.toml/x/y cannot be made", way_out],
    );
    assert_said(
        &run("/proc/none/x"),
        4,
        &["/proc/none/x cannot be made", way_out],
    );
    assert_said(
        &run(""),
        2,
        &["a value is required for '--output-dir <DIR>'"],
    );
    let long = "x".repeat(300);
    assert_said(&run(&long), 4, &["cannot be made", way_out]);
    let mut bytes = study.command(&["run", "study.toml", "-o"]);
    bytes.arg(OsStr::from_bytes(b"out\xff"));
    let output = bytes.output().expect("run");
    assert_said(&output, 4, &["its name is not UTF-8; choose another"]);
    fs::write(study.path("file"), "mine").expect("written");
    let named = GOOD.replace("[study]", "[study]\noutput_dir = 'file'");
    study.write_spec(&named);
    assert_said(
        &study.autotuned(&["run", "study.toml"]),
        3,
        &["is not a folder: name another"],
    );
    assert_eq!(fs::read(study.path("file")).expect("there"), b"mine");
}

/// The journal's name is taken by something that is no file.
#[test]
fn folders_in_the_place_of_files() {
    for name in ["journal.jsonl", "lock"] {
        let study = Study::new(GOOD);
        fs::create_dir_all(study.out(name)).expect("a folder");
        assert_refused(&study, 4, &[name, "Is a directory"]);
    }
    // What only other programs read does not stop the study.
    let study = Study::new(GOOD);
    fs::create_dir_all(study.out("tune_status.json")).expect("a folder");
    let words = ["note: ", "tune_status.json cannot be written", "done"];
    assert_said(&study.run(), 0, &words);
    assert_eq!(study.results().len(), 2);
}

#[test]
fn a_second_daemon() {
    let gated = GOOD.replace(r#""run", "#, r#""run", "--gate", "{dir}/gate", "#);
    let study = Study::new(&gated);
    let mut first = study.start();
    study.await_events("step-started", 1);
    let before = fs::read(study.out("journal.jsonl")).expect("the journal");
    let holder = format!("is in use by process {} (", first.pid());
    let words = [
        holder.as_str(),
        "stop that one first, or choose another output_dir",
    ];
    assert_said(&study.run(), 4, &words);
    assert_eq!(
        before,
        fs::read(study.out("journal.jsonl")).expect("the journal")
    );
    // Looking is allowed.
    assert_said(&study.autotuned(&["view", "out"]), 0, &["goes on"]);
    study.open_gate("gate");
    assert_eq!(first.end(), 0, "{}", study.trace());
    assert_eq!(study.results().len(), 2);
}

/// A line of the journal with a checksum that is right.
fn sealed(line: &str) -> String {
    let body = line.rsplit_once(",\"crc\":").expect("a checksum").0;
    format!(
        "{body},\"crc\":\"{:08x}\"}}",
        crc32fast::hash(body.as_bytes())
    )
}

/// Changes the journal's text.
fn spoil(study: &Study, change: impl FnOnce(String) -> String) {
    let path = study.out("journal.jsonl");
    let text = fs::read_to_string(&path).expect("the journal");
    let changed = change(text.clone());
    assert_ne!(text, changed);
    fs::write(&path, changed).expect("written");
}

#[test]
fn journals_of_newer_versions() {
    let reformat = |to: &'static str| {
        move |text: String| {
            let (header, rest) = text.split_once('\n').expect("lines");
            let header = header.replace(r#""major":1,"minor":2"#, to);
            let header = header.replace(env!("CARGO_PKG_VERSION"), "9.8.7");
            format!("{}\n{rest}", sealed(&header))
        }
    };
    let words = [
        "journal.jsonl has format",
        "written by autotune 9.8.7",
        "use version 9.8.7",
    ];
    let major = finished();
    spoil(&major, reformat(r#""major":2,"minor":3"#));
    assert_refused(&major, 5, &words);
    assert_refused(&major, 5, &["format 2.3"]);
    assert_said(&major.autotuned(&["view", "out"]), 5, &words);
    let minor = finished();
    spoil(&minor, reformat(r#""major":1,"minor":7"#));
    assert_refused(&minor, 5, &words);
    // Older readers may go on reading.
    assert_said(
        &minor.autotuned(&["view", "out"]),
        0,
        &["2 trials: 2 complete"],
    );
}

#[test]
fn damaged_journals() {
    let flip = |mut text: String| {
        let at = text.find(r#""trial":1"#).expect("a trial") + 8;
        text.replace_range(at..=at, "2");
        text
    };
    let cut = |text: String| {
        let middle = text.len() / 2;
        text[..middle].to_owned() + &text[middle + 40..]
    };
    let swap = |text: String| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(2, 3);
        lines.join("\n") + "\n"
    };
    let junk = |_: String| "no journal\nat all\n".to_owned();
    let damages: [fn(String) -> String; 4] = [flip, cut, swap, junk];
    for damage in damages {
        let study = finished();
        let whole = fs::read_to_string(study.out("journal.jsonl")).expect("the journal");
        spoil(&study, damage);
        let words = [
            "is damaged at line",
            "byte",
            "Nothing was changed",
            "truncate -s",
        ];
        assert_refused(&study, 5, &words);
        let view = study.autotuned(&["view", "out"]);
        assert_said(&view, 5, &words);
        // The first way out.
        fs::write(study.out("journal.jsonl"), &whole).expect("restored");
        assert_said(
            &study.run(),
            0,
            &["going on after 2 finished trials", "done"],
        );
    }
}

/// The way out that the message names works, and the rest is tried again.
#[test]
fn the_advice_for_a_damaged_journal_holds() {
    let study = finished();
    spoil(&study, |text| {
        let at = text.rfind(r#""trial":2"#).expect("a trial");
        text[..at].to_owned() + &text[at..].replacen('2', "3", 1)
    });
    let text = said(&study.run());
    let (_, advice) = text.split_once("with `truncate -s ").expect("advice");
    let length = advice
        .split(' ')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    let journal = fs::OpenOptions::new()
        .write(true)
        .open(study.out("journal.jsonl"));
    journal.and_then(|file| file.set_len(length)).expect("cut");
    assert_said(&study.run(), 0, &["done"]);
    assert_eq!(study.results().len(), 2);
}

/// Half a line at the end is what a crash leaves: it is kept beside.
#[test]
fn a_torn_journal() {
    let study = finished();
    spoil(&study, |text| text[..text.len() - 7].to_owned());
    assert_said(&study.autotuned(&["view", "out"]), 0, &["2 trials"]);
    let words = [
        "half a line, as after a power cut",
        "are kept in",
        "journal.torn-",
        "done",
    ];
    assert_said(&study.run(), 0, &words);
    let empty = finished();
    fs::write(empty.out("journal.jsonl"), "").expect("emptied");
    // The results file is history then.
    assert_said(&empty.run(), 0, &["2 trials taken over as history", "done"]);
}

#[test]
fn folders_of_others() {
    let study = finished();
    study.write_spec(&GOOD.replace("\"words\"", "\"numbers\""));
    let words = [
        "belongs to study `words`, not to `numbers`",
        "choose another output_dir",
    ];
    assert_refused(&study, 4, &words);
    study.write_spec(&GOOD.replace("[study]", "[study]\nseed = 7"));
    let words = [
        "was begun with seed 42",
        "now says 7",
        "set seed = 42 again",
    ];
    assert_refused(&study, 4, &words);
    study.write_spec(GOOD);
    assert_said(&study.run(), 0, &["going on after 2 finished trials"]);
}

/// Without HOME the default folder comes from XDG_STATE_HOME, and the steps do
/// without it as well.
#[test]
fn no_home() {
    let study = Study::new(GOOD);
    for home in [None, Some("not/absolute")] {
        let mut command = study.command(&["run", "study.toml"]);
        command.env_remove("HOME").env_remove("STATE_DIRECTORY");
        command.env("XDG_STATE_HOME", study.path("state"));
        if let Some(home) = home {
            command.env("HOME", home);
        }
        assert_said(
            &command.output().expect("run"),
            0,
            &["state/autotune/words", "done"],
        );
        let mut alone = study.command(&["try", "study.toml"]);
        alone.env_remove("HOME");
        assert_said(&alone.output().expect("run"), 0, &["complete"]);
    }
    let mut command = study.command(&["try", "study.toml"]);
    command.env("TMPDIR", study.path("none"));
    let words = ["have no place", "TMPDIR"];
    assert_said(&command.output().expect("run"), 4, &words);
}
