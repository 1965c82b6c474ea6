//! Texts that nobody may see: where they come from, and a type that shows
//! itself to nobody.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::exports::{self, ExportsError};
use super::private::{self, PrivateError};
use super::text::make_private;

/// Where systemd puts the credentials of a service.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// What the files of a folder of credentials are called by, with the unit's
/// `LoadCredential=autotune:/etc/autotune/credentials`.
const PREFIX: &str = "autotune_";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for whoever needs it to do its work.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file of this name, alone or after `autotune_`, in
    /// `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// A file that only its owner may read; absolute. Its last newline is cut.
    File(PathBuf),
    /// A variable in a file of `export NAME=value` lines that only its owner
    /// may read; absolute.
    Exported {
        /// The file.
        file: PathBuf,
        /// The variable.
        name: String,
    },
    /// A variable of the program's environment.
    Env(String),
}

/// Why there is no secret to be had. The text names what was looked for and
/// the way out, and never what was found.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No service manager gives credentials.
    #[error(
        "the credential `{0}` comes from systemd, which has not started this: let the unit start \
         it, or give the secret as {{ file = \"…\" }}"
    )]
    NoCredentials(String),
    /// The folder has no such file.
    #[error(
        "there is no credential `{name}` ({} was looked for): put it into \
         /etc/autotune/credentials/{}, then restart the service",
        .looked_for.display(), .name.strip_prefix(PREFIX).unwrap_or(.name)
    )]
    NoCredential {
        /// Its name.
        name: String,
        /// The file that would be it.
        looked_for: PathBuf,
    },
    /// A credential that is there cannot be read.
    #[error("failed to read the credential {}: {source}", .path.display())]
    Credential {
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is missing.
    #[error("there is no file {}: write the secret into it, then {}", .0.display(), make_private(.0))]
    NoFile(PathBuf),
    /// A file cannot be read, or others can.
    #[error(transparent)]
    Private(PrivateError),
    /// A file of variables has a line that is none.
    #[error(transparent)]
    Exports(ExportsError),
    /// A file of variables lacks one.
    #[error("{} does not set {name}: add a line export {name}='…'", .file.display())]
    NotExported {
        /// The file.
        file: PathBuf,
        /// The variable.
        name: String,
    },
    /// The environment lacks a variable.
    #[error(
        "the environment has no variable {0}: export it before the start, or give the secret as {{ file = \"…\" }}"
    )]
    NotInEnvironment(String),
    /// Nothing is in it, or not text.
    #[error("{0} is empty, or no text: write the secret into it, as one line")]
    Empty(String),
    /// It cannot be a key of an HTTP endpoint.
    #[error("{0} holds something else than a key: write the key alone into it, as one line")]
    NoKey(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => write!(f, "the credential `{name}`"),
            Self::File(path) => path.display().fmt(f),
            Self::Exported { file, name } => write!(f, "{name} in {}", file.display()),
            Self::Env(name) => write!(f, "the variable {name}"),
        }
    }
}

impl Source {
    /// Gets the secret; `variable` looks into the environment.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn resolve(
        &self,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Credential(name) => {
                let folder = variable(CREDENTIALS).map(PathBuf::from);
                let folder = folder.ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                credential(&folder, name)?
            }
            Self::File(path) => private::read(path).map_err(|error| match missing(error) {
                Ok(path) => SecretError::NoFile(path),
                Err(error) => SecretError::Private(error),
            })?,
            Self::Exported { file, name } => {
                let variables = exports::read(file).map_err(|error| match error {
                    ExportsError::Private(error) => match missing(error) {
                        Ok(path) => SecretError::NoFile(path),
                        Err(error) => SecretError::Private(error),
                    },
                    error => SecretError::Exports(error),
                })?;
                let found = variables.into_iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value).ok_or_else(|| {
                    let (file, name) = (file.clone(), name.clone());
                    SecretError::NotExported { file, name }
                })?
            }
            Self::Env(name) => {
                let found = variable(name);
                let found = found.ok_or_else(|| SecretError::NotInEnvironment(name.clone()))?;
                // What is no text is as good as nothing.
                found.into_string().unwrap_or_default()
            }
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(Secret(line.to_owned()))
    }
}

/// The file that is not there, or the error if it is another one.
fn missing(error: PrivateError) -> Result<PathBuf, PrivateError> {
    match error {
        PrivateError::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
            Ok(path)
        }
        error => Err(error),
    }
}

