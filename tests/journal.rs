//! The journal against crashes, damage, strangers and full disks.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use autotune::base::clock::Timestamp;
use autotune::model::artifacts::Fate;
use autotune::model::event::{Event, Fact};
use autotune::model::outcome::Outcome;
use autotune::model::spec::Spec;
use autotune::model::study::Study;
use autotune::model::trial::{Purpose, TrialId};
use autotune::model::value::Finite;
use autotune::store::journal::{self, Journal, Opened};
use autotune::store::{AppendError, Header, JournalError};
use proptest::prelude::*;
use tempfile::TempDir;

#[path = "helpers/study.rs"]
mod study;

/// A folder in memory where there is one: these tests open thousands of
/// journals, and a disk would sync each of them.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}

fn header(spec: &Spec) -> Header {
    Header::new(spec, Timestamp::from_millis(study::BEGAN))
}

fn open(folder: &Path) -> Result<(Journal, Opened, Vec<Fact>), JournalError> {
    let mut facts = Vec::new();
    let (journal, opened) = Journal::open(folder, &header(&study::spec()), |fact| {
        facts.push(fact.clone());
        Ok(())
    })?;
    Ok((journal, opened, facts))
}

fn read(folder: &Path) -> Result<(journal::Seen, Vec<Fact>), JournalError> {
    let mut facts = Vec::new();
    let seen = journal::read(folder, |fact| {
        facts.push(fact.clone());
        Ok(())
    })?;
    Ok((seen, facts))
}

fn wild(seed: u64, trials: usize) -> Vec<Fact> {
    let mut story = study::Story::new(Arc::new(study::spec()), seed);
    (0..trials).flat_map(|_| story.wild_trial()).collect()
}

/// A journal of these facts, as bytes.
fn written(facts: &[Fact]) -> Vec<u8> {
    let folder = folder();
    let (mut journal, ..) = open(folder.path()).expect("a new journal");
    for batch in facts.chunks(3) {
        journal.append(batch).expect("room");
    }
    fs::read(folder.path().join(journal::FILE)).expect("read")
}

fn put(folder: &Path, bytes: &[u8]) {
    fs::write(folder.join(journal::FILE), bytes).expect("written");
}

fn after() -> Fact {
    let reason = "after".to_owned();
    Fact {
        at: Timestamp::from_millis(7),
        event: Event::Paused {
            reason,
            by_user: false,
        },
    }
}

