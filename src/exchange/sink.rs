//! Where an export goes: a file, standard output, or a tracking server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use super::format::{Format, Rendering, text};
use super::mlflow::{Access, MlflowError, Sent, Server};
use super::record::{Head, Trial};
use crate::base::file::Draft;

/// What an export is to be.
#[derive(Clone, Debug, clap::Args)]
pub struct Target {
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: Chosen,
    /// Write it to this file; - for standard output, as without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there already
    #[arg(long)]
    force: bool,
    /// The MLflow tracking server
    #[arg(
        long,
        value_name = "URL",
        env = "MLFLOW_TRACKING_URI",
        hide_env_values = true
    )]
    tracking_uri: Option<String>,
    /// The MLflow experiment [default: the study's name]
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
}

/// See [`Target::format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Chosen {
    /// A table, a line a trial
    Csv,
    /// One JSON document
    Json,
    /// A line of JSON a trial, after one about the study
    Jsonl,
    /// The journal file that optuna-dashboard and optuna.load_study open
    Optuna,
    /// Runs on an MLflow tracking server
    Mlflow,
}

/// Why an export did not come about.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// There is something of that name.
    #[error("{} is there already: give another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// A file can only replace a file.
    #[error("{} is no file that could be replaced", .0.display())]
    NoFile(PathBuf),
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// A file cannot be written.
    #[error("failed to write {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Standard output, or a temporary file, cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server has not got it.
    #[error(transparent)]
    Mlflow(#[from] MlflowError),
}

impl SinkError {
    /// Whether the command line is wrong.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Exists(_)
                | Self::NoFile(_)
                | Self::Usage(_)
                | Self::Mlflow(MlflowError::Address(_))
        )
    }
}

/// What became of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// It went to standard output.
    Said,
    /// It is in this file, with so many trials.
    File(PathBuf, u32),
    /// It is on a server, to be looked at there.
    Mlflow(String, Sent),
}

impl Target {
    /// Looks whether it can be, before anything is asked for it.
    ///
    /// # Errors
    /// What is in the way.
    pub fn check(&self) -> Result<(), SinkError> {
        if self.format == Chosen::Mlflow {
            if self.output.is_some() || self.force {
                return Err(SinkError::Usage(
                    "MLflow reads no file: leave --output and --force out, and name its tracking \
                     server with --tracking-uri",
                ));
            }
            if self.tracking_uri.is_none() {
                return Err(SinkError::Usage(
                    "name MLflow's tracking server: --tracking-uri http://localhost:5000, which \
                     `mlflow server` listens on",
                ));
            }
            return Ok(());
        }
        if self.experiment.is_some() {
            return Err(SinkError::Usage("--experiment goes with --format mlflow"));
        }
        match self.path() {
            None if self.force => Err(SinkError::Usage("--force goes with --output FILE")),
            Some(path) => match std::fs::metadata(path) {
                Ok(found) if !found.is_file() => Err(SinkError::NoFile(path.to_owned())),
                Ok(_) if !self.force => Err(SinkError::Exists(path.to_owned())),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn path(&self) -> Option<&Path> {
        let path = self.output.as_deref();
        path.filter(|path| path.as_os_str() != "-")
    }

    /// Begins an export about the study of `head`.
    ///
    /// # Errors
    /// What is in the way.
    pub fn begin<'a>(
        &'a self,
        head: Head,
        standard: &'a mut dyn Write,
    ) -> Result<Sink<'a>, SinkError> {
        let format = match self.format {
            Chosen::Csv => Format::Csv,
            Chosen::Json => Format::Json,
            Chosen::Jsonl => Format::Jsonl,
            Chosen::Optuna => Format::Optuna,
            Chosen::Mlflow => {
                let spool = BufWriter::new(tempfile::tempfile()?);
                let target = self;
                return Ok(Sink(Kind::Mlflow {
                    target,
                    head,
                    spool,
                }));
            }
        };
        let rendering = Rendering::new(format, head);
        let begin = rendering.begin();
        let mut sink = match self.path() {
            None => Kind::Standard {
                rendering,
                out: standard,
            },
            Some(path) => {
                let draft = Draft::of(path).map_err(failed(path))?;
                Kind::File {
                    rendering,
                    path,
                    draft: BufWriter::new(draft),
                    replace: self.force,
                }
            }
        };
        sink.write(&begin)?;
        Ok(Sink(sink))
    }
}

/// An export that is being written.
pub struct Sink<'a>(Kind<'a>);

