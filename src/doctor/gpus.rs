//! The NVIDIA GPUs, where there are any.

use super::finding::{Check, Finding};
use crate::base::quantity::show_size;
use crate::exec::gpu::{Gpu, Seen, Trouble};
use crate::exec::process;

/// A share of the memory that others hold and that is worth a word, in per
/// cent.
const MUCH: u64 = 10;

/// Judges what was seen; `used` chooses the GPUs that the study uses.
pub fn judge(seen: &Seen, used: impl Fn(&[Gpu]) -> Vec<&Gpu>) -> Vec<Finding> {
    let (driver, gpus) = match seen {
        Seen::None => return vec![Finding::ok(Check::Gpu, "no NVIDIA GPU seen")],
        Seen::Trouble(trouble) => {
            let (text, remedy) = (trouble.to_string(), trouble.remedy());
            return vec![match trouble {
                // The library may be there for its own sake.
                Trouble::NotLoaded | Trouble::Other(_) => {
                    Finding::warning(Check::Gpu, text, remedy)
                }
                Trouble::Mismatch | Trouble::Lost | Trouble::Silent(_) => {
                    Finding::error(Check::Gpu, text, remedy)
                }
            }];
        }
        Seen::Gpus { driver, gpus } => (driver, gpus),
    };
    let used = used(gpus).into_iter();
    let findings: Vec<Finding> = used.flat_map(|gpu| judge_one(gpu, driver)).collect();
    if findings.is_empty() {
        let text = "the study uses no GPU of this host: CUDA_VISIBLE_DEVICES";
        return vec![Finding::ok(Check::Gpu, text)];
    }
    findings
}

