//! What the advisor is doing and did, and what it said to a test, as a daemon
//! answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The advisor of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advisor {
    /// The model's name.
    pub model: String,
    /// What it is asked now.
    pub asking: Option<Asking>,
    /// Why it is not asked any more, in words.
    pub barred: Option<String>,
    /// Questions, those that were never sent among them.
    pub questions: u32,
    /// Those with an answer that was used.
    pub accepted: u32,
    /// Answers that were refused.
    pub refused: u32,
    /// Questions whose place the fall-back took.
    pub fallbacks: u32,
    /// Answers that came when the study had changed.
    pub outdated: u32,
    /// Requests that were sent.
    pub requests: u64,
    /// Tokens of the questions.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// So many tokens the study may take.
    pub tokens_most: Option<u64>,
    /// What they cost, where their price is known.
    pub cost: Option<f64>,
    /// Why the last question has no answer, where it has none.
    pub trouble: Option<String>,
    /// What each origin of trials did for the study.
    pub credit: Vec<Credit>,
}

/// A question that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Asking {
    /// What it is about, as `the next value of learning_rate`.
    pub about: String,
    /// Since when.
    pub since: i64,
}

/// What the trials of one origin did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credit {
    /// As in the list of trials.
    pub origin: String,
    /// How many there are.
    pub trials: u32,
    /// How many of them are feasible.
    pub feasible: u32,
    /// How many of them beat all feasible ones before.
    pub improvements: u32,
    /// By how much, together, in the unit of the objective.
    pub gain: f64,
}

/// What the advisor said about a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// What it was asked for, as `the next value of learning_rate`.
    pub about: String,
    /// Why it proposes that, in its own words.
    pub comment: Option<String>,
    /// Why there was no answer of use, so that the fall-back took its place.
    pub failed: Option<String>,
    /// Why its answers before the last were refused.
    pub refused: Vec<String>,
}

/// What came of a test request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Values for the golden bytes.
#[cfg(test)]
pub(super) mod golden {
    use super::{Advice, Advisor, AdvisorAnswer, AdvisorTested, Asking, Credit};

    pub fn advisor() -> Advisor {
        Advisor {
            model: "gpt-4o-mini".to_owned(),
            asking: Some(Asking {
                about: "the plan".to_owned(),
                since: 4,
            }),
            barred: None,
            questions: 7,
            accepted: 4,
            refused: 1,
            fallbacks: 2,
            outdated: 1,
            requests: 8,
            prompt_tokens: 70_000,
            completion_tokens: 300,
            tokens_most: Some(500_000),
            cost: Some(0.25),
            trouble: Some("401".to_owned()),
            credit: vec![Credit {
                origin: "advisor".to_owned(),
                trials: 4,
                feasible: 3,
                improvements: 2,
                gain: 1.5,
            }],
        }
    }

    pub fn tested() -> AdvisorTested {
        AdvisorTested {
            base_url: "http://h/v1".to_owned(),
            model: "m".to_owned(),
            key: Some("k".to_owned()),
            answer: Some(AdvisorAnswer {
                model: "m-1".to_owned(),
                format: "json_schema".to_owned(),
                keeps_format: true,
                took: 300,
                tokens: 70_000,
                estimated: false,
            }),
            error: Some("r".to_owned()),
        }
    }

    pub fn advice() -> Advice {
        Advice {
            about: "the plan".to_owned(),
            comment: Some("more".to_owned()),
            failed: Some("500".to_owned()),
            refused: vec!["none".to_owned()],
        }
    }
}
