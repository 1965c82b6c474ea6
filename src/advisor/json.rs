//! The JSON in what a model says, which may have other text around it.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// So many places are tried at which an object could begin.
const PLACES: usize = 20;

/// The object that a model has answered with: the whole text, the first fenced
/// block with one, or the first in the text. What it thought aloud before,
/// between `<think>` and `</think>`, counts for nothing.
///
/// # Errors
/// Why there is none, as the model is to be told.
pub(super) fn object_in(text: &str) -> Result<Map<String, Value>, String> {
    let text = text
        .rsplit_once("</think>")
        .map_or(text, |(_, after)| after);
    let whole = match parse(text.trim()) {
        Ok(object) => return Ok(object),
        Err(why) => why,
    };
    let mut wrong = None;
    // In a block first: what is before it may be an example.
    let blocks = text.split("```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.find('{').map(|at| &block[at..]));
    let places = text.match_indices('{').map(|(at, _)| &text[at..]);
    for place in blocks.chain(places).take(PLACES) {
        match parse(place) {
            Ok(object) => return Ok(object),
            Err(why) => {
                wrong.get_or_insert(why);
            }
        }
    }
    Err(match wrong {
        Some(why) => format!("it is not valid JSON: {why}"),
        None if text.trim().is_empty() => "it is empty".to_owned(),
        None if text.trim_start().starts_with('[') => format!("it is not an object: {whole}"),
        None => "there is no JSON object in it".to_owned(),
    })
}

/// The object at the start of `text`, whatever follows it.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    match Strict.deserialize(&mut json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("an object is wanted".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// JSON without a key that is there twice: of two answers neither counts.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut json: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = json.next_element_seed(Self)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut json: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = json.next_key::<String>()? {
            let value = json.next_value_seed(Self)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("`{key}` is in it twice")));
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_in_what_is_around_it() {
        let wanted = r#"{"value":[{"a":null}]}"#;
        let cases = [
            wanted.to_owned(),
            format!("  {wanted}\n"),
            format!("Sure! Here it is:\n```json\n{wanted}\n```\nGood luck {{x}}"),
            format!("Like {{this}}:\n```\n{wanted}\n```"),
            format!("I say {wanted} and no more"),
            format!("<think>maybe {{\"value\": 9}}?</think>\n{wanted}"),
            format!("```json\n{wanted}"),
        ];
        for text in cases {
            let object = object_in(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(Value::Object(object).to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_said() {
        let cases = [
            ("", "it is empty"),
            ("I cannot do that", "there is no JSON object in it"),
            ("[1]", "it is not an object: an object is wanted"),
            (
                r#"{"a": 1, "b": {"a": 2, "a": 3}}"#,
                "it is not valid JSON: `a` is in it twice at line 1 column 30",
            ),
            (
                r#"{"a": "#,
                "it is not valid JSON: EOF while parsing a value at line 1 column 6",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(object_in(text).expect_err("none"), expected, "{text}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(
            object_in(&deep)
                .expect_err("none")
                .contains("recursion limit")
        );
    }

    #[test]
    fn what_a_real_model_said_without_a_format() {
        let all: Value = serde_json::from_str(include_str!(
            "../../tests/fixtures/advisor/llama-cpp-python.json"
        ))
        .expect("a fixture");
        let said = all.pointer("/none/response/choices/0/message/content");
        let object = object_in(said.and_then(Value::as_str).expect("text")).expect("an object");
        assert_eq!(object["N_BATCH"], 512);
        let all: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/advisor/llama-cpp.json"))
                .expect("a fixture");
        let said = all.pointer("/none/response/choices/0/message/content");
        let why = object_in(said.and_then(Value::as_str).expect("text")).expect_err("none");
        assert!(why.contains("`N_THREADS` is in it twice"), "{why}");
    }
}
