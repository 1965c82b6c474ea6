//! Delivers what waits in the outbox, on a thread of its own: whatever a
//! receiver does, no trial waits for it.
//!
//! ```text
//! board ── a view with something in its outbox ──▶ a task for each channel ──▶ receiver
//!                                                       │
//! dispatcher ◀── Input: delivered, given up ────────────┘
//! ```
//!
//! What such a task does is in `delivery`. One that panics is
//! begun anew: nothing is kept here that is not in the outbox as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant as Moment, sleep, sleep_until};

use super::board::Reader;
use super::decide::{Input, Notified};
use super::delivery;
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::model::Name;
use crate::model::notice::NoticeId;
use crate::model::notify::{Channel, Language};
use crate::notify::{self, Secrets, Stamp, Tested, retry};

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
pub(super) struct Shared {
    pub(super) board: Reader,
    inputs: mpsc::UnboundedSender<Input>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) stamp: Stamp,
    troubles: watch::Sender<Troubles>,
    /// Counts the tests that some receiver has accepted.
    pub(super) tested: watch::Sender<u64>,
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
            tested: watch::Sender::new(0),
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
            orphaned.retain(|(name, id)| outbox.left(*id, name).is_some());
            for name in outbox.channels() {
                if notify.channel(&name).is_none() {
                    let ids = outbox.waiting(&name).map(|one| one.notice.id);
                    let is_new = |id: &NoticeId| orphaned.insert((name.clone(), *id));
                    let ids: Vec<NoticeId> = ids.filter(is_new).collect();
                    if !ids.is_empty() {
                        let reason = "the spec has no such channel any more".to_owned();
                        shared.tell(Notified::GivenUp {
                            to: delivery::relief(notify, &name).cloned().collect(),
                            channel: name,
                            notices: ids,
                            reason,
                        });
                    }
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
            Some(gone) = channels.join_next() => if let Ok(gone) = gone {
                served.remove(&gone);
            },
            test = tests.recv() => match test {
                Some(test) => drop(tokio::spawn(carry_out(Arc::clone(&shared), test))),
                None => return,
            },
        }
    }
}

/// Delivers what waits for a channel, until the spec has it no more.
async fn serve(shared: Arc<Shared>, name: Name) -> Name {
    let deliver = || delivery::deliver(Arc::clone(&shared), name.clone());
    let fell = |what: String, pause| {
        let again = show_duration(pause);
        shared.tell(Notified::Warning(format!(
            "channel {name}: a mistake in this program ({what}), retrying in {again}; please \
             report this"
        )));
        shared.failed(&name, what, pause);
    };
    outlive(deliver, fell).await;
    name
}

/// Does a work to its end. One that panics is begun anew after a pause, of which
/// `fell` is told.
async fn outlive<W>(work: impl Fn() -> W, fell: impl Fn(String, Duration))
where
    W: Future<Output = ()> + Send + 'static,
{
    let mut falls = 0;
    while let Err(fall) = tokio::spawn(work()).await {
        falls += 1;
        let pause = retry::pause(falls);
        fell(fall.to_string(), pause);
        sleep(pause).await;
    }
}

impl Shared {
    /// One without a thread, with what its tasks tell.
    #[cfg(test)]
    pub(super) fn alone(board: Reader, stamp: Stamp) -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (inputs, told) = mpsc::unbounded_channel();
        let shared = Self {
            board,
            inputs,
            secrets: Arc::default(),
            stamp,
            troubles: watch::Sender::new(Troubles::new()),
            tested: watch::Sender::new(0),
        };
        (shared, told)
    }

    pub(super) fn tell(&self, notified: Notified) {
        // A dispatcher that has left finds it in the outbox when it comes back.
        let _ = self.inputs.send(Input::Notified(notified));
    }

    pub(super) fn failed(&self, channel: &Name, error: String, pause: Duration) {
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

    pub(super) fn trying(&self, channel: &Name) {
        self.troubles.send_if_modified(|troubles| {
            let trouble = troubles.get_mut(channel);
            trouble.is_some_and(|trouble| trouble.again.take().is_some())
        });
    }

    pub(super) fn recovered(&self, channel: &Name) {
        self.troubles
            .send_if_modified(|troubles| troubles.remove(channel).is_some());
    }
}

async fn carry_out(shared: Arc<Shared>, wanted: Test) {
    let secrets = Arc::clone(&shared.secrets);
    let tested = notify::test(wanted.channels, secrets, &shared.stamp, wanted.language).await;
    if tested.iter().any(|one| one.answer.is_ok()) {
        shared.tested.send_modify(|tested| *tested += 1);
    }
    // Whoever asked may be gone.
    let _ = wanted.reply.send(tested);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_work_that_panics_is_begun_anew() {
        let begun = Arc::new(AtomicU32::new(0));
        let work = || {
            let begun = Arc::clone(&begun);
            async move {
                let before = begun.fetch_add(1, Ordering::SeqCst);
                assert!(before > 0, "it fell over");
            }
        };
        let falls = Mutex::new(Vec::new());
        let fell = |what, pause| falls.lock().expect("no panic").push((what, pause));
        outlive(work, fell).await;
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        let falls = falls.into_inner().expect("no panic");
        assert!(falls[0].0.contains("it fell over"), "{falls:?}");
        assert_eq!((falls.len(), falls[0].1), (1, Duration::from_secs(1)));
    }
}
