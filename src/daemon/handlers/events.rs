//! `Events`: the journal from some fact on, and what comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Context;
use crate::daemon::board::Numbered;
use crate::daemon::server::{Exchange, framed};
use crate::model::event::Fact;
use crate::store::{page, record};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, EventLine, Refusal, Reply};
use crate::wire::request::EventsQuery;

/// Facts come in bursts, and many may follow: they are sent together with
/// those that come so soon after the first.
const GATHER: Duration = Duration::from_millis(50);
/// About so many bytes of events are sent at once.
const BYTES: usize = 32 << 10;

/// Sends the facts that are wanted. A reader that does not keep up with those
/// that come is sent them from the journal.
pub async fn stream(
    context: &Context,
    query: EventsQuery,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    // Before the view: see the board.
    let mut facts = context.board.facts();
    let mut known = context.board.views.borrow().facts;
    let first = query.after.unwrap_or(0);
    if first > known {
        let refusal = Refusal::NoSuchEvent(known);
        return exchange.output.send(&Reply::Refused(refusal)).await;
    }
    let skip = query
        .last
        .map_or(0, |last| known.saturating_sub(last.into()));
    let mut after = first.max(skip);
    let end = loop {
        old(context, &mut after, known, exchange).await?;
        if !query.follow {
            break EndOfStream::Complete;
        }
        let Some(facts) = &mut facts else {
            break EndOfStream::Leaving;
        };
        match new(facts, &mut after, exchange).await? {
            Some(missed) => known = missed,
            None => break EndOfStream::Leaving,
        }
    };
    exchange.output.send(&Reply::End(end)).await
}

/// Sends the facts after number `after` up to number `known`, from the file.
async fn old(
    context: &Context,
    after: &mut u64,
    known: u64,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    while *after < known {
        let (folder, first) = (context.folders.journal().to_owned(), *after);
        let page = tokio::task::spawn_blocking(move || {
            let page = page::page(&folder, first, BYTES as u64).unwrap_or_default();
            let page = page.into_iter().filter(|(seq, _)| *seq <= known);
            page.map(|(seq, fact)| line(seq, &fact)).collect::<Vec<_>>()
        });
        let page = page.await.unwrap_or_default();
        // What is damaged is found by the next start; here it is the end.
        *after = page.last().map_or(known, |line| line.seq);
        if !page.is_empty() {
            exchange.output.send(&Reply::Events(page)).await?;
        }
    }
    Ok(())
}

/// Sends facts as they come, up to one that does not follow on number
/// `after`: gives the number up to which they are in the file alone. `None`
/// when nothing more will happen.
async fn new(
    facts: &mut Receiver<Arc<Numbered>>,
    after: &mut u64,
    exchange: &mut Exchange<'_, '_>,
) -> Result<Option<u64>, WireError> {
    loop {
        let next = tokio::select! {
            biased;
            next = facts.recv() => next,
            () = exchange.gone() => return Err(WireError::Closed),
        };
        let mut next = match next {
            Ok(numbered) => Some(numbered),
            // What comes next tells how many were missed.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Ok(None),
        };
        tokio::time::sleep(GATHER).await;
        let (mut bytes, mut missed) = (Vec::new(), None);
        while let Some(numbered) = next {
            if numbered.seq > *after + 1 {
                missed = Some(numbered.seq);
                break;
            }
            if numbered.seq == *after + 1 {
                bytes.extend_from_slice(frame(&numbered));
                *after = numbered.seq;
            }
            next = match bytes.len() < BYTES {
                true => facts.try_recv().ok(),
                false => None,
            };
        }
        exchange.output.send_frames(&bytes).await?;
        if missed.is_some() {
            return Ok(missed);
        }
    }
}

fn frame(numbered: &Numbered) -> &[u8] {
    numbered.frame.get_or_init(|| {
        let event = line(numbered.seq, &numbered.fact);
        framed(&Reply::Events(vec![event]))
    })
}

fn line(seq: u64, fact: &Fact) -> EventLine {
    EventLine {
        seq,
        at: fact.at.as_millis(),
        event: record::event_text(&fact.event),
    }
}
