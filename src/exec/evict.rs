//! Ending a stranger that holds a port of ours. The spec must allow it, with
//! texts that the stranger's command line has: a server that an earlier tuner
//! left behind is meant, and nobody else: neither another user's, also where
//! this one may end that, nor one that has started us.

use std::time::Duration;

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::time::timeout;

use super::environment;
use super::order::Order;
use super::port::{self, Holder};
use super::process;
use super::watch::watch;

/// How long it may take to end in order, and how long to be gone once killed.
const GRACE: Duration = Duration::from_secs(10);

/// Ends the process that listens on `port` if its command line has all the texts
/// of the order's `port_kill`, and it is no neighbour. Returns who it was; `None`
/// where nobody was ended.
pub(super) async fn holder_of(port: u16, order: &Order) -> Option<Holder> {
    let holder = port::holder(port).filter(|holder| allows(holder, &order.port_kill))?;
    let Holder::Process { pid: number, .. } = holder else {
        return None;
    };
    let pid = Pid::from_raw(number).filter(|pid| !pid.is_init())?;
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    // Looked at again while the pidfd pins it: the number may have been reused.
    let still = port::holder(port).filter(|now| *now == holder)?;
    if !is_of_our_user(number) || is_our_ancestor(number) {
        return None;
    }
    if order.has_neighbours && process::has_variable(number, environment::TRIAL_ID) {
        return None;
    }
    let watched = watch(pidfd, Interest::READABLE).ok()?;
    for signal in [Signal::TERM, Signal::KILL] {
        pidfd_send_signal(watched.get_ref(), signal).ok()?;
        if timeout(GRACE, watched.readable()).await.is_ok() {
            return Some(still);
        }
    }
    None
}

fn allows(holder: &Holder, texts: &[String]) -> bool {
    let Holder::Process { command, .. } = holder else {
        return false;
    };
    !texts.is_empty() && texts.iter().all(|text| command.contains(text.as_str()))
}

fn is_of_our_user(pid: i32) -> bool {
    let own = geteuid().as_raw();
    let status = Process::new(pid).and_then(|process| process.status());
    status.is_ok_and(|status| status.ruid == own && status.euid == own)
}

/// Whether it is this process, or one that it stems from.
fn is_our_ancestor(pid: i32) -> bool {
    let mut next = Process::myself().ok();
    while let Some(process) = next {
        if process.pid == pid {
            return true;
        }
        let parent = process.stat().map(|stat| stat.ppid);
        next = parent.and_then(Process::new).ok();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    fn order(port_kill: Vec<String>) -> Order {
        let order = serde_json::json!({
            "trial": 1, "sitting": 1, "token": "", "may_have_cgroup": false, "cgroup": null,
            "pass_env": [], "trial_dir": "/", "log_max": 0, "port_wait": {"secs": 0, "nanos": 0},
            "port_kill": port_kill, "echo": false, "steps": [],
        });
        serde_json::from_value(order).expect("an order")
    }

    /// This process would end by the signal.
    #[tokio::test]
    async fn nobody_ends_himself() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("its address").port();
        let Some(Holder::Process { command, .. }) = port::holder(port) else {
            panic!("it is ours");
        };
        let order = order(vec![command]);
        assert_eq!(holder_of(port, &order).await, None);
    }

    #[test]
    fn only_those_of_our_user_that_have_not_started_us() {
        let parent = i32::try_from(std::os::unix::process::parent_id()).expect("a pid");
        assert!(is_our_ancestor(parent));
        let is_meant = |command: &mut Command| {
            let mut child = command.arg("60").spawn().expect("sleep");
            let pid = i32::try_from(child.id()).expect("a pid");
            let is_meant = is_of_our_user(pid) && !is_our_ancestor(pid);
            child.kill().expect("killed");
            child.wait().expect("reaped");
            is_meant
        };
        assert!(is_meant(&mut Command::new("sleep")));
        if geteuid().is_root() {
            assert!(!is_meant(Command::new("sleep").uid(65534)));
        }
    }

    #[test]
    fn every_text_must_be_in_the_command_line() {
        let command = "python3 -m uvicorn serve:app --port 8000".to_owned();
        let unit = None;
        let holder = Holder::Process {
            pid: 7,
            user: "me".to_owned(),
            command,
            unit,
        };
        let allowed = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            allows(&holder, &texts)
        };
        assert!(allowed(&["uvicorn", "serve:app"]));
        assert!(!allowed(&["uvicorn", "other:app"]));
        assert!(!allowed(&[]));
        let other = Holder::User {
            user: "uvicorn serve:app".to_owned(),
            port: 8000,
            elsewhere: false,
        };
        assert!(!allows(&other, &["uvicorn".to_owned()]));
    }
}
