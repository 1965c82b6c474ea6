//! What can go wrong with the files of a study.

use std::io;
use std::path::{Path, PathBuf};

use super::lock::Holder;
use super::record::Format;
use crate::base::owner::{other_owner, this_user};

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
        "the folder {} belongs to study `{found}`, not to `{expected}`: set name = \"{found}\" in \
         [study] to go on with that one, or choose another output_dir",
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
    /// The study's folder, or what is in it, is another user's.
    #[error(
        "{} cannot be used ({source}): it belongs to {owner}, and this is {user}: \
         `chown -R {user} {}` gives it over, or choose another output_dir",
        .path.display(), .folder.display()
    )]
    NotOurs {
        /// The file or folder.
        path: PathBuf,
        /// The study's folder.
        folder: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who this is.
        user: String,
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

    /// What is in a study's folder, or that itself, cannot be used.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| match Self::of(path, source) {
            Self::NotWritable { path, source } => Self::denied(path, source),
            other => other,
        }
    }

    /// Names the owner, where that is why.
    fn denied(path: PathBuf, source: io::Error) -> Self {
        let folder = match path.parent() {
            Some(folder) if !path.is_dir() => folder.to_owned(),
            _ => path.clone(),
        };
        let other = other_owner(&folder).or_else(|| other_owner(&path));
        match other {
            Some(owner) if source.kind() == io::ErrorKind::PermissionDenied => Self::NotOurs {
                path,
                folder,
                owner,
                user: this_user(),
                source,
            },
            _ => Self::NotWritable { path, source },
        }
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

#[cfg(test)]
mod tests {
    use nix::unistd::{Uid, chown, geteuid};

    use super::*;

    #[test]
    fn the_owner_of_a_folder_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let denied = || io::ErrorKind::PermissionDenied.into();
        let own = JournalError::at(&dir.path().join("lock"))(denied());
        assert!(matches!(own, JournalError::NotWritable { .. }), "{own}");
        // Root can give one away; anybody else finds one of root's.
        let other = if geteuid().is_root() {
            chown(dir.path(), Some(Uid::from_raw(65_534)), None).expect("given away");
            dir.path()
        } else {
            Path::new("/usr")
        };
        let said = JournalError::at(&other.join("lock"))(denied()).to_string();
        let way_out = format!("`chown -R {} {}` gives", this_user(), other.display());
        assert!(said.contains("it belongs to "), "{said}");
        assert!(said.contains(&way_out), "{said}");
        let full = JournalError::at(&other.join("lock"))(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, JournalError::Full { .. }), "{full}");
    }
}
