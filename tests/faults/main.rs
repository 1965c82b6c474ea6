//! The faults of the tuner that people run today, which this one must not
//! have: each test fails on the behaviour that its first line describes.
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
