//! Complaints about a spec: what is wrong, where, and what would be right.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level as SnippetLevel, Renderer, Snippet};

/// The longest message or help; what a user wrote may be quoted in it.
const LONGEST_TEXT: usize = 600;

/// The longest piece of a line that is shown, in bytes.
const LONGEST_LINE: usize = 2000;

/// How many complaints are shown; a text with more is no spec.
const MOST_SHOWN: usize = 100;

/// Whether the spec can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It cannot.
    Error,
    /// It can, but its owner probably means something else.
    Warning,
}

impl Level {
    /// The word in front of the message.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// How bad it is.
    pub level: Level,
    /// The bytes of the text that it is about.
    pub range: Range<usize>,
    /// What is wrong: one line without control characters.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
}

impl Complaint {
    pub(super) fn new(level: Level, range: Range<usize>, message: &str) -> Self {
        Self {
            level,
            range,
            message: presentable(message),
            help: None,
        }
    }

    pub(super) fn set_help(&mut self, help: &str) {
        self.help = Some(presentable(help));
    }
}

/// All that is wrong with one text, sorted by position, with the text itself
/// so that it can be shown. The text of a preset stands below that of the spec
/// which names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaints {
    file: String,
    text: Arc<str>,
    /// The file of the preset, and where its text begins.
    preset: Option<(String, usize)>,
    list: Vec<Complaint>,
}

impl Complaints {
    pub(super) fn new(file: &str, text: &str, mut list: Vec<Complaint>) -> Self {
        for complaint in &mut list {
            complaint.range = clamp(text, &complaint.range);
        }
        list.sort_by(|a, b| {
            let key = |c: &Complaint| (c.range.start, c.level, c.range.end);
            key(a).cmp(&key(b))
        });
        list.dedup();
        Self {
            file: presentable(file),
            text: text.into(),
            preset: None,
            list,
        }
    }

    /// Of the text, what begins at `start` is that of a preset, in `file`.
    pub(super) fn with_preset(mut self, file: String, start: usize) -> Self {
        self.preset = Some((file, start));
        self
    }

    /// The file that a place of the text belongs to, and where it begins.
    fn source(&self, place: usize) -> (&str, usize) {
        match &self.preset {
            Some((file, start)) if place >= *start => (file, *start),
            _ => (&self.file, 0),
        }
    }

    /// The complaints, sorted by position.
    pub fn iter(&self) -> impl Iterator<Item = &Complaint> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.list
            .iter()
            .filter(|complaint| complaint.level == Level::Error)
            .count()
    }

    /// Line and column (in characters) of a complaint, both from 1.
    pub fn position(&self, complaint: &Complaint) -> (usize, usize) {
        let start = clamp(&self.text, &complaint.range).start;
        let (_, begin) = self.source(start);
        let before = &self.text[begin..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..]
            .chars()
            .filter(|c| *c != '\u{feff}')
            .count();
        (line, column + 1)
    }

    /// A complaint in one line: `file:3:1: error: message (help)`.
    pub fn line(&self, complaint: &Complaint) -> String {
        let (line, column) = self.position(complaint);
        let help = complaint.help.as_ref().map(|help| format!(" ({help})"));
        let (file, _) = self.source(complaint.range.start);
        format!(
            "{file}:{line}:{column}: {}: {}{}",
            complaint.level.word(),
            complaint.message,
            help.unwrap_or_default()
        )
    }

    /// All complaints with their lines and a caret each, as a compiler shows
    /// them, and how many there are. Ends with a newline; empty when there is
    /// no complaint.
    pub fn render(&self, color: bool) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut shown = String::new();
        for complaint in self.list.iter().take(MOST_SHOWN) {
            shown.push_str(&self.render_one(complaint, &renderer));
            shown.push_str("\n\n");
        }
        let count = |n: usize, word: &str| {
            let plural = if n == 1 { "" } else { "s" };
            (n > 0).then(|| format!("{n} {word}{plural}"))
        };
        let errors = self.errors();
        let counts = [
            count(errors, "error"),
            count(self.list.len() - errors, "warning"),
        ];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        let more = match self.list.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            more => format!(" ({more} of them not shown)"),
        };
        shown.push_str(&format!("{}: {}{more}\n", self.file, counts.join(", ")));
        shown
    }

    fn render_one(&self, complaint: &Complaint, renderer: &Renderer) -> String {
        let level = match complaint.level {
            Level::Error => SnippetLevel::ERROR,
            Level::Warning => SnippetLevel::WARNING,
        };
        let (line, _) = self.position(complaint);
        let (file, _) = self.source(complaint.range.start);
        let (source, span) = self.excerpt(complaint);
        let snippet = Snippet::source(source.as_str())
            .line_start(line)
            .path(file)
            .annotation(AnnotationKind::Primary.span(span));
        let mut group = level
            .primary_title(complaint.message.as_str())
            .element(snippet);
        if let Some(help) = &complaint.help {
            group = group.element(SnippetLevel::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The line in which a complaint begins, and the complaint's place in it.
    /// The renderer gets no more of the text than that: it takes time by the
    /// length of its source, and is not to see what a terminal would obey.
    fn excerpt(&self, complaint: &Complaint) -> (String, Range<usize>) {
        let range = clamp(&self.text, &complaint.range);
        let start = self.text[..range.start].rfind('\n').map_or(0, |n| n + 1);
        let rest = &self.text[start..];
        let length = rest.find('\n').unwrap_or(rest.len());
        let mut line = rest[..length].strip_suffix('\r').unwrap_or(&rest[..length]);
        // A byte order mark counts for no column.
        let mark = if line.starts_with('\u{feff}') { 3 } else { 0 };
        line = &line[mark..];
        if line.len() > LONGEST_LINE {
            line = &line[..floor(line, LONGEST_LINE)];
        }
        let place = |offset: usize| floor(line, offset.saturating_sub(start + mark));
        let span = place(range.start)..place(range.end).max(place(range.start));
        let safe = |c: char| match c {
            '\t' => Cow::Borrowed("\t"),
            c if is_dangerous(c) => Cow::Owned("?".repeat(c.len_utf8())),
            c => Cow::Owned(c.to_string()),
        };
        (line.chars().map(safe).collect(), span)
    }
}

impl fmt::Display for Complaints {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, complaint) in self.list.iter().take(MOST_SHOWN).enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", self.line(complaint))?;
        }
        match self.list.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: {more} more", self.file),
        }
    }
}

