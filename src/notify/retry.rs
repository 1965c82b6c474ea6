//! When a message is tried again, and when not any more: pure.

use std::time::Duration;

use super::receiver::{Hope, SendError};

/// The pauses between two attempts double from the first to the last.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(600);
/// The same where somebody must mend something first: a login that is wrong too
/// often is locked.
const MEND_FIRST: Duration = Duration::from_secs(60);
const MEND_LAST: Duration = Duration::from_secs(3600);
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
    let (asked, first, last) = match error.hope {
        Hope::Never => return Next::GiveUp,
        // The other one need not wait until this one is mended.
        Hope::Mended if relieved => return Next::GiveUp,
        Hope::Mended => (None, MEND_FIRST, MEND_LAST),
        Hope::Later(asked) => (asked, FIRST, LAST),
    };
    let patience = if relieved { PATIENCE } else { PATIENCE_ALONE };
    if attempts >= ATTEMPTS && waited >= patience {
        return Next::GiveUp;
    }
    let own = doubled(first, attempts).min(last);
    Next::Wait(asked.unwrap_or_default().min(ASKED_MAX).max(own))
}

/// The pause after something went wrong for the `times`th time in a row.
pub fn pause(times: u32) -> Duration {
    doubled(FIRST, times).min(LAST)
}

fn doubled(first: Duration, times: u32) -> Duration {
    first * (1 << times.saturating_sub(1).min(16))
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

    #[test]
    fn what_must_be_mended_is_tried_seldom_unless_another_channel_takes_over() {
        let mended = |n, hours, relieved| after(Hope::Mended, n, hours, relieved);
        let pauses = [1, 2, 6, 7, 40].map(|n| mended(n, 0, false));
        let expected = [60, 120, 1920, 3600, 3600].map(|s| Next::Wait(Duration::from_secs(s)));
        assert_eq!(pauses, expected);
        assert_eq!(mended(1, 0, true), Next::GiveUp);
        assert_eq!(mended(30, 24, false), Next::GiveUp);
    }
}
