//! The files for other programs: results, best params, status. All are derived
//! from the journal. They are repaired from it at start, and none of them is
//! synced as lines are added, since a line that a power cut takes is added
//! again then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::FilesError;
use super::results::TIME;
use super::status;
use crate::base::file;
use crate::model::Name;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::spec::FileNames;
use crate::model::study::Study;
use crate::model::value::Value;

/// The files while a study runs.
#[derive(Debug)]
pub struct Files {
    results: PathBuf,
    best: PathBuf,
    status: PathBuf,
    /// Where the results file is to be cut before the next line: a line of
    /// ours did not fit.
    cut: Option<u64>,
}

impl Files {
    /// Files that are as they should be; [`Repair`] makes them so.
    pub fn new(output_dir: &Path, names: &FileNames) -> Self {
        Self {
            results: output_dir.join(&names.results),
            best: output_dir.join(&names.best),
            status: output_dir.join(&names.status),
            cut: None,
        }
    }

    /// Appends whole lines to the results file, all or none.
    ///
    /// # Errors
    /// Whatever the file system answers; the same call can be made again.
    pub fn append(&mut self, lines: &[u8]) -> Result<(), FilesError> {
        let path = self.results.clone();
        self.append_to(&path, lines).map_err(FilesError::at(&path))
    }

    fn append_to(&mut self, path: &Path, lines: &[u8]) -> io::Result<()> {
        // Opened anew each time: a file that was moved away is begun again.
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut end = file.metadata()?.len();
        if let Some(cut) = self.cut.filter(|cut| *cut < end) {
            file.set_len(cut)?;
            end = cut;
        }
        self.cut = None;
        let mut batch = Vec::with_capacity(lines.len() + 1);
        if !ends_in_newline(&mut file, end)? {
            // Somebody's editor was here. Their half line is not ours to cut,
            // and ours must not be glued to it.
            batch.push(b'\n');
        }
        batch.extend_from_slice(lines);
        file.write_all(&batch).inspect_err(|_| {
            if file.set_len(end).is_err() {
                self.cut = Some(end);
            }
        })
    }

    /// Replaces the file of the best params; `text` is
    /// [`status::best_text`]'s. With `None` it goes by another name from here
    /// on: what it has misses a constraint, and nothing else is the best.
    ///
    /// # Errors
    /// Whatever the file system answers; the old file is then still there.
    pub fn best(&self, text: Option<&[u8]>) -> Result<(), FilesError> {
        let done = match text {
            Some(text) => file::replace(&self.best, text),
            None => retire(&self.best),
        };
        done.map_err(FilesError::at(&self.best))
    }

    /// Replaces the status file; `text` is [`status::Status::text`]'s.
    ///
    /// # Errors
    /// Whatever the file system answers; the old file is then still there.
    pub fn status(&self, text: &[u8]) -> Result<(), FilesError> {
        file::replace(&self.status, text).map_err(FilesError::at(&self.status))
    }
}

fn ends_in_newline(file: &mut File, end: u64) -> io::Result<bool> {
    let Some(last) = end.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

/// What was done to a file at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// Lines that were missing at its end were added.
    Completed {
        /// The file.
        path: PathBuf,
        /// Bytes of a torn line that were cut off first.
        torn: u64,
    },
    /// It was not what the journal says, and was made anew.
    Replaced {
        /// The file.
        path: PathBuf,
        /// Where the old one is kept.
        kept: PathBuf,
    },
    /// It was missing, and was made.
    Made {
        /// The file.
        path: PathBuf,
    },
}

/// Compares the results file with the lines that it should have, one after the
/// other as they come, and mends it where they part: nothing is held in
/// memory.
#[derive(Debug)]
pub struct Repair {
    path: PathBuf,
    best: PathBuf,
    files: Files,
    /// How many bytes are as they should be.
    matched: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// There is no file yet.
    Missing,
    /// All is well so far.
    Same(BufReader<File>),
    /// The file ended, and is being completed.
    Completing { file: BufWriter<File>, torn: u64 },
    /// The file is another one, and a new one is being made beside it.
    Replacing(BufWriter<NamedTempFile>),
}

