//! What a trial may take of the host: limits on the cgroup of its steps.

use std::io;

use serde::{Deserialize, Serialize};

use super::cgroup::Cgroup;
use super::delegation;
use crate::base::quantity::show_size;
use crate::model::spec::Limits;

/// The time over which the CPU limit counts, in microseconds: the kernel's
/// default.
const PERIOD: f64 = 100_000.0;

/// See [`Limits`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as in model::spec::Limits")]
pub struct LimitsOrder {
    pub memory_max: Option<u64>,
    pub swap_max: Option<u64>,
    pub pids_max: Option<u32>,
    pub cpus: Option<f64>,
    pub required: bool,
}

/// One limit, as a key of the spec and as a file of the kernel.
struct Setting {
    key: &'static str,
    controller: &'static str,
    file: &'static str,
    value: String,
}

impl From<&Limits> for LimitsOrder {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_max: limits.memory_max,
            swap_max: limits.swap_max,
            pids_max: limits.pids_max,
            cpus: limits.cpus,
            required: limits.required,
        }
    }
}

impl LimitsOrder {
    fn settings(&self) -> Vec<Setting> {
        let setting = |key, controller, file, value: Option<String>| {
            value.map(|value| Setting {
                key,
                controller,
                file,
                value,
            })
        };
        let quota = |cpus: f64| format!("{:.0} {PERIOD:.0}", cpus * PERIOD);
        let bytes = |bytes: u64| bytes.to_string();
        [
            setting(
                "memory_max",
                "memory",
                "memory.max",
                self.memory_max.map(bytes),
            ),
            setting(
                "swap_max",
                "memory",
                "memory.swap.max",
                self.swap_max.map(bytes),
            ),
            setting(
                "pids_max",
                "pids",
                "pids.max",
                self.pids_max.map(|n| n.to_string()),
            ),
            setting("cpus", "cpu", "cpu.max", self.cpus.map(quota)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Sets the limits on the steps of `cgroup`; `None` is a sitting without a
    /// cgroup. Returns a sentence on each that could not be set.
    pub(super) fn apply(&self, cgroup: Option<&Cgroup>) -> Vec<String> {
        let settings = self.settings();
        let apply = |setting: &Setting| -> Result<(), String> {
            let cgroup = cgroup.ok_or("the trial has no cgroup of its own")?;
            set(cgroup, setting).map_err(|error| {
                delegation::lack(setting.controller).unwrap_or_else(|| error.to_string())
            })
        };
        let mut missing = Vec::new();
        for setting in &settings {
            if let Err(why) = apply(setting) {
                missing.push(sentence(setting.key, &why));
            }
        }
        if let (Some(cgroup), Some(_)) = (cgroup, self.memory_max) {
            // A server without its workers, or a run without its server, is of
            // no use: all of it dies together, which is plain to see.
            let _ = cgroup.steps().set("memory.oom.group", "1");
        }
        missing
    }

    /// The hint for a trial that ran into `memory_max`.
    pub(super) fn memory_hint(&self) -> Option<String> {
        let max = show_size(self.memory_max?);
        Some(format!(
            "the trial's programs reached memory_max, {max}: leave out the values that need \
             most memory, or raise it in [limits]"
        ))
    }
}

fn set(cgroup: &Cgroup, setting: &Setting) -> io::Result<()> {
    cgroup.enable(setting.controller)?;
    match cgroup.steps().set(setting.file, &setting.value) {
        // Where nothing can be swapped there is nothing to be limited.
        Err(error)
            if setting.key == "swap_max" && error.kind() == io::ErrorKind::NotFound && !swaps() =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Whether this host has swap: a line of its table beside the heading.
fn swaps() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}

fn sentence(key: &str, why: &str) -> String {
    format!("`{key}` in [limits] cannot be applied: {why}")
}

/// The limits of a spec that no trial could have if a daemon were started
/// here, a sentence on each.
pub fn missing(limits: &Limits) -> Vec<String> {
    let settings = LimitsOrder::from(limits).settings();
    let lacks = settings.iter().filter_map(|setting| {
        let why = delegation::lack(setting.controller)?;
        Some(sentence(setting.key, &why))
    });
    lacks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: LimitsOrder = LimitsOrder {
        memory_max: Some(24 << 30),
        swap_max: Some(0),
        pids_max: Some(512),
        cpus: Some(3.5),
        required: false,
    };

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        std::fs::create_dir(file("steps")).expect("made");
        let files = [
            ("cgroup.subtree_control", "+cpu"),
            ("steps/memory.max", "25769803776"),
            ("steps/memory.swap.max", "0"),
            ("steps/memory.oom.group", "1"),
            ("steps/pids.max", "512"),
            ("steps/cpu.max", "350000 100000"),
        ];
        for (name, _) in files {
            std::fs::write(file(name), "").expect("written");
        }
        assert_eq!(
            ALL.apply(Some(&Cgroup::at(folder.path()))),
            Vec::<String>::new()
        );
        for (name, expected) in files {
            let text = std::fs::read_to_string(file(name)).expect("read");
            // A file keeps what a longer write before left behind.
            assert!(text.starts_with(expected), "{name}: {text}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_named() {
        let missing = ALL.apply(None);
        let names = ["memory_max", "swap_max", "pids_max", "cpus"];
        assert_eq!(missing.len(), names.len());
        for (sentence, name) in missing.iter().zip(names) {
            let expected = format!(
                "`{name}` in [limits] cannot be applied: the trial has no cgroup of its own"
            );
            assert_eq!(*sentence, expected);
        }
        assert_eq!(LimitsOrder::default().apply(None), Vec::<String>::new());
    }
}