/// systemd has seen to it that nobody else can read it, by an access list
/// where the mode does not show it.
fn credential(folder: &Path, name: &str) -> Result<String, SecretError> {
    let prefixed = folder.join(format!("{PREFIX}{name}"));
    for path in [folder.join(name), prefixed.clone()] {
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(String::from_utf8(bytes).unwrap_or_default()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SecretError::Credential { path, source }),
        }
    }
    Err(SecretError::NoCredential {
        name: name.to_owned(),
        looked_for: prefixed,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).expect("written");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(
            format!("{secret:?} {:#?}", Some(&secret)),
            "[secret] Some(\n    [secret],\n)"
        );
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn each_source_gives_its_text() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = |name: &str| folder.path().join(name);
        write(&place("plain"), "s3cret\n", 0o600);
        write(&place("windows"), "s3cret\r\n", 0o600);
        write(
            &place("exports.sh"),
            "export A=1\nexport PASS='s3cret'\n",
            0o600,
        );
        // As systemd shows them where it uses an access list.
        write(&place("autotune_hook"), "s3cret", 0o440);
        write(&place("named"), "s3cret\n", 0o400);
        let variable = |name: &str| match name {
            "CREDENTIALS_DIRECTORY" => Some(folder.path().as_os_str().to_owned()),
            "HOOK" => Some("s3cret".into()),
            _ => None,
        };
        let sources = [
            Source::Credential("hook".to_owned()),
            Source::Credential("autotune_hook".to_owned()),
            Source::Credential("named".to_owned()),
            Source::File(place("plain")),
            Source::File(place("windows")),
            Source::Exported {
                file: place("exports.sh"),
                name: "PASS".to_owned(),
            },
            Source::Env("HOOK".to_owned()),
        ];
        for source in sources {
            let secret = source.resolve(&variable);
            let secret = secret.unwrap_or_else(|error| panic!("{source}: {error}"));
            assert_eq!(secret.expose(), "s3cret", "{source}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_out_and_shows_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = |name: &str| folder.path().join(name);
        write(&place("open"), "hunter2\n", 0o644);
        write(&place("empty"), "\n", 0o600);
        write(&place("exports.sh"), "export A=hunter2\n", 0o600);
        write(&place("bad.sh"), "export A=$(hunter2)\n", 0o600);
        let credentials = |name: &str| {
            let is_asked = name == "CREDENTIALS_DIRECTORY";
            is_asked.then(|| folder.path().as_os_str().to_owned())
        };
        let none = |_: &str| None;
        let exported = |file: &str| Source::Exported {
            file: place(file),
            name: "PASS".to_owned(),
        };
        type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;
        let cases: [(Source, Variable<'_>, &str); 9] = [
            (
                Source::Credential("hook".to_owned()),
                &credentials,
                "there is no credential `hook` (DIR/autotune_hook was looked for): put it into \
                 /etc/autotune/credentials/hook, then restart the service",
            ),
            (
                Source::Credential("hook".to_owned()),
                &none,
                "the credential `hook` comes from systemd, which has not started this: let the \
                 unit start it, or give the secret as { file = \"…\" }",
            ),
            (
                Source::File(place("none")),
                &none,
                "there is no file DIR/none: write the secret into it, then chmod 600 DIR/none",
            ),
            (
                Source::File(place("open")),
                &none,
                "DIR/open is open to others than its owner: chmod 600 DIR/open",
            ),
            (
                Source::File(place("empty")),
                &none,
                "DIR/empty is empty, or no text: write the secret into it, as one line",
            ),
            (
                exported("none.sh"),
                &none,
                "there is no file DIR/none.sh: write the secret into it, then chmod 600 DIR/none.sh",
            ),
            (
                exported("exports.sh"),
                &none,
                "DIR/exports.sh does not set PASS: add a line export PASS='…'",
            ),
            (
                exported("bad.sh"),
                &none,
                "DIR/bad.sh, line 1: the value of A asks a shell to fill something in: write it \
                 out, in single quotes",
            ),
            (
                Source::Env("HOOK".to_owned()),
                &none,
                "the environment has no variable HOOK: export it before the start, or give the \
                 secret as { file = \"…\" }",
            ),
        ];
        for (source, variable, expected) in cases {
            let error = source.resolve(variable).expect_err("refused");
            let shown = error
                .to_string()
                .replace(&folder.path().display().to_string(), "DIR");
            assert_eq!(shown, expected);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
