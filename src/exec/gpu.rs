//! The NVIDIA GPUs of this host and what is in use of them, as far as NVML is
//! there to tell. A host without it has none, and nothing is made of that.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use serde::{Deserialize, Serialize};

use super::environment;
use super::order::{Invocation, Order, Work};
use super::port::Holder;
use super::spawn::Spawn;
use crate::base::quantity::{show_duration, show_size};

/// The longest that one look may take. A GPU whose driver is not kept loaded
/// (persistence mode) takes some seconds.
pub const LIMIT: Duration = Duration::from_secs(20);
/// What the library may go by, besides what every program gets; no secret of
/// the daemon's is among it.
const PASSED: [&str; 3] = ["LD_*", "NVIDIA_*", "NVML_*"];
/// How long the helper may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(1);
/// The most that the helper may say.
const LARGEST: u64 = 1 << 20;

/// What there is to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// No GPU, or no library that would know of one.
    None,
    /// GPUs.
    Gpus {
        /// The version of their driver.
        driver: String,
        /// All of them, in the order of NVML and `nvidia-smi`.
        gpus: Vec<Gpu>,
    },
    /// There may be some, and something is wrong with all of them.
    Trouble(Trouble),
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Its number.
    pub index: u32,
    /// What it is told from all others by; empty for one that does not answer.
    pub uuid: String,
    /// The model.
    pub name: String,
    /// Its memory.
    pub memory: Option<Memory>,
    /// Who uses it, as far as the driver tells.
    pub uses: Vec<Use>,
    /// Whether the driver stays loaded when nobody uses it.
    pub persistence: Option<bool>,
    /// What makes it slower now than it could be.
    pub slowed_by: Vec<String>,
    /// Errors of its memory since the driver was loaded that could not be
    /// corrected.
    pub memory_errors: Option<u64>,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// The memory of a GPU, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Memory {
    pub total: u64,
    pub used: u64,
    pub free: u64,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Its number, in the driver's view: in a container not the one seen there.
    pub pid: u32,
    /// How much of the memory, in bytes.
    pub memory: Option<u64>,
}

impl fmt::Display for Use {
    /// Who it is, as far as that can be seen from here, and how much it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Holder::process(self.pid) {
            Some(holder) => write!(f, "{holder}")?,
            None => write!(f, "process {}", self.pid)?,
        }
        match self.memory {
            Some(memory) => write!(f, " ({})", show_size(memory)),
            None => Ok(()),
        }
    }
}

/// Something that is wrong with a GPU, or with all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The kernel has no NVIDIA driver loaded.
    NotLoaded,
    /// Driver and library are of different versions.
    Mismatch,
    /// The GPU fell off the bus.
    Lost,
    /// No answer in this time.
    Silent(Duration),
    /// Something else.
    Other(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded => f.write_str("the NVIDIA driver is not loaded"),
            Self::Mismatch => {
                f.write_str("the NVIDIA driver that is loaded and its library differ in version")
            }
            Self::Lost => f.write_str("the GPU is lost: it fell off the bus or is inaccessible"),
            Self::Silent(limit) => {
                let limit = show_duration(*limit);
                write!(f, "the NVIDIA driver did not answer in {limit}")
            }
            Self::Other(text) => write!(f, "the NVIDIA driver says: {text}"),
        }
    }
}

impl Trouble {
    /// The way out.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotLoaded => {
                "see `nvidia-smi` and `dmesg | grep -i nvidia`; nothing to do if no \
                 trial uses a GPU"
            }
            Self::Mismatch => {
                "the driver was upgraded beneath a running system: reboot, or load the new one"
            }
            Self::Lost => "see `dmesg | grep -i xid`; it mostly takes a reboot",
            Self::Silent(_) => "it hangs: see `dmesg | grep -i xid`; it mostly takes a reboot",
            Self::Other(_) => "see `nvidia-smi` and `dmesg | grep -i nvidia`",
        }
    }
}

impl fmt::Display for Gpu {
    /// `GPU 0 (NVIDIA L4)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GPU {}", self.index)?;
        if !self.name.is_empty() {
            write!(f, " ({})", self.name)?;
        }
        Ok(())
    }
}

/// Whether the library can be loaded. That touches no device.
static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| {
    // SAFETY: the name is terminated, and nothing of the library is used. Its
    // initialisers run, as they do in any program that may use it.
    #[expect(unsafe_code, reason = "there is no safe form")]
    unsafe {
        let library = libc::dlopen(c"libnvidia-ml.so.1".as_ptr(), libc::RTLD_LAZY);
        !library.is_null() && {
            libc::dlclose(library);
            true
        }
    }
});

/// Looks at the GPUs, for `limit` at most, by a helper process.
pub fn look(limit: Duration) -> Seen {
    if !*IS_INSTALLED {
        return Seen::None;
    }
    match ask_helper(limit) {
        Ok(Some(seen)) => seen,
        Ok(None) => Seen::Trouble(Trouble::Silent(limit)),
        Err(error) => Seen::Trouble(Trouble::Other(format!("nothing ({error})"))),
    }
}

