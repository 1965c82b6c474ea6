//! What is said of a command line that cannot be understood.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Command, Error};

/// The text of `error` about the command line `words`, with the name of the
/// program first. Where something is missing it has the verb's examples, too.
pub fn message(error: &Error, command: &Command, words: &[OsString]) -> String {
    let text = error.render().ansi().to_string();
    let is_missing = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument | ErrorKind::InvalidValue
    );
    let examples = is_missing.then(|| examples(command, words)).flatten();
    // In front of where to read on.
    match (examples, text.rfind("\nFor more information")) {
        (Some(examples), Some(end)) => {
            format!("{}\n{examples}\n{}", &text[..end], &text[end..])
        }
        _ => text,
    }
}

/// The examples in the help of the verb that `words` name.
fn examples(command: &Command, words: &[OsString]) -> Option<String> {
    let matches = lenient(command.clone()).try_get_matches_from(words).ok()?;
    let (mut verb, mut given) = (command, &matches);
    while let Some((name, inner)) = given.subcommand() {
        verb = verb.find_subcommand(name)?;
        given = inner;
    }
    let help = verb.get_after_help()?.to_string();
    let mut paragraphs = help.split("\n\n");
    let examples = paragraphs.find(|paragraph| paragraph.starts_with("Example"))?;
    Some(examples.trim_end().to_owned())
}

/// The same command, which takes what it can of a wrong line.
fn lenient(command: Command) -> Command {
    command.ignore_errors(true).mut_subcommands(lenient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> String {
        let add = Command::new("add")
            .arg(clap::arg!(<VALUE>))
            .after_help("Example:\n  p space add 1\n\nMore.");
        let mut command = Command::new("p").subcommand(Command::new("space").subcommand(add));
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let error = command.try_get_matches_from_mut(&words);
        message(&error.expect_err("wrong"), &command, &words)
    }

    #[test]
    fn who_leaves_something_out_gets_the_examples_of_that_verb() {
        let text = said(&["p", "space", "add"]);
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(text);
        assert!(!said(&["p", "--other"]).contains("Example"));
    }
}
