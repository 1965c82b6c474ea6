//! The layer between the TOML tree and the checks: takes keys with their
//! types, collects complaints, and knows which keys nobody asked for.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::complaint::{Complaint, Level};
use crate::base::quantity;
use crate::model::Name;
use crate::model::space::nearest;
use crate::model::step::Pattern;
use crate::model::value::{Finite, Value};

/// No duration of a spec may be longer: what waits adds it to the current
/// time, and the sum must stay a time.
pub(super) const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// What is known while a text is read.
pub(super) struct Reader<'t> {
    /// The whole text, and below it that of the preset.
    pub(super) text: &'t str,
    /// The folder against which relative paths are resolved; absolute.
    pub(super) folder: PathBuf,
    /// Over the text, and over the files that belong to it.
    pub(super) digest: Sha256,
    /// The names that templates and rules ask for.
    pub(super) asked: BTreeSet<Name>,
    /// The texts and keys of steps that are switched off.
    pub(super) idle: Vec<String>,
    /// The preset that the text builds on, and where its text begins in the
    /// whole.
    pub(super) preset: Option<(&'t str, usize)>,
    complaints: Vec<Complaint>,
    hidden: Vec<Range<usize>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, folder: &Path) -> Self {
        // Fails for an empty path alone, which stands for the current folder.
        let folder = std::path::absolute(folder)
            .or_else(|_| std::env::current_dir())
            .unwrap_or_else(|_| PathBuf::from("/"));
        Self {
            text,
            folder,
            digest: Sha256::new_with_prefix(text),
            asked: BTreeSet::new(),
            idle: Vec::new(),
            preset: None,
            complaints: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// What stands in `range` must not be shown: complaints end up in logs.
    pub(super) fn hide(&mut self, range: &Range<usize>) {
        self.hidden.push(range.clone());
    }

    /// The text as it may be shown, with every place where it was.
    pub(super) fn shown(&self) -> String {
        let is_hidden = |at: usize| self.hidden.iter().any(|range| range.contains(&at));
        let letters = self.text.char_indices();
        let shown = letters.map(|(at, letter)| match letter {
            letter if letter == '\n' || !is_hidden(at) => letter.to_string(),
            letter => "*".repeat(letter.len_utf8()),
        });
        shown.collect()
    }

    pub(super) fn error(&mut self, range: &Range<usize>, message: impl AsRef<str>) {
        self.say(Level::Error, range, message.as_ref(), None);
    }

    /// An error with what would be right.
    pub(super) fn error_help<'h>(
        &mut self,
        range: &Range<usize>,
        message: impl AsRef<str>,
        help: impl Into<Option<&'h str>>,
    ) {
        self.say(Level::Error, range, message.as_ref(), help.into());
    }

    pub(super) fn warn<'h>(
        &mut self,
        range: &Range<usize>,
        message: impl AsRef<str>,
        help: impl Into<Option<&'h str>>,
    ) {
        self.say(Level::Warning, range, message.as_ref(), help.into());
    }

    fn say(&mut self, level: Level, range: &Range<usize>, message: &str, help: Option<&str>) {
        let mut complaint = Complaint::new(level, range.clone(), message);
        if let Some(help) = help {
            complaint.set_help(help);
        }
        self.complaints.push(complaint);
    }

    /// Whether the text has an error so far.
    pub(super) fn failed(&self) -> bool {
        self.complaints.iter().any(|c| c.level == Level::Error)
    }

    pub(super) fn into_complaints(self) -> Vec<Complaint> {
        self.complaints
    }

    /// The place of the word `name` within `range`, or else the whole range:
    /// an escape in a string can hide it.
    pub(super) fn word(&self, range: &Range<usize>, name: &str) -> Range<usize> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let Some(within) = self.text.get(range.clone()).filter(|_| !name.is_empty()) else {
            return range.clone();
        };
        within
            .match_indices(name)
            .find(|(at, _)| {
                let before = within[..*at].chars().next_back();
                let after = within[at + name.len()..].chars().next();
                !before.is_some_and(is_word) && !after.is_some_and(is_word)
            })
            .map_or(range.clone(), |(at, _)| {
                range.start + at..range.start + at + name.len()
            })
    }
}

