//! Removing the artifacts of a trial where it made them.
//!
//! - Only what the list of the trial has is removed, and only while it is what
//!   the trial has written: the same file of the same size, unchanged since.
//! - No link is followed on the way to it, and none is removed.
//! - Of folders only those go that the trial's patterns match, and only when
//!   nothing is left in them.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, OFlags, statat, unlinkat};
use rustix::io::Errno;

use crate::base::inside;
use crate::exec::artifacts::{Item, Listed};
use crate::model::artifacts::ArtifactsChange;

/// Removes what the list has, and then the list.
///
/// # Errors
/// When the list cannot be read or a file not be removed; what is left is
/// removed the next time.
pub fn discard(list: &Path, token: &str) -> io::Result<ArtifactsChange> {
    let listed = Listed::read(list, token)?;
    let (mut files, mut bytes, mut left) = (0, 0, 0);
    for group in &listed.groups {
        let Ok(root) = inside::folder(&group.root) else {
            continue;
        };
        let mut folders: HashMap<PathBuf, io::Result<OwnedFd>> = HashMap::new();
        for item in &group.files {
            let above = file_folder(&item.path);
            let folder = folders.entry(above.to_owned()).or_insert_with(|| {
                inside::open(&root, above, OFlags::PATH | OFlags::DIRECTORY, false)
            });
            match remove(folder, item) {
                Ok(true) => {
                    files += 1;
                    bytes += item.size;
                }
                // Somebody else has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(false) => left += 1,
                Err(error) => {
                    let path = group.root.join(&item.path);
                    let text = format!("{}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
        let mut empty: Vec<&Item> = group.folders.iter().collect();
        // Those within others first.
        empty.sort_by_key(|folder| std::cmp::Reverse(folder.path.components().count()));
        for folder in empty {
            remove_folder(&root, folder);
        }
    }
    match std::fs::remove_file(list) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(ArtifactsChange::Deleted { files, bytes, left }),
    }
}

/// The folder of a file, relative to what that is relative to.
fn file_folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Removes a file; not one that is another by now.
fn remove(folder: &io::Result<OwnedFd>, item: &Item) -> io::Result<bool> {
    let folder = match folder {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::ErrorKind::NotFound.into());
        }
        Err(_) => return Ok(false),
    };
    let Some(name) = item.path.file_name() else {
        return Ok(false);
    };
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if item.linked || !item.is(&stat) {
        return Ok(false);
    }
    unlinkat(folder, name, AtFlags::empty())?;
    Ok(true)
}

fn remove_folder(root: &OwnedFd, item: &Item) {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let (Ok(above), Some(name)) = (
        inside::open(root, file_folder(&item.path), flags, false),
        item.path.file_name(),
    ) else {
        return;
    };
    let is_it = statat(&above, name, AtFlags::SYMLINK_NOFOLLOW);
    if is_it.is_ok_and(|stat| item.is_folder(&stat)) {
        // It stays where somebody else has something in it.
        let _: Result<(), Errno> = unlinkat(&above, name, AtFlags::REMOVEDIR);
    }
}
