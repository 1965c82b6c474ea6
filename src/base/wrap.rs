//! Lines of at most so many columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that every terminal has, less two for an indentation.
pub const WIDTH: usize = 78;

/// `text` in lines of at most [`WIDTH`] columns, the first after `first` and
/// the others after `rest`. It breaks at spaces; a longer word is cut where it
/// has letters of two columns, which need no space between them, and is else
/// left whole so that a path can still be copied.
pub fn wrap(first: &str, rest: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words(text) {
        let space = usize::from(!is_empty);
        if !is_empty && line.width() + space + word.width() > WIDTH {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        is_empty = false;
        if line.width() + word.width() <= WIDTH || !word.chars().any(is_wide) {
            line.push_str(word);
            continue;
        }
        for letter in word.chars() {
            if line.width() + letter.width().unwrap_or(0) > WIDTH {
                lines.push(std::mem::replace(&mut line, rest.to_owned()));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines
}

/// The words of a text; a percent sign stays with its number.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim_matches(' ');
    std::iter::from_fn(move || {
        let mut spaces = rest.match_indices(' ').map(|(at, _)| at);
        let end = spaces.find(|at| !rest[at + 1..].starts_with('%'));
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind.trim_start_matches(' ');
        (!word.is_empty()).then_some(word)
    })
}

fn is_wide(letter: char) -> bool {
    letter.width() == Some(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn breaks_at_spaces_and_in_chinese() {
        let words = "word ".repeat(20);
        let lines = wrap("- ", "  ", &words);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("  word"));
        let lines = wrap("", "", &"调".repeat(90));
        assert_eq!(
            lines.iter().map(|l| l.width()).collect::<Vec<_>>(),
            [78, 78, 24]
        );
        let path = "/a".repeat(60);
        assert_eq!(
            wrap("", "  ", &format!("in {path} now")),
            ["in", &format!("  {path}"), "  now"]
        );
    }

    #[test]
    fn a_percent_sign_stays_with_its_number() {
        let parts: Vec<&str> = words(" about  8.4 % (95 % more) ").collect();
        assert_eq!(parts, ["about", "8.4 %", "(95 %", "more)"]);
    }

    proptest! {
        #[test]
        fn loses_nothing_and_stays_within(words in prop::collection::vec("[a-z]{1,70}|[a-c调参]{1,99}", 0..9)) {
            // Words without wide letters stay whole, so only mixed ones may be long.
            let words: Vec<String> = words
                .into_iter()
                .map(|w| if w.chars().any(is_wide) { w } else { w.chars().take(70).collect() })
                .collect();
            let lines = wrap("* ", "  ", &words.join(" "));
            prop_assert!(lines.iter().all(|line| line.width() <= WIDTH));
            let kept: String = lines.concat().replace([' ', '*'], "");
            prop_assert_eq!(kept, words.concat());
        }
    }
}
