//! The connections to the daemon. Each has one thing to do, so that none waits
//! for another: hearing of changes, asking, asking what takes long, steering,
//! following a log.

use std::cell::RefCell;
use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;

use crate::ctl::changes::{Heard, changes};
use crate::ctl::session::{Session, Trouble};
use crate::wire::reply::{EndOfStream, LogPiece, Reply};
use crate::wire::request::{LogPlace, LogQuery, Request};

/// Logs are changed over to not more often: each takes a new connection.
const LOG_PAUSE: Duration = Duration::from_millis(300);

/// What comes from the daemon.
pub enum Update {
    /// A change.
    Heard(Heard),
    /// What becomes of the connection.
    Note(String),
    /// An answer, or why there is none.
    Answer(Request, Result<Reply, Trouble>),
    /// A piece of the log that is followed.
    Log(LogPiece),
}

/// Which log is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The trial.
    pub trial: u32,
    /// The sitting.
    pub sitting: u32,
    /// The step.
    pub step: String,
    /// How often a daemon was met: the next one is asked anew.
    pub met: u32,
}

/// Hears of changes until that is impossible, and of what is said of the
/// connection meanwhile: in this order, so that who is met ends what was said.
pub async fn hear(
    session: &mut Session,
    notes: UnboundedReceiver<String>,
    updates: &UnboundedSender<Update>,
) -> Trouble {
    let notes = RefCell::new(notes);
    let note = |note| drop(updates.send(Update::Note(note)));
    let pass_on = |heard| {
        while let Ok(said) = notes.borrow_mut().try_recv() {
            note(said);
        }
        drop(updates.send(Update::Heard(heard)));
    };
    let hearing = changes(session, pass_on);
    let telling = async {
        while let Some(said) = poll_fn(|context| notes.borrow_mut().poll_recv(context)).await {
            note(said);
        }
    };
    tokio::pin!(hearing);
    tokio::select! {
        trouble = &mut hearing => return trouble,
        () = telling => {}
    }
    hearing.await
}

/// Asks what it is given, one after the other.
pub async fn ask(
    session: &mut Session,
    mut requests: UnboundedReceiver<Request>,
    updates: &UnboundedSender<Update>,
) {
    while let Some(request) = requests.recv().await {
        if !request.only_reads() {
            // A connection that was idle may be closed: a change must not be
            // lost on it.
            session.disconnect();
        }
        let answer = session.ask(&request).await;
        if answer.is_err() {
            session.disconnect();
        }
        let _ = updates.send(Update::Answer(request, answer));
    }
}

/// Follows the log that is wanted, from its last part on.
pub async fn follow(
    session: &mut Session,
    mut wanted: watch::Receiver<Option<Source>>,
    updates: &UnboundedSender<Update>,
) {
    loop {
        let source = wanted.borrow_and_update().clone();
        let followed = async {
            if let Some(source) = source {
                // When it ends there is nothing to do until another is wanted.
                let _ = read(session, source, updates).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = followed => {}
            changed = wanted.changed() => if changed.is_err() {
                return;
            }
        }
        session.disconnect();
        tokio::time::sleep(LOG_PAUSE).await;
    }
}

async fn read(
    session: &mut Session,
    source: Source,
    updates: &UnboundedSender<Update>,
) -> Result<EndOfStream, Trouble> {
    let query = LogQuery {
        trial: source.trial,
        step: Some(source.step),
        from: Some(LogPlace {
            sitting: source.sitting,
            offset: LogPlace::LAST,
        }),
        follow: true,
    };
    let mut reply = session.ask(&Request::Log(query)).await?;
    loop {
        match reply {
            Reply::Log(piece) => drop(updates.send(Update::Log(piece))),
            Reply::End(end) => return Ok(end),
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}
