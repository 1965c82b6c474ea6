//! What a look at the host has found, as it is sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a look at the host has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Doctor {
    /// Each thing that was looked at, one or several times.
    pub checks: Vec<HostCheck>,
}

/// One thing that was found about the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostCheck {
    /// What was looked at: `disk`, `gpu`.
    pub name: String,
    /// Whether it is as it should be.
    pub state: HostState,
    /// What was found.
    pub text: String,
    /// The way out; empty where none is needed.
    pub remedy: String,
}

/// Whether something is as it should be. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It is.
    Ok,
    /// Trials can work, but their owner should know.
    Warning,
    /// Trials cannot work, or not for long.
    Error,
}
