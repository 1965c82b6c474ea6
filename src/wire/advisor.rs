//! What the advisor said to a test.

use serde::{Deserialize, Serialize};

/// What came of a test request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvisorTested {
    /// The endpoint.
    pub base_url: String,
    /// The model that was asked for.
    pub model: String,
    /// Where the key was found; `None` where there is none.
    pub key: Option<String>,
    /// What its server answers; `None` where it does not.
    pub answer: Option<AdvisorAnswer>,
    /// Why it does not, with the way out.
    pub error: Option<String>,
}

/// See [`AdvisorTested::answer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvisorAnswer {
    /// What the server calls the model.
    pub model: String,
    /// How it is made to answer in JSON: `json_schema`, `json_object`, `plain`.
    pub format: String,
    /// Whether its answer was as it was asked for.
    pub keeps_format: bool,
    /// How long the answer took.
    pub took: u64,
    /// Tokens of questions and answers.
    pub tokens: u64,
    /// Whether they are a guess: the server counts none.
    pub estimated: bool,
}
