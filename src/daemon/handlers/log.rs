//! `Log`: the output of a step, and what comes.

use std::path::PathBuf;
use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::daemon::server::{Exchange, Server};
use crate::model::study::Study;
use crate::model::trial::{Trial, TrialId, log_name};
use crate::wire::WireError;
use crate::wire::reply::{EndOfStream, Refusal, Reply};
use crate::wire::request::LogQuery;

/// So much is sent at once, in bytes.
const PIECE: usize = 64 << 10;
/// How often a log that may grow is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub async fn stream(
    server: &Server,
    query: LogQuery,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let view = server.board.view();
    let id = TrialId(query.trial);
    let Some(trial) = view.study.trial(id) else {
        let refusal = Refusal::NoSuchTrial(query.trial);
        return exchange.output.send(&Reply::Refused(refusal)).await;
    };
    let sitting = trial.sittings.last().map_or(1, |sitting| sitting.number);
    let opened = match paths(server, &view.study, trial, sitting, &query) {
        Ok(paths) => open(server, id, sitting, paths, query.follow).await,
        Err(step) => Err(step),
    };
    let mut file = match opened {
        Ok(file) => file,
        Err(what) => {
            let refusal = Reply::Refused(Refusal::NoSuchLog(what));
            return exchange.output.send(&refusal).await;
        }
    };
    let mut views = server.board.views.clone();
    let mut piece = vec![0; PIECE];
    let end = loop {
        // Looked at before the file: what was written until then is read.
        let over = !query.follow || !runs(&server.board.view().study, id, sitting);
        loop {
            let read = file.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            let bytes = piece[..read].to_vec();
            exchange.output.send(&Reply::Log(bytes)).await?;
        }
        if over {
            break EndOfStream::Complete;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = views.wait_for(|view| view.leaving) => break EndOfStream::Leaving,
            () = exchange.gone() => return Err(WireError::Closed),
        }
    };
    exchange.output.send(&Reply::End(end)).await
}

fn runs(study: &Study, id: TrialId, sitting: u32) -> bool {
    let running = study.trial(id).and_then(|trial| trial.running());
    running.is_some_and(|running| running.number == sitting)
}

/// The logs that may be meant, the first that exists being the one.
fn paths(
    server: &Server,
    study: &Study,
    trial: &Trial,
    sitting: u32,
    query: &LogQuery,
) -> Result<Vec<PathBuf>, String> {
    let first = study.first_service_name();
    let path = |step: &str| {
        let own = (first.as_deref() != Some(step)).then_some(step);
        server.folders.log(&log_name(trial.id, sitting, own))
    };
    let spec = study.spec();
    match &query.step {
        Some(step) if spec.step(step).is_some() => Ok(vec![path(step)]),
        Some(step) => Err(step.clone()),
        None => Ok(spec.steps.iter().map(|step| path(&step.name)).collect()),
    }
}

/// Opens the first of the files that is there. One that is followed is waited
/// for while the trial runs.
async fn open(
    server: &Server,
    id: TrialId,
    sitting: u32,
    paths: Vec<PathBuf>,
    follow: bool,
) -> Result<File, String> {
    loop {
        for path in &paths {
            if let Ok(file) = File::open(path).await {
                return Ok(file);
            }
        }
        let view = server.board.view();
        if !follow || view.leaving || !runs(&view.study, id, sitting) {
            let path = paths.first().map(|path| path.display().to_string());
            return Err(path.unwrap_or_default());
        }
        tokio::time::sleep(LOOK).await;
    }
}
