//! The language model that may advise: the `[advisor]` section of a spec.

use std::path::PathBuf;
use std::time::Duration;

use super::advice::Usage;
use super::template::Template;
use super::value::Finite;
use crate::base::secret::Source;

/// The language model that may advise, and how far.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisor {
    /// Where its endpoint is, without `/chat/completions` and without a slash
    /// at the end: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// Where the key is found.
    pub api_key: Key,
    /// A file of further authorities (PEM) that may vouch for the server;
    /// absolute.
    pub ca: Option<PathBuf>,
    /// How freely it answers, 0 to 2; `None` leaves it to the server.
    pub temperature: Option<Finite>,
    /// How long one answer may take; above 0.
    pub timeout: Duration,
    /// At most so many tokens over the whole study, those of questions and of
    /// answers; `None` is no limit.
    pub max_tokens: Option<u64>,
    /// At most so many tokens an answer.
    pub answer_tokens: u32,
    /// What it costs.
    pub price: Option<Price>,
    /// So many parameters its plan may name; 1 or more.
    pub max_priority_params: u32,
    /// So many trials each of them gets; 1 or more.
    pub rounds_per_param: u32,
    /// The share of all proposals that are its own where another sampler is the
    /// study's; 0 to 1.
    pub share: f64,
    /// In which language it comments.
    pub language: Language,
    /// What is tuned, in its owner's words.
    pub about: Option<String>,
    /// The owner's own texts of the questions.
    pub prompts: Prompts,
}

/// Where the key of an endpoint is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Wherever one is: the credential `openai_api_key`, `.env` in the workdir,
    /// the variable `OPENAI_API_KEY`.
    Usual,
    /// There, and nowhere else.
    At(Source),
    /// There is none, and none is sent.
    None,
}

/// What tokens cost, for each million, in any currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Those of questions.
    pub prompt: f64,
    /// Those of answers.
    pub completion: f64,
}

/// A language of comments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese.
    Chinese,
    /// English, and the same in Chinese.
    Both,
}

/// The owner's own texts of questions; `None` is the one that is compiled in.
/// They may ask for [`PROMPT_NAMES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompts {
    /// What it is told before every question.
    pub system: Option<Template>,
    /// From which params to begin, and which parameters matter.
    pub plan: Option<Template>,
    /// The next value of one parameter.
    pub value: Option<Template>,
    /// Any params that are worth a trial.
    pub params: Option<Template>,
    /// What is to be said at the end.
    pub summary: Option<Template>,
}

/// What the text of a question may ask for; all are texts, and none is ever
/// missing.
///
/// | name | is |
/// |---|---|
/// | `study` | the study's name |
/// | `about` | what is tuned, in its owner's words; or nothing |
/// | `objective` | the metric, and whether more of it is better |
/// | `constraints` | the bounds that must be kept, a line each; or `none` |
/// | `space` | the parameters that may be chosen, a line each, with their domains |
/// | `fixed` | the parameters that stay, with their values, a line each; or `none` |
/// | `base` | the params that this question starts from, a line each |
/// | `history` | a table of trials: the best and the latest |
/// | `parameter` | the parameter whose value is asked for; or nothing |
/// | `domain` | what it may be; or nothing |
/// | `max_priority_params` | how many parameters a plan may name |
/// | `language` | a sentence that asks for comments in the study's language |
/// | `answer` | a sentence that says how the JSON of the answer looks |
pub const PROMPT_NAMES: [&str; 13] = [
    "study",
    "about",
    "objective",
    "constraints",
    "space",
    "fixed",
    "base",
    "history",
    "parameter",
    "domain",
    "max_priority_params",
    "language",
    "answer",
];

/// A question and its answer take so many tokens, or few less.
const FEWEST: u64 = 1000;

/// The variable in which an endpoint's key is usually found.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";
/// The credential in which it is usually found.
pub const KEY_CREDENTIAL: &str = "openai_api_key";

impl Advisor {
    /// Whether the study may not ask it any more: what is left of its tokens is
    /// too little for a question and its answer.
    pub fn is_used_up(&self, spent: &Usage) -> bool {
        let left = |limit: u64| limit.saturating_sub(spent.tokens());
        self.max_tokens.is_some_and(|limit| left(limit) < FEWEST)
    }

    /// What that costs, in the currency of its price.
    pub fn cost(&self, usage: &Usage) -> Option<f64> {
        let Price { prompt, completion } = self.price?;
        let (asked, answered) = (usage.prompt_tokens, usage.completion_tokens);
        Some((asked as f64 * prompt + answered as f64 * completion) / 1e6)
    }
}
