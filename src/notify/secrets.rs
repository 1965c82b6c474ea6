//! The secrets of all channels, read once.

use std::collections::HashMap;
use std::ffi::OsString;

use crate::base::secret::{Secret, SecretError, Source};
use crate::model::notify::Notify;

/// The secrets of a spec's channels. It shows itself to nobody.
#[derive(Clone, Debug, Default)]
pub struct Secrets(HashMap<Source, Secret>);

/// A secret that is not there. The text names the channel, what was looked
/// for, and the way out.
#[derive(Debug, thiserror::Error)]
#[error("channel {channel} of [notify]: {error}")]
pub struct Unresolved {
    /// The channel.
    pub channel: String,
    /// What is wrong.
    pub error: SecretError,
}

impl Secrets {
    /// Gets all secrets; `variable` looks into the environment.
    ///
    /// # Errors
    /// All that are not there.
    pub fn resolve(
        notify: &Notify,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Vec<Unresolved>> {
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        for channel in &notify.channels {
            for source in channel.target.sources() {
                match source.resolve(variable) {
                    Ok(secret) => {
                        found.insert(source.clone(), secret);
                    }
                    Err(error) => missing.push(Unresolved {
                        channel: channel.name.to_string(),
                        error,
                    }),
                }
            }
        }
        if missing.is_empty() {
            Ok(Self(found))
        } else {
            Err(missing)
        }
    }

    /// The secret of a source; `None` for one that was not resolved.
    pub fn get(&self, source: &Source) -> Option<&Secret> {
        self.0.get(source)
    }

    /// The channels with a secret that is not here, or that is another one
    /// now. What cannot be had any more is what it was.
    pub fn outdated(
        &self,
        notify: &Notify,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> (Vec<String>, Vec<String>) {
        let (mut unknown, mut changed) = (Vec::new(), Vec::new());
        for channel in &notify.channels {
            let sources = channel.target.sources();
            let name = channel.name.to_string();
            let is_changed = |source: &Source| {
                let now = source.resolve(variable).ok();
                now.is_some_and(|now| self.0.get(source) != Some(&now))
            };
            if sources.iter().any(|source| !self.0.contains_key(source)) {
                unknown.push(name);
            } else if sources.into_iter().any(is_changed) {
                changed.push(name);
            }
        }
        (unknown, changed)
    }
}
