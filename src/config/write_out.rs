//! A spec's tree as text again: what a spec and its preset say together.
//! Values are written as they stand in their texts.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of `table`, whose places are those of `source`. Comments are left
/// out.
pub(super) fn write_out(table: &DeTable<'_>, source: &str) -> String {
    let mut writer = Writer {
        source,
        text: String::new(),
    };
    writer.sections("", table);
    writer.text
}

struct Writer<'s> {
    source: &'s str,
    text: String,
}

impl<'s> Writer<'s> {
    /// The values of a table, and after them its tables with their headers.
    fn sections(&mut self, path: &str, table: &DeTable<'_>) {
        // Parameters stay together, whether they are tables or not: their order
        // has a meaning.
        let has_header = |path: &str, value: &DeValue<'_>| match value {
            DeValue::Table(_) => match path.split_once('.') {
                None => true,
                Some((section, key)) => section == "step" && !key.contains('.'),
            },
            DeValue::Array(_) => is_sections(value),
            _ => false,
        };
        let place = |key: &str| match path {
            "" => key.to_owned(),
            _ => format!("{path}.{key}"),
        };
        let entries = table.iter().map(|(key, value)| {
            let key = self.excerpt(key);
            (key, place(key), value.get_ref(), value)
        });
        let entries: Vec<_> = entries.collect();
        for (key, place, inner, value) in &entries {
            if !has_header(place, inner) {
                let value = self.inline(value);
                self.text.push_str(&format!("{key} = {value}\n"));
            }
        }
        for (_, place, inner, _) in entries {
            match inner {
                DeValue::Table(table) if has_header(&place, inner) => {
                    self.header(&format!("[{place}]"));
                    self.sections(&place, table);
                }
                DeValue::Array(array) if has_header(&place, inner) => {
                    for element in array {
                        self.header(&format!("[[{place}]]"));
                        if let DeValue::Table(table) = element.get_ref() {
                            self.sections(&place, table);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn header(&mut self, header: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(header);
        self.text.push('\n');
    }

    fn inline(&self, value: &Spanned<DeValue<'_>>) -> String {
        match value.get_ref() {
            DeValue::Table(table) => {
                let entries = table.iter();
                let entries =
                    entries.map(|(k, v)| format!("{} = {}", self.excerpt(k), self.inline(v)));
                let entries: Vec<String> = entries.collect();
                match entries.is_empty() {
                    true => "{}".to_owned(),
                    false => format!("{{ {} }}", entries.join(", ")),
                }
            }
            DeValue::Array(array) => {
                let elements: Vec<String> = array.iter().map(|v| self.inline(v)).collect();
                format!("[{}]", elements.join(", "))
            }
            _ => self.excerpt(value).to_owned(),
        }
    }

    fn excerpt<T>(&self, spanned: &Spanned<T>) -> &'s str {
        self.source.get(spanned.span()).unwrap_or_default()
    }
}

/// Whether a list is one of tables, `[[step]]`.
fn is_sections(value: &DeValue<'_>) -> bool {
    let DeValue::Array(array) = value else {
        return false;
    };
    !array.is_empty()
        && array
            .iter()
            .all(|v| matches!(v.get_ref(), DeValue::Table(_)))
}
