//! The faults of the tuner that people run today, which this one must not
//! have: each test fails on the behaviour that its first line describes.
//!
//! | fault | tested in |
//! |---|---|
//! | 1, 2, 3, 4: what a restart forgets | `history` |
//! | 5, 6, 7: servers that stay, are not ours, or die | `servers` |
//! | 8, 9: children of a run, and what steps see | `processes`; `tests/moving` |
//! | 10: a receiver that is slow or dead | `tests/notify` |
//! | 11: torn records | `records`; of old results `tests/moving` |
//! | 12, 13, 14: numbers, matches, and what can be set | `metrics` |
//!
//! Real daemons, real servers and evaluators; any port, any user, no network.

#[path = "../support/mod.rs"]
mod support;

mod history;
mod metrics;
mod processes;
mod records;
mod servers;

use support::Study;

impl Study {
    /// Runs the study to its end, within the deadline of every test, and
    /// returns its exit code; `log` has what it said.
    fn finish(&self) -> i32 {
        self.start().end()
    }
}
