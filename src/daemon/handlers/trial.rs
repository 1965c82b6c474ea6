//! `Trial`: all that is known of one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Context, common, log};
use crate::base::clock;
use crate::model::choice::Choice;
use crate::model::remedy;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Trial, TrialId, log_name};
use crate::report::advice::subject;
use crate::report::curves::spread;
use crate::wire::convert;
use crate::wire::reply::{self, LogTail, Refusal, Reply, TrialDetail};

/// So much of the end of a log is shown, in bytes and lines.
const TAIL: u64 = 4096;
const LINES: usize = 20;
/// So many points of all its curves together are shown, of some 20 bytes each.
const POINTS: usize = 30_000;

pub async fn answer(context: &Context, number: u32) -> Reply {
    let study = context.board.view().study;
    let Some(trial) = study.trial(TrialId(number)).cloned() else {
        return Reply::Refused(Refusal::NoSuchTrial(number));
    };
    let first = study.first_service_name();
    let sitting = log::meant(context, &trial, None).await.unwrap_or(1);
    let steps = study.spec().steps.iter().map(|step| {
        let own = (first.as_deref() != Some(&*step.name)).then_some(&*step.name);
        let path = context.folders.log(&log_name(trial.id, sitting, own));
        (step.name.to_string(), path)
    });
    let steps: Vec<_> = steps.collect();
    let tails = tokio::task::spawn_blocking(move || {
        let tails = steps.into_iter().filter_map(|(step, path)| {
            Some(LogTail {
                step,
                tail: tail(&path)?,
                path: path.display().to_string(),
            })
        });
        tails.collect::<Vec<_>>()
    });
    let tails = tails.await.unwrap_or_default();
    let output = context.folders.output();
    Reply::Trial(Box::new(TrialDetail {
        artifacts: common::artifacts(&study, &trial, output),
        row: common::row(&study, &trial, clock::now()),
        params: convert::params(&trial.params),
        metrics: common::metrics(&study, &trial),
        constraints: common::constraints(&study),
        runs: trial.runs.iter().map(Into::into).collect(),
        extra: trial.extra.iter().map(Into::into).collect(),
        sittings: trial.sittings.iter().map(Into::into).collect(),
        failure: common::failure(&trial).map(Into::into),
        skipped: trial.skipped,
        pruning: trial.pruned_by_racing().map(Into::into),
        logs_gone: tails.is_empty() && common::had_logs(&trial),
        logs: tails,
        choice: trial
            .choice
            .as_deref()
            .map(|choice| why(&study, &trial, choice)),
        curves: curves(&trial),
        remedied_by: study.helper(trial.id).map(|helper| helper.0),
        no_remedy: no_remedy(&study, &trial),
    }))
}

/// Why it gets no remedy, where the spec has one for what it failed by.
fn no_remedy(study: &Study, trial: &Trial) -> Option<String> {
    match (remedy::chance(study, trial)?, study.phase()) {
        (Err(why), _) => Some(why.to_string()),
        (Ok(_), Phase::Done(reason)) => Some(format!("the study is done: {reason}")),
        (Ok(_), _) => None,
    }
}

/// Its curves, with as many points as fit into a reply.
fn curves(trial: &Trial) -> Vec<reply::Curve> {
    let most = POINTS / trial.curves.len().max(1);
    let curves = trial.curves.iter().map(reply::Curve::from);
    let fitted = curves.map(|curve| reply::Curve {
        points: spread(&curve.points, most),
        ..curve
    });
    fitted.collect()
}

/// Why it was chosen, with the parameters in which it differs from the trial
/// that it varies.
fn why(study: &Study, trial: &Trial, choice: &Choice) -> reply::Choice {
    let mut why = reply::Choice::from(choice);
    let base = why.base.and_then(|base| study.trial(TrialId(base)));
    if let Some(base) = base {
        let varied = study.params_of(trial).difference(&study.params_of(base));
        why.varied = varied.iter().map(ToString::to_string).collect();
    }
    why.advice = study.advice_of(trial).map(|advice| reply::Advice {
        about: subject(&advice.question),
        comment: advice.comment.clone(),
        failed: advice.answer.as_ref().err().cloned(),
        refused: advice.refused.clone(),
    });
    why
}

/// The last lines of a file; `None` when there is none.
fn tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Some(lines[lines.len().saturating_sub(LINES)..].join("\n"))
}
