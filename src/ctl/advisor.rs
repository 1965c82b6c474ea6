//! `autotunectl advisor`.

use std::path::PathBuf;

use super::advisor_setup::{self, Setup};
use super::exit::Exit;
use super::prose;
use super::session::{Session, Trouble};
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::term::color::{BAD, GOOD, paint};
use crate::wire::reply::{AdvisorAnswer, AdvisorTested, Reply};
use crate::wire::request::Request;

/// Stores the key of the language model that advises, or tries it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl advisor test            does the model of [advisor] answer?
  autotunectl advisor setup           ask for its key, try it, store it")]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Sends the advisor a small request, and shows what it answers
    #[command(after_help = "\
Examples:
  autotunectl advisor test
  autotunectl advisor test --spec study.toml    from here, without a daemon

The daemon sends it, with its key, proxy and sandbox. It takes some hundred
tokens. The exit code is 1 when no answer comes.")]
    Test {
        /// Send it from here, by the [advisor] of this spec
        #[arg(long, value_name = "PATH")]
        spec: Option<PathBuf>,
    },
    Setup(Setup),
}

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    match args.verb {
        Verb::Setup(setup) => advisor_setup::carry_out(session, &setup).await,
        Verb::Test { spec: None } => {
            let Reply::AdvisorTested(tested) = session.ask(&Request::AdvisorTest).await? else {
                return Err(Trouble::OffTopic);
            };
            show(session, &tested)
        }
        Verb::Test { spec: Some(spec) } => {
            let tested = advisor_setup::test_from_here(&spec).await?;
            show(session, &tested)
        }
    }
}

/// Prints what came of a test.
pub(super) fn show(session: &Session, tested: &AdvisorTested) -> Result<Exit, Trouble> {
    if session.json {
        session.print_json(tested)?;
    } else {
        session.print(&text(tested, session.color))?;
    }
    let answers = tested.answer.is_some();
    Ok(if answers { Exit::Done } else { Exit::Failure })
}

fn text(tested: &AdvisorTested, color: bool) -> String {
    let who = format!("{} at {}", clean(&tested.model), clean(&tested.base_url));
    let (word, style, first, mut below) = match &tested.answer {
        Some(answer) => {
            let took = prose::duration(answer.took);
            let first = format!("{who}: answers after {took}");
            ("answers", GOOD, first, details(answer))
        }
        None => {
            let why = clean(tested.error.as_deref().unwrap_or_default());
            ("failed", BAD, format!("{who}: failed: {why}"), Vec::new())
        }
    };
    below.push(match &tested.key {
        Some(key) => format!("key: {}", clean(key)),
        None => "key: none".to_owned(),
    });
    let mut lines = wrap("", "  ", &first);
    lines.extend(below.iter().flat_map(|line| wrap("  ", "    ", line)));
    let text = lines.join("\n") + "\n";
    text.replacen(word, &paint(word, style, color), 1)
}

fn details(answer: &AdvisorAnswer) -> Vec<String> {
    let kept = match answer.keeps_format {
        true => "",
        false => " (but its answer was none of that)",
    };
    let guessed = match answer.estimated {
        true => " (a guess: the server counts none)",
        false => "",
    };
    vec![
        format!("model: {}", clean(&answer.model)),
        format!("format: {}{kept}", clean(&answer.format)),
        format!("tokens: {}{guessed}", answer.tokens),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        let mut tested = AdvisorTested {
            base_url: "http://127.0.0.1:8000/v1".to_owned(),
            model: "smol".to_owned(),
            key: None,
            answer: Some(AdvisorAnswer {
                model: "smollm2".to_owned(),
                format: "json_object".to_owned(),
                keeps_format: true,
                took: 1300,
                tokens: 90,
                estimated: true,
            }),
            error: None,
        };
        insta::assert_snapshot!(text(&tested, false), @r"
        smol at http://127.0.0.1:8000/v1: answers after 1.3 s
          model: smollm2
          format: json_object
          tokens: 90 (a guess: the server counts none)
          key: none
        ");
        tested.answer = None;
        tested.error = Some("it answers 401 Unauthorized: no".to_owned());
        tested.key = Some("the credential `openai_api_key`".to_owned());
        insta::assert_snapshot!(text(&tested, false), @r"
        smol at http://127.0.0.1:8000/v1: failed: it answers 401 Unauthorized: no
          key: the credential `openai_api_key`
        ");
    }
}
