//! When a sign of life is due: sd_watchdog_enabled(3).
//!
//! Whoever does the work that is watched asks [`Watchdog::due`] and, once it
//! has come round to that, sends [`notify::alive`](super::notify::alive). A
//! timer that sends it by itself would prove nothing.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// The beat that the service manager expects.
#[derive(Debug)]
pub struct Watchdog(Option<Interval>);

impl Watchdog {
    /// A beat of a third of `WATCHDOG_USEC`, so that two may be late; none
    /// where nobody watches.
    pub fn from_environment() -> Self {
        Self::every(sd_notify::watchdog_enabled().map(|limit| limit / 3))
    }

    fn every(beat: Option<Duration>) -> Self {
        let beat = beat.filter(|beat| !beat.is_zero());
        Self(beat.map(|beat| {
            let mut interval = interval(beat);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Waits until a sign of life is due; for ever where nobody watches. May be
    /// dropped at any time.
    pub async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}
