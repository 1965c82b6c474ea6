//! `Log`: the output of a step, and what comes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tokio::sync::watch;

use super::tail::{LOOK, Log, PIECE, runs};
use super::{Context, common};
use crate::daemon::board::View;
use crate::daemon::server::Exchange;
use crate::model::trial::{Trial, TrialId, log_name};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, LogPiece, Refusal, Reply};
use crate::wire::request::{LogPlace, LogQuery};

/// Sends the log of a sitting, and those of the following ones where it is
/// followed.
pub async fn stream(
    context: &Context,
    query: LogQuery,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let view = context.board.view();
    let id = TrialId(query.trial);
    let refusal = match (view.study.trial(id), &query.step) {
        (None, _) => Some(Refusal::NoSuchTrial(query.trial)),
        (_, Some(step)) if view.study.spec().step(step).is_none() => {
            Some(Refusal::NoSuchLog(step.clone()))
        }
        _ => None,
    };
    if let Some(refusal) = refusal {
        return exchange.output.send(&Reply::Refused(refusal)).await;
    }
    let mut views = context.board.views.clone();
    let (mut sitting, mut offset) = match (query.from, view.study.trial(id)) {
        (Some(from), _) => (Some(from.sitting), from.offset),
        (None, Some(trial)) => (meant(context, trial, query.step.as_deref()).await, 0),
        (None, None) => (None, 0),
    };
    let mut step = query.step;
    let mut none = query.from.is_none();
    let end = loop {
        if let Some(sitting) = sitting
            && let Some(log) = find(
                context,
                id,
                sitting,
                step.as_deref(),
                query.follow,
                exchange,
            )
            .await?
        {
            none = false;
            step = Some(log.step.clone());
            copy(context, log, offset, query.follow, exchange).await?;
        }
        if !query.follow {
            break EndOfStream::Complete;
        }
        let next = tokio::select! {
            next = next_sitting(&mut views, id, sitting) => next,
            () = exchange.gone() => return Err(WireError::Closed),
        };
        match next {
            Ok(next) => (sitting, offset) = (Some(next), 0),
            Err(end) => break end,
        }
    };
    if none && end == EndOfStream::Complete {
        let paths = logs(context, id, sitting.unwrap_or(1), step.as_deref());
        let path = paths.first().map(|log| log.path.display().to_string());
        let study = context.board.view().study;
        let refusal = match study.trial(id).filter(|trial| common::had_logs(trial)) {
            Some(_) => Refusal::LogsGone(id.0),
            None => Refusal::NoSuchLog(path.unwrap_or_default()),
        };
        return exchange.output.send(&Reply::Refused(refusal)).await;
    }
    exchange.output.send(&Reply::End(end)).await
}

/// Waits for a sitting after this one, or for the end.
async fn next_sitting(
    views: &mut watch::Receiver<View>,
    id: TrialId,
    sitting: Option<u32>,
) -> Result<u32, EndOfStream> {
    loop {
        {
            let view = views.borrow_and_update();
            let trial = view.study.trial(id);
            let mut numbers = trial.iter().flat_map(|trial| &trial.sittings);
            let next = numbers.find(|later| Some(later.number) > sitting);
            if let Some(next) = next {
                return Ok(next.number);
            }
            if trial.is_none_or(|trial| trial.is_settled()) {
                return Err(EndOfStream::Complete);
            }
            if view.leaving {
                return Err(EndOfStream::Leaving);
            }
        }
        if views.changed().await.is_err() {
            return Err(EndOfStream::Leaving);
        }
    }
}

