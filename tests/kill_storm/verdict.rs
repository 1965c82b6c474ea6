//! What must hold at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::checks::{assert_nothing_left, performed};
use crate::clients::followed;
use crate::seen::{Journal, Storm, run_of};

/// Waits until the client that follows to the end has been shown all, and ends
/// the last daemon.
pub fn await_follower(storm: &Storm) {
    let mut journal = Journal::default();
    let deadline = Instant::now() + Duration::from_secs(60);
    let lines = || {
        let text = std::fs::read_to_string(followed(storm)).unwrap_or_default();
        text.matches('\n').count()
    };
    // It may have removed artifacts since it was opened.
    let is_open = |journal: &Journal| {
        let mut events = journal.events.iter().rev();
        let last = events.find(|event| event.get("artifacts-deleted").is_none());
        last.is_some_and(|event| event.get("opened").is_some())
    };
    while !is_open(journal.read(&storm.study)) || lines() < journal.events.len() {
        assert!(Instant::now() < deadline, "{}", storm.faults());
        assert!(storm.is_well(), "{}", storm.faults());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Checks everything that can be checked when no client runs. Returns how many
/// runs the journal has.
pub fn check(storm: &Storm) -> usize {
    assert!(storm.is_well(), "seed {}\n{}", storm.seed, storm.faults());
    let study = &storm.study;
    let mut journal = Journal::default();
    journal.read(study);

    let numbers = journal.lines.iter().map(|line| line["seq"].as_u64());
    assert!(numbers.eq((1..=journal.lines.len() as u64).map(Some)));
    for (seq, shown) in storm.events() {
        assert_eq!(journal.events.get(seq as usize - 1), Some(&shown), "{seq}");
    }
    for (promise, count) in storm.promises() {
        assert!(journal.kept(&promise) >= count, "{promise:?}");
    }
    let followed = std::fs::read_to_string(followed(storm)).expect("a file");
    let followed = followed.lines().map(|line| {
        let line: Json = serde_json::from_str(line).expect("JSON");
        (line["seq"].as_u64(), line["event"].clone())
    });
    let followed: Vec<_> = followed.collect();
    // The follower was ended before the daemon, which may remove artifacts yet.
    let (told, late) = journal.events.split_at(followed.len());
    let expected: Vec<_> = (1..).map(Some).zip(told.iter().cloned()).collect();
    assert_eq!(followed, expected, "what was followed");
    let removed = |event: &Json| event.get("artifacts-deleted").is_some();
    assert!(late.iter().all(removed), "{late:?}");

    let mut runs = BTreeMap::new();
    for (key, run) in journal.events.iter().filter_map(run_of) {
        let twice = runs.insert(key.clone(), run);
        assert_eq!(twice, None, "{key:?} is there twice");
    }
    for (key, shown) in storm.runs() {
        assert_eq!(runs.get(&key), Some(&shown), "{key:?}");
    }
    check_trials(
        storm,
        &journal,
        &runs.keys().map(|key| key.0).collect::<Vec<_>>(),
    );
    // None was recorded that was not performed, by the account of the
    // evaluator itself.
    let performed = performed(study);
    assert_eq!(runs.keys().find(|key| !performed.contains_key(key)), None);
    runs.len()
}

/// How many events of each kind the journal has.
pub fn kinds(storm: &Storm) -> BTreeMap<String, usize> {
    let mut journal = Journal::default();
    let mut kinds = BTreeMap::new();
    for event in &journal.read(&storm.study).events {
        let kind = event.as_object().and_then(|event| event.keys().next());
        *kinds.entry(kind.cloned().unwrap_or_default()).or_default() += 1;
    }
    kinds
}

/// All is tried, twice only what a user wanted twice, and has all its runs
/// unless a user did not want it. What a user has refused need not be tried.
fn check_trials(storm: &Storm, journal: &Journal, runs: &[u64]) {
    let (mut values, mut trials) = (BTreeSet::new(), 0);
    let (mut skipped, mut deferred) = (BTreeSet::new(), BTreeSet::new());
    let mut ends = BTreeMap::new();
    let mut asked = None;
    let mut refused = BTreeSet::new();
    for event in &journal.events {
        if let Some(planned) = event.get("trial-planned") {
            trials += 1;
            assert_eq!(planned["trial"], trials);
            let is_new = values.insert(planned["params"]["N"].as_u64());
            assert!(is_new || planned["origin"] == "user", "{planned}");
        } else if let Some(proposal) = event.get("approval-asked") {
            asked = proposal["params"]["N"].as_u64();
            assert_ne!(asked, None, "{proposal}");
        } else if event.get("approval-refused").is_some() {
            refused.insert(asked);
        } else if let Some(trial) = event["trial-skipped"]["trial"].as_u64() {
            skipped.insert(trial);
        } else if let Some(trial) = event["trial-pruned"]["trial"].as_u64() {
            // It need not have all its runs either.
            skipped.insert(trial);
        } else if let Some(trial) = event["trial-deferred"]["trial"].as_u64() {
            deferred.insert(trial);
        } else if let Some(trial) = event["trial-reopened"]["trial"].as_u64() {
            skipped.remove(&trial);
        } else if let Some(ended) = event.get("sitting-ended") {
            ends.insert(ended["trial"].as_u64(), ended["end"].clone());
        }
    }
    // Some that a user has added may be among them.
    let all = (1..=storm.values).map(Some);
    let is_settled = |value| values.contains(&value) || refused.contains(&value);
    assert!(all.into_iter().all(is_settled));
    for trial in 1..=trials {
        let has = runs.iter().filter(|of| **of == trial).count();
        let is_complete = ends.get(&Some(trial)).is_some_and(|end| end == "complete");
        if is_complete && deferred.contains(&trial) {
            // Its other runs come when it is worth them.
            assert!((1..=3).contains(&has), "{trial} has {has} runs");
            continue;
        }
        let as_wished = is_complete == (has == 3) && (is_complete || skipped.contains(&trial));
        assert!(
            as_wished,
            "{trial} has {has} runs: {:?}",
            ends.get(&Some(trial))
        );
    }
}

/// Nothing is left of the study, and its files are what follows from the
/// journal. To be called when no daemon runs.
pub fn check_files(storm: &Storm) {
    let study = &storm.study;
    assert_nothing_left(study);
    let files = ["tune_results.jsonl", "best_params.json"].map(|name| study.out(name));
    let read = || {
        files
            .each_ref()
            .map(|path| std::fs::read_to_string(path).expect("a file"))
    };
    let before = read();
    for path in &files {
        std::fs::remove_file(path).expect("removed");
    }
    assert_eq!(crate::support::code(&study.run()), 0, "{}", study.trace());
    assert_eq!(before, read());
}
