//! Control groups (cgroup v2) as plain files.
//!
//! ```text
//! <our own cgroup>/autotune-<token>/runner          the runner
//!                                  /steps/<group>   one leaf for each process started
//! ```
//!
//! Only folders that this module has made, with a token in their name, are
//! ever killed or removed.
//!
//! The interface is described in the kernel's
//! `Documentation/admin-guide/cgroup-v2.rst`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::Interest;

use super::watch::watch;

const PREFIX: &str = "autotune-";

/// The cgroup of one sitting, or a part of it.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of a sitting below our own; `None` where no cgroup v2
    /// is mounted or ours cannot be written.
    pub fn create(token: &str) -> Option<Self> {
        let path = own_cgroup()?.join(format!("{PREFIX}{token}"));
        let cgroup = Self { path };
        let made = fs::create_dir(&cgroup.path)
            .and_then(|()| fs::create_dir(cgroup.path.join("runner")))
            .and_then(|()| fs::create_dir(cgroup.path.join("steps")));
        if made.is_err() {
            cgroup.remove();
            return None;
        }
        Some(cgroup)
    }

    /// The cgroup that [`create`](Self::create) has made for `token`, wherever
    /// `path` says that it is; `None` when the path is not of that form.
    pub fn known(path: &Path, token: &str) -> Option<Self> {
        let named = path.file_name()?.to_str()? == format!("{PREFIX}{token}");
        let is_cgroup = path.join("cgroup.procs").exists();
        (named && token.len() >= 16 && is_cgroup).then(|| Self {
            path: path.to_owned(),
        })
    }

    /// The cgroup of a sitting below our own, if there is one.
    pub fn find(token: &str) -> Option<Self> {
        let path = own_cgroup()?.join(format!("{PREFIX}{token}"));
        Self::known(&path, token)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The part in which all that the steps start lives.
    pub fn steps(&self) -> Self {
        Self {
            path: self.path.join("steps"),
        }
    }

    /// The part in which the runner lives.
    pub fn runner(&self) -> Self {
        Self {
            path: self.path.join("runner"),
        }
    }

    /// Makes a leaf.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn leaf(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// `cgroup.procs`, open for a child to write itself into.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_procs(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.procs"))
    }

    /// The processes in it and below.
    pub fn members(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        self.walk(&mut |path| {
            let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            pids.extend(
                text.lines()
                    .filter_map(|line| line.trim().parse::<i32>().ok()),
            );
        });
        pids
    }

    /// Sends SIGKILL to everything in it, also to what is just being forked.
    pub fn kill(&self) {
        if fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Before Linux 5.14: nobody can fork while frozen.
        let freeze = |state: &str| drop(fs::write(self.path.join("cgroup.freeze"), state));
        freeze("1");
        for pid in self.members() {
            // The pid cannot be reused while its process is frozen in here.
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        freeze("0");
    }

    /// Whether a process is alive in it.
    pub fn populated(&self) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
    }

    /// Waits until no process is alive in it, at most for `limit`; whether that
    /// came to be.
    pub async fn until_empty(&self, limit: Duration) -> bool {
        // The file signals a change by POLLPRI.
        let watched = File::open(self.path.join("cgroup.events"))
            .and_then(|file| watch(file.into(), Interest::PRIORITY));
        let Ok(watched) = watched else {
            return !self.populated();
        };
        let wait = async {
            while self.populated() {
                match watched.ready(Interest::PRIORITY).await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(limit, wait).await;
        !self.populated()
    }

    /// How many processes the kernel has killed in it for want of memory;
    /// `None` without the memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("memory.events")).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    }

    /// Moves the calling process out of it, to its parent, and removes it. Where
    /// the parent may not have processes of its own it stays, empty.
    pub fn leave_and_remove(&self) {
        if let Some(parent) = self.path.parent()
            && fs::write(parent.join("cgroup.procs"), "0").is_ok()
        {
            self.remove();
        }
    }

    /// Removes it with all below; what still has processes stays.
    pub fn remove(&self) {
        let mut folders = Vec::new();
        self.walk(&mut |path| folders.push(path.to_owned()));
        for folder in folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Visits it and everything below, parents first.
    fn walk(&self, visit: &mut dyn FnMut(&Path)) {
        let mut stack = vec![self.path.clone()];
        while let Some(path) = stack.pop() {
            visit(&path);
            let Ok(entries) = fs::read_dir(&path) else {
                continue;
            };
            let folders = entries
                .flatten()
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
            stack.extend(folders.map(|entry| entry.path()));
        }
    }
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

/// Whether trials can have cgroups of their own here.
pub fn available() -> bool {
    let token = crate::base::random::token();
    Cgroup::create(&token)
        .map(|cgroup| cgroup.remove())
        .is_some()
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
    fn only_cgroups_with_a_token_are_known() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(Cgroup::known(folder.path(), "").is_none());
        assert!(Cgroup::known(Path::new("/sys/fs/cgroup"), "0123456789abcdef").is_none());
    }
}
