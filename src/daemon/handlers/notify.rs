//! `Channels`: how the channels of `[notify]` stand. `NotifyTest`: what their
//! receivers say to a test.

use super::Context;
use crate::daemon::notifier::Troubles;
use crate::model::notice::Refused;
use crate::model::notify::{Channel, Kind};
use crate::model::study::Study;
use crate::wire::convert::milliseconds;
use crate::wire::reply::{self, GivenUp, Refusal, Reply, Tested, Trouble};

pub fn answer(context: &Context) -> Reply {
    Reply::Channels(channels(context, &context.board.view().study))
}

/// How all channels stand.
pub fn channels(context: &Context, study: &Study) -> Vec<reply::Channel> {
    let notifier = context.notifier.as_ref();
    let troubles = notifier.map(|notifier| notifier.troubles().borrow().clone());
    let troubles = troubles.unwrap_or_default();
    let channels = study.spec().notify.channels.iter();
    channels
        .map(|channel| standing(study, channel, &troubles))
        .collect()
}

fn standing(study: &Study, channel: &Channel, troubles: &Troubles) -> reply::Channel {
    let outbox = study.outbox();
    let standing = outbox.standing(&channel.name);
    let trouble = troubles.get(&channel.name);
    reply::Channel {
        name: channel.name.to_string(),
        kind: channel.target.word().to_owned(),
        kinds: channel
            .kinds
            .iter()
            .map(|kind: &Kind| kind.name().to_owned())
            .collect(),
        fallback: channel.fallback,
        waiting: u32::try_from(outbox.waiting(&channel.name).count()).unwrap_or(u32::MAX),
        delivered: standing.delivered.map(|at| at.as_millis()),
        trouble: trouble.map(|trouble| Trouble {
            error: trouble.error.clone(),
            again: trouble.again.map(|again| again.as_millis()),
        }),
        given_up: standing.given_up.map(|(at, reason)| GivenUp {
            at: at.as_millis(),
            reason,
        }),
        refused: standing.refused.into_iter().map(refused).collect(),
    }
}

fn refused(one: Refused) -> reply::Refused {
    reply::Refused {
        address: one.address,
        why: one.why,
        again: one.again,
    }
}

pub async fn test(context: &Context, name: Option<&str>) -> Reply {
    let study = context.board.view().study;
    let notify = &study.spec().notify;
    let known = || {
        notify
            .channels
            .iter()
            .map(|channel| channel.name.to_string())
            .collect()
    };
    let wanted: Vec<Channel> = match name {
        None => notify.channels.clone(),
        Some(name) => notify.channel(name).cloned().into_iter().collect(),
    };
    let Some(notifier) = context.notifier.as_ref().filter(|_| !wanted.is_empty()) else {
        return Reply::Refused(Refusal::NoSuchChannel(known()));
    };
    let Some(tested) = notifier.test(notify.language, wanted).await else {
        return Reply::Refused(Refusal::Unanswered);
    };
    let tested = tested.into_iter().map(|one| Tested {
        channel: one.channel.to_string(),
        accepted: one.answer.is_ok(),
        answer: one.answer.unwrap_or_else(|error| error),
        took: milliseconds(one.took),
    });
    Reply::Tested(tested.collect())
}
