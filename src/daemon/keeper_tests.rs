//! Copies of artifacts: where they go, what they spare, and how they end.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::daemon::discard::discard;
use crate::exec::artifacts::{ArtifactOrder, KeepOrder, Roots, list};
use crate::model::artifacts::ArtifactsChange;

/// A study's folder, in which a trial works.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["work", "out/trials/trial_00001"] {
            fs::create_dir_all(folder.path().join(name)).expect("a folder");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(file::folder_of(&path)).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// What a trial makes in `work`, by these patterns; `*` before one is for
    /// the newest.
    fn made(&self, patterns: &[&str], work: impl FnOnce()) -> (Vec<String>, Order) {
        let trial = self.path("out/trials/trial_00001");
        let (work_dir, output) = (self.path("work"), self.path("out"));
        let roots = Roots {
            trial: &trial,
            work: &work_dir,
            output: &output,
        };
        let orders = patterns.iter().map(|pattern| ArtifactOrder {
            pattern: pattern
                .trim_start_matches('*')
                .replace("{trial}", &trial.to_string_lossy()),
            newest: pattern.starts_with('*'),
            required: None,
        });
        let orders: Vec<ArtifactOrder> = orders.collect();
        let since = roots.begin(&orders);
        work();
        let keep = KeepOrder {
            own: vec![output.join("artifacts/best"), output.join("journal")],
            output_dir: output.clone(),
            ..KeepOrder::default()
        };
        let (mut groups, mut refused) = (Vec::new(), Vec::new());
        for order in &orders {
            match roots.find("train", order, &since, &keep) {
                Ok(found) => {
                    refused.extend(found.refused);
                    groups.push(found.group);
                }
                Err(why) => refused.push(why),
            }
        }
        let order = Order {
            list: self.path("out/list.json"),
            token: "t".to_owned(),
            to: self.path("out/artifacts/best"),
            about: serde_json::from_str(r#"{"study":"s","begun":1,"trial":1}"#).expect("an object"),
        };
        list(&order.list, "t", "train", groups).expect("a list");
        (refused, order)
    }

    /// The files below a folder, with their text.
    fn files(&self, folder: &str) -> Vec<(String, String)> {
        let root = self.path(folder);
        let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().expect("a type").is_dir() {
                    folders.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(&root).expect("below").to_owned();
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    found.push((name.to_string_lossy().into_owned(), text));
                }
            }
        }
        found.sort();
        found
    }

    fn names(&self, folder: &str) -> Vec<String> {
        self.files(folder)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }
}

fn keep(order: &Order) -> Result<Copied, Trouble> {
    super::keep(order, &AtomicBool::new(false))
}

#[test]
fn what_the_patterns_match_is_copied_below_their_folder() {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["out/best/**"], &["autotune.json", "model", "sub/deep"]),
        (
            &["out/best"],
            &["autotune.json", "best/model", "best/sub/deep"],
        ),
        (
            &["out/*/model"],
            &["autotune.json", "best/model", "last/model"],
        ),
        (
            &["out/best/**", "single.bin"],
            &[
                "autotune.json",
                "out/best/model",
                "out/best/sub/deep",
                "single.bin",
            ],
        ),
        (&["*models/*"], &["autotune.json", "new"]),
        (&["{trial}/**"], &["autotune.json", "own"]),
        (&["none/**", "s*.bin"], &["autotune.json", "single.bin"]),
    ];
    for (patterns, expected) in cases {
        let place = Place::new();
        place.write("work/out/best/older", "from before");
        place.write("work/models/2025/model", "from before");
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (refused, order) = place.made(patterns, || {
            for name in [
                "out/best/model",
                "out/best/sub/deep",
                "out/last/model",
                "single.bin",
            ] {
                place.write(&format!("work/{name}"), name);
            }
            place.write("work/models/2026/old", "");
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(9);
            let older = File::options()
                .append(true)
                .open(place.path("work/models/2026/old"));
            older.expect("a file").set_modified(time).expect("a time");
            place.write("work/models/2026-01/new", "");
            place.write("out/trials/trial_00001/own", "");
        });
        assert_eq!(refused, [""; 0], "{patterns:?}");
        let copied = keep(&order).unwrap_or_else(|error| panic!("{patterns:?}: {error}"));
        assert_eq!(copied.files as usize, expected.len() - 1, "{patterns:?}");
        assert_eq!(place.names("out/artifacts/best"), expected, "{patterns:?}");
    }
}

