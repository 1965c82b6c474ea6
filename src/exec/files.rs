//! How many files a process may have open: more for the daemon, which serves
//! many clients, and what it was before for all that it starts.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits that this process was started with, once they were raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of this process to the hard one. What it starts from
/// here on gets the former limit: programs that use `select` do not bear with
/// a high one.
pub fn raise_limit() {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Nofile));
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    // Where it is not allowed, fewer clients can be served.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// The limits for what is started; `None` where they were never raised.
pub(super) fn limit_of_children() -> Option<libc::rlimit> {
    let number = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
    BEFORE.get().map(|before| libc::rlimit {
        rlim_cur: number(before.current),
        rlim_max: number(before.maximum),
    })
}

/// How many files a program that is started may have open, and how many if it
/// asks for more; `None` is no limit.
pub fn for_programs() -> (Option<u64>, Option<u64>) {
    let limits = *BEFORE.get().unwrap_or(&getrlimit(Resource::Nofile));
    (limits.current, limits.maximum)
}

/// How many files this process may have open.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}