enum Kind<'a> {
    Standard {
        rendering: Rendering,
        out: &'a mut dyn Write,
    },
    File {
        rendering: Rendering,
        path: &'a Path,
        draft: BufWriter<Draft>,
        replace: bool,
    },
    /// A server may be slower than the daemon waits for its readers.
    Mlflow {
        target: &'a Target,
        head: Head,
        spool: BufWriter<File>,
    },
}

impl Kind<'_> {
    fn write(&mut self, text: &str) -> Result<(), SinkError> {
        let bytes = text.as_bytes();
        match self {
            Self::Standard { out, .. } => Ok(out.write_all(bytes)?),
            Self::File { path, draft, .. } => draft.write_all(bytes).map_err(failed(path)),
            Self::Mlflow { spool, .. } => Ok(spool.write_all(bytes)?),
        }
    }
}

impl Sink<'_> {
    /// Adds a trial.
    ///
    /// # Errors
    /// What is in the way.
    pub fn add(&mut self, trial: &Trial) -> Result<(), SinkError> {
        let text = match &mut self.0 {
            Kind::Standard { rendering, .. } | Kind::File { rendering, .. } => {
                rendering.trial(trial)
            }
            Kind::Mlflow { .. } => format!("{}\n", text(trial)),
        };
        self.0.write(&text)
    }

    /// Ends it: now it is there as a whole.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn finish(self) -> Result<Exported, SinkError> {
        match self.0 {
            Kind::Standard { rendering, out } => {
                out.write_all(rendering.end().as_bytes())?;
                out.flush()?;
                Ok(Exported::Said)
            }
            Kind::File {
                rendering,
                path,
                mut draft,
                replace,
            } => {
                let end = rendering.end();
                draft.write_all(end.as_bytes()).map_err(failed(path))?;
                let draft = draft.into_inner().map_err(io::IntoInnerError::into_error);
                let draft = draft.map_err(failed(path))?;
                match draft.finish(replace) {
                    Ok(()) => Ok(Exported::File(path.to_owned(), rendering.trials())),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Err(SinkError::Exists(path.to_owned()))
                    }
                    Err(error) => Err(failed(path)(error)),
                }
            }
            Kind::Mlflow {
                target,
                head,
                spool,
            } => {
                let spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
                send(target, &head, spool).await
            }
        }
    }
}

async fn send(target: &Target, head: &Head, mut spool: File) -> Result<Exported, SinkError> {
    spool.rewind()?;
    let address = target.tracking_uri.as_deref().unwrap_or_default();
    let server = Server::at(address, access()).await?;
    let name = target.experiment.as_deref().unwrap_or(&head.study);
    let mut experiment = server.experiment(head, name).await?;
    for line in BufReader::new(spool).lines() {
        let trial: Trial = serde_json::from_str(&line?).map_err(io::Error::other)?;
        experiment.send(&trial).await?;
    }
    Ok(Exported::Mlflow(experiment.address(), experiment.sent()))
}

/// What MLflow's own programs take from the environment as well.
fn access() -> Access {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(token) = variable("MLFLOW_TRACKING_TOKEN") {
        return Access::Token(token.into());
    }
    match variable("MLFLOW_TRACKING_USERNAME") {
        Some(name) => {
            let password = variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
            Access::User(name, password.into())
        }
        None => Access::Open,
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SinkError {
    let path = path.to_owned();
    |source| SinkError::File { path, source }
}
