//! Keeps a file for the textfile collector of node_exporter up to date, on a
//! thread of its own: no trial waits for the disk that it is on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::board::Reader;
use super::{Update, metrics};
use crate::base::{clock, file};
use crate::wire::metrics::text;

/// The least time between two writes, but for the last.
const PAUSE: Duration = Duration::from_secs(3);
/// The most: the file's age then tells whether the daemon is alive, and times
/// in it are about right.
const REFRESH: Duration = Duration::from_secs(15);
/// So long a daemon that leaves waits for the last write.
const LAST: Duration = Duration::from_secs(5);

/// The thread. It ends with the board.
pub struct Textfile {
    done: oneshot::Receiver<()>,
}

impl Textfile {
    /// Begins to write to `path`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        path: PathBuf,
        board: Reader,
        updates: mpsc::UnboundedSender<Update>,
    ) -> io::Result<Self> {
        let (over, done) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name("metrics".to_owned());
        thread.spawn(move || {
            runtime.block_on(keep(&path, board, &updates));
            // Nobody may wait any more.
            let _ = over.send(());
        })?;
        Ok(Self { done })
    }

    /// Waits until the last is written, or a disk does not answer.
    pub async fn ended(self) {
        let _ = timeout(LAST, self.done).await;
    }
}

async fn keep(path: &Path, board: Reader, updates: &mpsc::UnboundedSender<Update>) {
    let mut views = board.views;
    let mut leaving = views.clone();
    let mut is_told = false;
    loop {
        let closed = views.has_changed().is_err();
        let view = views.borrow_and_update().clone();
        let up = !view.leaving && !closed;
        let families = metrics::families(&view, clock::now(), up);
        drop(view);
        match file::replace_public(path, text(&families).as_bytes()) {
            Ok(()) => is_told = false,
            Err(_) if is_told => {}
            Err(error) => {
                is_told = true;
                let path = path.display();
                let remedy = remedy(&error);
                let text =
                    format!("failed to write the metrics to {path}: {error}{remedy}, retrying");
                let _ = updates.send(Update::Warning(text));
            }
        }
        if !up {
            return;
        }
        let pause = timeout(PAUSE, leaving.wait_for(|view| view.leaving));
        if pause.await.map(drop).is_err() {
            let _ = timeout(REFRESH - PAUSE, views.changed()).await;
        }
    }
}

/// What to do about it: the sandbox of the service closes most folders.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            " (a service needs ReadWritePaths= for the folder; autotune.toml(5) shows how)"
        }
        _ => "",
    }
}
