//! A dialogue with an endpoint: requests, each sent again where that may help,
//! with what they took.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::access::Access;
use super::client::{Endpoint, Fault, Hope, Said};
use super::manner::Manner;
use super::message::{Exchange, Message};
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::model::advice::Usage;
use crate::model::spec::Advisor;

/// So often a request is sent again after a pause.
const PAUSES: u32 = 2;
/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many requests a dialogue may take in all.
const REQUESTS: usize = 16;
/// The shortest answer that is worth asking for, in tokens.
const SHORTEST: u64 = 64;
/// So many letters of an answer are kept, and repeated to the model.
const KEPT: usize = 16_000;

/// What a dialogue is about.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) question: &'static str,
    pub(super) parameter: Option<String>,
    /// That of the answer.
    pub(super) schema: Value,
}

pub(super) struct Talk<'a> {
    advisor: &'a Advisor,
    access: &'a Access,
    topic: Topic,
    /// What the study had used up before.
    spent: Usage,
    endpoint: Option<Endpoint<'a>>,
    pub(super) usage: Usage,
    pub(super) dialogue: Vec<Exchange>,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        advisor: &'a Advisor,
        access: &'a Access,
        topic: Topic,
        spent: Usage,
    ) -> Self {
        Self {
            advisor,
            access,
            topic,
            spent,
            endpoint: None,
            usage: Usage::default(),
            dialogue: Vec::new(),
        }
    }

    /// Says this, and gives what the model says to it.
    ///
    /// # Errors
    /// Why nothing came, for people.
    pub(super) async fn say(&mut self, messages: &[Message]) -> Result<Said, String> {
        let mut manner = self.access.manner();
        let mut pauses = 0;
        while self.dialogue.len() < REQUESTS {
            let fault = match self.once(manner, messages).await? {
                Ok(said) => {
                    self.access.remember(manner);
                    return Ok(said);
                }
                Err(fault) => fault,
            };
            let otherwise = |status| manner.instead(status, &fault.said);
            let instead = match fault.hope {
                Hope::Otherwise => fault.status.and_then(otherwise),
                Hope::Never | Hope::Later(_) => None,
            };
            if let Some(instead) = instead {
                manner = instead;
                continue;
            }
            let asked = match fault.hope {
                Hope::Later(asked) => asked,
                Hope::Otherwise if fault.status == Some(500) => None,
                Hope::Never | Hope::Otherwise => return Err(fault.text),
            };
            if pauses == PAUSES {
                return Err(fault.text);
            }
            let own = self.access.pause * 4_u32.pow(pauses);
            let pause = asked.unwrap_or(own).max(own.min(Duration::from_secs(1)));
            if pause > LONGEST_PAUSE {
                let pause = show_duration(pause);
                return Err(format!("{}; it asks for a pause of {pause}", fault.text));
            }
            pauses += 1;
            tokio::time::sleep(pause).await;
        }
        Err(format!("no answer to {REQUESTS} requests"))
    }

    /// One request; an outer error is one that none was sent for.
    async fn once(
        &mut self,
        manner: Manner,
        messages: &[Message],
    ) -> Result<Result<Said, Fault>, String> {
        let body = |tokens| manner.body(self.advisor, messages, &self.topic.schema, tokens);
        let asked = guess(&body(0).to_string());
        let tokens = self.answer_tokens(asked)?;
        let body = body(tokens);
        let endpoint = match self.endpoint.take() {
            Some(endpoint) => endpoint,
            None => Endpoint::open(self.advisor, self.access).await?,
        };
        let (time, begun) = (clock::now().rfc3339(), Instant::now());
        let mut came = endpoint.post(&body).await;
        if let Ok(said) = &mut came {
            said.text = self.access.redacted(&said.text);
        }
        let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        self.endpoint = Some(endpoint);
        let said = came.as_ref().ok();
        let counted = said.and_then(|said| said.tokens);
        let (prompt_tokens, completion_tokens) = match said {
            Some(said) => counted.unwrap_or_else(|| (asked, guess(&said.text))),
            None => (0, 0),
        };
        self.usage += Usage {
            requests: 1,
            prompt_tokens,
            completion_tokens,
        };
        let fault = came.as_ref().err();
        self.dialogue.push(Exchange {
            time,
            question: self.topic.question,
            parameter: self.topic.parameter.clone(),
            model: self.advisor.model.clone(),
            format: manner.format.name(),
            messages: messages.to_vec(),
            status: fault.map_or(Some(200), |fault| fault.status),
            answer: said.map(|said| kept(&said.text)),
            finish_reason: said.and_then(|said| said.finish.clone()),
            prompt_tokens,
            completion_tokens,
            estimated: said.is_some() && counted.is_none(),
            error: fault.map(|fault| fault.text.clone()),
            refused: None,
            seconds,
        });
        Ok(came)
    }

    /// How long an answer may be, in tokens, after a question of so many.
    fn answer_tokens(&self, asked: u64) -> Result<u64, String> {
        let wanted = u64::from(self.advisor.answer_tokens);
        let Some(limit) = self.advisor.max_tokens else {
            return Ok(wanted);
        };
        let used = self.spent.tokens().saturating_add(self.usage.tokens());
        let left = limit.saturating_sub(used).saturating_sub(asked);
        if left < SHORTEST.min(wanted) {
            return Err(format!(
                "the tokens of the study are used up: {used} of {limit} (`max_tokens` in [advisor])"
            ));
        }
        Ok(wanted.min(left))
    }

    /// The last answer is of no use.
    pub(super) fn refuse(&mut self, why: &str) {
        if let Some(last) = self.dialogue.last_mut() {
            last.refused = Some(why.to_owned());
        }
    }
}

/// About how many tokens a text has: some three letters of English each, fewer
/// of most others.
fn guess(text: &str) -> u64 {
    let count = text.chars().count() as u64;
    let wide = text.chars().filter(|letter| !letter.is_ascii()).count() as u64;
    (count - wide).div_ceil(3) + wide
}

/// The beginning of what a model has said.
pub(super) fn kept(text: &str) -> String {
    match text.char_indices().nth(KEPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
