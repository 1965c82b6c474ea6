//! What waits for approval, as `status` tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reply::Change;

/// What waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposal {
    /// Its number.
    pub number: u32,
    /// The parameter that is being tuned, where the sampler goes through them
    /// one by one.
    pub parameter: Option<String>,
    /// The trial that it is a change of.
    pub against: Option<u32>,
    /// How it differs from that.
    pub changes: Vec<Change>,
    /// Since when it waits.
    pub since: i64,
    /// Until when; `None` for no limit, and while the study is paused.
    pub until: Option<i64>,
    /// What happens then: `approve`, `reject` or `pause`.
    pub then: Option<String>,
}