impl Repair {
    /// Begins to compare the results file in `output_dir`, first of all with
    /// the lines that were imported.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn begin(output_dir: &Path, names: &FileNames) -> Result<Self, FilesError> {
        let path = output_dir.join(&names.results);
        for name in [&names.results, &names.best, &names.status] {
            // A name may have a folder of its own before it.
            let file = output_dir.join(name);
            let folder = file.parent().unwrap_or(output_dir);
            fs::create_dir_all(folder).map_err(FilesError::at(folder))?;
        }
        let state = match File::open(&path) {
            Ok(file) => State::Same(BufReader::with_capacity(1 << 18, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::Missing,
            Err(error) => return Err(FilesError::at(&path)(error)),
        };
        let mut repair = Self {
            best: output_dir.join(&names.best),
            files: Files::new(output_dir, names),
            path,
            matched: 0,
            state,
        };
        let imported = super::import::kept_path(output_dir, names);
        repair
            .imported(&imported)
            .map_err(FilesError::at(&imported))?;
        Ok(repair)
    }

    fn imported(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut chunk = vec![0; 1 << 16];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(()),
                read => self.expect(&chunk[..read], false)?,
            }
        }
    }

    /// The next line that the file should have, with its newline.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn line(&mut self, line: &[u8]) -> Result<(), FilesError> {
        self.expect(line, true).map_err(FilesError::at(&self.path))
    }

    fn expect(&mut self, bytes: &[u8], timed: bool) -> io::Result<()> {
        if let State::Same(reader) = &mut self.state {
            let mut found = Vec::with_capacity(bytes.len());
            reader
                .by_ref()
                .take(bytes.len() as u64)
                .read_to_end(&mut found)?;
            let same = is_beginning(bytes, &found, timed);
            if same && found.len() == bytes.len() {
                self.matched += bytes.len() as u64;
                return Ok(());
            }
            self.state = if same {
                self.complete(found.len() as u64)?
            } else {
                self.replace()?
            };
        }
        match &mut self.state {
            State::Missing => {
                self.state = self.replace()?;
                self.expect(bytes, timed)
            }
            State::Completing { file, .. } => file.write_all(bytes),
            State::Replacing(file) => file.write_all(bytes),
            State::Same(_) => Ok(()),
        }
    }

    fn complete(&self, torn: u64) -> io::Result<State> {
        let file = OpenOptions::new().append(true).open(&self.path)?;
        file.set_len(self.matched)?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(State::Completing { file, torn })
    }

    /// A new file that begins with what was right in the old one.
    fn replace(&self) -> io::Result<State> {
        let new = tempfile::Builder::new()
            .prefix(".")
            .suffix(".new")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(file::folder_of(&self.path))?;
        let mut new = BufWriter::with_capacity(1 << 18, new);
        if self.matched > 0 {
            io::copy(&mut File::open(&self.path)?.take(self.matched), &mut new)?;
        }
        Ok(State::Replacing(new))
    }

    /// All lines are through: finishes the results file, and mends the file of
    /// the best params.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn finish(mut self, study: &Study) -> Result<(Files, Vec<Repaired>), FilesError> {
        let mut done = Vec::new();
        done.extend(self.finish_results().map_err(FilesError::at(&self.path))?);
        done.extend(
            self.finish_best(study)
                .map_err(FilesError::at(&self.best))?,
        );
        Ok((self.files, done))
    }

    fn finish_results(&mut self) -> io::Result<Option<Repaired>> {
        if let State::Same(reader) = &mut self.state
            && reader.read(&mut [0])? > 0
        {
            self.state = self.replace()?;
        }
        let path = self.path.clone();
        match std::mem::replace(&mut self.state, State::Missing) {
            State::Missing | State::Same(_) => Ok(None),
            State::Completing { mut file, torn } => {
                file.flush()?;
                file.get_ref().sync_all()?;
                Ok(Some(Repaired::Completed { path, torn }))
            }
            State::Replacing(new) => {
                let new = new.into_inner().map_err(io::IntoInnerError::into_error)?;
                new.as_file().sync_all()?;
                let kept = keep_aside(&path)?;
                new.persist(&path).map_err(|failed| failed.error)?;
                file::sync_folder(file::folder_of(&path))?;
                Ok(Some(match kept {
                    Some(kept) => Repaired::Replaced { path, kept },
                    None => Repaired::Made { path },
                }))
            }
        }
    }

    /// Without an incumbent the file is left alone, unless it has what misses
    /// a constraint: it may be the base that its owner wants to start from.
    fn finish_best(&self, study: &Study) -> io::Result<Option<Repaired>> {
        let path = self.best.clone();
        let known = |text: &[u8]| {
            let params = study.spec().space.completed(&params_of(text)?);
            study.trial_of(&params)
        };
        let Some(incumbent) = study.incumbent() else {
            let found = fs::read(&path).unwrap_or_default();
            let trial = known(&found);
            if trial.is_some_and(|trial| trial.outcome == Some(Outcome::Infeasible)) {
                retire(&path)?;
            }
            return Ok(None);
        };
        let right = status::best_text(&study.params_of(incumbent));
        let found = match fs::read(&path) {
            Ok(found) if found == right => return Ok(None),
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // The params of an earlier incumbent are ours, only late.
        let stale = found.as_deref().is_some_and(|text| known(text).is_some());
        let kept = if found.is_some() && !stale {
            keep_aside(&path)?
        } else {
            None
        };
        file::replace(&path, &right)?;
        Ok(Some(match (kept, stale) {
            (Some(kept), _) => Repaired::Replaced { path, kept },
            (None, true) => Repaired::Completed { path, torn: 0 },
            (None, false) => Repaired::Made { path },
        }))
    }
}

/// Whether `found` is how `expected` begins, or the whole of it; the time that
/// a line begins with is not looked at.
fn is_beginning(expected: &[u8], found: &[u8], timed: bool) -> bool {
    let pairs = expected.iter().zip(found).enumerate();
    found.len() <= expected.len()
        && pairs
            .filter(|(index, _)| !(timed && TIME.contains(index)))
            .all(|(_, (a, b))| a == b)
}

fn params_of(text: &[u8]) -> Option<Params> {
    let object: std::collections::BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
    let values = object
        .into_iter()
        .map(|(name, value)| (Name::from(name), Value::text(value)));
    Some(Params::recorded(values))
}

/// Leaves the file under another name only.
fn retire(path: &Path) -> io::Result<()> {
    if keep_aside(path)?.is_none() {
        return Ok(());
    }
    fs::remove_file(path)?;
    file::sync_folder(file::folder_of(path))
}

/// Gives the file a second name, `<name>.old-<n>`, so that it is never without
/// one while it is replaced.
pub(super) fn keep_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.try_exists()? {
        return Ok(None);
    }
    for number in 1.. {
        let mut kept = path.as_os_str().to_owned();
        kept.push(format!(".old-{number}"));
        let kept = PathBuf::from(kept);
        if kept.symlink_metadata().is_ok() {
            continue;
        }
        // Not every file system has hard links.
        if fs::hard_link(path, &kept).is_err() {
            fs::copy(path, &kept)?;
        }
        return Ok(Some(kept));
    }
    Ok(None)
}
