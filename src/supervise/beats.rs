//! Signs of life: the protocol of sd_notify(3), with this process in the place
//! of the service manager.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixDatagram;

use crate::base::file::folder_of;

/// The longest message that is looked at, in bytes.
const LENGTH_MAX: usize = 4096;

/// What the daemon says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// It works.
    Alive,
    /// It ends in order, and gives no more signs of life.
    Stopping,
}

/// The socket on which the daemon says so.
#[derive(Debug)]
pub struct Beats {
    socket: UnixDatagram,
    path: PathBuf,
    folder: File,
    limit: Duration,
}

impl Beats {
    /// Opens the socket beside the pid file of this process, whose lock makes
    /// it ours: one that a killed supervisor has left is replaced. A daemon
    /// that gives no sign of life for `limit` is taken to hang.
    ///
    /// # Errors
    /// Whatever the system answers.
    pub fn open(pid_file: &Path, limit: Duration) -> io::Result<Self> {
        let mut path = pid_file.as_os_str().to_owned();
        path.push(".socket");
        let path = PathBuf::from(path);
        if fs::symlink_metadata(&path).is_ok_and(|data| data.file_type().is_socket()) {
            fs::remove_file(&path)?;
        }
        let folder = File::open(folder_of(&path))?;
        let socket = UnixDatagram::bind(short(&folder, &path))?;
        let beats = Self {
            socket,
            path,
            folder,
            limit,
        };
        fs::set_permissions(&beats.path, Permissions::from_mode(0o600))?;
        Ok(beats)
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path to it for `NOTIFY_SOCKET`, as long as this process lives.
    pub fn address(&self) -> PathBuf {
        short(&self.folder, &self.path)
    }

    /// The longest time between two signs of life.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether the daemon still finds the socket: somebody may have removed it.
    pub fn can_be_heard(&self) -> bool {
        self.path.exists()
    }

    /// Forgets what was said so far.
    pub fn forget(&self) {
        let mut buffer = [0; LENGTH_MAX];
        while self.socket.try_recv(&mut buffer).is_ok() {}
    }

    /// The next thing that is said. May be dropped at any time.
    pub async fn next(&self) -> Beat {
        let mut buffer = [0; LENGTH_MAX];
        loop {
            let Ok(length) = self.socket.recv(&mut buffer).await else {
                // Without a socket there is nothing to hear.
                return std::future::pending().await;
            };
            if let Some(beat) = read(&buffer[..length]) {
                return beat;
            }
        }
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The same path through a descriptor of its folder: an address has room for
/// 107 bytes only.
fn short(folder: &File, path: &Path) -> PathBuf {
    let (pid, fd) = (std::process::id(), folder.as_raw_fd());
    let folder = PathBuf::from(format!("/proc/{pid}/fd/{fd}"));
    folder.join(path.file_name().unwrap_or_default())
}

fn read(message: &[u8]) -> Option<Beat> {
    let mut lines = message.split(|byte| *byte == b'\n');
    lines.find_map(|line| match line {
        b"WATCHDOG=1" => Some(Beat::Alive),
        b"STOPPING=1" => Some(Beat::Stopping),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters_and_nothing_else() {
        assert_eq!(read(b"STATUS=trial 3\nWATCHDOG=1\n"), Some(Beat::Alive));
        assert_eq!(read(b"STOPPING=1"), Some(Beat::Stopping));
        for other in [&b"READY=1\n"[..], b"WATCHDOG=10", b"", b"\xff\n\n"] {
            assert_eq!(read(other), None);
        }
    }
}
