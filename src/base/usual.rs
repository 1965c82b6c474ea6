//! The places where a secret usually is, for whoever does not say where: a
//! credential, the `.env` of a folder, the environment.

use std::ffi::OsString;
use std::path::Path;

use super::dotenv;
use super::private::{self, PrivateError};
use super::secret::{Secret, SecretError, Source};

/// A secret that was found.
#[derive(Debug)]
pub struct Found {
    /// The secret.
    pub secret: Secret,
    /// Where it was, for people.
    pub place: String,
}

/// The first of these: the credential of that name, `name` in `.env` of
/// `folder`, the variable `name`, into which `variable` looks. Reads files: not
/// to be called where nothing may wait.
///
/// # Errors
/// When one cannot be read, or its `.env` is open to others.
pub fn find(
    credential: &str,
    name: &str,
    folder: &Path,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Found>, SecretError> {
    let found = |source: &Source, secret: Secret| Found {
        secret,
        place: source.to_string(),
    };
    let credential = Source::Credential(credential.to_owned());
    match credential.resolve(variable) {
        Ok(secret) => return Ok(Some(found(&credential, secret))),
        Err(SecretError::NoCredentials(_) | SecretError::NoCredential { .. }) => {}
        Err(error) => return Err(error),
    }
    let file = folder.join(".env");
    if let Some(secret) = in_dotenv(&file, name)? {
        let place = format!("{name} in {}", file.display());
        return Ok(Some(Found { secret, place }));
    }
    let environment = Source::Env(name.to_owned());
    match environment.resolve(variable) {
        Ok(secret) => Ok(Some(found(&environment, secret))),
        // An empty variable is how some programs are told that there is none.
        Err(SecretError::NotInEnvironment(_) | SecretError::Empty(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The secret in a `.env`, which nobody but its owner may be able to read. One
/// without a secret may be open to all.
fn in_dotenv(file: &Path, name: &str) -> Result<Option<Secret>, SecretError> {
    let find = |text: &str| dotenv::find(text, name).filter(|found| !found.trim().is_empty());
    match private::read(file) {
        Ok(text) => Ok(find(&text).map(Secret::from)),
        Err(PrivateError::Open(path)) => {
            let text = private::read_open(file).map_err(SecretError::Private)?;
            match find(&text) {
                Some(_) => Err(SecretError::Private(PrivateError::Open(path))),
                None => Ok(None),
            }
        }
        // `.env` is also what folders of Python are called.
        Err(PrivateError::NotAFile(_)) => Ok(None),
        Err(PrivateError::Unreadable { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(SecretError::Private(error)),
    }
}
