//! Listening on the control socket: one daemon a path.
//!
//! A daemon holds a lock beside the socket for as long as it lives, so the
//! socket of a dead one is known, and is replaced; that of a living one never
//! is. The new socket gets its mode and group under another name before it is
//! put in place.
//!
//! A service manager may keep the socket while the daemon starts anew, be it
//! after a crash: clients that connect meanwhile wait for the next one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group};
use tokio::net::UnixListener;

use crate::model::spec::Control;
use crate::systemd::{fd_store, notify};
use crate::wire::socket::{LONGEST, check_folder};

/// The name under which a service manager keeps the socket.
const KEPT: &str = "control";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon listens there.
    #[error(
        "another autotuned listens on {}: give this study a socket of its own with --socket PATH",
        .0.display()
    )]
    Taken(PathBuf),
    /// Something else has that name.
    #[error("{} is not a socket, and is left alone", .0.display())]
    NotASocket(PathBuf),
    /// The system takes no such path.
    #[error("{} is too long for a socket: {LONGEST} bytes is the most", .0.display())]
    TooLong(PathBuf),
    /// No such group.
    #[error("there is no group `{0}` here, which [control] names")]
    NoSuchGroup(String),
    /// The system's answer.
    #[error("failed to listen on {}: {source}", .path.display())]
    Io {
        /// The socket, or its folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A socket that listens. It is removed when dropped, unless a service manager
/// may keep it.
#[derive(Debug)]
pub struct Listener {
    /// What accepts connections.
    pub socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket.
    id: (u64, u64),
    may_be_kept: bool,
    _lock: File,
}

impl Listener {
    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Only ours: somebody may have put another one in its place.
        let ours = identity(&self.path).is_ok_and(|id| id == self.id);
        if ours && !self.may_be_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

/// The number of a group.
///
/// # Errors
/// [`ListenError::NoSuchGroup`].
pub fn group_id(name: &str) -> Result<Gid, ListenError> {
    let group = Group::from_name(name).ok().flatten();
    let group = group.ok_or_else(|| ListenError::NoSuchGroup(name.to_owned()))?;
    Ok(group.gid)
}

/// Listens at `path`. The folder is made when it is missing, for this user
/// alone. The socket is for this user and the group of `control`, or for all
/// where all may read: who may do what is checked for each request. The
/// socket of an earlier daemon that a service manager has kept is used again.
///
/// # Errors
/// See [`ListenError`].
pub fn listen(path: &Path, control: &Control) -> Result<Listener, ListenError> {
    let failed = |source| ListenError::Io {
        path: path.to_owned(),
        source,
    };
    let beside = |extension: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(extension);
        PathBuf::from(name)
    };
    let fresh = beside(".new");
    if fresh.as_os_str().len() > LONGEST {
        return Err(ListenError::TooLong(path.to_owned()));
    }
    let gid = control.group.as_deref().map(group_id).transpose()?;
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(failed)?;
        let uid = rustix::process::geteuid().as_raw();
        if folder.starts_with("/tmp") {
            // Anybody may have made it.
            check_folder(path, uid).map_err(failed)?;
        }
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(beside(".lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(ListenError::Taken(path.to_owned()));
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    let found = path.symlink_metadata().ok();
    if found
        .as_ref()
        .is_some_and(|found| !found.file_type().is_socket())
    {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    let allow = |path: &Path| -> io::Result<()> {
        let mode = if control.all_read { 0o666 } else { 0o660 };
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
        match gid {
            Some(gid) => std::os::unix::fs::chown(path, None, Some(gid.as_raw())),
            None => Ok(()),
        }
    };
    let kept = match found {
        Some(_) => take_kept(&fresh),
        None => None,
    };
    let socket = match kept {
        Some(kept) => {
            allow(path).map_err(failed)?;
            kept
        }
        // Somebody who does not know of the lock.
        None if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(ListenError::Taken(path.to_owned()));
        }
        None => {
            let _ = std::fs::remove_file(&fresh);
            let socket = UnixListener::bind(&fresh).map_err(failed)?;
            allow(&fresh).map_err(failed)?;
            std::fs::rename(&fresh, path).map_err(failed)?;
            socket
        }
    };
    let may_be_kept = notify::is_managed();
    if may_be_kept {
        // Without it, clients fail while the daemon starts anew.
        let _ = fd_store::keep(KEPT, socket.as_fd());
    }
    Ok(Listener {
        socket,
        path: path.to_owned(),
        id: identity(path).map_err(failed)?,
        may_be_kept,
        _lock: lock,
    })
}

/// The socket that was bound to `name` and that the service manager has kept.
/// Any other that it has kept is closed.
fn take_kept(name: &Path) -> Option<UnixListener> {
    let kept = fd_store::take(KEPT).into_iter();
    kept.map(std::os::unix::net::UnixListener::from)
        .find_map(|socket| {
            let bound = socket.local_addr().ok()?;
            if bound.as_pathname() != Some(name) {
                return None;
            }
            socket.set_nonblocking(true).ok()?;
            UnixListener::from_std(socket).ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_living_socket_is_left_and_a_dead_one_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below/control.sock");
        let control = Control::default();
        let first = listen(&path, &control).expect("listens");
        let mode = |path: &Path| path.metadata().expect("there").mode() & 0o777;
        assert_eq!(mode(&path), 0o660);
        assert_eq!(mode(&folder.path().join("below")), 0o700);
        let second = listen(&path, &control);
        assert!(matches!(second, Err(ListenError::Taken(_))), "{second:?}");
        drop(first);
        assert!(!path.exists());
        // As a daemon leaves it that is killed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
        let all = Control {
            all_read: true,
            ..Control::default()
        };
        let third = listen(&path, &all).expect("listens");
        assert_eq!(mode(&path), 0o666);
        drop(third);
        std::fs::write(&path, "mine").expect("written");
        let other = listen(&path, &control);
        assert!(matches!(other, Err(ListenError::NotASocket(_))));
        assert_eq!(std::fs::read(&path).expect("left"), b"mine");
    }

    #[tokio::test]
    async fn a_stranger_that_listens_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let _stranger = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        let taken = listen(&path, &Control::default());
        assert!(matches!(taken, Err(ListenError::Taken(_))));
        let long = folder.path().join("x".repeat(120));
        let long = listen(&long, &Control::default());
        assert!(matches!(long, Err(ListenError::TooLong(_))));
    }
}
