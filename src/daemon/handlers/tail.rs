//! Logs that grow: each is looked at once for all who follow it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Context, log};
use crate::daemon::board::{Reader, View};
use crate::daemon::server::framed;
use crate::model::trial::TrialId;
use crate::wire::reply::{LogPiece, Reply};

/// So much is sent at once, in bytes.
pub const PIECE: usize = 32 << 10;
/// How often a log that may grow is looked at.
pub const LOOK: Duration = Duration::from_millis(200);

/// One log.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its trial.
    pub trial: TrialId,
    /// The sitting.
    pub sitting: u32,
    /// The step.
    pub step: String,
    /// The file.
    pub path: PathBuf,
}

/// How far a log goes.
#[derive(Clone, Default)]
pub struct Tail {
    /// Its length in bytes.
    pub length: u64,
    /// What came last, up to the end, ready to be sent.
    pub last: Option<Arc<Piece>>,
}

/// A piece of a log as it is sent.
pub struct Piece {
    /// So many bytes come before it.
    pub offset: u64,
    /// The frame.
    pub frame: Vec<u8>,
}

/// The logs that are followed. A tail ends with its sitting.
#[derive(Clone, Default)]
pub struct Tails(Arc<Mutex<HashMap<PathBuf, watch::Receiver<Tail>>>>);

/// Whether a sitting may still write to its logs.
pub fn runs(view: &View, id: TrialId, sitting: u32) -> bool {
    let running = view.study.trial(id).and_then(|trial| trial.running());
    !view.leaving && running.is_some_and(|running| running.number == sitting)
}

impl Tails {
    /// The tail of a log. Where it is not followed it ends right away.
    pub fn follow(&self, context: &Context, log: &Log, follow: bool) -> watch::Receiver<Tail> {
        let (sender, tail) = watch::channel(Tail::default());
        let work = Work {
            tails: self.clone(),
            board: context.board.clone(),
            log: log.clone(),
            sender,
        };
        if !follow {
            tokio::spawn(work.once());
            return tail;
        }
        let mut tails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tails.get(&log.path) {
            return known.clone();
        }
        tails.insert(log.path.clone(), tail.clone());
        drop(tails);
        tokio::spawn(work.go_on());
        tail
    }
}

/// What looks at one log.
struct Work {
    tails: Tails,
    board: Reader,
    log: Log,
    sender: watch::Sender<Tail>,
}

impl Work {
    async fn once(self) {
        let length = length(self.log.path.clone()).await;
        self.sender.send_replace(Tail { length, last: None });
    }

    async fn go_on(self) {
        let path = &self.log.path;
        let mut length = length(path.clone()).await;
        self.sender.send_replace(Tail { length, last: None });
        loop {
            // Looked at before the file: what was written until then is read.
            let over = !runs(&self.board.view(), self.log.trial, self.log.sitting);
            let (file, offset) = (path.clone(), length);
            let bytes = tokio::task::spawn_blocking(move || log::read(&file, offset, PIECE));
            let bytes = bytes.await.unwrap_or_default();
            if !bytes.is_empty() {
                length += bytes.len() as u64;
                let piece = LogPiece {
                    step: self.log.step.clone(),
                    sitting: self.log.sitting,
                    offset,
                    bytes,
                };
                let frame = framed(&Reply::Log(piece));
                let last = Some(Arc::new(Piece { offset, frame }));
                self.sender.send_replace(Tail { length, last });
                continue;
            }
            if self.ends(over) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the tail when the sitting is over, or nobody follows any more.
    fn ends(&self, over: bool) -> bool {
        let mut tails = self.tails.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unheard = self.sender.receiver_count() <= 1;
        if over || unheard {
            tails.remove(&self.log.path);
        }
        over || unheard
    }
}

async fn length(path: PathBuf) -> u64 {
    let length = move || Path::metadata(&path).map_or(0, |found| found.len());
    tokio::task::spawn_blocking(length).await.unwrap_or(0)
}
