//! How a trial came out, and how its programs ended.

use std::fmt;

use super::Name;

/// How a process ended, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this exit code.
    Exited(i32),
    /// It died of this signal, which we did not send.
    Signalled(i32),
    /// The kernel killed it, or something in its tree, for want of memory.
    OomKilled,
    /// It ran into its time limit and was killed with its whole tree.
    TimedOut,
    /// It was ended because the trial was over.
    Stopped,
    /// It could not be started, in the system's words. They stand apart, so
    /// that the many endings of a large study are small.
    CouldNotStart(Box<String>),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => write!(f, "was killed by {}", signal_name(*signal)),
            Self::OomKilled => f.write_str("was killed for want of memory"),
            Self::TimedOut => f.write_str("ran into its time limit"),
            Self::Stopped => f.write_str("was stopped"),
            Self::CouldNotStart(why) => write!(f, "could not be started: {why}"),
        }
    }
}

fn signal_name(number: i32) -> String {
    match nix::sys::signal::Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its runs are good and its summary meets every constraint.
    Complete,
    /// All its runs are good and a constraint is missed.
    Infeasible,
    /// Ended early: it could not win any more.
    Pruned,
    /// Something broke.
    Failed(Box<Failure>),
}

/// What broke in a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind, which decides what the sampler learns.
    pub kind: FailureKind,
    /// The step in which it showed.
    pub step: Option<Name>,
    /// How that step's process ended, where it did.
    pub ending: Option<Ending>,
    /// One sentence for people.
    pub message: String,
    /// The known trouble that the step's output speaks of.
    pub cause: Option<Cause>,
}

impl Failure {
    /// What broke and, where that is known, what to do about it.
    pub fn with_hint(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{} ({})", self.message, cause.hint),
            None => self.message.clone(),
        }
    }
}

/// See [`Failure::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A service was alive but not ready in time.
    NotReady,
    /// A service ended before it was ready.
    Died,
    /// A service ended while it was measured.
    DiedInRuns,
    /// A task ended badly or gave no metrics.
    Task,
    /// Some runs were bad, some good.
    SomeRuns,
    /// No run was good.
    AllRuns,
    /// The host's fault, not the parameters': the sampler learns nothing.
    Host(HostFault),
}

/// Troubles that other parameters would have met as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// Somebody else listens on the port.
    PortTaken,
    /// No space, no inodes, or over the quota.
    DiskFull,
    /// The GPU fell off the bus or its driver failed.
    GpuLost,
    /// A program is missing or may not be executed.
    CannotStart,
    /// Our own runner process died.
    RunnerDied,
    /// What the trial used did not come free again.
    NotReleased,
}

/// A known trouble, recognised from a program's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its fixed name: `gpu-out-of-memory`.
    pub name: String,
    /// What to do about it.
    pub hint: String,
    /// The line that gave it away.
    pub line: String,
}

impl FailureKind {
    /// The fixed name of the kind, as the journal and the results have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotReady => "not-ready",
            Self::Died => "died",
            Self::DiedInRuns => "died-in-runs",
            Self::Task => "task",
            Self::SomeRuns => "some-runs",
            Self::AllRuns => "all-runs",
            Self::Host(HostFault::PortTaken) => "port-taken",
            Self::Host(HostFault::DiskFull) => "disk-full",
            Self::Host(HostFault::GpuLost) => "gpu-lost",
            Self::Host(HostFault::CannotStart) => "cannot-start",
            Self::Host(HostFault::RunnerDied) => "runner-died",
            Self::Host(HostFault::NotReleased) => "not-released",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::NotReady,
        Self::Died,
        Self::DiedInRuns,
        Self::Task,
        Self::SomeRuns,
        Self::AllRuns,
        Self::Host(HostFault::PortTaken),
        Self::Host(HostFault::DiskFull),
        Self::Host(HostFault::GpuLost),
        Self::Host(HostFault::CannotStart),
        Self::Host(HostFault::RunnerDied),
        Self::Host(HostFault::NotReleased),
    ];

    /// The kind of that [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Outcome {
    /// The word for it: `complete`, `infeasible`, `pruned`, `failed`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Infeasible => "infeasible",
            Self::Pruned => "pruned",
            Self::Failed(_) => "failed",
        }
    }

    /// The fault of the host that it is, if it is one.
    pub const fn host_fault(&self) -> Option<HostFault> {
        match self {
            Self::Failed(failure) => match failure.kind {
                FailureKind::Host(fault) => Some(fault),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::named(kind.name()), Some(kind));
        }
        assert_eq!(FailureKind::named("bad-luck"), None);
    }

    #[test]
    fn endings_read_as_sentences() {
        assert_eq!(Ending::Signalled(9).to_string(), "was killed by SIGKILL");
        assert_eq!(Ending::Signalled(64).to_string(), "was killed by signal 64");
        assert_eq!(Ending::Exited(3).to_string(), "exited with code 3");
    }
}