/// `did you mean …?`, when one of `known` is near.
pub(super) fn did_you_mean<'k>(
    given: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    // Comparing takes time by the square of the length.
    if given.len() > 100 {
        return None;
    }
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}

/// `a, b or c`.
pub(super) fn alternatives<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

/// A value with the key that leads to it.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) key: &'a str,
    pub(super) key_span: Range<usize>,
    pub(super) value: &'a DeValue<'a>,
    pub(super) span: Range<usize>,
}

impl<'a> Node<'a> {
    /// What is found here, for people.
    fn found(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// For `{ required = "…" }`, which holds the place of a value that only the
    /// user knows: what that is.
    fn placeholder(&self) -> Option<&'a str> {
        let DeValue::Table(table) = self.value else {
            return None;
        };
        match table.get("required")?.get_ref() {
            DeValue::String(what) => Some(what),
            _ => None,
        }
    }

    /// Complains that the value is of the wrong type.
    pub(super) fn expected(&self, r: &mut Reader<'_>, what: &str) {
        if let Some(missing) = self.placeholder() {
            let message = format!("`{}` has no value yet: {missing}", self.key);
            let help = format!("give it in your spec: {} = …", self.key);
            r.error_help(&self.span, message, help.as_str());
            return;
        }
        let message = format!("`{}` must be {what}, not {}", self.key, self.found());
        let bare = match self.value {
            DeValue::String(text) if !what.contains("text") => text.trim(),
            _ => "",
        };
        let is_number = bare.parse::<f64>().is_ok();
        let help = (is_number || matches!(bare, "true" | "false"))
            .then(|| format!("write it without quotes: {bare}"));
        r.error_help(&self.span, message, help.as_deref());
    }

