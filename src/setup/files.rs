//! Writing and taking back, of our own files alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::SetupError;
use crate::base::file;

/// The first line of every file that is written.
pub const MARK: &str = "# Written by `autotuned setup`; `autotuned setup --remove` takes it back.";

/// A file, as it is and as it is to be; `None` for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: PathBuf,
    /// What it says.
    pub old: Option<String>,
    /// What it is to say.
    pub new: Option<String>,
}

impl Change {
    /// Looks what there is.
    ///
    /// # Errors
    /// [`SetupError::NotOurs`] for a file that somebody else has written, and
    /// when it cannot be read.
    pub fn new(path: PathBuf, new: Option<String>) -> Result<Self, SetupError> {
        Self::marked(path, new, MARK)
    }

    /// The same of a file that begins with another mark.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn marked(path: PathBuf, new: Option<String>, mark: &str) -> Result<Self, SetupError> {
        let old = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(SetupError::at(&path)(error)),
            Ok(found) if !found.is_file() => return Err(SetupError::NotOurs(path)),
            Ok(_) => Some(fs::read_to_string(&path).map_err(SetupError::at(&path))?),
        };
        let is_ours = |text: &String| text.lines().next() == Some(mark);
        if old.as_ref().is_some_and(|text| !is_ours(text)) {
            return Err(SetupError::NotOurs(path));
        }
        Ok(Self { path, old, new })
    }

    /// Whether there is anything to do.
    pub fn is_one(&self) -> bool {
        self.old != self.new
    }

    /// The same the other way round.
    pub fn back(self) -> Self {
        Self {
            path: self.path,
            old: self.new,
            new: self.old,
        }
    }

    /// Makes it so.
    ///
    /// # Errors
    /// When the file system does not let it.
    pub fn make(&self) -> Result<(), SetupError> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        match &self.new {
            Some(text) => {
                let mut builder = fs::DirBuilder::new();
                let made = builder.recursive(true).mode(0o755).create(folder);
                made.map_err(SetupError::at(folder))?;
                file::replace(&self.path, text.as_bytes()).map_err(SetupError::at(&self.path))
            }
            None if self.old.is_some() => {
                fs::remove_file(&self.path).map_err(SetupError::at(&self.path))?;
                if folder.to_string_lossy().ends_with(".service.d") {
                    // Only where nothing else is in it.
                    let _ = fs::remove_dir(folder);
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What differs, by lines; the first character of each is `-`, `+` or a
    /// space.
    pub fn lines(&self) -> Vec<String> {
        let lines = |text: &Option<String>| -> Vec<String> {
            let text = text.as_deref().unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let (old, new) = (lines(&self.old), lines(&self.new));
        let gone = old.iter().filter(|line| !new.contains(line));
        let gone = gone.map(|line| format!("-{line}"));
        let now = new.iter().map(|line| {
            let sign = if old.contains(line) { ' ' } else { '+' };
            format!("{sign}{line}")
        });
        gone.chain(now).collect()
    }
}

/// Removes the lock that an earlier daemon has left beside its socket: one that
/// runs as another user cannot open it. That of a living daemon stays.
///
/// # Errors
/// When the file system does not let it.
pub fn remove_stale_lock(path: &Path) -> Result<(), SetupError> {
    // Others may write to the folder: nothing is followed, and nothing waits.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let open = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path);
    let lock = match open {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(SetupError::at(path))?,
    };
    if lock.try_lock().is_err() {
        return Ok(());
    }
    fs::remove_file(path).map_err(SetupError::at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("50-setup.conf");
        fs::write(&path, "[Service]\nUser=bob\n").expect("written");
        for new in [None, Some(format!("{MARK}\n"))] {
            let change = Change::new(path.clone(), new);
            assert!(matches!(change, Err(SetupError::NotOurs(_))), "{change:?}");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        assert!(matches!(
            Change::new(link, None),
            Err(SetupError::NotOurs(_))
        ));
    }

    #[test]
    fn what_is_written_can_be_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.service.d/50-setup.conf");
        let text = |user: &str| Some(format!("{MARK}\n[Service]\nUser={user}\n"));
        let first = Change::new(path.clone(), text("alice")).expect("good");
        assert!(first.is_one());
        first.make().expect("made");
        assert_eq!(fs::read_to_string(&path).ok(), text("alice"));
        let same = Change::new(path.clone(), text("alice")).expect("good");
        assert!(!same.is_one());
        let other = Change::new(path.clone(), text("bob")).expect("good");
        let lines = other.lines();
        let expected = ["-User=alice".to_owned(), format!(" {MARK}")];
        assert_eq!(lines[..2], expected);
        assert_eq!(lines[2..], [" [Service]", "+User=bob"]);
        other.make().expect("made");
        other.back().make().expect("taken back");
        assert_eq!(fs::read_to_string(&path).ok(), text("alice"));
        first.back().make().expect("taken back");
        assert!(!folder.path().join("a.service.d").exists());
        assert!(folder.path().exists());
    }

    #[test]
    fn the_lock_of_a_living_daemon_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        remove_stale_lock(&path).expect("nothing there");
        let lock = fs::File::create(&path).expect("a lock");
        lock.try_lock().expect("locked");
        remove_stale_lock(&path).expect("left");
        assert!(path.exists());
        drop(lock);
        remove_stale_lock(&path).expect("removed");
        assert!(!path.exists());
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("a link");
        assert!(remove_stale_lock(&path).is_err());
        assert!(path.is_symlink());
    }
}
