//! Replacing a file so that a reader, a crash or a full disk never sees half
//! of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Replaces `path` by `contents`, readable by everybody who may enter its
/// folder: temporary file in the same folder, write, sync, rename, sync the
/// folder.
///
/// # Errors
/// Whatever the file system answers; the old file is then untouched and the
/// temporary one is gone.
pub fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace_by(path, contents, 0o644, |_| Ok(()))
}

/// Replaces `path` by `contents`, which every user can read who may enter its
/// folder, whatever this process keeps from others by its umask.
///
/// # Errors
/// As [`replace`].
pub fn replace_public(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace_by(path, contents, 0o644, |new| {
        new.set_permissions(std::fs::Permissions::from_mode(0o644))
    })
}

/// Replaces `path` by `contents`, which nobody but its owner can read: whoever
/// owns the old file or, where there is none, its folder.
///
/// # Errors
/// As [`replace`].
pub fn replace_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let owner = std::fs::metadata(path).or_else(|_| std::fs::metadata(folder_of(path)))?;
    replace_by(path, contents, 0o600, |new| {
        let own = new.metadata()?;
        // Root alone may give a file away.
        if own.uid() == owner.uid() || own.uid() != 0 {
            return Ok(());
        }
        fchown(new, Some(owner.uid()), Some(owner.gid()))
    })
}

fn replace_by(
    path: &Path,
    contents: &[u8],
    mode: u32,
    finish: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .suffix(".new")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    finish(file.as_file())?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    sync_folder(folder)
}

/// A file that is written bit by bit, and takes its name once it is whole.
#[derive(Debug)]
pub struct Draft {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// A file that is to be `path`; until then it has another name beside that.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".new")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(folder_of(path))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Gives it its name, synced; what has that name already stays, unless it is
    /// to be replaced.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], and whatever else the file system
    /// answers; nothing is left then.
    pub fn finish(self, replace: bool) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        let named = match replace {
            true => self.file.persist(&self.path),
            false => self.file.persist_noclobber(&self.path),
        };
        named.map_err(|failed| failed.error)?;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The least space that something new needs, in bytes.
const ROOM: u64 = 256 << 10;
/// The fewest files that it needs.
const ROOM_FILES: u64 = 16;
/// How much is written to see whether it can be: a quota shows only then.
const PROBE: usize = 64 << 10;

/// Makes sure that `folder` has room for something new.
///
/// # Errors
/// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] where it
/// has not, and whatever else the file system answers.
pub fn check_room(folder: &Path) -> io::Result<()> {
    let disk = nix::sys::statvfs::statvfs(folder)?;
    // A file system without limits reports no blocks or no files at all.
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    let is_full = disk.blocks() > 0 && free < ROOM;
    if is_full || (disk.files() > 0 && disk.files_available() < ROOM_FILES) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let mut probe = tempfile::Builder::new()
        .prefix(".room-")
        .tempfile_in(folder)?;
    probe.write_all(&[0; PROBE])
}

/// Returns once the file system of `folder` takes a change; nothing is left of
/// it.
///
/// # Errors
/// Whatever the file system answers.
pub fn await_answer(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

/// Makes new names in `folder` outlive a power cut.
///
/// # Errors
/// Whatever the file system answers.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that holds `path`; the current one for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("best.json");
        replace(&path, b"one").expect("first write");
        replace(&path, b"two").expect("second write");
        assert_eq!(std::fs::read(&path).expect("read back"), b"two");
        let names = std::fs::read_dir(folder.path()).expect("list").count();
        assert_eq!(names, 1);
    }

    #[test]
    fn a_draft_takes_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out.csv");
        let draft = |text: &str| {
            let mut draft = Draft::of(&path).expect("a draft");
            draft.write_all(text.as_bytes()).expect("written");
            draft
        };
        drop(draft("given up"));
        assert!(!path.exists());
        draft("one").finish(false).expect("a new name");
        let taken = draft("two").finish(false).expect_err("it is taken");
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("read back"), b"one");
        draft("two").finish(true).expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read back"), b"two");
        let names = std::fs::read_dir(folder.path()).expect("list").count();
        assert_eq!(names, 1);
    }

    #[test]
    fn a_private_file_is_private_whatever_it_was() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(".env");
        replace(&path, b"open").expect("first write");
        replace_private(&path, b"secret").expect("second write");
        let found = std::fs::metadata(&path).expect("its metadata");
        assert_eq!(found.mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).expect("read back"), b"secret");
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(replace(&folder.path().join("none/best.json"), b"x").is_err());
    }
}
