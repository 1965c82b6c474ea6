//! `[limits]`: what a trial may take of the host.

use super::reader::{Reader, Section};
use crate::model::spec::Limits;

/// The kernel has no more process numbers.
const MOST_PIDS: u32 = 1 << 22;

pub(super) fn read(r: &mut Reader<'_>, section: Option<Section<'_>>, cgroup: bool) -> Limits {
    let mut limits = Limits::default();
    let Some(mut section) = section else {
        return limits;
    };
    let span = section.span.clone();
    if let Some(node) = section.take("memory_max") {
        limits.memory_max = node.size(r);
        if limits.memory_max.is_some_and(|size| size < 1 << 20) {
            r.error(&node.span, "`memory_max` must be 1 MiB at least");
        }
        // A trial that swaps measures the disk.
        limits.swap_max = Some(0);
    }
    if let Some(node) = section.take("swap_max") {
        if limits.swap_max.is_none() {
            r.error(&node.span, "`swap_max` belongs to `memory_max`: give both");
        }
        limits.swap_max = node.size(r);
    }
    let pids_max = section.take("pids_max");
    limits.pids_max = pids_max.and_then(|node| node.whole32(r, 1..=MOST_PIDS));
    if let Some(node) = section.take("cpus")
        && let Some(cpus) = node.number(r)
    {
        if !(0.01..=65536.0).contains(&cpus.get()) {
            r.error(
                &node.span,
                "`cpus` must be a number of cores, 0.01 or more: 3.5",
            );
        }
        limits.cpus = Some(cpus.get());
    }
    let required = section.take("required").and_then(|node| node.truth(r));
    limits.required = required.unwrap_or(false);
    section.finish(r);
    if !cgroup {
        r.error_help(
            &span,
            "limits need cgroups, which `cgroup = false` in [host] takes away",
            "leave one of the two out",
        );
    }
    limits
}
