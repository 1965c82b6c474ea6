//! From what a model says to what may be used. Its words are data: whatever
//! they ask for, all that comes out are params that the space has checked, the
//! names of parameters that may be chosen, and text for people.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::client::Said;
use super::json::object_in;
use super::schema::most_planned;
use crate::base::text::{clean, clean_lines, cut};
use crate::model::Name;
use crate::model::advice::{Answer, Question};
use crate::model::domain::Domain;
use crate::model::params::Params;
use crate::model::space::{Parameter, ParamsError, Space};
use crate::model::spec::Advisor;
use crate::model::study::Study;
use crate::model::value::{Finite, Value};

/// The longest comment that is kept, in columns.
const COMMENT: usize = 600;
/// The longest summary that is kept, in letters.
const SUMMARY: usize = 12_000;
/// So many mistakes of an answer are told.
const MISTAKES: usize = 5;

/// An answer that may be used, and the comment beside it.
pub(super) type Checked = (Answer, Option<String>);

/// Checks what was said to a question.
///
/// # Errors
/// Why it is of no use, as the model and people are told.
pub(super) fn read(
    said: &Said,
    question: &Question,
    advisor: &Advisor,
    study: &Study,
) -> Result<Checked, String> {
    match said.finish.as_deref() {
        Some("length") => {
            return Err("it was cut off, being too long: be brief".to_owned());
        }
        Some("content_filter") => return Err("the server's filter has cut it off".to_owned()),
        _ => {}
    }
    let space = &study.spec().space;
    if *question == Question::Summary {
        return summary(&said.text);
    }
    let object = object_in(&said.text)?;
    let answer = match question {
        Question::Plan => plan(&object, advisor, study)?,
        Question::Value { parameter, base } => value(&object, parameter, base, study)?,
        Question::Params => {
            let params = checked(part(&object, "params")?, space)?;
            Answer::Params(untried(params, study)?)
        }
        Question::Summary => return Err("it answers another question".to_owned()),
    };
    let comment = object.get("comment").and_then(Json::as_str);
    let comment = comment.map(|comment| comment.split_whitespace().collect::<Vec<_>>().join(" "));
    let comment = comment.map(|comment| cut(&clean(&comment), COMMENT));
    Ok((answer, comment.filter(|comment| !comment.is_empty())))
}

fn plan(object: &Map<String, Json>, advisor: &Advisor, study: &Study) -> Result<Answer, String> {
    let space = &study.spec().space;
    let base = checked(part(object, "base")?, space)?;
    let Some(Json::Array(named)) = object.get("priority") else {
        return Err("`priority` must be a list of names".to_owned());
    };
    let mut priority: Vec<Name> = Vec::new();
    for one in named {
        let Json::String(name) = one else {
            return Err("`priority` must be a list of names".to_owned());
        };
        let parameter = tunable(name, space)?;
        // No schema can forbid it to name one twice, and it is clear what is meant.
        if priority.contains(&parameter.name) {
            continue;
        }
        if base.get(&parameter.name).is_none() {
            return Err(format!(
                "`priority` has {}, which has no effect with this base",
                parameter.name
            ));
        }
        priority.push(parameter.name.clone());
    }
    if priority.is_empty() {
        return Err("`priority` is empty".to_owned());
    }
    priority.retain(|name| study.is_left_to_plan(name));
    if priority.is_empty() {
        return Err("all that `priority` has is over: name others".to_owned());
    }
    // The most important are first.
    priority.truncate(most_planned(advisor, study));
    Ok(Answer::Plan { base, priority })
}

fn value(
    object: &Map<String, Json>,
    name: &Name,
    base: &Params,
    study: &Study,
) -> Result<Answer, String> {
    let given = object.get("value").ok_or("it has no `value`")?;
    if given.is_null() {
        return Ok(Answer::Enough);
    }
    let space = &study.spec().space;
    let parameter = tunable(name, space)?;
    let value = value_of(parameter, given)?;
    let params = space.with(base, name, &value);
    let params = params.map_err(|error| shown(&error))?;
    Ok(Answer::Params(untried(params, study)?))
}

fn untried(params: Params, study: &Study) -> Result<Params, String> {
    match study.trial_of(&params) {
        Some(trial) => Err(format!("trial {} had these very params", trial.id)),
        None if study.is_rejected(&params) => {
            Err("a person has refused these very params: propose others".to_owned())
        }
        None => Ok(params),
    }
}

