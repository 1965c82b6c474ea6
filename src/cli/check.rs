//! `autotuned check`: everything that is wrong with a spec.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::config::{self, Checked, Refusal};
use crate::doctor::{self, Finding, State};
use crate::report::phrase::{clean, counted};
use crate::term::color::{self, BAD, Choice, DOUBTFUL, GOOD};

/// Checks a spec, and whether this machine has what it names
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotuned check study.toml

Starts nothing. The exit code is 3 when something is wrong.")]
pub struct Args {
    /// The study's spec
    spec: PathBuf,
    /// Look at the spec alone, not at this machine
    #[arg(long)]
    no_host: bool,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let checked = match read_spec(&args.spec, !args.no_host) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let spec = &checked.spec;
    let mut out = anstream::stdout();
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
pub(super) fn read_spec(path: &Path, host: bool) -> Result<Checked, Exit> {
    let checked = parse_spec(path)?;
    let color = color::wanted(Choice::Auto, &std::io::stderr());
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

/// Says what a look at this machine has found, unless all is well.
pub(super) fn tell(finding: &Finding) {
    let style = match finding.state {
        State::Ok => return,
        State::Warning => DOUBTFUL,
        State::Error => BAD,
    };
    let word = finding.state.word();
    let text = clean(&finding.sentence());
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}: {text}");
}

/// Reads a spec, and says why it cannot be used.
///
/// # Errors
/// How the verb is to end.
pub(super) fn parse_spec(path: &Path) -> Result<Checked, Exit> {
    let color = color::wanted(Choice::Auto, &std::io::stderr());
    match config::read(path) {
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
