//! `.env` files, as many tools for training read them: one variable of such a
//! file. It is never loaded into an environment.
//!
//! A line is `NAME=value`, with or without `export` before it and blanks around
//! the `=`; one that begins with `#`, and any that is something else, says
//! nothing. A value in single quotes is what is between them; in double quotes
//! `\n`, `\r`, `\t`, `\\`, `\"` and `\$` stand for what they stand for elsewhere;
//! both may go over several lines. Without quotes it ends at the end of its
//! line, or before a `#` with a blank before it, and has no blanks around it.
//! Nothing is filled in: `$NAME` is these letters. Of several lines the last
//! counts.

use std::ops::Range;

/// The value of `name` in `text`; `None` where no line sets it, or the last
/// that does has a quote that is not closed.
pub fn find(text: &str, name: &str) -> Option<String> {
    let last = assignments(text).into_iter().rfind(|one| one.name == name);
    last?.value
}

/// `text` with `name` set to `value`, by one line, and nothing else changed.
pub fn with(text: &str, name: &str, value: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut end = 0;
    let mut export = "";
    for one in assignments(text).iter().filter(|one| one.name == name) {
        kept += &text[end..one.place.start];
        end = one.place.end;
        export = if one.is_exported { "export " } else { "" };
    }
    kept += &text[end..];
    if !kept.is_empty() && !kept.ends_with('\n') {
        kept.push('\n');
    }
    let quoted = match value.contains(['\'', '\n']) {
        false => format!("'{value}'"),
        true => {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", escaped.replace('\n', "\\n"))
        }
    };
    kept + &format!("{export}{name}={quoted}\n")
}

/// A line, or a few, that set a variable.
struct Assignment<'t> {
    name: &'t str,
    /// `None` where its quote is not closed.
    value: Option<String>,
    is_exported: bool,
    /// With the end of the last line.
    place: Range<usize>,
}

fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let Some((name, is_exported, after)) = assignment(rest) else {
            rest = next_line(rest);
            continue;
        };
        let value = value(after);
        // A quote that is not closed is one line's trouble.
        rest = next_line(value.as_ref().map_or(after, |(_, after)| after));
        found.push(Assignment {
            name,
            value: value.map(|(value, _)| value),
            is_exported,
            place: start..text.len() - rest.len(),
        });
    }
    found
}

fn next_line(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

/// The name that the line at the start of `text` sets, whether for others, and
/// what is after the `=`.
fn assignment(text: &str) -> Option<(&str, bool, &str)> {
    let blank = [' ', '\t'];
    let line = text.trim_start_matches(blank);
    let exported = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(blank));
    let line = exported.map_or(line, |rest| rest.trim_start_matches(blank));
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = line.find(|c| !is_letter(c)).unwrap_or(line.len());
    let (name, after) = line.split_at(end);
    let after = after.trim_start_matches(blank).strip_prefix('=')?;
    let is_name = !name.is_empty();
    is_name.then(|| (name, exported.is_some(), after.trim_start_matches(blank)))
}

/// The value at the start of `text`, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let quote = match letters.next() {
        Some((_, quote @ ('\'' | '"'))) => quote,
        _ => {
            let line = text.split('\n').next().unwrap_or_default();
            let mut end = line.len();
            if line.starts_with('#') {
                end = 0;
            } else if let Some(at) = line.find(" #").or_else(|| line.find("\t#")) {
                end = at;
            }
            return Some((line[..end].trim().to_owned(), &text[line.len()..]));
        }
    };
    let mut value = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if quote == '"' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                other @ ('\\' | '"' | '$') => value.push(other),
                other => value.extend(['\\', other]),
            },
            letter if letter == quote => return Some((value, &text[at + 1..])),
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_says() {
        let cases = [
            ("K=sk-1", "sk-1"),
            ("export K=sk-1\n", "sk-1"),
            ("  export\tK = sk-1 \r\nOTHER=2", "sk-1"),
            ("\u{feff}K='sk-1' # mine", "sk-1"),
            ("K=\"a\\\"b\\n$c\\q\"", "a\"b\n$c\\q"),
            ("K='a\\n'", "a\\n"),
            ("K=a#b #c", "a#b"),
            ("K=#c", ""),
            ("K=", ""),
            ("K=a\nK=b", "b"),
            ("# K=no\nnot a line\n=x\nK=yes", "yes"),
            ("A='two\nK=inside'\nK=outside", "outside"),
            ("A='open\nK=sk-1", "sk-1"),
            ("K='two\nlines'", "two\nlines"),
            ("KK=1\nK=2\nexportK=3", "2"),
        ];
        for (text, expected) in cases {
            assert_eq!(find(text, "K").as_deref(), Some(expected), "{text:?}");
        }
        for text in ["", "KEY=1", "K", "#K=1", "K: 1", "K='open", "K=\"open\\"] {
            assert_eq!(find(text, "K"), None, "{text:?}");
        }
    }

    #[test]
    fn one_variable_is_set_and_the_rest_stays() {
        let cases = [
            ("", "K='sk-1'\n"),
            ("A=1", "A=1\nK='sk-1'\n"),
            ("# mine\nK=old # x\nA=1\n", "# mine\nA=1\nK='sk-1'\n"),
            (
                "K='two\nlines'\r\nexport K=3\nA=1\n",
                "A=1\nexport K='sk-1'\n",
            ),
            ("#K=1\nKK=2\n", "#K=1\nKK=2\nK='sk-1'\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(with(text, "K", "sk-1"), expected, "{text:?}");
        }
        for value in ["sk-1", "a'b\"c\\d$e", "#x", " a ", "two\nlines"] {
            assert_eq!(find(&with("A=1", "K", value), "K").as_deref(), Some(value));
        }
    }
}
