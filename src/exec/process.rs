//! A process group: one process that a step starts, with all that comes of it.
//!
//! The group is what the whole tree is found by: a cgroup leaf where there is
//! one; otherwise the descendants of the first process, its session, and every
//! process that carries the group's name in its environment. Nothing outside
//! the group is ever signalled: a pid is turned into a pidfd first, and its
//! membership is checked again while the pidfd pins it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::cgroup::Cgroup;
use super::environment;
use super::spawn::{Spawn, Spawned};
use super::watch::watch;
use crate::model::outcome::Ending;

/// What is to be started.
pub struct Program<'a> {
    /// Program and arguments; never empty.
    pub command: &'a [String],
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub workdir: &'a Path,
    /// Where its output and its errors go.
    pub output: File,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// A started process and all that comes of it.
pub struct Group {
    name: String,
    token: String,
    leader: Pid,
    pidfd: AsyncFd<OwnedFd>,
    cgroup: Option<Cgroup>,
    start_ticks: u64,
    grace: Duration,
    ended: OnceCell<Ending>,
    oom_kills: OnceCell<u64>,
}

impl Group {
    /// Starts a program as the first process of a group of its own, in a
    /// session of its own. It dies with the calling thread, which must
    /// therefore be the runner's main thread.
    ///
    /// # Errors
    /// When it cannot be started; the folder it was to run in is checked first,
    /// so that its absence is not taken for the program's.
    pub fn start(
        program: Program<'_>,
        name: String,
        token: &str,
        within: Option<&Cgroup>,
    ) -> io::Result<Self> {
        let Program {
            command,
            mut env,
            workdir,
            output,
            grace,
        } = program;
        if !workdir.is_dir() {
            let text = format!("its folder {} is not there", workdir.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        env.insert(environment::TRIAL_ID.into(), token.into());
        env.insert(environment::STEP_ID.into(), name.clone().into());
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        let cgroup = within.map(|steps| steps.leaf(&name)).transpose()?;
        let null = File::open("/dev/null")?;
        let spawn = Spawn {
            command: &command,
            env: &env,
            workdir,
            streams: [null.as_fd(), output.as_fd(), output.as_fd()],
            cgroup: cgroup.as_ref(),
            dies_with_caller: true,
        };
        let Spawned { pid: leader, pidfd } = spawn.start().inspect_err(|_| {
            if let Some(cgroup) = &cgroup {
                cgroup.remove();
            }
        })?;
        let start_ticks = start_ticks(leader.as_raw_nonzero().get()).unwrap_or_default();
        Ok(Self {
            name,
            token: token.to_owned(),
            leader,
            pidfd: watch(pidfd, Interest::READABLE)?,
            cgroup,
            start_ticks,
            grace,
            ended: OnceCell::new(),
            oom_kills: OnceCell::new(),
        })
    }

    /// The first process.
    pub fn pid(&self) -> u32 {
        self.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// When the first process started, in clock ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// The time that it is given between SIGTERM and SIGKILL.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Waits until the first process has ended and says how.
    pub async fn ended(&self) -> Ending {
        loop {
            if let Some(ending) = self.ended.get() {
                return ending.clone();
            }
            match self.try_reap() {
                Ok(Some(ending)) => return self.ended.get_or_init(|| ending).clone(),
                Ok(None) => match self.pidfd.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(error) => return Ending::CouldNotStart(Box::new(error.to_string())),
                },
                // Somebody else has reaped it, so how it ended is lost.
                Err(error) => {
                    let why = Box::new(error.to_string());
                    drop(self.ended.set(Ending::CouldNotStart(why)));
                }
            }
        }
    }

    fn try_reap(&self) -> io::Result<Option<Ending>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let id = rustix::process::WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let Some(status) = rustix::process::waitid(id, options)? else {
            return Ok(None);
        };
        Ok(Some(match status.terminating_signal() {
            // A first process may also end itself once its workers are gone.
            _ if status.exit_status() != Some(0) && self.oom_kills() > 0 => Ending::OomKilled,
            Some(signal) => Ending::Signalled(signal),
            None => Ending::Exited(status.exit_status().unwrap_or_default()),
        }))
    }

    /// How often something of the group was killed for want of memory, by the
    /// kernel or by systemd-oomd, as far as that can be known.
    pub fn oom_kills(&self) -> u64 {
        let now = || {
            let cgroup = self.cgroup.as_ref()?;
            let by_kernel = cgroup.counter("memory.events", "oom_kill");
            // With memory.oom.group it kills all of the steps together.
            let of_steps = cgroup.path().parent().map(Cgroup::at);
            let by_oomd = cgroup.oomd_kills() + of_steps.map_or(0, |steps| steps.oomd_kills());
            Some(by_kernel.unwrap_or_default() + by_oomd)
        };
        let kept = self.oom_kills.get().copied();
        kept.or_else(now).unwrap_or_default()
    }

    /// Asks every process of the group to end.
    pub fn terminate(&self) {
        drop(self.signal(Signal::TERM));
    }

    /// Ends every process of the group at once.
    pub fn kill(&self) {
        drop(self.kill_round());
    }

    /// The same. Returns the processes that it found, where it had to look for
    /// them: one that was forked meanwhile is not among them.
    fn kill_round(&self) -> Vec<OwnedFd> {
        match &self.cgroup {
            Some(cgroup) => {
                cgroup.kill();
                Vec::new()
            }
            None => self.signal(Signal::KILL),
        }
    }

    /// Kills what is left of the group and waits until nothing of it is alive,
    /// at most for `limit`; whether that came to be. The first process is
    /// reaped.
    pub async fn clear(&self, limit: Duration) -> bool {
        let clear = async {
            loop {
                let killed = self.kill_round();
                self.ended().await;
                // Only what was killed is waited for: what was forked in
                // between would live on, and is killed in the next round.
                await_all(killed).await;
                let empty = match &self.cgroup {
                    Some(cgroup) => cgroup.until_empty(Duration::MAX).await,
                    None => self.pinned().is_empty(),
                };
                if empty {
                    return;
                }
            }
        };
        let cleared = tokio::time::timeout(limit, clear).await.is_ok();
        if cleared && let Some(cgroup) = &self.cgroup {
            let _ = self.oom_kills.set(self.oom_kills());
            cgroup.remove();
        }
        cleared
    }

    /// Waits until every process of the group that is alive now has ended;
    /// whether the group is empty then. Without a cgroup there may be newer
    /// ones.
    pub async fn until_empty(&self) -> bool {
        if let Some(cgroup) = &self.cgroup {
            return cgroup.until_empty(Duration::MAX).await;
        }
        let alive = self.pinned().into_iter().map(|(_, pidfd)| pidfd);
        await_all(alive.collect()).await;
        self.pinned().is_empty()
    }

    /// The processes of the group that are alive.
    pub fn members(&self) -> Vec<i32> {
        match &self.cgroup {
            Some(cgroup) => cgroup.members(),
            None => self.pinned().into_iter().map(|(pid, _)| pid).collect(),
        }
    }

    fn signal(&self, signal: Signal) -> Vec<OwnedFd> {
        let found = self.pinned().into_iter().map(|(_, pidfd)| pidfd);
        found
            .inspect(|pidfd| {
                // It may have ended in between, which is all that is wanted.
                let _ = rustix::process::pidfd_send_signal(pidfd, signal);
            })
            .collect()
    }

    /// The processes of the group, each pinned by a pidfd: opened first,
    /// checked afterwards, so that a pid that was reused in between is not
    /// taken for a member.
    fn pinned(&self) -> Vec<(i32, OwnedFd)> {
        let find = || match &self.cgroup {
            Some(cgroup) => cgroup.members(),
            None => self.tree(),
        };
        let before: Vec<(i32, OwnedFd)> = find()
            .into_iter()
            .filter_map(|pid| {
                let raw = Pid::from_raw(pid)?;
                // Never ourselves, and never everybody.
                let ours = raw != rustix::process::getpid() && pid > 1;
                let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::NONBLOCK);
                Some((pid, pidfd.ok()?)).filter(|_| ours)
            })
            .collect();
        if before.is_empty() {
            return before;
        }
        let still = find();
        before
            .into_iter()
            .filter(|(pid, _)| still.contains(pid))
            .collect()
    }

