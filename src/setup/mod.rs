//! A study in somebody's own folder: what `autotune.service` needs for that, and
//! whether it is enough.
//!
//! ```text
//!   wishes ─ host ─▶ drop-in (pure) ─▶ shown, agreed to ─▶ written
//!                                                            │
//!             kept, or taken back ◀── pre-flight in the unit's own sandbox
//! ```
//!
//! | file | part |
//! |---|---|
//! | [`mod@unit`] | the unit, its names and files |
//! | [`syntax`] | texts as unit files have them: pure |
//! | [`drop_in`] | what is written: pure |
//! | [`host`] | users, groups and GPUs |
//! | [`files`] | writing and taking back, of our own files alone |
//! | [`credential`] | a secret, encrypted for the service |
//! | [`manager`] | systemctl and its like |
//! | [`preflight`] | the look from inside the sandbox |
//! | [`reach`] | whether a folder can be reached and written to |
//!
//! # Invariants
//!
//! - A file that does not begin with our mark is neither replaced nor deleted.
//! - The service itself is never started or stopped. Only programs of the
//!   service manager are run, each to its end.

pub mod credential;
pub mod drop_in;
pub mod files;
pub mod host;
pub mod manager;
pub mod preflight;
pub mod reach;
pub mod syntax;
pub mod unit;

use std::io;
use std::path::PathBuf;

/// Why a service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A path or a name that has no place in a unit file.
    #[error("{what} {text:?} cannot stand in a unit: {why}")]
    NotWritable {
        /// What it is.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A folder that is not there, or none.
    #[error("{} cannot be the folder of a study: {why}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No such user.
    #[error("there is no user `{0}` here: `getent passwd` lists them")]
    NoSuchUser(String),
    /// No such GPU.
    #[error("there is no GPU {wanted} here: {there}")]
    NoSuchGpu {
        /// The number that was wanted.
        wanted: u32,
        /// What there is.
        there: String,
    },
    /// A file of that name that is not ours.
    #[error(
        "{} was not written by autotune, and is left alone: move it away, or do with it what is \
         to be done", .0.display()
    )]
    NotOurs(PathBuf),
    /// A file cannot be read or written.
    #[error("failed to use {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program of the service manager cannot be started, or has failed.
    #[error("{command} failed: {said}")]
    Program {
        /// How it was called.
        command: String,
        /// What it said.
        said: String,
    },
}

impl SetupError {
    pub(crate) fn at(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }
}
