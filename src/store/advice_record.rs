//! What the advisor was asked and what came of it, as the journal has it. The
//! names and fields are the format: see [`super::event_record`].

use serde::{Deserialize, Serialize};

use super::text::{Interner, Pairs, Scalar, Text};
use crate::model::advice::{Advice, Answer, Question, Usage};

#[derive(Serialize, Deserialize)]
pub(super) struct AdviceRecord<'a> {
    #[serde(borrow)]
    question: QuestionRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerRecord<'a>>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<Text<'a>>,
    #[serde(default)]
    usage: UsageRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QuestionRecord<'a> {
    Plan,
    Value {
        #[serde(borrow)]
        parameter: Text<'a>,
        base: Pairs<'a, Scalar<'a>>,
    },
    Params,
    Summary,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AnswerRecord<'a> {
    Plan {
        #[serde(borrow)]
        base: Pairs<'a, Scalar<'a>>,
        priority: Vec<Text<'a>>,
    },
    Params(Pairs<'a, Scalar<'a>>),
    Enough,
    Summary(Text<'a>),
    Outdated,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct UsageRecord {
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl<'a> AdviceRecord<'a> {
    pub(super) fn of(advice: &'a Advice) -> Self {
        Self {
            question: match &advice.question {
                Question::Plan => QuestionRecord::Plan,
                Question::Value { parameter, base } => QuestionRecord::Value {
                    parameter: Text::of(parameter),
                    base: Scalar::pairs(base),
                },
                Question::Params => QuestionRecord::Params,
                Question::Summary => QuestionRecord::Summary,
            },
            answer: advice.answer.as_ref().ok().map(|answer| match answer {
                Answer::Plan { base, priority } => AnswerRecord::Plan {
                    base: Scalar::pairs(base),
                    priority: priority.iter().map(|name| Text::of(name)).collect(),
                },
                Answer::Params(params) => AnswerRecord::Params(Scalar::pairs(params)),
                Answer::Enough => AnswerRecord::Enough,
                Answer::Summary(text) => AnswerRecord::Summary(Text::of(text)),
                Answer::Outdated => AnswerRecord::Outdated,
            }),
            failed: advice.answer.as_ref().err().map(|why| Text::of(why)),
            comment: advice.comment.as_deref().map(Text::of),
            refused: advice.refused.iter().map(|why| Text::of(why)).collect(),
            usage: UsageRecord {
                requests: advice.usage.requests,
                prompt_tokens: advice.usage.prompt_tokens,
                completion_tokens: advice.usage.completion_tokens,
            },
        }
    }

    /// The advice, its names taken from `names`.
    ///
    /// # Errors
    /// What no advice can hold.
    pub(super) fn into_advice(self, names: &mut Interner) -> Result<Advice, String> {
        let question = match self.question {
            QuestionRecord::Plan => Question::Plan,
            QuestionRecord::Value { parameter, base } => Question::Value {
                parameter: names.name(parameter.as_str()),
                base: base.into_params(names)?,
            },
            QuestionRecord::Params => Question::Params,
            QuestionRecord::Summary => Question::Summary,
        };
        let answer = match (self.answer, self.failed) {
            (Some(answer), None) => Ok(match answer {
                AnswerRecord::Plan { base, priority } => Answer::Plan {
                    base: base.into_params(names)?,
                    priority: priority
                        .iter()
                        .map(|name| names.name(name.as_str()))
                        .collect(),
                },
                AnswerRecord::Params(params) => Answer::Params(params.into_params(names)?),
                AnswerRecord::Enough => Answer::Enough,
                AnswerRecord::Summary(text) => Answer::Summary(text.owned()),
                AnswerRecord::Outdated => Answer::Outdated,
            }),
            (None, Some(why)) => Err(why.owned()),
            _ => return Err("advice needs either an answer or why it failed".to_owned()),
        };
        Ok(Advice {
            question,
            answer,
            comment: self.comment.map(Text::owned),
            refused: self.refused.into_iter().map(Text::owned).collect(),
            usage: Usage {
                requests: self.usage.requests,
                prompt_tokens: self.usage.prompt_tokens,
                completion_tokens: self.usage.completion_tokens,
            },
        })
    }
}
