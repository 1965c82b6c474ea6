//! What every trial needs of a host: memory, files, the right time, and what
//! proves to us who a server on the net is.

use std::path::Path;

use super::finding::{Check, Finding};
use crate::base::clock;
use crate::base::quantity::show_size;
use crate::exec::{self, delegation, files};
use crate::model::spec::Limits;

/// With less memory than this hardly anything can be started, in bytes.
const LITTLE_MEMORY: u64 = 512 << 20;
/// What every system lets a program open.
const USUAL_FILES: u64 = 1024;
/// Servers of many connections ask for more than this.
const SERVER_FILES: u64 = 4096;
/// This program is younger: 2025-01-01.
const YOUNGEST: i64 = 1_735_689_600_000;
/// Where systems keep the certificates of authorities.
const CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How much memory there is; `limits` are the study's.
pub fn look_at_memory(limits: &Limits) -> Vec<Finding> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| meminfo(&text, name);
    let (Some(total), Some(available)) = (bytes("MemTotal"), bytes("MemAvailable")) else {
        return Vec::new();
    };
    let memory = Memory {
        total,
        available,
        left_by_cgroup: delegation::memory_left(),
    };
    vec![judge_memory(memory, limits.memory_max)]
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.strip_prefix(':')?.split_whitespace().next()?;
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// All in bytes.
struct Memory {
    total: u64,
    available: u64,
    left_by_cgroup: Option<u64>,
}

fn judge_memory(memory: Memory, memory_max: Option<u64>) -> Finding {
    let Memory {
        total,
        available,
        left_by_cgroup,
    } = memory;
    let by_cgroup = left_by_cgroup.filter(|left| *left < available);
    let usable = by_cgroup.unwrap_or(available);
    let text = match by_cgroup {
        None => format!("{} of {} available", show_size(available), show_size(total)),
        Some(left) => format!(
            "{} left by the memory limit of the service or session, of {} in the host",
            show_size(left),
            show_size(total)
        ),
    };
    let remedy = match by_cgroup {
        None => "see what takes it: ps aux --sort=-rss",
        Some(_) => "raise the limit: MemoryMax= of the unit, or that of the container",
    };
    if let Some(max) = memory_max.filter(|max| *max > usable) {
        let text = format!(
            "{text}, and `memory_max` in [limits] lets a trial take {}",
            show_size(max)
        );
        return Finding::warning(Check::Memory, text, remedy);
    }
    if usable < LITTLE_MEMORY {
        return Finding::warning(Check::Memory, text, remedy);
    }
    Finding::ok(Check::Memory, text)
}

/// How many files the steps' programs may open.
pub fn look_at_open_files() -> Vec<Finding> {
    let (soft, hard) = files::for_programs();
    vec![judge_open_files(soft, hard)]
}

fn judge_open_files(soft: Option<u64>, hard: Option<u64>) -> Finding {
    let shown = |limit: Option<u64>| limit.map_or("any number".to_owned(), |n| n.to_string());
    let text = format!(
        "a program may open {} files, {} if it asks",
        shown(soft),
        shown(hard)
    );
    let is_low =
        soft.is_some_and(|soft| soft < USUAL_FILES) || hard.is_some_and(|hard| hard < SERVER_FILES);
    if is_low {
        let remedy = "raise it: ulimit -n, LimitNOFILE= of the unit, nofile in limits.conf(5)";
        return Finding::warning(Check::OpenFiles, text, remedy);
    }
    Finding::ok(Check::OpenFiles, text)
}

/// Whether the time is right.
pub fn look_at_clock() -> Vec<Finding> {
    let now = clock::now();
    vec![judge_clock(
        now.as_millis(),
        &now.to_string(),
        exec::clock::is_synchronised(),
    )]
}

fn judge_clock(now: i64, shown: &str, synchronised: Option<bool>) -> Finding {
    let remedy = "let it follow a time server: timedatectl set-ntp true, or chrony";
    if now < YOUNGEST {
        let text = format!("the clock is wrong: it shows {shown}");
        return Finding::error(Check::Clock, text, remedy);
    }
    match synchronised {
        Some(true) => Finding::ok(Check::Clock, "follows a time server"),
        Some(false) => {
            let text = format!("the clock follows no time server; it shows {shown}");
            let remedy =
                format!("{remedy}; nothing to do where the host of a virtual machine sets it");
            Finding::warning(Check::Clock, text, remedy)
        }
        None => Finding::ok(Check::Clock, format!("shows {shown}")),
    }
}

/// Whether servers on the net can prove who they are.
pub fn look_at_certificates() -> Vec<Finding> {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os);
    let named = named.into_iter().flatten().map(Into::into);
    let usual = CERTIFICATES.map(Into::into);
    let mut places = named.chain(usual);
    let found = places.find(|place: &std::path::PathBuf| place.exists());
    vec![judge_certificates(found.as_deref())]
}

fn judge_certificates(found: Option<&Path>) -> Finding {
    match found {
        Some(place) => Finding::ok(Check::Certificates, format!("{}", place.display())),
        None => Finding::warning(
            Check::Certificates,
            "there are no certificates of authorities: nothing can be sent over https",
            "install ca-certificates; nothing to do where nothing is sent",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    const GIB: u64 = 1 << 30;

    #[test]
    fn memory_is_what_host_and_cgroup_leave() {
        let text = "MemTotal:       16318480 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n";
        assert_eq!(meminfo(text, "MemAvailable"), Some(12_000_000 * 1024));
        assert_eq!(meminfo(text, "MemA"), None);
        let judge = |available, left_by_cgroup, max| {
            let memory = Memory {
                total: 64 * GIB,
                available,
                left_by_cgroup,
            };
            judge_memory(memory, max)
        };
        assert_eq!(judge(40 * GIB, None, Some(30 * GIB)).state, State::Ok);
        assert_eq!(
            judge(40 * GIB, Some(50 * GIB), None).text,
            "40.0 GiB of 64.0 GiB available"
        );
        let small = judge(40 * GIB, Some(8 * GIB), Some(30 * GIB));
        assert_eq!(small.state, State::Warning);
        assert!(
            small.text.contains("lets a trial take 30.0 GiB"),
            "{small:?}"
        );
        assert!(small.remedy.contains("MemoryMax="), "{small:?}");
        assert_eq!(judge(GIB / 4, None, None).state, State::Warning);
    }

    #[test]
    fn few_open_files_are_told() {
        let state = |soft, hard| judge_open_files(soft, hard).state;
        assert_eq!(state(Some(1024), Some(524_288)), State::Ok);
        assert_eq!(state(None, None), State::Ok);
        assert_eq!(state(Some(256), Some(524_288)), State::Warning);
        assert_eq!(state(Some(1024), Some(1024)), State::Warning);
    }

    #[test]
    fn a_wrong_clock_is_told() {
        let state = |now, synchronised| judge_clock(now, "then", synchronised).state;
        assert_eq!(state(0, Some(true)), State::Error);
        assert_eq!(state(YOUNGEST, Some(true)), State::Ok);
        assert_eq!(state(YOUNGEST, Some(false)), State::Warning);
        assert_eq!(state(YOUNGEST, None), State::Ok);
    }
}
