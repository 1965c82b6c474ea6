//! `autotuned export`: a study's trials for other programs, without a daemon.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::exit::Exit;
use super::view;
use crate::base::clock;
use crate::exchange::record::{Head, Trial};
use crate::exchange::sink::{Exported, SinkError, Target};
use crate::report::phrase::clean;

/// Writes a study's trials for other programs: CSV, JSON, Optuna, MLflow
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned export ~/.local/state/autotune/qwen -o trials.csv
  autotuned export DIR --format optuna -o study.log
  autotuned export DIR --format mlflow --tracking-uri http://localhost:5000

It needs no daemon, and only reads in DIR, so that one may be at work there. A
file is there once it is whole. The fields are described in autotune(7).")]
pub struct Args {
    /// The study's output folder
    dir: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    match export(args) {
        Ok(exit) | Err(Stop::Said(exit)) => exit,
        Err(Stop::Sink(SinkError::Io(error))) if error.kind() == ErrorKind::BrokenPipe => {
            // Whoever read has read enough.
            Exit::Done
        }
        Err(Stop::Sink(error)) => {
            let exit = match &error {
                error if error.is_usage() => Exit::Usage,
                SinkError::File { .. } => Exit::Folder,
                _ => Exit::Failure,
            };
            exit.say_text(&error.to_string())
        }
    }
}

/// Why there is no export.
enum Stop {
    Said(Exit),
    Sink(SinkError),
}

impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

fn export(args: &Args) -> Result<Exit, Stop> {
    args.target.check()?;
    let opened = view::open(&args.dir).map_err(Stop::Said)?;
    let now = clock::now();
    let mut standard = anstream::stdout();
    let head = Head::of(&opened.study, opened.begun);
    let mut sink = args.target.begin(head, &mut standard)?;
    for trial in opened.study.trials() {
        sink.add(&Trial::of(&opened.study, trial, now))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(SinkError::Io)?;
    let text = match runtime.block_on(sink.finish())? {
        Exported::Said => return Ok(Exit::Done),
        Exported::File(path, _) => clean(&path.display().to_string()),
        Exported::Mlflow(address, sent) => format!(
            "{}\n{} runs written, {} were there already",
            clean(&address),
            sent.written,
            sent.known
        ),
    };
    Ok(Exit::of_output(writeln!(anstream::stdout(), "{text}")))
}