    /// Whether it is plain, without a look at every process of the machine,
    /// that nothing of the group has outlived its first process: orphans come
    /// to us, and each of our children says that it is of another group.
    fn has_no_orphans(&self) -> bool {
        let of_another = |pid: i32| {
            std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                let mut entries = environ.split(|byte| *byte == 0);
                let prefix = format!("{}=", environment::STEP_ID);
                let named = entries.find_map(|entry| entry.strip_prefix(prefix.as_bytes()));
                named.is_some_and(|named| named != self.name.as_bytes())
            })
        };
        own_children().is_some_and(|children| children.into_iter().all(of_another))
    }

    /// The group without a cgroup: the first process, its descendants, its
    /// session, and who carries its name.
    fn tree(&self) -> Vec<i32> {
        if self.ended.get().is_some() && self.has_no_orphans() {
            return Vec::new();
        }
        let leader = self.leader.as_raw_nonzero().get();
        let leader_lives = self.ended.get().is_none();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let alive = snapshot();
        let mut members: Vec<i32> = Vec::new();
        if leader_lives {
            members.push(leader);
        }
        for process in &alive {
            let named = || {
                carries(process.pid, environment::TRIAL_ID, &self.token)
                    && carries(process.pid, environment::STEP_ID, &self.name)
            };
            // While somebody is in the session its number is not reused; once
            // the first process is gone that is no longer certain, so then it
            // must be a descendant of ours too: orphans come to a sub-reaper.
            let in_session = process.session == leader
                && (leader_lives || is_descendant(process.pid, own, &alive));
            if !members.contains(&process.pid) && (in_session || named()) {
                members.push(process.pid);
            }
        }
        // Descendants that have changed both session and environment.
        let mut index = 0;
        while index < members.len() {
            let parent = members[index];
            let children = alive.iter().filter(|process| process.parent == parent);
            for child in children {
                if !members.contains(&child.pid) {
                    members.push(child.pid);
                }
            }
            index += 1;
        }
        members.retain(|pid| alive.iter().any(|process| process.pid == *pid));
        members
    }
}

