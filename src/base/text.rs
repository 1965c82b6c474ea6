//! Text of other programs, made fit to be shown.

use std::path::Path;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text of other programs on one line, without colours and with escapes for
/// the control characters in it: it must not steer a terminal.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' && letters.next_if_eq(&'[').is_some() {
            // A control sequence ends with a letter from `@` on (ECMA-48).
            while letters.next().is_some_and(|l| (' '..'@').contains(&l)) {}
        } else if letter.is_control() || is_direction(letter) {
            clean.extend(letter.escape_default());
        } else {
            clean.push(letter);
        }
    }
    clean
}

/// The same for a text of several lines, which stay lines.
pub fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

/// A word as a shell takes it: quoted where it must be.
pub fn shell(word: &str) -> String {
    // Before a command `NAME=` would set a variable; an option may have it.
    let is_option = word.starts_with('-');
    let plain =
        |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c) || (is_option && c == '=');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command that gives a file to its owner alone, for people to copy.
pub fn make_private(path: &Path) -> String {
    format!("chmod 600 {}", shell(&path.display().to_string()))
}

/// Letters that turn the direction of writing, which can make a text look like
/// another one.
const fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `columns` columns of a text, with `…` for what is missing.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 1;
    for letter in text.chars() {
        width += letter.width().unwrap_or(0);
        if width > columns {
            break;
        }
        kept.push(letter);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(clean("a\n\u{1b}[31mb\u{7}"), r"a\nb\u{7}");
        assert_eq!(clean("\u{202e}x"), r"\u{202e}x");
        assert_eq!(clean_lines("a\u{1b}[2J\nb"), "a\nb");
    }

    #[test]
    fn cuts_by_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("句号句号", 6), "句号…");
    }
}
