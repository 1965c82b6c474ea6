//! The signals that are passed on to the daemon.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::base::signal::Hangup;

/// All but Ctrl-Z, which stops both.
const PASSED_ON: [Signal; 6] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
];

/// The signals as they come.
pub struct Signals {
    coming: Vec<(Signal, unix::Signal)>,
    hangup: Hangup,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system has no handler to give.
    pub fn listen() -> io::Result<Self> {
        let hangup = Hangup::of_this_process();
        let wanted = PASSED_ON.into_iter().chain([Signal::TSTP]);
        let listened = wanted
            .filter(|signal| *signal != Signal::HUP || hangup != Hangup::Nothing)
            .map(|signal| {
                let kind = SignalKind::from_raw(signal.as_raw());
                Ok((signal, unix::signal(kind)?))
            });
        let coming = listened.collect::<io::Result<_>>()?;
        Ok(Self { coming, hangup })
    }

    /// The next signal. May be dropped at any time.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let come = self.coming.iter_mut().find_map(|(signal, coming)| {
                let is_there = coming.poll_recv(context).is_ready();
                is_there.then_some(*signal)
            });
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Whether a signal asks for an end.
    pub fn asks_for_an_end(&self, signal: Signal) -> bool {
        match signal {
            Signal::TERM | Signal::INT | Signal::QUIT => true,
            Signal::HUP => self.hangup == Hangup::End,
            _ => false,
        }
    }
}
