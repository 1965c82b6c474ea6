//! One channel: tries what waits for it until its receiver has accepted it, or
//! it is given up.
//!
//! ```text
//!   waits ──▶ sent ──▶ accepted ─────────────▶ delivered
//!     ▲        │  ╰──▶ but not for some who are put off ──▶ waits, for them alone
//!     │ later  ├─ not now; not before something is mended
//!     ╰────────╯
//!              ├─ never, a digest ──▶ half as many at once
//!              ╰─ never; too old; or another channel takes over ──▶ given up
//! ```
//!
//! - One message is under way at a time. What comes meanwhile, or during a
//!   pause, becomes a digest.
//! - Recipients who were put off have an attempt of their own, with pauses of
//!   its own: it delays nobody else, and nobody gets anything twice.
//! - What a receiver has accepted is not sent again, unless the daemon dies
//!   before that is on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::decide::Notified;
use super::notifier::Shared;
use crate::base::clock::{self, Timestamp};
use crate::model::Name;
use crate::model::notice::{NoticeId, Refused, Waiting};
use crate::model::notify::{Channel, Notify};
use crate::model::study::Study;
use crate::notify::retry::{self, Next};
use crate::notify::{Hope, Message, Receiver, SendError, Sent, digest};

/// At most so many notices wait for a channel.
const WAITING_MAX: usize = 1000;

/// The attempts with what waits for all recipients of a channel, or for some.
#[derive(Debug, Default)]
struct Pace {
    /// How often it has failed in a row.
    attempts: u32,
    /// When it is tried again, and why only then; `None` for at once.
    rest: Option<(Instant, String)>,
}

impl Pace {
    fn is_due(&self) -> bool {
        let until = self.rest.as_ref().map(|(until, _)| *until);
        until.is_none_or(|until| until <= Instant::now())
    }
}

/// What is sent next.
struct Parcel {
    message: Message,
    notices: Vec<NoticeId>,
    /// The recipients who were put off, when it is for them alone.
    only: Vec<String>,
    /// Since when each of them waits.
    since: Vec<Timestamp>,
}

/// One channel at work. All of this may be lost.
struct Delivery {
    shared: Arc<Shared>,
    name: Name,
    /// What was accepted or given up and is not on disk yet, with what the
    /// outbox will have left of it.
    settled: BTreeMap<NoticeId, Option<Vec<String>>>,
    all: Pace,
    some: Pace,
    /// A digest has at most so many notices.
    most: usize,
    /// Whether it was said that something must be mended.
    told: bool,
}

/// Delivers what waits for a channel, until the spec has it no more or the
/// dispatcher has left.
pub(super) async fn deliver(shared: Arc<Shared>, name: Name) {
    let mut views = shared.board.views.clone();
    let mut tested = shared.tested.subscribe();
    let mut delivery = Delivery {
        shared: Arc::clone(&shared),
        name: name.clone(),
        settled: BTreeMap::new(),
        all: Pace::default(),
        some: Pace::default(),
        most: digest::MOST,
        told: false,
    };
    // One that has panicked before left its trouble behind.
    delivery.show();
    let mut last: Option<Channel> = None;
    loop {
        let (study, leaving) = {
            let view = views.borrow_and_update();
            (Arc::clone(&view.study), view.leaving)
        };
        let notify = &study.spec().notify;
        let channel = notify.channel(&name).filter(|_| !leaving);
        let Some(channel) = channel else {
            shared.recovered(&name);
            return;
        };
        // What was wrong may be mended.
        if last.replace(channel.clone()).as_ref() != Some(channel) {
            delivery.try_anew();
        }
        match delivery.next(&study) {
            Some(parcel) => delivery.attempt(notify, channel, parcel).await,
            None => tokio::select! {
                changed = views.changed() => if changed.is_err() {
                    return;
                },
                _ = tested.changed() => delivery.try_anew(),
                () = delivery.due() => {}
            },
        }
    }
}

/// The channels that take over what `name` has given up on.
pub(super) fn relief<'a>(notify: &'a Notify, name: &'a Name) -> impl Iterator<Item = &'a Name> {
    let others = notify.channels.iter();
    let others = others.filter(move |other| other.fallback && other.name != *name);
    others.map(|channel| &channel.name)
}

