//! Control groups (cgroup v2) as plain files.
//!
//! ```text
//! <home>/autotune-<token>/runner          the runner
//!                        /steps/<group>   one leaf for each process started
//! ```
//!
//! Where home is says [`super::delegation`]. Limits are those of `steps`
//! ([`super::limits`]), so that they hold for all that the steps start together.
//!
//! Only folders that this module has made, with a token in their name, are
//! ever killed or removed.
//!
//! The interface is described in the kernel's
//! `Documentation/admin-guide/cgroup-v2.rst`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::Interest;

use super::delegation;
use super::watch::watch;

const PREFIX: &str = "autotune-";

/// The cgroup of one sitting, or a part of it.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup of a sitting; `None` where no cgroup v2 is mounted or
    /// ours cannot be written.
    pub fn create(token: &str) -> Option<Self> {
        let path = delegation::home()?.join(format!("{PREFIX}{token}"));
        let cgroup = Self { path };
        let made = fs::create_dir(&cgroup.path)
            .and_then(|()| fs::create_dir(cgroup.path.join("runner")))
            .and_then(|()| fs::create_dir(cgroup.path.join("steps")));
        if made.is_err() {
            cgroup.remove();
            return None;
        }
        // Each leaf counts its own, so that it is known whom the kernel killed.
        let _ = cgroup
            .enable("memory")
            .and_then(|()| cgroup.steps().enable("memory"));
        Some(cgroup)
    }

    /// The cgroup at `path`, as it is.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
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

    /// The cgroup of a sitting in our home, if there is one.
    pub fn find(token: &str) -> Option<Self> {
        let path = delegation::home()?.join(format!("{PREFIX}{token}"));
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

    /// Has a controller work on what is right below it.
    ///
    /// # Errors
    /// When it has no such controller, or has processes of its own.
    pub(super) fn enable(&self, controller: &str) -> io::Result<()> {
        self.set("cgroup.subtree_control", &format!("+{controller}"))
    }

    /// Has these controllers work neither right below it nor further down,
    /// where that is ours to say.
    pub(super) fn disable(&self, controllers: &[&str]) {
        let mut folders = Vec::new();
        self.walk(&mut |path| folders.push(Self::at(path)));
        // A controller goes only once nobody further down has it.
        for folder in folders.iter().rev() {
            for controller in controllers {
                let _ = folder.set("cgroup.subtree_control", &format!("-{controller}"));
            }
        }
    }

    /// Writes a value to one of its files.
    ///
    /// # Errors
    /// When there is no such file, or the kernel refuses the value.
    pub(super) fn set(&self, file: &str, value: &str) -> io::Result<()> {
        // Opened and never made: what is not there is no file of the kernel's.
        let mut file = OpenOptions::new().write(true).open(self.path.join(file))?;
        file.write_all(value.as_bytes())
    }

    /// The number of `name` in one of its files of counters, such as
    /// `memory.events`; `None` without the controller.
    pub(super) fn counter(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.path.join(file)).ok()?;
        text.lines().find_map(|line| {
            let (key, number) = line.split_once(' ')?;
            (key == name).then(|| number.trim().parse().ok()).flatten()
        })
    }

    /// How often systemd-oomd has killed all that is in it: it notes that here
    /// before it kills.
    pub(super) fn oomd_kills(&self) -> u64 {
        let mut value = [0; 20];
        let length = rustix::fs::getxattr(&self.path, "user.oomd_ooms", &mut value);
        let text = length.ok().and_then(|length| value.get(..length));
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// Moves the calling process out of it, and removes it. Where neither its
    /// parent nor the daemon's leaf takes the process it stays, empty.
    pub fn leave_and_remove(&self) {
        let Some(home) = self.path.parent() else {
            return;
        };
        // With controllers the parent may not have processes of its own.
        let places = [home.to_owned(), home.join(delegation::LEAF)];
        let enter = |path| Self { path }.set("cgroup.procs", "0").is_ok();
        if places.into_iter().any(enter) {
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
    fn only_cgroups_with_a_token_are_known() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(Cgroup::known(folder.path(), "").is_none());
        assert!(Cgroup::known(Path::new("/sys/fs/cgroup"), "0123456789abcdef").is_none());
    }
}
