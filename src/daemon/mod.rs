//! The daemon: opens a study, takes up what was left, and works until there is
//! nothing left to do.
//!
//! | file | part |
//! |---|---|
//! | [`decide`] | what to do: pure |
//! | [`input`] | what can come to the dispatcher, and what it has done then |
//! | [`consult`], `dialogue` | asking the advisor: whether, and what was said |
//! | `seats` | in which slot a sitting begins, and whether there is room: pure |
//! | [`verdict`] | what comes of a sitting: pure |
//! | [`dispatcher`] | the one task that owns the study |
//! | `starting` | starts a runner for it |
//! | [`records`] | journal and files, on threads of their own |
//! | [`recovery`] | after a crash |
//! | `reload` | going by another spec without a restart: pure |
//! | `reporter` | the reports that a study leaves when it is done |
//! | [`steer`], [`amend`], `approve`, `import` | what users want changed: admitted by a pure function |
//! | [`board`] | what clients see |
//! | `budget` | whether a study has used up what it was given |
//! | [`server`], [`socket`], [`rights`], `handlers` | the control socket |
//! | `host` | what this host is |
//! | [`service`] | what systemd is told |
//! | [`notifier`], `delivery` | delivers what somebody is to be told |
//! | [`retention`], [`sweep`] | whose output is removed, and how |
//! | [`keeping`], [`keeper`], [`discard`] | the copy of the best trial's artifacts, and the end of the others' |
//! | `metrics`, `textfile` | what monitoring is told, and the file for node_exporter |
//! | [`folders`] | where things are |
//! | [`signals`] | what the system wants |

pub mod amend;
mod approve;
mod beside;
pub mod board;
mod budget;
pub mod consult;
pub mod decide;
mod delivery;
mod dialogue;
pub mod discard;
pub mod dispatcher;
pub mod folders;
mod handlers;
mod host;
mod import;
pub mod input;
pub mod keeper;
pub mod keeping;
mod metrics;
#[cfg(test)]
mod notices_tests;
pub mod notifier;
mod over;
pub mod records;
pub mod recovery;
mod reload;
mod remedy;
mod reporter;
pub mod retention;
pub mod rights;
mod seats;
pub mod server;
pub mod service;
pub mod signals;
pub mod socket;
mod starting;
pub mod steer;
pub mod sweep;
mod textfile;
pub mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::decide::{Company, Input, Urgency};
use self::dispatcher::Dispatcher;
use self::folders::Folders;
use self::handlers::{Context, Tails};
use self::notifier::Notifier;
use self::records::{Opened, Records};
use self::server::{Server, Stage};
use self::socket::{ListenError, Listener};
use self::textfile::Textfile;
use crate::config::SpecSource;
use crate::doctor::{self, Check, Examined, State};
use crate::exec::gpu::Seen;
use crate::exec::{delegation, files};
use crate::model::event::Fact;
use crate::model::spec::Spec;
use crate::model::study::{Study, StudyError};
use crate::model::trial::TrialId;
use crate::notify::{Secrets, Stamp};
use crate::store::error::AppendError;
use crate::store::opening::StoreError;
use crate::systemd::notify;
use crate::wire::reply::Reply;
use crate::wire::request::Steer;

/// What a daemon is to work on.
pub struct Options {
    /// The checked spec.
    pub spec: Arc<Spec>,
    /// Where it comes from; the paths in it are absolute.
    pub source: SpecSource,
    /// Its text, of which a copy is kept beside the journal.
    pub spec_text: String,
    /// Where the study's files go.
    pub output_dir: PathBuf,
    /// Where to listen for clients.
    pub socket: SocketWish,
    /// Whether to stay when there is nothing left to do.
    pub stay: bool,
    /// Whether to do without the advisor, whatever the spec says.
    pub offline: bool,
    /// The secrets of the spec's channels.
    pub secrets: Secrets,
    /// The wishes of whoever is shown the proposals; `None` where nobody is.
    pub terminal: Option<mpsc::UnboundedReceiver<Wish>>,
}

/// What somebody wants, and where the answer goes.
pub type Wish = (Steer, oneshot::Sender<Reply>);

/// Where to listen for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketWish {
    /// Nowhere.
    None,
    /// Here. Where that cannot be, the study goes on without.
    Wanted(PathBuf),
    /// Here, or not at all.
    Required(PathBuf),
}

