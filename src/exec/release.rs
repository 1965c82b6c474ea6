//! That the memory of the GPUs is back before anything new is started: the
//! drivers of some take it back only a while after a program's end, and a
//! stranger may have come.
//!
//! What was in use before the first trial is the level that is waited for. It
//! is the daemon's to remember, from one sitting to the next.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::gpu::{self, Gpu, Seen, Use};
use super::order::Order;
use super::report::{FailureReport, Report};
use super::runner::Sitting;
use super::work;
use crate::base::quantity::{show_duration, show_size};
use crate::model::outcome::HostFault;
use crate::model::reason;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// So much more than before is no difference, in bytes: what a display or a
/// monitor takes comes and goes.
const SLACK: u64 = 256 << 20;
/// The same as a share of all memory: one of so many.
const SLACK_SHARE: u64 = 50;
/// So many holders are named.
const NAMED: usize = 3;

/// What an order says of the GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuOrder {
    /// How long their memory is waited for.
    pub release: Duration,
    /// What was in use of them before.
    pub before: Vec<Level>,
}

/// What is in use of one GPU while no trial runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The GPU's UUID.
    pub uuid: String,
    /// Memory in use, in bytes.
    pub used: u64,
    /// Who uses it.
    pub pids: Vec<u32>,
}

/// How it stands with the GPUs of a study.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// As before, or better.
    Free(Vec<Level>),
    /// More is in use than before, in words.
    Held(String),
    /// One is of no use, in words.
    Lost(String),
}

