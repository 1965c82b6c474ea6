//! Domains: the values that one parameter may take.

use std::fmt;

use super::value::{Finite, Value};

/// How the points of a range are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences.
    Linear,
    /// Equal ratios; both ends are above zero.
    Log,
}

/// What one parameter may be. A domain is never empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// One of a list, in its owner's order.
    Values(Vec<Value>),
    /// A whole number between two, both allowed.
    Int(IntRange),
    /// A number between two, both allowed.
    Float(FloatRange),
}

/// See [`Domain::Int`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntRange {
    low: i64,
    high: i64,
    scale: Scale,
}

/// See [`Domain::Float`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatRange {
    low: Finite,
    high: Finite,
    scale: Scale,
}

impl IntRange {
    /// The lowest and the highest number.
    pub const fn ends(&self) -> (i64, i64) {
        (self.low, self.high)
    }

    /// How its points are spread.
    pub const fn scale(&self) -> Scale {
        self.scale
    }
}

impl FloatRange {
    /// The lowest and the highest number.
    pub const fn ends(&self) -> (f64, f64) {
        (self.low.get(), self.high.get())
    }

    /// How its points are spread.
    pub const fn scale(&self) -> Scale {
        self.scale
    }
}

/// Why a domain, or a value of one, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// A list without values.
    #[error("an empty list leaves nothing to try: give at least one value")]
    Empty,
    /// A value that stands twice in a list.
    #[error("the value `{0}` stands in the list twice")]
    Duplicate(String),
    /// Ends that are the wrong way round.
    #[error("the range [{low}, {high}] is empty: the first number must not be above the second")]
    Reversed {
        /// The lower end as given.
        low: String,
        /// The upper end as given.
        high: String,
    },
    /// NaN or infinity.
    #[error("a range's ends must be finite numbers, not {0}")]
    NotFinite(String),
    /// A logarithmic range that touches zero.
    #[error("a log range must begin above 0, not at {0}")]
    LogNotPositive(String),
    /// A text that no environment variable or argument can carry.
    #[error("the value {0:?} has a NUL byte in it, which no program can be given")]
    Nul(String),
    /// A value that does not belong to the domain.
    #[error("`{value}` is not allowed: choose {domain}")]
    NotAllowed {
        /// The refused text.
        value: String,
        /// The domain, for people.
        domain: String,
    },
}

impl Domain {
    /// A list of values.
    ///
    /// # Errors
    /// When the list is empty, has a value twice, or has a NUL byte in a text.
    pub fn values(values: Vec<Value>) -> Result<Self, DomainError> {
        if values.is_empty() {
            return Err(DomainError::Empty);
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                return Err(DomainError::Duplicate(value.to_string()));
            }
            check_text(value)?;
        }
        Ok(Self::Values(values))
    }

    /// Whole numbers from `low` to `high`.
    ///
    /// # Errors
    /// When the ends are reversed, or `scale` is log and `low` below 1.
    pub fn int(low: i64, high: i64, scale: Scale) -> Result<Self, DomainError> {
        if low > high {
            return Err(DomainError::Reversed {
                low: low.to_string(),
                high: high.to_string(),
            });
        }
        if scale == Scale::Log && low < 1 {
            return Err(DomainError::LogNotPositive(low.to_string()));
        }
        Ok(Self::Int(IntRange { low, high, scale }))
    }

    /// Numbers from `low` to `high`.
    ///
    /// # Errors
    /// When an end is not finite, the ends are reversed, or `scale` is log and
    /// `low` not above 0.
    pub fn float(low: f64, high: f64, scale: Scale) -> Result<Self, DomainError> {
        let finite = |n: f64| Finite::new(n).ok_or_else(|| DomainError::NotFinite(n.to_string()));
        let (low, high) = (finite(low)?, finite(high)?);
        if low > high {
            return Err(DomainError::Reversed {
                low: format!("{low:?}"),
                high: format!("{high:?}"),
            });
        }
        if scale == Scale::Log && low.get() <= 0.0 {
            return Err(DomainError::LogNotPositive(format!("{low:?}")));
        }
        Ok(Self::Float(FloatRange { low, high, scale }))
    }

    /// The value of this domain that `given` stands for: the listed value of
    /// the same text, or the number in the range.
    ///
    /// # Errors
    /// [`DomainError::NotAllowed`] when there is none.
    pub fn admit(&self, given: &Value) -> Result<Value, DomainError> {
        let admitted = match self {
            Self::Values(values) => values.iter().find(|value| *value == given).cloned(),
            Self::Int(range) => whole(given)
                .filter(|n| (range.low..=range.high).contains(n))
                .map(Value::Int),
            Self::Float(range) => given
                .number()
                .and_then(Finite::new)
                .filter(|n| (range.low..=range.high).contains(n))
                .map(Value::Float),
        };
        admitted.ok_or_else(|| DomainError::NotAllowed {
            value: given.to_string(),
            domain: self.to_string(),
        })
    }

    /// How many values there are; `None` for a range of floats with more than
    /// one.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::Values(values) => Some(values.len() as u64),
            Self::Int(range) => range
                .high
                .checked_sub(range.low)?
                .unsigned_abs()
                .checked_add(1),
            Self::Float(range) => (range.low == range.high).then_some(1),
        }
    }

    /// The values to try one after the other where a domain must be walked:
    /// a whole list, or at most `count` points of a range, evenly spread on its
    /// scale with both ends among them.
    pub fn levels(&self, count: usize) -> Vec<Value> {
        if let Self::Values(values) = self {
            return values.clone();
        }
        let count = count.max(2);
        let mut levels: Vec<Value> = Vec::with_capacity(count);
        for index in 0..count {
            let level = self.at(index as f64 / (count - 1) as f64);
            if levels.last() != Some(&level) {
                levels.push(level);
            }
        }
        levels
    }

    /// The value at `position` (0 to 1) of the domain, on its scale.
    pub fn at(&self, position: f64) -> Value {
        let position = position.clamp(0.0, 1.0);
        match self {
            Self::Values(values) => {
                let index = (position * values.len() as f64) as usize;
                values[index.min(values.len() - 1)].clone()
            }
            Self::Int(range) => {
                let point = spread(range.low as f64, range.high as f64, range.scale, position);
                Value::Int((point.round() as i64).clamp(range.low, range.high))
            }
            Self::Float(range) => {
                let (low, high) = (range.low.get(), range.high.get());
                let point = spread(low, high, range.scale, position).clamp(low, high);
                // Six figures are more than any program tells apart, and are
                // what a person can read and type again.
                let rounded = format!("{point:.5e}").parse().unwrap_or(point);
                let kept = if (low..=high).contains(&rounded) {
                    rounded
                } else {
                    point
                };
                Value::Float(Finite::new(kept).unwrap_or(range.low))
            }
        }
    }

    /// The value that a parameter has when its owner names none: the first of
    /// a list, the middle of a range on its scale.
    pub fn default_value(&self) -> Value {
        match self {
            Self::Values(values) => values[0].clone(),
            range => range.at(0.5),
        }
    }
}

