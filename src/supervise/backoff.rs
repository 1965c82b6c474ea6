//! When a daemon that has failed is started again, and when no more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The wait before the first restart.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub const LONGEST: Duration = Duration::from_secs(300);
/// A daemon that has lived so long was well: the waits begin anew.
const WELL: Duration = Duration::from_secs(600);

/// How many restarts are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many restarts ...
    pub restarts: u32,
    /// ... in this time are the most.
    pub within: Duration,
}

/// The restarts so far.
#[derive(Debug)]
pub struct Backoff {
    limits: Limits,
    wait: Duration,
    recent: VecDeque<Instant>,
}

impl Backoff {
    /// None so far.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            wait: FIRST,
            recent: VecDeque::new(),
        }
    }

    /// How long to wait before a daemon that has failed `now`, after it had
    /// `lived` so long, is started again; `None` when it failed too often.
    pub fn restart(&mut self, now: Instant, lived: Duration) -> Option<Duration> {
        let within = self.limits.within;
        self.recent
            .retain(|at| now.saturating_duration_since(*at) < within);
        if self.recent.len() >= self.limits.restarts as usize {
            return None;
        }
        self.recent.push_back(now);
        if lived >= WELL {
            self.wait = FIRST;
        }
        let wait = self.wait;
        self.wait = LONGEST.min(wait * 2);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn waits_double_up_to_five_minutes_and_begin_anew_after_a_good_while() {
        let within = MINUTE;
        let mut backoff = Backoff::new(Limits {
            restarts: 1,
            within,
        });
        let mut now = Instant::now();
        let mut wait = |lived| {
            now += within;
            backoff.restart(now, lived).expect("few enough").as_secs()
        };
        let waits: Vec<u64> = (0..11).map(|_| wait(WELL - MINUTE)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!([wait(WELL), wait(MINUTE)], [1, 2]);
    }

    #[test]
    fn only_restarts_within_the_time_count() {
        let mut backoff = Backoff::new(Limits {
            restarts: 2,
            within: MINUTE,
        });
        let start = Instant::now();
        let mut is_restarted = |seconds| {
            let now = start + Duration::from_secs(seconds);
            backoff.restart(now, Duration::ZERO).is_some()
        };
        assert!(is_restarted(0) && is_restarted(30));
        assert!(!is_restarted(59), "the third in a minute");
        assert!(is_restarted(60), "the first was a minute ago");
        assert!(!is_restarted(61));
    }

    #[test]
    fn no_restart_at_all() {
        let limits = Limits {
            restarts: 0,
            within: MINUTE,
        };
        let waited = Backoff::new(limits).restart(Instant::now(), WELL);
        assert_eq!(waited, None);
    }
}
