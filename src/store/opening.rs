//! Opening a study's folder: everything that this room does at start, in the
//! order in which it must be done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{AppendError, FilesError, JournalError};
use super::files::{Files, Repair, Repaired};
use super::import::{self, Import};
use super::journal::{Journal, Opened};
use super::record::Header;
use super::results::ResultsBuilder;
use super::spec_copy;
use crate::base::clock::Timestamp;
use crate::model::event::Fact;
use crate::model::spec::Spec;
use crate::model::study::{Study, StudyError};

/// A study as it stands on disk, ready to go on.
#[derive(Debug)]
pub struct Opening {
    /// The journal.
    pub journal: Journal,
    /// What its facts add up to.
    pub study: Study,
    /// The files for other programs.
    pub files: Files,
    /// Makes the lines of the results file from the facts to come.
    pub results: ResultsBuilder,
    /// What was found in the journal.
    pub opened: Opened,
    /// What was taken up of a results file, where the journal was empty.
    pub import: Option<Import>,
    /// What was done to the files for other programs.
    pub repaired: Vec<Repaired>,
    /// Why they could not be repaired, where that is so. The study goes on,
    /// and the next start tries again.
    pub unrepaired: Option<FilesError>,
    /// Where the former spec is kept, when it was another one.
    pub former_spec: Option<PathBuf>,
}

/// Why a study cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The journal does not let it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A results file could not be imported.
    #[error("the results of an earlier study cannot be imported")]
    Import(#[source] FilesError),
    /// What was imported could not be journalled.
    #[error("the results of an earlier study cannot be journalled")]
    Append(#[source] AppendError),
    /// What was imported makes no study.
    #[error("the results of an earlier study do not fit together")]
    Study(#[source] StudyError),
}

/// Opens the journal in `folder` and brings the files in `output_dir` (which
/// may be the same folder) in line with it. `spec_text` is what `spec` was
/// read from.
///
/// # Errors
/// See [`StoreError`].
pub fn open(
    folder: &Path,
    output_dir: &Path,
    spec: Arc<Spec>,
    spec_text: &str,
    now: Timestamp,
) -> Result<Opening, StoreError> {
    let header = Header::new(&spec, now);
    let mut replay = Replay {
        output_dir,
        study: Study::new(spec.clone()),
        results: ResultsBuilder::default(),
        repair: None,
    };
    let (mut journal, opened) = Journal::open(folder, &header, |fact| replay.take(fact))?;
    let former_spec = spec_copy::keep(folder, spec_text)?;
    spec_copy::keep_folder(folder, &spec.folder)?;
    let mut imported = None;
    if opened.facts == 0 {
        imported = import::take(output_dir, &spec).map_err(StoreError::Import)?;
    }
    if let Some(import) = &imported {
        // Taken up first: what does not fit must not get into the journal.
        for fact in &import.facts {
            replay.take(fact).map_err(StoreError::Study)?;
        }
        journal.append(&import.facts).map_err(StoreError::Append)?;
        if import.is_torn {
            // Where that fails the repair tries it too, and says what is wrong.
            let _ = import::cut(output_dir, &spec.files);
        }
    }
    let (files, repaired, unrepaired) = match replay.finish() {
        Ok((files, repaired)) => (files, repaired, None),
        Err(error) => (Files::new(output_dir, &spec.files), Vec::new(), Some(error)),
    };
    Ok(Opening {
        journal,
        study: replay.study,
        files,
        results: replay.results,
        opened,
        import: imported,
        repaired,
        unrepaired,
        former_spec,
    })
}

struct Replay<'a> {
    output_dir: &'a Path,
    study: Study,
    results: ResultsBuilder,
    /// Begun with the first fact: an import comes before.
    repair: Option<Result<Repair, FilesError>>,
}

impl Replay<'_> {
    fn take(&mut self, fact: &Fact) -> Result<(), StudyError> {
        self.study.apply(fact)?;
        if let Some(line) = self.results.take(fact, &self.study) {
            let repair = self.repair.take().unwrap_or_else(|| self.begin());
            self.repair = Some(repair.and_then(|mut repair| {
                repair.line(&line)?;
                Ok(repair)
            }));
        }
        Ok(())
    }

    fn begin(&self) -> Result<Repair, FilesError> {
        Repair::begin(self.output_dir, &self.study.spec().files)
    }

    fn finish(&mut self) -> Result<(Files, Vec<Repaired>), FilesError> {
        let repair = self.repair.take().unwrap_or_else(|| self.begin())?;
        repair.finish(&self.study)
    }
}
