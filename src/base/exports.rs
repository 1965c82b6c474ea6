//! Files of `export NAME=value` lines, as `tune_secrets.sh` is one: read, and
//! never run.
//!
//! What a shell would take a line for is what it is taken for here, or the line
//! is refused: quotes, backslashes and comments mean what they mean to a shell,
//! and whatever would need one (`$NAME`, `$(…)`, `source`, `if`) is an error
//! with its line. No error shows a value.

use std::path::{Path, PathBuf};

use super::private::{self, PrivateError};

/// A line that would need a shell, or that a shell would not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Slip {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it, and the way out.
    pub problem: Problem,
}

/// See [`Slip::problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A command of the shell.
    #[error("`{0}` needs a shell, and this file is only read: write NAME=value lines")]
    Command(String),
    /// Something else.
    #[error("this is no assignment: write export NAME='value', without spaces around the `=`")]
    NotAnAssignment,
    /// `$`, or a backtick.
    #[error("the value of {0} asks a shell to fill something in: write it out, in single quotes")]
    Expansion(String),
    /// `A=~/x`.
    #[error("the value of {0} begins with `~`, which only a shell knows: write the whole path")]
    Home(String),
    /// A character that ends a word in a shell.
    #[error("the value of {name} has a `{character}` outside quotes: put it in single quotes")]
    Bare {
        /// Whose value.
        name: String,
        /// The character.
        character: char,
    },
    /// Quotes of a word processor.
    #[error("the value of {0} is in typographic quotes, which a shell keeps: write 'value'")]
    Typographic(String),
    /// A quote that is not closed, or a backslash at the end.
    #[error("the value of {0} does not end on its line: close the quote, on one line")]
    Unfinished(String),
    /// A NUL byte.
    #[error("the value of {0} has a NUL byte in it, which no variable can hold")]
    Nul(String),
}

/// Why a file of such lines is not used.
#[derive(Debug, thiserror::Error)]
pub enum ExportsError {
    /// It cannot be read, or others can.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// One of its lines.
    #[error("{}, {slip}", .path.display())]
    Slip {
        /// The file.
        path: PathBuf,
        /// The line.
        slip: Slip,
    },
}

/// The variables that the file at `path` sets, which nobody but its owner may
/// be able to read; as [`parse`].
///
/// # Errors
/// See [`ExportsError`].
pub fn read(path: &Path) -> Result<Vec<(String, String)>, ExportsError> {
    let text = private::read(path)?;
    parse(&text).map_err(|slip| ExportsError::Slip {
        path: path.to_owned(),
        slip,
    })
}

/// The variables that `text` sets, each once and in the order of their first
/// lines; of several values of one name the last counts.
///
/// # Errors
/// The first line that is no assignment.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Slip> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables: Vec<(String, String)> = Vec::new();
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let read = assignments(line).map_err(|problem| Slip {
            line: number,
            problem,
        })?;
        for (name, value) in read {
            match variables.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => variables.push((name, value)),
            }
        }
    }
    Ok(variables)
}

/// What people write into such files besides assignments.
const COMMANDS: [&str; 25] = [
    "source", ".", "if", "then", "else", "elif", "fi", "for", "while", "do", "done", "case",
    "esac", "function", "set", "unset", "eval", "exec", "echo", "cd", "declare", "readonly",
    "local", "alias", "test",
];

fn assignments(line: &str) -> Result<Vec<(String, String)>, Problem> {
    let blank = [' ', '\t'];
    let mut rest = line.trim_start_matches(blank);
    let first = rest.split(blank).next().unwrap_or_default();
    if COMMANDS.contains(&first) {
        return Err(Problem::Command(first.to_owned()));
    }
    let exported = first == "export";
    if exported {
        rest = rest["export".len()..].trim_start_matches(blank);
    }
    let mut assigned = Vec::new();
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Problem::NotAnAssignment);
        }
        if let Some(after) = after.strip_prefix('=') {
            let (value, after) = value(name, after)?;
            assigned.push((name.to_owned(), value));
            rest = after.trim_start_matches(blank);
        } else if exported && (after.is_empty() || after.starts_with(blank)) {
            // `export NAME`: it was, or will be, assigned elsewhere.
            rest = after.trim_start_matches(blank);
            if rest.starts_with('=') {
                return Err(Problem::NotAnAssignment);
            }
        } else {
            return Err(Problem::NotAnAssignment);
        }
    }
    Ok(assigned)
}

