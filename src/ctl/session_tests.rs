//! A daemon that leaves in the middle of a call, at the wire.

use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::wire::reply::Accepted;
use crate::wire::request::Steer;
use crate::wire::{codec, frame, hello};

/// What becomes of one connection.
#[derive(Clone, Copy)]
enum Fate {
    /// It is closed before the hello.
    Unheard,
    /// It is closed after a request came.
    Cut,
    /// The daemon says that it leaves.
    Parted,
    /// It leaves, and does not know whether the request is on disk.
    Unsure,
    /// A request is answered.
    Answered,
}

async fn meet(stream: &mut UnixStream) -> Request {
    hello::receive(stream).await.expect("a hello");
    hello::send(stream).await.expect("sent");
    let body = frame::receive(stream, frame::REQUEST_MAX).await;
    codec::decode(&body.expect("a request")).expect("a request")
}

/// Takes one connection after the other, and returns how many requests came.
async fn serve(listener: UnixListener, fates: &[Fate]) -> usize {
    let mut requests = 0;
    for fate in fates {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        if matches!(fate, Fate::Unheard) {
            continue;
        }
        let request = meet(&mut stream).await;
        requests += 1;
        let reply = match fate {
            Fate::Parted => Reply::Refused(Refusal::Leaving),
            Fate::Unsure => Reply::Refused(Refusal::Unanswered),
            Fate::Answered if request.only_reads() => Reply::Reached,
            Fate::Answered => Reply::Accepted(Accepted::Resumed),
            Fate::Unheard | Fate::Cut => continue,
        };
        let body = codec::encode(&reply).expect("a reply");
        let sent = frame::send(&mut stream, &body, frame::REPLY_MAX).await;
        sent.expect("sent");
    }
    requests
}

/// What comes of `request`, and how often it was sent.
async fn ask(request: &Request, fates: &[Fate]) -> (Result<Reply, Trouble>, usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket: &Path = &folder.path().join("sock");
    let listener = UnixListener::bind(socket).expect("a socket");
    let mut session = Session::new(Some(socket.to_owned()), false);
    let ((reply, ()), requests) = tokio::join!(
        async { (session.ask(request).await, session.disconnect()) },
        serve(listener, fates)
    );
    (reply, requests)
}

#[tokio::test]
async fn what_only_reads_is_asked_again() {
    for fate in [Fate::Unheard, Fate::Cut, Fate::Parted] {
        let (reply, _) = ask(&Request::Status, &[fate, Fate::Answered]).await;
        assert!(matches!(reply, Ok(Reply::Reached)), "{reply:?}");
    }
}

#[tokio::test]
async fn it_is_asked_again_once() {
    let (reply, requests) = ask(&Request::Status, &[Fate::Cut, Fate::Cut]).await;
    let closed = matches!(reply, Err(Trouble::Wire(WireError::Closed)));
    assert!(closed && requests == 2, "{reply:?}");
}

#[tokio::test]
async fn a_change_is_never_sent_twice() {
    let change = Request::Steer(Steer::Resume);
    for fate in [Fate::Cut, Fate::Unsure] {
        let (reply, _) = ask(&change, &[fate]).await;
        assert!(matches!(reply, Err(Trouble::Unanswered)), "{reply:?}");
    }
    let (reply, _) = ask(&change, &[Fate::Parted]).await;
    let refused = matches!(reply, Err(Trouble::Refused(Refusal::Leaving)));
    assert!(refused, "{reply:?}");
    // It had not been sent yet.
    let (reply, requests) = ask(&change, &[Fate::Unheard, Fate::Answered]).await;
    assert!(
        matches!(reply, Ok(Reply::Accepted(_))) && requests == 1,
        "{reply:?}"
    );
}
