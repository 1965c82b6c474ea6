//! Asking a language model about a study, by an OpenAI-compatible endpoint.
//!
//! ```text
//! question ── prompt ──▶ messages ── client ──▶ the model's text ── answer ──▶ checked answer
//!                ▲                                                    │ refused: why
//!                └──────────────── once, in the same dialogue ◀───────┘
//! ```
//!
//! - What the model says is data that nobody has to believe: it comes out as
//!   params that [`Space`](crate::model::space::Space) has checked, or as text
//!   for people, or not at all.
//! - Nothing that a trial has printed goes in: numbers and kinds of failures do.
//! - The key is sent to the endpoint's own host alone, and shown by nothing.

use std::ffi::OsString;
use std::path::Path;

use crate::base::secret::SecretError;
use crate::model::advice::{Advice, Question, Usage};
use crate::model::spec::Advisor;
use crate::model::study::Study;

/// The way to an endpoint, for as long as a daemon lives: with its key, and
/// with what is known of the server by now. Shared between questions.
#[derive(Debug)]
pub struct Access {}

impl Access {
    /// Looks for the key; `variable` looks into the environment. Reads files:
    /// not to be called where nothing may wait.
    ///
    /// # Errors
    /// When a key that the spec asks for is not there, or one cannot be read.
    pub fn find(
        _advisor: &Advisor,
        _workdir: &Path,
        _variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SecretError> {
        Ok(Self {})
    }
}

/// What came of a question, and the whole dialogue about it.
#[derive(Clone, Debug)]
pub struct Consulted {
    /// What came of it. Its usage is that of all requests together.
    pub advice: Advice,
    /// Every request that was sent, in order; none where nothing was.
    pub dialogue: Vec<Exchange>,
}

/// One request and what came back.
#[derive(Clone, Debug)]
pub struct Exchange {}

impl Exchange {
    /// It as a line of `reports/advisor.jsonl`, without a newline.
    pub fn line(&self) -> String {
        String::new()
    }
}

/// Asks the model. `spent` is what the study has used up before this.
///
/// An answer of no use is told why, once; then, or when the endpoint gives no
/// answer, the advice is an error, and a fall-back takes its place. Takes
/// [`Advisor::timeout`] a request at most, and bounded pauses between them.
pub async fn consult(
    _advisor: &Advisor,
    _access: &Access,
    _study: &Study,
    question: Question,
    _spent: Usage,
) -> Consulted {
    Consulted {
        advice: Advice {
            question,
            answer: Err("not there yet".to_owned()),
            comment: None,
            refused: Vec::new(),
            usage: Usage::default(),
        },
        dialogue: Vec::new(),
    }
}
