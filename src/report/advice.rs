//! What the advisor was asked and what came of it, in words.

use super::phrase::clean;
use crate::model::advice::{Advice, Answer, FAILED_PLANS_MAX, Question, UNANSWERED_MAX};
use crate::model::study::Study;

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
            format!("the advisor's plan is {}", names.join(", then "))
        }
        (Ok(Answer::Params(params)), Question::Value { parameter, .. }) => {
            let value = params.get(parameter).map(ToString::to_string);
            let value = value.map_or_else(|| "none".to_owned(), |value| clean(&value));
            format!("the advisor proposes {}={value}", clean(parameter))
        }
        (Ok(Answer::Params(_)), _) => "the advisor proposes params".to_owned(),
        (Ok(Answer::Enough), Question::Value { parameter, .. }) => {
            let name = clean(parameter);
            format!("the advisor finds no other value of {name} worth a trial")
        }
        (Ok(Answer::Enough), _) => "the advisor finds nothing else worth a trial".to_owned(),
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

/// The same, where it is news: that there is no advice is said once for each
/// reason. `study` has taken the advice up.
pub fn news(study: &Study, advice: &Advice) -> Option<String> {
    let before = study.advice().iter().rev().nth(1);
    let is_known = advice.answer.is_err() && before.is_some_and(|b| b.answer == advice.answer);
    (!is_known).then(|| advised(advice) + without_plan(study, advice))
}

/// How a study goes on that has no plan: it is asked for again, or not.
fn without_plan(study: &Study, advice: &Advice) -> &'static str {
    let was_asked = advice.question == Question::Plan && advice.usage.requests > 0;
    if !was_asked || advice.answer.is_ok() {
        ""
    } else if study.consultations().failed_plans() < FAILED_PLANS_MAX {
        "; the parameters are gone through as the spec has them, and a plan is asked for again \
         before the next one"
    } else {
        "; it is not asked for again: the parameters are gone through as the spec has them"
    }
}

/// That the advisor is not asked any more, since it leaves all questions
/// unanswered, and how it is again.
pub fn silent() -> String {
    format!(
        "it left {UNANSWERED_MAX} questions in a row unanswered; it is asked again after a restart, a \
         reload, or `autotunectl resume`"
    )
}
