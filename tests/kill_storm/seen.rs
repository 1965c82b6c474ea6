//! What clients were shown and promised: facts that no crash may take back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32};

use serde_json::Value as Json;

use crate::support::{Study, start_of};

/// What identifies a run: trial, step and number.
pub type RunKey = (u64, String, u64);

/// A storm, as all its threads see it.
pub struct Storm {
    pub study: Study,
    pub seed: u64,
    /// The space has so many params.
    pub values: u64,
    /// Whether clients still steer.
    pub steering: AtomicBool,
    /// Whether clients are to end.
    pub over: AtomicBool,
    /// How often the client that follows to the end was started.
    pub followers: AtomicU32,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    events: BTreeMap<u64, Json>,
    runs: BTreeMap<RunKey, Shown>,
    promises: Vec<(Promise, usize)>,
    answers: BTreeMap<(&'static str, String), u32>,
    faults: Vec<String>,
}

/// A good run, as a client was shown it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub sitting: u64,
    pub metrics: BTreeMap<String, f64>,
}

/// A fact that the answer to a wish promises.
#[derive(Clone, Debug)]
pub enum Promise {
    Paused,
    Resumed,
    Skipped(u64),
    Reopened(u64),
    Planned {
        trial: u64,
        value: u64,
    },
    Amended,
    Approved,
    Rejected,
    /// So many of these rows of a file.
    Imported {
        file: String,
        rows: Vec<u64>,
        taken: usize,
    },
}

impl Promise {
    pub fn is_kept_by(&self, event: &Json) -> bool {
        match self {
            Self::Paused => event["paused"]["by_user"] == true,
            Self::Resumed => event.get("resumed").is_some(),
            Self::Skipped(trial) => event["trial-skipped"]["trial"] == *trial,
            Self::Reopened(trial) => event["trial-reopened"]["trial"] == *trial,
            Self::Planned { trial, value } => {
                let planned = &event["trial-planned"];
                planned["trial"] == *trial && planned["params"]["N"] == *value
            }
            Self::Amended => event.get("spec-amended").is_some(),
            Self::Approved => event.get("approval-given").is_some(),
            Self::Rejected => event.get("approval-refused").is_some(),
            Self::Imported { file, rows, taken } => {
                let imported = &event["imported"];
                let kept = imported["rows"].as_array().is_some_and(|kept| {
                    let is_one =
                        |row: &Json| row["row"].as_u64().is_some_and(|n| rows.contains(&n));
                    kept.len() == *taken && kept.iter().all(is_one)
                });
                kept && imported["file"] == **file
            }
        }
    }
}

impl Storm {
    pub fn new(spec: &str, seed: u64, values: u64) -> Self {
        Self {
            study: Study::new(spec),
            seed,
            values,
            steering: AtomicBool::new(true),
            over: AtomicBool::new(false),
            followers: AtomicU32::new(0),
            seen: Mutex::default(),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.study.path("runtime/autotune/control.sock")
    }

    /// The runner that was started last, if it is alive and proved to be ours.
    pub fn living_runner(&self) -> Option<i32> {
        let pid = self.study.newest_runner()?;
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let sittings = self.study.out("sittings").display().to_string();
        (command.contains(&sittings) && start_of(pid).is_some()).then_some(pid)
    }

    /// Something is not as it should be.
    pub fn fault(&self, text: String) {
        self.seen.lock().expect("no panic").faults.push(text);
    }

    pub fn is_well(&self) -> bool {
        self.seen.lock().expect("no panic").faults.is_empty()
    }

    pub fn faults(&self) -> String {
        let faults = self.seen.lock().expect("no panic").faults.join("\n");
        format!("{faults}\n{}", self.study.trace())
    }

    /// Counts an answer to a verb.
    pub fn answered(&self, verb: &'static str, answer: impl Into<String>) {
        let mut seen = self.seen.lock().expect("no panic");
        *seen.answers.entry((verb, answer.into())).or_default() += 1;
    }

    pub fn answers(&self) -> BTreeMap<(&'static str, String), u32> {
        self.seen.lock().expect("no panic").answers.clone()
    }

    /// A client was shown the event of this number.
    pub fn event(&self, seq: u64, event: Json) {
        let mut seen = self.seen.lock().expect("no panic");
        let known = seen.events.entry(seq).or_insert_with(|| event.clone());
        if *known != event {
            let fault = format!("event {seq} was {known}, now it is {event}");
            seen.faults.push(fault);
        }
    }

    pub fn events_shown(&self) -> usize {
        self.seen.lock().expect("no panic").events.len()
    }

    pub fn events(&self) -> BTreeMap<u64, Json> {
        self.seen.lock().expect("no panic").events.clone()
    }

    /// A client was shown a good run.
    pub fn run(&self, key: RunKey, shown: Shown) {
        let mut seen = self.seen.lock().expect("no panic");
        let known = seen
            .runs
            .entry(key.clone())
            .or_insert_with(|| shown.clone());
        if *known != shown {
            let fault = format!("run {key:?} was {known:?}, now it is {shown:?}");
            seen.faults.push(fault);
        }
    }

    pub fn runs_shown(&self) -> usize {
        self.seen.lock().expect("no panic").runs.len()
    }

    pub fn runs(&self) -> BTreeMap<RunKey, Shown> {
        self.seen.lock().expect("no panic").runs.clone()
    }

    /// A client was promised a fact: the journal has at least so many of them.
    pub fn promised(&self, promise: Promise, count: usize) {
        let mut seen = self.seen.lock().expect("no panic");
        seen.promises.push((promise, count));
    }

    pub fn promises(&self) -> Vec<(Promise, usize)> {
        self.seen.lock().expect("no panic").promises.clone()
    }
}

/// The journal as far as it was read: it only grows, so only what is new is
/// read.
#[derive(Default)]
pub struct Journal {
    offset: u64,
    /// The lines after the header, whole.
    pub lines: Vec<Json>,
    /// Their events.
    pub events: Vec<Json>,
}

impl Journal {
    /// Reads what has been added.
    pub fn read(&mut self, study: &Study) -> &Self {
        let Ok(mut file) = File::open(study.out("journal.jsonl")) else {
            return self;
        };
        let mut added = Vec::new();
        file.seek(SeekFrom::Start(self.offset)).expect("a file");
        file.read_to_end(&mut added).expect("a file");
        let whole = added.iter().rposition(|byte| *byte == b'\n');
        added.truncate(whole.map_or(0, |last| last + 1));
        let text = std::str::from_utf8(&added).expect("text");
        for line in text.lines().skip(usize::from(self.offset == 0)) {
            let line: Json = serde_json::from_str(line).expect("a line of the journal");
            self.events.push(line["event"].clone());
            self.lines.push(line);
        }
        self.offset += added.len() as u64;
        self
    }

