//! A message: a notice with what only the daemon knows.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::model::notice::Waiting;

/// What all messages of a daemon have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The study's name.
    pub study: String,
    /// When the study's journal was begun: two studies of one name differ in it.
    pub begun: Timestamp,
    /// The machine's name.
    pub host: String,
}

/// What a receiver gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who it is, however often it is sent: `qwen-19aa1c2f7b0-17`.
    pub id: String,
    /// The ids of the messages that it stands for; its own, unless it is a
    /// digest.
    pub ids: Vec<String>,
    /// The name of its kind; `digest`, or `test`.
    pub kind: &'static str,
    /// The study's name.
    pub study: String,
    /// The machine's name.
    pub host: String,
    /// When it happened.
    pub at: Timestamp,
    /// One line.
    pub title: String,
    /// The lines below; may be empty.
    pub text: String,
    /// The trial that it is about.
    pub trial: Option<u32>,
}

impl Stamp {
    /// The id of what is called `what` in this study.
    pub fn id(&self, what: &str) -> String {
        format!("{}-{:x}-{what}", self.study, self.begun.as_millis())
    }

    /// A notice as a message.
    pub fn message(&self, waiting: &Waiting) -> Message {
        let notice = &waiting.notice;
        let id = self.id(&notice.id.to_string());
        Message {
            ids: vec![id.clone()],
            id,
            kind: notice.kind.name(),
            study: self.study.clone(),
            host: self.host.clone(),
            at: waiting.at,
            title: format!("[{}] {}", self.study, notice.title),
            text: notice.text.clone(),
            trial: notice.trial.map(|trial| trial.0),
        }
    }
}

impl Message {
    /// The text with where it comes from below it.
    pub fn signed_text(&self) -> String {
        let gap = if self.text.is_empty() { "" } else { "\n\n" };
        let (host, id) = (&self.host, &self.id);
        format!("{}{gap}{host} · {} · {id}", self.text, self.at)
    }

    /// The values of a template; see
    /// [`BODY_NAMES`](crate::model::notify::BODY_NAMES).
    pub fn values(&self) -> BTreeMap<String, String> {
        let trial = self.trial.map(|trial| trial.to_string());
        let values = [
            ("id", self.id.clone()),
            ("kind", self.kind.to_owned()),
            ("study", self.study.clone()),
            ("host", self.host.clone()),
            ("time", self.at.rfc3339()),
            ("title", self.title.clone()),
            ("text", self.text.clone()),
            ("trial", trial.unwrap_or_default()),
        ];
        let values = values.into_iter();
        values
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self {
            id: "s-1-7".to_owned(),
            ids: vec!["s-1-7".to_owned()],
            kind: "best",
            study: "s".to_owned(),
            host: "gpu1".to_owned(),
            at: Timestamp::from_millis(1_700_000_000_000),
            title: "[s] \"new\" best".to_owned(),
            text: "<|im_end|>\nGAIN: 8 % 好".to_owned(),
            trial: Some(12),
        }
    }
}
