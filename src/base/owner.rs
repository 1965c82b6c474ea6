//! Whose something is, by name.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User, geteuid};

/// The name of this process's user.
pub fn this_user() -> String {
    name(geteuid())
}

/// The owner of a file or folder, where that is another user than this one and
/// can be told.
pub fn other_owner(path: &Path) -> Option<String> {
    let owner = Uid::from_raw(path.metadata().ok()?.uid());
    (owner != geteuid()).then(|| name(owner))
}

/// A user's name; the number where there is none.
pub fn name(user: Uid) -> String {
    let known = User::from_uid(user).ok().flatten();
    known.map_or_else(|| format!("user {user}"), |user| user.name)
}
