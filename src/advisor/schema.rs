//! The JSON schema of an answer, made from the space.

use serde_json::{Map, Value as Json, json};

use crate::model::advice::Question;
use crate::model::domain::Domain;
use crate::model::space::Parameter;
use crate::model::spec::Advisor;
use crate::model::study::Study;
use crate::model::value::Value;

/// The longest comment that is asked for, in letters.
const COMMENT: u32 = 400;
/// The longest summary that is asked for, in letters.
const SUMMARY: u32 = 4000;

/// The schema of the answer to a question. `untried` are the values of its
/// parameter that are left, where it has a list of them. Every key is required
/// and no other allowed, as strict servers want it: `null` is no value.
pub(super) fn of(
    question: &Question,
    advisor: &Advisor,
    study: &Study,
    untried: Option<&[Value]>,
) -> Json {
    let space = &study.spec().space;
    let tunable = || space.parameters().iter().filter(|one| one.is_tunable());
    let params = || {
        let of = |one: &Parameter| (one.name.to_string(), parameter(one));
        object(tunable().map(of).collect())
    };
    let comment = ("comment".to_owned(), text(COMMENT));
    object(match question {
        Question::Plan => {
            let left = tunable().filter(|one| study.is_left_to_plan(&one.name));
            let names: Vec<&str> = left.map(|one| &*one.name).collect();
            let priority = json!({
                "type": "array",
                "items": { "type": "string", "enum": names },
                "minItems": 1,
                "maxItems": most_planned(advisor, study),
            });
            vec![
                ("base".to_owned(), params()),
                ("priority".to_owned(), priority),
                comment,
            ]
        }
        Question::Value { parameter, .. } => {
            let domain = space.parameter(parameter).map(|one| &one.domain);
            let value = match (untried, domain) {
                (Some(values), _) => list(values),
                (None, Some(domain)) => self::domain(domain),
                (None, None) => json!({}),
            };
            vec![("value".to_owned(), or_null(value)), comment]
        }
        Question::Params => vec![("params".to_owned(), params()), comment],
        Question::Summary => vec![("summary".to_owned(), text(SUMMARY))],
    })
}

/// How many parameters a plan may name: those that the fall-back has gone
/// through before there was one count, too.
pub(super) fn most_planned(advisor: &Advisor, study: &Study) -> usize {
    let most = advisor.max_priority_params as usize;
    most.saturating_sub(study.gone_through().len()).max(1)
}

/// That of the smallest of all questions.
pub(super) fn of_test() -> Json {
    let value = json!({ "type": "integer", "minimum": 1, "maximum": 9 });
    object(vec![("value".to_owned(), value)])
}

fn object(properties: Vec<(String, Json)>) -> Json {
    let names: Vec<String> = properties.iter().map(|(name, _)| name.clone()).collect();
    let properties: Map<String, Json> = properties.into_iter().collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

fn text(longest: u32) -> Json {
    json!({ "type": "string", "maxLength": longest })
}

fn or_null(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// One with a condition may be left out.
fn parameter(parameter: &Parameter) -> Json {
    let domain = domain(&parameter.domain);
    match &parameter.when {
        Some(_) => or_null(domain),
        None => domain,
    }
}

fn domain(domain: &Domain) -> Json {
    match domain {
        Domain::Values(values) => list(values),
        Domain::Int(range) => {
            let (low, high) = range.ends();
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        Domain::Float(range) => {
            let (low, high) = range.ends();
            json!({ "type": "number", "minimum": low, "maximum": high })
        }
    }
}

fn list(values: &[Value]) -> Json {
    let kind = match values.first() {
        Some(Value::Bool(_)) => "boolean",
        Some(Value::Text(_)) | None => "string",
        Some(_) if values.iter().all(|value| matches!(value, Value::Int(_))) => "integer",
        Some(_) => "number",
    };
    let values: Vec<Json> = values.iter().map(json_of).collect();
    json!({ "type": kind, "enum": values })
}

pub(super) fn json_of(value: &Value) -> Json {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => number.get().into(),
        Value::Text(text) => (**text).into(),
    }
}
