//! Delivers what waits in the outbox, on a thread of its own: whatever a
//! receiver does, no trial waits for it.
//!
//! ```text
//! board ── a view with something in its outbox ──▶ a task for each channel ──▶ receiver
//!                                                       │
//! dispatcher ◀── Input: delivered, given up ────────────┘
//! ```
//!
//! - A channel sends one message at a time. What comes meanwhile, or while it
//!   waits before another attempt, becomes a digest.
//! - What a receiver has accepted is not sent again, unless the daemon dies
//!   before that is on disk.
//! - Nothing is kept here that is not in the outbox as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant as Moment, sleep, sleep_until};

use super::board::{Reader, View};
use super::decide::{Input, Notified};
use crate::base::clock;
use crate::model::Name;
use crate::model::notice::{NoticeId, Waiting};
use crate::model::notify::{Channel, Language, Notify};
use crate::notify::retry::{self, Next};
use crate::notify::{self, Receiver, Secrets, Stamp, Tested, digest};

/// At most so many notices wait for a channel.
const WAITING_MAX: usize = 1000;

/// A channel whose last attempt has failed, and that tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Why it has failed.
    pub error: String,
    /// When it is tried again; `None` while that is done.
    pub again: Option<clock::Timestamp>,
}

/// The channels that are in trouble.
pub type Troubles = BTreeMap<Name, Trouble>;

/// A test that is wanted: of these channels, with the answers to here.
struct Test {
    channels: Vec<Channel>,
    language: Language,
    reply: oneshot::Sender<Vec<Tested>>,
}

/// The way to the thread that delivers. It ends with this.
pub struct Notifier {
    troubles: watch::Receiver<Troubles>,
    tests: mpsc::UnboundedSender<Test>,
    secrets: Arc<Secrets>,
}

/// What all tasks of the thread have.
struct Shared {
    board: Reader,
    inputs: mpsc::UnboundedSender<Input>,
    secrets: Arc<Secrets>,
    stamp: Stamp,
    troubles: watch::Sender<Troubles>,
}

impl Notifier {
    /// Begins to deliver.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        board: Reader,
        inputs: mpsc::UnboundedSender<Input>,
        secrets: Secrets,
        stamp: Stamp,
    ) -> std::io::Result<Self> {
        let (troubles, seen) = watch::channel(Troubles::new());
        let (tests, wanted) = mpsc::unbounded_channel();
        let secrets = Arc::new(secrets);
        let shared = Arc::new(Shared {
            board,
            inputs,
            secrets: Arc::clone(&secrets),
            stamp,
            troubles,
        });
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("notify".to_owned());
        thread.spawn(move || {
            runtime.block_on(work(shared, wanted));
            // A name that is being resolved is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            troubles: seen,
            tests,
            secrets,
        })
    }

    /// The channels that are in trouble, as they come and go.
    pub fn troubles(&self) -> watch::Receiver<Troubles> {
        self.troubles.clone()
    }

    /// The secrets that were read as the daemon started.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Sends a test to these channels, all at the same time. `None` when the
    /// daemon ends before they have answered.
    pub async fn test(&self, language: Language, channels: Vec<Channel>) -> Option<Vec<Tested>> {
        let (reply, answers) = oneshot::channel();
        let test = Test {
            channels,
            language,
            reply,
        };
        self.tests.send(test).ok()?;
        answers.await.ok()
    }
}

/// Sees to it that every channel of the spec has a task, for as long as the
/// dispatcher works and somebody holds the [`Notifier`].
async fn work(shared: Arc<Shared>, mut tests: mpsc::UnboundedReceiver<Test>) {
    let mut views = shared.board.views.clone();
    let mut channels: JoinSet<Name> = JoinSet::new();
    let mut served: BTreeSet<Name> = BTreeSet::new();
    // Given up for a channel that is gone, and not on disk yet.
    let mut orphaned: BTreeSet<(Name, NoticeId)> = BTreeSet::new();
    let mut last_beat = Instant::now();
    loop {
        let beat = {
            let view = views.borrow_and_update();
            if view.leaving {
                return;
            }
            let notify = &view.study.spec().notify;
            for channel in &notify.channels {
                if served.insert(channel.name.clone()) {
                    channels.spawn(serve(Arc::clone(&shared), channel.name.clone()));
                }
            }
            let outbox = view.study.outbox();
            orphaned.retain(|(name, id)| outbox.waits(*id, name));
            for name in outbox.channels() {
                if notify.channel(&name).is_none() {
                    let ids = outbox.waiting(&name).map(|one| one.notice.id);
                    let is_new = |id: &NoticeId| orphaned.insert((name.clone(), *id));
                    let ids: Vec<NoticeId> = ids.filter(is_new).collect();
                    let reason = "the spec has no such channel any more";
                    shared.give_up(notify, &name, ids, reason.to_owned());
                }
            }
            notify.heartbeat_interval
        };
        let due = beat.map(|interval| Moment::from_std(last_beat + interval));
        let heart = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            () = heart => {
                last_beat = Instant::now();
                let _ = shared.inputs.send(Input::HeartbeatDue);
            }
            Some(gone) = channels.join_next() => {
                served.remove(&gone.unwrap_or_else(|_| "".into()));
            }
            test = tests.recv() => match test {
                Some(test) => drop(tokio::spawn(carry_out(Arc::clone(&shared), test))),
                None => return,
            },
        }
    }
}