#[test]
fn nothing_from_elsewhere_is_taken() {
    let place = Place::new();
    place.write("secret/key", "secret");
    place.write("out/journal.jsonl", "ours");
    let (refused, order) = place.made(
        &["near/**", "../secret/*", "/etc/*", "out/../..", "**"],
        || {
            place.write("work/near/own", "1");
            symlink(place.path("secret"), place.path("work/near/far")).expect("a link");
            symlink("../../secret/key", place.path("work/near/key")).expect("a link");
            symlink("own", place.path("work/near/link")).expect("a link");
            symlink("nowhere", place.path("work/near/broken")).expect("a link");
        },
    );
    assert_eq!(refused.len(), 7, "{refused:?}");
    for part in [
        "near/far is a link that leads out",
        "near/key is a link that leads out",
        "`..`",
        "is outside of",
        "leads nowhere",
    ] {
        assert!(
            refused.iter().any(|text| text.contains(part)),
            "{part}: {refused:?}"
        );
    }
    keep(&order).expect("a copy");
    assert_eq!(
        place.names("out/artifacts/best"),
        ["autotune.json", "link", "own"]
    );
    // The study's own files are nobody's artifacts, wherever it works.
    let trial = place.path("out/trials/trial_00001");
    let roots = Roots {
        trial: &trial,
        work: &place.path("out"),
        output: &place.path("out"),
    };
    let keep = KeepOrder {
        own: vec![place.path("out/journal")],
        output_dir: place.path("out"),
        spans: vec![(0, i64::MAX)],
        ..KeepOrder::default()
    };
    let order = ArtifactOrder {
        pattern: "j*".to_owned(),
        newest: false,
        required: None,
    };
    let found = roots.find("train", &order, &[], &keep).expect("a search");
    assert_eq!(found.group.files, []);
}

#[test]
fn a_copy_replaces_the_former_and_spares_what_others_have_put_there() {
    let place = Place::new();
    place.write("out/artifacts/best/notes", "somebody's");
    let (_, first) = place.made(&["model"], || place.write("work/model", "1"));
    let copied = keep(&first).expect("a copy");
    assert_eq!(copied.aside, [place.path("out/artifacts/best.old-1")]);
    assert_eq!(
        place.files("out/artifacts/best.old-1"),
        [("notes".to_owned(), "somebody's".to_owned())]
    );
    // The same once more is there already, though the original has gone.
    fs::remove_file(place.path("work/model")).expect("removed");
    assert_eq!(
        keep(&first).expect("it is there").aside,
        [""; 0].map(PathBuf::from)
    );
    let (_, mut second) = place.made(&["model"], || place.write("work/model", "22"));
    second.about.insert("trial".to_owned(), 2.into());
    assert_eq!(keep(&second).expect("a copy").aside.len(), 0);
    assert_eq!(
        place.names("out/artifacts"),
        ["best.old-1/notes", "best/autotune.json", "best/model"]
    );
    assert_eq!(place.files("out/artifacts/best")[1].1, "22");
    // What a user has put beside it stays when it is replaced.
    place.write("out/artifacts/best/mine", "mine");
    let (_, mut third) = place.made(&["model"], || place.write("work/model", "333"));
    third.about.insert("trial".to_owned(), 3.into());
    assert_eq!(
        keep(&third).expect("a copy").aside,
        [place.path("out/artifacts/best.old-2")]
    );
    assert!(place.path("out/artifacts/best.old-2/mine").exists());
    assert_eq!(place.files("out/artifacts/best")[1].1, "333");
    // One of another study is set aside as a whole.
    let mut other = third.clone();
    other.about.insert("begun".to_owned(), 2.into());
    assert_eq!(
        keep(&other).expect("a copy").aside,
        [place.path("out/artifacts/best.old-3")]
    );
    assert!(place.path("out/artifacts/best.old-3/model").exists());
    assert!(!place.path("out/artifacts/.best.new").exists());
}