impl<'a> IntoIterator for &'a Complaints {
    type Item = &'a Complaint;
    type IntoIter = std::slice::Iter<'a, Complaint>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// The range within `text`, its ends moved back to where a character begins.
fn clamp(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = floor(text, range.start);
    start..floor(text, range.end).max(start)
}

/// The last place up to `offset` where a character of `text` begins.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Whether a terminal would obey the character rather than show it: control
/// characters, and those that change the direction of writing.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line that a terminal can be given, of a bearable length.
fn presentable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LONGEST_TEXT));
    for c in text.chars() {
        if shown.len() > LONGEST_TEXT {
            shown.push('…');
            break;
        }
        match c {
            '\n' => shown.push(' '),
            c if is_dangerous(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(range: Range<usize>, message: &str) -> Complaint {
        Complaint::new(Level::Error, range, message)
    }

    #[test]
    fn positions_count_characters() {
        let text = "a = 1\nname = \"模型\" # x\n";
        let at = text.find('#').expect("it is there");
        let all = Complaints::new("f", text, vec![complaint(at..at + 1, "m")]);
        assert_eq!(all.position(&all.list[0]), (2, 13));
        assert_eq!(all.to_string(), "f:2:13: error: m");
    }

    #[test]
    fn sorted_and_said_once() {
        let list = vec![
            complaint(4..5, "late"),
            complaint(0..1, "early"),
            complaint(4..5, "late"),
        ];
        let all = Complaints::new("f", "a = 1", list);
        let messages: Vec<&str> = all.iter().map(|c| c.message.as_str()).collect();
        assert_eq!(messages, ["early", "late"]);
    }

    #[test]
    fn ranges_that_do_not_fit_are_shown_all_the_same() {
        let text = "\u{feff}名 = 1\r\n\tb = '\u{1b}[31m'\u{202e}\nc";
        for start in 0..text.len() + 3 {
            for end in 0..text.len() + 3 {
                let one = complaint(start..end, "\u{1b}[31mred\nand more");
                let all = Complaints::new("a\u{7}b", text, vec![one]);
                let shown = all.render(false);
                assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
                assert!(!shown.contains('\u{7}'), "{shown:?}");
            }
        }
        let long = format!("x = '{}'", "宽".repeat(5000));
        let all = Complaints::new("f", &long, vec![complaint(9000..9003, "far to the right")]);
        assert!(all.render(true).contains("far to the right"));
    }
}