/// Waits until each of these processes has ended.
async fn await_all(processes: Vec<OwnedFd>) {
    for pidfd in processes {
        if let Ok(pidfd) = watch(pidfd, Interest::READABLE) {
            let _ = pidfd.readable().await;
        }
    }
}

/// A process as `/proc` shows it.
struct Process {
    pid: i32,
    parent: i32,
    session: i32,
}

/// All processes that are alive; zombies are not.
fn snapshot() -> Vec<Process> {
    let Ok(processes) = procfs::process::all_processes() else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat| !matches!(stat.state, 'Z' | 'X'))
        .map(|stat| Process {
            pid: stat.pid,
            parent: stat.ppid,
            session: stat.session,
        })
        .collect()
}

fn is_descendant(pid: i32, of: i32, alive: &[Process]) -> bool {
    let mut pid = pid;
    // A chain longer than this is a loop in an inconsistent snapshot.
    for _ in 0..1000 {
        match alive.iter().find(|process| process.pid == pid) {
            Some(process) if process.parent == of => return true,
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    false
}

/// Kills every descendant of this process, round after round until none is
/// left, at most for `limit`; whether that came to be. For the end of a
/// sitting: it gets also what has changed its session and its environment.
pub async fn kill_descendants(limit: Duration) -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let find = || -> Vec<i32> {
        let alive = snapshot();
        let descends = alive
            .iter()
            .filter(|process| is_descendant(process.pid, own, &alive));
        descends.map(|process| process.pid).collect()
    };
    let rounds = async {
        loop {
            reap_orphans(&[]);
            // Whoever descends from us has a parent that does, up to a child.
            if own_children().is_some_and(|children| children.is_empty()) {
                return;
            }
            let pinned: Vec<(i32, OwnedFd)> = find()
                .into_iter()
                .filter_map(|pid| {
                    let pidfd =
                        rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK);
                    Some((pid, pidfd.ok()?))
                })
                .collect();
            if pinned.is_empty() {
                return;
            }
            let still = find();
            for (pid, pidfd) in pinned {
                if still.contains(&pid) {
                    let _ = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
                    if let Ok(pidfd) = watch(pidfd, Interest::READABLE) {
                        let _ = pidfd.readable().await;
                    }
                }
            }
        }
    };
    tokio::time::timeout(limit, rounds).await.is_ok()
}

/// Whether a process, as far as we may look into it, is of any trial.
pub fn is_of_trial(pid: i32) -> bool {
    let name = environment::TRIAL_ID.as_bytes();
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut entries = environ.split(|byte| *byte == 0);
    entries.any(|entry| {
        entry
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(b"="))
    })
}

/// Whether a process of our own user has `name=value` in its environment.
pub(super) fn carries(pid: i32, name: &str, value: &str) -> bool {
    let Ok(environ) = std::fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    let wanted = [name.as_bytes(), b"=", value.as_bytes()].concat();
    environ
        .split(|byte| *byte == 0)
        .any(|entry| entry == wanted)
}

/// Whether a process has a variable of that name in its environment, as far as
/// that can be read; one whose environment cannot be has it for all we know.
pub(super) fn has_variable(pid: i32, name: &str) -> bool {
    let Ok(environ) = std::fs::read(format!("/proc/{pid}/environ")) else {
        return true;
    };
    let begins = [name.as_bytes(), b"="].concat();
    let mut entries = environ.split(|byte| *byte == 0);
    entries.any(|entry| entry.starts_with(&begins))
}

/// When a process started, in clock ticks since boot.
pub fn start_ticks(pid: i32) -> Option<u64> {
    Some(
        procfs::process::Process::new(pid)
            .ok()?
            .stat()
            .ok()?
            .starttime,
    )
}

/// The direct children of this process, as the kernel lists them for each of
/// its threads; `None` where it keeps no such list (CONFIG_PROC_CHILDREN).
fn own_children() -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let text = std::fs::read_to_string(task.path().join("children"));
        match text {
            Ok(text) => children.extend(
                text.split_whitespace()
                    .filter_map(|n| n.parse::<i32>().ok()),
            ),
            // A thread that has just ended has none.
            Err(_) if !task.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(children)
}

/// Reaps the children of this process that it did not start itself: orphans of
/// the groups, which come to a sub-reaper when their parents end.
pub fn reap_orphans(groups: &[u32]) {
    let children = own_children().unwrap_or_else(|| {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let all = procfs::process::all_processes()
            .into_iter()
            .flatten()
            .flatten();
        let stats = all.filter_map(|process| process.stat().ok());
        stats
            .filter(|stat| stat.ppid == own)
            .map(|stat| stat.pid)
            .collect()
    });
    for child in children {
        if groups.contains(&child.unsigned_abs()) {
            continue;
        }
        let Some(pid) = Pid::from_raw(child) else {
            continue;
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = rustix::process::waitid(rustix::process::WaitId::Pid(pid), options);
    }
}