#[test]
fn what_has_changed_is_lost_and_the_former_copy_stays() {
    let place = Place::new();
    let (_, first) = place.made(&["model"], || place.write("work/model", "1"));
    keep(&first).expect("a copy");
    let (_, mut second) = place.made(&["model"], || place.write("work/model", "2"));
    second.about.insert("trial".to_owned(), 2.into());
    place.write("work/model", "3, by another");
    let lost = keep(&second).expect_err("it is another");
    assert!(
        matches!(&lost, Trouble::Lost(why) if why.contains("has changed")),
        "{lost}"
    );
    fs::remove_file(place.path("work/model")).expect("removed");
    let lost = keep(&second).expect_err("it is gone");
    assert!(
        matches!(&lost, Trouble::Lost(why) if why.contains("is gone")),
        "{lost}"
    );
    symlink("/etc/hostname", place.path("work/model")).expect("a link");
    let lost = keep(&second).expect_err("it is a link");
    assert!(
        matches!(&lost, Trouble::Lost(why) if why.contains("is a link")),
        "{lost}"
    );
    assert_eq!(place.files("out/artifacts/best")[1].1, "1");
    assert!(!place.path("out/artifacts/.best.new").exists());
    let cancelled = super::keep(&second, &AtomicBool::new(true));
    assert!(cancelled.is_err());
}

#[test]
fn a_copy_that_a_crash_has_left_is_finished_or_removed() {
    let place = Place::new();
    let (_, order) = place.made(&["model"], || place.write("work/model", "1"));
    // Half a copy.
    place.write("out/artifacts/.best.new/.autotune-copy", "");
    place.write("out/artifacts/.best.new/model", "half");
    keep(&order).expect("a copy");
    assert_eq!(
        place.names("out/artifacts"),
        ["best/autotune.json", "best/model"]
    );
    // A file system that cannot exchange, between the two names.
    fs::rename(
        place.path("out/artifacts/best"),
        place.path("out/artifacts/.best.former"),
    )
    .expect("renamed");
    fs::remove_file(place.path("work/model")).expect("removed");
    keep(&order).expect("it is there");
    assert_eq!(
        place.names("out/artifacts"),
        ["best/autotune.json", "best/model"]
    );
}

#[test]
fn what_has_the_name_of_half_a_copy_and_is_none_is_set_aside() {
    let place = Place::new();
    let (_, order) = place.made(&["model"], || place.write("work/model", "1"));
    place.write("out/artifacts/.best.new/thesis", "of somebody");
    let copied = keep(&order).expect("a copy");
    assert_eq!(copied.aside.len(), 1);
    assert_eq!(
        place.names("out/artifacts"),
        ["best.old-1/thesis", "best/autotune.json", "best/model"]
    );
}

#[test]
fn nothing_is_removed_through_a_link_or_in_the_place_of_another() {
    let place = Place::new();
    place.write("work/out/before", "kept");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (_, order) = place.made(&["out/**"], || {
        for name in ["a/1", "a/2", "b/3", "4", "5", "c/6", "d/e/7"] {
            place.write(&format!("work/out/{name}"), "text");
        }
        symlink("4", place.path("work/out/link")).expect("a link");
    });
    place.write("work/out/a/2", "by another");
    fs::remove_file(place.path("work/out/5")).expect("removed");
    symlink("4", place.path("work/out/5")).expect("a link");
    fs::create_dir(place.path("elsewhere")).expect("a folder");
    fs::rename(place.path("work/out/b"), place.path("elsewhere/b")).expect("renamed");
    symlink(place.path("elsewhere/b"), place.path("work/out/b")).expect("a link");
    place.write("work/out/new", "text");
    fs::rename(place.path("work/out/new"), place.path("work/out/c/6")).expect("renamed");
    let none = ArtifactsChange::Deleted {
        files: 0,
        bytes: 0,
        left: 0,
    };
    let other = place.path("out/other.json");
    fs::copy(&order.list, &other).expect("a list");
    assert_eq!(discard(&other, "another").expect("nothing"), none);
    let change = discard(&order.list, "t").expect("removed");
    // 2, 5, 3, 6, and the link.
    assert_eq!(
        change,
        ArtifactsChange::Deleted {
            files: 3,
            bytes: 12,
            left: 5
        }
    );
    let left = ["5", "a/2", "b", "before", "c/6", "link"];
    assert_eq!(place.names("work/out"), left);
    assert_eq!(place.names("elsewhere"), ["b/3"]);
    // Empty folders have gone.
    assert!(!place.path("work/out/d").exists());
}
