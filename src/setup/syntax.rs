//! Texts as unit files have them; see systemd.syntax(7) and systemd.unit(5) on
//! specifiers.

use std::path::Path;

use super::SetupError;

/// A path as a word of a list, such as that of `ReadWritePaths=`.
///
/// # Errors
/// [`SetupError::NotWritable`] for what no quotes make harmless.
pub fn path(path: &Path) -> Result<String, SetupError> {
    let refused = |why| SetupError::NotWritable {
        what: "the path",
        text: path.display().to_string(),
        why,
    };
    let text = path.to_str().ok_or_else(|| refused("it is not UTF-8"))?;
    // A line end would be the end of the setting.
    if text.chars().any(char::is_control) {
        return Err(refused("it has control characters, such as a line end"));
    }
    if !path.is_absolute() {
        return Err(refused("it is not absolute"));
    }
    Ok(word(text))
}

/// A path as an argument of `ExecStart=`, where `$` begins a variable.
///
/// # Errors
/// As [`path`].
pub fn argument(path: &Path) -> Result<String, SetupError> {
    Ok(self::path(path)?.replace('$', "$$"))
}

/// `NAME=path` as a word, for `Environment=`.
///
/// # Errors
/// As [`path`].
pub fn assignment(name: &str, value: &Path) -> Result<String, SetupError> {
    path(value)?;
    Ok(word(&format!("{name}={}", value.display())))
}

/// A word, in quotes where it needs them. `%` begins a specifier.
fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "/-_.+,:=@%~".contains(letter);
    let escaped = text.replace('%', "%%");
    if escaped.chars().all(plain) {
        return escaped;
    }
    let quoted = escaped.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{quoted}\"")
}

/// The name of a user or a group, which stands in `User=` as it is.
///
/// # Errors
/// [`SetupError::NotWritable`].
pub fn account(name: &str) -> Result<String, SetupError> {
    let plain = |letter: char| letter.is_alphanumeric() || "-_.@$".contains(letter);
    let why = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('-') {
        "it begins with a dash"
    } else if !name.chars().all(plain) {
        "only letters, digits, `-`, `_`, `.`, `@` and `$` can"
    } else {
        return Ok(name.to_owned());
    };
    Err(SetupError::NotWritable {
        what: "the name",
        text: name.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_take_for_something_else_is_escaped() {
        let cases = [
            ("/home/alice/study", "/home/alice/study"),
            ("/home/zoë/调优", "/home/zoë/调优"),
            ("/data/a b", r#""/data/a b""#),
            ("/data/100%h", "/data/100%%h"),
            (r#"/data/"x""#, r#""/data/\"x\"""#),
            ("/data/it's", r#""/data/it's""#),
            (r"/data/x\", r#""/data/x\\""#),
            ("/data/$HOME;#", r#""/data/$HOME;#""#),
        ];
        for (text, expected) in cases {
            assert_eq!(path(Path::new(text)).expect("good"), expected);
        }
        let spec = assignment("SPEC", Path::new("/a b/50%.toml")).expect("good");
        assert_eq!(spec, r#""SPEC=/a b/50%%.toml""#);
        let argument = argument(Path::new("/a/$HOME")).expect("good");
        assert_eq!(argument, r#""/a/$$HOME""#);
    }

    #[test]
    fn what_cannot_be_escaped_is_refused() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        for text in ["/data/a\nUser=root", "/data/\t", "data", "/data/\u{7f}"] {
            assert!(path(Path::new(text)).is_err(), "{text:?}");
        }
        assert!(path(Path::new(OsStr::from_bytes(b"/data/\xff"))).is_err());
        for name in ["", "-x", "a b", "a\nb", "a%h", "a\"", "a/b", "a\\b"] {
            assert!(account(name).is_err(), "{name:?}");
        }
        assert_eq!(account("alice.b-1$").expect("good"), "alice.b-1$");
    }
}