impl Delivery {
    fn try_anew(&mut self) {
        (self.all, self.some) = (Pace::default(), Pace::default());
    }

    /// Waits until something is tried again; for ever when nothing is.
    async fn due(&self) {
        let paces = [&self.all, &self.some].into_iter();
        let rests = paces.filter(|pace| !pace.is_due());
        let rests = rests.filter_map(|pace| pace.rest.as_ref());
        match rests.map(|(until, _)| *until).min() {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    /// Shows what is tried again, and when.
    fn show(&self) {
        match self.all.rest.as_ref().or(self.some.rest.as_ref()) {
            Some((until, why)) => {
                let pause = until.saturating_duration_since(Instant::now());
                self.shared.failed(&self.name, why.clone(), pause);
            }
            None => self.shared.recovered(&self.name),
        }
    }

    /// What is to be sent now.
    fn next(&mut self, study: &Study) -> Option<Parcel> {
        let (outbox, notify) = (study.outbox(), &study.spec().notify);
        let name = &self.name.clone();
        let is_open = |id: &NoticeId, left: &Option<Vec<String>>| {
            outbox.left(*id, name).map(<[String]>::to_vec) != *left
        };
        self.settled.retain(|id, left| is_open(id, left));
        let open = outbox.waiting(name);
        let open = open.filter(|one| !self.settled.contains_key(&one.notice.id));
        let left = |one: &Waiting| one.left(name).unwrap_or_default().to_vec();
        let (mut all, some): (Vec<Waiting>, Vec<Waiting>) =
            open.cloned().partition(|one| left(one).is_empty());
        if all.is_empty() && some.is_empty() {
            self.most = digest::MOST;
            return None;
        }
        if let Some(excess) = all.len().checked_sub(WAITING_MAX + 1) {
            let dropped = all.drain(..=excess).map(|one| one.notice.id).collect();
            let reason = format!("more than {WAITING_MAX} messages wait");
            self.give_up(dropped, reason, relief(notify, name).cloned().collect());
        }
        let only = some.first().map(left).unwrap_or_default();
        let group: Vec<Waiting> = some.into_iter().filter(|one| left(one) == only).collect();
        let ready = [(&self.all, all, Vec::new()), (&self.some, group, only)];
        let ready = ready.into_iter().filter(|(pace, ..)| pace.is_due());
        let (waiting, only) = { ready }
            .find_map(|(_, waiting, only)| (!waiting.is_empty()).then_some((waiting, only)))?;
        let (message, notices) =
            digest::next(&waiting, self.most, &self.shared.stamp, notify.language)?;
        Some(Parcel {
            message,
            since: { waiting.iter().take(notices.len()) }
                .map(|one| one.since)
                .collect(),
            notices,
            only,
        })
    }

    async fn attempt(&mut self, notify: &Notify, channel: &Channel, parcel: Parcel) {
        self.shared.trying(&self.name);
        let receiver = Receiver::new(channel, &self.shared.secrets);
        let sent = receiver.send(&parcel.message, &parcel.only).await;
        match sent {
            Ok(sent) => self.accepted(parcel, sent),
            Err(error) => self.refused(notify, parcel, error),
        }
        self.show();
    }

    fn accepted(&mut self, parcel: Parcel, sent: Sent) {
        let Parcel { notices, only, .. } = parcel;
        let put_off: Vec<&Refused> = sent.refused.iter().filter(|one| one.again).collect();
        let left: Vec<String> = put_off.iter().map(|one| one.address.clone()).collect();
        self.told = false;
        if only.is_empty() {
            self.all = Pace::default();
        }
        if put_off.is_empty() {
            self.some = Pace::default();
        } else if self.some.is_due() {
            let each = put_off.iter();
            let each = each.map(|one| format!("{}: {}", one.address, one.why));
            let why = each.collect::<Vec<_>>().join("; ");
            self.some.attempts += 1;
            let pause = retry::pause(self.some.attempts);
            self.some.rest = Some((Instant::now() + pause, why));
        }
        let left = (!left.is_empty()).then_some(left);
        let settled = notices.iter().map(|id| (*id, left.clone()));
        self.settled.extend(settled);
        self.shared.tell(Notified::Delivered {
            channel: self.name.clone(),
            notices,
            refused: sent.refused,
        });
    }

    fn refused(&mut self, notify: &Notify, parcel: Parcel, error: SendError) {
        let Parcel {
            notices,
            only,
            since,
            ..
        } = parcel;
        let for_some = !only.is_empty();
        let pace = if for_some {
            &mut self.some
        } else {
            &mut self.all
        };
        // Those who were put off are not another channel's to tell.
        let relieved = !for_some && relief(notify, &self.name).next().is_some();
        if error.hope == Hope::Never && notices.len() > 1 {
            self.most = notices.len() / 2;
            return;
        }
        let (now, attempts) = (clock::now(), pace.attempts + 1);
        *pace = Pace {
            attempts,
            ..Pace::default()
        };
        let mut over = Vec::new();
        for (id, since) in notices.into_iter().zip(since) {
            match retry::next(&error, attempts, now.since(since), relieved) {
                Next::GiveUp => over.push(id),
                Next::Wait(pause) => pace.rest = Some((Instant::now() + pause, error.text.clone())),
            }
        }
        if pace.rest.is_none() {
            pace.attempts = 0;
            self.most = digest::MOST;
        } else if error.hope == Hope::Mended && !self.told {
            self.told = true;
            let (name, text) = (&self.name, &error.text);
            self.shared.tell(Notified::Warning(format!(
                "channel {name} takes no message: {text}; what is to be told waits until that is \
                 mended, for a day"
            )));
        }
        if !over.is_empty() {
            let relief = relief(notify, &self.name).filter(|_| !for_some);
            self.give_up(over, error.text, relief.cloned().collect());
        }
    }

    /// `to` are the channels that take the notices over.
    fn give_up(&mut self, notices: Vec<NoticeId>, reason: String, to: Vec<Name>) {
        self.settled.extend(notices.iter().map(|id| (*id, None)));
        self.shared.tell(Notified::GivenUp {
            channel: self.name.clone(),
            notices,
            reason,
            to,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::board::Board;
    use crate::daemon::decide::Input;
    use crate::model::spec::SamplerKind;
    use crate::notify::Stamp;
    use crate::search::simulation;

    /// Of a digest that is tried in vain what is young waits on.
    #[test]
    fn each_message_is_given_up_by_its_own_age() {
        let space = simulation::space(vec![simulation::list("N", "1 2", "")], &[]);
        let study = Arc::new(Study::new(Arc::new(simulation::spec(
            space,
            SamplerKind::Grid,
        ))));
        let board = Board::new(Arc::clone(&study), 0, false);
        let now = clock::now();
        let stamp = Stamp {
            study: "s".to_owned(),
            begun: now,
            host: "h".to_owned(),
        };
        let (shared, mut inputs) = Shared::alone(board.reader(), stamp);
        let mut delivery = Delivery {
            shared: Arc::new(shared),
            name: "a".into(),
            settled: BTreeMap::new(),
            all: Pace {
                attempts: 5,
                rest: None,
            },
            some: Pace::default(),
            most: digest::MOST,
            told: false,
        };
        let before = |hours: i64| Timestamp::from_millis(now.as_millis() - hours * 3_600_000);
        let parcel = Parcel {
            message: Message::example(),
            notices: vec![NoticeId(1), NoticeId(2), NoticeId(3)],
            only: Vec::new(),
            since: vec![before(25), before(1), before(30)],
        };
        let error = SendError {
            text: "dead".to_owned(),
            hope: Hope::Later(None),
        };
        delivery.refused(&Notify::default(), parcel, error);
        let Ok(Input::Notified(Notified::GivenUp { notices, .. })) = inputs.try_recv() else {
            panic!("something was given up");
        };
        assert_eq!(notices, [NoticeId(1), NoticeId(3)]);
        assert!(inputs.try_recv().is_err());
        assert!(!delivery.all.is_due() && delivery.all.attempts == 6);
    }
}
