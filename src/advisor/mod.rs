//! Asking a language model about a study, by an OpenAI-compatible endpoint.
//!
//! ```text
//! question ── prompt, schema ──▶ talk ── manner, client ──▶ endpoint
//!                  ▲                                           │ text
//!                  └── once: why it was refused ── answer ◀────┘
//!                                                     │
//!                          params that the space has checked, text for people
//! ```
//!
//! - What the model says is data that nobody has to believe: it comes out as
//!   params that [`Space`](crate::model::space::Space) has checked, or as text
//!   for people, or not at all.
//! - Nothing that a trial has printed goes in: numbers and names of failures do.
//! - The key is sent to the endpoint's own host alone, and shown by nothing.
//! - Whatever the endpoint does, a question takes a bounded time and little
//!   memory.

mod access;
mod answer;
mod client;
mod json;
mod manner;
mod message;
mod prompt;
mod schema;
mod talk;

use std::time::{Duration, Instant};

pub use self::access::Access;
pub use self::message::{Exchange, Message};
use self::talk::{Talk, Topic, kept};
use crate::model::advice::{Advice, Answer, Question, Tested, Usage};
use crate::model::domain::Domain;
use crate::model::spec::Advisor;
use crate::model::study::Study;
use crate::model::value::Value;

/// What came of a question, and the whole dialogue about it.
#[derive(Clone, Debug)]
pub struct Consulted {
    /// What came of it. Its usage is that of all requests together.
    pub advice: Advice,
    /// Every request that was sent, in order; none where nothing was.
    pub dialogue: Vec<Exchange>,
}

/// Asks the model. `spent` is what the study has used up before this.
///
/// An answer of no use is told why, once; then, or when the endpoint gives no
/// answer, the advice is an error, and a fall-back takes its place. A request
/// takes [`Advisor::timeout`] at most; there are 16 at most, and two pauses of at
/// most a minute for each of the two answers. What was tried, and so may not be
/// answered, is what `study` had when it was asked: whoever uses the answer
/// looks again.
pub async fn consult(
    advisor: &Advisor,
    access: &Access,
    study: &Study,
    question: Question,
    spent: Usage,
) -> Consulted {
    let mut advice = Advice {
        question,
        answer: Err(String::new()),
        comment: None,
        refused: Vec::new(),
        usage: Usage::default(),
    };
    let (topic, messages) = match prepare(advisor, study, &advice.question) {
        Ok(prepared) => prepared,
        Err(answer) => {
            advice.answer = answer;
            return Consulted {
                advice,
                dialogue: Vec::new(),
            };
        }
    };
    let mut messages = messages.to_vec();
    let mut talk = Talk::new(advisor, access, topic, spent);
    advice.answer = loop {
        let said = match talk.say(&messages).await {
            Ok(said) => said,
            Err(why) => break Err(why),
        };
        let why = match answer::read(&said, &advice.question, advisor, study) {
            Ok((answer, comment)) => {
                advice.comment = comment;
                break Ok(answer);
            }
            Err(why) => why,
        };
        talk.refuse(&why);
        if !advice.refused.is_empty() {
            break Err(format!("its answer was refused twice: {why}"));
        }
        messages.push(Message::assistant(kept(&said.text)));
        messages.push(Message::user(format!(
            "That answer is refused: {why}. Answer the same question again, by the same schema."
        )));
        advice.refused.push(why);
    };
    advice.usage = talk.usage;
    Consulted {
        advice,
        dialogue: talk.dialogue,
    }
}

/// What is said first, or what is the answer without the model.
fn prepare(
    advisor: &Advisor,
    study: &Study,
    question: &Question,
) -> Result<(Topic, [Message; 2]), Result<Answer, String>> {
    let space = &study.spec().space;
    let mut tunable = space.parameters().iter().filter(|one| one.is_tunable());
    let has_none = match question {
        Question::Plan => !tunable.any(|one| study.is_left_to_plan(&one.name)),
        Question::Value { .. } | Question::Params => tunable.next().is_none(),
        Question::Summary => false,
    };
    if has_none {
        return Err(Err("no parameter is the advisor's to choose".to_owned()));
    }
    let mut untried = None;
    if let Question::Value { parameter, base } = question {
        let found = space.parameter(parameter).filter(|one| one.is_tunable());
        let Some(found) = found else {
            return Err(Err(format!("{parameter} is not the advisor's to choose")));
        };
        if base.get(parameter).is_none() {
            return Err(Err(format!("{parameter} has no effect with these params")));
        }
        if let Domain::Values(values) = &found.domain {
            let is_new = |value: &&Value| {
                let params = space.with(base, parameter, value);
                params.is_ok_and(|params| study.is_new(&params))
            };
            let left: Vec<Value> = values.iter().filter(is_new).cloned().collect();
            if left.is_empty() {
                return Err(Ok(Answer::Enough));
            }
            untried = Some(left);
        }
    }
    let messages = prompt::messages(question, advisor, study).map_err(Err)?;
    let (word, parameter) = match question {
        Question::Plan => ("plan", None),
        Question::Value { parameter, .. } => ("value", Some(parameter.to_string())),
        Question::Params => ("params", None),
        Question::Summary => ("summary", None),
    };
    let topic = Topic {
        question: word,
        parameter,
        schema: schema::of(question, advisor, study, untried.as_deref()),
    };
    Ok((topic, messages))
}

/// Asks a small question, to see whether the endpoint answers.
///
/// # Errors
/// Why it does not, with the way out, for people.
pub async fn test(advisor: &Advisor, access: &Access) -> Result<Tested, String> {
    let topic = Topic {
        question: "test",
        parameter: None,
        schema: schema::of_test(),
    };
    let messages = [Message::user(
        "This is a test. Answer with a JSON object of one key: `value`, a whole number from 1 to 9."
            .to_owned(),
    )];
    // Whatever limit there is for a study, this is none of it.
    let advisor = Advisor {
        max_tokens: None,
        ..advisor.clone()
    };
    let mut talk = Talk::new(&advisor, access, topic, Usage::default());
    let begun = Instant::now();
    let said = talk.say(&messages).await?;
    let answer = json::object_in(&said.text).ok();
    let value = answer.and_then(|object| object.get("value")?.as_i64());
    let last = talk.dialogue.last();
    Ok(Tested {
        model: access.excerpt(said.model.as_deref().unwrap_or(&advisor.model)),
        format: access.manner().format.name(),
        keeps_format: value.is_some_and(|value| (1..=9).contains(&value)),
        took: last.map_or(begun.elapsed(), |last| {
            Duration::from_secs_f64(last.seconds)
        }),
        usage: talk.usage,
        estimated: last.is_some_and(|last| last.estimated),
    })
}

#[cfg(test)]
mod tests;
