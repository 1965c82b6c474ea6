//! The search space and the settings of a study, as replies have them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The search space: a page of its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    /// How many parameters there are, over all pages.
    pub total: u32,
    /// The parameters of this page, in the order in which they are explored.
    pub parameters: Vec<Parameter>,
    /// What must hold between their values.
    pub rules: Vec<String>,
    /// What users have changed, on top of the spec.
    pub changed: Vec<String>,
    /// Changes that do not fit the spec any more, with why.
    pub ignored: Vec<String>,
}

/// A parameter of the space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub domain: Domain,
    /// Its starting value.
    pub base: String,
    /// Where it has a meaning; everywhere when `None`.
    pub when: Option<String>,
    /// Its value in the best trial; `None` where there is none, or it is not
    /// active there.
    pub best: Option<String>,
    /// How many of its values were tried or are planned, also such as it may
    /// not be any more.
    pub tried: u32,
    /// Whether it differs from the spec.
    pub changed: bool,
}

/// What a parameter may be. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// One of these.
    Values(Vec<TriedValue>),
    /// A whole number from the first to the second.
    Int {
        /// The lowest.
        low: i64,
        /// The highest.
        high: i64,
        /// Whether points are at equal ratios.
        log: bool,
    },
    /// A number from the first to the second.
    Float {
        /// The lowest, as text.
        low: String,
        /// The highest, as text.
        high: String,
        /// Whether points are at equal ratios.
        log: bool,
    },
}

/// A value of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriedValue {
    /// The value.
    pub value: String,
    /// How many trials have it, planned ones among them.
    pub trials: u32,
}

/// The settings that can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Each setting.
    pub settings: Vec<Setting>,
    /// Changes that do not fit the spec any more, with why.
    pub ignored: Vec<String>,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its value in the spec, where that is another.
    pub written: Option<String>,
}