    /// A text without NUL bytes, which no program could be given.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn text(&self, r: &mut Reader<'_>) -> Option<&'a str> {
        let DeValue::String(text) = self.value else {
            self.expected(r, "text in quotes");
            return None;
        };
        if text.contains('\0') {
            let message = format!("`{}` has a NUL byte in it", self.key);
            r.error_help(
                &self.span,
                message,
                "no program can be given such a text: leave it out",
            );
            return None;
        }
        Some(text)
    }

    /// A text with something in it.
    pub(super) fn filled_text(&self, r: &mut Reader<'_>) -> Option<&'a str> {
        let text = self.text(r)?;
        if text.trim().is_empty() {
            r.error(&self.span, format!("`{}` is empty", self.key));
            return None;
        }
        Some(text)
    }

    /// A whole number within `allowed`.
    pub(super) fn whole(&self, r: &mut Reader<'_>, allowed: RangeInclusive<u64>) -> Option<u64> {
        let (low, high) = (*allowed.start(), *allowed.end());
        let what = if high >= u64::from(u32::MAX) {
            format!("a whole number, {low} or more")
        } else {
            format!("a whole number from {low} to {high}")
        };
        let DeValue::Integer(integer) = self.value else {
            self.expected(r, &what);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|n| allowed.contains(n));
        if number.is_none() {
            let message = format!("`{}` must be {what}, not {integer}", self.key);
            r.error(&self.span, message);
        }
        number
    }

    /// As [`Node::whole`], for numbers of 32 bits.
    pub(super) fn whole32(&self, r: &mut Reader<'_>, allowed: RangeInclusive<u32>) -> Option<u32> {
        let (low, high) = allowed.into_inner();
        self.whole(r, u64::from(low)..=u64::from(high))
            .and_then(|number| u32::try_from(number).ok())
    }

    /// A finite number.
    pub(super) fn number(&self, r: &mut Reader<'_>) -> Option<Finite> {
        if !matches!(self.value, DeValue::Integer(_) | DeValue::Float(_)) {
            self.expected(r, "a number");
            return None;
        }
        self.value(r)?.number().and_then(Finite::new)
    }

    /// `true` or `false`.
    pub(super) fn truth(&self, r: &mut Reader<'_>) -> Option<bool> {
        let DeValue::Boolean(truth) = self.value else {
            self.expected(r, "true or false");
            return None;
        };
        Some(*truth)
    }

    /// A value of a parameter.
    pub(super) fn value(&self, r: &mut Reader<'_>) -> Option<Value> {
        match self.value {
            DeValue::String(_) => self.text(r).map(Value::from),
            DeValue::Boolean(truth) => Some(Value::Bool(*truth)),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix());
                if number.is_err() {
                    let message = format!("{integer} does not fit into 64 bits");
                    r.error_help(&self.span, message, "put it in quotes to pass it as text");
                }
                number.ok().map(Value::Int)
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(Finite::new);
                if number.is_none() {
                    let message = format!("{} is not a finite number", float.as_str());
                    r.error(&self.span, message);
                }
                number.map(Value::Float)
            }
            _ => {
                self.expected(r, "text, a number, true or false");
                None
            }
        }
    }

    /// A duration above zero.
    pub(super) fn some_time(&self, r: &mut Reader<'_>) -> Option<Duration> {
        let duration = self.duration(r)?;
        if duration.is_zero() {
            r.error(
                &self.span,
                format!("`{}` must be longer than 0 s", self.key),
            );
            return None;
        }
        Some(duration)
    }

    /// A duration; a bare number is seconds.
    pub(super) fn duration(&self, r: &mut Reader<'_>) -> Option<Duration> {
        let number;
        let text = match self.value {
            DeValue::String(text) => &**text,
            DeValue::Integer(_) | DeValue::Float(_) => {
                number = self.value(r)?.to_string();
                &number
            }
            _ => {
                self.expected(r, "a duration such as \"90s\"");
                return None;
            }
        };
        match quantity::parse_duration(text) {
            Ok(duration) if duration <= LONGEST => Some(duration),
            Ok(_) => {
                let message = format!("`{}` is longer than ten years", self.key);
                r.error(&self.span, message);
                None
            }
            Err(message) => {
                r.error(&self.span, message);
                None
            }
        }
    }

    /// A size in bytes.
    pub(super) fn size(&self, r: &mut Reader<'_>) -> Option<u64> {
        let number;
        let text = match self.value {
            DeValue::String(text) => &**text,
            DeValue::Integer(_) => {
                number = self.value(r)?.to_string();
                &number
            }
            _ => {
                self.expected(r, "a size such as \"64 MiB\"");
                return None;
            }
        };
        quantity::parse_size(text)
            .map_err(|message| r.error(&self.span, message))
            .ok()
    }

    /// One of `names`, as its index.
    pub(super) fn choice(&self, r: &mut Reader<'_>, names: &[&str]) -> Option<usize> {
        let text = self.text(r)?;
        let index = names.iter().position(|name| *name == text);
        if index.is_none() {
            let help = did_you_mean(text, names.iter().copied());
            let all = alternatives(names.iter().copied());
            let message = format!("`{}` cannot be `{text}`: choose {all}", self.key);
            r.error_help(&self.span, message, help.as_deref());
        }
        index
    }

    /// A regular expression.
    pub(super) fn pattern(&self, r: &mut Reader<'_>) -> Option<Pattern> {
        let source = self.filled_text(r)?;
        Pattern::new(source)
            .map_err(|error| {
                // The engine's first lines repeat the pattern with a caret.
                let last = error.lines().last().unwrap_or_default();
                let why = last.strip_prefix("error: ").unwrap_or(last);
                let message = format!("this is not a regular expression: {why}");
                // A double quote makes TOML eat the backslashes.
                let quoted = r.text.get(self.span.clone()).unwrap_or_default();
                let help = (quoted.starts_with('"') && quoted.contains('\\'))
                    .then_some("in 'single quotes' a backslash stays as it is");
                r.error_help(&self.span, message, help);
            })
            .ok()
    }

    /// The elements of a list; each has the list's key.
    pub(super) fn list(&self, r: &mut Reader<'_>, of: &str) -> Option<Vec<Node<'a>>> {
        let DeValue::Array(array) = self.value else {
            self.expected(r, &format!("a list of {of}"));
            return None;
        };
        let node = |element: &'a Spanned<DeValue<'a>>| Node {
            key: self.key,
            key_span: self.key_span.clone(),
            value: element.get_ref(),
            span: element.span(),
        };
        Some(array.iter().map(node).collect())
    }

    /// A table.
    pub(super) fn section(&self, r: &mut Reader<'_>, label: &str) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value else {
            self.expected(r, &format!("a table: {label}"));
            return None;
        };
        Some(Section::new(label, table, self.span.clone()))
    }

    /// The tables of a list: `[[label]]`.
    pub(super) fn sections(&self, r: &mut Reader<'_>, label: &str) -> Vec<Section<'a>> {
        if let DeValue::Table(_) = self.value {
            let message = format!("write [[{label}]] with two brackets: there can be several");
            r.error(&self.span, message);
            return Vec::new();
        }
        let list = self.list(r, &format!("tables: [[{label}]]"));
        let label = format!("[[{label}]]");
        list.unwrap_or_default()
            .iter()
            .filter_map(|node| node.section(r, &label))
            .collect()
    }
}

