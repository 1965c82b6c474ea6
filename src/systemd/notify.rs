//! Messages to the service manager: sd_notify(3).
//!
//! Each goes to the socket that `NOTIFY_SOCKET` names, and nowhere without it.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// The longest status line, in bytes: systemd takes 4096 for a whole message.
const STATUS_MAX: usize = 1024;

/// Whether a service manager listens.
pub fn is_managed() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The service works from here on.
///
/// # Errors
/// When the message cannot be sent, as with all others here.
pub fn ready() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Ready])
}

/// The service reads its configuration again; [`ready`] says when it has.
///
/// # Errors
/// See [`ready`].
pub fn reloading() -> io::Result<()> {
    let now = NotifyState::monotonic_usec_now()?;
    sd_notify::notify(&[NotifyState::Reloading, now])
}

/// The service ends.
///
/// # Errors
/// See [`ready`].
pub fn stopping() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Stopping])
}

/// A sign of life; see [`watchdog`](super::watchdog).
///
/// # Errors
/// See [`ready`].
pub fn alive() -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Watchdog])
}

/// A line for people. It may contain anything: no state can come from it.
///
/// # Errors
/// See [`ready`].
pub fn status(line: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::Status(&one_line(line))])
}

/// What is begun, a start or an end, may take so much time from now on.
///
/// # Errors
/// See [`ready`].
pub fn extend_timeout(by: Duration) -> io::Result<()> {
    let microseconds = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(microseconds)])
}

/// The crate joins states by newlines as they are, so a newline in a text
/// would begin another state.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        if line.len() + letter.len_utf8() > STATUS_MAX {
            break;
        }
        line.push(if letter.is_control() { ' ' } else { letter });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_a_state() {
        assert_eq!(one_line("a\nREADY=1\r\u{85}b"), "a READY=1  b");
        let long = "句".repeat(1000);
        assert!(one_line(&long).len() <= STATUS_MAX);
    }
}
