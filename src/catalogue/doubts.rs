//! What is wrong with the arguments of a call.

use super::assigned::{Call, Given};
use super::{Argument, Catalogue, Entry, Generation, Kind, ms_swift, renamed};
use crate::model::expression::Expression;
use crate::model::value::{Finite, Value};

/// Something that is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The index of the word that it is about.
    pub at: usize,
    /// What is wrong.
    pub trouble: Trouble,
    /// Whether the release itself is known to object; else it is likely.
    pub certain: bool,
}

/// What is wrong with an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The command has no such argument.
    #[error("`swift {command}` has no argument --{name}, as ms-swift {release} describes it")]
    Unknown {
        /// The command.
        command: String,
        /// As it was typed.
        name: String,
        /// The name that is most likely meant.
        nearest: Option<String>,
        /// The release that was looked into.
        release: String,
    },
    /// It does not take that.
    #[error("--{name}: {error}")]
    Value {
        /// As it was typed.
        name: String,
        /// Why not.
        error: ValueError,
    },
    /// Under the other arguments it changes nothing.
    #[error("--{name} has no effect here: it takes {when}")]
    NoEffect {
        /// As it was typed.
        name: String,
        /// The condition that does not hold.
        when: String,
    },
}

/// Why an argument does not take a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Of another type.
    #[error("`{value}` is not {expected}")]
    Type {
        /// What was given.
        value: String,
        /// What it would be.
        expected: &'static str,
    },
    /// Not among the choices.
    #[error("`{value}` is none of {choices}")]
    Choice {
        /// What was given.
        value: String,
        /// What it could be.
        choices: String,
    },
    /// Nothing, where something is needed.
    #[error("it needs a value")]
    Missing,
    /// Several, where one is taken.
    #[error("it takes one value, not {0}")]
    TooMany(usize),
}

impl Argument {
    /// The value that `text` stands for.
    ///
    /// # Errors
    /// When it is of another type, or none of the choices.
    pub fn read(&self, text: &str) -> Result<Value, ValueError> {
        let value = typed(self.kind, text).ok_or_else(|| ValueError::Type {
            value: text.to_owned(),
            expected: match self.kind {
                Kind::Str => "a text",
                Kind::Int => "a whole number",
                Kind::Float => "a number",
                Kind::Bool => "true or false",
                Kind::Json => "a JSON object",
            },
        })?;
        let choices: Vec<String> = self.choices().collect();
        let is_chosen = |choice: &String| *choice == value.to_string();
        if !choices.is_empty() && !choices.iter().any(is_chosen) {
            return Err(ValueError::Choice {
                value: text.to_owned(),
                choices: choices.join(", "),
            });
        }
        Ok(value)
    }
}

/// As the program's parser reads it.
fn typed(kind: Kind, text: &str) -> Option<Value> {
    let text = text.trim();
    match kind {
        Kind::Str => Some(Value::text(text)),
        Kind::Int => text.parse().ok().map(Value::Int),
        Kind::Float => text.parse().ok().and_then(Finite::new).map(Value::Float),
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Some(Value::Bool(true)),
            "false" | "f" | "no" | "n" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        // What does not begin as an object may be the path of a file.
        Kind::Json => {
            let is_object = text.starts_with('{');
            let is_good = !is_object || serde_json::from_str::<serde_json::Value>(text).is_ok();
            is_good.then(|| Value::text(text))
        }
    }
}

/// What is wrong with a call of ms-swift. `release` is the one that is
/// installed, where that is known; `may_be` gives the texts that a word can be:
/// one for a fixed word, those of a parameter's domain, none when that is open.
///
/// Of a release that no catalogue describes, only what both generations object
/// to is doubted, and nothing for certain.
pub fn doubts(
    call: &Call<'_>,
    release: Option<&str>,
    may_be: impl Fn(&str) -> Vec<String>,
) -> Vec<Doubt> {
    let generation = release.and_then(Generation::of);
    let generation = generation.unwrap_or_else(|| likely(call));
    let catalogue = ms_swift(generation);
    if !catalogue.commands().contains(call.command) {
        return Vec::new();
    }
    let other = ms_swift(generation.other());
    let is_described = release.is_some_and(|release| catalogue.is_of_release(release));
    let mut doubts = Vec::new();
    for given in &call.given {
        let Some((at, trouble)) = catalogue.trouble(call, given, &may_be) else {
            continue;
        };
        let in_other = other.trouble(call, given, &may_be);
        let is_shared = match (&trouble, &in_other) {
            (_, None) => false,
            (_, Some((_, Trouble::Unknown { .. }))) => true,
            (Trouble::Unknown { .. }, Some(_)) => false,
            _ => true,
        };
        // A description of release 3 leaves out what it takes from elsewhere;
        // that the newer one has it tells that it may be there.
        let is_unlisted = matches!(trouble, Trouble::Unknown { .. })
            && generation == Generation::Three
            && other.knows(call.command, given.name)
            && renamed(generation, given.name).is_none();
        if (!is_described && !is_shared) || (is_described && is_unlisted) {
            continue;
        }
        let certain = is_described && !matches!(trouble, Trouble::NoEffect { .. });
        doubts.push(Doubt {
            at,
            trouble,
            certain,
        });
    }
    doubts
}

