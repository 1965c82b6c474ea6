//! The control server: accepts connections, greets, and hands requests to
//! their handlers.
//!
//! ```text
//!   accept ─▶ rights, room ─▶ hello ─▶ request ─▶ handler ─▶ reply ─┐
//!                │            (10 s)    (60 s)  ▲             (10 s) │
//!          not allowed, busy                    └────────────────────┘
//! ```
//!
//! - The server has threads of its own, and a connection is a task on them:
//!   nothing that clients do, or do not do, holds the dispatcher up. Reading
//!   requests are answered from the [`board`](super::board), changes go to the
//!   dispatcher as an `Input`.
//! - What a peer may take is bounded: connections, time for each part, and the
//!   memory of one request and one part of an answer.
//! - A reader that takes nothing for too long is told so and dropped, and so is
//!   one that still reads when the daemon ends. Nobody waits until it reads
//!   that: the kernel keeps it for as long as the peer keeps its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use rustix::net::{SendFlags, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handlers::{self, Context};
use super::rights::{Right, Rights};
use super::socket::{Listener, group_id};
use crate::exec::{files, peer};
use crate::model::spec::Control;
use crate::model::trial::TrialId;
use crate::wire::hello::{self, OURS, Versions};
use crate::wire::reply::{EndOfStream, Refusal, Reply};
use crate::wire::request::Request;
use crate::wire::{WireError, codec, frame};

/// How long a hello may take.
pub const HELLO: Duration = Duration::from_secs(10);
/// How long a connection may be without a request.
const IDLE: Duration = Duration::from_secs(60);
/// How long a peer may take to read a part of an answer.
const WRITE: Duration = Duration::from_secs(10);
/// How long it may take when the daemon ends.
const PARTING: Duration = Duration::from_secs(1);
/// How long all of them may take then.
const DRAIN: Duration = Duration::from_secs(3);
/// So many connections there may be, unless fewer files may be open.
const CONNECTIONS: usize = 2500;
/// So many files are for the study.
const RESERVED: usize = 200;
/// So many connections may be of one user who is neither the owner nor root.
const OF_ONE_STRANGER: usize = 64;
/// What the kernel keeps for a reader, in bytes; it takes about twice that.
const BUFFER: usize = 64 << 10;
/// The same while there is a last word to say: the rest of a part and that.
const LAST_BUFFER: usize = 200 << 10;
/// How far the threads that serve stand back behind those of the trials: see
/// setpriority(2).
const NICE: i32 = 10;
/// How many threads serve, and how many read files for them.
const THREADS: usize = 2;
const READERS: usize = 4;

/// What the server can answer.
#[derive(Clone)]
pub enum Stage {
    /// Nothing yet: what an earlier daemon has left is cleared up, this trial
    /// at the moment.
    Starting(Option<TrialId>),
    /// Everything.
    Open(Arc<Context>),
}

/// What all connections share.
pub struct Server {
    stage: watch::Receiver<Stage>,
    leave: watch::Sender<bool>,
    rights: Rights,
    most: usize,
    strangers: Mutex<HashMap<Uid, usize>>,
}

impl Server {
    /// A server that answers as far as `stage` lets it.
    pub fn new(stage: watch::Receiver<Stage>, control: &Control) -> Self {
        let group = control.group.as_deref().map(group_id);
        let room = files::limit().saturating_sub(RESERVED);
        Self {
            stage,
            leave: watch::Sender::new(false),
            // Listening has failed when there is no such group.
            rights: Rights::new(control, group.and_then(Result::ok)),
            most: CONNECTIONS.min(room.max(RESERVED / 2)),
            strangers: Mutex::default(),
        }
    }