/// What a daemon tells whoever looks on.
#[derive(Clone, Debug)]
pub enum Update {
    /// The study is open.
    Opened {
        /// As the journal has it.
        study: Arc<Study>,
        /// Sentences on what was mended while opening it.
        notes: Vec<String>,
    },
    /// A sitting that an earlier daemon began is being cleared up.
    Recovering {
        /// Its trial.
        trial: TrialId,
        /// Its number.
        sitting: u32,
    },
    /// A fact that is on disk, and the study with it.
    Fact(Fact, Arc<Study>),
    /// The advisor is asked, for this.
    Asking(String),
    /// Something that the owner should know and that changes nothing.
    Warning(String),
    /// The answer to something that the owner has asked for by a signal.
    Answer(String),
    /// The disk takes no facts; it is tried again.
    DiskTrouble(String),
    /// The disk takes facts again.
    DiskBack,
}

/// Why a daemon cannot work.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The study's folder cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal could not be written when an end was asked for.
    #[error(
        "{0}\nwhat is in the journal stays; the next start takes up what the trial could still write \
         beside it, and runs the rest again"
    )]
    NotRecorded(AppendError),
    /// A folder cannot be used.
    #[error("failed to use {}: {source}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Nothing could be written to the study's folder.
    #[error("{0}")]
    Unfit(String),
    /// There can be no control socket.
    #[error(transparent)]
    Socket(#[from] ListenError),
    /// A fact does not fit the study: a mistake in this program.
    #[error("the study contradicts itself: {0}; please report this with the journal")]
    Inconsistent(StudyError),
}

/// Works on a study until there is nothing left to do or `urgent` asks for an
/// end, and returns the study as it is then. No trial runs then. `reload` asks
/// to read the spec again.
///
/// # Errors
/// See [`DaemonError`].
pub async fn run(
    options: Options,
    mut urgent: mpsc::UnboundedReceiver<Urgency>,
    reload: Arc<Notify>,
    updates: mpsc::UnboundedSender<Update>,
) -> Result<Arc<Study>, DaemonError> {
    let Options {
        spec,
        source,
        spec_text,
        output_dir,
        socket,
        stay,
        offline,
        secrets,
        terminal,
    } = options;
    delegation::settle();
    let tell = |update| drop(updates.send(update));
    let gpus = look_at_host(&spec, &output_dir, tell).await?;
    let host = gpus.as_ref().and_then(host::look).map(Box::new);
    let opened = tokio::task::spawn_blocking({
        let (spec, output_dir, updates) = (Arc::clone(&spec), output_dir.clone(), updates.clone());
        move || Records::open(&output_dir, spec, &spec_text, updates)
    });
    let Opened {
        mut records,
        mut study,
        notes,
    } = service::beginning(opened)
        .await
        .map_err(|panic| DaemonError::Folder {
            path: output_dir.clone(),
            source: std::io::Error::other(panic),
        })??;
    tell(Update::Opened {
        study: Arc::new(study.clone()),
        notes,
    });
    // Clients that are many need many files.
    files::raise_limit();
    let (stage, stages) = watch::channel(Stage::Starting(None));
    let server = listen(socket, &spec, tell)?
        .map(|listener| Server::new(stages, &spec.control).start(listener))
        .transpose()
        .map_err(|source| DaemonError::Folder {
            path: output_dir.clone(),
            source,
        })?;
    let folders = Folders::new(&output_dir, &spec);
    let told = |update| {
        if let Update::Recovering { trial, .. } = update {
            stage.send_replace(Stage::Starting(Some(trial)));
        }
        tell(update);
    };
    let worked = async {
        let recovered = recovery::recover(&mut study, &folders, &mut records, &mut urgent, told);
        let wish = match service::beginning(recovered).await {
            Ok(wish) => wish,
            Err(error) => {
                records.crashed(&error.to_string(), &study);
                records.close().await;
                return Err(error);
            }
        };
        let digest = spec.digest.clone();
        let company = Company {
            served: server.is_some(),
            stay,
            prompted: terminal.is_some(),
        };
        let begun = records.begun();
        let (forwarded, wishes) = mpsc::unbounded_channel();
        let forward = tokio::spawn(forward(urgent, forwarded.clone()));
        let dispatcher = Dispatcher::new(
            study,
            records,
            folders.clone(),
            wishes,
            updates.clone(),
            company,
            matches!(gpus, Some(Seen::Gpus { .. })),
            offline,
        );
        let stamp = Stamp {
            study: spec.name.clone(),
            begun,
            host: host_name(),
        };
        if let Some(terminal) = terminal {
            tokio::spawn(heed(terminal, dispatcher.sender()));
        }
        let notifier = Notifier::start(dispatcher.reader(), dispatcher.sender(), secrets, stamp);
        let notifier = notifier
            .map_err(|error| {
                let text = format!("nobody can be told what happens: {error}, ignoring it");
                let _ = updates.send(Update::Warning(text));
            })
            .ok()
            .map(Arc::new);
        let metrics = spec.files.metrics.as_ref().and_then(|path| {
            let path = output_dir.join(path);
            let file = Textfile::start(path, dispatcher.reader(), updates.clone());
            let warn = |error| {
                let text = format!("there is no file of metrics: {error}, going on without");
                drop(updates.send(Update::Warning(text)));
            };
            file.map_err(warn).ok()
        });
        let troubles = notifier.as_ref().map(|notifier| notifier.troubles());
        let context = Arc::new(Context {
            notifier: notifier.clone(),
            board: dispatcher.reader(),
            inputs: dispatcher.sender(),
            urgent: forwarded,
            folders,
            source,
            begun,
            tails: Tails::default(),
            looking: tokio::sync::Mutex::default(),
            thinking: tokio::sync::Mutex::default(),
        });
        stage.send_replace(Stage::Open(Arc::clone(&context)));
        let reloading = tokio::spawn(reload_when_asked(context, reload, updates.clone()));
        let status = tokio::spawn(service::keep_status(dispatcher.reader()));
        let _ = notify::ready();
        let first = wish.map_or(Input::Begin { digest, host }, Input::Stop);
        let ended = dispatcher.run(first, troubles).await;
        forward.abort();
        reloading.abort();
        status.abort();
        drop(notifier);
        if let Some(metrics) = metrics {
            metrics.ended().await;
        }
        ended
    };
    let ended = worked.await;
    drop(stage);
    if let Some(server) = server {
        // It has seen that the dispatcher left, and lets clients read on for
        // a moment.
        let _ = server.await;
    }
    ended
}

