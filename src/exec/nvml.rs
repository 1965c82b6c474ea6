//! What NVIDIA's management library, NVML, tells.
//!
//! Its calls can hang in the driver of a sick GPU, where not even SIGKILL
//! reaches a thread; so they are made by a helper process, which whoever asks
//! can leave behind: see [`super::gpu::look`].

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::gpu::{Gpu, Memory, Seen, Trouble, Use};

/// Asks. May take any time.
pub fn ask() -> Seen {
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        Err(NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound) => return Seen::None,
        Err(error) => return Seen::Trouble(trouble(&error)),
    };
    let seen = nvml.device_count().map(|count| {
        let gpus = (0..count).map(|index| gpu(&nvml, index));
        Seen::Gpus {
            driver: nvml.sys_driver_version().unwrap_or_default(),
            gpus: gpus.collect(),
        }
    });
    // To shut the library down may hang, and the process ends anyway.
    std::mem::forget(nvml);
    match seen {
        Ok(Seen::Gpus { gpus, .. }) if gpus.is_empty() => Seen::None,
        Ok(seen) => seen,
        Err(error) => Seen::Trouble(trouble(&error)),
    }
}

fn trouble(error: &NvmlError) -> Trouble {
    match error {
        NvmlError::DriverNotLoaded => Trouble::NotLoaded,
        NvmlError::LibRmVersionMismatch => Trouble::Mismatch,
        NvmlError::GpuLost => Trouble::Lost,
        other => Trouble::Other(other.to_string()),
    }
}

fn gpu(nvml: &Nvml, index: u32) -> Gpu {
    let mut gpu = Gpu {
        index,
        ..Gpu::default()
    };
    if let Err(error) = describe(nvml, &mut gpu) {
        gpu.trouble = Some(trouble(&error));
    }
    gpu
}

/// What not every GPU and driver can tell is left out.
fn describe(nvml: &Nvml, gpu: &mut Gpu) -> Result<(), NvmlError> {
    let device = nvml.device_by_index(gpu.index)?;
    gpu.uuid = device.uuid()?;
    gpu.name = device.name()?;
    gpu.memory = optional(device.memory_info())?.map(|memory| Memory {
        total: memory.total,
        used: memory.used,
        free: memory.free,
    });
    gpu.uses = uses(&device)?;
    gpu.persistence = optional(device.is_in_persistent_mode())?;
    gpu.slowed_by = optional(device.current_throttle_reasons())?
        .map(slowed_by)
        .unwrap_or_default();
    let errors = device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile);
    gpu.memory_errors = optional(errors)?;
    Ok(())
}

/// `None` for what this GPU or driver cannot tell.
fn optional<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error @ NvmlError::GpuLost) => Err(error),
        Err(_) => Ok(None),
    }
}

fn uses(device: &Device<'_>) -> Result<Vec<Use>, NvmlError> {
    let compute = optional(device.running_compute_processes())?.unwrap_or_default();
    let graphics = optional(device.running_graphics_processes())?.unwrap_or_default();
    let mut uses: Vec<Use> = Vec::new();
    for process in compute.into_iter().chain(graphics) {
        // One with both kinds of work is listed twice, with all its memory.
        if !uses.iter().any(|known| known.pid == process.pid) {
            uses.push(Use {
                pid: process.pid,
                memory: match process.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => Some(bytes),
                    UsedGpuMemory::Unavailable => None,
                },
            });
        }
    }
    Ok(uses)
}

/// Only what an owner could mend; a GPU that is idle is slow, too.
fn slowed_by(reasons: ThrottleReasons) -> Vec<String> {
    let known = [
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "heat"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "heat"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "the power supply"),
    ];
    let mut words: Vec<String> = Vec::new();
    for (reason, word) in known {
        if reasons.contains(reason) && !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}
