//! A report as one HTML page that needs nothing else: no network, no script.
//! Light and dark by what the reader prefers, and it can be printed.
//!
//! | file | holds |
//! |---|---|
//! | `axis` | numbers to places, and where ticks are |
//! | `svg` | a drawing as text |
//! | `plots` | the figures |
//!
//! All text is escaped where it is written, and every element is closed.

mod axis;
mod plots;
mod svg;

use std::fmt::Write;

use super::document::{Block, Document, Mark, Section, Table};
use crate::model::form::Languages;

const STYLE: &str = include_str!("style.css");
/// A table of more rows is folded up.
const OPEN: usize = 20;

/// The page.
pub fn page(document: &Document) -> String {
    let title = escape(&document.title);
    let language = match document.languages {
        Languages::English => "en",
        Languages::Chinese | Languages::Both => "zh-CN",
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav>"
    );
    for section in &document.sections {
        let (id, title) = (section.id, escape(&section.title));
        let _ = write!(page, "<a href=\"#{id}\">{title}</a> ");
    }
    page += "</nav>\n<main>\n";
    for (index, found) in document.sections.iter().enumerate() {
        section(&mut page, found, index == 0);
    }
    page + "</main>\n</body>\n</html>\n"
}

fn section(page: &mut String, section: &Section, is_first: bool) {
    let (id, title) = (section.id, escape(&section.title));
    let _ = writeln!(page, "<section id=\"{id}\">\n<h2>{title}</h2>");
    for (index, found) in section.blocks.iter().enumerate() {
        block(page, found, is_first && index == 0);
    }
    *page += "</section>\n";
}

fn block(page: &mut String, block: &Block, is_lead: bool) {
    match block {
        Block::Text(phrases) => {
            let class = if is_lead { " class=\"lead\"" } else { "" };
            for phrase in phrases {
                let language = phrase.language.pick("en", "zh-CN");
                let text = escape(&phrase.text);
                let _ = writeln!(page, "<p lang=\"{language}\"{class}>{text}</p>");
            }
        }
        Block::Facts(facts) => {
            *page += "<dl>\n";
            for (name, text) in facts {
                let (name, text) = (escape(name), escape(text));
                let _ = writeln!(page, "<dt>{name}</dt><dd>{text}</dd>");
            }
            *page += "</dl>\n";
        }
        Block::Table(found) => table(page, found),
        Block::Code(text) => {
            let _ = writeln!(page, "<pre><code>{}</code></pre>", escape(text));
        }
        Block::Plain(text) => {
            let _ = writeln!(page, "<p class=\"plain\">{}</p>", escape(text));
        }
        Block::Quote(text) => {
            *page += "<blockquote>\n";
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let _ = writeln!(page, "<p>{}</p>", escape(line));
            }
            *page += "</blockquote>\n";
        }
        Block::Figure(figure) => plots::figure(page, figure),
    }
}

fn table(page: &mut String, table: &Table) {
    let title = escape(&table.title);
    let rows = table.rows.len();
    let is_folded = rows > OPEN;
    if is_folded {
        let _ = writeln!(page, "<details><summary>{title} ({rows})</summary>");
    }
    *page += "<div class=\"scroll\"><table>";
    if !is_folded {
        let _ = write!(page, "<caption>{title}</caption>");
    }
    *page += "<thead><tr>";
    let class = |is_number: bool| if is_number { " class=\"n\"" } else { "" };
    for column in &table.columns {
        let (class, title) = (class(column.is_number), escape(&column.title));
        let _ = write!(page, "<th scope=\"col\"{class}>{title}</th>");
    }
    *page += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        *page += match row.mark {
            Mark::None => "<tr>",
            Mark::Best => "<tr class=\"best\">",
            Mark::Bad => "<tr class=\"bad\">",
        };
        for (cell, column) in row.cells.iter().zip(&table.columns) {
            let _ = write!(page, "<td{}>{}</td>", class(column.is_number), escape(cell));
        }
        *page += "</tr>\n";
    }
    *page += "</tbody></table></div>\n";
    if is_folded {
        *page += "</details>\n";
    }
}

/// Text that is none but text, in an element or an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // No XML may have these, not even escaped.
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {
                escaped.push('\u{fffd}');
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}
