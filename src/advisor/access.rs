//! The way to an endpoint: its key, and what is known of how its server wants
//! to be asked.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderValue;

use super::manner::Manner;
use crate::base::secret::{Secret, SecretError};
use crate::base::{text, usual};
use crate::model::spec::{Advisor, KEY_CREDENTIAL, KEY_VARIABLE, Key};

/// The way to an endpoint, for as long as a daemon lives: with its key, and
/// with what is known of the server by now. Shared between questions; a spec
/// that was read again needs another one.
#[derive(Debug)]
pub struct Access {
    key: Option<Found>,
    manner: Mutex<Manner>,
    /// The pause before a request is sent again; each further one is four times
    /// as long.
    pub(super) pause: Duration,
}

#[derive(Debug)]
struct Found {
    key: Secret,
    /// Where it was found, for people.
    place: String,
}

impl Access {
    /// Looks for the key; `variable` looks into the environment. Reads files:
    /// not to be called where nothing may wait.
    ///
    /// # Errors
    /// When a key that the spec asks for is not there, or one cannot be read.
    pub fn find(
        advisor: &Advisor,
        workdir: &Path,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SecretError> {
        Self::with(match &advisor.api_key {
            Key::None => None,
            Key::At(source) => Some(Found {
                key: source.resolve(variable)?,
                place: source.to_string(),
            }),
            Key::Usual => usual::find(KEY_CREDENTIAL, KEY_VARIABLE, workdir, variable)?
                .map(|usual::Found { secret: key, place }| Found { key, place }),
        })
    }

    /// With a key that somebody has just typed.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn typed(key: Secret) -> Result<Self, SecretError> {
        let place = "what was typed".to_owned();
        Self::with(Some(Found { key, place }))
    }

    fn with(found: Option<Found>) -> Result<Self, SecretError> {
        let found = found.map(|Found { key, place }| Found {
            key: Secret::from(key.expose().trim().to_owned()),
            place,
        });
        if let Some(Found { key, place }) = &found {
            let is_key = |c: char| c.is_ascii_graphic();
            if key.expose().is_empty() || !key.expose().chars().all(is_key) {
                return Err(SecretError::NoKey(place.clone()));
            }
        }
        Ok(Self {
            key: found,
            manner: Mutex::default(),
            pause: Duration::from_secs(1),
        })
    }

    /// Where the key was found, for people; `None` where there is none.
    pub fn place(&self) -> Option<&str> {
        self.key.as_ref().map(|found| &*found.place)
    }

    /// What goes into the header.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        let found = self.key.as_ref()?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", found.key.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Text of the server's without the key, which it may have repeated.
    pub(super) fn redacted(&self, text: &str) -> String {
        match &self.key {
            Some(found) => text.replace(found.key.expose(), "[secret]"),
            None => text.to_owned(),
        }
    }

    /// A short line of what the server said.
    pub(super) fn excerpt(&self, said: &str) -> String {
        let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        text::cut(&text::clean(&self.redacted(&line)), 300)
    }

    /// How the server wants to be asked, as far as that is known.
    pub(super) fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has answered to this.
    pub(super) fn remember(&self, manner: Manner) {
        let mut known = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        *known = manner.proven();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::advisor::tests::advisor;

    fn find(folder: &Path, environment: &[(&str, &str)]) -> Result<Access, SecretError> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Access::find(&advisor("http://127.0.0.1/v1"), folder, &variable)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).expect("written");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    }

    #[test]
    fn the_first_place_that_has_a_key_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let credentials = folder.path().join("credentials");
        fs::create_dir(&credentials).expect("a folder");
        let directory = credentials.to_str().expect("UTF-8");
        let environment = [
            ("CREDENTIALS_DIRECTORY", directory),
            ("OPENAI_API_KEY", "sk-environment"),
        ];
        let place = |environment: &[(&str, &str)]| {
            let access = find(folder.path(), environment).expect("an access");
            assert!(!format!("{access:?}").contains("sk-"), "{access:?}");
            access.place().map(str::to_owned)
        };
        assert_eq!(place(&[]), None);
        assert_eq!(place(&[("OPENAI_API_KEY", "")]), None);
        let at = place(&environment).expect("a key");
        assert_eq!(at, "the variable OPENAI_API_KEY");
        let file = folder.path().join(".env");
        write(
            &file,
            "OTHER=1\nexport OPENAI_API_KEY=\"sk-dotenv\"\n",
            0o600,
        );
        let at = place(&environment).expect("a key");
        assert_eq!(at, format!("OPENAI_API_KEY in {}", file.display()));
        write(
            &credentials.join("autotune_openai_api_key"),
            "sk-credential\n",
            0o400,
        );
        let at = place(&environment).expect("a key");
        assert_eq!(at, "the credential `openai_api_key`");
        assert_eq!(
            find(folder.path(), &environment)
                .expect("an access")
                .bearer()
                .expect("a header"),
            "Bearer sk-credential"
        );
    }

    #[test]
    fn a_dotenv_with_a_key_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(".env");
        write(&file, "OTHER=1\n", 0o644);
        assert!(
            find(folder.path(), &[])
                .expect("an access")
                .place()
                .is_none()
        );
        write(&file, "OPENAI_API_KEY=sk-1\n", 0o644);
        let error = find(folder.path(), &[]).expect_err("refused").to_string();
        let shown = file.display();
        assert_eq!(
            error,
            format!("{shown} is open to others than its owner: chmod 600 {shown}")
        );
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("a folder of that name");
        assert!(
            find(folder.path(), &[])
                .expect("an access")
                .place()
                .is_none()
        );
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        for wrong in ["sk-1 sk-2", "sk-1\r\nX-Other: 1", "schlüssel"] {
            let folder = tempfile::tempdir().expect("a folder");
            let error = find(folder.path(), &[("OPENAI_API_KEY", wrong)]).expect_err("refused");
            assert_eq!(
                error.to_string(),
                "the variable OPENAI_API_KEY holds something else than a key: write the key \
                 alone into it, as one line"
            );
        }
    }

    #[test]
    fn a_server_that_repeats_the_key_does_not_give_it_away() {
        let access = Access::typed(Secret::from("sk-hunter2".to_owned())).expect("a key");
        assert_eq!(
            access.excerpt("no\n sk-hunter2\u{1b}[31m here"),
            "no [secret] here"
        );
    }
}
