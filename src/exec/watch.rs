//! Waiting for a file descriptor: pidfds, and files that signal changes.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `fd` with the runtime.
///
/// # Errors
/// When the kernel cannot poll it.
pub(super) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the value that is registered, which
    // neither closes nor replaces it before it is dropped with the AsyncFd.
    #[expect(unsafe_code, reason = "tokio's safe constructors are deprecated")]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(io::Error::from)
}
