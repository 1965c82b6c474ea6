//! The small types of the journal's JSON. They borrow from the line from which
//! they are read, so that a large journal is read without a copy of its text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::model::Name;
use crate::model::params::Params;
use crate::model::value::{Finite, Value};

/// Keeps one copy of each short text that comes again and again: without it a
/// large study takes several times the memory.
#[derive(Default)]
pub(super) struct Interner {
    names: HashSet<Name>,
    /// The last name of each length: mostly the next one too, which saves the
    /// hashing.
    last: [Option<Name>; 32],
}

impl Interner {
    pub(super) fn name(&mut self, text: &str) -> Name {
        let last = &mut self.last[text.len() % 32];
        if let Some(name) = last.as_ref().filter(|name| &***name == text) {
            return name.clone();
        }
        let name = self.names.get(text).cloned().unwrap_or_else(|| {
            let name = Name::from(text);
            self.names.insert(name.clone());
            name
        });
        *last = Some(name.clone());
        name
    }
}

/// A text that stays in the line from which it is read, where it has no
/// escapes.
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn owned(self) -> String {
        self.0.into_owned()
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Reader).map(Self)
    }
}

/// A parameter's value in JSON's own types: `true`, `1`, `1.0`, `"1"`.
pub(super) enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text<'a>),
}

impl<'a> Scalar<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Float(number.get()),
            Value::Text(text) => Self::Text(Text::of(text)),
        }
    }

    /// Params, each value under its name.
    pub(super) fn pairs(params: &'a Params) -> Pairs<'a, Self> {
        let values = params.iter();
        Pairs(
            values
                .map(|(name, value)| (Text::of(name), Self::of(value)))
                .collect(),
        )
    }

    pub(super) fn into_value(self, names: &mut Interner) -> Result<Value, String> {
        Ok(match self {
            Self::Bool(truth) => Value::Bool(truth),
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(
                Finite::new(number).ok_or_else(|| format!("{number} is not a finite number"))?,
            ),
            // The values of a list come again and again; those of a range are
            // no texts.
            Self::Text(text) => Value::Text(names.name(&text.0)),
        })
    }
}

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false")
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(truth))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Int(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                i64::try_from(number).map(Scalar::Int).map_err(E::custom)
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Text(Cow::Owned(text.to_owned()))))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A JSON object in the order in which it stands.
pub(super) struct Pairs<'a, V>(pub(super) Vec<(Text<'a>, V)>);

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Vec<(Text<'de>, V)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Reader(PhantomData)).map(Self)
    }
}

impl Pairs<'_, Scalar<'_>> {
    /// The params that [`Scalar::pairs`] was given.
    pub(super) fn into_params(self, names: &mut Interner) -> Result<Params, String> {
        let values = self.0.into_iter().map(|(name, value)| {
            let name = names.name(name.as_str());
            value.into_value(names).map(|value| (name, value))
        });
        let values: Vec<_> = values.collect::<Result<_, _>>()?;
        Ok(Params::recorded(values))
    }
}
