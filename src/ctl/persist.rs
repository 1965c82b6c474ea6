//! Going on from where it was when a connection ends: the daemon is started
//! again, or has dropped a reader that was too slow.

use std::time::Duration;

use super::session::{Session, Trouble};
use crate::wire::WireError;
use crate::wire::client::ConnectError;
use crate::wire::reply::{EndOfStream, Pong, Refusal, Reply};
use crate::wire::request::Request;

/// The first pause before a daemon that is gone is looked for again. Each is
/// twice the one before, up to the longest.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits until a daemon answers where none may be yet, as before it has made its
/// socket.
///
/// # Errors
/// Whatever else is in the way.
pub async fn await_daemon(session: &mut Session) -> Result<Pong, Trouble> {
    let mut pause = None;
    loop {
        match session.ask(&Request::Ping).await {
            Ok(Reply::Pong(pong)) => return Ok(pong),
            Ok(_) => return Err(Trouble::OffTopic),
            Err(trouble) if is_gone(&trouble) => {
                session.disconnect();
                if pause.is_none() {
                    session.note(&format!("{trouble}\nwaiting for one (Ctrl-C ends this)"));
                }
            }
            Err(trouble) => return Err(trouble),
        }
        let now = next(pause);
        pause = Some(now);
        tokio::time::sleep(now).await;
    }
}

/// Makes `attempt` until one has a result. It is given who answers, and has to
/// ask for what it does not have yet. A daemon that goes is waited for where
/// that is wished; one that was never there is not.
pub async fn persist<T>(
    session: &mut Session,
    waits: bool,
    attempt: impl AsyncFnMut(&mut Session, &Pong) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    persist_from(session, None, waits, attempt).await
}

/// The same, of a daemon that has answered before.
///
/// # Errors
/// As [`persist`].
pub async fn persist_from<T>(
    session: &mut Session,
    mut known: Option<Pong>,
    waits: bool,
    mut attempt: impl AsyncFnMut(&mut Session, &Pong) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut pause = None;
    loop {
        let trouble = match meet(session, &mut known).await {
            Ok(pong) => {
                if pause.take().is_some() {
                    session.note("the daemon is back");
                }
                match attempt(session, &pong).await {
                    Err(trouble) => trouble,
                    result => return result,
                }
            }
            Err(trouble) => trouble,
        };
        session.disconnect();
        if matches!(trouble, Trouble::Ended(EndOfStream::TooSlow)) {
            session.note(&format!("{trouble}; going on from there"));
            continue;
        }
        if !waits || known.is_none() || !is_gone(&trouble) {
            return Err(trouble);
        }
        if pause.is_none() {
            session.note("the daemon has gone; waiting for it to come back (Ctrl-C ends this)");
        }
        let now = next(pause);
        pause = Some(now);
        tokio::time::sleep(now).await;
    }
}

/// The pause after that one.
fn next(pause: Option<Duration>) -> Duration {
    pause.map_or(SHORTEST, |last| LONGEST.min(last * 2))
}

/// Asks who answers. It must be the same study as before.
async fn meet(session: &mut Session, known: &mut Option<Pong>) -> Result<Pong, Trouble> {
    let Reply::Pong(pong) = session.ask(&Request::Ping).await? else {
        return Err(Trouble::OffTopic);
    };
    let identity = |pong: &Pong| (pong.study.clone(), pong.output_dir.clone(), pong.begun);
    match known {
        Some(before) if identity(before) != identity(&pong) => Err(Trouble::OtherStudy {
            before: Box::new(before.clone()),
            now: Box::new(pong),
        }),
        _ => Ok(known.insert(pong).clone()),
    }
}

/// Whether the daemon has ended, or is not back yet.
fn is_gone(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Wire(WireError::Closed)
        | Trouble::Ended(EndOfStream::Leaving)
        | Trouble::Refused(Refusal::Leaving)
        | Trouble::Connect(ConnectError::Nobody { .. }) => true,
        Trouble::Connect(ConnectError::Hello { source, .. }) => {
            matches!(source, WireError::Closed | WireError::Io(_))
        }
        _ => false,
    }
}
