//! `Ping`: who answers.

use crate::daemon::rights::Right;
use crate::daemon::server::{Peer, Server};
use crate::wire::reply::{Pong, Reply};

pub fn answer(server: &Server, peer: Peer) -> Reply {
    Reply::Pong(Pong {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: peer.version,
        pid: std::process::id(),
        study: server.board.view().study.spec().name.clone(),
        output_dir: server.folders.output().display().to_string(),
        may_steer: peer.right == Right::Steer,
    })
}
