//! Looks on threads of their own, so that one that hangs (a file server, a
//! driver) holds up neither the others nor whoever asks.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::finding::{Check, Finding};
use crate::base::quantity::show_duration;

/// The looks that have not come back yet. A thread that hangs in the kernel
/// cannot be ended: the next time it is not joined by another.
static OUT: Mutex<BTreeSet<Check>> = Mutex::new(BTreeSet::new());

/// One look at the host.
pub struct Look {
    check: Check,
    work: Box<dyn FnOnce() -> Vec<Finding> + Send>,
}

impl Look {
    /// A look at `check`.
    pub fn new(check: Check, work: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Self {
        Self {
            check,
            work: Box::new(work),
        }
    }

    /// What is looked at.
    pub const fn check(&self) -> Check {
        self.check
    }
}

/// Takes all looks at once, and returns what they found in the order of the
/// looks. One that takes longer than `limit` is itself a finding.
pub fn all(looks: Vec<Look>, limit: Duration) -> Vec<Finding> {
    let checks: Vec<Check> = looks.iter().map(|look| look.check).collect();
    let mut found: Vec<Option<Vec<Finding>>> = vec![None; looks.len()];
    let (sender, receiver) = mpsc::channel();
    for (index, look) in looks.into_iter().enumerate() {
        if !out().insert(look.check) {
            continue;
        }
        let sender = sender.clone();
        let check = look.check;
        let work = move || {
            let findings = (look.work)();
            out().remove(&check);
            drop(sender.send((index, findings)));
        };
        let thread = std::thread::Builder::new().name(format!("look-{}", check.name()));
        if let Err(error) = thread.spawn(work) {
            out().remove(&check);
            let text = format!("it cannot be looked at: {error}");
            let remedy = "see the limits of threads and memory: ulimit -u, free -h";
            found[index] = Some(vec![Finding::error(check, text, remedy)]);
        }
    }
    drop(sender);
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok((index, findings)) => found[index] = Some(findings),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    let each = checks.into_iter().zip(found);
    each.flat_map(|(check, findings)| findings.unwrap_or_else(|| vec![silent(check, limit)]))
        .collect()
}

fn out() -> std::sync::MutexGuard<'static, BTreeSet<Check>> {
    OUT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn silent(check: Check, limit: Duration) -> Finding {
    let text = format!("did not answer in {}", show_duration(limit));
    let remedy = "a file server or a driver hangs: see `dmesg` and `findmnt -t nfs,nfs4,fuse`";
    Finding::error(check, text, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn one_that_hangs_holds_up_neither_the_others_nor_a_second_look() {
        // Who opens a pipe that has no writer waits for one, as for a dead file
        // server.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let look_at_both = |limit| {
            let (pipe, well) = (pipe.clone(), Finding::ok(Check::Clock, "well"));
            let hanging = Look::new(Check::Output, move || {
                drop(std::fs::File::open(&pipe));
                vec![Finding::ok(Check::Output, "came back")]
            });
            all(
                vec![hanging, Look::new(Check::Clock, move || vec![well])],
                limit,
            )
        };
        for _ in 0..2 {
            let found = look_at_both(Duration::from_millis(100));
            let states: Vec<State> = found.iter().map(|finding| finding.state).collect();
            assert_eq!(states, [State::Error, State::Ok], "{found:?}");
            assert_eq!(found[0].text, "did not answer in 100 ms");
        }
        // One look alone was out there.
        let writer = std::fs::File::options()
            .write(true)
            .open(&pipe)
            .expect("a reader");
        while out().contains(&Check::Output) {
            std::thread::yield_now();
        }
        drop(writer);
        let again = std::thread::spawn({
            let pipe = pipe.clone();
            move || drop(std::fs::File::options().write(true).open(pipe))
        });
        let found = look_at_both(Duration::from_secs(60));
        assert_eq!(found[0].text, "came back");
        again.join().expect("opened");
    }
}
