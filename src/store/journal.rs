//! The journal: an append-only file of facts, under an exclusive lock.
//!
//! Invariants:
//! - What follows the last good line is cut off before anything is appended,
//!   and kept beside.
//! - [`Journal::append`] acknowledges a batch only when it is synced. A batch
//!   that fails leaves no byte behind: the file is cut back to the last good
//!   end, at the latest before the next append.
//! - The kernel may forget what it could not sync, and say so only once. So
//!   after any failure the tail is read again before the file is trusted.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{AppendError, JournalError};
use super::lock::Lock;
use super::record::{self, Format, Header};
use super::scan::{self, Scan};
use crate::base::file;
use crate::model::event::Fact;
use crate::model::spec::Spec;
use crate::model::study::{Study, StudyError};

/// The journal's name in the study's folder.
pub const FILE: &str = "journal.jsonl";

/// A journal that is open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    _lock: Lock,
    /// The number of the next fact.
    next: u64,
    /// Where the last acknowledged line ends, and where the batch begins to
    /// which it belongs.
    end: u64,
    batch: u64,
    /// The checksum of that batch, to know it again.
    sum: u32,
    /// Whether what follows `end`, or the file as such, cannot be trusted.
    unsure: bool,
    buffer: Vec<u8>,
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its header.
    pub header: Header,
    /// Whether it was begun just now.
    pub fresh: bool,
    /// How many facts it holds.
    pub facts: u64,
    /// The torn tail that was cut off.
    pub torn: Option<Torn>,
}

/// Half a line that a crash or a full disk left at the end of the journal. It
/// was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where its bytes are kept.
    pub kept: PathBuf,
    /// How many there are.
    pub bytes: u64,
}

/// What was found when a journal was only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its header.
    pub header: Header,
    /// How many facts it holds.
    pub facts: u64,
    /// How many more are of a kind that came with a newer format, and were
    /// left out.
    pub unknown: u64,
    /// Whether its last line was not whole: torn, or being written just then.
    pub torn: bool,
}

impl Journal {
    /// Opens the journal in `folder`, which is made where it is missing, and
    /// hands every fact to `each`, in order. An empty folder begins a journal
    /// with the header `expected`.
    ///
    /// # Errors
    /// See [`JournalError`]. Nothing on disk is changed then, but for the
    /// folder and the lock's file.
    pub fn open(
        folder: &Path,
        expected: &Header,
        each: impl FnMut(&Fact) -> Result<(), StudyError>,
    ) -> Result<(Self, Opened), JournalError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder
            .create(folder)
            .map_err(JournalError::making(folder))?;
        let lock = Lock::take(folder)?;
        let path = folder.join(FILE);
        let file = open_file(&path, true).map_err(JournalError::at(&path))?;
        let scan = scan::scan(&path, &file, |found| fits(folder, found, expected), each)?;
        let torn = cut_torn(folder, &path, &file, &scan)
            .map_err(|(path, error)| JournalError::of(&path, error))?;
        // A daemon that crashed may have left lines that were never synced.
        // From here on they count.
        file.sync_all().map_err(JournalError::at(&path))?;
        let fresh = scan.header.is_none();
        let header = scan.header.unwrap_or_else(|| expected.clone());
        let mut journal = Self {
            path,
            file,
            _lock: lock,
            next: scan.facts + 1,
            end: scan.end,
            batch: scan.last,
            sum: 0,
            unsure: false,
            buffer: Vec::new(),
        };
        if fresh {
            record::push_header(&mut journal.buffer, &header);
            journal.put().map_err(|error| match error {
                AppendError::Full { path, source } => JournalError::Full { path, source },
                AppendError::Failed { path, source } => JournalError::of(&path, source),
                other => JournalError::of(&journal.path, io::Error::other(other)),
            })?;
            file::sync_folder(folder).map_err(JournalError::at(folder))?;
        } else {
            journal.sum = journal
                .read_batch()
                .map(|bytes| crc32fast::hash(&bytes))
                .map_err(JournalError::at(&journal.path))?;
        }
        let opened = Opened {
            header,
            fresh,
            facts: scan.facts,
            torn,
        };
        Ok((journal, opened))
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many facts it holds.
    pub const fn facts(&self) -> u64 {
        self.next - 1
    }

    /// Appends facts, all or none: one write, then a sync.
    ///
    /// # Errors
    /// See [`AppendError`]. No fact is in the journal then, and the same call
    /// can be made again.
    pub fn append(&mut self, facts: &[Fact]) -> Result<(), AppendError> {
        if facts.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        for (fact, seq) in facts.iter().zip(self.next..) {
            record::push_fact(&mut self.buffer, seq, fact);
        }
        self.put()?;
        self.next += facts.len() as u64;
        Ok(())
    }

