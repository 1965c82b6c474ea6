//! The control protocol: what `autotunectl` and `autotuned` say to each other
//! over a Unix socket.
//!
//! ```text
//!   client                                     daemon
//!     ── hello: magic, lowest, highest ──▶
//!     ◀── hello: magic, lowest, highest ──       both pick the highest common
//!     ── frame: Request ──▶
//!     ◀── frame: Reply ──                        one, or several up to End
//!     ── the next request …
//! ```
//!
//! | file | part |
//! |---|---|
//! | [`hello`] | the fixed bytes at the beginning |
//! | [`frame`] | a length, checked before anything is allocated, and a body |
//! | [`codec`] | messages to bytes and back |
//! | [`request`], [`reply`], [`accepted`], [`proposal`], [`space`], [`doctor`], [`explain`], [`report`], [`metrics`] | the messages |
//! | [`socket`] | where the socket is |
//! | [`client`] | the client's end |
//!
//! Invariants:
//! - The types that are sent stand here, in this room: a change of `model` is
//!   never by accident a change of the protocol.
//! - Enums are only added to at their end. Any other change of a message
//!   raises [`hello::OURS`]; `golden_tests` pins the bytes of each.
//! - No type holds itself, and no sequence has elements of no size, since the
//!   codec bounds neither. What is like JSON is sent as text.
//! - A reply that can grow is paged or streamed.

pub mod accepted;
mod advisor;
mod artifacts;
mod channel;
pub mod client;
pub mod codec;
pub mod convert;
pub mod doctor;
pub mod explain;
pub mod frame;
#[cfg(test)]
pub(crate) mod golden_tests;
pub mod hello;
pub mod metrics;
pub mod proposal;
mod racing;
mod refusal;
pub mod reply;
pub mod report;
pub mod request;
mod retrial;
mod running;
pub mod socket;
pub mod space;
mod stream;

/// A message of the peer's that cannot be understood, or a connection that
/// breaks.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer begins with other bytes than this protocol does.
    #[error("the other end does not speak this protocol")]
    Foreign,
    /// No version in common.
    #[error(
        "the other end speaks versions {} to {} of the control protocol, this program {} to {}",
        .theirs.lowest, .theirs.highest, .ours.lowest, .ours.highest
    )]
    Version {
        /// What this program speaks.
        ours: hello::Versions,
        /// What the peer speaks.
        theirs: hello::Versions,
    },
    /// A frame that is longer than it may be.
    #[error("a message of {length} bytes, where {most} are allowed")]
    TooLong {
        /// The length that it has or claims.
        length: usize,
        /// The most that is allowed.
        most: usize,
    },
    /// The bytes of a frame are no message.
    #[error("a message that cannot be read: {0}")]
    Unreadable(String),
    /// The connection ended within a message or where one was to come.
    #[error("the connection was closed")]
    Closed,
    /// The system's answer.
    #[error(transparent)]
    Io(std::io::Error),
}

impl From<std::io::Error> for WireError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            UnexpectedEof | BrokenPipe | ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
