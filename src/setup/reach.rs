//! Whether a folder can be reached and written to by this user, from where this
//! process is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;
use rustix::fs::{Access, access};

use super::preflight::Check;
use crate::base::owner::{name, this_user};

/// What these checks are called.
const NAME: &str = "folder";

/// Looks at a folder, from the root on: the first folder on the way that is
/// closed is named.
pub fn look(folder: &Path) -> Check {
    let shown = folder.display();
    let mut way: Vec<&Path> = folder.ancestors().collect();
    way.reverse();
    for place in way {
        if let Err(error) = access(place, Access::EXEC_OK) {
            return closed(folder, place, &error.into());
        }
    }
    match access(folder, Access::WRITE_OK).map_err(io::Error::from) {
        Ok(()) => {
            let text = format!("{} can write to {shown}", this_user());
            Check::ok(NAME, text)
        }
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Check::error(
            NAME,
            format!("{shown} is read-only here"),
            "mount it writable, or name another folder",
        ),
        Err(error) => {
            let me = this_user();
            let text = format!("{me} cannot write to {shown}{}: {error}", whose(folder));
            Check::error(NAME, text, remedy(folder, "rwx"))
        }
    }
}

fn closed(folder: &Path, place: &Path, error: &io::Error) -> Check {
    let (shown, at) = (folder.display(), place.display());
    if error.kind() == io::ErrorKind::NotFound {
        let text = format!("{shown} is not there: there is no {at}");
        return Check::error(NAME, text, "make it, or name another folder");
    }
    let me = this_user();
    let text = format!(
        "{me} cannot reach {shown}: {at}{} is closed: {error}",
        whose(place)
    );
    Check::error(NAME, text, remedy(place, "x"))
}

/// The way in for this user, with these rights.
fn remedy(place: &Path, rights: &str) -> String {
    let way_in = format!(
        "`setfacl -m u:{}:{rights} {}`",
        this_user(),
        place.display()
    );
    match fs::metadata(place).map(|found| found.uid()) {
        Ok(0) | Err(_) => way_in,
        Ok(owner) => format!("--user {}, or {way_in}", name(Uid::from_raw(owner))),
    }
}

/// Owner and mode of a folder, in parentheses.
fn whose(folder: &Path) -> String {
    let Ok(found) = fs::metadata(folder) else {
        return String::new();
    };
    let (owner, mode) = (name(Uid::from_raw(found.uid())), found.mode() & 0o7777);
    format!(" (of {owner}, mode {mode:04o})")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::doctor::State;

    #[test]
    fn the_first_closed_folder_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let closed = folder.path().join("closed");
        let study = closed.join("study");
        fs::create_dir_all(&study).expect("made");
        assert_eq!(look(&study).state, State::Ok);
        let missing = look(&study.join("a/b"));
        assert_eq!(missing.state, State::Error);
        assert!(missing.text.ends_with(&format!("no {}/a", study.display())));
        let error = io::ErrorKind::PermissionDenied.into();
        let found = super::closed(&study, &closed, &error);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).expect("set");
        let place = format!("{} (of ", closed.display());
        assert!(found.text.contains(&place), "{}", found.text);
        assert!(found.remedy.contains(&closed.display().to_string()));
        if !nix::unistd::geteuid().is_root() {
            let found = look(&study);
            assert!(found.text.contains(&place), "{}", found.text);
            assert!(found.text.contains("mode 0600"), "{}", found.text);
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("set");
    }
}
