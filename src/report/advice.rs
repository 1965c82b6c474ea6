//! What the advisor was asked and what came of it, in words.

use super::phrase::clean;
use crate::model::advice::{Advice, Answer, Question};

/// What an advice says, in one sentence without its full stop.
pub fn advised(advice: &Advice) -> String {
    let said = match (&advice.answer, &advice.question) {
        (Err(why), question) => {
            return format!("no advice on {}: {}", subject(question), clean(why));
        }
        (Ok(Answer::Outdated), question) => {
            return format!(
                "the advice on {} came too late: the study has changed",
                subject(question)
            );
        }
        (Ok(Answer::Plan { priority, .. }), _) => {
            let names: Vec<String> = priority.iter().map(|name| clean(name)).collect();
            format!("the advisor's plan: {}, in this order", names.join(", "))
        }
        (Ok(Answer::Params(params)), Question::Value { parameter, .. }) => {
            let value = params.get(parameter).map(ToString::to_string);
            let value = value.map_or_else(|| "none".to_owned(), |value| clean(&value));
            format!("the advisor proposes {}={value}", clean(parameter))
        }
        (Ok(Answer::Params(_)), _) => "the advisor proposes params".to_owned(),
        (Ok(Answer::Enough), question) => {
            format!(
                "the advisor wants no further trial on {}",
                subject(question)
            )
        }
        (Ok(Answer::Summary(_)), _) => "the advisor has summed the study up".to_owned(),
    };
    match &advice.comment {
        Some(comment) => format!("{said}: {}", clean(comment)),
        None => said,
    }
}

/// What a question is about: `the plan`, `the next value of learning_rate`.
pub fn subject(question: &Question) -> String {
    match question {
        Question::Plan => "the plan".to_owned(),
        Question::Value { parameter, .. } => format!("the next value of {}", clean(parameter)),
        Question::Params => "params that are worth a trial".to_owned(),
        Question::Summary => "the summary".to_owned(),
    }
}
