//! Why there is no spec.

use std::io;
use std::path::PathBuf;

use super::LARGEST;
use super::complaint::Complaints;
use crate::base::quantity::show_size;

/// Why there is no spec. The text names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such file.
    #[error("there is no spec at {}: write one there, or give the path of another", .0.display())]
    Missing(PathBuf),
    /// A folder.
    #[error("{} is a folder: give the path of the spec in it", .0.display())]
    Folder(PathBuf),
    /// The system does not let the file be read.
    #[error("{} cannot be read: {source}: let this user read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More than [`LARGEST`].
    #[error("{} is larger than {}, which no spec needs: give the path of a spec", .0.display(), show_size(LARGEST))]
    TooLarge(PathBuf),
    /// Bytes that are not text.
    #[error("{} is not UTF-8 text (at byte {at}): save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the first such byte is, from 0.
        at: usize,
    },
    /// A text that is no spec.
    #[error("{0}")]
    Wrong(Complaints),
    /// A repo of the reference tuner that cannot be understood.
    #[error("{}", .0.join("\n"))]
    Repo(Vec<String>),
}
