//! The daemon: opens a study, takes up what was left, and works until there is
//! nothing left to do.
//!
//! | file | part |
//! |---|---|
//! | [`decide`] | what to do: pure |
//! | [`dispatcher`] | the one task that owns the study |
//! | [`records`] | journal and files, on threads of their own |
//! | [`recovery`] | after a crash |
//! | [`folders`] | where things are |
//! | [`signals`] | what the system wants |

pub mod decide;
pub mod dispatcher;
pub mod folders;
pub mod records;
pub mod recovery;
pub mod signals;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::decide::{Input, Urgency};
use self::dispatcher::Dispatcher;
use self::folders::Folders;
use self::records::{Opened, Records};
use crate::model::event::Fact;
use crate::model::spec::Spec;
use crate::model::study::{Study, StudyError};
use crate::model::trial::TrialId;
use crate::store::error::AppendError;
use crate::store::opening::StoreError;

/// What a daemon is to work on.
pub struct Options {
    /// The checked spec.
    pub spec: Arc<Spec>,
    /// Its text, of which a copy is kept beside the journal.
    pub spec_text: String,
    /// Where the study's files go.
    pub output_dir: PathBuf,
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
    /// Something that the owner should know and that changes nothing.
    Warning(String),
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
    /// A fact does not fit the study: a mistake in this program.
    #[error("the study contradicts itself: {0}; please report this with the journal")]
    Inconsistent(StudyError),
}

/// Works on a study until there is nothing left to do or `urgent` asks for an
/// end, and returns the study as it is then. No trial runs then.
///
/// # Errors
/// See [`DaemonError`].
pub async fn run(
    options: Options,
    mut urgent: mpsc::UnboundedReceiver<Urgency>,
    updates: mpsc::UnboundedSender<Update>,
) -> Result<Arc<Study>, DaemonError> {
    let Options {
        spec,
        spec_text,
        output_dir,
    } = options;
    let opened = tokio::task::spawn_blocking({
        let (spec, output_dir, updates) = (Arc::clone(&spec), output_dir.clone(), updates.clone());
        move || Records::open(&output_dir, spec, &spec_text, updates)
    });
    let Opened {
        mut records,
        mut study,
        notes,
    } = opened.await.map_err(|panic| DaemonError::Folder {
        path: output_dir.clone(),
        source: std::io::Error::other(panic),
    })??;
    let tell = |update| drop(updates.send(update));
    tell(Update::Opened {
        study: Arc::new(study.clone()),
        notes,
    });
    let folders = Folders::new(&output_dir, &spec);
    let wish = recovery::recover(&mut study, &folders, &mut records, &mut urgent, tell).await?;
    let digest = spec.digest.clone();
    let dispatcher = Dispatcher::new(study, records, folders, urgent, updates);
    let first = wish.map_or(Input::Begin { digest }, Input::Stop);
    dispatcher.run(first).await
}
