//! Keeps a daemon alive where there is no systemd, as in a container.
//!
//! ```text
//!              ┌──── the wait is over ─────┐
//!              ▼                           │
//!   start ─▶ watched ── failed, hangs ─▶ waiting ── asked to end ─▶ end
//!              │
//!              └─ ended for good, asked to end, failed too often ─▶ end
//! ```
//!
//! | file | part |
//! |---|---|
//! | [`child`] | the daemon as a process, reaping |
//! | [`backoff`] | when it is started again |
//! | [`beats`] | its signs of life |
//! | [`pid_file`] | one supervisor a study |
//! | [`signals`] | what is passed on |
//!
//! # Invariants
//!
//! - Nothing is signalled but the daemon that this process has started, through
//!   a pidfd.
//! - After a signal that asks for an end, no daemon is started.
//! - Every process is reaped in one place: it is PID 1 or a sub-reaper, and is
//!   given the orphans of all that it started.

pub mod backoff;
pub mod beats;
pub mod child;
pub mod pid_file;
pub mod signals;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use self::backoff::{Backoff, Limits};
use self::beats::{Beat, Beats};
use self::child::{Daemon, Ending, name};
use self::pid_file::{PidFile, PidFileError};
use self::signals::Signals;
use crate::base::quantity::show_duration;

/// How long a daemon that was asked to end may take until that is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between SIGABRT and SIGKILL for a daemon that hangs.
const GRACE: Duration = Duration::from_secs(10);

/// What is to be kept alive, and how.
#[derive(Debug)]
pub struct Options {
    /// The daemon's program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where this process leaves its number.
    pub pid_file: PathBuf,
    /// How many restarts are too many.
    pub limits: Limits,
    /// How long a daemon may give no sign of life once it has given one; for
    /// ever without.
    pub watchdog: Option<Duration>,
    /// What follows on an exit code of the daemon; `true` for the first one
    /// that was started.
    pub after: fn(u8, bool) -> Next,
}

/// What follows on the end of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A restart changes nothing.
    End,
    /// It is started again, after a wait that grows.
    Restart,
    /// It is started again after the longest wait, however often.
    Later,
}

/// How the supervision has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As the daemon did, or as it was asked to: with this exit code.
    Code(u8),
    /// The daemon failed too often.
    GaveUp,
}

/// Why a daemon cannot be supervised.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// There can be no pid file.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The system has no signal handler to give.
    #[error("failed to listen to signals: {0}")]
    Signals(io::Error),
}

/// What a supervisor tells whoever looks on.
#[derive(Debug)]
pub enum Notice {
    /// A daemon was started.
    Started(i32),
    /// It has ended and stays ended.
    EndedForGood(Ending),
    /// It has failed.
    Failed {
        /// How it ended.
        ending: Ending,
        /// How long it had lived.
        lived: Duration,
        /// When another is started.
        wait: Duration,
    },
    /// The host gets in the way of the study.
    HostInTheWay {
        /// When another is started.
        wait: Duration,
    },
    /// It has failed too often.
    GaveUp {
        /// How it ended.
        ending: Ending,
        /// How often is too often.
        limits: Limits,
    },
    /// It has given no sign of life for so long, and is sent SIGABRT.
    Hangs(Duration),
    /// It has not ended by that, and is sent SIGKILL.
    HangsOn,
    /// It was asked to end by this signal, and has not yet.
    StillEnding(Signal),
    /// Whether it hangs cannot be told.
    Unwatched(io::Error),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(pid) => write!(f, "started the daemon, process {pid}"),
            Self::EndedForGood(ending) => {
                write!(f, "the daemon {ending}, which no restart mends")
            }
            Self::Failed {
                ending,
                lived,
                wait,
            } => write!(
                f,
                "the daemon {ending} after {}, restarting in {}",
                show_duration(*lived),
                show_duration(*wait)
            ),
            Self::HostInTheWay { wait } => write!(
                f,
                "the study is paused, as the host got in its way; trying again in {}",
                show_duration(*wait)
            ),
            Self::GaveUp { ending, limits } => write!(
                f,
                "the daemon {ending}, giving up (--max-restarts {}, --within {})",
                limits.restarts,
                show_duration(limits.within)
            ),
            Self::Hangs(limit) => write!(
                f,
                "no sign of life from the daemon for {}, sending SIGABRT",
                show_duration(*limit)
            ),
            Self::HangsOn => write!(
                f,
                "the daemon is still there {} later, sending SIGKILL",
                show_duration(GRACE)
            ),
            Self::StillEnding(signal) => write!(
                f,
                "the daemon has not ended {} after {}, waiting; a second signal makes it end \
                 its trial at once",
                show_duration(PATIENCE),
                name(signal.as_raw())
            ),
            Self::Unwatched(error) => write!(
                f,
                "a daemon that hangs will not be noticed, since there can be no socket for its \
                 signs of life: {error}"
            ),
        }
    }
}

