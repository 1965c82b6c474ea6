//! `Wait`: an answer as soon as something holds.

use crate::daemon::board::View;
use crate::daemon::server::{Exchange, Server};
use crate::model::study::Phase;
use crate::model::trial::TrialId;
use crate::wire::WireError;
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Until;

pub async fn stream(
    server: &Server,
    until: Until,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let mut views = server.board.views.clone();
    let best = views
        .borrow_and_update()
        .study
        .incumbent()
        .map(|best| best.id);
    let reply = tokio::select! {
        reply = async {
            loop {
                let settled = settled(&views.borrow_and_update(), until, best);
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
fn settled(view: &View, until: Until, best: Option<TrialId>) -> Option<Reply> {
    let study = &view.study;
    let reached = match until {
        Until::Done => matches!(study.phase(), Phase::Done(_)),
        Until::Best => study.incumbent().map(|now| now.id) != best,
        Until::Paused => matches!(study.phase(), Phase::Paused(_)) && study.running().is_none(),
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