    pub fn count(&self, kind: &str) -> usize {
        let of_kind = |event: &&Json| event.get(kind).is_some();
        self.events.iter().filter(of_kind).count()
    }

    pub fn kept(&self, promise: &Promise) -> usize {
        let kept = |event: &&Json| promise.is_kept_by(event);
        self.events.iter().filter(kept).count()
    }

    pub fn is_done(&self) -> bool {
        // A daemon that finds nothing left to do adds nothing more.
        let mut events = self.events.iter().rev();
        let last = events.find(|event| {
            // The advisor sums up a study that is done, and artifacts go.
            let quiet = [
                "opened",
                "spec-amended",
                "advised",
                "artifacts-deleted",
                "artifacts-lost",
            ];
            quiet.iter().all(|kind| event.get(kind).is_none())
        });
        last.is_some_and(|event| event.get("done").is_some())
    }

    /// What the daemon does by its last event; the study had been opened
    /// `before` times when it was started.
    pub fn phase(&self, before: usize) -> &'static str {
        let last = self.events.last().and_then(Json::as_object);
        let last = last.and_then(|event| event.iter().next());
        let Some((kind, fields)) = last.filter(|_| self.count("opened") > before) else {
            return "opening, recovering";
        };
        match kind.as_str() {
            "opened" | "resumed" => "just opened or resumed",
            "trial-planned" | "sitting-started" => "a sitting starts",
            "step-started" if fields["step"] == "serve" => "the service starts",
            "services-ready" | "step-started" => "a run",
            "run-ended" => "after a run",
            "sitting-ended" => "between sittings",
            "paused" => "paused",
            "done" => "done",
            "approval-asked" => "waiting for approval",
            "approval-given" | "approval-refused" | "approval-withdrawn" => "after an answer",
            "advised" => "after advice",
            "run-told" | "artifacts-found" => "a run",
            "artifacts-kept" | "artifacts-lost" | "artifacts-deleted" => "artifacts kept",
            _ => "after a wish",
        }
    }
}

/// Every run that is on disk: in the reports of a runner, or in the journal.
pub fn on_disk(study: &Study, journal: &mut Journal) -> Vec<RunKey> {
    let mut runs = Vec::new();
    let folders = std::fs::read_dir(study.out("sittings")).into_iter();
    for folder in folders.flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let trial = name.split('.').next().and_then(|trial| trial.parse().ok());
        let text = std::fs::read_to_string(folder.path().join("events.jsonl"));
        for line in text.unwrap_or_default().lines() {
            let line = serde_json::from_str::<Json>(line).unwrap_or_default();
            let run = &line["report"]["run-ended"];
            if let (Some(step), Some(number)) = (run["step"].as_str(), run["number"].as_u64()) {
                runs.push((trial.expect("a number"), step.to_owned(), number));
            }
        }
    }
    // Last: a folder goes once all that it has is in the journal.
    let events = journal.read(study).events.iter();
    runs.extend(events.filter_map(|event| Some(run_of(event)?.0)));
    runs
}

/// The run that an event speaks of.
pub fn run_of(event: &Json) -> Option<(RunKey, Shown)> {
    let run = event.get("run-ended")?;
    let number = |name: &str| run[name].as_u64();
    let step = run["step"].as_str()?.to_owned();
    let metrics = run["metrics"].as_object()?.iter();
    let metrics = metrics.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
    let shown = Shown {
        sitting: number("sitting")?,
        metrics: metrics.collect(),
    };
    Some(((number("trial")?, step, number("run")?), shown))
}
