//! How long a condition or a template may be.
//!
//! The engine works by recursion: an expression of many operators, or a long
//! chain of `elif`, would exhaust the stack, and that ends the process. Eight
//! times these bounds were seen to do so on a stack of 2 MiB.

/// The longest condition, and the longest `{{ … }}` or `{% … %}`, in bytes.
pub(super) const LONGEST_EXPRESSION: usize = 2000;

/// The most `elif` in one template.
const MOST_BRANCHES: usize = 500;

/// Whether the engine can be given this template. Where the scan misreads a
/// template (in a `raw` block, say) it refuses rather than lets through.
pub(super) fn template_fits(source: &str) -> bool {
    let mut rest = source;
    let mut branches = 0;
    while let Some(start) = rest.find('{') {
        let open = &rest[start..];
        rest = if open.starts_with("{#") {
            match open.find("#}") {
                Some(end) => &open[end + 2..],
                None => "",
            }
        } else if open.starts_with("{{") || open.starts_with("{%") {
            let inner = &open[2..];
            let length = tag_length(inner);
            if length > LONGEST_EXPRESSION {
                return false;
            }
            let word = inner.trim_start_matches(['-', '+']).trim_start();
            branches += usize::from(word.starts_with("elif"));
            inner.get(length..).unwrap_or_default()
        } else {
            &open[1..]
        };
    }
    branches <= MOST_BRANCHES
}

/// How long a tag is, up to an end that is neither in quotes nor in brackets.
fn tag_length(inner: &str) -> usize {
    let bytes = inner.as_bytes();
    let mut quote = None;
    let mut open = 0usize;
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        match (quote, byte) {
            (Some(_), b'\\') => index += 1,
            (Some(end), _) if byte == end => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'}' | b'%') if open == 0 && bytes.get(index + 1) == Some(&b'}') => {
                return index + 2;
            }
            (None, b'(' | b'[' | b'{') => open += 1,
            (None, b')' | b']' | b'}') => open = open.saturating_sub(1),
            _ => {}
        }
        index += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_pass_and_long_expressions_do_not() {
        let long = "x ".repeat(LONGEST_EXPRESSION);
        let good = [
            format!("{long}{{{{ A }}}}{long}{{# {long} #}}"),
            format!("{{% if A %}}{long}{{% endif %}} 100%}} {{ {long}"),
            "{{ {'a': {}}|length }} {{ \"}}\" }}".repeat(1000),
            "{{".to_owned(),
            "{{ '\\".to_owned(),
            "宽{{ 宽 }}".to_owned(),
        ];
        for text in good {
            assert!(template_fits(&text), "{text:.80}");
        }
        let bad = [
            format!("{{{{ {long} }}}}"),
            format!("{{{{ '}}}}' {long} }}}}"),
            format!("{{{{ {{'a': {{}}}} {long} }}}}"),
            format!("{{% if A %}}{}{{% endif %}}", "{%- elif A %}".repeat(501)),
        ];
        for text in bad {
            assert!(!template_fits(&text), "{text:.80}");
        }
    }
}
