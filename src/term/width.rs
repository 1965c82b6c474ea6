//! Widths of text in columns of a terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns `text` takes: two for a Chinese character, none for a
/// combining accent.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` with blanks after it, up to `columns`; longer text stays as it is.
pub fn pad_right(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// `text` with blanks before it, up to `columns`; longer text stays as it is.
pub fn pad_left(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{}{text}", " ".repeat(missing))
}

/// `text`, or its beginning with `…`, in at most `columns`. It may take one
/// column less, where half a character would have to be shown.
pub fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
        // A sequence of characters can be shown as one, wider than its parts.
        if width(&kept) > room {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// A name is not made shorter than this for the sake of its value.
const SHORTEST_NAME: usize = 8;

/// A word in at most `columns`. Of `NAME=VALUE` the name is shortened, where
/// that is enough: it is the value that tells one from another.
fn shorten_word(word: &str, columns: usize) -> Cow<'_, str> {
    if let Some((name, value)) = word.split_once('=')
        && width(word) > columns
    {
        let room = columns.saturating_sub(width(value) + 1);
        if room >= SHORTEST_NAME {
            return Cow::Owned(format!("{}={value}", shorten(name, room)));
        }
    }
    shorten(word, columns)
}

/// `text` in lines of at most `columns`, broken at blanks; a word that is
/// longer is shortened. One empty line for an empty text.
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = shorten_word(word, columns);
        let line = lines.last().map_or(0, |line| width(line));
        match lines.last_mut() {
            Some(last) if line == 0 => last.push_str(&word),
            Some(last) if line + 1 + width(&word) <= columns => {
                last.push(' ');
                last.push_str(&word);
            }
            _ => lines.push(word.into_owned()),
        }
    }
    lines
}

/// `text` in one line without what a terminal would obey: control characters
/// become blanks, and marks of the direction of writing are left out.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_mark = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(|c| is_mark(c) || is_break(c)) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !is_mark(*c));
    Cow::Owned(kept.map(|c| if is_break(c) { ' ' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folds_at_blanks() {
        let folded = fold("A=1 MODE=fast 模型=长长长 LONG=123456789012", 10);
        assert_eq!(folded, ["A=1", "MODE=fast", "模型=长长…", "LONG=1234…"]);
        assert_eq!(fold("A=1 B=2 C=3", 7), ["A=1 B=2", "C=3"]);
        assert_eq!(fold("", 7), [""]);
        assert_eq!(
            fold("VLLM_MAX_NUM_SEQS=1024 GPU_MEMORY_UTILIZATION=0.97", 18),
            ["VLLM_MAX_NUM…=1024", "GPU_MEMORY_U…=0.97"]
        );
    }

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!(width("模型 a"), 6);
        assert_eq!(pad_right("模型", 6), "模型  ");
        assert_eq!(pad_left("模型", 6), "  模型");
        assert_eq!(pad_left("模型", 3), "模型");
    }

    #[test]
    fn shortening_never_halves_a_character() {
        let shortened = |columns| shorten("模型推理", columns).into_owned();
        assert_eq!(shortened(8), "模型推理");
        assert_eq!(shortened(7), "模型推…");
        assert_eq!(shortened(6), "模型…");
        assert_eq!(shortened(5), "模型…");
        assert_eq!(shortened(1), "…");
        assert_eq!(shortened(0), "");
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abcd", 3), "ab…");
    }

    #[test]
    fn nothing_to_obey_is_left() {
        assert_eq!(clean("a\u{1b}[31mb\n\tc\u{202e}d"), "a [31mb  cd");
        assert_eq!(clean("平常"), "平常");
    }

    proptest! {
        #[test]
        fn shortened_text_fits(text in ".{0,40}", columns in 0usize..30) {
            let text = clean(&text).into_owned();
            prop_assert!(width(&shorten(&text, columns)) <= columns);
        }
    }
}
