//! The control server: accepts connections, greets, and hands requests to
//! their handlers.
//!
//! ```text
//!   accept ─▶ count ─▶ rights ─▶ hello ─▶ request ─▶ handler ─▶ reply ─┐
//!               │        │      (10 s)     (60 s)  ▲                   │
//!              busy   not allowed                  └───────────────────┘
//! ```
//!
//! - A connection is a task of its own and never holds the dispatcher up:
//!   reading requests are answered from the [`board`](super::board), changes
//!   go to the dispatcher as an `Input`.
//! - What a peer may take is bounded: connections, time for each part, and the
//!   memory of one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::board::Reader;
use super::decide::{Input, Urgency};
use super::folders::Folders;
use super::handlers;
use super::rights::{Right, Rights};
use super::socket::{Listener, group_id};
use crate::model::spec::Control;
use crate::wire::hello::{self, OURS, Versions};
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::Request;
use crate::wire::{WireError, codec, frame};

/// How long a hello may take.
pub const HELLO: Duration = Duration::from_secs(10);
/// How long a connection may be without a request.
const IDLE: Duration = Duration::from_secs(60);
/// How long a peer may take to read a part of an answer.
const WRITE: Duration = Duration::from_secs(10);
/// How long clients may read on when the daemon ends.
const DRAIN: Duration = Duration::from_secs(1);
/// So many connections there may be, unless fewer files may be open.
const CONNECTIONS: usize = 1200;
/// So many of them may be of one user who is neither the owner nor root.
const OF_ONE_STRANGER: usize = 64;

/// What all connections share.
pub struct Server {
    pub(super) board: Reader,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) urgent: mpsc::UnboundedSender<Urgency>,
    pub(super) folders: Folders,
    rights: Rights,
    most: usize,
    strangers: Mutex<HashMap<Uid, usize>>,
}

impl Server {
    /// A server that shows what is on `board`, and hands on what its clients
    /// want.
    pub fn new(
        board: Reader,
        inputs: mpsc::UnboundedSender<Input>,
        urgent: mpsc::UnboundedSender<Urgency>,
        folders: Folders,
        control: &Control,
    ) -> Self {
        let group = control.group.as_deref().map(group_id);
        Self {
            board,
            inputs,
            urgent,
            folders,
            // Listening has failed when there is no such group.
            rights: Rights::new(control, group.and_then(Result::ok)),
            most: CONNECTIONS.min(open_files() / 2),
            strangers: Mutex::default(),
        }
    }

    /// Serves until the dispatcher has left, and then for a moment.
    pub async fn serve(self, listener: Listener) {
        let server = Arc::new(self);
        let mut views = server.board.views.clone();
        let mut connections = JoinSet::new();
        let left = async { drop(views.wait_for(|view| view.leaving).await) };
        tokio::pin!(left);
        loop {
            tokio::select! {
                biased;
                _ = &mut left => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        let room = connections.len() < server.most;
                        connections.spawn(Arc::clone(&server).connection(stream, room));
                    }
                    // Too many open files, say: others end, and then it goes on.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
        // Nobody is to find a socket that will not answer.
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(DRAIN, all).await;
    }

    async fn connection(self: Arc<Self>, mut stream: UnixStream, room: bool) {
        let Ok(peer) = stream.peer_cred() else { return };
        let (uid, gid) = (Uid::from_raw(peer.uid()), Gid::from_raw(peer.gid()));
        let right = self.right(uid, gid).await;
        let counted = self.count(uid, right);
        let Ok(Ok(version)) = timeout(HELLO, greet(&mut stream)).await else {
            return;
        };
        let (mut input, output) = stream.split();
        let mut output = Output(output);
        let refusal = if right == Right::Nothing {
            Some(Refusal::NotAllowed)
        } else if !room || counted.is_none() {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            let _ = output.send(&Reply::Refused(refusal)).await;
            return;
        }
        let peer = Peer { right, version };
        // Any error ends the connection: after it no byte has a meaning.
        while let Ok(Ok(body)) = timeout(IDLE, frame::receive(&mut input, frame::REQUEST_MAX)).await
        {
            let request = match codec::decode::<Request>(&body) {
                Ok(request) => request,
                Err(error) => {
                    let refusal = Refusal::NotUnderstood(error.to_string());
                    let _ = output.send(&Reply::Refused(refusal)).await;
                    return;
                }
            };
            drop(body);
            let mut exchange = Exchange {
                input: &mut input,
                output: &mut output,
            };
            if handlers::handle(&self, peer, request, &mut exchange)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    async fn right(&self, uid: Uid, gid: Gid) -> Right {
        if let Some(right) = self.rights.of_user(uid) {
            return right;
        }
        // The list of groups may come from far away.
        let rights = self.rights.clone();
        let asked = tokio::task::spawn_blocking(move || rights.of_peer(uid, gid));
        asked.await.unwrap_or(Right::Nothing)
    }

    /// Counts a connection until the result is dropped; `None` when the user
    /// has too many. The owner is never shut out by strangers.
    fn count(self: &Arc<Self>, uid: Uid, right: Right) -> Option<Counted> {
        if right == Right::Steer {
            return Some(Counted(None));
        }
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = strangers.entry(uid).or_default();
        if *count >= OF_ONE_STRANGER {
            return None;
        }
        *count += 1;
        Some(Counted(Some((Arc::clone(self), uid))))
    }
}

/// A connection that is counted.
struct Counted(Option<(Arc<Server>, Uid)>);

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((server, uid)) = &self.0 else { return };
        let mut strangers = server
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = strangers.get_mut(uid) {
            *count -= 1;
            if *count == 0 {
                strangers.remove(uid);
            }
        }
    }
}

/// Receives the peer's hello and answers it. A peer that does not speak this
/// protocol gets no byte.
async fn greet(stream: &mut UnixStream) -> Result<u16, WireError> {
    let mut bytes = [0; hello::LENGTH];
    stream.read_exact(&mut bytes).await?;
    let theirs = Versions::read(bytes)?;
    hello::send(stream).await?;
    OURS.common(theirs)
}

/// How many files this process may have open.
fn open_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map_or(usize::MAX, |most| most as usize)
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// What it may do.
    pub right: Right,
    /// The version of the protocol.
    pub version: u16,
}

/// A connection while a request is answered.
pub struct Exchange<'a, 's> {
    input: &'a mut ReadHalf<'s>,
    /// Where replies go.
    pub output: &'a mut Output<'s>,
}

impl Exchange<'_, '_> {
    /// Waits until the peer is gone, or says something out of turn.
    pub async fn gone(&mut self) {
        let _ = self.input.read_u8().await;
    }
}

/// The way to a peer.
pub struct Output<'s>(WriteHalf<'s>);

impl Output<'_> {
    /// Sends a reply to a peer that reads it in time. What is too long for a
    /// frame becomes a refusal.
    ///
    /// # Errors
    /// See [`WireError`]; the connection is then of no use.
    pub async fn send(&mut self, reply: &Reply) -> Result<(), WireError> {
        let body = match codec::encode(reply) {
            Err(WireError::TooLong { .. }) => codec::encode(&Reply::Refused(Refusal::TooLong))?,
            result => result?,
        };
        let sent = timeout(WRITE, frame::send(&mut self.0, &body, frame::REPLY_MAX)).await;
        sent.unwrap_or(Err(WireError::Closed))
    }
}