/// `None` when there is no answer in time.
fn ask_helper(limit: Duration) -> io::Result<Option<Seen>> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let (mut answer, writer) = io::pipe()?;
    let pass = PASSED.map(str::to_owned);
    // The link leads to our own program also after an upgrade replaced it.
    let spawn = Spawn {
        command: &["/proc/self/exe".into(), "gpus".into()],
        env: &environment::for_step(std::env::vars_os(), &pass, &[]),
        workdir: Path::new("/"),
        streams: [null.as_fd(), writer.as_fd(), null.as_fd()],
        cgroup: None,
        dies_with_caller: true,
    };
    let helper = spawn.start()?;
    drop(writer);
    let deadline = Instant::now() + limit;
    let answered = until_readable(&answer, deadline)?;
    if !answered {
        let _ = rustix::process::pidfd_send_signal(&helper.pidfd, Signal::KILL);
        reap(&helper.pidfd)?;
        return Ok(None);
    }
    let mut text = Vec::new();
    // It writes all at once, after its last call.
    answer.by_ref().take(LARGEST).read_to_end(&mut text)?;
    reap(&helper.pidfd)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Takes a helper off the table of processes that is about to end. One that
/// hangs in the driver does not, and nobody waits for it.
fn reap(helper: &OwnedFd) -> io::Result<()> {
    if until_readable(helper, Instant::now() + END_LIMIT)? {
        // In a runner the reaper of orphans may have come first.
        let _ = rustix::process::waitid(WaitId::PidFd(helper.as_fd()), WaitIdOptions::EXITED);
    }
    Ok(())
}

/// Whether `fd` has something to read, or has ended, before the deadline.
fn until_readable(fd: &impl AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut watched = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut watched, Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Those of `gpus` that the steps of `order` use: what CUDA_VISIBLE_DEVICES
/// leaves to those that have it, or else all.
pub fn used_by<'a>(order: &Order, gpus: &'a [Gpu]) -> Vec<&'a Gpu> {
    let invocations = order.steps.iter().flat_map(|step| match &step.work {
        Work::Service { invocation, .. } => vec![invocation],
        Work::Runs { runs, .. } => runs.iter().map(|run| &run.invocation).take(1).collect(),
    });
    let variable = |invocation: &Invocation| {
        let env = environment::for_step(std::env::vars_os(), &order.pass_env, &invocation.env);
        let value = env.get(OsStr::new("CUDA_VISIBLE_DEVICES"))?;
        Some(value.to_string_lossy().into_owned())
    };
    let variables: Vec<String> = invocations.filter_map(variable).collect();
    if variables.is_empty() {
        return gpus.iter().collect();
    }
    let is_used = |gpu: &&Gpu| variables.iter().any(|v| visible(gpus, v).contains(gpu));
    gpus.iter().filter(is_used).collect()
}

/// Those of `gpus` that a program sees whose CUDA_VISIBLE_DEVICES is
/// `variable`: a list of numbers and of beginnings of UUIDs, up to the first
/// that means nothing. Numbers are NVML's: CUDA's are the same with
/// CUDA_DEVICE_ORDER=PCI_BUS_ID or where all GPUs are alike. A part of a GPU
/// (MIG) stands for all, since it does not tell which it belongs to.
pub fn visible<'a>(gpus: &'a [Gpu], variable: &str) -> Vec<&'a Gpu> {
    let mut seen: Vec<&Gpu> = Vec::new();
    for word in variable.split(',').map(str::trim) {
        if word.starts_with("MIG-") {
            return gpus.iter().collect();
        }
        let found = gpus.iter().find(|gpu| match word.parse::<u32>() {
            Ok(index) => gpu.index == index,
            Err(_) => word.starts_with("GPU-") && gpu.uuid.starts_with(word),
        });
        match found {
            Some(gpu) if !seen.contains(&gpu) => seen.push(gpu),
            Some(_) => {}
            None => break,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_devices_as_cuda_reads_them() {
        let gpu = |index, uuid: &str| Gpu {
            index,
            uuid: uuid.to_owned(),
            ..Gpu::default()
        };
        let gpus = [gpu(0, "GPU-aa1"), gpu(1, "GPU-ab2"), gpu(2, "GPU-c")];
        let cases: [(&str, &[u32]); 9] = [
            ("0", &[0]),
            ("2, 0", &[2, 0]),
            ("0,0", &[0]),
            ("GPU-ab", &[1]),
            ("1,7,0", &[1]),
            ("", &[]),
            ("-1", &[]),
            ("NoDevFiles", &[]),
            ("MIG-1234", &[0, 1, 2]),
        ];
        for (variable, expected) in cases {
            let seen: Vec<u32> = visible(&gpus, variable).iter().map(|g| g.index).collect();
            assert_eq!(seen, expected, "{variable}");
        }
    }
}
