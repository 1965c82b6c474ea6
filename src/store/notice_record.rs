//! Notices as the journal has them; part of the format, see
//! [`event_record`](super::event_record).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::{Interner, Text};
use crate::model::Name;
use crate::model::event::Event;
use crate::model::notice::{Notice, NoticeId, Refused};
use crate::model::notify::Kind;
use crate::model::trial::TrialId;

#[derive(Serialize, Deserialize)]
pub(super) struct QueuedRecord<'a> {
    notice: u64,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trial: Option<u32>,
    title: Text<'a>,
    text: Text<'a>,
    channels: Vec<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeliveredRecord<'a> {
    #[serde(borrow)]
    channel: Text<'a>,
    notices: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RefusedRecord<'a> {
    #[serde(borrow)]
    address: Text<'a>,
    why: Text<'a>,
    again: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GivenUpRecord<'a> {
    #[serde(borrow)]
    channel: Text<'a>,
    notices: Vec<u64>,
    reason: Text<'a>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    to: Vec<Text<'a>>,
}

impl<'a> QueuedRecord<'a> {
    pub(super) fn of(notice: &'a Notice) -> Self {
        Self {
            notice: notice.id.0,
            kind: Text::of(notice.kind.name()),
            trial: notice.trial.map(|trial| trial.0),
            title: Text::of(&notice.title),
            text: Text::of(&notice.text),
            channels: texts(&notice.channels),
        }
    }

    /// # Errors
    /// A kind that there is not.
    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        let kind = Kind::named(self.kind.as_str());
        let kind = kind.ok_or_else(|| format!("`{}` is no kind of notice", self.kind.as_str()));
        Ok(Event::NoticeQueued(Arc::new(Notice {
            id: NoticeId(self.notice),
            kind: kind?,
            trial: self.trial.map(TrialId),
            title: self.title.owned(),
            text: self.text.owned(),
            channels: owned(&self.channels, names),
        })))
    }
}

impl<'a> DeliveredRecord<'a> {
    pub(super) fn of(channel: &'a Name, notices: &[NoticeId], refused: &'a [Refused]) -> Self {
        let refused = refused.iter().map(|one| RefusedRecord {
            address: Text::of(&one.address),
            why: Text::of(&one.why),
            again: one.again,
        });
        Self {
            channel: Text::of(channel),
            notices: numbers(notices),
            refused: refused.collect(),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Event {
        let refused = self.refused.into_iter().map(|one| Refused {
            address: one.address.owned(),
            why: one.why.owned(),
            again: one.again,
        });
        Event::NoticeDelivered {
            channel: names.name(self.channel.as_str()),
            notices: self.notices.into_iter().map(NoticeId).collect(),
            refused: refused.collect(),
        }
    }
}

impl<'a> GivenUpRecord<'a> {
    pub(super) fn of(
        channel: &'a Name,
        notices: &[NoticeId],
        reason: &'a str,
        to: &'a [Name],
    ) -> Self {
        Self {
            channel: Text::of(channel),
            notices: numbers(notices),
            reason: Text::of(reason),
            to: texts(to),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Event {
        Event::NoticeGivenUp {
            channel: names.name(self.channel.as_str()),
            notices: self.notices.into_iter().map(NoticeId).collect(),
            reason: self.reason.owned(),
            to: owned(&self.to, names),
        }
    }
}

fn numbers(notices: &[NoticeId]) -> Vec<u64> {
    notices.iter().map(|id| id.0).collect()
}

fn texts(names: &[Name]) -> Vec<Text<'_>> {
    names.iter().map(|name| Text::of(name)).collect()
}

fn owned(texts: &[Text<'_>], names: &mut Interner) -> Vec<Name> {
    texts.iter().map(|text| names.name(text.as_str())).collect()
}
