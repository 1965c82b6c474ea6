//! From text to TOML, with what is wrong with its syntax.

use toml::de::DeTable;

use super::reader::Reader;
use super::secret_lines::secret_lines;

/// Parses `text`; `None` where it is no TOML, which has been complained about.
pub(super) fn parse<'t>(r: &mut Reader<'_>, text: &'t str) -> Option<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for range in secret_lines(text) {
            r.hide(&range);
        }
    }
    // What follows a slip in the syntax is mostly a consequence of it; a key
    // that stands twice has none.
    let is_twice = |error: &&toml::de::Error| error.message().starts_with("duplicate key");
    let place = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let syntax = errors.iter().filter(|error| !is_twice(error));
    if let Some(first) = syntax.min_by_key(|error| place(error).start) {
        let mut message = first.message().replace('\n', "; ");
        // A part that ends too early is empty: that explains nothing.
        let span = place(first);
        if message.starts_with("string values must be quoted") && span.is_empty() {
            message = "the key has no value".to_owned();
        }
        r.error(&span, format!("this is not TOML: {message}"));
        return None;
    }
    for error in &errors {
        let span = place(error);
        let key = text.get(span.clone()).unwrap_or_default();
        let message = format!("`{key}` is here for the second time");
        r.error_help(
            &span,
            message,
            "keep one of the two; of [[step]] and other [[…]] there may be several",
        );
    }
    errors.is_empty().then(|| table.into_inner())
}
