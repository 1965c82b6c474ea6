//! How long a large journal takes: writes one of 100 000 trials (or as many as
//! the first argument says), opens it five times, each time in a fresh
//! process, and prints each figure. Then the same with somebody told of each
//! trial.
//!
//!     cargo bench --bench journal

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autotune::base::clock::Timestamp;
use autotune::model::Name;
use autotune::model::event::{Event, Fact};
use autotune::model::notice::{Notice, NoticeId};
use autotune::model::notify::Kind;
use autotune::model::study::Study;
use autotune::model::trial::TrialId;
use autotune::store::{Header, Journal, journal};

#[path = "../tests/helpers/study.rs"]
mod study;

const OPENINGS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let first = arguments.next();
    match first.as_deref() {
        Some("open") => open(&PathBuf::from(arguments.next().expect("a folder"))),
        Some("whole") => whole(&PathBuf::from(arguments.next().expect("a folder"))),
        number => {
            let trials = number.map_or(100_000, |number| {
                number.parse().expect("a number of trials")
            });
            for told in [false, true] {
                bench(trials, told);
            }
        }
    }
}

fn bench(trials: u32, told: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (generated, appended) = write(folder.path(), trials, told);
    let bytes = fs::metadata(folder.path().join(journal::FILE))
        .expect("written")
        .len();
    let facts = if told {
        "12 facts, 2 of a notice"
    } else {
        "10 facts"
    };
    println!("{trials} trials of {facts}, {:.1} MB", bytes as f64 / 1e6);
    println!(
        "  write, one batch and one sync a trial: {:.2} s ({:.0} µs a batch); made up in {:.2} s",
        appended.as_secs_f64(),
        appended.as_secs_f64() * 1e6 / f64::from(trials),
        generated.as_secs_f64(),
    );
    for (verb, what) in [
        ("open", "journal opened, study made"),
        ("whole", "the same, and the results file compared"),
    ] {
        println!("  {what}:");
        let mut figures: Vec<(f64, f64)> = (0..OPENINGS)
            .map(|_| in_fresh_process(verb, folder.path()))
            .collect();
        for (seconds, rss) in &figures {
            println!("    {seconds:.3} s, peak RSS {rss:.1} MB");
        }
        figures.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        println!(
            "    min {:.3} s, median {:.3} s",
            figures[0].0,
            figures[OPENINGS / 2].0
        );
    }
}

fn write(folder: &Path, trials: u32, told: bool) -> (Duration, Duration) {
    let spec = Arc::new(study::spec());
    let header = Header::new(&spec, Timestamp::from_millis(study::BEGAN));
    let (mut journal, _) = Journal::open(folder, &header, |_| Ok(())).expect("a new journal");
    let mut story = study::Story::new(spec, 1);
    let (mut generated, mut appended) = (Duration::ZERO, Duration::ZERO);
    for trial in 1..=trials {
        let begun = Instant::now();
        let mut facts = story.good_trial();
        if told {
            let at = facts[facts.len() - 1].at;
            facts.extend(notice(TrialId(trial)).map(|event| Fact { at, event }));
        }
        let made = Instant::now();
        journal.append(&facts).expect("room");
        generated += made - begun;
        appended += made.elapsed();
    }
    (generated, appended)
}

/// What is journalled when somebody is told of a trial, and is reached.
fn notice(trial: TrialId) -> [Event; 2] {
    let (id, channel) = (NoticeId(trial.0.into()), Name::from("feishu"));
    let notice = Notice {
        id,
        kind: Kind::TrialDone,
        trial: Some(trial),
        title: format!("qwen-serving: trial {trial} is done"),
        text: "total_tps 5940.4 ± 31, accuracy 0.8815\n".repeat(5),
        channels: vec![channel.clone()],
    };
    let delivered = Event::NoticeDelivered {
        channel,
        notices: vec![id],
        refused: Vec::new(),
    };
    [Event::NoticeQueued(Arc::new(notice)), delivered]
}

fn in_fresh_process(verb: &str, folder: &Path) -> (f64, f64) {
    let exe = std::env::current_exe().expect("this program");
    let output = Command::new(exe)
        .arg(verb)
        .arg(folder)
        .output()
        .expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = text
        .split_whitespace()
        .map(|figure| figure.parse().expect("a figure"));
    let mut next = || figures.next().expect("two figures");
    (next(), next())
}

fn open(folder: &Path) {
    let begun = Instant::now();
    let mut study = Study::new(Arc::new(study::spec()));
    let header = Header::new(study.spec(), Timestamp::from_millis(0));
    let (_journal, opened) =
        Journal::open(folder, &header, |fact| study.apply(fact)).expect("opens");
    figures(begun);
    assert!(opened.facts >= study.trials().len() as u64 * 10);
}

/// What a daemon does at start. The first of them makes the results file.
fn whole(folder: &Path) {
    let begun = Instant::now();
    let spec = Arc::new(study::spec());
    let now = Timestamp::from_millis(0);
    let opening = autotune::store::open(folder, folder, spec, "", now).expect("opens");
    figures(begun);
    assert!(opening.unrepaired.is_none());
}

fn figures(begun: Instant) {
    println!("{} {}", begun.elapsed().as_secs_f64(), peak_rss());
}

/// In MB of 10^6 bytes.
fn peak_rss() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("VmHWM");
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number");
    kib * 1.024e-3
}
