//! Known troubles, recognised from the last lines that a program printed.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::model::outcome::{Cause, HostFault};

/// A known trouble.
struct Trouble {
    name: &'static str,
    pattern: &'static str,
    hint: &'static str,
    host: Option<HostFault>,
}

/// The first that matches wins, so the more particular stand first.
const TROUBLES: &[Trouble] = &[
    Trouble {
        name: "gpu-lost",
        pattern: r"(?i)GPU is lost|fallen off the bus|device is lost|No CUDA GPUs are available|CUDA driver initialization failed|couldn't communicate with the NVIDIA driver",
        hint: "the GPU or its driver failed: look at `nvidia-smi` and `dmesg | grep -i xid`",
        host: Some(HostFault::GpuLost),
    },
    Trouble {
        name: "gpu-out-of-memory",
        pattern: r"(?i)CUDA (error: )?out of memory|OutOfMemoryError|HIP out of memory|No available memory for the cache blocks|larger than the maximum number of tokens that can be stored in KV cache|cudaMalloc failed: out of memory",
        hint: "these values need more GPU memory than there is: leave out the largest batch, sequence or memory values",
        host: None,
    },
    Trouble {
        name: "address-in-use",
        pattern: r"(?i)address already in use|EADDRINUSE",
        hint: "another program holds a port that this one needs: see `ss -ltnp`",
        host: Some(HostFault::PortTaken),
    },
    Trouble {
        name: "disk-full",
        pattern: r"(?i)No space left on device|ENOSPC|disk quota exceeded",
        hint: "free some space: see `df -h` and `df -i`",
        host: Some(HostFault::DiskFull),
    },
    Trouble {
        name: "bf16-unsupported",
        pattern: r"(?i)bfloat16 is only supported|bf16.{0,40}not supported|bfloat16 is not supported",
        hint: "this GPU has no bfloat16: use float16",
        host: None,
    },
    Trouble {
        name: "flash-attention-off",
        pattern: r"(?i)quantized V cache requires flash_attn|V cache quantization requires flash_attn",
        hint: "a quantised cache of values needs flash attention: keep the two apart by a [[rule]]",
        host: None,
    },
    Trouble {
        name: "out-of-memory",
        pattern: r"(?i)cannot allocate memory|std::bad_alloc|^MemoryError|memory allocation of \d+ bytes failed|ggml_aligned_malloc: insufficient memory",
        hint: "these values need more memory than there is, or than its limit allows",
        host: None,
    },
    Trouble {
        name: "module-missing",
        pattern: r"ModuleNotFoundError: No module named|ImportError: ",
        hint: "a Python package is missing in the environment that the step runs in: check which python it starts",
        host: None,
    },
    Trouble {
        name: "library-missing",
        pattern: r"error while loading shared libraries|cannot open shared object file",
        hint: "a shared library is missing: check LD_LIBRARY_PATH in [env] or pass_env",
        host: None,
    },
    Trouble {
        name: "not-found",
        // Not the sources that a debugger misses in a backtrace: `38<tab>x.c: No…`.
        pattern: r"(?i)command not found|^\s*(\d*[^\d\t].*)?No such file or directory",
        hint: "a file or program that the step needs is missing: steps run in `workdir`",
        host: None,
    },
];

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

static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(TROUBLES.iter().map(|trouble| trouble.pattern)).expect("checked by a test")
});

/// The known trouble in the last lines of an output, and the fault of the host
/// that it is, if it is one.
pub fn find<'a>(
    tail: impl DoubleEndedIterator<Item = &'a str> + Clone,
) -> Option<(Cause, Option<HostFault>)> {
    let lines = || {
        tail.clone()
            .rev()
            .map(|line| (PATTERNS.matches(line), line))
    };
    TROUBLES.iter().enumerate().find_map(|(index, trouble)| {
        let (_, line) = lines().find(|(matches, _)| matches.matched(index))?;
        let cause = Cause {
            name: trouble.name.to_owned(),
            hint: trouble.hint.to_owned(),
            line: line.trim().to_owned(),
        };
        Some((cause, trouble.host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(lines: &[&str]) -> Option<String> {
        find(lines.iter().copied()).map(|(cause, _)| cause.name)
    }

    #[test]
    fn real_messages() {
        let vllm = "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`";
        let torch = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.";
        let uvicorn = "ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use";
        let bf16 = "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0.";
        assert_eq!(
            name(&["INFO start", vllm, ""]).as_deref(),
            Some("gpu-out-of-memory")
        );
        assert_eq!(name(&[torch, "exit"]).as_deref(), Some("gpu-out-of-memory"));
        assert_eq!(name(&[uvicorn]).as_deref(), Some("address-in-use"));
        assert_eq!(name(&[bf16]).as_deref(), Some("bf16-unsupported"));
        assert_eq!(name(&["all is well"]), None);
    }

    /// What llama.cpp's server printed, and the debugger that it calls when it
    /// aborts.
    #[test]
    fn real_messages_of_llama_cpp() {
        let quantised = [
            "0.00.168.499 E llama_init_from_model: quantized V cache requires flash_attn to be enabled",
            "0.00.168.860 E srv          init: exiting due to model loading error",
            "error: Failed to init server, please check the input params.",
        ];
        assert_eq!(name(&quantised).as_deref(), Some("flash-attention-off"));
        let memory = "0.00.880.847 E ggml_aligned_malloc: insufficient memory (attempted to allocate 1287.51 MB)";
        let backtrace = [
            "ggml/src/ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed",
            "#0  syscall () at ../sysdeps/unix/sysv/linux/x86_64/syscall.S:38",
            "38\t../sysdeps/unix/sysv/linux/x86_64/syscall.S: No such file or directory.",
            "[Inferior 1 (process 1615) detached]",
        ];
        assert_eq!(name(&backtrace), None);
        let both = [&[memory], backtrace.as_slice()].concat();
        assert_eq!(name(&both).as_deref(), Some("out-of-memory"));
        assert_eq!(
            name(&["run.sh: line 38: ./serve: No such file or directory"]).as_deref(),
            Some("not-found")
        );
        assert_eq!(
            name(&["No such file or directory"]).as_deref(),
            Some("not-found")
        );
    }

    #[test]
    fn the_line_that_gave_it_away_is_the_last_one() {
        let lines = [
            "No space left on device (1)",
            "x",
            "  No space left on device (2)  ",
        ];
        let (cause, host) = find(lines.into_iter()).expect("known");
        assert_eq!(cause.line, "No space left on device (2)");
        assert_eq!(host, Some(HostFault::DiskFull));
    }
}
