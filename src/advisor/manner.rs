//! How a server wants to be asked. Servers of the same endpoint differ: some
//! keep an answer to a schema, some to JSON, some to nothing; some know
//! `max_tokens` and others `max_completion_tokens`.

use serde_json::{Value, json};

use super::message::Message;
use crate::model::spec::Advisor;

/// How an answer is made to be JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `response_format` is `json_schema`, strict.
    #[default]
    Schema,
    /// `response_format` is `json_object` with a `schema`.
    Object,
    /// The model is asked for a fenced block of JSON.
    Plain,
}

impl Format {
    /// Its name, in dialogues and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "json_schema",
            Self::Object => "json_object",
            Self::Plain => "plain",
        }
    }
}

/// How a server wants to be asked, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) format: Format,
    /// The server has answered when it was asked like this.
    is_proven: bool,
    /// It wants `max_completion_tokens` for `max_tokens`.
    newer_limit: bool,
    /// It takes no `temperature`.
    no_temperature: bool,
    /// It takes no `maxLength` in a schema.
    no_lengths: bool,
}

impl Manner {
    pub(super) const fn proven(self) -> Self {
        Self {
            is_proven: true,
            ..self
        }
    }

    /// The body of a request.
    pub(super) fn body(
        &self,
        advisor: &Advisor,
        messages: &[Message],
        schema: &Value,
        answer_tokens: u64,
    ) -> Value {
        let mut messages = messages.to_vec();
        let mut schema = schema.clone();
        if self.no_lengths {
            without_lengths(&mut schema);
        }
        if let (Format::Plain, Some(last)) = (self.format, messages.last_mut()) {
            last.content += &format!(
                "\n\nAnswer with one JSON object in a fenced block (```json), by this schema, and \
                 with nothing after it:\n{schema}"
            );
        }
        let mut body = json!({ "model": advisor.model, "messages": messages });
        let limit = match self.newer_limit {
            true => "max_completion_tokens",
            false => "max_tokens",
        };
        body[limit] = answer_tokens.into();
        if let Some(temperature) = advisor.temperature.filter(|_| !self.no_temperature) {
            body["temperature"] = temperature.get().into();
        }
        match self.format {
            Format::Schema => {
                body["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": { "name": "answer", "strict": true, "schema": schema },
                });
            }
            Format::Object => {
                body["response_format"] = json!({ "type": "json_object", "schema": schema });
            }
            Format::Plain => {}
        }
        body
    }

    /// How to ask instead where the server has refused to be asked like this;
    /// `None` where that is not the reason.
    pub(super) fn instead(self, status: u16, said: &str) -> Option<Self> {
        let said = said.to_ascii_lowercase();
        let is_bad_request = matches!(status, 400 | 422);
        let mut other = Self {
            is_proven: false,
            ..self
        };
        if is_bad_request && said.contains("max_completion_tokens") && !self.newer_limit {
            other.newer_limit = true;
        } else if is_bad_request && said.contains("temperature") && !self.no_temperature {
            other.no_temperature = true;
        } else if is_bad_request && said.contains("maxlength") && !self.no_lengths {
            other.no_lengths = true;
        } else if is_bad_request || (matches!(status, 404 | 500) && !self.is_proven) {
            other.format = match self.format {
                Format::Schema => Format::Object,
                Format::Object => Format::Plain,
                Format::Plain => return None,
            };
        } else {
            return None;
        }
        Some(other)
    }
}

fn without_lengths(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // A parameter may have this name.
            if map.get("maxLength").is_some_and(Value::is_number) {
                map.remove("maxLength");
            }
            map.values_mut().for_each(without_lengths);
        }
        Value::Array(list) => list.iter_mut().for_each(without_lengths),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_refuses_is_left_out_or_said_otherwise() {
        let first = Manner::default();
        let newer = first.instead(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
        );
        let newer = newer.expect("another way");
        assert_eq!((newer.format, newer.newer_limit), (Format::Schema, true));
        let cooler = newer.instead(400, "Unsupported value: 'temperature' does not support 0.2");
        assert!(cooler.expect("another way").no_temperature);
        let object = first.instead(500, "Input should be 'text' or 'json_object'");
        let plain = object.and_then(|object| object.instead(500, "no"));
        assert_eq!(plain.expect("another way").format, Format::Plain);
        assert_eq!(plain.and_then(|plain| plain.instead(500, "no")), None);
        // Who has answered like this before has another trouble now.
        assert_eq!(first.proven().instead(500, "overloaded"), None);
        assert!(first.proven().instead(422, "no such type").is_some());
        assert_eq!(first.instead(401, "no"), None);
    }

    #[test]
    fn lengths_are_left_out_everywhere() {
        let mut schema = json!({"a": [{"maxLength": 3, "b": 1}]});
        without_lengths(&mut schema);
        assert_eq!(schema, json!({"a": [{"b": 1}]}));
    }
}
