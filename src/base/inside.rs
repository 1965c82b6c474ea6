//! Reaching what is in a folder without ever being led out of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Opens a folder by which others are reached; links that lead to it are
/// followed.
///
/// # Errors
/// Whatever the file system answers.
pub fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Opens `path`, relative to `folder`. A link that leads out of that is not
/// followed, and without `links` none is.
///
/// # Errors
/// [`io::ErrorKind::CrossesDevices`] or [`io::ErrorKind::FilesystemLoop`] for
/// a link that is not followed, and whatever else the file system answers.
pub fn open(folder: impl AsFd, path: &Path, flags: OFlags, links: bool) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = flags | OFlags::CLOEXEC;
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if !links {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    match openat2(&folder, path, flags, Mode::empty(), resolve) {
        // An old kernel, or a container that does not let it through.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(folder, path, flags),
        opened => Ok(opened?),
    }
}

/// The same without any link.
fn step_by_step(folder: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(&folder, ".", through, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let name = match part {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => return Err(io::ErrorKind::CrossesDevices.into()),
        };
        if parts.peek().is_none() {
            return Ok(openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        at = openat(&at, name, through, Mode::empty())?;
    }
    Ok(openat(&at, ".", flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let outside = root.path().join("outside");
        let inside = root.path().join("inside");
        std::fs::create_dir_all(inside.join("a/b")).expect("folders");
        std::fs::create_dir(&outside).expect("a folder");
        std::fs::write(inside.join("a/b/file"), "1").expect("a file");
        std::fs::write(outside.join("file"), "2").expect("a file");
        symlink("a/b", inside.join("near")).expect("a link");
        symlink(&outside, inside.join("far")).expect("a link");
        symlink("../outside/file", inside.join("a/up")).expect("a link");
        let folder = folder(&inside).expect("the folder");
        let open = |path: &str, links| open(&folder, Path::new(path), OFlags::RDONLY, links);
        assert!(open("a/b/file", false).is_ok());
        assert!(open("", false).is_ok());
        assert!(open("near/file", true).is_ok());
        assert!(open("near/file", false).is_err());
        for (path, links) in [
            ("far/file", true),
            ("a/up", true),
            ("../outside/file", true),
        ] {
            assert!(open(path, links).is_err(), "{path}");
        }
        let step_by_step = |path: &str| step_by_step(&folder, Path::new(path), OFlags::RDONLY);
        assert!(step_by_step("a/b/file").is_ok() && step_by_step("a/b").is_ok());
        for path in ["near/file", "far/file", "a/up", "../outside/file", "near"] {
            assert!(step_by_step(path).is_err(), "{path}");
        }
    }
}
