//! `Reload`: the spec's file is read again. What is wrong with it is told, and
//! the study goes on by the old one.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Context, steer};
use crate::config;
use crate::daemon::Update;
use crate::daemon::decide::Input;
use crate::doctor::{self, Finding, State};
use crate::systemd::notify;
use crate::wire::reply::{Accepted, Refusal, Reply};

pub async fn answer(context: &Context) -> Reply {
    let _ = notify::reloading();
    let reply = reload(context).await;
    let _ = notify::ready();
    reply
}

/// Does the same where no client waits for the answer, and puts it into words.
/// That the spec was taken over is a fact, and told as such.
pub async fn reloaded(context: &Context) -> Vec<Update> {
    let (changed, reloaded) = match answer(context).await {
        Reply::Accepted(Accepted::Reloaded(reloaded)) => (true, reloaded),
        Reply::Ignored(Accepted::Reloaded(reloaded)) => (false, reloaded),
        Reply::Refused(Refusal::BadSpec(wrong)) => {
            return vec![Update::Warning(format!(
                "the spec has mistakes, keeping the old spec:\n{wrong}"
            ))];
        }
        Reply::Refused(Refusal::NeedsRestart(parts)) => {
            return vec![Update::Warning(format!(
                "{} cannot change without a restart, keeping the old spec",
                parts.join(", ")
            ))];
        }
        // An end, or a disk that takes no data: that is told anyway.
        _ => return Vec::new(),
    };
    let same = (!changed).then(|| Update::Answer("the spec says what it said".to_owned()));
    let unfit = reloaded.unfit.into_iter();
    let unfit = unfit.map(|text| format!("{text}, ignoring it"));
    let remarks = reloaded.warnings.into_iter().chain(unfit);
    same.into_iter()
        .chain(remarks.map(Update::Warning))
        .collect()
}

async fn reload(context: &Context) -> Reply {
    let source = context.source.clone();
    let read = tokio::task::spawn_blocking(move || read(&source)).await;
    let (checked, warnings) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(wrong)) => return Reply::Refused(Refusal::BadSpec(wrong)),
        Err(panic) => return Reply::Refused(Refusal::BadSpec(panic.to_string())),
    };
    let mut warnings = warnings;
    if let Some(notifier) = &context.notifier {
        let variable = |name: &str| std::env::var_os(name);
        let (unknown, changed) = notifier.secrets().outdated(&checked.spec.notify, &variable);
        let part =
            |name: &String| format!("where the secrets of channel {name} in [notify] come from");
        if !unknown.is_empty() {
            let parts = unknown.iter().map(part).collect();
            return Reply::Refused(Refusal::NeedsRestart(parts));
        }
        warnings.extend(changed.iter().map(|name| {
            format!("a secret of channel {name} is another one now: the daemon takes it up when it is restarted")
        }));
    }
    let (reply, answer) = oneshot::channel();
    let input = Input::Reload {
        spec: Arc::new(checked.spec),
        text: checked.text,
        warnings,
        reply,
    };
    steer::decided(context, input, answer).await
}

/// Reads the spec as a daemon does that starts, with what its check remarks.
///
/// # Errors
/// What is wrong with it, for people.
fn read(source: &config::SpecSource) -> Result<(config::Checked, Vec<String>), String> {
    let checked = source.read().map_err(|refusal| match refusal {
        config::Refusal::Wrong(complaints) => complaints.render(false),
        other => other.to_string(),
    })?;
    let mut warnings = checked.notes.clone();
    if !checked.warnings.is_empty() {
        warnings.push(checked.warnings.render(false));
    }
    let findings = doctor::of_spec(&checked.spec);
    let (errors, others): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .filter(|finding| finding.state != State::Ok)
        .partition(|finding| finding.state == State::Error);
    if !errors.is_empty() {
        let errors: Vec<String> = errors.iter().map(Finding::sentence).collect();
        return Err(errors.join("\n"));
    }
    warnings.extend(others.iter().map(Finding::sentence));
    Ok((checked, warnings))
}
