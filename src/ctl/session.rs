//! The connection of one call, what is printed, and what went wrong.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use super::exit::Exit;
use super::prose;
use crate::exchange::sink::SinkError;
use crate::report::phrase::clean;
use crate::term::color::{Choice, wanted};
use crate::term::fault::error;
use crate::wire::WireError;
use crate::wire::client::{Client, ConnectError};
use crate::wire::reply::{EndOfStream, Pong, Refusal, Reply};
use crate::wire::request::Request;
use crate::wire::socket;

/// How often a daemon that starts is asked again.
const STARTING: Duration = Duration::from_millis(100);

/// Why a verb has no result.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, or makes no sense.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The daemon refuses.
    #[error("{}", prose::refusal(.0))]
    Refused(Refusal),
    /// A stream ended before its time.
    #[error("{}", ended(.0))]
    Ended(EndOfStream),
    /// The connection ended after a request that does something.
    #[error("{}", prose::UNANSWERED)]
    Unanswered,
    /// Another study than before is behind the socket.
    #[error(
        "another study is behind this socket now: {} in {}, which was {} in {}",
        clean(&.now.study), clean(&.now.output_dir), clean(&.before.study), clean(&.before.output_dir)
    )]
    OtherStudy {
        /// The former.
        before: Box<Pong>,
        /// The new one.
        now: Box<Pong>,
    },
    /// A reply to another question.
    #[error("the daemon answers something else than was asked")]
    OffTopic,
    /// A wrong command line; what is right.
    #[error("{0}")]
    Usage(String),
    /// What is printed cannot be printed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An export does not come about.
    #[error(transparent)]
    Export(SinkError),
    /// A file cannot be written.
    #[error("failed to write {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<SinkError> for Trouble {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Io(error) => Self::Io(error),
            other => Self::Export(other),
        }
    }
}

fn ended(end: &EndOfStream) -> &'static str {
    match end {
        EndOfStream::TooSlow => "the daemon has dropped this reader: it took nothing for too long",
        EndOfStream::Leaving => "the daemon has ended before all was said",
        EndOfStream::Complete => "the daemon has said all it had to say",
    }
}

/// What `--json` prints when the daemon refuses.
#[derive(Serialize, JsonSchema)]
pub(super) struct Refused<'a> {
    /// Why.
    refused: &'a Refusal,
}

/// One call of the program.
pub struct Session {
    socket: Option<PathBuf>,
    client: Option<Client>,
    /// The study of the service that is meant, where there are several.
    pub instance: Option<String>,
    /// Whether to print JSON.
    pub json: bool,
    /// Whether to colour what is printed.
    pub color: bool,
    /// Whether somebody reads it on a terminal.
    pub terminal: bool,
    /// Where notes go instead of to standard error.
    notes: Option<UnboundedSender<String>>,
}

impl Session {
    /// A call; nothing is connected yet.
    pub fn new(socket: Option<PathBuf>, json: bool) -> Self {
        Self {
            socket,
            client: None,
            instance: None,
            json,
            color: wanted(Choice::Auto, &io::stdout()),
            terminal: io::stdout().is_terminal(),
            notes: None,
        }
    }

    /// Another connection to the daemon that this one has found, of which
    /// nothing is printed: its notes go to `notes`.
    pub fn beside(&self, notes: UnboundedSender<String>) -> Self {
        Self {
            socket: self.socket.clone(),
            client: None,
            instance: self.instance.clone(),
            notes: Some(notes),
            ..*self
        }
    }

    /// The daemon, connected to at the first call.
    pub async fn client(&mut self) -> Result<&mut Client, Trouble> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    /// Connects where it was told to, or else to the user's own daemon, or
    /// else to the service; from then on to no other.
    async fn connect(&mut self) -> Result<Client, Trouble> {
        if let Some(path) = &self.socket {
            return Ok(Client::connect(path).await?);
        }
        let service = Path::new(socket::SERVICE);
        let own = self.own()?;
        let (path, client) = match Client::connect(&own).await {
            Err(ConnectError::Nobody { .. }) if is_set_up(service) => {
                (service.to_owned(), Client::connect(service).await?)
            }
            connected => (own, connected?),
        };
        self.socket = Some(path);
        Ok(client)
    }

    /// Forgets a connection that is of no use any more.
    pub fn disconnect(&mut self) {
        self.client = None;
    }

