//! The part of the cgroup tree that is ours: where the cgroups of trials are
//! made, and which controllers work there.
//!
//! ```text
//! <home>                    ours to change, without processes of its own
//!      /autotune-daemon     this process
//!      /autotune-<token>    a sitting
//! ```
//!
//! A cgroup that has processes of its own can pass no controller on. So a
//! daemon that is alone in a cgroup that was delegated to it first makes itself
//! a leaf. In a cgroup that it shares, such as that of a shell, or that somebody
//! else manages, it stays where it is: trials get cgroups there too, without
//! limits.
//!
//! The kernel lets no process into a home that passes controllers on. That is
//! where systemd before version 254 puts a daemon that it starts; so the
//! service takes the controllers back whenever it has ended ([`release`]).
//!
//! Nothing of this is remembered: a daemon that is started again finds its
//! home by where it is, and a leaf that a killed one has left is used again.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cgroup::Cgroup;

/// The daemon's own cgroup within its home.
pub(super) const LEAF: &str = "autotune-daemon";
/// Where systemd runs what belongs to a service with a delegated cgroup besides
/// its main process.
const CONTROL: &str = ".control";
/// Those that limits need, and that tell what the kernel killed.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Where the cgroups of trials are made.
pub(super) fn home() -> Option<PathBuf> {
    let own = own_cgroup()?;
    Some(above_leaf(&own).map_or(own.clone(), Path::to_owned))
}

/// Makes a leaf for this process and enables the controllers, where the cgroup
/// that it is in is its own to change. To be called when the daemon starts.
pub fn settle() {
    let Some(own) = own_cgroup() else { return };
    let home = match above_leaf(&own) {
        Some(home) => home,
        None if is_ours(&own) && enter_leaf(&own).is_ok() => &own,
        None => return,
    };
    let home = Cgroup::at(home);
    for controller in CONTROLLERS {
        // Each alone: one that is not there must not keep the others away.
        let _ = home.enable(controller);
    }
}

/// Takes the controllers back from all below the service's cgroup, so that it
/// may have processes of its own again: systemd puts the next start there, also
/// while something that even SIGKILL did not end is still below. For the
/// service's `ExecStopPost=`, which systemd runs beside the daemon's leaf.
pub fn release() {
    let Some(own) = own_cgroup() else { return };
    let beside = [LEAF, CONTROL].map(|name| above(&own, name));
    if let Some(home) = beside.into_iter().flatten().next() {
        Cgroup::at(home).disable(&CONTROLLERS);
    }
}

fn enter_leaf(home: &Path) -> io::Result<()> {
    let leaf = home.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Cgroup::at(&leaf).set("cgroup.procs", "0"),
    }
}

/// The controllers that trials can have here, and those that they cannot, each
/// with the reason.
pub fn controllers() -> (Vec<&'static str>, Vec<(&'static str, String)>) {
    let mut there = Vec::new();
    let mut lacking = Vec::new();
    for controller in CONTROLLERS {
        match lack(controller) {
            None => there.push(controller),
            Some(why) => lacking.push((controller, why)),
        }
    }
    (there, lacking)
}

/// How much memory this process and what it starts may still take by the
/// cgroups that it is in, in bytes; `None` where none of them has a limit.
pub fn memory_left() -> Option<u64> {
    let own = own_cgroup()?;
    let number = |folder: &Path, file: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        text.trim().parse().ok()
    };
    let limited = own.ancestors().filter_map(|folder| {
        // `max` is no number.
        let most = number(folder, "memory.max")?;
        Some(most.saturating_sub(number(folder, "memory.current")?))
    });
    limited.min()
}

/// Why no trial could have this controller here, for a person.
pub(super) fn lack(controller: &str) -> Option<String> {
    let Some(own) = own_cgroup() else {
        return Some("there is no cgroup v2 here".to_owned());
    };
    let home = above_leaf(&own).unwrap_or(&own);
    let lists = |file: &str| {
        let text = fs::read_to_string(home.join(file)).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller)
    };
    if lists("cgroup.subtree_control") {
        return None;
    }
    if !lists("cgroup.controllers") {
        return Some(format!(
            "the cgroup {} has no {controller} controller",
            home.display()
        ));
    }
    // It would be enabled at the start.
    if home == own && !is_ours(&own) {
        return Some(format!(
            "the cgroup {} is not for this program alone: run it as a service with Delegate=yes",
            own.display()
        ));
    }
    None
}

/// The home, when `own` is the leaf in it.
fn above_leaf(own: &Path) -> Option<&Path> {
    above(own, LEAF)
}

fn above<'a>(own: &'a Path, name: &str) -> Option<&'a Path> {
    own.parent()
        .filter(|_| own.file_name().is_some_and(|last| last == name))
}

/// Whether a cgroup is ours to change: not the root, nobody else in it, and
/// left to us by whoever manages it.
fn is_ours(own: &Path) -> bool {
    // The root has no such file.
    own.join("cgroup.type").exists() && is_alone(own) && is_delegated(own)
}

fn is_alone(own: &Path) -> bool {
    let pid = std::process::id().to_string();
    fs::read_to_string(own.join("cgroup.procs"))
        .is_ok_and(|text| text.lines().all(|line| line == pid))
}

/// systemd marks what it has delegated: for all to see since version 251, for
/// root before. A cgroup of another user than root is that user's.
fn is_delegated(own: &Path) -> bool {
    let marked = ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        rustix::fs::getxattr(own, *name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    });
    let uid = rustix::process::geteuid();
    let by_owner = if uid.is_root() {
        !Path::new("/run/systemd/system").exists()
    } else {
        fs::metadata(own.join("cgroup.subtree_control"))
            .is_ok_and(|file| file.uid() == uid.as_raw())
    };
    marked || by_owner
}

/// The cgroup that this process is in.
fn own_cgroup() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let (root, mount_point) = mounts.lines().find_map(cgroup2_mount)?;
    let below = Path::new(own).strip_prefix(root).ok()?;
    Some(Path::new(mount_point).join(below))
}

/// Root and mount point of a line of mountinfo (proc_pid_mountinfo(5)), if it
/// is cgroup v2.
fn cgroup2_mount(line: &str) -> Option<(&str, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let root = fields.nth(3)?;
    let mount_point = fields.next()?;
    (after.split(' ').next() == Some("cgroup2")).then_some((root, mount_point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
        assert_eq!(cgroup2_mount(unified), Some(("/", "/sys/fs/cgroup")));
        let old = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        assert_eq!(cgroup2_mount(old), None);
    }

    #[test]
    fn a_home_is_found_by_its_leaf() {
        let leaf = Path::new("/sys/fs/cgroup/a.service/autotune-daemon");
        assert_eq!(
            above_leaf(leaf),
            Some(Path::new("/sys/fs/cgroup/a.service"))
        );
        assert_eq!(above_leaf(Path::new("/sys/fs/cgroup/a.service")), None);
    }

    #[test]
    fn neither_the_root_nor_a_shared_cgroup_is_ours() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = folder.path();
        let procs = |text: &str| fs::write(own.join("cgroup.procs"), text).expect("written");
        let pid = std::process::id();
        procs(&format!("{pid}\n"));
        assert!(!is_ours(own), "a root has no type");
        fs::write(own.join("cgroup.type"), "domain\n").expect("written");
        assert!(is_alone(own));
        procs(&format!("1\n{pid}\n"));
        assert!(!is_alone(own));
        assert!(!is_ours(own));
    }
}