/// Refuses text that the system cannot pass to a program.
///
/// # Errors
/// [`DomainError::Nul`].
pub fn check_text(value: &Value) -> Result<(), DomainError> {
    match value {
        Value::Text(text) if text.contains('\0') => Err(DomainError::Nul(text.to_string())),
        _ => Ok(()),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        Value::Float(number) if number.get().fract() == 0.0 && number.get().abs() < 9e15 => {
            Some(number.get() as i64)
        }
        _ => None,
    }
}

fn spread(low: f64, high: f64, scale: Scale, position: f64) -> f64 {
    match scale {
        Scale::Linear => low + (high - low) * position,
        Scale::Log => (low.ln() + (high.ln() - low.ln()) * position).exp(),
    }
}

impl fmt::Display for Domain {
    /// The domain as a person would say it: `one of 1, 2, 4`, `a whole number
    /// from 4 to 64 (log)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = |scale| if scale == Scale::Log { " (log)" } else { "" };
        match self {
            Self::Values(values) => {
                f.write_str("one of ")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{value}")?;
                }
                Ok(())
            }
            Self::Int(IntRange { low, high, scale }) => {
                write!(f, "a whole number from {low} to {high}{}", log(*scale))
            }
            Self::Float(FloatRange { low, high, scale }) => {
                write!(f, "a number from {low:?} to {high:?}{}", log(*scale))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_tried() {
        assert_eq!(Domain::values(vec![]), Err(DomainError::Empty));
        let twice = Domain::values(vec![1.into(), "1".into()]);
        assert_eq!(twice, Err(DomainError::Duplicate("1".into())));
        assert!(Domain::values(vec!["a\0b".into()]).is_err());
        assert!(Domain::int(5, 4, Scale::Linear).is_err());
        assert!(Domain::int(0, 4, Scale::Log).is_err());
        assert!(Domain::float(f64::NAN, 1.0, Scale::Linear).is_err());
        assert!(Domain::float(0.0, 1.0, Scale::Log).is_err());
    }

    #[test]
    fn admits_by_text_and_by_number() {
        let list = Domain::values(vec!["0.97".into(), "0.98".into()]).expect("a list");
        assert!(list.admit(&"0.98".into()).is_ok());
        assert!(list.admit(&"0.980".into()).is_err());
        let range = Domain::int(4, 64, Scale::Log).expect("a range");
        assert_eq!(range.admit(&"16".into()), Ok(Value::Int(16)));
        assert!(range.admit(&"65".into()).is_err());
        assert!(range.admit(&"16.5".into()).is_err());
    }

    #[test]
    fn levels_hold_both_ends_and_repeat_nothing() {
        let text = |domain: &Domain, n| {
            domain
                .levels(n)
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let rank = Domain::int(4, 64, Scale::Log).expect("a range");
        assert_eq!(text(&rank, 5), "4 8 16 32 64");
        let rate = Domain::float(1e-5, 1e-3, Scale::Log).expect("a range");
        assert_eq!(text(&rate, 3), "1e-5 0.0001 0.001");
        let few = Domain::int(1, 3, Scale::Linear).expect("a range");
        assert_eq!(text(&few, 9), "1 2 3");
    }

    #[test]
    fn sizes_do_not_overflow() {
        let all = Domain::int(i64::MIN, i64::MAX, Scale::Linear).expect("a range");
        assert_eq!(all.size(), None);
        assert_eq!(
            Domain::int(1, 3, Scale::Linear).expect("a range").size(),
            Some(3)
        );
    }
}
