//! What the kernel knows of the end of a sitting, whatever its programs printed;
//! what those tell is read by [`troubles`](crate::troubles).

use crate::model::outcome::Cause;

/// What the kernel and systemd-oomd say of a sitting's cgroup, rather than a
/// program.
pub enum Kernel {
    /// The sitting reached its own memory limit; the hint names it.
    MemoryLimit {
        /// See [`Cause::hint`].
        hint: String,
        /// How many processes were killed.
        killed: u64,
    },
    /// Memory ran out further up: in the host, or the service's own limit.
    HostMemory {
        /// How many processes were killed.
        killed: u64,
    },
    /// systemd-oomd has killed it.
    Oomd,
    /// The sitting reached its own limit of processes.
    ProcessLimit {
        /// The limit.
        max: u32,
        /// How often a new process was refused.
        refused: u64,
    },
}

impl Kernel {
    /// Whether it is what ended the group, whatever its output speaks of. A
    /// program that is refused a process may go on.
    pub const fn is_certain(&self) -> bool {
        !matches!(self, Self::ProcessLimit { .. })
    }
}

impl From<Kernel> for Cause {
    fn from(kernel: Kernel) -> Self {
        let (name, hint, line) = match kernel {
            Kernel::MemoryLimit { hint, killed } => (
                "memory-limit",
                hint,
                format!("memory.events: oom_kill {killed}"),
            ),
            Kernel::HostMemory { killed } => (
                "host-out-of-memory",
                "memory ran out beyond this trial's own limits, in the host or in the \
                 service's MemoryMax, and the kernel chose this trial: leave out the values that \
                 need most memory, and see `free -h` and `dmesg`"
                    .to_owned(),
                format!("memory.events: oom_kill {killed}"),
            ),
            Kernel::Oomd => (
                "host-out-of-memory",
                "the host, or the service, was short of memory, and systemd-oomd chose this \
                 trial: leave out the values that need most memory, and see `oomctl` and \
                 `journalctl -u systemd-oomd`"
                    .to_owned(),
                "by systemd-oomd".to_owned(),
            ),
            Kernel::ProcessLimit { max, refused } => (
                "process-limit",
                format!(
                    "the trial's programs reached pids_max, {max} processes and threads: raise it \
                     in [limits], or leave out the values that start most workers"
                ),
                format!("pids.events: max {refused}"),
            ),
        };
        Self {
            name: name.to_owned(),
            hint,
            line,
        }
    }
}
