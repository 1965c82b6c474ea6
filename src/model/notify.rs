//! Who is told of what, and how: the `[notify]` section of a spec.

use std::path::PathBuf;
use std::time::Duration;

use super::Name;
use super::template::Template;
use crate::base::secret::Source;

/// What an owner wants to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notify {
    /// The language of the messages.
    pub language: Language,
    /// The ways to tell it, in order.
    pub channels: Vec<Channel>,
    /// A heartbeat after so many settled trials.
    pub heartbeat_trials: Option<u32>,
    /// A heartbeat after so much time.
    pub heartbeat_interval: Option<Duration>,
    /// Every how many settled trials one is told of, for channels of that
    /// kind; 1 or more.
    pub trial_done_every: u32,
}

/// A language of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
}

impl Language {
    /// The one of two texts that is in this language. Whoever says something
    /// gives both: what lacks one does not compile.
    pub fn pick<T>(self, english: T, chinese: T) -> T {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// A way to tell somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name, by which the outbox and users call it.
    pub name: Name,
    /// What it is told.
    pub kinds: Vec<Kind>,
    /// Whether it is also told what another channel has given up on.
    pub fallback: bool,
    /// A file of further authorities (PEM) that may vouch for the receiver;
    /// absolute.
    pub ca: Option<PathBuf>,
    /// Where it goes.
    pub target: Target,
}

/// Where a channel goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A custom bot of a Feishu group.
    Feishu {
        /// The bot's webhook.
        url: Source,
        /// What it is signed with.
        secret: Option<Source>,
    },
    /// An address that takes JSON by POST.
    Webhook {
        /// The address.
        url: Source,
        /// What is posted; see [`BODY_NAMES`].
        body: Option<Template>,
    },
    /// A mail server.
    Smtp(Box<Smtp>),
}

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept secret.
    pub security: Security,
    /// Who logs in, and with what.
    pub login: Option<(String, Source)>,
    /// The sender: `a@example.com` or `Name <a@example.com>`.
    pub from: String,
    /// The recipients, likewise.
    pub to: Vec<String>,
}

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It begins in the open, and nothing is said before TLS is there.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// What a template for a webhook's body may ask for; all are texts.
///
/// | name | is |
/// |---|---|
/// | `id` | the message's id |
/// | `kind` | its kind |
/// | `study` | the study's name |
/// | `host` | the machine's name |
/// | `time` | when it happened, RFC 3339 |
/// | `title` | one line |
/// | `text` | the lines below the title |
/// | `trial` | the trial's number, or nothing |
pub const BODY_NAMES: [&str; 8] = [
    "id", "kind", "study", "host", "time", "title", "text", "trial",
];

/// A kind of event that somebody may want to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A daemon has taken up the study.
    Start,
    /// It is still at work.
    Heartbeat,
    /// A trial is settled.
    TrialDone,
    /// There is a new incumbent.
    Best,
    /// A trial gave no result.
    Failed,
    /// A service was not ready in time.
    Timeout,
    /// A service ended before it was ready, or the daemon itself has failed.
    Crashed,
    /// Something that should not be: a fault of the host, bad runs.
    Abnormal,
    /// What is proposed waits for approval.
    Approval,
    /// No further trial is started.
    Paused,
    /// There is nothing left to do.
    Done,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::Heartbeat,
        Self::TrialDone,
        Self::Best,
        Self::Failed,
        Self::Timeout,
        Self::Crashed,
        Self::Abnormal,
        Self::Approval,
        Self::Paused,
        Self::Done,
    ];

    /// Its name, in a spec and everywhere else.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Heartbeat => "heartbeat",
            Self::TrialDone => "trial_done",
            Self::Best => "best",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Crashed => "crashed",
            Self::Abnormal => "abnormal",
            Self::Approval => "approval",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }

    /// The kind of that [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Target {
    /// Its name in a spec.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Feishu { .. } => "feishu",
            Self::Webhook { .. } => "webhook",
            Self::Smtp(_) => "smtp",
        }
    }

    /// Where its secrets come from.
    pub fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Feishu { url, secret } => std::iter::once(url).chain(secret).collect(),
            Self::Webhook { url, .. } => vec![url],
            Self::Smtp(smtp) => smtp.login.iter().map(|(_, password)| password).collect(),
        }
    }
}

impl Notify {
    /// Where all its secrets come from.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.channels
            .iter()
            .flat_map(|channel| channel.target.sources())
    }

    /// The channel of that name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| &*channel.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("bad-luck"), None);
    }
}