/// The sitting whose logs are meant where none is named: the one that runs,
/// else the last that has left any. One that was ended at once has none.
pub async fn meant(context: &Context, trial: &Trial, step: Option<&str>) -> Option<u32> {
    let last = trial.sittings.last()?.number;
    if trial.running().is_some() {
        return Some(last);
    }
    let sittings = trial.sittings.iter().rev().map(|sitting| sitting.number);
    let logs: Vec<_> = sittings
        .map(|number| (number, logs(context, trial.id, number, step)))
        .collect();
    let look = move || {
        let has_any = |logs: &[Log]| logs.iter().any(|log| log.path.exists());
        let mut found = logs.iter().filter(|(_, logs)| has_any(logs));
        found.next().map(|(number, _)| *number)
    };
    let found = tokio::task::spawn_blocking(look).await.ok().flatten();
    Some(found.unwrap_or(last))
}

/// The logs that may be meant.
fn logs(context: &Context, id: TrialId, sitting: u32, step: Option<&str>) -> Vec<Log> {
    let study = context.board.view().study;
    let first = study.first_service_name();
    let steps = study.spec().all_steps().map(|step| &*step.name);
    let meant = steps.filter(|name| step.is_none_or(|step| step == *name));
    let log = meant.map(|step| {
        let own = (first.as_deref() != Some(step)).then_some(step);
        Log {
            trial: id,
            sitting,
            step: step.to_owned(),
            path: context.folders.log(&log_name(id, sitting, own)),
        }
    });
    log.collect()
}

/// The first of the logs that exists. One that is followed is waited for while
/// the sitting runs.
async fn find(
    context: &Context,
    id: TrialId,
    sitting: u32,
    step: Option<&str>,
    follow: bool,
    exchange: &mut Exchange<'_, '_>,
) -> Result<Option<Log>, WireError> {
    let logs = logs(context, id, sitting, step);
    let paths: Vec<PathBuf> = logs.iter().map(|log| log.path.clone()).collect();
    loop {
        // Looked at before the files: what was made until then is found.
        let over = !follow || !runs(&context.board.view(), id, sitting);
        let paths = paths.clone();
        let look = move || paths.iter().position(|path| path.exists());
        let found = tokio::task::spawn_blocking(look).await.ok().flatten();
        if found.is_some() || over {
            return Ok(found.and_then(|index| logs.into_iter().nth(index)));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = exchange.gone() => return Err(WireError::Closed),
        }
    }
}

/// Sends a log from `offset` on, as far as it goes; while the sitting runs, as
/// far as it will go, if it is followed.
async fn copy(
    context: &Context,
    log: Log,
    mut offset: u64,
    follow: bool,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let mut tail = context.tails.follow(context, &log, follow);
    let mut over = false;
    if offset == LogPlace::LAST {
        // Its length is told once it is known.
        over = tail.changed().await.is_err();
        offset = tail.borrow().length.saturating_sub(PIECE as u64);
    }
    loop {
        let (length, last) = {
            let tail = tail.borrow_and_update();
            (tail.length, tail.last.clone())
        };
        if let Some(last) = last.filter(|last| last.offset == offset) {
            exchange.output.send_frames(&last.frame).await?;
            offset = length;
        } else if offset < length {
            let most = (length - offset).min(PIECE as u64) as usize;
            let path = log.path.clone();
            let bytes = tokio::task::spawn_blocking(move || read(&path, offset, most));
            let bytes = bytes.await.unwrap_or_default();
            if bytes.is_empty() {
                // Somebody has cut or removed it.
                return Ok(());
            }
            let read = bytes.len() as u64;
            let piece = LogPiece {
                step: log.step.clone(),
                sitting: log.sitting,
                offset,
                bytes,
            };
            exchange.output.send(&Reply::Log(piece)).await?;
            offset += read;
        } else if over {
            return Ok(());
        } else {
            tokio::select! {
                // The tail ends with the sitting; its last value stays.
                changed = tail.changed() => over = changed.is_err(),
                () = exchange.gone() => return Err(WireError::Closed),
            }
        }
    }
}

/// At most so many bytes from `offset` on; none where there is nothing to read.
pub(super) fn read(path: &std::path::Path, offset: u64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let read = File::open(path).and_then(|file| file.read_at(&mut bytes, offset));
    bytes.truncate(read.unwrap_or(0));
    bytes
}
