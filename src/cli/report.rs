//! `autotuned report`: a report without a daemon.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use super::view;
use crate::base::{clock, file};
use crate::model::form::{Format, Languages};
use crate::report::document::Document;
use crate::report::phrase::clean;
use crate::store::{dialogues, reports};

/// Writes a report on a study from its folder; needs no daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned report ~/.local/state/autotune/qwen
  autotuned report DIR --lang en --format html -o page.html

Without -o it is written to DIR, as reports/report-TIME.md, and the path is
told. Of the study it only reads, so a daemon may be at work there.")]
pub struct Args {
    /// The study's output folder
    dir: PathBuf,
    /// Its language: zh, en, or both; else as the spec says
    #[arg(long, value_name = "LANG")]
    lang: Option<Languages>,
    /// Its format: md, or html, a page with plots that needs nothing else
    #[arg(long, value_name = "FORMAT", default_value = "md")]
    format: Format,
    /// Write it to this file; - for standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let opened = match view::open(&args.dir) {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let (study, dir) = (opened.study, opened.output);
    // Whoever reads the page is elsewhere.
    let dir = std::path::absolute(&dir).unwrap_or(dir);
    let now = clock::now();
    let languages = args.lang.unwrap_or(study.spec().report.languages);
    let dialogues = dialogues::read(study.spec(), &dir);
    let document = Document::of(&study, now, &dir, languages, dialogues.as_ref());
    let page = document.page(args.format);
    let (path, written) = match &args.output {
        Some(output) if output.as_os_str() == "-" => {
            return Exit::of_output(anstream::stdout().write_all(page.as_bytes()));
        }
        Some(output) => (output.clone(), file::replace(output, page.as_bytes())),
        None => {
            let path = reports::path(&dir, &study.spec().files, args.format, now);
            let written = reports::write(&path, &page).map_err(|error| error.source);
            (path, written)
        }
    };
    match written {
        Ok(()) => {
            let path = clean(&path.display().to_string());
            Exit::of_output(writeln!(anstream::stdout(), "{path}"))
        }
        Err(error) => {
            let path = path.display();
            Exit::Folder.say_text(&format!("failed to write {path}: {error}"))
        }
    }
}
