//! `Doctor`: a look at the host with the daemon's own eyes, from within its
//! sandbox.

use std::sync::Arc;

use super::Context;
use crate::doctor::{self, Finding, State, Study};
use crate::wire::reply::{Doctor, HostCheck, HostState, Refusal, Reply};

pub async fn answer(context: &Context) -> Reply {
    let study = Study {
        spec: Arc::clone(context.board.view().study.spec()),
        output_dir: context.folders.output().to_owned(),
    };
    // Each look takes threads, and a helper for the GPUs.
    let _one_at_a_time = context.looking.lock().await;
    let looking = tokio::task::spawn_blocking(move || doctor::examine(Some(&study)));
    match looking.await {
        Ok(examined) => Reply::Doctor(Doctor {
            checks: examined.findings.into_iter().map(sent).collect(),
        }),
        Err(panic) => Reply::Refused(Refusal::NotUnderstood(panic.to_string())),
    }
}

fn sent(finding: Finding) -> HostCheck {
    HostCheck {
        name: finding.check.name().to_owned(),
        state: match finding.state {
            State::Ok => HostState::Ok,
            State::Warning => HostState::Warning,
            State::Error => HostState::Error,
        },
        text: finding.text,
        remedy: finding.remedy,
    }
}
