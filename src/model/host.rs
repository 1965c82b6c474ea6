//! On what a study ran, so that its report can say so.

use super::Name;

/// A machine, as far as it bears on measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// The release of its kernel.
    pub kernel: String,
    /// The model of its processors; empty where the kernel does not tell.
    pub cpu: String,
    /// How many of them this program may use.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory: u64,
    /// The version of the GPUs' driver.
    pub gpu_driver: Option<String>,
    /// Its NVIDIA GPUs.
    pub gpus: Vec<HostGpu>,
}

/// A GPU of a [`Host`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostGpu {
    /// The model.
    pub name: Name,
    /// Its memory, in bytes, where the driver tells.
    pub memory: Option<u64>,
}