/// The slots that share one of `gpus`; each slot with the UUIDs of what it uses.
pub fn shared(gpus: &[Gpu], slots: &[(String, Vec<String>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (name, used)) in slots.iter().enumerate() {
        for (other, others) in &slots[index + 1..] {
            let both = |gpu: &&Gpu| used.contains(&gpu.uuid) && others.contains(&gpu.uuid);
            let Some(gpu) = gpus.iter().find(both) else {
                continue;
            };
            let text = format!("the slots `{name}` and `{other}` share {gpu}");
            let remedy = "what they measure disturbs each other, and its memory is not waited \
                          for between trials: give each its own CUDA_VISIBLE_DEVICES";
            findings.push(Finding::warning(Check::Gpu, text, remedy));
        }
    }
    findings
}

fn judge_one(gpu: &Gpu, driver: &str) -> Vec<Finding> {
    if let Some(trouble) = &gpu.trouble {
        let text = format!("{gpu}: {trouble}");
        return vec![Finding::error(Check::Gpu, text, trouble.remedy())];
    }
    let mut findings = Vec::new();
    let mut text = format!("{gpu}, driver {driver}");
    if let Some(memory) = gpu.memory {
        let (free, total) = (show_size(memory.free), show_size(memory.total));
        text += &format!(": {free} of {total} free");
    }
    let others = gpu
        .uses
        .iter()
        .filter(|one| !i32::try_from(one.pid).is_ok_and(process::is_of_trial));
    let holders: Vec<String> = others.map(ToString::to_string).collect();
    let in_use = gpu
        .memory
        .is_some_and(|memory| memory.used > memory.total / 100 * MUCH);
    if in_use && !holders.is_empty() {
        let text = format!("{text}; held by {}", holders.join(", "));
        let remedy = "end what is not needed: a trial would lack that memory";
        findings.push(Finding::warning(Check::Gpu, text, remedy));
    } else {
        let mut found = Finding::ok(Check::Gpu, text);
        if gpu.persistence == Some(false) {
            found.remedy = "its driver is loaded anew for each use, which takes time: \
                            `nvidia-smi -pm 1` keeps it loaded"
                .to_owned();
        }
        findings.push(found);
    }
    if let Some(errors) = gpu.memory_errors.filter(|errors| *errors > 0) {
        let text = format!("{gpu}: {errors} errors of its memory could not be corrected");
        let remedy = "see `nvidia-smi -q -d ECC`; a reset or a reboot may retire the bad rows";
        findings.push(Finding::warning(Check::Gpu, text, remedy));
    }
    if !gpu.slowed_by.is_empty() {
        let text = format!("{gpu}: slowed down by {}", gpu.slowed_by.join(" and "));
        let remedy = "measurements would vary: see `nvidia-smi -q -d PERFORMANCE,TEMPERATURE`";
        findings.push(Finding::warning(Check::Gpu, text, remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::State;
    use crate::exec::gpu::{Memory, Use};

    const GIB: u64 = 1 << 30;

    fn l4() -> Gpu {
        Gpu {
            uuid: "GPU-1".to_owned(),
            name: "NVIDIA L4".to_owned(),
            memory: Some(Memory {
                total: 22 * GIB,
                used: GIB,
                free: 21 * GIB,
            }),
            persistence: Some(true),
            ..Gpu::default()
        }
    }

    #[test]
    fn slots_that_share_a_gpu_are_named() {
        let uses = |name: &str, gpus: &[&str]| {
            let gpus = gpus.iter().map(|gpu| (*gpu).to_owned());
            (name.to_owned(), gpus.collect())
        };
        let slots = [uses("a", &["GPU-1"]), uses("b", &["GPU-2"])];
        assert_eq!(shared(&[l4()], &slots), []);
        let slots = [uses("a", &["GPU-1"]), uses("b", &["GPU-2", "GPU-1"])];
        let found = shared(&[l4()], &slots);
        assert_eq!((found.len(), found[0].state), (1, State::Warning));
        assert!(
            found[0].text.contains("`a` and `b` share GPU 0"),
            "{:?}",
            found[0].text
        );
    }

    fn found(gpu: Gpu) -> Vec<Finding> {
        let seen = Seen::Gpus {
            driver: "550.54".to_owned(),
            gpus: vec![gpu],
        };
        judge(&seen, |gpus| gpus.iter().collect())
    }

    #[test]
    fn a_healthy_gpu() {
        let found = found(l4());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, State::Ok);
        assert_eq!(
            found[0].text,
            "GPU 0 (NVIDIA L4), driver 550.54: 21.0 GiB of 22.0 GiB free"
        );
        assert_eq!(found[0].remedy, "");
    }

    #[test]
    fn what_is_wrong_with_a_gpu_is_told() {
        let in_use = Gpu {
            memory: Some(Memory {
                total: 22 * GIB,
                used: 9 * GIB,
                free: 13 * GIB,
            }),
            uses: vec![Use {
                pid: u32::MAX,
                memory: Some(9 * GIB),
            }],
            ..l4()
        };
        let held = found(in_use);
        assert_eq!(held[0].state, State::Warning);
        assert!(
            held[0]
                .text
                .ends_with("held by process 4294967295 (9.0 GiB)"),
            "{held:?}"
        );
        let sick = Gpu {
            memory_errors: Some(3),
            slowed_by: vec!["heat".to_owned()],
            persistence: Some(false),
            ..l4()
        };
        let sick: Vec<_> = found(sick);
        assert!(sick[0].state == State::Ok && sick[0].remedy.contains("nvidia-smi -pm 1"));
        assert!(
            sick[1].text.contains("3 errors") && sick[2].text.contains("heat"),
            "{sick:?}"
        );
        let lost = Gpu {
            trouble: Some(Trouble::Lost),
            ..l4()
        };
        assert_eq!(found(lost)[0].state, State::Error);
        for (trouble, state) in [
            (Trouble::NotLoaded, State::Warning),
            (Trouble::Mismatch, State::Error),
            (Trouble::Silent(Duration::from_secs(9)), State::Error),
        ] {
            let found = judge(&Seen::Trouble(trouble), |_| Vec::new());
            assert!(
                found[0].state == state && !found[0].remedy.is_empty(),
                "{found:?}"
            );
        }
        assert_eq!(
            judge(&Seen::None, |_| Vec::new())[0].text,
            "no NVIDIA GPU seen"
        );
    }
}