/// Keeps a daemon alive until it has ended for good, has failed too often, or
/// this process is asked to end. To be called on a runtime of the main thread.
///
/// # Errors
/// See [`SuperviseError`]; nothing was started then.
pub async fn keep(options: Options, tell: impl FnMut(Notice)) -> Result<Ended, SuperviseError> {
    let _pid_file = PidFile::take(&options.pid_file)?;
    // Without, orphans go to the next reaper above: no harm.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let ended = unix::signal(SignalKind::child()).map_err(SuperviseError::Signals)?;
    let mut supervisor = Supervisor {
        signals: Signals::listen().map_err(SuperviseError::Signals)?,
        backoff: Backoff::new(options.limits),
        beats: None,
        asked: None,
        options,
        ended,
        tell,
    };
    supervisor.beats = supervisor.options.watchdog.and_then(|limit| {
        let opened = Beats::open(&supervisor.options.pid_file, limit);
        opened
            .map_err(|error| (supervisor.tell)(Notice::Unwatched(error)))
            .ok()
    });
    Ok(supervisor.run().await)
}

struct Supervisor<T> {
    options: Options,
    signals: Signals,
    /// Some process has ended.
    ended: unix::Signal,
    beats: Option<Beats>,
    backoff: Backoff,
    /// The first signal that asked for an end.
    asked: Option<Signal>,
    tell: T,
}

/// What is next held against a daemon.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// It hangs.
    Beat(Instant),
    /// It does not end by SIGABRT.
    Kill(Instant),
    /// It was asked to end, and somebody should know that it has not.
    Patience(Instant),
    /// Nothing.
    Never,
}

impl Due {
    async fn come(self) {
        match self {
            Self::Beat(at) | Self::Kill(at) | Self::Patience(at) => {
                tokio::time::sleep_until(at.into()).await;
            }
            Self::Never => std::future::pending().await,
        }
    }
}

impl<T: FnMut(Notice)> Supervisor<T> {
    async fn run(&mut self) -> Ended {
        let mut is_first = true;
        loop {
            let start = Instant::now();
            let ending = match self.start() {
                Ok(daemon) => {
                    (self.tell)(Notice::Started(daemon.pid()));
                    self.watch(&daemon).await
                }
                Err(error) => Ending::NotStarted(error),
            };
            if let Some(signal) = self.asked {
                return Ended::Code(code_when_asked(&ending, signal));
            }
            let lived = start.elapsed();
            let wait = match self.next(ending, is_first, lived) {
                Ok(wait) => wait,
                Err(ended) => return ended,
            };
            is_first = false;
            if let Some(signal) = self.wait(wait).await {
                return Ended::Code(code_of_signal(signal));
            }
        }
    }

    fn start(&self) -> io::Result<Daemon> {
        let Options {
            program, arguments, ..
        } = &self.options;
        Daemon::start(program, arguments, self.beats.as_ref(), None)
    }

    /// How long to wait for another start, or how it ends.
    fn next(&mut self, ending: Ending, is_first: bool, lived: Duration) -> Result<Duration, Ended> {
        let next = match ending {
            Ending::Exited(code) => ((self.options.after)(code, is_first), code),
            _ => (Next::Restart, 0),
        };
        match next {
            (Next::End, code) => {
                if code != 0 {
                    (self.tell)(Notice::EndedForGood(ending));
                }
                Err(Ended::Code(code))
            }
            (Next::Later, _) => {
                let wait = backoff::LONGEST;
                (self.tell)(Notice::HostInTheWay { wait });
                Ok(wait)
            }
            (Next::Restart, _) => {
                let Some(wait) = self.backoff.restart(Instant::now(), lived) else {
                    let limits = self.options.limits;
                    (self.tell)(Notice::GaveUp { ending, limits });
                    return Err(Ended::GaveUp);
                };
                (self.tell)(Notice::Failed {
                    ending,
                    lived,
                    wait,
                });
                Ok(wait)
            }
        }
    }

