//! File descriptors that the service manager keeps while the service starts
//! anew: "File Descriptor Store" of systemd.service(5), and sd_listen_fds(3).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

/// Hands a descriptor over to be kept under `name`, until the service is
/// stopped. Whether anybody keeps it cannot be told.
///
/// # Errors
/// When the message cannot be sent.
pub fn keep(name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let states = [
        NotifyState::FdStore,
        NotifyState::FdName(name),
        // It would be dropped as soon as it can be read, while nobody polls it.
        NotifyState::Custom("FDPOLL=0"),
    ];
    sd_notify::notify_with_fds(&states, &[descriptor])
}

/// The descriptors that were kept under `name`, or that a socket unit of that
/// name has passed on. Only the first call in a process gets any: it is to be
/// made before other files are opened.
pub fn take(name: &str) -> Vec<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let Ok(passed) = sd_notify::listen_fds_with_names() else {
        return Vec::new();
    };
    let open = passed.filter(|(descriptor, _)| {
        // A wrong LISTEN_FDS must not make us own what is not there.
        std::path::Path::new(&format!("/proc/self/fd/{descriptor}")).exists()
    });
    let mut found = Vec::new();
    for (descriptor, its_name) in open {
        #[allow(unsafe_code, reason = "no library takes them over")]
        // SAFETY: it is open, sd_listen_fds(3) makes it ours, and the flag
        // above sees to it that it is taken once.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor.as_raw_fd()) };
        // What has another name is of no use to anybody: it is closed.
        if its_name == name {
            found.push(owned);
        }
    }
    found
}