/// The generation that knows more of what is given.
fn likely(call: &Call<'_>) -> Generation {
    let known = |generation| {
        let catalogue = ms_swift(generation);
        let given = call.given.iter();
        given
            .filter(|given| catalogue.knows(call.command, given.name))
            .count()
    };
    if known(Generation::Four) > known(Generation::Three) {
        Generation::Four
    } else {
        Generation::Three
    }
}

impl Catalogue {
    /// Whether `release` is the described one: `3.0.2` is of `3.0`.
    fn is_of_release(&self, release: &str) -> bool {
        let begins = |whole: &str, part: &str| {
            part.contains('.')
                && whole
                    .strip_prefix(part)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        begins(release, &self.release) || begins(&self.release, release)
    }

    fn knows(&self, command: &str, name: &str) -> bool {
        self.of(command, name).next().is_some() || self.negated(command, name).is_some()
    }

    /// The switch that `--no_NAME` turns off.
    fn negated<'a>(&'a self, command: &'a str, name: &str) -> Option<Entry<'a>> {
        let name = name.strip_prefix("no_").or(name.strip_prefix("no-"))?;
        let mut switches = self.of(command, name);
        switches.find(|entry| entry.argument.kind == Kind::Bool)
    }

    /// What is wrong with one argument, and with which word.
    fn trouble(
        &self,
        call: &Call<'_>,
        given: &Given<'_>,
        may_be: &impl Fn(&str) -> Vec<String>,
    ) -> Option<(usize, Trouble)> {
        let name = || given.name.to_owned();
        let entries: Vec<Entry<'_>> = self.of(call.command, given.name).collect();
        let Some(own) = entries.last() else {
            if self.negated(call.command, given.name).is_some() {
                return None;
            }
            let generation = Generation::of(&self.release);
            let nearest = generation
                .and_then(|generation| renamed(generation, given.name))
                .filter(|name| self.knows(call.command, name))
                .or_else(|| self.nearest(Some(call.command), given.name));
            let unknown = Trouble::Unknown {
                command: call.command.to_owned(),
                name: name(),
                nearest: nearest.map(str::to_owned),
                release: self.release.clone(),
            };
            return Some((given.at, unknown));
        };
        let wrong = |at, error| {
            let name = name();
            Some((at, Trouble::Value { name, error }))
        };
        if given.values.is_empty() && own.argument.kind != Kind::Bool {
            return wrong(given.at, ValueError::Missing);
        }
        let is_one = entries.iter().all(|entry| !entry.argument.list);
        if is_one && given.values.len() > 1 {
            return wrong(given.at, ValueError::TooMany(given.values.len()));
        }
        for (at, word) in &given.values {
            for text in may_be(word) {
                let taken = entries
                    .iter()
                    .any(|entry| entry.argument.read(&text).is_ok());
                if let (false, Err(error)) = (taken, own.argument.read(&text)) {
                    return wrong(*at, error);
                }
            }
        }
        let failing = entries.iter().map(|entry| {
            let mut whens = entry.whens();
            whens.find(|when| self.holds(when, call, may_be) == Some(false))
        });
        let failing: Option<Vec<&str>> = failing.collect();
        let when = failing?.pop()?.to_owned();
        let name = name();
        Some((given.at, Trouble::NoEffect { name, when }))
    }

    /// Whether a condition holds under a call; `None` when that cannot be told.
    fn holds(
        &self,
        when: &str,
        call: &Call<'_>,
        may_be: &impl Fn(&str) -> Vec<String>,
    ) -> Option<bool> {
        let expression = Expression::new(when).ok()?;
        let names = expression.names().iter();
        let values: Vec<(&str, Value)> = names
            .filter_map(|name| Some((&**name, self.value(name, call, may_be)?)))
            .collect();
        let lookup = |name: &str| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value)
        };
        expression.holds(lookup).ok().flatten()
    }

    /// What an argument is under a call; `None` when that cannot be told. What
    /// is nothing by default is an empty text.
    fn value(
        &self,
        name: &str,
        call: &Call<'_>,
        may_be: &impl Fn(&str) -> Vec<String>,
    ) -> Option<Value> {
        let argument = self.of(call.command, name).last()?.argument;
        let is_named = |given: &&Given<'_>| super::underscored(given.name) == name;
        let is_negated = |given: &Given<'_>| {
            let given = super::underscored(given.name);
            given.strip_prefix("no_") == Some(name)
        };
        let Some(given) = call.given.iter().rev().find(is_named) else {
            if call.given.iter().any(is_negated) {
                return Some(Value::Bool(false));
            }
            let default = argument.default_text().unwrap_or_default();
            return Some(typed(argument.kind, &default).unwrap_or_else(|| Value::text(default)));
        };
        match given.values.as_slice() {
            [] => (argument.kind == Kind::Bool).then_some(Value::Bool(true)),
            [(_, word)] => match may_be(word).as_slice() {
                [text] => typed(argument.kind, text),
                _ => None,
            },
            [(_, first), ..] => Some(Value::text(*first)),
        }
    }
}
