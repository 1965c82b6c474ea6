//! What is said in a dialogue, and the dialogue as it is kept.

use serde::Serialize;

/// One thing that is said to the model, or that it has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// The text.
    pub content: String,
}

impl Message {
    pub(super) fn system(content: String) -> Self {
        let role = "system";
        Self { role, content }
    }

    pub(super) fn user(content: String) -> Self {
        let role = "user";
        Self { role, content }
    }

    pub(super) fn assistant(content: String) -> Self {
        let role = "assistant";
        Self { role, content }
    }
}

/// One request and what came back, as `reports/advisor.jsonl` has it. The key
/// is nowhere in it. Fields may be added to it, never changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exchange {
    /// When the request was sent, RFC 3339.
    pub time: String,
    /// What was asked: `plan`, `value`, `params`, `summary` or `test`.
    pub question: &'static str,
    /// The parameter of a `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The model that was asked for.
    pub model: String,
    /// How the answer was to be JSON: `json_schema`, `json_object`, `plain`.
    pub format: &'static str,
    /// What was said to it.
    pub messages: Vec<Message>,
    /// The status of the answer; `null` where none came.
    pub status: Option<u16>,
    /// What the model said; `null` where the server gave an error.
    pub answer: Option<String>,
    /// Why it ended there, in the server's word.
    pub finish_reason: Option<String>,
    /// Tokens of the question.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Whether the tokens are a guess: the server has not counted them.
    pub estimated: bool,
    /// Why there is no answer.
    pub error: Option<String>,
    /// Why the answer was refused.
    pub refused: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Exchange {
    /// It as a line of `reports/advisor.jsonl`, without a newline.
    pub fn line(&self) -> String {
        // Nothing in it can fail to be written as JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
