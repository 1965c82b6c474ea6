//! How both programs say what went wrong.

use std::io::IsTerminal;

use super::color::BAD;
use crate::base::wrap::wrap;

/// `error: TEXT` for `stream`. On a terminal no line is longer than 80 columns
/// unless it has a word that is; elsewhere the lines are as they are given, for
/// programs that look for them.
pub fn error(text: &str, stream: &impl IsTerminal) -> String {
    let text = format!("error: {text}");
    let text = match stream.is_terminal() {
        true => folded(&text),
        false => text,
    };
    text.replacen("error", &format!("{BAD}error{BAD:#}"), 1)
}

/// Lines below the first are indented where they go on with the one before.
fn folded(text: &str) -> String {
    let lines = text.lines().flat_map(|line| match line.starts_with(' ') {
        // Somebody has laid it out.
        true => vec![line.to_owned()],
        false => wrap("", "  ", line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_folded_and_laid_out_ones_are_left() {
        let path = "/a".repeat(50);
        let text = format!("{}\n  {path} b\nnext: c", "word ".repeat(20).trim());
        let folded = folded(&text);
        let lines: Vec<&str> = folded.lines().collect();
        assert_eq!(lines.len(), 4, "{folded}");
        assert!(lines[1].starts_with("  word"), "{folded}");
        assert_eq!(lines[2], format!("  {path} b"));
        assert_eq!(lines[3], "next: c");
    }

    #[test]
    fn what_is_no_terminal_gets_one_line() {
        let file = tempfile::tempfile().expect("a file");
        let text = "word ".repeat(30);
        let said = anstream::adapter::strip_str(&error(&text, &file)).to_string();
        assert_eq!(said, format!("error: {text}"));
    }
}