    /// Writes the buffer behind the last good end.
    fn put(&mut self) -> Result<(), AppendError> {
        if self.unsure {
            self.recover()?;
        }
        let failed = |path: &Path, source| AppendError::of(path, source);
        let found = self.file.metadata().map_err(|e| failed(&self.path, e))?;
        if found.nlink() == 0 {
            return Err(self.changed("it was removed".to_owned()));
        }
        if found.len() != self.end {
            return Err(self.changed(format!(
                "it has {} bytes instead of {}",
                found.len(),
                self.end
            )));
        }
        let written = self.file.write_all(&self.buffer);
        if let Err(source) = written.and_then(|()| self.file.sync_data()) {
            self.unsure = true;
            // Where this fails too, the next append begins with it.
            let _ = self.recover();
            return Err(failed(&self.path, source));
        }
        self.batch = self.end;
        self.end += self.buffer.len() as u64;
        self.sum = crc32fast::hash(&self.buffer);
        Ok(())
    }

    /// Makes sure of the file after a failure: it is still the one at its
    /// path, it still ends in what was acknowledged last, and nothing follows.
    fn recover(&mut self) -> Result<(), AppendError> {
        let path = self.path.clone();
        let failed = |source| AppendError::of(&path, source);
        let file = open_file(&self.path, false).map_err(failed)?;
        let (old, new) = (
            self.file.metadata().map_err(failed)?,
            file.metadata().map_err(failed)?,
        );
        if (old.dev(), old.ino()) != (new.dev(), new.ino()) {
            return Err(self.changed("it was replaced by another file".to_owned()));
        }
        self.file = file;
        if new.len() < self.end {
            return Err(self.changed(format!(
                "it has {} bytes instead of {}",
                new.len(),
                self.end
            )));
        }
        if crc32fast::hash(&self.read_batch().map_err(failed)?) != self.sum {
            return Err(self.changed(format!("bytes {}..{} differ", self.batch, self.end)));
        }
        self.file.set_len(self.end).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        self.unsure = false;
        Ok(())
    }

    fn read_batch(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (self.end - self.batch) as usize];
        self.file.read_exact_at(&mut bytes, self.batch)?;
        Ok(bytes)
    }

    fn changed(&self, problem: String) -> AppendError {
        AppendError::Changed {
            path: self.path.clone(),
            problem,
        }
    }
}

/// Reads the journal in `folder` without a lock and without changing anything:
/// another daemon may be writing it.
///
/// # Errors
/// [`JournalError::Missing`], [`JournalError::Damaged`],
/// [`JournalError::Newer`], and whatever the file system answers.
pub fn read(
    folder: &Path,
    each: impl FnMut(&Fact) -> Result<(), StudyError>,
) -> Result<Seen, JournalError> {
    let path = folder.join(FILE);
    let missing = || JournalError::Missing {
        folder: folder.to_owned(),
    };
    let file = File::open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        _ => JournalError::of(&path, error),
    })?;
    let scan = scan::scan(&path, &file, |_| Ok(()), each)?;
    Ok(Seen {
        header: scan.header.ok_or_else(missing)?,
        facts: scan.facts,
        unknown: scan.unknown,
        torn: scan.torn > 0,
    })
}

/// The study that the journal in `folder` adds up to under `spec`, which
/// [`super::spec_copy`] keeps beside it. Nothing is locked or changed.
///
/// # Errors
/// As [`read`].
pub fn view(folder: &Path, spec: Arc<Spec>) -> Result<(Study, Seen), JournalError> {
    let mut study = Study::new(spec);
    let seen = read(folder, |fact| study.apply(fact))?;
    Ok((study, seen))
}

fn open_file(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(create)
        .open(path)
}

fn fits(folder: &Path, found: &Header, expected: &Header) -> Result<(), JournalError> {
    if found.format.minor > Format::OURS.minor {
        return Err(scan::newer_than_ours(&folder.join(FILE), found));
    }
    if found.study != expected.study {
        return Err(JournalError::Foreign {
            folder: folder.to_owned(),
            found: found.study.clone(),
            expected: expected.study.clone(),
        });
    }
    if found.seed != expected.seed {
        return Err(JournalError::ForeignSeed {
            folder: folder.to_owned(),
            study: found.study.clone(),
            found: found.seed,
            expected: expected.seed,
        });
    }
    Ok(())
}

/// Keeps the torn tail beside and cuts it off, in this order.
fn cut_torn(
    folder: &Path,
    path: &Path,
    mut file: &File,
    scan: &Scan,
) -> Result<Option<Torn>, (PathBuf, io::Error)> {
    if scan.torn == 0 {
        return Ok(None);
    }
    let here = |error| (path.to_owned(), error);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(scan.end)).map_err(here)?;
    file.read_to_end(&mut bytes).map_err(here)?;
    let number = if scan.header.is_some() {
        scan.facts + 1
    } else {
        0
    };
    let kept = unused(folder, &format!("journal.torn-{number}"));
    file::replace(&kept, &bytes).map_err(|error| (kept.clone(), error))?;
    file.set_len(scan.end).map_err(here)?;
    file.sync_all().map_err(here)?;
    Ok(Some(Torn {
        kept,
        bytes: bytes.len() as u64,
    }))
}

/// `name` in `folder`, or `name.2`, `name.3` … where that is taken.
pub(super) fn unused(folder: &Path, name: &str) -> PathBuf {
    let mut path = folder.join(name);
    let mut number = 1;
    while path.symlink_metadata().is_ok() {
        number += 1;
        path = folder.join(format!("{name}.{number}"));
    }
    path
}
