//! What can go wrong with the files of a study.

use std::io;
use std::path::{Path, PathBuf};

use super::lock::Holder;
use super::record::Format;

/// Why a journal cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another daemon has it.
    #[error(
        "study folder {} is in use by {holder}: stop that one first, or choose another output_dir",
        .folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The folder belongs to another study.
    #[error(
        "the folder {} belongs to study `{found}`, not to `{expected}`: choose another output_dir",
        .folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The study that it belongs to.
        found: String,
        /// The study that was to be opened.
        expected: String,
    },
    /// The same study, begun with another seed.
    #[error(
        "the study `{study}` in {} was begun with seed {found}, and its spec now says {expected}: \
         set seed = {found} again, or choose another output_dir",
        .folder.display()
    )]
    ForeignSeed {
        /// The folder.
        folder: PathBuf,
        /// The study.
        study: String,
        /// The seed in the journal.
        found: u64,
        /// The seed of the spec.
        expected: u64,
    },
    /// A line in the middle is not what was written.
    #[error(
        "{} is damaged at line {line}, byte {offset}: {problem}. Nothing was changed. Restore the \
         file from a copy, or give up that line and all after it with `truncate -s {offset} {}`",
        .path.display(), .path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Where the line begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// It is of a format that this program does not write, or cannot read.
    #[error(
        "{} has format {found}, written by autotune {tool}; this is autotune {}, which writes {} \
         and reads {}.x: use version {tool} or a later one",
        .path.display(), env!("CARGO_PKG_VERSION"), Format::OURS, Format::OURS.major
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: Format,
        /// The version that wrote it; `?` where it does not say.
        tool: String,
    },
    /// There is no journal.
    #[error("there is no study in {}: it holds no journal.jsonl", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The study's folder is not there and cannot be made.
    #[error("the folder {} cannot be made ({source}): choose another output_dir", .path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file or folder may not be written.
    #[error(
        "{} cannot be written ({source}): let this user write there, or choose another output_dir",
        .path.display()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No space, or over the quota.
    #[error("{} cannot be written for want of space: free some, or choose another output_dir", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system failed otherwise.
    #[error("{} cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl JournalError {
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let path = path.to_owned();
        match source.kind() {
            _ if is_full(&source) => Self::Full { path, source },
            PermissionDenied | ReadOnlyFilesystem => Self::NotWritable { path, source },
            _ => Self::Io { path, source },
        }
    }

    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::of(path, source)
    }

    pub(super) fn making(folder: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match Self::of(folder, source) {
            Self::Io { path, source } => {
                // A path through a file, or one in /proc.
                let source = match source.kind() {
                    io::ErrorKind::AlreadyExists => io::Error::other("it is a file"),
                    _ => source,
                };
                Self::NoFolder { path, source }
            }
            other => other,
        }
    }
}

/// Why facts could not be appended. None of them is in the journal, and the
/// same facts can be appended again.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No space, or over the quota.
    #[error("{} cannot be written for want of space: free some", .path.display())]
    Full {
        /// The journal.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system failed otherwise.
    #[error("{} cannot be written", .path.display())]
    Failed {
        /// The journal.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Somebody else changed the file. It is left as it is.
    #[error(
        "{} was changed by another program ({problem}): restart autotune, which will check it",
        .path.display()
    )]
    Changed {
        /// The journal.
        path: PathBuf,
        /// What gave it away.
        problem: String,
    },
    /// An earlier batch failed and was not repeated yet.
    #[error("facts that came before these could not be written yet")]
    OutOfTurn,
    /// The thread that writes is gone.
    #[error("the journal is closed")]
    Closed,
}

impl AppendError {
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(&source) {
            Self::Full { path, source }
        } else {
            Self::Failed { path, source }
        }
    }

    /// Whether space must be freed.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// Why a file for other programs could not be written. The study goes on.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written", .path.display())]
pub struct FilesError {
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl FilesError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self {
            path: path.to_owned(),
            source,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
