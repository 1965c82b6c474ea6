//! `Report`: a report of the moment, sent or written.

use super::Context;
use crate::base::clock;
use crate::daemon::rights::Right;
use crate::daemon::server::{Exchange, Peer};
use crate::model::form::{Format, Languages};
use crate::report::document::Document;
use crate::store::{dialogues, reports};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, Refusal, Reply};
use crate::wire::report::ReportQuery;

/// So much is sent at once, in bytes.
const PIECE: usize = 64 << 10;

pub async fn stream(
    context: &Context,
    peer: Peer,
    query: ReportQuery,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    if query.keep && peer.right < Right::Steer {
        // It writes, and the disk is not theirs.
        let refused = Reply::Refused(Refusal::NotAllowed);
        return exchange.output.send(&refused).await;
    }
    let study = context.board.view().study;
    let output = context.folders.output().to_owned();
    let asked: Option<Languages> = query.languages.into();
    let format: Format = query.format.into();
    let languages = asked.unwrap_or(study.spec().report.languages);
    // One at a time: a model is asked for it, too.
    let alone = context.thinking.lock().await;
    let made = tokio::task::spawn_blocking(move || {
        let now = clock::now();
        let dialogues = dialogues::read(study.spec(), &output);
        let document = Document::of(&study, now, &output, languages, dialogues.as_ref());
        let text = document.page(format);
        if !query.keep {
            return Ok((text, None));
        }
        let path = reports::path(&output, &study.spec().files, format, now);
        reports::write(&path, &text).map(|()| (text, Some(path)))
    });
    let made = made.await;
    drop(alone);
    let last = match made {
        Ok(Ok((text, None))) => {
            for piece in text.as_bytes().chunks(PIECE) {
                let piece = Reply::Report(piece.to_vec());
                exchange.output.send(&piece).await?;
            }
            Reply::End(EndOfStream::Complete)
        }
        Ok(Ok((_, Some(path)))) => Reply::ReportKept(path.display().to_string()),
        Ok(Err(error)) => {
            let why = format!("{error}: {}", error.source);
            Reply::Refused(Refusal::NotWritten(why))
        }
        Err(_) => Reply::Refused(Refusal::Leaving),
    };
    exchange.output.send(&last).await
}
