//! The messages about `[notify]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// `feishu`, `webhook`, `smtp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kinds of messages that it gets.
    pub kinds: Vec<String>,
    /// Whether it also gets what others have given up on.
    pub fallback: bool,
    /// How many messages wait for it.
    pub waiting: u32,
    /// When it last delivered one.
    pub delivered: Option<i64>,
    /// Why it tries again, while it does.
    pub trouble: Option<Trouble>,
    /// What it last gave up on.
    pub given_up: Option<GivenUp>,
    /// The recipients of mail whom the last messages did not reach, though they
    /// reached others.
    pub refused: Vec<Refused>,
}

/// A recipient of mail whom the server refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The mail address.
    pub address: String,
    /// What the server said to it.
    pub why: String,
    /// Whether it is tried again.
    pub again: bool,
}

/// An attempt that has failed, before another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// Why.
    pub error: String,
    /// When it is tried again; `None` while that is done.
    pub again: Option<i64>,
}

/// Messages that were not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenUp {
    /// When they were given up.
    pub at: i64,
    /// Why.
    pub reason: String,
}

/// What came of a test message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    /// The channel.
    pub channel: String,
    /// Whether its receiver has accepted it.
    pub accepted: bool,
    /// What the receiver said, or why it was not reached.
    pub answer: String,
    /// How long that took.
    pub took: u64,
}
