//! What a report keeps to itself: it is passed on to others, unlike the files
//! that it is made from.
//!
//! A spec names where secrets are and never has them; but somebody may have
//! written one into a command or a variable all the same. Whatever goes by the
//! name of one is withheld, and the name is told.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::spec::Spec;

/// What stands in the place of a secret.
pub const WITHHELD: &str = "[withheld]";

/// Names of secrets, by their words: `HF_TOKEN`, `--api-key`, `db.password`, but
/// not `max_tokens` or `KEYS`.
static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words =
        "token|secret|password|passwd|passphrase|credentials?|api[_-]?key|access[_-]?key|auth";
    Regex::new(&format!("(?i)(?:^|[^a-z])(?:{words})(?:$|[^a-z])")).ok()
});

/// Who logs in where, within an address.
static LOGIN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"://[^/@\s]+@").ok());

/// Whether what has this name is a secret: one of the variables in which the spec
/// finds secrets, or something that is called like one.
pub fn is_secret(spec: &Spec, name: &str) -> bool {
    spec.secret_env().iter().any(|known| known == name) || is_called_secret(name)
}

fn is_called_secret(name: &str) -> bool {
    // Without the pattern, nothing is known to be none.
    NAME.as_ref().is_none_or(|pattern| pattern.is_match(name))
}

/// The words of a command, each without the secrets that are in it: the value
/// of an argument that is called like one, and who logs in where.
pub fn words(command: &[String]) -> Vec<String> {
    let mut follows = false;
    let mut told = Vec::with_capacity(command.len());
    for word in command {
        let withheld = std::mem::take(&mut follows);
        told.push(match word.split_once('=') {
            _ if withheld && !word.starts_with("--") => WITHHELD.to_owned(),
            Some((name, _)) if is_called_secret(name) => format!("{name}={WITHHELD}"),
            _ => {
                follows = word.starts_with('-') && is_called_secret(word);
                address(word)
            }
        });
    }
    told
}

/// A text without who logs in where.
pub fn address(text: &str) -> String {
    match &*LOGIN {
        Some(login) => login
            .replace_all(text, format!("://{WITHHELD}@"))
            .into_owned(),
        None => WITHHELD.to_owned(),
    }
}

/// A text without what is written in it like an argument or a variable that is a
/// secret, and without who logs in where.
pub fn text(text: &str) -> String {
    let line = |line: &str| {
        let parts: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words(&parts).join(" ")
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_a_secret_is_withheld() {
        let secret = [
            "HF_TOKEN",
            "token",
            "--api-key",
            "OPENAI_API_KEY",
            "db.password",
            "APIKEY",
        ];
        for name in secret {
            assert!(is_called_secret(name), "{name}");
        }
        for name in [
            "max_tokens",
            "KEYS",
            "MAX_NEW_TOKENS",
            "author",
            "--port",
            "tokenizer",
        ] {
            assert!(!is_called_secret(name), "{name}");
        }
        let command = [
            "serve",
            "--api-key",
            "hunter2",
            "--token=hunter2",
            "--port",
            "1",
        ];
        let command = command.map(str::to_owned);
        let told = words(&command).join(" ");
        assert_eq!(
            told,
            "serve --api-key [withheld] --token=[withheld] --port 1"
        );
        assert_eq!(
            words(&["http://me:hunter2@host/a".to_owned()]),
            ["http://[withheld]@host/a"]
        );
        assert_eq!(
            text("run  it with\n --api-key hunter2 and HF_TOKEN=hunter2, at http://me:x@h/ now"),
            "run  it with\n --api-key [withheld] and HF_TOKEN=[withheld] at \
             http://[withheld]@h/ now"
        );
        // A switch has no value.
        let command = ["serve", "--use-auth", "--port", "1"].map(str::to_owned);
        assert_eq!(words(&command).join(" "), "serve --use-auth --port 1");
    }
}
