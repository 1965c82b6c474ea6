//! The answers to clients: one file a request.

mod best;
mod common;
mod events;
mod log;
mod ping;
mod settings;
mod space;
mod status;
mod steer;
mod trial;
mod trials;
mod wait;

use super::rights::Right;
use super::server::{Exchange, Peer, Server};
use crate::wire::WireError;
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Request;

/// Answers one request.
///
/// # Errors
/// When the connection is of no use any more.
pub async fn handle(
    server: &Server,
    peer: Peer,
    request: Request,
    exchange: &mut Exchange<'_, '_>,
) -> Result<(), WireError> {
    let reply = match request {
        Request::Ping => ping::answer(server, peer),
        Request::Status => status::answer(&server.board.view(), &server.folders),
        Request::Best => best::answer(&server.board.view().study),
        Request::Trials(query) => trials::answer(&server.board.view().study, &query),
        Request::Trial(number) => trial::answer(server, number).await,
        Request::Log(query) => return log::stream(server, query, exchange).await,
        Request::Events(query) => return events::stream(server, query, exchange).await,
        Request::Wait(until) => return wait::stream(server, until, exchange).await,
        Request::Space(offset) => space::answer(&server.board.view().study, offset),
        Request::Settings => settings::answer(&server.board.view().study),
        Request::Steer(_) if peer.right < Right::Steer => Reply::Refused(Refusal::NotAllowed),
        Request::Steer(steer) => steer::answer(server, steer).await,
    };
    exchange.output.send(&reply).await
}
