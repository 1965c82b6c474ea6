//! A secret of the service, kept encrypted by systemd-creds(1): only the service
//! manager of this machine can read it, and hands it to the service as it
//! starts.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::files::Change;
use super::unit::Unit;
use super::{SetupError, manager};
use crate::base::file;

/// Where systemd looks for encrypted credentials.
const STORE: &str = "/etc/credstore.encrypted";
/// The first line of a drop-in that is written here.
const MARK: &str = "# Written by `autotunectl advisor setup`.";
/// The longest name of a credential.
const LONGEST: usize = 255;

/// Where a secret is now.
#[derive(Debug)]
pub struct Stored {
    /// The encrypted file.
    pub path: PathBuf,
    /// What tells the unit of it.
    pub drop_in: PathBuf,
}

/// Where the encrypted credential of that name is, or would be.
pub fn path(name: &str) -> PathBuf {
    Path::new(STORE).join(name)
}

/// Whether credentials can be encrypted for this unit.
///
/// # Errors
/// Why not, for people.
pub fn check_usable(unit: &Unit) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can encrypt for the service".to_owned());
    }
    if !manager::is_running() {
        return Err("systemd does not run here".to_owned());
    }
    let state = manager::property(&unit.name(), "LoadState").map_err(|error| error.to_string())?;
    match state.as_str() {
        "loaded" => Ok(()),
        _ => Err(format!("there is no {} here", unit.name())),
    }
}

/// Encrypts a secret, and has the unit get it as it starts next.
///
/// # Errors
/// What stands against it. What is there from before is as it was, but that an
/// encrypted file may be new.
pub fn store(unit: &Unit, name: &str, secret: &str) -> Result<Stored, SetupError> {
    let text = drop_in(name)?;
    let encrypted = manager::encrypt(name, secret)?;
    let (path, folder) = (path(name), Path::new(STORE));
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(SetupError::at(folder))?;
    let drop_in = unit.drop_in().with_file_name(format!("60-{name}.conf"));
    let change = Change::marked(drop_in.clone(), Some(text), MARK)?;
    file::replace_private(&path, encrypted.as_bytes()).map_err(SetupError::at(&path))?;
    change.make()?;
    manager::systemctl(&["daemon-reload"])?;
    Ok(Stored { path, drop_in })
}

fn drop_in(name: &str) -> Result<String, SetupError> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_plain) {
        return Err(SetupError::NotWritable {
            what: "the credential",
            text: name.to_owned(),
            why: "it must be letters, digits, `-` and `_`",
        });
    }
    Ok(format!(
        "{MARK}\n# The key is in {STORE}; to take it back, remove both files.\n\n[Service]\n\
         LoadCredentialEncrypted={name}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_told_of_it() {
        insta::assert_snapshot!(drop_in("openai_api_key").expect("good"), @r"
        # Written by `autotunectl advisor setup`.
        # The key is in /etc/credstore.encrypted; to take it back, remove both files.

        [Service]
        LoadCredentialEncrypted=openai_api_key
        ");
        for name in ["", "a b", "a\nUser=root", "../a", "a:b", "%n"] {
            let refused = drop_in(name);
            assert!(
                matches!(refused, Err(SetupError::NotWritable { .. })),
                "{name}"
            );
        }
    }
}
