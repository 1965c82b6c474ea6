//! `autotuned convert`: a repo of the reference tuner as a spec.

use std::io::Write;

use super::after_label;
use super::exit::Exit;
use super::source::ReferenceArgs;
use crate::config::reference;
use crate::term::color::BOLD;

/// Prints the spec that says what auto_tune.sh does in a repo
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned convert --repo /data/qwen > qwen.toml
  ACC=0.9 autotuned convert --repo /data/qwen --eval_runs 3

It goes by the environment variables and flags of auto_tune.sh and auto_tune.py,
by tune_secrets.sh, best_params.json and the search space JSON, and starts
nothing. What has no place in a spec is listed on standard error, with the way
out. `autotuned run --preset serving-env --repo DIR` goes by the same spec.")]
pub struct Args {
    #[command(flatten)]
    reference: ReferenceArgs,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let wishes = match args.reference.wishes() {
        Ok(wishes) => wishes,
        Err(exit) => return exit,
    };
    let translation = match reference::translate_here(&wishes) {
        Ok(translation) => translation,
        Err(problems) => {
            for problem in &problems {
                Exit::Spec.say_text(problem);
            }
            return Exit::Spec;
        }
    };
    let mut stderr = anstream::stderr();
    let notes = translation.notes.iter().map(|note| ("note", note));
    let left_out = translation.left_out.iter().map(|left| ("left out", left));
    for (label, text) in notes.chain(left_out) {
        let text = after_label(label, text);
        let _ = writeln!(stderr, "{BOLD}{label}{BOLD:#}{text}");
    }
    let printed = Exit::of_output(anstream::stdout().write_all(translation.text.as_bytes()));
    match translation.check() {
        Ok(_) => printed,
        // It is printed all the same: its comments say where each value is from.
        Err(complaints) => Exit::Spec.say_text(&complaints.to_string()),
    }
}
