//! `autotuned view`: a study without a daemon.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::Exit;
use super::run::exit_of_journal;
use super::study_table::{self, Row};
use crate::base::clock;
use crate::config::{self, Origin};
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::report::overview::Overview;
use crate::report::text;
use crate::store::{journal, spec_copy};
use crate::term::color::DIM;

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
    Exit::of_output(show(&study, &args.dir))
}

fn show(study: &Study, dir: &Path) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    let overview = Overview::of(study, clock::now());
    study_table::write_block(&mut out, &text::headline(&overview))?;
    writeln!(out)?;
    writeln!(out, "{DIM}{}{DIM:#}", study_table::header(study.spec()))?;
    // As they were shown while it ran: next to the best of that time.
    let mut best: Option<&Trial> = None;
    for trial in study.trials() {
        for line in Row::new(study, trial, best).lines(study) {
            writeln!(out, "{line}")?;
        }
        best = study.better_of(best, trial);
    }
    study_table::write_findings(&mut out, study, dir, &[])
}