/// A table whose keys are taken one after the other.
pub(super) struct Section<'a> {
    label: String,
    pub(super) span: Range<usize>,
    nodes: Vec<Node<'a>>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// `label` is how the table is called in complaints.
    pub(super) fn new(label: &str, table: &'a DeTable<'a>, span: Range<usize>) -> Self {
        let node = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| Node {
            key: AsRef::<str>::as_ref(key.get_ref()),
            key_span: key.span(),
            value: value.get_ref(),
            span: value.span(),
        };
        // The map keeps the order of the text, which has a meaning.
        Self {
            label: label.to_owned(),
            span,
            nodes: table.iter().map(node).collect(),
            asked: Vec::new(),
        }
    }

    /// The value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.asked.push(key);
        self.remove(key)
    }

    fn remove(&mut self, key: &str) -> Option<Node<'a>> {
        let index = self.nodes.iter().position(|node| node.key == key)?;
        Some(self.nodes.remove(index))
    }

    /// As [`Section::take`]; complains when it is not there.
    pub(super) fn require(
        &mut self,
        r: &mut Reader<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Node<'a>> {
        let node = self.take(key);
        if node.is_none() {
            let message = format!("{} has no `{key}`", self.label);
            let help = format!("for instance: {key} = {example}");
            r.error_help(&self.span, message, help.as_str());
        }
        node
    }

    /// The value of `key`, if it is there and was not taken.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.key == key)
    }

    /// Whether `key` is there and was not taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All values that are left, in the order of the text.
    pub(super) fn rest(self) -> Vec<Node<'a>> {
        self.nodes
    }

    /// Complains about `keys` that are there; `why` says where they belong.
    pub(super) fn refuse(&mut self, r: &mut Reader<'_>, keys: &[&str], why: &str) {
        for key in keys {
            if let Some(node) = self.remove(key) {
                r.error(&node.key_span, format!("`{key}` {why}"));
            }
        }
    }

    /// Complains about `key`, if it is there, in the words of `message`.
    pub(super) fn refuse_with(&mut self, r: &mut Reader<'_>, key: &str, message: &str) {
        if let Some(node) = self.remove(key) {
            r.error(&node.key_span, message);
        }
    }

    /// Hides the values that nobody took: see [`Reader::hide`].
    pub(super) fn hide_rest(&self, r: &mut Reader<'_>) {
        for node in &self.nodes {
            r.hide(&node.span);
        }
    }

    /// Complains about the keys that nobody took.
    pub(super) fn finish(self, r: &mut Reader<'_>) {
        for node in &self.nodes {
            let help = did_you_mean(node.key, self.asked.iter().copied())
                .unwrap_or_else(|| format!("there are: {}", self.asked.join(", ")));
            let message = format!("{} has no key `{}`", self.label, node.key);
            r.error_help(&node.key_span, message, help.as_str());
        }
    }
}