    /// Where the user's own daemon is looked for.
    fn own(&self) -> Result<PathBuf, Trouble> {
        let uid = rustix::process::geteuid().as_raw();
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let own = socket::default_path(variable, uid);
        match socket::check_folder(&own, uid) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(own),
        }
    }

    /// Sends a request and receives its reply. A daemon that is just starting
    /// is waited for. A refusal is trouble.
    ///
    /// A daemon that leaves closes the connections that it had taken on, while
    /// the next one may be there soon, or already: what can be asked twice is
    /// asked once more.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, Trouble> {
        let mut said = false;
        let mut asked_again = false;
        loop {
            match self.ask_once(request).await {
                Err(Trouble::Refused(Refusal::Starting(trial))) => {
                    if !said {
                        said = true;
                        self.note(&format!("{}; waiting for that", prose::starting(trial)));
                    }
                    tokio::time::sleep(STARTING).await;
                }
                Err(trouble) if !asked_again && may_repeat(request, &trouble) => {
                    asked_again = true;
                    self.disconnect();
                }
                Err(Trouble::Wire(WireError::Closed)) if !request.only_reads() => {
                    return Err(Trouble::Unanswered);
                }
                result => return result,
            }
        }
    }

    async fn ask_once(&mut self, request: &Request) -> Result<Reply, Trouble> {
        self.client().await?.send(request).await?;
        self.receive().await
    }

    /// The next reply of a stream. A refusal is trouble.
    pub async fn receive(&mut self) -> Result<Reply, Trouble> {
        match self.client().await?.receive().await? {
            Reply::Refused(Refusal::Unanswered) => Err(Trouble::Unanswered),
            Reply::Refused(refusal) => Err(Trouble::Refused(refusal)),
            reply => Ok(reply),
        }
    }

    /// Prints text as it is.
    pub fn print(&self, text: &str) -> Result<(), Trouble> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }

    /// Prints a value as JSON on several lines.
    pub fn print_json(&self, value: &impl Serialize) -> Result<(), Trouble> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.print(&format!("{text}\n"))
    }

    /// Says something beside the result, on standard error.
    pub fn note(&self, text: &str) {
        match &self.notes {
            // There may be nobody who wants it.
            Some(notes) => drop(notes.send(text.to_owned())),
            None => drop(writeln!(anstream::stderr(), "{text}")),
        }
    }

    /// Says what went wrong, and how the program ends.
    pub fn say(&self, trouble: &Trouble) -> Exit {
        if let Trouble::Io(error) = trouble
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // Whoever read has read enough.
            return Exit::Done;
        }
        if self.json
            && let Trouble::Refused(refusal) = trouble
        {
            let _ = self.print_json(&Refused { refused: refusal });
        }
        let mut text = trouble.to_string();
        if let Some(of_service) = of_service(trouble) {
            text = of_service;
        }
        if let Trouble::Connect(ConnectError::Nobody { .. }) = trouble {
            text +=
                "\nWithout a daemon, a study's folder tells what it has found: autotuned view DIR";
        }
        self.note(&error(&text, &io::stderr()));
        exit(trouble)
    }
}

/// Whether a daemon has left that did not answer, and asking the next one does
/// nothing twice.
fn may_repeat(request: &Request, trouble: &Trouble) -> bool {
    match trouble {
        // The request was not sent yet.
        Trouble::Connect(ConnectError::Hello { source, .. }) => {
            matches!(source, WireError::Closed)
        }
        Trouble::Wire(WireError::Closed) | Trouble::Refused(Refusal::Leaving) => {
            request.only_reads()
        }
        _ => false,
    }
}

/// Whether the package is installed whose service listens there.
fn is_set_up(service: &Path) -> bool {
    service.parent().is_some_and(Path::exists)
}

/// What there is to say, and to do, about a service that cannot be reached.
fn of_service(trouble: &Trouble) -> Option<String> {
    match trouble {
        Trouble::Connect(ConnectError::Nobody { path, .. }) => {
            let unit = socket::unit(path)?;
            Some(format!("{unit} is stopped: systemctl start {unit}"))
        }
        Trouble::Connect(ConnectError::Forbidden { path, .. }) => {
            socket::unit(path)?;
            Some(not_in_group())
        }
        _ => None,
    }
}

fn not_in_group() -> String {
    "permission denied: ask to be added to group autotune (adduser NAME autotune), and log in \
     again"
        .to_owned()
}

fn exit(trouble: &Trouble) -> Exit {
    match trouble {
        Trouble::Connect(ConnectError::Nobody { .. }) => Exit::Nobody,
        Trouble::Connect(ConnectError::Forbidden { .. })
        | Trouble::Refused(Refusal::NotAllowed) => Exit::NotAllowed,
        Trouble::Connect(ConnectError::Hello { source, .. }) | Trouble::Wire(source) => {
            match source {
                WireError::Foreign | WireError::Version { .. } => Exit::Version,
                _ => Exit::Failure,
            }
        }
        Trouble::Refused(_) => Exit::Refused,
        Trouble::Usage(_) => Exit::Usage,
        Trouble::Export(error) if error.is_usage() => Exit::Usage,
        Trouble::Ended(_)
        | Trouble::Unanswered
        | Trouble::OtherStudy { .. }
        | Trouble::OffTopic
        | Trouble::Io(_)
        | Trouble::Export(_)
        | Trouble::File { .. } => Exit::Failure,
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
