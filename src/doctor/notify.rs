//! Whether the channels of `[notify]` have what they need to deliver: their
//! secrets, and the certificates that they name.

use super::finding::{Check, Finding};
use crate::base::http::certificates_in;
use crate::base::private::PrivateError;
use crate::base::secret::SecretError;
use crate::model::notify::{Channel, Notify};
use crate::report::phrase::counted;

/// What is not there, as this user and in this environment; nothing at all
/// where nobody is told.
pub fn look(notify: &Notify) -> Vec<Finding> {
    let channels = &notify.channels;
    let findings: Vec<Finding> = channels.iter().flat_map(look_at).collect();
    if !findings.is_empty() || channels.is_empty() {
        return findings;
    }
    let count = counted(channels.len() as u64, "channel");
    let have = if channels.len() == 1 { "has" } else { "have" };
    let text = format!("{count} {have} every secret and certificate that the spec names");
    vec![Finding::ok(Check::Notify, text)]
}

fn look_at(channel: &Channel) -> Vec<Finding> {
    let name = &channel.name;
    let sources = channel.target.sources().into_iter();
    let secrets = sources.filter_map(|source| {
        let error = source.resolve(&|name| std::env::var_os(name)).err()?;
        let (what, remedy) = parted(&error);
        let text = format!("channel {name}: {what}");
        // Whether the unit has it cannot be seen from here.
        Some(match error {
            SecretError::NoCredentials(_) => Finding::warning(Check::Notify, text, remedy),
            _ => Finding::error(Check::Notify, text, remedy),
        })
    });
    let ca = channel.ca.iter().filter_map(|ca| {
        let why = certificates_in(ca).err()?;
        let text = format!("channel {name}: ca = {}: {why}", ca.display());
        let remedy = "name a file of certificates (PEM) that this user can read";
        Some(Finding::warning(Check::Notify, text, remedy))
    });
    secrets.chain(ca).collect()
}

/// What is wrong, and the way out.
pub(super) fn parted(error: &SecretError) -> (String, String) {
    let text = error.to_string();
    let unreadable = matches!(
        error,
        SecretError::Credential { .. } | SecretError::Private(PrivateError::Unreadable { .. })
    );
    match text.rsplit_once(": ") {
        Some((what, remedy)) if !unreadable => (what.to_owned(), remedy.to_owned()),
        _ => {
            let remedy = "name a file that holds the secret and that this user can read";
            (text, remedy.to_owned())
        }
    }
}
