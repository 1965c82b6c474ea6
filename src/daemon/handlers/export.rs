//! `Export`: all trials, a line of JSON each.

use tokio::sync::mpsc;

use super::Context;
use crate::base::clock;
use crate::daemon::server::Exchange;
use crate::exchange::format::{Format, Rendering};
use crate::exchange::record::{Head, Trial};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, Refusal, Reply};

/// So much is sent at once, in bytes.
const PIECE: usize = 64 << 10;
/// So many pieces wait for a reader at most.
const WAITING: usize = 4;

pub async fn stream(context: &Context, exchange: &mut Exchange<'_, '_>) -> Result<(), WireError> {
    let study = context.board.view().study;
    let begun = context.begun;
    let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(WAITING);
    let made = tokio::task::spawn_blocking(move || {
        let now = clock::now();
        let mut rendering = Rendering::new(Format::Jsonl, Head::of(&study, begun));
        let mut text = rendering.begin().into_bytes();
        for trial in study.trials() {
            text.extend(rendering.trial(&Trial::of(&study, trial, now)).into_bytes());
            while text.len() >= PIECE {
                let rest = text.split_off(PIECE);
                // The reader may be gone.
                if sender
                    .blocking_send(std::mem::replace(&mut text, rest))
                    .is_err()
                {
                    return;
                }
            }
        }
        let _ = sender.blocking_send(text);
    });
    while let Some(piece) = pieces.recv().await {
        exchange.output.send(&Reply::Export(piece)).await?;
    }
    let last = match made.await {
        Ok(()) => Reply::End(EndOfStream::Complete),
        Err(_) => Reply::Refused(Refusal::Leaving),
    };
    exchange.output.send(&last).await
}
