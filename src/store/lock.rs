//! One daemon a folder.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;

use super::error::JournalError;

/// The lock's file in the study's folder.
pub const FILE: &str = "lock";

/// Held as long as the journal is open. The kernel drops it with the process,
/// however that ends; the file stays.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Who holds a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process, where it has left its number.
    pub pid: Option<u32>,
    /// Its command line, where it can be seen.
    pub command: Option<String>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.command) {
            (Some(pid), Some(command)) => write!(f, "process {pid} ({command})"),
            (Some(pid), None) => write!(f, "process {pid}"),
            (None, _) => f.write_str("another process"),
        }
    }
}

impl Lock {
    /// Takes the lock of `folder`, or says who has it.
    ///
    /// # Errors
    /// [`JournalError::InUse`], and whatever the file system answers.
    pub fn take(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = file.map_err(JournalError::at(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse {
                    folder: folder.to_owned(),
                    holder: holder(&path),
                });
            }
            Err(TryLockError::Error(error)) => return Err(JournalError::of(&path, error)),
        }
        // The number is for people. A disk too full for it must not keep a
        // study from being opened.
        let _ = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { _file: file })
    }
}

fn holder(path: &Path) -> Holder {
    let pid: Option<u32> = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Holder {
        pid,
        command: pid.and_then(command),
    }
}

fn command(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(|word| word.replace(char::is_control, "?"))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Lock::take(folder.path()).expect("free");
        let text = Lock::take(folder.path()).expect_err("in use").to_string();
        let pid = format!("is in use by process {} (", std::process::id());
        assert!(text.contains(&pid), "{text}");
        drop(first);
        Lock::take(folder.path()).expect("free again");
    }
}