/// Delivers what waits for a channel, until the spec has it no more.
async fn serve(shared: Arc<Shared>, name: Name) -> Name {
    let mut views = shared.board.views.clone();
    // Accepted or given up, and not on disk yet.
    let mut settled: BTreeSet<NoticeId> = BTreeSet::new();
    let mut attempts = 0;
    loop {
        let study = Arc::clone(&views.borrow_and_update().study);
        let notify = &study.spec().notify;
        let Some(channel) = notify.channel(&name) else {
            shared.recovered(&name);
            return name;
        };
        settled.retain(|id| study.outbox().waits(*id, &name));
        let waiting = study.outbox().waiting(&name);
        let mut waiting: Vec<Waiting> = waiting
            .filter(|one| !settled.contains(&one.notice.id))
            .cloned()
            .collect();
        if let Some(excess) = waiting.len().checked_sub(WAITING_MAX + 1) {
            let dropped = waiting.drain(..=excess).map(|one| one.notice.id);
            let dropped: Vec<NoticeId> = dropped.collect();
            settled.extend(&dropped);
            let reason = format!("more than {WAITING_MAX} messages wait");
            shared.give_up(notify, &name, dropped, reason);
        }
        let Some((message, notices)) = digest::next(&waiting, &shared.stamp, notify.language)
        else {
            attempts = 0;
            shared.recovered(&name);
            if views.changed().await.is_err() {
                return name;
            }
            continue;
        };
        shared.trying(&name);
        let sent = Receiver::new(channel, &shared.secrets).send(&message).await;
        let error = match sent {
            Ok(_) => {
                attempts = 0;
                shared.recovered(&name);
                settled.extend(&notices);
                shared.tell(Notified::Delivered {
                    channel: name.clone(),
                    notices,
                });
                continue;
            }
            Err(error) => error,
        };
        attempts += 1;
        let waited = waiting.first().map(|one| clock::now().since(one.since));
        let relieved = relief(notify, &name).next().is_some();
        match retry::next(&error, attempts, waited.unwrap_or_default(), relieved) {
            Next::GiveUp => {
                attempts = 0;
                settled.extend(&notices);
                shared.give_up(notify, &name, notices, error.text);
            }
            Next::Wait(pause) => {
                shared.failed(&name, error.text, pause);
                tokio::select! {
                    () = sleep(pause) => {}
                    stays = disturbed(&shared.board, channel) => {
                        if !stays {
                            return name;
                        }
                        attempts = 0;
                    }
                }
            }
        }
    }
}

/// Waits until the spec has another channel of this name, or none, which may
/// mend what was wrong; or until the dispatcher has left. Whether it stays.
async fn disturbed(board: &Reader, channel: &Channel) -> bool {
    let mut views = board.views.clone();
    let is_other = |view: &View| view.study.spec().notify.channel(&channel.name) != Some(channel);
    let view = views.wait_for(|view| view.leaving || is_other(view)).await;
    view.is_ok_and(|view| !view.leaving)
}

/// The channels that take over what `name` has given up on.
fn relief<'a>(notify: &'a Notify, name: &'a Name) -> impl Iterator<Item = &'a Name> {
    let others = notify.channels.iter();
    let others = others.filter(move |other| other.fallback && other.name != *name);
    others.map(|channel| &channel.name)
}

impl Shared {
    fn tell(&self, notified: Notified) {
        // A dispatcher that has left finds it in the outbox when it comes back.
        let _ = self.inputs.send(Input::Notified(notified));
    }

    fn give_up(&self, notify: &Notify, channel: &Name, notices: Vec<NoticeId>, reason: String) {
        if notices.is_empty() {
            return;
        }
        self.tell(Notified::GivenUp {
            channel: channel.clone(),
            notices,
            reason,
            to: relief(notify, channel).cloned().collect(),
        });
    }

    fn failed(&self, channel: &Name, error: String, pause: Duration) {
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let now = clock::now().as_millis();
        let again = clock::Timestamp::from_millis(now.saturating_add(pause));
        let trouble = Trouble {
            error,
            again: Some(again),
        };
        self.troubles.send_modify(|troubles| {
            troubles.insert(channel.clone(), trouble);
        });
    }

    fn trying(&self, channel: &Name) {
        self.troubles.send_if_modified(|troubles| {
            let trouble = troubles.get_mut(channel);
            trouble.is_some_and(|trouble| trouble.again.take().is_some())
        });
    }

    fn recovered(&self, channel: &Name) {
        self.troubles
            .send_if_modified(|troubles| troubles.remove(channel).is_some());
    }
}

async fn carry_out(shared: Arc<Shared>, wanted: Test) {
    let secrets = Arc::clone(&shared.secrets);
    let tested = notify::test(wanted.channels, secrets, &shared.stamp, wanted.language).await;
    // Whoever asked may be gone.
    let _ = wanted.reply.send(tested);
}
