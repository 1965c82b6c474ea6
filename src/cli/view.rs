//! `autotuned view`: a study without a daemon.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::Exit;
use super::run::exit_of_journal;
use super::study_table::{self, Row};
use crate::base::clock::{self, Timestamp};
use crate::config::{self, Origin};
use crate::model::spec::FileNames;
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
    match open(&args.dir) {
        Ok(opened) => Exit::of_output(show(&opened.study, &opened.output)),
        Err(exit) => exit,
    }
}

/// A study that was read from its files.
pub(super) struct Opened {
    pub study: Study,
    /// Its output folder.
    pub output: PathBuf,
    /// When its journal was begun.
    pub begun: Timestamp,
}

/// The study whose files are in `dir`, read from there.
///
/// # Errors
/// How the program is to end, said.
pub(super) fn open(dir: &Path) -> Result<Opened, Exit> {
    let folder = journal_dir(dir).map_err(|text| Exit::Usage.say_text(&text))?;
    let of_journal = |error| exit_of_journal(&error).say(&error);
    let text = spec_copy::text(&folder).map_err(of_journal)?;
    let origin = Origin {
        folder: spec_copy::folder_of_spec(&folder),
        ..Origin::of(&folder.join(spec_copy::FILE))
    };
    let checked = config::check(&text, &origin)
        .map_err(|complaints| Exit::Spec.say_text(&complaints.to_string()))?;
    let (study, seen) = journal::view(&folder, Arc::new(checked.spec)).map_err(of_journal)?;
    let output = output_dir(&folder, &study.spec().files).to_owned();
    Ok(Opened {
        study,
        output,
        begun: Timestamp::from_millis(seen.header.created),
    })
}

/// The folder of the journal of the study whose files are in `dir`: that, or in
/// a repo that is tuned in place the one below `.autotune`.
///
/// # Errors
/// When there are several.
fn journal_dir(dir: &Path) -> Result<PathBuf, String> {
    let has_journal = |folder: &PathBuf| folder.join(journal::FILE).exists();
    let entries = std::fs::read_dir(dir.join(".autotune"));
    let below = entries.into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = below
        .map(|entry| entry.path())
        .filter(has_journal)
        .collect();
    found.sort();
    match &found[..] {
        [one] if !has_journal(&dir.to_owned()) => Ok(one.clone()),
        [_, _, ..] if !has_journal(&dir.to_owned()) => {
            let found: Vec<String> = found
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let found = found.join("\n  ");
            Err(format!(
                "there are several studies in {}: give one of\n  {found}",
                dir.display()
            ))
        }
        _ => Ok(dir.to_owned()),
    }
}

/// The output folder of the study whose journal is in `folder`.
fn output_dir<'p>(folder: &'p Path, names: &FileNames) -> &'p Path {
    let below = names.journal.as_deref().map(Path::new);
    let below = below.filter(|below| folder.ends_with(below));
    let depth = below.map_or(0, |below| below.components().count());
    folder.ancestors().nth(depth).unwrap_or(folder)
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
