//! The daemon as a process, and the reaping of all others.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal as Name;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

use super::beats::Beats;

/// Tells a daemon the process that supervises it.
const SUPERVISOR: &str = "AUTOTUNE_SUPERVISOR";

/// What belongs to a service manager that this process may have itself.
const NOT_PASSED_ON: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "FDSTORE",
];

/// How a daemon has ended.
#[derive(Debug)]
pub enum Ending {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Signalled(i32),
    /// It could not be started.
    NotStarted(io::Error),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(signal) => write!(f, "was killed by {}", name(*signal)),
            Self::NotStarted(error) => write!(f, "could not be started: {error}"),
        }
    }
}

/// The name of a signal, by its number.
pub fn name(signal: i32) -> String {
    Name::try_from(signal).map_or_else(|_| format!("signal {signal}"), |name| name.to_string())
}

/// A daemon that was started.
#[derive(Debug)]
pub struct Daemon {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Daemon {
    /// Starts it, in a process group of its own: what the terminal sends goes
    /// to the supervisor alone, which passes it on, so that a Ctrl-C arrives
    /// once. To be called by the main thread, whose end the daemon is told of.
    ///
    /// What it says goes to `output`, where one is given.
    ///
    /// # Errors
    /// Whatever the system answers.
    pub fn start(
        program: &Path,
        arguments: &[OsString],
        beats: Option<&Beats>,
        output: Option<&File>,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0);
        if let Some(output) = output {
            command.stdin(Stdio::null());
            command.stdout(output.try_clone()?);
            command.stderr(output.try_clone()?);
        }
        for variable in NOT_PASSED_ON {
            command.env_remove(variable);
        }
        command.env(SUPERVISOR, std::process::id().to_string());
        if let Some(beats) = beats {
            beats.forget();
            let limit = beats.limit().as_micros().to_string();
            command.env("NOTIFY_SOCKET", beats.address());
            command.env("WATCHDOG_USEC", limit);
        }
        // It is reaped below, with all others.
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
            let _ = child.kill();
        })?;
        Ok(Self { pid, pidfd })
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends it a signal. One that has ended already gets none.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
    }

    /// Reaps whatever has ended, this daemon and orphans alike, and says how
    /// the daemon has ended, if it has.
    pub fn reap(&self) -> Option<Ending> {
        std::iter::from_fn(reap_one)
            .fold(None, |ending, (pid, status)| {
                if pid == self.pid {
                    Some(status)
                } else {
                    ending
                }
            })
            .map(|status| match status.terminating_signal() {
                Some(signal) => Ending::Signalled(signal),
                None => Ending::Exited(status.exit_status().map_or(u8::MAX, |code| code as u8)),
            })
    }
}

/// Reaps every orphan that has ended. Only while there is no daemon.
pub fn reap_orphans() {
    while reap_one().is_some() {}
}

fn reap_one() -> Option<(Pid, WaitStatus)> {
    rustix::process::wait(WaitOptions::NOHANG).ok().flatten()
}

/// Why a daemon whose supervisor is gone does not begin.
#[derive(Debug, thiserror::Error)]
pub enum OrphanError {
    /// It is gone already.
    #[error("process {0}, which was to supervise this one, is gone")]
    Gone(String),
    /// The kernel does not tell of its end.
    #[error("failed to follow the supervisor: {0}")]
    Unfollowed(io::Error),
}

/// In the daemon: from here on, the end of a supervisor, if there is one,
/// arrives as SIGTERM, so that none works on without anybody to keep it alive.
///
/// # Errors
/// See [`OrphanError`].
pub fn follow_supervisor() -> Result<(), OrphanError> {
    let Some(supervisor) = std::env::var_os(SUPERVISOR) else {
        return Ok(());
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| OrphanError::Unfollowed(error.into()))?;
    // It may have ended just before.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    let supervisor = supervisor.to_string_lossy().into_owned();
    if parent.as_ref() == Some(&supervisor) {
        Ok(())
    } else {
        Err(OrphanError::Gone(supervisor))
    }
}
