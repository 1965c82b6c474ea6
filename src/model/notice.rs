//! What somebody is to be told, and the outbox: what of it has not been
//! delivered yet.
//!
//! ```text
//!            queued ──▶ waits, for each of its channels
//!                        │ delivered            │ given up
//!                        ▼                      ▼
//!                      gone         waits for the fall-back channels, or gone
//! ```
//!
//! A mail is delivered as soon as one recipient gets it; it goes on waiting for
//! those alone whom the server has put off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Name;
use super::notify::Kind;
use super::trial::TrialId;
use crate::base::clock::Timestamp;

/// A notice's number in its study, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoticeId(pub u64);

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One thing that somebody is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: NoticeId,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The trial that it is about.
    pub trial: Option<TrialId>,
    /// What is said, in one line.
    pub title: String,
    /// What there is to add, in lines.
    pub text: String,
    /// The channels that are to tell it.
    pub channels: Vec<Name>,
}

/// A recipient who does not get what a mail server has accepted for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The mail address.
    pub address: String,
    /// What the server said to it, its code first: `550 5.1.1 no such user`.
    pub why: String,
    /// Whether it is tried again: the refusal is for now.
    pub again: bool,
}

impl Refused {
    /// Whether this is the same recipient, refused with the same code: what
    /// follows the code may differ each time.
    pub fn is_like(&self, other: &Self) -> bool {
        let code = |one: &Self| one.why.split(' ').next().map(str::to_owned);
        self.address == other.address && code(self) == code(other)
    }
}

/// A notice that some channels have not delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Since when it waits for them.
    pub since: Timestamp,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    pub notice: Arc<Notice>,
    /// The channels that were, or are, to tell it.
    all: Vec<Name>,
    /// Those that are left, each with the recipients that are; none stands for
    /// all of them.
    left: Vec<(Name, Vec<String>)>,
}

impl Waiting {
    /// The recipients that are left of a channel, when it has reached others;
    /// else empty. `None` when it does not wait for that channel.
    pub fn left(&self, channel: &str) -> Option<&[String]> {
        let mut left = self.left.iter();
        let (_, recipients) = left.find(|(name, _)| &**name == channel)?;
        Some(recipients)
    }
}

/// What became of the notices of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the last one was delivered.
    pub delivered: Option<Timestamp>,
    /// When the last one was given up, and why.
    pub given_up: Option<(Timestamp, String)>,
    /// The recipients that the last ones did not reach.
    pub refused: Vec<Refused>,
}

/// The notices that wait. It holds nothing of those that are delivered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox {
    last: u64,
    waiting: BTreeMap<NoticeId, Waiting>,
    standing: BTreeMap<Name, Standing>,
}

