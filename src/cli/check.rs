//! `autotuned check`: everything that is wrong with a spec.

use std::io::Write;

use super::after_label;
use super::exit::Exit;
use super::source::SpecArgs;
use crate::config::{Checked, Refusal, SpecSource};
use crate::doctor::{self, Finding, State};
use crate::report::phrase::counted;
use crate::term::color::{self, BAD, Choice, DOUBTFUL, GOOD};

/// Checks a spec, and whether this machine has what it names
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned check study.toml
  autotuned check --expand study.toml

Starts nothing. The exit code is 3 when something is wrong.")]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Look at the spec alone, not at this machine
    #[arg(long)]
    no_host: bool,
    /// Print the spec with what its preset fills in
    #[arg(long)]
    expand: bool,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let read = |source| read_source(&source, !args.no_host);
    let checked = match args.spec.source().and_then(read) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    if !args.no_host {
        // The service may have what this user has not.
        for mut finding in doctor::notify::look(&checked.spec.notify) {
            finding.state = finding.state.min(State::Warning);
            tell(&finding);
        }
        for finding in doctor::secrets::look(&checked.spec) {
            match finding.state {
                State::Ok => note(&format!("{}: {}", finding.check.name(), finding.text)),
                _ => tell(&finding),
            }
        }
    }
    let mut out = anstream::stdout();
    if args.expand {
        return Exit::of_output(out.write_all(checked.text.as_bytes()));
    }
    let spec = &checked.spec;
    let _ = writeln!(
        out,
        "{GOOD}good{GOOD:#}: study `{}`, {}, {}, {} a trial",
        spec.name,
        counted(spec.space.parameters().len() as u64, "parameter"),
        counted(spec.steps.len() as u64, "step"),
        counted(spec.runs_per_trial().into(), "run"),
    );
    Exit::Done
}

/// Reads a spec for a verb, and says what is wrong with it; with `host`, also
/// what this machine has not.
///
/// # Errors
/// How the verb is to end.
pub(super) fn read_source(source: &SpecSource, host: bool) -> Result<Checked, Exit> {
    let checked = parse_spec(source)?;
    let color = color::wanted(Choice::Auto, &std::io::stderr());
    checked.notes.iter().for_each(|text| note(text));
    let mut stderr = anstream::stderr();
    if !checked.warnings.is_empty() {
        let _ = write!(stderr, "{}", checked.warnings.render(color));
    }
    if !host {
        return Ok(checked);
    }
    let findings = doctor::of_spec(&checked.spec);
    for finding in &findings {
        tell(finding);
    }
    if findings.iter().any(|finding| finding.state == State::Error) {
        return Err(Exit::Spec);
    }
    Ok(checked)
}

fn note(text: &str) {
    let text = after_label("note", text);
    let _ = writeln!(anstream::stderr(), "{DOUBTFUL}note{DOUBTFUL:#}{text}");
}

/// Says what a look at this machine has found, unless all is well.
pub(super) fn tell(finding: &Finding) {
    let style = match finding.state {
        State::Ok => return,
        State::Warning => DOUBTFUL,
        State::Error => BAD,
    };
    let word = finding.state.word();
    let text = after_label(word, &finding.sentence());
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}{text}");
}

/// Reads a spec, and says why it cannot be used.
///
/// # Errors
/// How the verb is to end.
pub(super) fn parse_spec(source: &SpecSource) -> Result<Checked, Exit> {
    let color = color::wanted(Choice::Auto, &std::io::stderr());
    match source.read() {
        Ok(checked) => Ok(checked),
        Err(Refusal::Wrong(complaints)) => {
            let _ = write!(anstream::stderr(), "{}", complaints.render(color));
            Err(Exit::Spec)
        }
        Err(refusal @ Refusal::Missing(_)) => {
            let example = "`autotuned demo --dir DIR` leaves one in DIR to begin with";
            Err(Exit::Spec.say_text(&format!("{refusal}\n{example}")))
        }
        Err(refusal) => Err(Exit::Spec.say(&refusal)),
    }
}
