//! When a message is tried again, and when not any more: pure.

use std::time::Duration;

use super::receiver::{Hope, SendError};

/// The pauses between two attempts double from the first to the last.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(600);
/// The longest that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3600);
/// Where another channel takes over, it does so after this time.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Where none does.
const PATIENCE_ALONE: Duration = Duration::from_secs(24 * 3600);
/// No message is given up before so many attempts of this daemon, however old
/// it is: it may have waited for a machine that was off.
const ATTEMPTS: u32 = 3;

/// What to do after an attempt that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this pause.
    Wait(Duration),
    /// Try no more.
    GiveUp,
}

/// What to do after the attempt number `attempts` has failed with a message
/// that has waited for `waited`. `relieved` tells whether another channel
/// takes over.
pub fn next(error: &SendError, attempts: u32, waited: Duration, relieved: bool) -> Next {
    let Hope::Later(asked) = error.hope else {
        return Next::GiveUp;
    };
    let patience = if relieved { PATIENCE } else { PATIENCE_ALONE };
    if attempts >= ATTEMPTS && waited >= patience {
        return Next::GiveUp;
    }
    let doublings = attempts.saturating_sub(1).min(16);
    let own = (FIRST * (1 << doublings)).min(LAST);
    Next::Wait(asked.unwrap_or_default().min(ASKED_MAX).max(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(hope: Hope, attempts: u32, hours: u64, relieved: bool) -> Next {
        let error = SendError {
            text: String::new(),
            hope,
        };
        next(
            &error,
            attempts,
            Duration::from_secs(3600 * hours),
            relieved,
        )
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let pauses = [1, 2, 3, 10, 11, 40].map(|n| after(Hope::Later(None), n, 0, false));
        let expected = [1, 2, 4, 512, 600, 600].map(|s| Next::Wait(Duration::from_secs(s)));
        assert_eq!(pauses, expected);
    }

    #[test]
    fn a_receiver_may_ask_for_more_within_reason() {
        let asked = |s| Hope::Later(Some(Duration::from_secs(s)));
        let wait = |s| Next::Wait(Duration::from_secs(s));
        assert_eq!(after(asked(30), 1, 0, true), wait(30));
        assert_eq!(after(asked(0), 3, 0, true), wait(4));
        assert_eq!(after(asked(1 << 40), 1, 0, true), wait(3600));
    }

    #[test]
    fn it_ends_sooner_where_another_channel_takes_over() {
        let later = Hope::Later(None);
        assert_eq!(after(later, 9, 1, true), Next::GiveUp);
        assert!(matches!(after(later, 9, 1, false), Next::Wait(_)));
        assert_eq!(after(later, 9, 24, false), Next::GiveUp);
        // The machine was off for a week.
        assert!(matches!(after(later, 2, 168, true), Next::Wait(_)));
        assert_eq!(after(Hope::Never, 1, 0, false), Next::GiveUp);
    }
}
