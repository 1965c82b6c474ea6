//! A report as Markdown (CommonMark with GitHub's tables).

use super::document::{Block, Document, Mark, Section, Table};

/// The page.
pub fn page(document: &Document) -> String {
    let mut page = format!("# {}\n", escape(&document.title));
    for section in &document.sections {
        page += &section_text(section);
    }
    page
}

fn section_text(section: &Section) -> String {
    let blocks = section.blocks.iter().map(block);
    let blocks: Vec<String> = blocks.filter(|text| !text.is_empty()).collect();
    if blocks.is_empty() {
        // It has plots alone.
        return String::new();
    }
    format!("\n## {}\n\n{}", escape(&section.title), blocks.join("\n"))
}

/// A block, with a newline at its end.
fn block(block: &Block) -> String {
    match block {
        Block::Text(phrases) => {
            let texts = phrases.iter().map(|phrase| escape(&phrase.text));
            texts.collect::<Vec<_>>().join("\n\n") + "\n"
        }
        Block::Facts(facts) => {
            let facts = facts.iter();
            let lines =
                facts.map(|(name, text)| format!("- **{}**: {}\n", escape(name), escape(text)));
            lines.collect()
        }
        Block::Table(found) => table(found),
        Block::Code(text) => code(text),
        Block::Plain(text) => {
            // A line of its own stays one.
            let lines: Vec<String> = text.lines().map(|line| escape(line.trim())).collect();
            lines.join("\\\n") + "\n"
        }
        Block::Quote(text) => {
            let lines = text.lines().map(|line| match line.trim() {
                "" => ">\n".to_owned(),
                line => format!("> {}\n", escape(line)),
            });
            lines.collect()
        }
        Block::Figure(_) => String::new(),
    }
}

fn table(table: &Table) -> String {
    let row = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = format!("**{}**\n\n", escape(&table.title));
    text += &row(&mut table.columns.iter().map(|column| escape(&column.title)));
    text += &row(
        &mut table.columns.iter().map(|column| match column.is_number {
            true => "---:".to_owned(),
            false => "---".to_owned(),
        }),
    );
    for found in &table.rows {
        let is_best = found.mark == Mark::Best;
        text += &row(&mut found
            .cells
            .iter()
            .map(|text| match is_best && !text.is_empty() {
                true => format!("**{}**", cell(text)),
                false => cell(text),
            }));
    }
    text
}

/// The text of a cell. A line cannot end in one, so that its end is written as
/// the one element that is let through wherever Markdown has tables.
fn cell(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escape).collect();
    lines.join("<br>")
}

/// A fenced block; the fence is longer than any in the text.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}\n")
}

/// Text that means nothing to Markdown or HTML: whatever is in it is seen as it
/// is, and nothing becomes a link.
fn escape(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut escaped = String::with_capacity(text.len());
    let is_word = |letter: Option<&char>| letter.is_some_and(|c| c.is_alphanumeric());
    let digits = letters.iter().take_while(|c| c.is_ascii_digit()).count();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| letters.get(index));
        let after = letters.get(index + 1);
        let first = index == 0;
        let means = match letter {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '@' => true,
            // Between two letters it is none that emphasises.
            '_' => !(is_word(before) && is_word(after)),
            '!' => after == Some(&'['),
            '#' | '=' if first => true,
            '+' | '-' if first => !after.is_some_and(char::is_ascii_digit),
            '.' | ')' if digits > 0 && index == digits => after.is_none_or(|c| c.is_whitespace()),
            // What GitHub would make a link of.
            ':' => after == Some(&'/'),
            '.' => is_www(&letters[..index]),
            _ => false,
        };
        if means {
            escaped.push('\\');
        }
        escaped.push(*letter);
    }
    escaped
}

fn is_www(before: &[char]) -> bool {
    let last: String = before.iter().rev().take(3).collect();
    last.eq_ignore_ascii_case("www")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let cases = [
            ("MAX_NUM_SEQS: 512 → 1536", "MAX_NUM_SEQS: 512 → 1536"),
            ("_a_ *b* `c`", r"\_a\_ \*b\* \`c\`"),
            (
                "<script>alert(1)</script>",
                r"\<script\>alert(1)\</script\>",
            ),
            ("a|b", r"a\|b"),
            ("[x](http://e.org)", r"\[x\](http\://e.org)"),
            ("www.e.org", r"www\.e.org"),
            ("1. one", r"1\. one"),
            ("1.5 of them", "1.5 of them"),
            ("- a", r"\- a"),
            ("-1.5", "-1.5"),
            ("# a", r"\# a"),
            ("&lt; a@b.c $x$", r"\&lt; a\@b.c \$x\$"),
            ("句号。", "句号。"),
        ];
        for (text, escaped) in cases {
            assert_eq!(escape(text), escaped);
        }
    }

    #[test]
    fn a_fence_is_longer_than_those_within() {
        assert_eq!(code("a"), "```sh\na\n```\n");
        assert_eq!(code("a\n````\n"), "`````sh\na\n````\n\n`````\n");
    }
}
