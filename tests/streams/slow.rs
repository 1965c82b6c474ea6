//! Readers that stop reading are dropped, told why, and waited for by nobody.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use autotune::wire::codec::{decode, encode};
use autotune::wire::frame::{REPLY_MAX, REQUEST_MAX, frame};
use autotune::wire::reply::{EndOfStream, Reply};
use autotune::wire::request::{LogQuery, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::support::Study;
use super::support::control::{client, connection, good};
use super::{GATED, connections, log, open_gates};

/// The next reply; `None` at the end of the connection.
fn receive(stream: &mut UnixStream) -> Option<Reply> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let length = u32::from_be_bytes(length) as usize;
    assert!(length <= REPLY_MAX);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a whole frame");
    Some(decode(&body).expect("a reply"))
}

/// Waits until the other end is closed, and reads nothing.
fn await_end(stream: &UnixStream) {
    let wait = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let mut end = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::empty())];
    let ended = poll(&mut end, Some(&wait)).expect("polled");
    assert_eq!(ended, 1, "the daemon waits for a reader");
}

#[test]
fn a_reader_that_stops_is_told_and_goes_on_from_there() {
    let study = Study::new(&GATED.replace("\"run\", ", "\"run\", \"--flood\", \"3\", "));
    let mut daemon = study.start();
    study.await_gate("gate-1");
    let mut stopped = connection(&study);
    let query = Request::Log(LogQuery {
        trial: 1,
        step: None,
        from: None,
        follow: true,
    });
    let body = encode(&query).expect("encoded");
    let frame = frame(&body, REQUEST_MAX).expect("a frame");
    stopped.write_all(&frame).expect("asked");
    // Nobody takes what this one prints: it is stuck, and reads no further.
    let follow = ["logs", "1", "-f"];
    let mut stuck = client(&study, &follow).spawn().expect("autotunectl");
    // The study does not wait for them.
    open_gates(&study);
    study.await_events("sitting-ended", 3);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    drop((stopped, stuck.kill(), stuck.wait()));

    let mut daemon = study.start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
    study.wait("the socket", || {
        super::support::code(&super::support::control::ctl(&study, &["ping"])) == 0
    });
    let whole = log(&study, 1);
    study.wait("quiet", || connections(daemon.pid()) == 0);
    let mut stopped = connection(&study);
    stopped.write_all(&frame).expect("asked");
    let stuck = client(&study, &follow).spawn().expect("autotunectl");
    study.wait("two connections", || connections(daemon.pid()) == 2);
    await_end(&stopped);
    study.wait("no connection", || connections(daemon.pid()) == 0);
    // What was sent is whole up to some place, and the last word says why.
    let mut read = Vec::new();
    let end = loop {
        match receive(&mut stopped).expect("a last word") {
            Reply::Log(piece) => {
                assert_eq!(piece.offset, read.len() as u64);
                read.extend(piece.bytes);
            }
            Reply::End(end) => break end,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(end, EndOfStream::TooSlow);
    assert!(receive(&mut stopped).is_none());
    assert!(!read.is_empty() && read.len() < whole.len());
    assert!(whole.starts_with(&read));
    // The client was dropped, too; it goes on where it was.
    let output = stuck.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        output.stdout == whole,
        "{} of {}",
        output.stdout.len(),
        whole.len()
    );
    assert!(said.contains("dropped this reader"), "{said}");
    good(&study, &["stop"]);
    assert_eq!(daemon.end(), 0);
}
