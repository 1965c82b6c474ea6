//! `Ping`: who answers.

use super::Context;
use crate::daemon::rights::Right;
use crate::daemon::server::Peer;
use crate::wire::reply::{Pong, Reply};

pub fn answer(context: &Context, peer: Peer) -> Reply {
    let view = context.board.view();
    Reply::Pong(Pong {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: peer.version,
        pid: std::process::id(),
        study: view.study.spec().name.clone(),
        output_dir: context.folders.output().display().to_string(),
        begun: context.begun.as_millis(),
        events: view.facts,
        may_steer: peer.right == Right::Steer,
    })
}
