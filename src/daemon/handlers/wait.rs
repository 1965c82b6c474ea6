//! `Wait`: an answer as soon as something holds.

use super::Context;
use crate::daemon::board::View;
use crate::daemon::server::Exchange;
use crate::model::study::Phase;
use crate::model::trial::TrialId;
use crate::wire::WireError;
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Until;

pub async fn stream(
    context: &Context,
    until: Until,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let mut views = context.board.views.clone();
    let reply = tokio::select! {
        reply = async {
            loop {
                let settled = settled(&views.borrow_and_update(), until);
                if let Some(reply) = settled {
                    return reply;
                }
                if views.changed().await.is_err() {
                    return Reply::Refused(Refusal::Leaving);
                }
            }
        } => reply,
        () = exchange.gone() => return Err(WireError::Closed),
    };
    exchange.output.send(&reply).await
}

/// The answer, once there is one.
fn settled(view: &View, until: Until) -> Option<Reply> {
    let study = &view.study;
    let reached = match until {
        Until::Done => matches!(study.phase(), Phase::Done(_)),
        Until::Best(than) => study.incumbent().map(|now| now.id.0) != than,
        Until::Paused => matches!(study.phase(), Phase::Paused(_)) && study.running().is_none(),
        Until::Approval => *study.phase() == Phase::AwaitingApproval,
        Until::Trial(number) => study
            .trial(TrialId(number))
            .is_some_and(|trial| trial.is_settled()),
    };
    if reached {
        return Some(Reply::Reached);
    }
    if let Phase::Done(reason) = study.phase() {
        return Some(Reply::Refused(Refusal::Done(reason.clone())));
    }
    view.leaving.then_some(Reply::Refused(Refusal::Leaving))
}
