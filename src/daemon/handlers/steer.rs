//! `Steer`: a change, made by the dispatcher.

use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::sync::oneshot;

use super::Context;
use crate::daemon::decide::{Input, Urgency};
use crate::daemon::server::Peer;
use crate::daemon::steer::{Admit, admit};
use crate::model::approval::By;
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Steer;

/// How long a client waits for the disk.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn answer(context: &Context, peer: Peer, steer: Steer) -> Reply {
    if let Steer::Stop { now } = steer {
        return stop(context, now);
    }
    let (reply, answer) = oneshot::channel();
    let by = user(peer.uid).await;
    decided(context, Input::Request { steer, by, reply }, answer).await
}

/// A user and the name of that; finding it may take a server's answer.
pub async fn user(uid: Uid) -> By {
    let found = tokio::task::spawn_blocking(move || User::from_uid(uid)).await;
    let found = found.ok().and_then(Result::ok).flatten();
    By::User {
        uid: uid.as_raw(),
        name: found.map(|user| user.name.into()),
    }
}

/// Hands an input to the dispatcher and waits for its answer.
pub(super) async fn decided(
    context: &Context,
    input: Input,
    answer: oneshot::Receiver<Reply>,
) -> Reply {
    if context.inputs.send(input).is_err() {
        return Reply::Refused(Refusal::Leaving);
    }
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(reply)) => reply,
        // It may have been written down, or not.
        Ok(Err(_)) => Reply::Refused(Refusal::Unanswered),
        Err(_) => {
            let trouble = context.board.view().disk_trouble.unwrap_or_default();
            Reply::Refused(Refusal::NotRecorded(trouble))
        }
    }
}

/// An end overtakes everything, also a disk that takes no facts: it comes as a
/// signal does.
fn stop(context: &Context, now: bool) -> Reply {
    let view = context.board.view();
    let urgency = if now {
        Urgency::AtOnce
    } else {
        Urgency::Orderly
    };
    let known = view.stopping.then_some(Urgency::Orderly);
    match admit(&view.study, known, &Steer::Stop { now }) {
        Admit::Accept(answer, _) => {
            let sent = context.urgent.send(urgency);
            match sent {
                Ok(()) => Reply::Accepted(answer),
                Err(_) => Reply::Refused(Refusal::Leaving),
            }
        }
        Admit::Ignore(answer) => Reply::Ignored(answer),
        Admit::Deny(refusal) => Reply::Refused(refusal),
    }
}
