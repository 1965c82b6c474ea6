//! Finite numbers, and the values that a parameter can take.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A number that is neither NaN nor infinite, and never minus zero, so that it
/// can be compared, hashed and written as JSON.
#[derive(Clone, Copy, PartialEq)]
pub struct Finite(f64);

impl Finite {
    /// `None` for NaN and the infinities.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Finite {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Debug for Finite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One value of a parameter.
///
/// Two values are equal when their texts are: a program sees a value only as
/// text, in its environment or its arguments, so `1` and `"1"` are one value.
#[derive(Clone)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(Finite),
    /// Any text without a NUL byte.
    Text(Arc<str>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The number that the value is or that its text spells, for rules and for
    /// models of the space.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(_) => None,
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(number.get()),
            Self::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        }
    }
}

impl fmt::Display for Value {
    /// The text that a program gets: floats in their shortest exact form, with
    /// a point or an exponent (`0.5`, `1.0`, `1e-5`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(truth) => truth.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Float(number) => write!(f, "{:?}", number.get()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (a, b) => a.to_string() == b.to_string(),
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Text(text) => text.hash(state),
            other => other.to_string().as_str().hash(state),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(number: f64) -> Value {
        Value::Float(Finite::new(number).expect("finite"))
    }

    #[test]
    fn only_finite_numbers() {
        assert!(Finite::new(f64::NAN).is_none());
        assert!(Finite::new(f64::NEG_INFINITY).is_none());
        assert_eq!(Finite::new(-0.0), Finite::new(0.0));
    }

    #[test]
    fn the_text_decides_equality() {
        assert_eq!(Value::from(1), Value::from("1"));
        assert_ne!(Value::from("1.00"), Value::from("1.0"));
        assert_ne!(float(1.0), Value::from(1));
        assert_eq!(float(1e-5).to_string(), "1e-5");
        assert_eq!(float(1.0).to_string(), "1.0");
    }

    #[test]
    fn text_that_spells_a_number() {
        assert_eq!(Value::from(" 0.97").number(), Some(0.97));
        assert_eq!(Value::from("auto").number(), None);
        assert_eq!(Value::from("nan").number(), None);
    }
}
