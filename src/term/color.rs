//! Colours, and when to use them.

use std::ffi::OsString;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Effects, Style};

/// What went well: a new incumbent, a constraint that is met.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// What failed.
pub const BAD: Style = AnsiColor::Red.on_default();

/// What wants a look: a warning, a pruned trial.
pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// What matters less than the rest.
pub const DIM: Style = Style::new().effects(Effects::DIMMED);

/// What matters more than the rest.
pub const BOLD: Style = Style::new().effects(Effects::BOLD);

/// Names that can be typed: commands, parameters.
pub const ACCENT: Style = AnsiColor::Cyan.on_default();

/// The user's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// As terminal and environment have it.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether to colour what goes to `stream`.
///
/// With [`Choice::Auto`], the first of these decides: a NO_COLOR that is not
/// empty (no), a CLICOLOR_FORCE other than 0 (yes), CLICOLOR=0 or TERM=dumb
/// (no), whether `stream` is a terminal. <https://no-color.org> and
/// <https://bixense.com/clicolors/> describe these variables.
pub fn wanted(choice: Choice, stream: &impl IsTerminal) -> bool {
    decide(choice, stream.is_terminal(), |name| std::env::var_os(name))
}

fn decide(choice: Choice, is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let filled = |name| variable(name).filter(|value| !value.is_empty());
    match choice {
        Choice::Always => true,
        Choice::Never => false,
        Choice::Auto => {
            if filled("NO_COLOR").is_some() {
                false
            } else if filled("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
                true
            } else {
                let refused = filled("CLICOLOR").is_some_and(|value| value == "0")
                    || filled("TERM").is_some_and(|value| value == "dumb");
                is_terminal && !refused
            }
        }
    }
}

/// `text` in `style`, or bare when `color` is false.
pub fn paint(text: &str, style: Style, color: bool) -> String {
    if color && !text.is_empty() && style != Style::new() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables, whether it is a terminal, whether to colour.
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, bool);

    #[test]
    fn the_environment_decides() {
        let cases: [Case<'_>; 9] = [
            (&[], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "0")], false, false),
            (&[("CLICOLOR", "0")], true, false),
            (&[("TERM", "dumb")], true, false),
        ];
        for (variables, is_terminal, expected) in cases {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let wanted = decide(Choice::Auto, is_terminal, lookup);
            assert_eq!(wanted, expected, "{variables:?}");
            assert!(decide(Choice::Always, is_terminal, lookup));
            assert!(!decide(Choice::Never, is_terminal, lookup));
        }
    }

    #[test]
    fn paint_ends_what_it_begins() {
        assert_eq!(paint("ok", GOOD, true), "\u{1b}[32mok\u{1b}[0m");
        assert_eq!(paint("ok", GOOD, false), "ok");
        assert_eq!(paint("", GOOD, true), "");
        assert_eq!(paint("ok", Style::new(), true), "ok");
    }
}
