//! What the system wants: SIGTERM and SIGINT ask for an end. So does SIGHUP of a
//! daemon that was started from a terminal; of any other it asks to read the
//! spec again, and `nohup` makes it mean nothing.
//!
//! Who ends a whole tree often sends a signal twice, as timeout(1) does, to its
//! child and to the group; a terminal that is closed sends two kinds. What comes
//! within [`ONE_WISH`] and asks for an end is therefore one wish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};

use super::decide::Urgency;
use crate::base::signal::Hangup;

/// Signals of less time between them ask for the same end.
pub const ONE_WISH: Duration = Duration::from_millis(500);

/// The signals that ask for something, as they come. The first that asks for an
/// end asks for an orderly one, a second for one at once.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<(Signal, Came)>,
    /// When the last came that was a wish for an end of its own.
    last: Option<Instant>,
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP: the terminal is gone.
    Terminate,
    /// SIGHUP, and there is no terminal.
    Reload,
}

impl Signals {
    /// Begins to listen; from here on these signals no longer end the process
    /// by themselves.
    ///
    /// # Errors
    /// When the system has no handler to give.
    pub fn listen() -> std::io::Result<Self> {
        let hangup = match Hangup::of_this_process() {
            Hangup::Nothing => None,
            Hangup::End => Some(Came::Terminate),
            Hangup::Reload => Some(Came::Reload),
        };
        let listen = |came| Ok::<_, std::io::Error>((signal(SignalKind::hangup())?, came));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: hangup.map(listen).transpose()?,
            last: None,
        })
    }

    /// The next signal that is a wish of its own. May be dropped at any time.
    pub async fn next(&mut self) -> Came {
        loop {
            let came = self.any().await;
            if came == Came::Reload {
                return came;
            }
            let now = Instant::now();
            let again = |last: Instant| now.duration_since(last) < ONE_WISH;
            if !self.last.is_some_and(again) {
                self.last = Some(now);
                return came;
            }
        }
    }

    async fn any(&mut self) -> Came {
        let hangup = async {
            match &mut self.hangup {
                Some((hangup, came)) => {
                    hangup.recv().await;
                    *came
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Came::Interrupt,
            _ = self.terminate.recv() => Came::Terminate,
            came = hangup => came,
        }
    }

    /// Turns signals into wishes for as long as somebody listens: for an end,
    /// of which `seen` is told, or to reload.
    pub async fn forward(
        mut self,
        urgent: mpsc::UnboundedSender<Urgency>,
        reload: Arc<Notify>,
        mut seen: impl FnMut(Came, Urgency),
    ) {
        let mut urgency = Urgency::Orderly;
        loop {
            let came = self.next().await;
            if came == Came::Reload {
                // One is enough, however many came.
                reload.notify_one();
                continue;
            }
            let unheard = urgent.send(urgency).is_err();
            seen(came, urgency);
            if unheard {
                return;
            }
            urgency = Urgency::AtOnce;
        }
    }
}
