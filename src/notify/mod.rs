//! Telling people what happens to a study.
//!
//! ```text
//! facts ── notices: which kinds, in which words ──▶ facts: queued
//!                                                     │ the outbox of the study
//!          receivers: Feishu, webhook, mail  ◀────────┘
//!              │ accepted, or an error with what hope there is
//!              ▼
//!          retry: again, when, or not any more ──▶ facts: delivered, given up
//! ```
//!
//! - What is to be told is decided as the facts are, and is one itself: it
//!   outlives the daemon. Only what a receiver has accepted leaves the outbox.
//! - Every message carries an id that it keeps however often it is sent.
//! - No text that leaves this room, and no error, has a secret in it.

pub mod digest;
mod feishu;
mod http;
mod message;
mod notices;
mod receiver;
pub mod retry;
mod secrets;
mod smtp;
mod test;
mod webhook;
mod words;

pub use self::message::{Message, Stamp};
pub use self::notices::{heartbeat, with_notices};
pub use self::receiver::{Hope, Receiver, SendError, Sent};
pub use self::secrets::{Secrets, Unresolved};
pub use self::test::{Tested, test};
pub use self::words::failure_words;
