//! What an earlier daemon has left: runners that are still ending, and
//! processes whose runner was killed.
//!
//! A process is one of ours only when it carries a sitting's token, which
//! nobody else can know: in the name of its cgroup, or in its environment.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::io::Interest;

use super::cgroup::Cgroup;
use super::environment;
use super::handle;
use super::order::{ORDER_FILE, Order, TAKEN_ORDER_FILE};
use super::process;
use super::report::{self, REPORTS_FILE, RESULT_FILE, Report, SittingResult};
use super::runner::{Identity, RUNNER_FILE, STOP_LIMIT};
use super::watch::watch;
use crate::base::clock::{self, Timestamp};

/// How long a runner may take beyond the grace and the `stop` commands of its
/// steps.
const RUNNER_LIMIT: Duration = Duration::from_secs(15);
/// How long killed processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(30);

/// What is known of a sitting that an earlier daemon began.
pub struct Leftover {
    /// All that its runner has reported.
    pub reports: Vec<(Timestamp, Report)>,
    /// Its result, when the runner came to write it.
    pub result: Option<SittingResult>,
    /// Processes that SIGKILL did not end.
    pub stuck: Vec<i32>,
    /// When its runner last wrote anything.
    pub last_sign: Option<Timestamp>,
}

/// Waits until the runner in `folder` has ended, or kills it, ends all that
/// its sitting has left, and reads what it reported. A runner that has not
/// begun yet never does. `at_once` ends the patience with a runner that takes
/// its time.
///
/// # Errors
/// When the reports are there and cannot be read.
pub async fn take_over(
    folder: &Path,
    token: &str,
    at_once: impl Future<Output = ()>,
) -> io::Result<Leftover> {
    let order = take_order(folder).filter(|order| order.token == token);
    let mut at_once = std::pin::pin!(at_once);
    let mut hurried = false;
    let limit = order.as_ref().map(ending_limit).unwrap_or_default();
    tokio::select! {
        biased;
        () = await_runner(folder, limit + RUNNER_LIMIT) => {}
        () = &mut at_once => {
            hurried = true;
            await_runner(folder, Duration::ZERO).await;
        }
    }
    let cgroup = order.as_ref().and_then(|order| order.cgroup.as_deref());
    let stuck = clear(token, cgroup).await;
    let result = report::read_result(folder)?;
    if let Some(stops) = order
        .filter(|_| result.is_none())
        .and_then(|order| order.only_stops())
    {
        let at_once = async {
            if !hurried {
                at_once.await;
            }
        };
        handle::run_stops(folder, stops, at_once).await;
    }
    let reports = report::read_reports(folder)?;
    let written = [REPORTS_FILE, RESULT_FILE].map(|name| modified(&folder.join(name)));
    let reported = reports.last().map(|(at, _)| *at);
    Ok(Leftover {
        last_sign: written.into_iter().flatten().chain(reported).max(),
        reports,
        result,
        stuck,
    })
}

/// The token of the sitting whose folder this is, as its order has it.
pub fn token_of(folder: &Path) -> Option<String> {
    let orders = [ORDER_FILE, TAKEN_ORDER_FILE].map(|name| read_order(&folder.join(name)));
    let order = orders.into_iter().flatten().next()?;
    Some(order.token)
}

/// Takes the order away, so that no runner finds it any more, and reads it.
fn take_order(folder: &Path) -> Option<Order> {
    let taken = folder.join(TAKEN_ORDER_FILE);
    // It may have been taken by a daemon that did not live to do more.
    let _ = std::fs::rename(folder.join(ORDER_FILE), &taken);
    read_order(&taken)
}

fn read_order(path: &Path) -> Option<Order> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// How long a runner may take to end its trial.
fn ending_limit(order: &Order) -> Duration {
    let stops = order.steps.iter().any(|step| step.stop.is_some());
    order.longest_grace() + if stops { STOP_LIMIT } else { Duration::ZERO }
}

fn modified(path: &Path) -> Option<Timestamp> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    let milliseconds = i64::try_from(since.as_millis()).ok()?;
    Some(Timestamp::from_millis(milliseconds))
}

/// Waits for a runner that is still ending; one that does not end is killed.
async fn await_runner(folder: &Path, limit: Duration) {
    let identity = std::fs::read(folder.join(RUNNER_FILE))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Identity>(&bytes).ok())
        .filter(|identity| identity.boot_id == clock::boot_id());
    let Some(identity) = identity else { return };
    let Some(pid) = Pid::from_raw(identity.pid) else {
        return;
    };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK) else {
        return;
    };
    // Looked at while the pidfd pins it: the number may have been reused.
    if process::start_ticks(identity.pid) != Some(identity.start_ticks) {
        return;
    }
    let Ok(watched) = watch(pidfd, Interest::READABLE) else {
        return;
    };
    if tokio::time::timeout(limit, watched.readable())
        .await
        .is_err()
    {
        let _ = rustix::process::pidfd_send_signal(watched.get_ref(), Signal::KILL);
        let _ = tokio::time::timeout(KILL_LIMIT, watched.readable()).await;
    }
}

/// Ends every process of the sitting with this token; returns those that did
/// not end.
pub async fn clear(token: &str, cgroup: Option<&Path>) -> Vec<i32> {
    // A daemon may die between making the cgroup and writing that down.
    let cgroup = cgroup
        .and_then(|path| Cgroup::known(path, token))
        .or_else(|| Cgroup::find(token));
    if let Some(cgroup) = &cgroup {
        cgroup.kill();
        cgroup.until_empty(KILL_LIMIT).await;
        cgroup.remove();
    }
    let rounds = async {
        loop {
            let found = carriers(token);
            if found.is_empty() {
                return;
            }
            for pid in found {
                kill_carrier(pid, token).await;
            }
        }
    };
    let _ = tokio::time::timeout(KILL_LIMIT, rounds).await;
    carriers(token)
}

/// The processes of our own user that carry the token.
pub fn carriers(token: &str) -> Vec<i32> {
    if token.len() < 16 {
        return Vec::new();
    }
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let processes = procfs::process::all_processes()
        .into_iter()
        .flatten()
        .flatten();
    let pids = processes
        .map(|process| process.pid)
        .filter(|pid| *pid != own && *pid > 1);
    pids.filter(|pid| process::carries(*pid, environment::TRIAL_ID, token))
        .collect()
}

async fn kill_carrier(pid: i32, token: &str) {
    let Some(raw) = Pid::from_raw(pid) else {
        return;
    };
    let Ok(pidfd) = rustix::process::pidfd_open(raw, PidfdFlags::NONBLOCK) else {
        return;
    };
    // Checked again while the pidfd pins the process.
    if !process::carries(pid, environment::TRIAL_ID, token) {
        return;
    }
    if rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
        && let Ok(watched) = watch(pidfd, Interest::READABLE)
    {
        let _ = watched.readable().await;
    }
}
