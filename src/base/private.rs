//! Files that hold secrets: read only where nobody but their owner can.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::text::make_private;

/// The largest such file, in bytes.
const LARGEST: u64 = 1 << 20;

/// Why a file with secrets is not read. The text names the file and the way
/// out, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// Group or others may read or change it.
    #[error("{} is open to others than its owner: {}", .0.display(), make_private(.0))]
    Open(PathBuf),
    /// A folder, a pipe, a device.
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// More than 1 MiB.
    #[error("{} is larger than 1 MiB, which no file of secrets is", .0.display())]
    TooLarge(PathBuf),
    /// Bytes that are not text.
    #[error("{} is not UTF-8 text (at byte {at}): save it as UTF-8", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the first such byte is, from 0.
        at: usize,
    },
    /// The system does not let it be read.
    #[error("failed to read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer; [`io::ErrorKind::NotFound`] for a missing one.
        source: io::Error,
    },
}

/// The text of a file that nobody but its owner (and root) can read or change.
///
/// # Errors
/// See [`PrivateError`].
pub fn read(path: &Path) -> Result<String, PrivateError> {
    read_if(path, |found| found.mode() & 0o066 == 0)
}

/// The same of a file that others may read: only for what is no secret in it.
///
/// # Errors
/// See [`PrivateError`].
pub fn read_open(path: &Path) -> Result<String, PrivateError> {
    read_if(path, |_| true)
}

fn read_if(path: &Path, good: impl Fn(&Metadata) -> bool) -> Result<String, PrivateError> {
    let unreadable = |source| PrivateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        // A pipe without a writer must not hold the program up.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    if !found.is_file() {
        return Err(PrivateError::NotAFile(path.to_owned()));
    }
    if !good(&found) {
        return Err(PrivateError::Open(path.to_owned()));
    }
    let mut bytes = Vec::new();
    let read = file.by_ref().take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(PrivateError::TooLarge(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| PrivateError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_what_its_owner_alone_can_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("secrets.sh");
        fs::write(&path, "export A=hidden\n").expect("written");
        let with = |mode| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
            read(&path)
        };
        for mode in [0o600, 0o400, 0o700, 0o711] {
            assert_eq!(with(mode).expect("private"), "export A=hidden\n");
        }
        let shown = path.display();
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602] {
            let error = with(mode).expect_err("open to others").to_string();
            let expected = format!("{shown} is open to others than its owner: chmod 600 {shown}");
            assert_eq!(error, expected, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_such_file_is_said() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = |name: &str| folder.path().join(name);
        let write = |name: &str, bytes: &[u8]| {
            fs::write(place(name), bytes).expect("written");
            fs::set_permissions(place(name), Permissions::from_mode(0o600)).expect("a mode");
            read(&place(name)).expect_err("refused")
        };
        let missing = read(&place("none")).expect_err("refused");
        assert!(matches!(missing, PrivateError::Unreadable { source, .. }
            if source.kind() == io::ErrorKind::NotFound));
        let found = read(folder.path()).expect_err("refused");
        assert!(matches!(found, PrivateError::NotAFile(_)));
        let pipe = place("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let found = read(&pipe).expect_err("refused");
        assert!(matches!(found, PrivateError::NotAFile(_)));
        let found = write("text", b"ab\xff");
        assert!(matches!(found, PrivateError::NotText { at: 2, .. }));
        let found = write("large", &vec![b'a'; (1 << 20) + 1]);
        assert!(matches!(found, PrivateError::TooLarge(_)));
    }
}
