//! What a look at the host has found, in lines.

use super::phrase::clean;
use crate::base::wrap::wrap;

/// As wide as the states with their gap.
const INDENT: &str = "         ";

/// One finding in lines. The first has the state in the word `state` alone, so
/// that it can be coloured, and the rest after it.
pub struct Lines {
    /// `warning  `.
    pub state: String,
    /// What comes after the state.
    pub text: Vec<String>,
    /// The remedy, below.
    pub remedy: Vec<String>,
}

/// The lines of a finding.
pub fn lines(state: &str, name: &str, text: &str, remedy: &str) -> Lines {
    let wrapped = |text: &str| match text {
        "" => Vec::new(),
        text => wrap(INDENT, INDENT, &clean(text)),
    };
    let mut text = wrapped(&format!("{name}: {text}"));
    if let Some(first) = text.first_mut() {
        *first = first.trim_start().to_owned();
    }
    Lines {
        state: format!("{state:<width$}", width = INDENT.len()),
        text,
        remedy: wrapped(remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_in_columns() {
        let long = "word ".repeat(20);
        let lines = lines("warning", "disk", &long, "see `df -h`");
        assert_eq!(lines.state, "warning  ");
        assert!(lines.text[0].starts_with("disk: word"));
        assert!(lines.text[1].starts_with("         word"));
        assert_eq!(lines.remedy, ["         see `df -h`"]);
    }
}
