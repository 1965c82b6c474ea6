//! The groups of the process at the other end of a socket.
//!
//! It stands in this room because asking for them takes unsafe code: neither
//! `rustix` nor `nix` knows SO_PEERGROUPS.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::unistd::Gid;

/// More groups than this a process cannot have (NGROUPS_MAX).
const MOST: usize = 65_536;

/// The supplementary groups of the process that connected, as they were then.
/// The primary group, which SO_PEERCRED tells, need not be among them.
///
/// # Errors
/// What the system answers; kernels before 4.13 do not know them.
pub fn groups(socket: impl AsFd) -> io::Result<Vec<Gid>> {
    let socket = socket.as_fd();
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let mut size = (groups.len() * size_of::<libc::gid_t>()) as libc::socklen_t;
        // SAFETY: `size` is that of the buffer, which the kernel fills with
        // plain numbers and never beyond it; the descriptor is open.
        #[expect(unsafe_code, reason = "no crate in use has a safe form")]
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut size,
            )
        };
        let count = size as usize / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups.into_iter().map(Gid::from_raw).collect());
        }
        let error = io::Error::last_os_error();
        // Too small a buffer: the kernel has said how large it must be.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MOST {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_groups_are_those_of_the_process() {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut found = groups(&socket).expect("groups");
        let mut own = nix::unistd::getgroups().expect("groups");
        found.sort_by_key(|group| group.as_raw());
        own.sort_by_key(|group| group.as_raw());
        assert_eq!(found, own);
        let file = std::fs::File::open("/dev/null").expect("open");
        assert!(groups(file).is_err());
    }
}
