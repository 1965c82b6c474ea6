//! The answers to clients: one file a request.

mod advisor;
mod best;
mod common;
mod doctor;
mod events;
mod export;
mod importance;
mod log;
mod notify;
mod ping;
mod reload;
mod report;
mod settings;
mod slots;
mod space;
mod status;
mod steer;
mod tail;
mod trial;
mod trials;
mod wait;

use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::reload::reloaded;
pub use self::steer::user;
pub use self::tail::Tails;
use super::board::Reader;
use super::decide::{Input, Urgency};
use super::folders::Folders;
use super::metrics;
use super::notifier::Notifier;
use super::rights::Right;
use super::server::{Exchange, Peer};
use crate::base::clock::{self, Timestamp};
use crate::config::SpecSource;
use crate::wire::WireError;
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Request;

/// What answers are made of.
pub struct Context {
    /// What clients see.
    pub board: Reader,
    /// The way to the dispatcher.
    pub inputs: mpsc::UnboundedSender<Input>,
    /// Its shortcut for wishes to end.
    pub urgent: mpsc::UnboundedSender<Urgency>,
    /// Where things are.
    pub folders: Folders,
    /// What the spec is read from.
    pub source: SpecSource,
    /// When the journal was begun.
    pub begun: Timestamp,
    /// What tells people what happens.
    pub notifier: Option<Arc<Notifier>>,
    /// The logs that are followed.
    pub tails: Tails,
    /// Held while the host is looked at.
    pub looking: tokio::sync::Mutex<()>,
    /// Held while a model is asked what the parameters matter.
    pub thinking: tokio::sync::Mutex<()>,
}

/// Answers one request.
///
/// # Errors
/// When the connection is of no use any more.
pub async fn handle(
    context: &Context,
    peer: Peer,
    request: Request,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let reply = match request {
        Request::Ping => ping::answer(context, peer),
        Request::Status => status::answer(context),
        Request::Best => best::answer(&context.board.view().study, context.folders.output()),
        Request::Trials(query) => trials::answer(&context.board.view().study, &query),
        Request::Trial(number) => trial::answer(context, number).await,
        Request::Log(query) => return log::stream(context, query, exchange).await,
        Request::Events(query) => return events::stream(context, query, exchange).await,
        Request::Wait(until) => return wait::stream(context, until, exchange).await,
        Request::Space(offset) => space::answer(&context.board.view().study, offset),
        Request::Settings => settings::answer(&context.board.view().study),
        Request::Channels => notify::answer(context),
        Request::Steer(_)
        | Request::Reload
        | Request::NotifyTest(_)
        | Request::AdvisorTest
        | Request::Doctor
            if peer.right < Right::Steer =>
        {
            Reply::Refused(Refusal::NotAllowed)
        }
        Request::Report(query) => return report::stream(context, peer, query, exchange).await,
        Request::Export => return export::stream(context, exchange).await,
        Request::Importance(name) => importance::answer(context, name).await,
        Request::NotifyTest(name) => notify::test(context, name.as_deref()).await,
        Request::AdvisorTest => advisor::test(context).await,
        Request::Reload => reload::answer(context).await,
        Request::Doctor => doctor::answer(context).await,
        Request::Metrics => {
            let view = context.board.view();
            Reply::Metrics(metrics::families(&view, clock::now(), !view.leaving))
        }
        Request::Steer(steer) => steer::answer(context, peer, steer).await,
    };
    exchange.output.send(&reply).await
}
