//! One checked assignment of every active parameter.

use std::fmt;
use std::sync::Arc;

use super::Name;
use super::value::Value;

/// One value for every active parameter, sorted by name. Cheap to clone.
///
/// New params come from [`super::space::Space`] alone, which checks them;
/// params that were checked before they were recorded come back by
/// [`Params::recorded`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Params(Arc<[(Name, Value)]>);

impl Params {
    /// Params as a journal or a results file has them. They were checked when
    /// they were written, perhaps against a space that has changed since.
    pub fn recorded(values: impl IntoIterator<Item = (Name, Value)>) -> Self {
        Self::from_checked(values.into_iter().collect())
    }

    pub(super) fn from_checked(mut values: Vec<(Name, Value)>) -> Self {
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(values.into())
    }

    /// The value of `name`, if it is active.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let index = self
            .0
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()?;
        Some(&self.0[index].1)
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// `NAME=VALUE` pairs sorted by name and joined with `|`: the reference
    /// tuner's `trial_key`.
    pub fn key(&self) -> String {
        let pairs: Vec<String> = self.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("|")
    }

    /// The names whose values differ from `other`'s, also those that only one
    /// of the two has.
    pub fn difference(&self, other: &Params) -> Vec<Name> {
        let mut names: Vec<Name> = self
            .iter()
            .filter(|(name, value)| other.get(name) != Some(value))
            .map(|(name, _)| name.clone())
            .collect();
        names.extend(
            other
                .iter()
                .map(|(n, _)| n)
                .filter(|n| self.get(n).is_none())
                .cloned(),
        );
        names
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params::recorded(pairs.iter().map(|(n, v)| (Name::from(*n), Value::from(*v))))
    }

    #[test]
    fn key_is_sorted() {
        assert_eq!(params(&[("B", "2"), ("A", "1")]).key(), "A=1|B=2");
    }

    #[test]
    fn difference_names_both_sides() {
        let one = params(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let two = params(&[("A", "1"), ("B", "9"), ("D", "4")]);
        assert_eq!(
            one.difference(&two),
            ["B".into(), "C".into(), "D".into()] as [Name; 3]
        );
    }
}