impl Outbox {
    /// The number of the next notice.
    pub const fn next_id(&self) -> NoticeId {
        NoticeId(self.last.saturating_add(1))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits for a channel, the oldest first.
    pub fn waiting(&self, channel: &str) -> impl Iterator<Item = &Waiting> {
        let waiting = self.waiting.values();
        waiting.filter(move |one| one.left(channel).is_some())
    }

    /// See [`Waiting::left`]; `None` also for a notice that does not wait.
    pub fn left(&self, notice: NoticeId, channel: &str) -> Option<&[String]> {
        self.waiting.get(&notice)?.left(channel)
    }

    /// The channels for which something waits.
    pub fn channels(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for (name, _) in self.waiting.values().flat_map(|one| &one.left) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// What became of the notices of a channel.
    pub fn standing(&self, channel: &str) -> Standing {
        self.standing.get(channel).cloned().unwrap_or_default()
    }

    pub(super) fn queue(&mut self, at: Timestamp, notice: &Arc<Notice>) {
        self.last = self.last.max(notice.id.0);
        let waiting = Waiting {
            since: at,
            at,
            notice: Arc::clone(notice),
            all: notice.channels.clone(),
            left: whole(&notice.channels).collect(),
        };
        self.waiting.insert(notice.id, waiting);
    }

    /// `refused` are the recipients that the notices did not reach.
    pub(super) fn deliver(
        &mut self,
        at: Timestamp,
        channel: &Name,
        notices: &[NoticeId],
        refused: &[Refused],
    ) {
        let tried = notices.first().and_then(|id| self.left(*id, channel));
        let tried = tried.unwrap_or_default().to_vec();
        let again = refused.iter().filter(|one| one.again);
        let again: Vec<String> = again.map(|one| one.address.clone()).collect();
        self.leave(channel, notices, &again);
        let standing = self.standing.entry(channel.clone()).or_default();
        standing.delivered = Some(at);
        let was_tried = |one: &Refused| tried.is_empty() || tried.contains(&one.address);
        standing.refused.retain(|one| !was_tried(one));
        standing.refused.extend_from_slice(refused);
    }

    /// `to` are the channels that take them over.
    pub(super) fn give_up(
        &mut self,
        at: Timestamp,
        channel: &Name,
        notices: &[NoticeId],
        why: &str,
        to: &[Name],
    ) {
        for id in notices {
            if let Some(waiting) = self.waiting.get_mut(id) {
                let new = to.iter().filter(|name| !waiting.all.contains(name));
                let new: Vec<Name> = new.cloned().collect();
                if !new.is_empty() {
                    waiting.since = at;
                    waiting.all.extend_from_slice(&new);
                    waiting.left.extend(whole(&new));
                }
            }
        }
        self.leave(channel, notices, &[]);
        self.standing.entry(channel.clone()).or_default().given_up = Some((at, why.to_owned()));
    }

    /// Leaves these recipients of a channel to be reached; none at all where it
    /// is done with them.
    fn leave(&mut self, channel: &Name, notices: &[NoticeId], recipients: &[String]) {
        for id in notices {
            let Some(waiting) = self.waiting.get_mut(id) else {
                continue;
            };
            if recipients.is_empty() {
                waiting.left.retain(|(name, _)| name != channel);
            }
            for (name, left) in &mut waiting.left {
                if name == channel {
                    *left = recipients.to_vec();
                }
            }
            if waiting.left.is_empty() {
                self.waiting.remove(id);
            }
        }
    }
}

/// Channels of which all recipients are left.
fn whole(channels: &[Name]) -> impl Iterator<Item = (Name, Vec<String>)> {
    channels.iter().map(|name| (name.clone(), Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn notice(id: u64, channels: &[&str]) -> Arc<Notice> {
        Arc::new(Notice {
            id: NoticeId(id),
            kind: Kind::Best,
            trial: None,
            title: "t".to_owned(),
            text: String::new(),
            channels: channels.iter().map(|name| Name::from(*name)).collect(),
        })
    }

    fn waiting(outbox: &Outbox, channel: &str) -> Vec<u64> {
        outbox.waiting(channel).map(|one| one.notice.id.0).collect()
    }

    #[test]
    fn what_is_delivered_everywhere_is_gone() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.next_id(), NoticeId(1));
        outbox.queue(at(1), &notice(1, &["a", "b"]));
        outbox.queue(at(2), &notice(2, &["a"]));
        assert_eq!(outbox.next_id(), NoticeId(3));
        assert_eq!(
            (waiting(&outbox, "a"), waiting(&outbox, "b")),
            (vec![1, 2], vec![1])
        );
        outbox.deliver(at(3), &"a".into(), &[NoticeId(1), NoticeId(2)], &[]);
        assert_eq!(
            (waiting(&outbox, "a"), waiting(&outbox, "b")),
            (vec![], vec![1])
        );
        outbox.deliver(at(4), &"b".into(), &[NoticeId(1)], &[]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.standing("a").delivered, Some(at(3)));
        // A number is never used again.
        assert_eq!(outbox.next_id(), NoticeId(3));
    }

    #[test]
    fn two_that_give_up_give_it_to_a_fallback_once() {
        let mut outbox = Outbox::default();
        outbox.queue(at(1), &notice(1, &["a", "b"]));
        let (ids, mail) = ([NoticeId(1)], [Name::from("mail")]);
        outbox.give_up(at(2), &"a".into(), &ids, "dead", &mail);
        outbox.deliver(at(3), &mail[0], &ids, &[]);
        outbox.give_up(at(4), &"b".into(), &ids, "dead", &mail);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_is_given_up_waits_for_a_fallback_that_does_not_have_it_yet() {
        let mut outbox = Outbox::default();
        outbox.queue(at(1), &notice(1, &["a"]));
        outbox.queue(at(1), &notice(2, &["a", "mail"]));
        outbox.deliver(at(2), &"mail".into(), &[NoticeId(2)], &[]);
        let both = [NoticeId(1), NoticeId(2)];
        outbox.give_up(at(9), &"a".into(), &both, "dead", &["mail".into()]);
        // The second one was mailed before.
        assert_eq!(waiting(&outbox, "mail"), [1]);
        assert_eq!(
            outbox.waiting("mail").next().map(|one| (one.at, one.since)),
            Some((at(1), at(9)))
        );
        assert_eq!(
            outbox.standing("a").given_up,
            Some((at(9), "dead".to_owned()))
        );
        outbox.give_up(at(10), &"mail".into(), &[NoticeId(1)], "dead", &[]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_has_reached_some_waits_for_those_who_were_put_off() {
        let refused = |address: &str, why: &str| Refused {
            address: address.to_owned(),
            why: why.to_owned(),
            again: why.starts_with('4'),
        };
        let mut outbox = Outbox::default();
        let (mail, ids) = (Name::from("mail"), [NoticeId(1)]);
        outbox.queue(at(1), &notice(1, &["mail"]));
        let both = [refused("a@x", "550 unknown"), refused("b@x", "451 later")];
        outbox.deliver(at(2), &mail, &ids, &both);
        assert_eq!(outbox.left(NoticeId(1), "mail"), Some(&["b@x".into()][..]));
        assert_eq!(outbox.standing("mail").refused, both);
        // All get the next one but those two.
        outbox.queue(at(3), &notice(2, &["mail"]));
        assert_eq!(outbox.left(NoticeId(2), "mail"), Some(&[][..]));
        outbox.deliver(at(4), &mail, &[NoticeId(2)], &both[..1]);
        assert_eq!(outbox.standing("mail").refused, both[..1]);
        // Now the one who was put off has both, which says nothing of the other.
        outbox.deliver(at(5), &mail, &ids, &[]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.standing("mail").refused, both[..1]);
        assert!(both[0].is_like(&refused("a@x", "550 gone")));
        assert!(!both[0].is_like(&refused("a@x", "450 busy")));
        assert!(!both[0].is_like(&refused("b@x", "550 unknown")));
    }
}