fn summary(said: &str) -> Result<Checked, String> {
    // Text for people needs no format; some models give none.
    let object = object_in(said);
    let text = match &object {
        Ok(object) => object.get("summary").and_then(Json::as_str),
        Err(why) if said.trim_start().starts_with('{') => return Err(why.clone()),
        Err(_) => Some(said),
    };
    let text = text.ok_or("it has no `summary`")?;
    let text = text.chars().take(SUMMARY).collect::<String>();
    let text = clean_lines(text.trim());
    if text.is_empty() {
        return Err("`summary` is empty".to_owned());
    }
    Ok((Answer::Summary(text), None))
}

fn part<'a>(object: &'a Map<String, Json>, key: &str) -> Result<&'a Map<String, Json>, String> {
    match object.get(key) {
        Some(Json::Object(part)) => Ok(part),
        Some(_) => Err(format!("`{key}` must be an object of names and values")),
        None => Err(format!("it has no `{key}`")),
    }
}

/// Params that the space has checked; those that the advisor may not choose are
/// at their starting values.
fn checked(given: &Map<String, Json>, space: &Space) -> Result<Params, String> {
    let mut values = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        let found = tunable(name, space).and_then(|parameter| value_of(parameter, value));
        match found {
            Ok(value) => drop(values.insert(name.clone(), value)),
            // What says no other than it is does no harm.
            Err(_) if is_unchanged(name, value, space) => {}
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() {
        match space.check(&values) {
            Ok(params) => return Ok(params),
            Err(errors) => wrong.extend(errors.iter().map(shown)),
        }
    }
    let more = wrong.len().saturating_sub(MISTAKES);
    wrong.truncate(MISTAKES);
    if more > 0 {
        wrong.push(format!("{more} more"));
    }
    Err(wrong.join("; "))
}

fn is_unchanged(name: &str, given: &Json, space: &Space) -> bool {
    let parameter = space.parameter(name);
    parameter.is_some_and(|parameter| {
        value_of(parameter, given).is_ok_and(|value| value == parameter.base)
    })
}

/// The parameter of that name, if the advisor may choose it.
fn tunable<'a>(name: &str, space: &'a Space) -> Result<&'a Parameter, String> {
    match space.parameter(name) {
        Some(parameter) if parameter.is_tunable() => Ok(parameter),
        Some(_) => Err(format!("{} is protected: leave it out", quoted(name))),
        None => Err(shown(&ParamsError::Unknown {
            name: name.to_owned(),
            nearest: None,
        })),
    }
}

/// What a value of JSON stands for. Numbers may be in quotes, and other spellings
/// of a number in a list stand for that one.
fn value_of(parameter: &Parameter, given: &Json) -> Result<Value, String> {
    let name = &parameter.name;
    let value = match given {
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => {
                let number = number.as_f64().and_then(Finite::new);
                Value::Float(number.ok_or_else(|| format!("{name}: that is no finite number"))?)
            }
        },
        Json::String(text) => Value::text(text.as_str()),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            return Err(format!("{name} must be one value"));
        }
    };
    let number = match &value {
        Value::Bool(_) => None,
        value => value.number(),
    };
    let same = |listed: &&Value| number.is_some() && listed.number() == number;
    let meant = match &parameter.domain {
        Domain::Values(values) if !values.contains(&value) => values.iter().find(same).cloned(),
        Domain::Values(_) => None,
        Domain::Int(_) | Domain::Float(_) => number.and_then(Finite::new).map(Value::Float),
    };
    let value = match (meant, value) {
        // A whole number keeps all its digits.
        (Some(Value::Float(_)), Value::Int(whole)) => Value::Int(whole),
        (Some(meant), _) => meant,
        (None, value) => value,
    };
    let admitted = parameter.domain.admit(&value);
    admitted.map_err(|problem| {
        let name = name.clone();
        shown(&ParamsError::Value { name, problem })
    })
}

fn quoted(text: &str) -> String {
    format!("`{}`", cut(&clean(text), 60))
}

/// A mistake in one bearable line.
fn shown(error: &ParamsError) -> String {
    cut(&clean(&error.to_string()), 300)
}