/// Waits until the memory of the GPUs is back.
///
/// # Errors
/// The host's fault when it does not come back, or a GPU is lost.
pub(super) async fn await_gpus(sitting: &Sitting) -> Result<(), Box<FailureReport>> {
    let Some(GpuOrder { release, before }) = &sitting.order.gpu else {
        return Ok(());
    };
    let fault = |fault, text: String| {
        let text = reason::GPU_WATCHED.say([&text]);
        Err(Box::new(work::host_fault(fault, text)))
    };
    let deadline = Instant::now() + *release;
    let mut said = false;
    loop {
        // It has a limit of its own.
        let seen = tokio::task::spawn_blocking(|| gpu::look(gpu::LIMIT)).await;
        let seen = seen.unwrap_or(Seen::None);
        match judge(&seen, &sitting.order, before) {
            Standing::Free(levels) => {
                if levels != *before {
                    sitting.tell(Report::GpuLevels(levels));
                }
                return Ok(());
            }
            Standing::Lost(text) => return fault(HostFault::GpuLost, text),
            Standing::Held(text) if Instant::now() >= deadline => {
                let release = show_duration(*release);
                let text = reason::GPU_MEMORY_HELD.say([&release, &text]);
                return fault(HostFault::NotReleased, text);
            }
            Standing::Held(text) if !said => {
                said = true;
                sitting.tell(Report::Waiting(format!("waiting for GPU memory: {text}")));
            }
            Standing::Held(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn judge(seen: &Seen, order: &Order, before: &[Level]) -> Standing {
    let gpus = match seen {
        Seen::Gpus { gpus, .. } => gpus,
        Seen::None => return Standing::Lost(reason::NO_GPU.say([])),
        Seen::Trouble(trouble) => return Standing::Lost(trouble.to_string()),
    };
    // Of those that this trial does not use nothing new is known.
    let mut levels = before.to_vec();
    let mut held = Vec::new();
    for gpu in gpu::used_by(order, gpus) {
        if let Some(trouble) = &gpu.trouble {
            return Standing::Lost(format!("{gpu}: {trouble}"));
        }
        let Some(memory) = gpu.memory else { continue };
        let level = Level {
            uuid: gpu.uuid.clone(),
            used: memory.used,
            pids: gpu.uses.iter().map(|one| one.pid).collect(),
        };
        let slack = SLACK.max(memory.total / SLACK_SHARE);
        match levels.iter_mut().find(|known| known.uuid == gpu.uuid) {
            Some(known) if level.used > known.used + slack => {
                held.push(in_words(gpu, level.used, known));
            }
            // What creeps up sums up.
            Some(known) if level.used >= known.used => {}
            Some(known) => *known = level,
            None => levels.push(level),
        }
    }
    if held.is_empty() {
        Standing::Free(levels)
    } else {
        Standing::Held(held.join("; "))
    }
}

fn in_words(gpu: &Gpu, used: u64, before: &Level) -> String {
    let (new, old): (Vec<&Use>, Vec<&Use>) = gpu
        .uses
        .iter()
        .partition(|one| !before.pids.contains(&one.pid));
    let holders = if new.is_empty() { old } else { new };
    let named: Vec<String> = holders.iter().take(NAMED).map(|u| u.to_string()).collect();
    let (used, before) = (show_size(used), show_size(before.used));
    let more = match holders.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!(" and {more} more"),
        _ => String::new(),
    };
    let by = if named.is_empty() {
        "by no process that the driver tells of".to_owned()
    } else {
        format!("by {}{more}", named.join(", "))
    };
    format!("{used} of {gpu} in use, {before} before; held {by}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::gpu::{Memory, Trouble};

    const GIB: u64 = 1 << 30;

    fn order() -> Order {
        serde_json::from_value(serde_json::json!({
            "trial": 1, "sitting": 1, "token": "", "may_have_cgroup": false, "cgroup": null,
            "pass_env": [], "trial_dir": "/", "log_max": 0, "port_wait": {"secs": 0, "nanos": 0},
            "echo": false, "steps": [],
        }))
        .expect("an order")
    }

    fn seen(used: u64, pids: &[u32]) -> Seen {
        let uses = pids.iter().map(|pid| Use {
            pid: *pid,
            memory: None,
        });
        Seen::Gpus {
            driver: String::new(),
            gpus: vec![Gpu {
                uuid: "GPU-1".to_owned(),
                memory: Some(Memory {
                    total: 24 * GIB,
                    used,
                    free: 24 * GIB - used,
                }),
                uses: uses.collect(),
                ..Gpu::default()
            }],
        }
    }

    fn level(used: u64, pids: &[u32]) -> Vec<Level> {
        vec![Level {
            uuid: "GPU-1".to_owned(),
            used,
            pids: pids.to_vec(),
        }]
    }

    #[test]
    fn what_was_in_use_before_is_waited_for() {
        let judge = |used, before: &[Level]| judge(&seen(used, &[]), &order(), before);
        assert_eq!(judge(9 * GIB, &[]), Standing::Free(level(9 * GIB, &[])));
        let before = level(GIB, &[]);
        assert!(matches!(judge(9 * GIB, &before), Standing::Held(_)));
        // The least that was in use stays the level.
        assert_eq!(judge(GIB + SLACK, &before), Standing::Free(before.clone()));
        assert_eq!(judge(GIB / 2, &before), Standing::Free(level(GIB / 2, &[])));
        // Of a GPU that another trial has used the level stays.
        let elsewhere = [Level {
            uuid: "GPU-2".to_owned(),
            ..before[0].clone()
        }];
        let both = [&elsewhere[..], &level(9 * GIB, &[])].concat();
        assert_eq!(judge(9 * GIB, &elsewhere), Standing::Free(both));
    }

    #[test]
    fn who_came_since_is_named() {
        let none = u32::MAX;
        let text = |uses: &[u32], before: &[u32]| match judge(
            &seen(9 * GIB, uses),
            &order(),
            &level(GIB, before),
        ) {
            Standing::Held(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            text(&[none - 1, none], &[none - 1]),
            "9.0 GiB of GPU 0 in use, 1.0 GiB before; held by process 4294967295"
        );
        assert!(text(&[none], &[none]).ends_with("held by process 4294967295"));
        assert!(text(&[], &[]).ends_with("by no process that the driver tells of"));
        let many = [none, none - 1, none - 2, none - 3, none - 4];
        assert!(text(&many, &[]).ends_with("process 4294967293 and 2 more"));
    }

    #[test]
    fn a_gpu_that_is_of_no_use_is_the_hosts_fault() {
        let mut lost = seen(0, &[]);
        if let Seen::Gpus { gpus, .. } = &mut lost {
            gpus[0].trouble = Some(Trouble::Lost);
        }
        let silent = Seen::Trouble(Trouble::Silent(Duration::from_secs(1)));
        for seen in [lost, silent, Seen::None] {
            let standing = judge(&seen, &order(), &[]);
            assert!(matches!(standing, Standing::Lost(_)), "{standing:?}");
        }
    }
}
