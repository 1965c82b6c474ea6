//! Ending a stranger that holds a port of ours. The spec must allow it, with
//! texts that the stranger's command line has: a server that an earlier tuner
//! left behind is meant, and nobody else.

use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::time::timeout;

use super::port::{self, Holder};
use super::watch::watch;

/// How long it may take to end in order, and how long to be gone once killed.
const GRACE: Duration = Duration::from_secs(10);

/// Ends the process that listens on `port` if its command line has all of
/// `texts`. Returns who it was; `None` where nobody was ended.
pub(super) async fn holder_of(port: u16, texts: &[String]) -> Option<Holder> {
    let holder = port::holder(port).filter(|holder| allows(holder, texts))?;
    let Holder::Process { pid: number, .. } = holder else {
        return None;
    };
    let pid = Pid::from_raw(number).filter(|pid| !pid.is_init())?;
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    // Looked at again while the pidfd pins it: the number may have been reused.
    let still = port::holder(port).filter(|now| *now == holder)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_must_be_in_the_command_line() {
        let command = "python3 -m uvicorn serve:app --port 8000".to_owned();
        let unit = None;
        let holder = Holder::Process {
            pid: 7,
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
        let (user, port) = ("uvicorn serve:app".to_owned(), 8000);
        let other = Holder::User { user, port };
        assert!(!allows(&other, &["uvicorn".to_owned()]));
    }
}