    /// Waits until a daemon has ended.
    async fn watch(&mut self, daemon: &Daemon) -> Ending {
        let mut due = Due::Never;
        loop {
            if let Some(ending) = daemon.reap() {
                return ending;
            }
            let beat = async {
                match &self.beats {
                    Some(beats) => (beats.next().await, beats.limit()),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.ended.recv() => {}
                signal = self.signals.next() => due = self.pass_on(signal, daemon, due),
                (beat, limit) = beat => due = match (due, beat) {
                    (Due::Beat(_) | Due::Never, Beat::Alive) if self.asked.is_none() => {
                        Due::Beat(Instant::now() + limit)
                    }
                    (Due::Beat(_), Beat::Stopping) => Due::Never,
                    _ => due,
                },
                () = due.come() => due = self.hold_against(daemon, due),
            }
        }
    }

    fn pass_on(&mut self, signal: Signal, daemon: &Daemon, due: Due) -> Due {
        let ends = self.signals.asks_for_an_end(signal);
        // A daemon that was started after the terminal had gone takes SIGHUP
        // for a wish to reload.
        let passed = match signal {
            Signal::HUP if ends => Signal::TERM,
            signal => signal,
        };
        daemon.signal(passed);
        if signal == Signal::TSTP {
            return self.stop_both(daemon, due);
        }
        if !ends || self.asked.is_some() {
            return due;
        }
        self.asked = Some(signal);
        match due {
            Due::Kill(_) => due,
            _ => Due::Patience(Instant::now() + PATIENCE),
        }
    }

    /// Ctrl-Z: the daemon is stopped by it already, and goes on as this process
    /// does.
    fn stop_both(&self, daemon: &Daemon, due: Due) -> Due {
        stop_self();
        daemon.signal(Signal::CONT);
        match (due, &self.beats) {
            // It could not give a sign of life meanwhile.
            (Due::Beat(_), Some(beats)) => Due::Beat(Instant::now() + beats.limit()),
            _ => due,
        }
    }

    fn hold_against(&mut self, daemon: &Daemon, due: Due) -> Due {
        match due {
            Due::Beat(_) => {
                let Some(beats) = self.beats.take_if(|beats| !beats.can_be_heard()) else {
                    let limit = self.options.watchdog.unwrap_or_default();
                    (self.tell)(Notice::Hangs(limit));
                    daemon.signal(Signal::ABORT);
                    return Due::Kill(Instant::now() + GRACE);
                };
                let why = format!("{} was removed", beats.path().display());
                (self.tell)(Notice::Unwatched(io::Error::other(why)));
                Due::Never
            }
            Due::Kill(_) => {
                (self.tell)(Notice::HangsOn);
                daemon.signal(Signal::KILL);
                Due::Never
            }
            Due::Patience(_) => {
                if let Some(signal) = self.asked {
                    (self.tell)(Notice::StillEnding(signal));
                }
                Due::Never
            }
            Due::Never => due,
        }
    }

    /// Waits for the next start; a signal that asks for an end ends that.
    async fn wait(&mut self, time: Duration) -> Option<Signal> {
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        loop {
            child::reap_orphans();
            tokio::select! {
                () = &mut over => return None,
                _ = self.ended.recv() => {}
                signal = self.signals.next() => match signal {
                    Signal::TSTP => stop_self(),
                    signal if self.signals.asks_for_an_end(signal) => return Some(signal),
                    // They are the daemon's, and there is none.
                    _ => {}
                },
            }
        }
    }
}

fn stop_self() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
}

/// The exit code when an end was asked for and the daemon has ended so.
fn code_when_asked(ending: &Ending, asked: Signal) -> u8 {
    match ending {
        Ending::Exited(code) => *code,
        // It had not begun to listen yet: nothing was running either.
        Ending::Signalled(signal) if *signal == asked.as_raw() => code_of_signal(asked),
        Ending::Signalled(signal) => shell_code(*signal),
        Ending::NotStarted(_) => code_of_signal(asked),
    }
}

/// The exit code when an end was asked for and there was no daemon: as the
/// daemon's own.
fn code_of_signal(signal: Signal) -> u8 {
    match signal {
        Signal::TERM | Signal::HUP => 0,
        _ => shell_code(signal.as_raw()),
    }
}

/// 128 + signal, as shells have it.
fn shell_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