/// The value at the start of `text`, and what comes after it.
fn value<'t>(name: &str, text: &'t str) -> Result<(String, &'t str), Problem> {
    let wrong = |problem: fn(String) -> Problem| problem(name.to_owned());
    if text.starts_with('~') {
        return Err(wrong(Problem::Home));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    let mut quote = None;
    while let Some((at, c)) = characters.next() {
        match (c, quote) {
            ('\0', _) => return Err(wrong(Problem::Nul)),
            ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
            (_, Some('\'')) => value.push(c),
            ('$' | '`', _) => return Err(wrong(Problem::Expansion)),
            ('\\', _) => {
                let (_, next) = characters.next().ok_or(wrong(Problem::Unfinished))?;
                // Between double quotes it is a backslash before other letters.
                if quote.is_some() && !matches!(next, '$' | '`' | '"' | '\\') {
                    value.push('\\');
                }
                value.push(next);
            }
            (_, Some(_)) => value.push(c),
            ('\'' | '"', None) => quote = Some(c),
            (' ' | '\t', None) => return Ok((value, &text[at..])),
            ('“' | '”' | '‘' | '’', None) => return Err(wrong(Problem::Typographic)),
            (';' | '&' | '|' | '<' | '>' | '(' | ')', None) => {
                return Err(Problem::Bare {
                    name: name.to_owned(),
                    character: c,
                });
            }
            (_, None) => value.push(c),
        }
    }
    match quote {
        Some(_) => Err(wrong(Problem::Unfinished)),
        None => Ok((value, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|slip| panic!("{text:?}: {slip}"))
    }

    #[test]
    fn what_a_shell_would_make_of_it() {
        let cases = [
            ("export A=b", "b"),
            ("A=b", "b"),
            ("  export\tA=b  ", "b"),
            ("A=", ""),
            ("A=b # a comment", "b"),
            ("A=b#c", "b#c"),
            ("A='b # c' # d", "b # c"),
            ("A='it'\\''s'", "it's"),
            (r#"A="a \"b\" \$c \`d\` \\ \n""#, r#"a "b" $c `d` \ \n"#),
            (r"A=a\ b\$\n", "a b$n"),
            (r"A='a\b$c`d`'", r"a\b$c`d`"),
            (r#"A="a "'b'" c"d"#, "a b cd"),
            ("A=https://h/x?y=1", "https://h/x?y=1"),
            ("A='<|im_end|>,<|endoftext|>'", "<|im_end|>,<|endoftext|>"),
            ("A=中文", "中文"),
            ("A=\"“quoted”\"", "“quoted”"),
            ("A=first\nA=second", "second"),
            ("export A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
        ];
        for (text, expected) in cases {
            let expected = [("A".to_owned(), expected.to_owned())];
            assert_eq!(variables(text), expected, "{text:?}");
        }
    }

    #[test]
    fn several_on_a_line_and_lines_without_any() {
        let text = "#!/bin/bash\n\n \t\n# export X=1\nexport A=1 B='2' # C=3\nexport A\nD=4 E=5\n";
        let pairs = [("A", "1"), ("B", "2"), ("D", "4"), ("E", "5")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables(text), pairs);
        assert_eq!(variables(""), []);
    }

    /// A shell is the judge of all that is not refused.
    #[test]
    fn a_shell_agrees() {
        let texts = [
            "A=b#c",
            r#"A="a \"b\" \$c \`d\` \\ \n \x""#,
            r"A=a\ b\$\n\#",
            r#"A="a "'b "'" 'c"d\'e"#,
            "A='a'#b",
            "export A=1 A=2 # A=3",
            "A= # nothing",
            "A=a=b=c",
            "A=*[x]{1,2}?!^%@:+-",
            "A=中文\"“\"",
        ];
        for text in texts {
            let script = format!("{text}\nprintf %s \"$A\"");
            let said = std::process::Command::new("sh")
                .args(["-c", &script])
                .output()
                .expect("a shell");
            assert!(said.status.success(), "{text}");
            let said = String::from_utf8(said.stdout).expect("text");
            let expected = [("A".to_owned(), said)];
            assert_eq!(variables(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_refused_and_no_value_is_shown() {
        let cases = [
            ("source other_hidden.sh", "`source` needs a shell"),
            (". ./hidden.sh", "`.` needs a shell"),
            ("if [ -n hidden ]; then", "`if` needs a shell"),
            ("set -euo pipefail", "`set` needs a shell"),
            ("A=$(cat hidden)", "of A asks a shell to fill something in"),
            ("A=`cat hidden`", "of A asks a shell"),
            ("A=$HIDDEN", "of A asks a shell"),
            ("A=\"hidden${B}\"", "of A asks a shell"),
            ("A=$'hidden'", "of A asks a shell"),
            ("A=~/hidden", "of A begins with `~`"),
            ("A=hidden;B=2", "of A has a `;` outside quotes"),
            ("A=<|hidden|>", "of A has a `<` outside quotes"),
            ("A=hidden?a=1&b=2", "of A has a `&` outside quotes"),
            ("A=“hidden”", "of A is in typographic quotes"),
            ("A='hidden", "of A does not end on its line"),
            ("A=\"hidden", "of A does not end on its line"),
            ("A=hidden\\", "of A does not end on its line"),
            ("A='hid\0den'", "of A has a NUL byte"),
            ("export A = hidden", "no assignment"),
            ("A = hidden", "no assignment"),
            ("A: hidden", "no assignment"),
            ("hidden", "no assignment"),
            ("curl hidden", "no assignment"),
            ("export -n A=hidden", "no assignment"),
            ("A+=hidden", "no assignment"),
            ("1A=hidden", "no assignment"),
        ];
        for (text, expected) in cases {
            let text = format!("# first\n{text}\n");
            let said = parse(&text).expect_err(&text).to_string();
            assert!(said.starts_with("line 2: "), "{text}: {said}");
            assert!(said.contains(expected), "{text}: {said}");
            assert!(!said.to_lowercase().contains("hidden"), "{said}");
        }
    }
}
