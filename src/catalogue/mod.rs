//! What the arguments of a program are that studies often tune: names, types,
//! defaults, and under which others one has an effect. Pure.
//!
//! A catalogue is a data file of one release, embedded here; its own head says
//! what its keys mean. ms-swift has two: that of release 3 describes all, that
//! of release 4 has what the program declares of itself. [`assigned`] reads the
//! arguments of a command and [`doubts()`] says what is wrong with them.

pub mod assigned;
mod doubts;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

pub use self::doubts::{Doubt, Trouble, ValueError, doubts};
use crate::model::space::nearest;

/// A generation of ms-swift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// 3.x.
    Three,
    /// 4.x.
    Four,
}

impl Generation {
    /// That of a release such as `3.0.2`; `None` when no catalogue is there.
    pub fn of(release: &str) -> Option<Self> {
        match release.split('.').next() {
            Some("3") => Some(Self::Three),
            Some("4") => Some(Self::Four),
            _ => None,
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Three => Self::Four,
            Self::Four => Self::Three,
        }
    }
}

/// The arguments of one release of a program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The release that was described, `3.0` for instance.
    pub release: String,
    /// The arguments by what they are about.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

/// Arguments about one thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The commands that take its arguments, unless one has its own.
    #[serde(default)]
    commands: Vec<String>,
    /// The models that they are for, where they are no arguments of a command
    /// but variables of the environment.
    #[serde(default)]
    pub models: Vec<String>,
    /// The condition without which none has an effect.
    when: Option<String>,
    /// The arguments.
    pub arguments: Vec<Argument>,
}

/// What an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    Str,
    /// A whole number.
    Int,
    /// A finite number.
    Float,
    /// Yes or no.
    Bool,
    /// A JSON object, or the file of one.
    Json,
}

impl Kind {
    /// Its name in the data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Json => "json",
        }
    }
}

/// One argument of one or several commands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    /// Its name, with `_`.
    pub name: String,
    #[serde(default)]
    commands: Vec<String>,
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether it takes several.
    #[serde(default)]
    pub list: bool,
    /// What it is when it is not given; `None` when that is nothing or follows
    /// from others.
    pub default: Option<toml::Value>,
    /// What it may be; empty when that is anything of its type.
    #[serde(default)]
    choices: Vec<toml::Value>,
    /// Whether its makers recommend to look at it.
    #[serde(default)]
    pub recommended: bool,
    when: Option<String>,
    /// Its name in the release before.
    pub former: Option<String>,
    /// A domain to begin a search with, as it stands in `[space]`.
    pub tune: Option<String>,
    /// What it is, in Chinese; empty where nobody wrote it.
    #[serde(default)]
    pub zh: String,
    /// What it is, in English; empty where nobody wrote it.
    #[serde(default)]
    pub en: String,
}

/// An argument as its group has it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The group.
    pub group: &'a Group,
    /// The argument.
    pub argument: &'a Argument,
}

impl<'a> Entry<'a> {
    /// The commands that take it; none for what is for a model.
    pub fn commands(self) -> &'a [String] {
        match self.argument.commands.as_slice() {
            [] => &self.group.commands,
            own => own,
        }
    }

    /// The conditions without which it has no effect.
    pub fn whens(self) -> impl Iterator<Item = &'a str> {
        let whens = [&self.group.when, &self.argument.when];
        whens.into_iter().filter_map(|when| when.as_deref())
    }

    /// Whether it is an argument of `command`.
    pub fn is_of(self, command: &str) -> bool {
        self.commands().iter().any(|of| of == command)
    }
}

impl Argument {
    /// Its default as it would be typed; words of a list are parted by blanks.
    pub fn default_text(&self) -> Option<String> {
        self.default.as_ref().map(text)
    }

    /// What it may be, as it would be typed.
    pub fn choices(&self) -> impl Iterator<Item = String> {
        self.choices.iter().map(text)
    }
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        toml::Value::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// The catalogue of a generation of ms-swift.
pub fn ms_swift(generation: Generation) -> &'static Catalogue {
    static THREE: LazyLock<Catalogue> = LazyLock::new(|| parse(include_str!("ms_swift_3.toml")));
    static FOUR: LazyLock<Catalogue> = LazyLock::new(|| parse(include_str!("ms_swift_4.toml")));
    match generation {
        Generation::Three => &THREE,
        Generation::Four => &FOUR,
    }
}

fn parse(text: &str) -> Catalogue {
    toml::from_str(text).expect("an embedded catalogue, which a test reads")
}

impl Catalogue {
    /// All arguments, by group.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.groups.iter().flat_map(|group| {
            let arguments = group.arguments.iter();
            arguments.map(move |argument| Entry { group, argument })
        })
    }

    /// What `name` means, once for each meaning; `-` and `_` are one in it.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Entry<'_>> {
        let name = underscored(name);
        self.entries().filter(move |e| e.argument.name == name)
    }

    /// What `name` means to a command. The last one is its own, those before it
    /// are shared with other commands.
    pub fn of<'a>(&'a self, command: &'a str, name: &str) -> impl Iterator<Item = Entry<'a>> {
        self.named(name).filter(move |entry| entry.is_of(command))
    }

    /// The commands that it describes, sorted.
    pub fn commands(&self) -> BTreeSet<&str> {
        let commands = self.entries().flat_map(Entry::commands);
        commands.map(String::as_str).collect()
    }

    /// The name that `given` is most likely a slip of, among those of a command
    /// or of all.
    pub fn nearest(&self, command: Option<&str>, given: &str) -> Option<&str> {
        let wanted = |entry: &Entry<'_>| command.is_none_or(|command| entry.is_of(command));
        let entries = self.entries().filter(wanted);
        nearest(
            &underscored(given),
            entries.map(|e| e.argument.name.as_str()),
        )
    }
}

/// What an argument of the other generation is called in `generation`, when it
/// was renamed.
pub fn renamed(generation: Generation, name: &str) -> Option<&'static str> {
    let name = underscored(name);
    let four = ms_swift(Generation::Four);
    let mut pairs = four.entries().filter_map(|entry| {
        let new = entry.argument.name.as_str();
        entry.argument.former.as_deref().map(|old| (old, new))
    });
    match generation {
        Generation::Three => pairs.find(|(_, new)| *new == name).map(|(old, _)| old),
        Generation::Four => pairs.find(|(old, _)| *old == name).map(|(_, new)| new),
    }
}

fn underscored(name: &str) -> String {
    name.trim_start_matches("--").replace('-', "_")
}

#[cfg(test)]
mod tests;
