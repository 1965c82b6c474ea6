//! The threads that write, so that nobody waits for a disk who has other
//! things to do: one for the journal, one for the files for other programs.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

use super::error::{AppendError, FilesError};
use super::files::Files;
use super::journal::Journal;
use crate::model::event::Fact;

/// So many states of the status file are made up for when a disk was slow.
const STATUS_MAX: usize = 4;

/// Facts that are not in the journal, to be repeated by
/// [`JournalThread::retry`].
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// The facts.
    pub facts: Vec<Fact>,
    /// Why.
    pub error: AppendError,
}

/// Tells once whether the facts are in the journal, synced.
pub type Receipt = oneshot::Receiver<Result<(), Refused>>;

/// The thread that owns the journal.
#[derive(Debug)]
pub struct JournalThread {
    commands: Option<mpsc::Sender<Append>>,
    thread: Option<JoinHandle<Journal>>,
}

#[derive(Debug)]
struct Append {
    facts: Vec<Fact>,
    again: bool,
    reply: oneshot::Sender<Result<(), Refused>>,
}

impl JournalThread {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(journal: Journal) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let thread = Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_journal(journal, received))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Appends facts, all or none, after all those that were given before.
    /// Once a batch has failed, others are refused until it was repeated:
    /// facts never change places.
    pub fn append(&self, facts: Vec<Fact>) -> Receipt {
        self.send(facts, false)
    }

    /// Appends facts that were refused.
    pub fn retry(&self, facts: Vec<Fact>) -> Receipt {
        self.send(facts, true)
    }

    fn send(&self, facts: Vec<Fact>, again: bool) -> Receipt {
        let (reply, receipt) = oneshot::channel();
        let command = Append {
            facts,
            again,
            reply,
        };
        let unsent = match &self.commands {
            Some(commands) => commands.send(command).err().map(|unsent| unsent.0),
            None => Some(command),
        };
        if let Some(Append { facts, reply, .. }) = unsent {
            let error = AppendError::Closed;
            let _ = reply.send(Err(Refused { facts, error }));
        }
        receipt
    }

    /// Waits until all that was given is written or refused. `None` when the
    /// thread has panicked.
    pub fn close(mut self) -> Option<Journal> {
        self.join()
    }

    fn join(&mut self) -> Option<Journal> {
        self.commands = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        self.join();
    }
}

fn write_journal(mut journal: Journal, received: mpsc::Receiver<Append>) -> Journal {
    let mut failed = false;
    for Append {
        facts,
        again,
        reply,
    } in received
    {
        let result = if failed && !again {
            Err(AppendError::OutOfTurn)
        } else {
            journal.append(&facts)
        };
        failed = result.is_err();
        // Whoever asked may be gone; the facts are in the journal all the same.
        let _ = reply.send(result.map_err(|error| Refused { facts, error }));
    }
    journal
}

/// The thread that owns the files for other programs.
#[derive(Debug)]
pub struct FilesThread {
    updates: Option<mpsc::Sender<Update>>,
    thread: Option<JoinHandle<Files>>,
}

#[derive(Debug)]
enum Update {
    Line(Vec<u8>),
    Best(Option<Vec<u8>>),
    Status(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

impl FilesThread {
    /// Starts it. What cannot be written is told to `report` each time, and
    /// tried again with the next update; it must not block for long.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(
        files: Files,
        report: impl FnMut(FilesError) + Send + 'static,
    ) -> io::Result<Self> {
        let (updates, received) = mpsc::channel();
        let mut writer = FilesWriter {
            files,
            report,
            lines: Vec::new(),
            best: None,
            status: VecDeque::new(),
        };
        let thread = Builder::new().name("files".to_owned()).spawn(move || {
            writer.run(&received);
            writer.files
        })?;
        Ok(Self {
            updates: Some(updates),
            thread: Some(thread),
        })
    }

    /// Adds a line to the results file.
    pub fn line(&self, line: Vec<u8>) {
        self.send(Update::Line(line));
    }

    /// Replaces the file of the best params; `None` retires it.
    pub fn best(&self, text: Option<Vec<u8>>) {
        self.send(Update::Best(text));
    }

    /// Replaces the status file. Of many that wait only the last few are
    /// written.
    pub fn status(&self, text: Vec<u8>) {
        self.send(Update::Status(text));
    }

    /// Tells once everything given so far was tried.
    pub fn flush(&self) -> oneshot::Receiver<()> {
        let (reply, done) = oneshot::channel();
        self.send(Update::Flush(reply));
        done
    }

    fn send(&self, update: Update) {
        // A thread that has panicked takes nothing more. The files are
        // repaired at the next start.
        if let Some(updates) = &self.updates {
            let _ = updates.send(update);
        }
    }

    /// Waits until all that was given was tried. `None` when the thread has
    /// panicked.
    pub fn close(mut self) -> Option<Files> {
        self.join()
    }

    fn join(&mut self) -> Option<Files> {
        self.updates = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for FilesThread {
    fn drop(&mut self) {
        self.join();
    }
}

struct FilesWriter<R> {
    files: Files,
    report: R,
    lines: Vec<u8>,
    best: Option<Option<Vec<u8>>>,
    status: VecDeque<Vec<u8>>,
}

impl<R: FnMut(FilesError)> FilesWriter<R> {
    fn run(&mut self, received: &mpsc::Receiver<Update>) {
        while let Ok(first) = received.recv() {
            let mut flushed = Vec::new();
            for update in std::iter::once(first).chain(received.try_iter()) {
                match update {
                    Update::Line(line) => self.lines.extend_from_slice(&line),
                    Update::Best(text) => self.best = Some(text),
                    Update::Status(text) => self.status.push_back(text),
                    Update::Flush(reply) => flushed.push(reply),
                }
            }
            self.write();
            for reply in flushed {
                let _ = reply.send(());
            }
        }
    }

    fn write(&mut self) {
        if !self.lines.is_empty() {
            match self.files.append(&self.lines) {
                Ok(()) => self.lines.clear(),
                Err(error) => (self.report)(error),
            }
        }
        if let Some(text) = self.best.take()
            && let Err(error) = self.files.best(text.as_deref())
        {
            self.best = Some(text);
            (self.report)(error);
        }
        let late = self.status.len().saturating_sub(STATUS_MAX);
        self.status.drain(..late);
        while let Some(text) = self.status.front() {
            if let Err(error) = self.files.status(text) {
                (self.report)(error);
                break;
            }
            self.status.pop_front();
        }
    }
}
