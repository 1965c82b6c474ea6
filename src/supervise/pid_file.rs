//! The pid file: for people and scripts, and the lock that lets a study have
//! one supervisor.
//!
//! The lock alone tells whether a supervisor lives; nobody is ever signalled
//! because of a number in a file. A file without the lock was left by one that
//! was killed, unless the process that it names is older than the file: then
//! that has written it, and is a watchdog of another make.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use procfs::process::Process;

/// Its name, which is that of the reference tuner's watchdog, in the study's
/// folder.
pub const FILE: &str = "autotune.watchdog.pid";

/// The longest file that can be one, in bytes.
const LENGTH_MAX: u64 = 32;
/// How exactly the kernel tells when a process was started, in seconds.
const SLACK: i64 = 1;

/// A pid file with this process in it; gone when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

/// Why there can be no pid file.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// There is a supervisor already.
    #[error("{} is held by another supervisor, process {pid}: a study has one", .path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// What it says.
        pid: String,
    },
    /// Something else that lives has written it.
    #[error(
        "{} was written by process {pid} ({command}), which is alive: end that first, or choose \
         another --pid-file",
        .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The process.
        pid: i32,
        /// Its command line.
        command: String,
    },
    /// It holds something else than a number.
    #[error("{} is no pid file, and stays as it is: choose another --pid-file", .0.display())]
    NoPidFile(PathBuf),
    /// It cannot be used.
    #[error("failed to use the pid file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl PidFile {
    /// Writes this process's number into `path`, and makes its folder where
    /// there is none.
    ///
    /// # Errors
    /// See [`PidFileError`]; the file is then as it was.
    pub fn take(path: &Path) -> Result<Self, PidFileError> {
        let failed = |source| PidFileError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(crate::base::file::folder_of(path)).map_err(failed)?;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                // Opening a named pipe must not wait for its other end.
                .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
                .open(path)
                .map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if !about.is_file() || about.len() > LENGTH_MAX {
                return Err(PidFileError::NoPidFile(path.to_owned()));
            }
            let mut bytes = Vec::new();
            (&file)
                .take(LENGTH_MAX)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            let pid = text.parse::<i32>().ok();
            if pid.is_none() && !text.is_empty() {
                return Err(PidFileError::NoPidFile(path.to_owned()));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let path = path.to_owned();
                    return Err(PidFileError::Held { path, pid: text });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // The one that held it may have removed it meanwhile.
            if !is_at(&file, path) {
                continue;
            }
            if let Some(pid) = pid
                && let Some(command) = living_writer(pid, about.mtime())
            {
                let path = path.to_owned();
                return Err(PidFileError::Foreign { path, pid, command });
            }
            let own = format!("{}\n", std::process::id());
            // The number is for people. A disk too full for it must not keep a
            // daemon from being kept alive.
            let _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(own.as_bytes()));
            let path = path.to_owned();
            return Ok(Self { path, file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // What stays is recognised as left over.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether `file` is what `path` leads to.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// The command line of the process that has written a file at `written`, in
/// seconds since 1970, if `pid` is still that process.
fn living_writer(pid: i32, written: i64) -> Option<String> {
    if u32::try_from(pid).ok()? == std::process::id() {
        return None;
    }
    let process = Process::new(pid).ok()?;
    let stat = process.stat().ok()?;
    // It has ended, and is still to be waited for.
    if matches!(stat.state, 'Z' | 'X' | 'x') {
        return None;
    }
    let boot = i64::try_from(procfs::boot_time_secs().ok()?).ok()?;
    let since_boot = stat.starttime / procfs::ticks_per_second();
    let started = boot + i64::try_from(since_boot).ok()?;
    // A later process was given the same number.
    if started > written + SLACK {
        return None;
    }
    // One that is just being started or is just ending has no words, but still
    // a name.
    let words = process.cmdline().unwrap_or_default().join(" ");
    let command = if words.is_empty() {
        format!("[{}]", stat.comm)
    } else {
        words
    };
    Some(command.replace(char::is_control, "?"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("study").join(FILE);
        (folder, path)
    }

    /// A process that waits until its input ends.
    fn other() -> std::process::Child {
        answering(&mut Command::new("cat"), b"\n")
    }

    /// A process that has answered: until it does its work, the kernel may not
    /// know its words.
    fn answering(command: &mut Command, input: &[u8]) -> std::process::Child {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let stdin = child.stdin.as_mut().expect("its input");
        stdin.write_all(input).expect("taken");
        let stdout = child.stdout.as_mut().expect("its output");
        stdout.read_exact(&mut [0]).expect("an answer");
        child
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    #[test]
    fn one_supervisor_a_file() {
        let (_folder, path) = folder();
        let first = PidFile::take(&path).expect("free");
        let own = format!("{}\n", std::process::id());
        assert_eq!(fs::read_to_string(&path).expect("a file"), own);
        let text = PidFile::take(&path).expect_err("held").to_string();
        let expected = format!("is held by another supervisor, process {}", own.trim());
        assert!(text.contains(&expected), "{text}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), own);
        drop(first);
        assert!(!path.exists(), "it is removed");
        PidFile::take(&path).expect("free again");
    }

    #[test]
    fn a_file_that_another_has_put_there_meanwhile_stays() {
        let (_folder, path) = folder();
        let first = PidFile::take(&path).expect("free");
        fs::remove_file(&path).expect("removed");
        write(&path, "7\n");
        drop(first);
        assert_eq!(fs::read_to_string(&path).expect("a file"), "7\n");
    }

    #[test]
    fn what_a_dead_process_has_left_is_replaced() {
        let (_folder, path) = folder();
        let mut dead = other();
        drop(dead.stdin.take());
        dead.wait().expect("ended");
        write(&path, &format!("{}\n", dead.id()));
        PidFile::take(&path).expect("nobody lives by that number");
    }

    #[test]
    fn what_has_ended_and_is_not_waited_for_yet_is_dead() {
        let (_folder, path) = folder();
        let mut zombie = other();
        drop(zombie.stdin.take());
        // Its end closes its output.
        let mut rest = Vec::new();
        let mut output = zombie.stdout.take().expect("its output");
        output.read_to_end(&mut rest).expect("its end");
        let pid = i32::try_from(zombie.id()).expect("a number");
        let state = || Process::new(pid).and_then(|process| process.stat());
        while state().expect("it is not waited for").state != 'Z' {
            std::thread::yield_now();
        }
        write(&path, &format!("{pid}\n"));
        PidFile::take(&path).expect("nobody lives by that number");
        zombie.wait().expect("ended");
    }

    /// As one has none while it is started.
    #[test]
    fn one_without_words_has_a_name() {
        let (_folder, path) = folder();
        let mut nameless = answering(Command::new("sh").arg0(""), b"echo\n");
        write(&path, &format!("{}\n", nameless.id()));
        let error = PidFile::take(&path).expect_err("it lives").to_string();
        assert!(error.contains(" ([sh])"), "{error}");
        drop(nameless.stdin.take());
        nameless.wait().expect("ended");
    }

    #[test]
    fn a_number_that_a_later_process_was_given_is_replaced() {
        let (_folder, path) = folder();
        let mut later = other();
        write(&path, &format!("{}\n", later.id()));
        let file = File::options().write(true).open(&path).expect("a file");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        file.set_modified(old).expect("set");
        PidFile::take(&path).expect("it is another process");
        assert_eq!(later.try_wait().expect("its state"), None);
        drop(later.stdin.take());
        later.wait().expect("ended");
    }

    #[test]
    fn a_living_watchdog_of_another_make_is_respected() {
        let (_folder, path) = folder();
        let mut older = other();
        let text = format!("{}\n", older.id());
        write(&path, &text);
        let error = PidFile::take(&path).expect_err("it lives").to_string();
        assert!(error.contains(&format!("{} (cat)", older.id())), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("a file"), text);
        drop(older.stdin.take());
        older.wait().expect("ended");
    }

    #[test]
    fn what_is_no_pid_file_stays_as_it_is() {
        let (_folder, path) = folder();
        for text in ["[study]\n", &"9".repeat(100)] {
            write(&path, text);
            let error = PidFile::take(&path).expect_err("something else");
            assert!(matches!(error, PidFileError::NoPidFile(_)), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("a file"), text);
        }
        let pipe = path.with_file_name("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let error = PidFile::take(&pipe).expect_err("a pipe");
        assert!(matches!(error, PidFileError::NoPidFile(_)), "{error}");
    }
}
