//! Hearing of every change of a study as it happens.

use std::convert::Infallible;

use super::persist::persist;
use super::session::{Session, Trouble};
use crate::wire::reply::{EventLine, Pong, Reply};
use crate::wire::request::{EventsQuery, Request};

/// What is heard.
pub enum Heard {
    /// A daemon answers, the first or the next one: anything may have changed.
    Met(Pong),
    /// This has happened.
    Events(Vec<EventLine>),
}

/// Tells `hear` of what happens from now on, also after a restart of the
/// daemon. It ends with what makes that impossible.
pub async fn changes(session: &mut Session, mut hear: impl FnMut(Heard)) -> Trouble {
    let heard = persist(session, true, async |session, pong| {
        // From before the first answer to whoever asks now: nothing is missed.
        let query = EventsQuery {
            after: Some(pong.events),
            last: None,
            follow: true,
        };
        hear(Heard::Met(pong.clone()));
        read(session, query, &mut hear).await
    });
    match heard.await {
        Err(trouble) => trouble,
    }
}

async fn read(
    session: &mut Session,
    query: EventsQuery,
    hear: &mut impl FnMut(Heard),
) -> Result<Infallible, Trouble> {
    let mut reply = session.ask(&Request::Events(query)).await?;
    loop {
        match reply {
            Reply::Events(events) => hear(Heard::Events(events)),
            Reply::End(end) => return Err(Trouble::Ended(end)),
            _ => return Err(Trouble::OffTopic),
        }
        reply = session.receive().await?;
    }
}
