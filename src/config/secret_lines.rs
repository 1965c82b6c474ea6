//! Where a text that is no TOML may have secrets.
//!
//! A spec names the source of a secret. Somebody may have written the secret
//! itself all the same, and on the very line with the slip; complaints end up
//! in logs. There is no table to look into, so the lines have to do.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// A key of `[notify]` or `[advisor]` whose value may be a secret.
static SECRET: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b(?:password|secret|token|url|api_key)["']?\s*="#).ok());
/// How a line begins that does not belong to the value above it.
static NEXT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^\s*(?:\[|["']?[\w.-]+["']?\s*=)"#).ok());

/// What is not to be shown: within `[notify]` and `[advisor]`, the values of keys that name a
/// secret, each to where the next key or table begins.
pub(super) fn secret_lines(text: &str) -> Vec<Range<usize>> {
    let (Some(secret), Some(next)) = (&*SECRET, &*NEXT) else {
        return std::iter::once(0..text.len()).collect();
    };
    let mut found = Vec::new();
    let (mut in_section, mut in_secret) = (false, false);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        // Of a table or, without one, from the key on.
        in_section &= !line.trim_start().starts_with('[');
        in_section |= line.contains("notify") || line.contains("advisor");
        in_secret &= !next.is_match(line);
        if in_secret {
            found.push(start..end);
        } else if in_section && let Some(key) = secret.find(line) {
            found.push(start + key.end()..end);
            in_secret = true;
        }
        start = end;
    }
    found
}
