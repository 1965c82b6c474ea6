//! A host as the journal has it. The names and fields are the format: see
//! [`super::event_record`].

use serde::{Deserialize, Serialize};

use super::text::{Interner, Text};
use crate::model::host::{Host, HostGpu};

#[derive(Serialize, Deserialize)]
pub(super) struct HostRecord<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    kernel: Text<'a>,
    cpu: Text<'a>,
    cpus: u32,
    memory: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gpu_driver: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<GpuRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct GpuRecord<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

impl<'a> HostRecord<'a> {
    pub(super) fn of(host: &'a Host) -> Self {
        let gpus = host.gpus.iter().map(|gpu| GpuRecord {
            name: Text::of(&gpu.name),
            memory: gpu.memory,
        });
        Self {
            name: Text::of(&host.name),
            kernel: Text::of(&host.kernel),
            cpu: Text::of(&host.cpu),
            cpus: host.cpus,
            memory: host.memory,
            gpu_driver: host.gpu_driver.as_deref().map(Text::of),
            gpus: gpus.collect(),
        }
    }

    pub(super) fn into_host(self, names: &mut Interner) -> Host {
        let gpus = self.gpus.into_iter().map(|gpu| HostGpu {
            name: names.name(gpu.name.as_str()),
            memory: gpu.memory,
        });
        Host {
            name: self.name.owned(),
            kernel: self.kernel.owned(),
            cpu: self.cpu.owned(),
            cpus: self.cpus,
            memory: self.memory,
            gpu_driver: self.gpu_driver.map(Text::owned),
            gpus: gpus.collect(),
        }
    }
}
