//! The text of the spec, kept beside the journal: so that a study can be
//! looked at where the spec is gone or was changed, and what it went by before
//! can be read.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::JournalError;
use crate::base::file;

/// The copy's name in the study's folder.
pub const FILE: &str = "spec.toml";

/// The name of the file that says where the relative paths of the spec begin.
pub const FOLDER: &str = "spec.folder";

/// Keeps where the relative paths of the spec begin: in the copy's own folder
/// they do not.
///
/// # Errors
/// Whatever the file system answers.
pub fn keep_folder(folder: &Path, of_spec: &Path) -> Result<(), JournalError> {
    let path = folder.join(FOLDER);
    let bytes = of_spec.as_os_str().as_bytes();
    match fs::read(&path) {
        Ok(known) if known == bytes => Ok(()),
        _ => file::replace(&path, bytes).map_err(JournalError::at(&path)),
    }
}

/// Where the relative paths of the spec of the study in `folder` begin; there
/// itself where that was not kept.
pub fn folder_of_spec(folder: &Path) -> PathBuf {
    match fs::read(folder.join(FOLDER)) {
        Ok(bytes) => PathBuf::from(OsString::from_vec(bytes)),
        Err(_) => folder.to_owned(),
    }
}

/// Keeps `text` as the spec of the study in `folder`. A copy of another text
/// is kept as `spec-<first 12 digits of its SHA-256>.toml`, whose path is
/// returned.
///
/// # Errors
/// Whatever the file system answers; the old copy is then still there.
pub fn keep(folder: &Path, text: &str) -> Result<Option<PathBuf>, JournalError> {
    let path = folder.join(FILE);
    let old = match fs::read(&path) {
        Ok(old) if old == text.as_bytes() => return Ok(None),
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(JournalError::of(&path, error)),
    };
    let mut kept = None;
    if let Some(old) = old {
        let aside = folder.join(format!("spec-{}.toml", &digest(&old)[..12]));
        file::replace(&aside, &old).map_err(JournalError::at(&aside))?;
        kept = Some(aside);
    }
    file::replace(&path, text.as_bytes()).map_err(JournalError::at(&path))?;
    Ok(kept)
}

/// The text of the spec by which the study in `folder` went last.
///
/// # Errors
/// [`JournalError::Missing`] where there is none, and whatever the file system
/// answers.
pub fn text(folder: &Path) -> Result<String, JournalError> {
    let path = folder.join(FILE);
    fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => JournalError::Missing {
            folder: folder.to_owned(),
        },
        _ => JournalError::of(&path, error),
    })
}

fn digest(text: &[u8]) -> String {
    let bytes = Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_where_the_spec_was() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(folder_of_spec(folder.path()), folder.path());
        keep_folder(folder.path(), Path::new("/data/a b")).expect("kept");
        keep_folder(folder.path(), Path::new("/data/c")).expect("kept");
        assert_eq!(folder_of_spec(folder.path()), Path::new("/data/c"));
    }

    #[test]
    fn a_changed_spec_leaves_the_old_one_beside() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = text(folder.path()).expect_err("nothing yet");
        assert!(matches!(missing, JournalError::Missing { .. }), "{missing}");
        assert_eq!(keep(folder.path(), "one").expect("kept"), None);
        assert_eq!(keep(folder.path(), "one").expect("the same"), None);
        let aside = keep(folder.path(), "two").expect("kept").expect("a change");
        // SHA-256 of `one` begins so.
        assert_eq!(aside, folder.path().join("spec-7692c3ad3540.toml"));
        assert_eq!(fs::read_to_string(aside).expect("there"), "one");
        assert_eq!(text(folder.path()).expect("there"), "two");
    }
}