    /// Serves on threads of its own until the dispatcher has left, and then
    /// for a moment. The receiver ends when that is over.
    ///
    /// # Errors
    /// When the system has no threads.
    pub fn start(self, listener: Listener) -> std::io::Result<oneshot::Receiver<()>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(READERS)
            .thread_name("control")
            .on_thread_start(|| {
                // On Linux it is the thread's own. Where it is refused, readers
                // compete with the trials as equals.
                let _ = rustix::process::setpriority_process(None, NICE);
            })
            .enable_all()
            .build()?;
        let (over, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("control".to_owned());
        thread.spawn(move || {
            runtime.block_on(self.serve(listener));
            // A file that cannot be read is not waited for.
            runtime.shutdown_background();
            drop(over);
        })?;
        Ok(ended)
    }

    async fn serve(self, listener: Listener) {
        let server = Arc::new(self);
        let mut connections = JoinSet::new();
        let left = left(server.stage.clone());
        tokio::pin!(left);
        loop {
            tokio::select! {
                biased;
                () = &mut left => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.socket.accept() => match accepted {
                    Ok((stream, _)) => server.take(stream, &mut connections),
                    // Too many open files, say: others end, and then it goes on.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
        // Nobody is to find a socket that will not answer.
        drop(listener);
        server.leave.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(DRAIN, all).await;
    }

    /// Takes a connection up, or refuses it on the spot: what is beyond the
    /// limits costs neither time nor files.
    fn take(self: &Arc<Self>, stream: UnixStream, connections: &mut JoinSet<()>) {
        let Ok(cred) = stream.peer_cred() else { return };
        let uid = Uid::from_raw(cred.uid());
        // A kernel that does not tell them leaves the primary one.
        let mut groups = peer::groups(&stream).unwrap_or_default();
        groups.push(Gid::from_raw(cred.gid()));
        let right = self.rights.of(uid, &groups);
        if right == Right::Nothing {
            return refuse(&stream, Refusal::NotAllowed);
        }
        let counted = (connections.len() < self.most).then(|| self.count(uid, right));
        match counted.flatten() {
            None => refuse(&stream, Refusal::Busy),
            Some(counted) => {
                let peer = (uid, right);
                connections.spawn(Arc::clone(self).connection(stream, peer, counted));
            }
        }
    }

    async fn connection(
        self: Arc<Self>,
        mut stream: UnixStream,
        (uid, right): (Uid, Right),
        _counted: Counted,
    ) {
        // Only what a slow reader costs depends on it.
        let _ = sockopt::set_socket_send_buffer_size(&stream, BUFFER);
        let Ok(Ok(version)) = timeout(HELLO, greet(&mut stream)).await else {
            return;
        };
        let (mut input, output) = stream.split();
        let mut output = Output {
            half: output,
            leave: self.leave.subscribe(),
        };
        let peer = Peer {
            uid,
            right,
            version,
        };
        let mut leave = self.leave.subscribe();
        // Any error ends the connection: after it no byte has a meaning.
        loop {
            let received = tokio::select! {
                received = timeout(IDLE, frame::receive(&mut input, frame::REQUEST_MAX)) => received,
                _ = leave.wait_for(|leave| *leave) => {
                    // A request that has come meanwhile is not taken.
                    return output.last_word(&[], &Reply::Refused(Refusal::Leaving));
                }
            };
            let body = match received {
                Ok(Ok(body)) => body,
                Ok(Err(error @ WireError::TooLong { .. })) => {
                    let refusal = Refusal::NotUnderstood(error.to_string());
                    let _ = output.send(&Reply::Refused(refusal)).await;
                    return;
                }
                _ => return,
            };
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
            let stage = self.stage.borrow().clone();
            let handled = match stage {
                Stage::Open(context) => {
                    handlers::handle(&context, peer, request, &mut exchange).await
                }
                Stage::Starting(trial) => {
                    let refusal = Refusal::Starting(trial.map(|trial| trial.0));
                    output.send(&Reply::Refused(refusal)).await
                }
            };
            if handled.is_err() {
                return;
            }
        }
    }

    /// Counts a connection until the result is dropped; `None` when the user
    /// has too many. Strangers together never take all there are: the owner is
    /// not shut out by them.
    fn count(self: &Arc<Self>, uid: Uid, right: Right) -> Option<Counted> {
        if right == Right::Steer {
            return Some(Counted(None));
        }
        let mut strangers = self
            .strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = strangers.values().sum();
        let count = strangers.entry(uid).or_default();
        if *count >= OF_ONE_STRANGER || all >= self.most / 2 {
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

/// Waits until the dispatcher has left, or never came.
async fn left(mut stage: watch::Receiver<Stage>) {
    let open = stage
        .wait_for(|stage| matches!(stage, Stage::Open(_)))
        .await;
    let Ok(Stage::Open(context)) = open.as_deref() else {
        return;
    };
    let mut views = context.board.views.clone();
    drop(open);
    let _ = views.wait_for(|view| view.leaving).await;
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

/// Refuses a connection that has just come, without hearing it: the buffer of
/// a new one has room for that.
fn refuse(stream: &UnixStream, refusal: Refusal) {
    let mut bytes = OURS.hello().to_vec();
    bytes.extend(framed(&Reply::Refused(refusal)));
    push(stream, &bytes);
}

/// Puts bytes into the kernel's buffer, as far as they fit right now. tokio
/// would wait until a good part of the buffer is free.
fn push(stream: &UnixStream, bytes: &[u8]) {
    // A peer that is gone needs nothing.
    let _ = rustix::net::send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// A reply as it is sent. What is too long for a frame becomes a refusal.
pub fn framed(reply: &Reply) -> Vec<u8> {
    let whole = |reply: &Reply| frame::frame(&codec::encode(reply)?, frame::REPLY_MAX);
    let short = |_| whole(&Reply::Refused(Refusal::TooLong));
    whole(reply).or_else(short).unwrap_or_default()
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Who, for the system.
    pub uid: Uid,
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
pub struct Output<'s> {
    half: WriteHalf<'s>,
    leave: watch::Receiver<bool>,
}

impl Output<'_> {
    /// Sends a reply to a peer that reads it in time.
    ///
    /// # Errors
    /// See [`WireError`]; the connection is then of no use.
    pub async fn send(&mut self, reply: &Reply) -> Result<(), WireError> {
        self.send_frames(&framed(reply)).await
    }

    /// Sends whole frames to a peer that reads them in time. One that does not
    /// is told why it gets no more.
    ///
    /// # Errors
    /// See [`WireError`]; the connection is then of no use.
    pub async fn send_frames(&mut self, frames: &[u8]) -> Result<(), WireError> {
        let Self { half, leave } = self;
        let mut rest = frames;
        let end = tokio::select! {
            biased;
            sent = write(half, &mut rest) => return sent,
            end = impatience(leave) => end,
        };
        self.last_word(rest, &Reply::End(end));
        Err(WireError::Closed)
    }

    /// Says why the connection ends after the rest of the frames. The buffer
    /// is full, so it is made larger; the peer finds it all there whenever it
    /// reads again, and here the connection can be closed at once.
    fn last_word(&self, rest: &[u8], word: &Reply) {
        let stream: &UnixStream = self.half.as_ref();
        let _ = sockopt::set_socket_send_buffer_size(stream, LAST_BUFFER);
        push(stream, &[rest, &framed(word)].concat());
    }
}

/// Writes; `rest` is what is left to be written, also when it is given up.
async fn write(half: &mut WriteHalf<'_>, rest: &mut &[u8]) -> Result<(), WireError> {
    while !rest.is_empty() {
        let written = half.write(rest).await?;
        *rest = &rest[written..];
    }
    Ok(())
}

/// Waits until there is no more time for a part of an answer, and says why.
async fn impatience(leave: &mut watch::Receiver<bool>) -> EndOfStream {
    let parting = async {
        drop(leave.wait_for(|leave| *leave).await);
        tokio::time::sleep(PARTING).await;
    };
    tokio::select! {
        () = tokio::time::sleep(WRITE) => EndOfStream::TooSlow,
        () = parting => EndOfStream::Leaving,
    }
}
