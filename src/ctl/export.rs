//! `autotunectl export`.

use std::io;

use schemars::JsonSchema;
use serde::Serialize;

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::exchange::record::{Head, Trial};
use crate::exchange::sink::{Exported, Sink, Target};
use crate::report::phrase::clean;
use crate::wire::reply::{EndOfStream, Reply};
use crate::wire::request::Request;

/// Writes all trials for other programs: CSV, JSON, Optuna, MLflow
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl export -o trials.csv
  autotunectl export --format jsonl | jq -c .params
  autotunectl export --format optuna -o study.log
  optuna-dashboard study.log
  autotunectl export --format mlflow --tracking-uri http://localhost:5000

A file is there once it is whole. What was sent to MLflow is not sent twice. The
fields are described in autotune(7). Without a daemon: autotuned export DIR.")]
pub struct Args {
    #[command(flatten)]
    target: Target,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    args.target.check()?;
    let mut standard = io::stdout();
    let mut lines = Lines::default();
    let mut sink: Option<Sink<'_>> = None;
    let mut standard = Some(&mut standard);
    let mut reply = session.ask(&Request::Export).await?;
    loop {
        match reply {
            Reply::Export(piece) => lines.take(&piece),
            Reply::End(EndOfStream::Complete) => break,
            Reply::End(end) => return Err(Trouble::Ended(end)),
            _ => return Err(Trouble::OffTopic),
        }
        while let Some(line) = lines.next() {
            match (&mut sink, standard.take()) {
                (Some(sink), _) => {
                    let trial: Trial = serde_json::from_slice(&line).map_err(io::Error::other)?;
                    sink.add(&trial)?;
                }
                (None, Some(standard)) => {
                    let head: Head = serde_json::from_slice(&line).map_err(io::Error::other)?;
                    sink = Some(args.target.begin(head, standard)?);
                }
                (None, None) => return Err(Trouble::OffTopic),
            }
        }
        reply = session.receive().await?;
    }
    let sink = sink.ok_or(Trouble::OffTopic)?;
    let exported = sink.finish().await?;
    if let Some(told) = Told::of(&exported) {
        if session.json {
            session.print_json(&told)?;
        } else {
            session.print(&told.text())?;
        }
    }
    Ok(Exit::Done)
}

/// Where an export went, when not to standard output.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Told {
    /// Into a file.
    File {
        /// The file.
        path: String,
        /// How many trials are in it.
        trials: u32,
    },
    /// To MLflow.
    Mlflow {
        /// The address or name of the experiment.
        experiment: String,
        /// Runs that are new there.
        written: u32,
        /// Runs that were there already.
        known: u32,
    },
}

impl Told {
    fn of(exported: &Exported) -> Option<Self> {
        Some(match exported {
            Exported::Said => return None,
            Exported::File(path, trials) => Self::File {
                path: path.display().to_string(),
                trials: *trials,
            },
            Exported::Mlflow(address, sent) => Self::Mlflow {
                experiment: address.clone(),
                written: sent.written,
                known: sent.known,
            },
        })
    }

    fn text(&self) -> String {
        match self {
            Self::File { path, .. } => format!("{}\n", clean(path)),
            Self::Mlflow {
                experiment,
                written,
                known,
            } => format!(
                "{}\n{written} runs written, {known} were there already\n",
                clean(experiment)
            ),
        }
    }
}

/// Pieces of a text to its lines.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// How many bytes have no end of a line.
    seen: usize,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        self.bytes.extend(piece);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes[self.seen..].iter().position(|b| *b == b'\n');
        let Some(end) = end else {
            self.seen = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.seen + end + 1);
        self.seen = 0;
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}