/// Tells what is amiss on this host, and returns the GPUs that were seen.
///
/// # Errors
/// What no study could work with.
async fn look_at_host(
    spec: &Arc<Spec>,
    output_dir: &Path,
    tell: impl Fn(Update),
) -> Result<Option<Seen>, DaemonError> {
    let study = doctor::Study {
        spec: Arc::clone(spec),
        output_dir: output_dir.to_owned(),
    };
    let looking = tokio::task::spawn_blocking(move || doctor::before_start(&study));
    let Ok(Examined { findings, gpus }) = service::beginning(looking).await else {
        return Ok(None);
    };
    for finding in findings {
        match (finding.check, finding.state) {
            // Trials do not care about seconds.
            (_, State::Ok) | (Check::Clock, State::Warning) => {}
            (Check::Output, State::Error) => return Err(DaemonError::Unfit(finding.sentence())),
            _ => tell(Update::Warning(finding.sentence())),
        }
    }
    Ok(gpus)
}

/// What this machine is called.
pub fn host_name() -> String {
    let name = nix::unistd::gethostname().ok();
    let name = name.and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "localhost".to_owned())
}

/// Passes wishes on, so that clients can have some too.
async fn forward(mut from: mpsc::UnboundedReceiver<Urgency>, to: mpsc::UnboundedSender<Urgency>) {
    while let Some(urgency) = from.recv().await {
        if to.send(urgency).is_err() {
            return;
        }
    }
}

/// Hands the wishes of a terminal on: they are this process's own user's.
async fn heed(mut from: mpsc::UnboundedReceiver<Wish>, to: mpsc::UnboundedSender<Input>) {
    let by = handlers::user(nix::unistd::Uid::current()).await;
    while let Some((steer, reply)) = from.recv().await {
        let by = by.clone();
        if to.send(Input::Request { steer, by, reply }).is_err() {
            return;
        }
    }
}

/// Reads the spec again whenever that is asked for otherwise than by a client,
/// and tells what came of it.
async fn reload_when_asked(
    context: Arc<Context>,
    asked: Arc<Notify>,
    updates: mpsc::UnboundedSender<Update>,
) {
    loop {
        asked.notified().await;
        for update in handlers::reloaded(&context).await {
            let _ = updates.send(update);
        }
    }
}

/// Listens where it is wished; what is in the way is told, or an error where
/// it must be there.
fn listen(
    socket: SocketWish,
    spec: &Spec,
    tell: impl Fn(Update),
) -> Result<Option<Listener>, DaemonError> {
    match socket {
        SocketWish::None => Ok(None),
        SocketWish::Required(path) => Ok(Some(socket::listen(&path, &spec.control)?)),
        SocketWish::Wanted(path) => Ok(match socket::listen(&path, &spec.control) {
            Ok(listener) => Some(listener),
            Err(error) => {
                tell(Update::Warning(format!(
                    "{error}; this study goes on without a control socket"
                )));
                None
            }
        }),
    }
}
