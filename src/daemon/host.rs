//! What this host is, for the journal.

use crate::exec::gpu::Seen;
use crate::model::host::{Host, HostGpu};

/// Looks; `gpus` is what was seen of them. `None` where their driver is in
/// trouble: what the host is with that mended was recorded before, or will be.
pub fn look(gpus: &Seen) -> Option<Host> {
    let (gpu_driver, gpus) = match gpus {
        Seen::None => (None, Vec::new()),
        Seen::Trouble(_) => return None,
        Seen::Gpus { gpus, .. } if gpus.iter().any(|gpu| gpu.trouble.is_some()) => return None,
        Seen::Gpus { driver, gpus } => {
            let gpus = gpus.iter().map(|gpu| HostGpu {
                name: gpu.name.as_str().into(),
                memory: gpu.memory.map(|memory| memory.total),
            });
            (Some(driver.clone()), gpus.collect())
        }
    };
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let kernel = |file: &str| read(&format!("/proc/sys/kernel/{file}")).trim().to_owned();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    Some(Host {
        name: kernel("hostname"),
        kernel: kernel("osrelease"),
        cpu: field(&read("/proc/cpuinfo"), "model name")
            .unwrap_or_default()
            .to_owned(),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory: field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024),
        gpu_driver,
        gpus,
    })
}

/// The value in the first line of that name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(found, _)| found.trim() == name)?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::gpu::{Gpu, Trouble};

    #[test]
    fn this_host_is_known() {
        let host = look(&Seen::None).expect("a host");
        assert!(!host.name.is_empty() && !host.kernel.is_empty(), "{host:?}");
        assert!(host.cpus > 0 && host.memory > 1 << 20, "{host:?}");
        assert_eq!(
            field("a : 1\nmodel name\t: X 7\n", "model name"),
            Some("X 7")
        );
        assert_eq!(look(&Seen::Trouble(Trouble::Mismatch)), None);
        let gpus = |trouble| Seen::Gpus {
            driver: "550".to_owned(),
            gpus: vec![Gpu {
                name: "L4".to_owned(),
                trouble,
                ..Gpu::default()
            }],
        };
        assert_eq!(look(&gpus(Some(Trouble::Lost))), None);
        let host = look(&gpus(None)).expect("a host");
        assert_eq!(host.gpu_driver.as_deref(), Some("550"));
        assert_eq!(&*host.gpus[0].name, "L4");
    }
}
