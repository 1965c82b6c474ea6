//! What the system wants: SIGTERM, SIGINT and SIGHUP ask for an end; SIGHUP does
//! not where `nohup` has seen to that.
//!
//! Who ends a whole tree often sends a signal twice, as timeout(1) does, to its
//! child and to the group; a terminal that is closed sends two kinds. What comes
//! within [`ONE_WISH`] is therefore one wish.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::decide::Urgency;
use crate::base::signal::hangup_is_ignored;

/// Signals of less time between them ask for the same end.
pub const ONE_WISH: Duration = Duration::from_millis(500);

/// The signals that ask for an end, as they come. The first asks for an
/// orderly one, a second for one at once.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    /// When the last came that was a wish of its own.
    last: Option<Instant>,
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM, or SIGHUP: the terminal is gone.
    Terminate,
}

impl Signals {
    /// Begins to listen; from here on these signals no longer end the process
    /// by themselves.
    ///
    /// # Errors
    /// When the system has no handler to give.
    pub fn listen() -> std::io::Result<Self> {
        let hangup = (!hangup_is_ignored())
            .then(|| signal(SignalKind::hangup()))
            .transpose()?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
            last: None,
        })
    }

    /// The next signal that is a wish of its own. May be dropped at any time.
    pub async fn next(&mut self) -> Came {
        loop {
            let came = self.any().await;
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
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Came::Interrupt,
            _ = self.terminate.recv() => Came::Terminate,
            _ = hangup => Came::Terminate,
        }
    }

    /// Turns signals into wishes for as long as somebody listens. `seen` is
    /// told of each.
    pub async fn forward(
        mut self,
        urgent: mpsc::UnboundedSender<Urgency>,
        mut seen: impl FnMut(Came, Urgency),
    ) {
        let mut urgency = Urgency::Orderly;
        loop {
            let came = self.next().await;
            let unheard = urgent.send(urgency).is_err();
            seen(came, urgency);
            if unheard {
                return;
            }
            urgency = Urgency::AtOnce;
        }
    }
}
