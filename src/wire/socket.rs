//! Where the control socket is.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The socket of the service, which a package sets up.
pub const SERVICE: &str = "/run/autotune/control.sock";

/// The socket of `autotune@NAME.service`.
pub fn of_instance(name: &str) -> PathBuf {
    Path::new(SERVICE).with_file_name(format!("{name}.sock"))
}

/// The name of an instance: one that can be a unit's, and cannot lead elsewhere.
///
/// # Errors
/// What it may be made of.
pub fn instance_name(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        return Err("letters, digits, `-`, `_` and `.`, as in autotune@NAME.service".to_owned());
    }
    Ok(text.to_owned())
}

/// The unit whose socket this is, if it is a service's.
pub fn unit(path: &Path) -> Option<String> {
    let service = Path::new(SERVICE);
    if path == service {
        return Some("autotune".to_owned());
    }
    let name = path.file_name()?.to_str()?.strip_suffix(".sock")?;
    (path.parent() == service.parent()).then(|| format!("autotune@{name}"))
}

/// The longest path of a socket that the system takes, in bytes.
pub const LONGEST: usize = 107;

/// Where the daemon of `uid` listens when it is not told:
/// `$XDG_RUNTIME_DIR/autotune/control.sock`, or
/// `/tmp/autotune-UID/control.sock`. `variable` looks up an environment
/// variable.
pub fn default_path(variable: impl Fn(&str) -> Option<PathBuf>, uid: u32) -> PathBuf {
    let runtime = variable("XDG_RUNTIME_DIR").filter(|path| path.is_absolute());
    let folder = match runtime {
        Some(runtime) => runtime.join("autotune"),
        None => PathBuf::from(format!("/tmp/autotune-{uid}")),
    };
    folder.join("control.sock")
}

/// Makes sure that nobody but `uid` and root can have put a socket at `path`:
/// its folder belongs to one of them, and no other may write to it.
///
/// # Errors
/// What is wrong with the folder.
pub fn check_folder(path: &Path, uid: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let found = folder.symlink_metadata()?;
    let own = found.uid() == uid || found.uid() == 0;
    if !found.is_dir() || !own || found.mode() & 0o002 != 0 {
        return Err(io::Error::other(format!(
            "{} is not a folder that only its owner can write to",
            folder.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_folder_comes_first() {
        let given = |_: &str| Some(PathBuf::from("/run/user/7"));
        let path = default_path(given, 7);
        assert_eq!(path, Path::new("/run/user/7/autotune/control.sock"));
        for none in [None, Some(PathBuf::from("relative"))] {
            let path = default_path(|_| none.clone(), 7);
            assert_eq!(path, Path::new("/tmp/autotune-7/control.sock"));
        }
    }

    #[test]
    fn sockets_of_services() {
        assert_eq!(unit(Path::new(SERVICE)).as_deref(), Some("autotune"));
        let instance = of_instance("qwen.2");
        assert_eq!(instance, Path::new("/run/autotune/qwen.2.sock"));
        assert_eq!(unit(&instance).as_deref(), Some("autotune@qwen.2"));
        assert_eq!(unit(Path::new("/run/user/7/autotune/control.sock")), None);
    }

    #[test]
    fn a_folder_that_all_can_write_to_is_refused() {
        let uid = rustix::process::getuid().as_raw();
        assert!(check_folder(Path::new("/tmp/control.sock"), uid).is_err());
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check_folder(&folder.path().join("control.sock"), uid).is_ok());
        assert!(check_folder(&folder.path().join("none/control.sock"), uid).is_err());
    }
}
