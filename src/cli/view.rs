//! `autotuned view`: a study without a daemon.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::exit::Exit;
use super::run::exit_of_journal;
use super::study_table::{self, Row};
use crate::config::{self, Origin};
use crate::model::study::{Phase, Study};
use crate::store::{journal, spec_copy};
use crate::term::color::{BOLD, DIM};

/// Shows what a study has found, from its folder; needs no daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotuned view ~/.local/state/autotune/qwen

It only reads, so it may be used while a daemon works there.")]
pub struct Args {
    /// The study's output folder
    dir: PathBuf,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let text = match spec_copy::text(&args.dir) {
        Ok(text) => text,
        Err(error) => return exit_of_journal(&error).say(&error),
    };
    let origin = Origin::of(&args.dir.join("spec.toml"));
    let checked = match config::check(&text, &origin) {
        Ok(checked) => checked,
        Err(complaints) => return Exit::Spec.say_text(&complaints.to_string()),
    };
    let study = match journal::view(&args.dir, Arc::new(checked.spec)) {
        Ok((study, _)) => study,
        Err(error) => return exit_of_journal(&error).say(&error),
    };
    match show(&study) {
        Ok(()) => Exit::Done,
        Err(error) => Exit::failure(&error),
    }
}

fn show(study: &Study) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let phase = match study.phase() {
        Phase::Active => "not finished".to_owned(),
        Phase::Paused(reason) => format!("paused: {reason}"),
        Phase::Done(reason) => format!("done: {reason}"),
    };
    writeln!(out, "{BOLD}study {}{BOLD:#}, {phase}\n", study.spec().name)?;
    writeln!(out, "{DIM}{}{DIM:#}", study_table::header(study.spec()))?;
    for trial in study.trials() {
        let baseline = study.baseline().filter(|baseline| baseline.id != trial.id);
        for line in Row::new(study, trial, baseline.map(|baseline| &**baseline)).lines(study) {
            writeln!(out, "{line}")?;
        }
    }
    writeln!(out)?;
    study_table::write_summary(&mut out, study)
}
