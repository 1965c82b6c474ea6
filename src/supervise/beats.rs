//! Signs of life: the protocol of sd_notify(3), with this process in the place
//! of the service manager.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixDatagram;

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
    folder: tempfile::TempDir,
    limit: Duration,
}

impl Beats {
    /// Opens the socket, in a folder that only this user can enter. A daemon
    /// that gives no sign of life for `limit` is taken to hang.
    ///
    /// # Errors
    /// Whatever the system answers.
    pub fn open(limit: Duration) -> std::io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("autotune-supervise-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        Ok(Self {
            socket: UnixDatagram::bind(path_in(folder.path()))?,
            folder,
            limit,
        })
    }

    /// The socket's path.
    pub fn path(&self) -> PathBuf {
        path_in(self.folder.path())
    }

    /// The longest time between two signs of life.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether the daemon still finds the socket: some hosts clear their
    /// temporary folder of what is old.
    pub fn can_be_heard(&self) -> bool {
        self.path().exists()
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

fn path_in(folder: &Path) -> PathBuf {
    folder.join("notify")
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
