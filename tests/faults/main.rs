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

use serde_json::Value as Json;
use support::Study;

impl Study {
    /// The params of every trial so far, in the order of their numbers.
    fn planned(&self) -> Vec<String> {
        let trials = self.events_of("trial-planned");
        for (index, trial) in trials.iter().enumerate() {
            assert_eq!(trial["trial"], index + 1, "{}", self.trace());
        }
        trials.iter().map(|trial| key(&trial["params"])).collect()
    }

    /// Runs the study to its end and returns its exit code; `trace` has what
    /// it said.
    fn finish(&self) -> i32 {
        self.start().end()
    }

    /// What the daemons of this study have said so far.
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }
}

/// `A=1 B=x`
fn key(params: &Json) -> String {
    let pairs = params.as_object().expect("an object").iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| match value {
            Json::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    pairs.join(" ")
}
