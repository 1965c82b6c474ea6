//! Conditions and rules: `train_type == 'lora'`, `SOFT <= HARD`. The language
//! is Jinja's, by `minijinja`.
//!
//! A text that spells a number is a number here, so that `"96" <= "192"`
//! compares numbers; write `N == 0`, not `N == '0'`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value as EngineValue;

use super::Name;
use super::template::{ENGINE, TemplateError, sorted};
use super::value::Value;

/// A checked expression that is true or false for a choice of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    source: Arc<str>,
    names: Vec<Name>,
}

impl Expression {
    /// Checks the syntax of `source`.
    ///
    /// # Errors
    /// What is wrong with it, in the engine's words.
    pub fn new(source: impl Into<Arc<str>>) -> Result<Self, TemplateError> {
        let source = source.into();
        let parsed = ENGINE
            .compile_expression(&source)
            .map_err(|error| TemplateError::from_engine(&error))?;
        let names = sorted(parsed.undeclared_variables(false));
        Ok(Self { source, names })
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it asks for, sorted.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether the expression is true; `None` when one of its names has no
    /// value (the parameter is not active).
    ///
    /// # Errors
    /// When the values do not fit the expression: a division by zero, for
    /// instance. The engine orders a text and a number without complaint.
    pub fn holds<'a>(
        &self,
        lookup: impl Fn(&str) -> Option<&'a Value>,
    ) -> Result<Option<bool>, TemplateError> {
        let mut values: BTreeMap<String, EngineValue> = BTreeMap::new();
        for name in &self.names {
            let Some(value) = lookup(name) else {
                return Ok(None);
            };
            values.insert(name.to_string(), to_engine(value));
        }
        let answer = ENGINE
            .compile_expression(&self.source)
            .and_then(|parsed| parsed.eval(EngineValue::from(values)))
            .map_err(|error| TemplateError::from_engine(&error))?;
        Ok(Some(answer.is_true()))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn to_engine(value: &Value) -> EngineValue {
    match value {
        Value::Bool(truth) => EngineValue::from(*truth),
        Value::Int(number) => EngineValue::from(*number),
        Value::Float(number) => EngineValue::from(number.get()),
        Value::Text(text) => match (text.trim().parse::<i64>(), value.number()) {
            (Ok(whole), _) => EngineValue::from(whole),
            (_, Some(number)) => EngineValue::from(number),
            _ => EngineValue::from(&**text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(source: &str, values: &[(&str, Value)]) -> Option<bool> {
        let expression = Expression::new(source).expect("good syntax");
        expression
            .holds(|name| values.iter().find(|(n, _)| *n == name).map(|(_, v)| v))
            .expect("values that fit")
    }

    #[test]
    fn texts_that_spell_numbers_compare_as_numbers() {
        let values = [("SOFT", Value::from("96")), ("HARD", Value::from("192"))];
        assert_eq!(holds("SOFT <= HARD", &values), Some(true));
        assert_eq!(holds("SOFT * 2 > HARD", &values), Some(false));
        assert_eq!(holds("SOFT == 96", &values), Some(true));
    }

    #[test]
    fn words_and_lists() {
        let values = [("train_type", Value::from("lora"))];
        assert_eq!(holds("train_type == 'lora'", &values), Some(true));
        assert_eq!(
            holds("train_type in ['full', 'adalora']", &values),
            Some(false)
        );
        assert_eq!(holds("not (train_type == 'full')", &values), Some(true));
    }

    #[test]
    fn a_name_without_value_decides_nothing() {
        assert_eq!(holds("A < B", &[("A", Value::from(1))]), None);
    }

    #[test]
    fn bad_syntax_is_refused() {
        for source in ["A <", "A === B", "(A", ""] {
            assert!(Expression::new(source).is_err(), "{source}");
        }
    }
}
