//! A channel that can be used: its receiver, with the secrets that it needs.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::message::Message;
use super::secrets::Secrets;
use super::{feishu, smtp, webhook};
use crate::base::secret::{Secret, Source};
use crate::model::notice::Refused;
use crate::model::notify::{Channel, Target};
use crate::report::phrase::{clean, cut};

/// At most so many columns of what a receiver says are shown.
const SAID: usize = 300;
/// A part of an address that is as long as this may be a key.
const KEY: usize = 10;

/// What a receiver said to a message that it has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its words.
    pub said: String,
    /// The recipients of a mail who do not get it.
    pub refused: Vec<Refused>,
}

/// An attempt that has failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SendError {
    /// Why, without any secret.
    pub text: String,
    /// Whether another attempt may succeed.
    pub hope: Hope,
}

/// See [`SendError::hope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hope {
    /// Not with this message; the next one may be accepted.
    Never,
    /// Not before somebody has mended something: a URL, a key, a login, whom
    /// this machine trusts. No message would be accepted.
    Mended,
    /// Yes, after a while; the receiver may say after which.
    Later(Option<Duration>),
}

impl SendError {
    pub(super) fn never(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hope: Hope::Never,
        }
    }

    pub(super) fn mended(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hope: Hope::Mended,
        }
    }

    pub(super) fn later(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hope: Hope::Later(None),
        }
    }
}

/// A channel with its secrets.
#[derive(Clone, Debug)]
pub struct Receiver<'a> {
    channel: &'a Channel,
    secrets: &'a Secrets,
}

impl<'a> Receiver<'a> {
    /// The receiver of a channel whose secrets are among these.
    pub const fn new(channel: &'a Channel, secrets: &'a Secrets) -> Self {
        Self { channel, secrets }
    }

    /// Sends a message, within two minutes or three. Of a mail's recipients only
    /// those in `only` get it, unless that is empty.
    ///
    /// # Errors
    /// Why it was not accepted; a mail: by no recipient.
    pub async fn send(&self, message: &Message, only: &[String]) -> Result<Sent, SendError> {
        let all = |said| Sent {
            said,
            refused: Vec::new(),
        };
        let sent = match &self.channel.target {
            Target::Feishu { url, secret } => {
                let secret = secret
                    .as_ref()
                    .map(|secret| self.secret(secret))
                    .transpose()?;
                let sent = feishu::send(self.secret(url)?, self.ca(), secret, message).await;
                sent.map(all)
            }
            Target::Webhook { url, body } => {
                let url = self.secret(url)?;
                let sent = webhook::send(url, self.ca(), body.as_ref(), message).await;
                sent.map(all)
            }
            Target::Smtp(server) => {
                let login = server.login.as_ref();
                let login = login.map(|(user, source)| Ok((&**user, self.secret(source)?)));
                smtp::send(server, login.transpose()?, self.ca(), message, only).await
            }
        };
        match sent {
            Ok(mut sent) => {
                sent.said = self.redacted(&sent.said);
                for one in &mut sent.refused {
                    one.why = self.redacted(&one.why);
                }
                Ok(sent)
            }
            Err(error) => Err(SendError {
                text: self.redacted(&error.text),
                ..error
            }),
        }
    }

    fn ca(&self) -> Option<&std::path::Path> {
        self.channel.ca.as_deref()
    }

    fn secret(&self, source: &Source) -> Result<&'a Secret, SendError> {
        let secret = self.secrets.get(source);
        secret.ok_or_else(|| SendError::mended(format!("{source} is read by a restart")))
    }

    /// What a mail server is told by `AUTH PLAIN`.
    fn plain_login(&self) -> Option<String> {
        let Target::Smtp(server) = &self.channel.target else {
            return None;
        };
        let (user, source) = server.login.as_ref()?;
        let password = self.secrets.get(source)?.expose();
        Some(BASE64_STANDARD.encode(format!("\0{user}\0{password}")))
    }

    /// What somebody said, in one short line and without the secrets that they
    /// may have repeated.
    fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let sources = self.channel.target.sources().into_iter();
        let secrets = sources.filter_map(|source| self.secrets.get(source));
        let mut hidden: Vec<String> = secrets.flat_map(|one| parts(one.expose())).collect();
        hidden.extend(self.plain_login());
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        for part in hidden {
            text = text.replace(&part, "[secret]");
        }
        cut(&clean(text.trim()), SAID)
    }
}

/// A secret, and what of it gives it away.
fn parts(secret: &str) -> Vec<String> {
    let encoded = BASE64_STANDARD.encode(secret);
    // A client may leave out the blanks around an address.
    let secret = secret.trim();
    let mut parts = vec![secret.to_owned(), encoded];
    if let Some((_, rest)) = secret.split_once("://") {
        parts.push(rest.to_owned());
        let words = rest.split(['/', '?', '&', '=', '#', '@', ':']).skip(1);
        parts.extend(words.filter(|word| word.len() >= KEY).map(str::to_owned));
        if let Some((_, path)) = rest.split_once('/') {
            parts.push(path.to_owned());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notify::{Kind, Notify, Security, Smtp};

    #[test]
    fn a_receiver_that_repeats_a_secret_does_not_give_it_away() {
        let url = "https://hooks.example/services/T0000/hunter2hunter2?key=s3cr3t-key";
        let notify = notify(Target::Webhook {
            url: Source::Env("URL".to_owned()),
            body: None,
        });
        let secrets = Secrets::resolve(&notify, &|_| Some(url.into())).expect("resolved");
        let receiver = Receiver::new(&notify.channels[0], &secrets);
        let said = format!(
            "no {url}\nno /services/T0000/hunter2hunter2, no hunter2hunter2 {} s3cr3t-key",
            BASE64_STANDARD.encode(url)
        );
        assert_eq!(
            receiver.redacted(&said),
            "no [secret]\\nno /services/T0000/[secret], no [secret] [secret] [secret]"
        );
        assert!(!format!("{receiver:?}").contains("hunter2"));
        let padded = Secrets::resolve(&notify, &|_| Some(format!("{url} ").into()));
        let padded = padded.expect("resolved");
        let receiver = Receiver::new(&notify.channels[0], &padded);
        assert_eq!(receiver.redacted(&format!("no {url}")), "no [secret]");
    }

    #[test]
    fn a_mail_server_that_repeats_a_login_does_not_give_it_away() {
        let notify = notify(Target::Smtp(Box::new(Smtp {
            host: "h".to_owned(),
            port: 587,
            security: Security::StartTls,
            login: Some(("me".to_owned(), Source::Env("PASS".to_owned()))),
            from: "a@b".to_owned(),
            to: vec!["c@d".to_owned()],
        })));
        let secrets = Secrets::resolve(&notify, &|_| Some("pw".into())).expect("resolved");
        let receiver = Receiver::new(&notify.channels[0], &secrets);
        // The base64 of NUL me NUL pw, and of pw alone.
        let said = receiver.redacted("501 AUTH PLAIN AG1lAHB3, cHc=");
        assert_eq!(said, "501 AUTH PLAIN [secret], [secret]");
    }

    fn notify(target: Target) -> Notify {
        Notify {
            channels: vec![Channel {
                name: "it".into(),
                kinds: vec![Kind::Best],
                fallback: false,
                ca: None,
                target,
            }],
            ..Notify::default()
        }
    }
}
