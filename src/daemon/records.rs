//! What the daemon writes: the journal, and the files for other programs that
//! follow from it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{DaemonError, Update};
use crate::base::clock::{self, Timestamp};
use crate::model::event::{Event, Fact};
use crate::model::outcome::Outcome;
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::TrialId;
use crate::report::phrase::{clean, counted};
use crate::store::error::{AppendError, FilesError};
use crate::store::files::Repaired;
use crate::store::import;
use crate::store::opening::{self, Opening};
use crate::store::phases::StatusBuilder;
use crate::store::results::ResultsBuilder;
use crate::store::status::{Status, best_text};
use crate::store::writer::{FilesThread, JournalThread, Receipt};

/// The pause before the same trouble with a file is told again.
const FILES_PAUSE: Duration = Duration::from_secs(600);

/// The journal and the files, each on a thread of its own.
pub struct Records {
    journal: JournalThread,
    files: FilesThread,
    results: ResultsBuilder,
    best: Option<TrialId>,
    facts: u64,
    begun: Timestamp,
    status: StatusBuilder,
}

/// A study as its folder has it.
pub struct Opened {
    /// What writes to the folder.
    pub records: Records,
    /// What its facts add up to.
    pub study: Study,
    /// Sentences on what was found and mended.
    pub notes: Vec<String>,
}

impl Records {
    /// Opens the folder of a study. What goes wrong with the files for other
    /// programs later is told to `updates`.
    ///
    /// # Errors
    /// When the journal cannot be opened, or the system has no threads.
    pub fn open(
        output_dir: &Path,
        spec: Arc<Spec>,
        spec_text: &str,
        updates: mpsc::UnboundedSender<Update>,
    ) -> Result<Opened, DaemonError> {
        let journal_dir = spec.files.journal_dir(output_dir);
        let opening = opening::open(&journal_dir, output_dir, spec, spec_text, clock::now())?;
        let notes = notes(&opening, output_dir);
        let Opening {
            journal,
            study,
            files,
            results,
            opened,
            ..
        } = opening;
        let threads = |source| DaemonError::Folder {
            path: output_dir.to_owned(),
            source,
        };
        let facts = journal.facts();
        let records = Self {
            journal: JournalThread::start(journal).map_err(threads)?,
            files: FilesThread::start(files, complain(updates)).map_err(threads)?,
            results,
            best: study.incumbent().map(|trial| trial.id),
            facts,
            begun: Timestamp::from_millis(opened.header.created),
            status: StatusBuilder::default(),
        };
        records
            .files
            .status(Status::Start.text(clock::now(), &study));
        Ok(Opened {
            records,
            study,
            notes,
        })
    }

    /// How many facts the journal has that were followed.
    pub const fn facts(&self) -> u64 {
        self.facts
    }

    /// When the journal was begun.
    pub const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// Appends facts; the receipt tells when they are on disk.
    pub fn append(&self, facts: Vec<Fact>) -> Receipt {
        self.journal.append(facts)
    }

    /// Appends facts that were refused, before any others.
    pub fn retry(&self, facts: Vec<Fact>) -> Receipt {
        self.journal.retry(facts)
    }

    /// Brings the files for other programs up to date with a fact that `study`
    /// has just taken up.
    pub fn follow(&mut self, fact: &Fact, study: &Study) {
        self.facts += 1;
        if let Some(line) = self.results.take(fact, study) {
            self.files.line(line);
        }
        let incumbent = study.incumbent();
        let amended = matches!(
            fact.event,
            Event::SpecAmended { .. } | Event::SpecReloaded { .. }
        );
        if let Some(best) = incumbent.filter(|best| amended || Some(best.id) != self.best) {
            self.best = Some(best.id);
            self.files.best(Some(best_text(&study.params_of(best))));
        } else if incumbent.is_none() && self.best.is_some_and(|best| misses(study, best)) {
            self.best = None;
            self.files.best(None);
        }
        for text in self.status.take(fact, study) {
            self.files.status(text);
        }
    }

    /// The daemon gives up.
    pub fn crashed(&self, error: &str, study: &Study) {
        let text = Status::Crashed { error }.text(clock::now(), study);
        self.files.status(text);
    }

    /// Waits until all that was given is written or refused.
    pub async fn close(self) {
        // Threads are joined where waiting hurts nobody.
        let closing = tokio::task::spawn_blocking(move || {
            drop(self.journal.close());
            drop(self.files.close());
        });
        let _ = closing.await;
    }
}

/// Whether what a trial measured misses a constraint. One that is only
/// measured further may be the best again.
fn misses(study: &Study, id: TrialId) -> bool {
    let trial = study.trial(id);
    trial.is_some_and(|trial| trial.outcome == Some(Outcome::Infeasible))
}

/// Says what became of a file for other programs, each at most so often: it
/// is tried with every change.
fn complain(updates: mpsc::UnboundedSender<Update>) -> impl FnMut(FilesError) {
    let mut said: HashMap<PathBuf, Instant> = HashMap::new();
    move |error| {
        let last = said.get(&error.path);
        if last.is_some_and(|last| last.elapsed() < FILES_PAUSE) {
            return;
        }
        let text = format!("{error}: {}, retrying with each change", error.source);
        drop(updates.send(Update::Warning(text)));
        said.insert(error.path, Instant::now());
    }
}

/// What became of facts that were to be appended. A thread that is gone
/// answers like one that is closed.
///
/// # Errors
/// Why they are not on disk.
pub async fn written(receipt: &mut Receipt) -> Result<(), AppendError> {
    match receipt.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refused)) => Err(refused.error),
        Err(_) => Err(AppendError::Closed),
    }
}

fn notes(opening: &Opening, output_dir: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(torn) = &opening.opened.torn {
        notes.push(format!(
            "the journal ended in half a line, as after a power cut; its {} bytes are kept in {}",
            torn.bytes,
            torn.kept.display()
        ));
    }
    if let Some(import) = &opening.import {
        let names = &opening.study.spec().files;
        notes.push(format!(
            "{} taken over as history from {}",
            counted(import.trials.into(), "trial"),
            output_dir.join(&names.results).display()
        ));
        let damaged = import::damaged_path(output_dir, names);
        notes.extend(import.problems.iter().map(|problem| {
            format!(
                "line {} of it cannot be used and is kept in {}: {}",
                problem.line,
                damaged.display(),
                problem.text
            )
        }));
    }
    if let Some(former) = &opening.former_spec {
        notes.push(format!(
            "the spec has changed; the former one is kept in {}",
            former.display()
        ));
    }
    let amendments = opening.study.amendments();
    if !amendments.is_empty() {
        let amendments: Vec<String> = amendments.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "changed by autotunectl, on top of the spec: {}",
            clean(&amendments.join("; "))
        ));
    }
    for unfit in opening.study.unfit() {
        notes.push(format!(
            "this change does not fit the spec any more: {}, ignoring it",
            clean(&unfit.to_string())
        ));
    }
    for repaired in &opening.repaired {
        notes.extend(match repaired {
            Repaired::Completed { path, .. } => Some(format!(
                "{} lacked what the journal has, and was completed",
                path.display()
            )),
            Repaired::Replaced { path, kept } => Some(format!(
                "{} was not what the journal says; it was made anew, the old one is {}",
                path.display(),
                kept.display()
            )),
            Repaired::Made { .. } => None,
        });
    }
    if let Some(error) = &opening.unrepaired {
        notes.push(format!("{error}, ignoring it until the next start"));
    }
    notes
}
