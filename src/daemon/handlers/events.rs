//! `Events`: the journal from some fact on, and what comes.

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::daemon::server::{Exchange, Server};
use crate::model::event::Fact;
use crate::store::{journal, record};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, EventLine, Reply};
use crate::wire::request::EventsQuery;

/// So many events, and about so many bytes, are sent at once.
const BATCH: usize = 100;
const BYTES: usize = 256 << 10;
/// So many batches are read ahead of the client.
const AHEAD: usize = 2;

pub async fn stream(
    server: &Server,
    query: EventsQuery,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    // Before the view: see the board.
    let mut facts = server.board.facts();
    let mut views = server.board.views.clone();
    let known = views.borrow().facts;
    let skip = query
        .last
        .map_or(0, |last| known.saturating_sub(last.into()));
    let after = query.after.unwrap_or(0).max(skip);
    if after < known {
        old(server, after, known, exchange).await?;
    }
    let end = if query.follow {
        loop {
            let next = tokio::select! {
                biased;
                next = facts.recv() => next,
                _ = views.wait_for(|view| view.leaving) => break EndOfStream::Leaving,
                () = exchange.gone() => return Err(WireError::Closed),
            };
            match next {
                Ok(numbered) if numbered.seq <= known => {}
                Ok(numbered) => {
                    let event = line(numbered.seq, &numbered.fact);
                    exchange.output.send(&Reply::Events(vec![event])).await?;
                }
                Err(RecvError::Lagged(_)) => break EndOfStream::TooSlow,
                Err(RecvError::Closed) => break EndOfStream::Leaving,
            }
        }
    } else {
        EndOfStream::Complete
    };
    exchange.output.send(&Reply::End(end)).await
}

/// Sends the facts after number `after` up to number `known`, from the file.
async fn old(
    server: &Server,
    after: u64,
    known: u64,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let folder = server.folders.output().to_owned();
    let (batches, mut read) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let (mut seq, mut size, mut batch) = (0, 0, Vec::new());
        // What is damaged is found by the next start; here it is the end.
        let _ = journal::read(&folder, |fact| {
            seq += 1;
            if seq > after && seq <= known && !batches.is_closed() {
                let line = line(seq, fact);
                size += line.event.len();
                batch.push(line);
                if batch.len() >= BATCH || size >= BYTES {
                    size = 0;
                    // A client that is gone wants no more.
                    let _ = batches.blocking_send(std::mem::take(&mut batch));
                }
            }
            Ok(())
        });
        let _ = batches.blocking_send(batch);
    });
    while let Some(batch) = read.recv().await {
        if !batch.is_empty() {
            exchange.output.send(&Reply::Events(batch)).await?;
        }
    }
    Ok(())
}

fn line(seq: u64, fact: &Fact) -> EventLine {
    EventLine {
        seq,
        at: fact.at.as_millis(),
        event: record::event_text(&fact.event),
    }
}