/// Facts compare by `Value`'s equality, under which `1` is `"1"`. Here the
/// types count too.
fn exactly(facts: &[Fact]) -> Vec<String> {
    let types = |fact: &Fact| match &fact.event {
        Event::TrialPlanned { params, .. } => {
            let kind = |value| match value {
                &autotune::model::value::Value::Bool(_) => "bool",
                autotune::model::value::Value::Int(_) => "int",
                autotune::model::value::Value::Float(_) => "float",
                autotune::model::value::Value::Text(_) => "text",
            };
            params.iter().map(|(_, value)| kind(value)).collect()
        }
        _ => Vec::new(),
    };
    facts
        .iter()
        .map(|fact| format!("{fact:?} {:?}", types(fact)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_counted_as_facts_come_is_what_there_is(seed: u64, trials in 1usize..6) {
        let mut study = Study::new(Arc::new(study::spec()));
        for fact in wild(seed, trials) {
            // Not every wild fact fits.
            let _ = study.apply(&fact);
            let all = study.trials();
            let now = Timestamp::from_millis(fact.at.as_millis() + 5);
            let elapsed: Duration = all.iter().map(|trial| trial.elapsed(now)).sum();
            prop_assert_eq!(study.busy(now), elapsed);
            let runs = all.iter().flat_map(|trial| &trial.runs);
            prop_assert_eq!(study.runs() as usize, runs.filter(|run| run.is_good()).count());
            let unsettled: Vec<_> = all.iter().filter(|trial| !trial.is_settled()).collect();
            prop_assert_eq!(study.all_unsettled().collect::<Vec<_>>(), unsettled);
            let running = all.iter().find(|trial| trial.running().is_some());
            prop_assert_eq!(study.running(), running);
            let complete = all.iter().filter(|t| t.outcome == Some(Outcome::Complete));
            prop_assert_eq!(study.counts().complete as usize, complete.count());
            prop_assert_eq!(study.counts().all() as usize, all.len());
        }
    }

    #[test]
    fn facts_come_back_exactly(seed: u64, trials in 1usize..6) {
        let facts = wild(seed, trials);
        let folder = folder();
        put(folder.path(), &written(&facts));
        let (_, opened, found) = open(folder.path()).expect("whole");
        prop_assert_eq!(exactly(&found), exactly(&facts));
        prop_assert_eq!(&found, &facts);
        prop_assert_eq!(opened.facts, facts.len() as u64);
        prop_assert_eq!(opened.torn, None);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at: u16) {
        let mut journal = written(&wild(1, 1));
        let at = usize::from(at) % journal.len();
        journal.splice(at..at, bytes);
        let folder = folder();
        put(folder.path(), &journal);
        let _ = open(folder.path());
    }
}

#[test]
fn cut_anywhere_it_opens_to_a_prefix_and_goes_on() {
    let facts = wild(11, 4);
    let whole = written(&facts);
    let ends: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at] == b'\n')
        .map(|at| at + 1)
        .collect();
    for cut in 0..=whole.len() {
        let folder = folder();
        put(folder.path(), &whole[..cut]);
        let lines = ends.iter().filter(|end| **end <= cut).count();
        let (mut journal, opened, found) =
            open(folder.path()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(found, facts[..lines.saturating_sub(1)], "cut at {cut}");
        assert_eq!(opened.fresh, lines == 0, "cut at {cut}");
        let good = lines.checked_sub(1).map_or(0, |last| ends[last]);
        let kept = opened.torn.map(|torn| fs::read(torn.kept).expect("kept"));
        assert_eq!(kept.unwrap_or_default(), whole[good..cut], "cut at {cut}");
        journal.append(&[after()]).expect("room");
        drop(journal);
        let (_, again, more) = open(folder.path()).expect("whole");
        assert_eq!(again.torn, None, "cut at {cut}");
        assert_eq!(more, [&found[..], &[after()]].concat(), "cut at {cut}");
    }
}

#[test]
fn one_changed_byte_never_makes_another_study() {
    let facts = wild(23, 2);
    let whole = written(&facts);
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    let folder = folder();
    for at in 0..whole.len() {
        for change in [
            1,
            0x20,
            0x80,
            whole[at] ^ b'\n',
            whole[at] ^ b'"',
            whole[at],
        ] {
            if change == 0 {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            put(folder.path(), &bytes);
            match read(folder.path()) {
                Ok((seen, found)) => {
                    assert!(seen.torn && at >= last, "byte {at} ^ {change}");
                    assert_eq!(found, facts[..facts.len() - 1], "byte {at} ^ {change}");
                }
                Err(JournalError::Damaged { line, offset, .. }) => {
                    let before = &whole[..at];
                    let begins = before
                        .iter()
                        .rposition(|byte| *byte == b'\n')
                        .map_or(0, |at| at + 1);
                    assert_eq!(offset, begins as u64, "byte {at} ^ {change}");
                    let lines = before.iter().filter(|byte| **byte == b'\n').count() as u64;
                    assert_eq!(line, lines + 1, "byte {at} ^ {change}");
                }
                // The header's version.
                Err(JournalError::Newer { .. }) => assert!(at < 30, "byte {at} ^ {change}"),
                Err(other) => panic!("byte {at} ^ {change}: {other}"),
            }
        }
    }
}

#[test]
fn damage_in_the_middle_is_told_and_nothing_is_changed() {
    let mut bytes = written(&wild(5, 2));
    let second = bytes.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    bytes[second + 30] ^= 1;
    let folder = folder();
    put(folder.path(), &bytes);
    let error = open(folder.path()).expect_err("damaged").to_string();
    let path = folder.path().join(journal::FILE);
    let expected = format!(
        "{0} is damaged at line 2, byte {second}: its checksum is wrong, and more lines follow. \
         Nothing was changed. Restore the file from a copy, or give up that line and all after it \
         with `truncate -s {second} {0}`",
        path.display()
    );
    assert_eq!(error, expected);
    assert_eq!(fs::read(&path).expect("read"), bytes);
}

#[test]
fn lines_must_be_in_sequence() {
    let facts = wild(5, 2);
    let whole = written(&facts);
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let without = [&lines[..3], &lines[4..]].concat().concat();
    let twice = [&lines[..4], &lines[3..]].concat().concat();
    for (bytes, problem) in [
        (without, "it has number 4 where 3 is next"),
        (twice, "it has number 3 where 4 is next"),
    ] {
        let folder = folder();
        put(folder.path(), &bytes);
        let error = open(folder.path())
            .expect_err("out of sequence")
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_fact_that_fits_no_study_is_damage() {
    let folder = folder();
    let facts = wild(5, 2);
    let second = facts
        .iter()
        .position(|fact| matches!(&fact.event, Event::TrialPlanned { trial, .. } if trial.0 == 2));
    put(
        folder.path(),
        &written(&facts[second.expect("two trials")..]),
    );
    let error = journal::view(folder.path(), Arc::new(study::spec())).expect_err("no first trial");
    assert!(
        error.to_string().contains("line 2, byte ")
            && error
                .to_string()
                .contains("trial 2 planned where 1 is next"),
        "{error}"
    );
}

#[test]
fn the_second_daemon_is_told_who_was_first() {
    let folder = folder();
    let first = open(folder.path()).expect("a new journal");
    let error = open(folder.path()).expect_err("in use");
    assert!(matches!(error, JournalError::InUse { .. }), "{error:?}");
    let expected = format!("is in use by process {} (", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    assert!(read(folder.path()).is_ok(), "looking needs no lock");
    drop(first);
    open(folder.path()).expect("free again");
}

#[test]
fn strangers_are_named() {
    let folder = folder();
    put(folder.path(), &written(&wild(3, 1)));
    let spec = study::spec();
    let open =
        |header: &Header| Journal::open(folder.path(), header, |_| Ok(())).expect_err("a stranger");
    let other = Header {
        study: "other".to_owned(),
        ..header(&spec)
    };
    let text = open(&other).to_string();
    assert!(
        text.contains("belongs to study `qwen-serving`, not to `other`"),
        "{text}"
    );
    let seed = Header {
        seed: 7,
        ..header(&spec)
    };
    let text = open(&seed).to_string();
    assert!(
        text.contains("was begun with seed 42, and its spec now says 7"),
        "{text}"
    );
    let digest = Header {
        spec_digest: "another".to_owned(),
        ..header(&spec)
    };
    Journal::open(folder.path(), &digest, |_| Ok(())).expect("a spec may change");
    assert!(matches!(
        read(&folder.path().join("none")),
        Err(JournalError::Missing { .. })
    ));
}

fn sealed(json: &str) -> String {
    let body = json.strip_suffix('}').expect("an object");
    format!(
        "{body},\"crc\":\"{:08x}\"}}\n",
        crc32fast::hash(body.as_bytes())
    )
}

#[test]
fn later_formats() {
    let folder = folder();
    let header = |major, minor| {
        sealed(&format!(
            r#"{{"format":{{"major":{major},"minor":{minor}}},"tool":"9.1.0","study":"qwen-serving","spec_digest":"","seed":42,"created":0}}"#
        ))
    };
    let paused = sealed(r#"{"seq":1,"at":1,"event":{"paused":{"reason":"why"}}}"#);
    let moved = sealed(r#"{"seq":2,"at":1,"event":{"moved":{"to":"elsewhere"}}}"#);
    let resumed = sealed(r#"{"seq":3,"at":1,"event":{"resumed":{}}}"#);

    let newer = [header(1, 7), paused.clone(), moved.clone(), resumed].concat();
    put(folder.path(), newer.as_bytes());
    let (seen, facts) = read(folder.path()).expect("a newer minor is readable");
    assert_eq!((seen.facts, seen.unknown, facts.len()), (2, 1, 2));
    let text = open(folder.path()).expect_err("not writable").to_string();
    assert!(
        text.contains("has format 1.7, written by autotune 9.1.0;"),
        "{text}"
    );
    assert!(text.contains("which writes 1.2 and reads 1.x"), "{text}");
    assert_eq!(
        fs::read(folder.path().join(journal::FILE)).expect("read"),
        newer.as_bytes()
    );

    let ours = [header(1, 0), paused.clone(), moved].concat();
    put(folder.path(), ours.as_bytes());
    let text = open(folder.path())
        .expect_err("an unknown event")
        .to_string();
    assert!(
        text.contains("line 3, ") && text.contains("unknown kind `moved`"),
        "{text}"
    );

    for other in [
        header(2, 0),
        header(2, 0).replace(",\"crc\"", ",\"sum\""),
        header(0, 9) + &paused,
    ] {
        put(folder.path(), other.as_bytes());
        for error in [
            open(folder.path()).expect_err("unreadable"),
            read(folder.path()).expect_err("unreadable"),
        ] {
            assert!(matches!(error, JournalError::Newer { .. }), "{error:?}");
        }
    }
}

#[test]
fn the_first_format_stays_readable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal/v1");
    let (study, seen) = journal::view(&path, Arc::new(study::spec())).expect("readable");
    assert_eq!((seen.facts, seen.torn), (17, false));
    insta::assert_snapshot!(trials(&study));
    assert_eq!(study.incumbent().map(|trial| trial.id.0), Some(1));
}

fn trials(study: &Study) -> String {
    let trials = study.trials().iter().map(|trial| {
        format!(
            "{:?} {:?} {} runs, {:?}",
            trial.params,
            trial.origin,
            trial.runs.len(),
            trial.outcome
        )
    });
    trials.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_second_format_stays_readable() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal/v1.2");
    let (study, seen) = journal::view(&path, Arc::new(study::spec())).expect("readable");
    assert!(!seen.torn);
    let amendments: Vec<String> = study.amendments().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(amendments.join("\n"));
    assert_eq!(seen.facts, 83);
    // What was asked and answered.
    assert!(!study.is_ended("MAX_NUM_SEQS") && study.ended_by_user());
    assert_eq!((study.rejected().count(), study.pending()), (3, None));
    let made = &study.trials()[3];
    let fate = made.artifacts.as_ref().map(|artifacts| &artifacts.fate);
    assert_eq!(fate, Some(&Fate::Deleted { left: 1 }));
    assert_eq!(study.kept().expect("a copy").trial, TrialId(4));
    let resumed = made.sittings[0].resumed.as_deref();
    assert_eq!(resumed, Some("/data/out/checkpoint-1200"));
    let cut = study.trials()[3].pruned_by_racing();
    let cut = cut.and_then(|pruning| pruning.cut.as_ref()).expect("a cut");
    assert_eq!((cut.mark, cut.parts, cut.share), (1, Some(4), 0.25));
    assert_eq!(study.trials()[3].marks[0].metrics.len(), 2);
    let told = &study.trials()[4];
    let curve = told.curve("eval", 1, "total_tps").expect("a curve");
    let points: Vec<_> = curve
        .points
        .iter()
        .map(|p| (p.at.get(), p.value.get()))
        .collect();
    assert_eq!(points, [(100.0, 2500.5), (200.0, 2600.5)]);
    assert_eq!(
        (curve.of.map(Finite::get), told.curves.len()),
        (Some(1000.0), 2)
    );
    let median = told.pruned_by_racing().and_then(|pruning| pruning.median);
    let median = median.expect("the median rule");
    assert_eq!((median.at.get(), median.trials), (200.0, 6));
    insta::assert_snapshot!(trials(&study));
    insta::assert_debug_snapshot!(study.outbox());
    let unfit: Vec<String> = study.unfit().iter().map(ToString::to_string).collect();
    assert_eq!(
        unfit,
        ["constraint.gone.max = none: there is no setting `constraint.gone.max`"]
    );
    // A trial that was started again, to check and to be confirmed.
    let trial = study.trial(TrialId(1)).expect("a trial");
    let (baseline, winner) = (TrialId(1), TrialId(2));
    let purposes: Vec<Purpose> = trial.sittings.iter().map(|s| s.purpose).collect();
    let confirm = Purpose::Confirm { baseline, winner };
    assert_eq!(
        purposes[..4],
        [Purpose::Measure, Purpose::Check, confirm, confirm]
    );
    // In slots; the last word is that of an early build.
    assert_eq!(
        purposes[4..],
        [Purpose::Neighbours, Purpose::Incumbent, Purpose::Neighbours]
    );
    let slots = trial.sittings.iter().map(|sitting| sitting.slot.as_deref());
    let slots: Vec<Option<&str>> = slots.skip(3).collect();
    assert_eq!(slots, [None, Some("gpu1"), Some("gpu0"), Some("gpu1")]);
    let preflight = &study.trials()[5].sittings[0];
    assert_eq!(
        (preflight.purpose, preflight.slot.as_deref()),
        (Purpose::Preflight, Some("gpu0"))
    );
    assert_eq!((trial.runs.len(), trial.extra.len()), (1, 3));
    let drift = study.drift().expect("it was seen");
    let share = 5000.0 / 5940.43 - 1.0;
    assert!((drift.amount - share).abs() < 1e-12, "{drift:?}");
    insta::assert_debug_snapshot!("advice", study.advice());
    assert_eq!(study.consultations().usage().tokens(), 2987);
    assert!(!study.consultations().is_silent());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Wherever the journal ends, reading it gives the spec, the outcomes and
    /// the best of that moment.
    #[test]
    fn amendments_replay_from_every_fact(seed: u64) {
        let spec = Arc::new(study::spec());
        let mut story = study::Story::new(Arc::clone(&spec), seed);
        let facts: Vec<Fact> = (0..6)
            .flat_map(|_| {
                let mut facts = story.good_trial();
                facts.insert(seed as usize % 10, story.amended());
                facts
            })
            .collect();
        let mut now = Study::new(Arc::clone(&spec));
        let folder = folder();
        let (mut journal, ..) = open(folder.path()).expect("a new journal");
        for fact in &facts {
            journal.append(std::slice::from_ref(fact)).expect("room");
            now.apply(fact).expect("it fits");
            let (then, _) = journal::view(folder.path(), Arc::clone(&spec)).expect("readable");
            prop_assert_eq!(then.spec(), now.spec());
            for trial in now.all_running() {
                prop_assert_eq!(then.spec_of_running(trial.id), now.spec_of_running(trial.id));
            }
            prop_assert_eq!(then.amendments(), now.amendments());
            prop_assert_eq!(then.unfit(), now.unfit());
            prop_assert_eq!(then.trials(), now.trials());
            prop_assert_eq!(then.revision(), now.revision());
            let id = |study: &Study| study.incumbent().map(|trial| trial.id);
            prop_assert_eq!(id(&then), id(&now));
        }
    }
}

#[test]
fn somebody_elses_bytes_are_not_written_over() {
    let folder = folder();
    let (mut journal, ..) = open(folder.path()).expect("a new journal");
    journal.append(&[after()]).expect("room");
    let path = folder.path().join(journal::FILE);
    let mut stranger = OpenOptions::new().append(true).open(&path).expect("open");
    stranger.write_all(b"hello").expect("written");
    let error = journal.append(&[after()]).expect_err("changed");
    assert!(matches!(error, AppendError::Changed { .. }), "{error:?}");
    assert!(fs::read(&path).expect("read").ends_with(b"hello"));
    drop(journal);
    let (_, opened, facts) = open(folder.path()).expect("a torn tail");
    assert_eq!(
        (facts.len(), opened.torn.map(|torn| torn.bytes)),
        (1, Some(5))
    );
}

#[test]
fn a_journal_that_was_taken_away_is_noticed() {
    let folder = folder();
    let (mut journal, ..) = open(folder.path()).expect("a new journal");
    let path = folder.path().join(journal::FILE);
    fs::rename(&path, folder.path().join("moved")).expect("moved");
    journal
        .append(&[after()])
        .expect("moved, it is still there");
    fs::remove_file(folder.path().join("moved")).expect("removed");
    let error = journal.append(&[after()]).expect_err("removed");
    assert!(error.to_string().contains("it was removed"), "{error}");
}

/// Runs one of the ignored tests below in a process of its own, with `script`
/// around it. `None` when the system does not let us.
fn inside(script: &str, test: &str, folder: &Path) -> Option<std::process::Output> {
    let exe = std::env::current_exe().expect("this program");
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(exe)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("FOLDER", folder)
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    text.contains("running 1 test").then_some(output)
}

fn passed(output: &std::process::Output) {
    let text = [&output.stdout[..], &output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&text)
    );
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "whoever runs the tests must see that one was skipped"
)]
fn a_full_disk_loses_nothing() {
    let folder = folder();
    // A file system of 64 KiB, in a namespace of its own: no right is needed.
    let script = r#"exec unshare --user --map-root-user --mount sh -c \
        'mount -t tmpfs -o size=64k none "$FOLDER" && exec "$@"' sh "$@""#;
    match inside(script, "inner_full_disk", folder.path()) {
        Some(output) => passed(&output),
        None => eprintln!("skipped: this system lets no user mount a tmpfs of their own"),
    }
}

fn inner_folder() -> PathBuf {
    PathBuf::from(std::env::var_os("FOLDER").expect("started by another test"))
}

#[test]
#[ignore = "started by a_full_disk_loses_nothing"]
fn inner_full_disk() {
    let folder = inner_folder();
    let ballast = folder.join("ballast");
    let (mut journal, ..) = open(&folder).expect("a new journal");
    let facts = wild(31, 40);
    let mut acknowledged = 0;
    let mut failures = 0;
    for batch in facts.chunks(7) {
        // Room for the batch is made only after it has failed.
        while let Err(error) = journal.append(batch) {
            assert!(error.is_full(), "{error:?}");
            failures += 1;
            assert_eq!(read(&folder).expect("whole").1, facts[..acknowledged]);
            assert!(!read(&folder).expect("whole").0.torn);
            fs::remove_file(&ballast).expect("ballast was there");
        }
        acknowledged += batch.len();
        if acknowledged > 150 {
            break;
        }
        // Fill the disk up to the last byte.
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&ballast)
            .expect("open");
        while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
    }
    assert!(failures > 3, "{failures}");
    drop(journal);
    assert_eq!(open(&folder).expect("whole").2, facts[..acknowledged]);

    // A study that cannot even begin.
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&ballast)
        .expect("open");
    while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
    let error = open(&folder.join("other")).expect_err("no room");
    assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
}

#[test]
fn a_short_write_leaves_nothing() {
    let folder = folder();
    // Files may have 8 blocks of 512 bytes; `trap` makes it an error instead of
    // a signal.
    let script = r#"trap "" XFSZ; ulimit -f 8; exec "$@""#;
    let output = inside(script, "inner_short_write", folder.path()).expect("a shell");
    passed(&output);
}

#[test]
#[ignore = "started by a_short_write_leaves_nothing"]
fn inner_short_write() {
    let folder = inner_folder();
    let (mut journal, ..) = open(&folder).expect("a new journal");
    let facts = wild(41, 9);
    journal.append(&facts[..4]).expect("room");
    for _ in 0..3 {
        // Its first part fits, and is written.
        let error = journal.append(&facts[4..]).expect_err("too large");
        assert!(matches!(error, AppendError::Failed { .. }), "{error:?}");
        let (seen, found) = read(&folder).expect("whole");
        assert_eq!((seen.torn, &found[..]), (false, &facts[..4]));
    }
    journal.append(&facts[4..6]).expect("a smaller batch fits");
    drop(journal);
    assert_eq!(open(&folder).expect("whole").2, facts[..6]);
}

#[test]
fn a_study_can_be_looked_at_while_it_is_written() {
    let folder = folder();
    let spec = Arc::new(study::spec());
    let mut story = study::Story::new(spec.clone(), 3);
    let mut study = Study::new(spec.clone());
    let (mut journal, ..) = open(folder.path()).expect("a new journal");
    for _ in 0..3 {
        let facts = story.good_trial();
        journal.append(&facts).expect("room");
        facts
            .iter()
            .for_each(|fact| study.apply(fact).expect("fits"));
        let (seen, report) = journal::view(folder.path(), spec.clone()).expect("readable");
        assert_eq!(seen.trials(), study.trials());
        assert_eq!(report.facts, journal.facts());
    }
}
