//! The runner: one sitting of a trial, in a process of its own.
//!
//! ```text
//!   read the order ─ enter the cgroup ─ services ─ tasks and runs ─┐
//!          │ stop, kill, or the daemon's end: at any moment        │
//!          └───────────────────────────────────────────────────────┴─ end ─ result
//! ```
//!
//! - The control pipe is standard input. `s` asks for an orderly end, `k` for
//!   one at once; when the pipe closes the daemon is dead, which is an orderly
//!   end too. So are SIGTERM and SIGINT: `pkill autotuned` reaches the runner
//!   as well. SIGHUP is left to the daemon. Control is looked at before anything else, whatever the
//!   sitting waits for.
//! - The work holds no process: groups live in `Sitting`, so dropping the
//!   work in its midst leaves them to be ended in order.
//! - The result is written last, when nothing of the sitting is alive.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cause::Kernel;
use super::cgroup::Cgroup;
use super::environment;
use super::gather::Made;
use super::order::{Invocation, ORDER_FILE, Order, StepOrder};
use super::process::{self, Group, Program};
use super::report::{RESULT_FILE, Report, Reporter, SittingResult};
use super::work;
use crate::base::{clock, file};
use crate::model::reason;

/// The name of the file that says which process the runner is. It is there
/// before the order is read: whoever takes the order away and finds no such
/// file knows that nothing will be begun.
pub const RUNNER_FILE: &str = "runner.json";
/// How long killed processes may take to be gone: one in an uninterruptible
/// state (a sick GPU or disk) takes longer, and is then reported.
const KILL_LIMIT: Duration = Duration::from_secs(30);
/// How long the `stop` commands may take.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How long they may take when the end is to be at once.
const KILLED_STOP_LIMIT: Duration = Duration::from_secs(5);

/// Why a runner cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The folder does not hold a sitting.
    #[error("{path} is not the order of a sitting: {source}")]
    Order {
        /// The order's file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// Standard input is not the daemon's pipe.
    #[error("this verb is for the daemon, which talks to it through a pipe: use `autotuned try`")]
    NoPipe,
    /// The system refused something.
    #[error("failed to {what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// What the daemon says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Stop,
    Kill,
}

/// One sitting, and all that it has started.
pub(super) struct Sitting {
    pub(super) order: Order,
    cgroup: Option<Cgroup>,
    groups: RefCell<Vec<Rc<Group>>>,
    reporter: RefCell<Reporter>,
    started: RefCell<u32>,
    pub(super) made: RefCell<Made>,
}

/// Which process a runner is.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    pub(super) start_ticks: u64,
    pub(super) boot_id: String,
}

/// Carries out the sitting in `folder` and leaves nothing of it alive.
///
/// # Errors
/// When the sitting cannot be begun. Everything that goes wrong within it is
/// part of its result.
pub fn run(folder: &Path) -> Result<(), RunnerError> {
    let system = |what| move |source| RunnerError::System { what, source };
    // Its name would be that of the link by which it was started.
    let _ = rustix::thread::set_name(c"autotuned");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    runtime.block_on(async {
        // Nothing is written to a folder that is no sitting's.
        read_order(folder)?;
        let stdin = io::stdin();
        let stdin: OwnedFd = std::os::fd::AsFd::as_fd(&stdin)
            .try_clone_to_owned()
            .map_err(system("take the control pipe"))?;
        let pipe = pipe::Receiver::from_owned_fd(stdin).map_err(|_| RunnerError::NoPipe)?;
        let mut control = Control::new(pipe).map_err(system("listen to signals"))?;
        identify(folder).map_err(system("write runner.json"))?;
        let order = read_order(folder)?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| system("become a sub-reaper")(error.into()))?;
        let reporter = Reporter::create(folder).map_err(system("write events.jsonl"))?;
        let sitting = Sitting::begin(order, reporter);
        let result = sitting.carry_out(&mut control).await;
        if let (true, Some(cgroup)) = (control.is_closed(), &sitting.cgroup) {
            // Perhaps nobody comes after us who would.
            cgroup.leave_and_remove();
        }
        let reported = sitting.reporter.borrow_mut().conclude(&result);
        reported.map_err(system("write events.jsonl"))?;
        let text = serde_json::to_vec(&result).map_err(|e| system("write the result")(e.into()))?;
        file::replace(&folder.join(RESULT_FILE), &text).map_err(system("write the result"))
    })
}

fn read_order(folder: &Path) -> Result<Order, RunnerError> {
    let path = folder.join(ORDER_FILE);
    let read = std::fs::read(&path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from));
    read.map_err(|source| RunnerError::Order { path, source })
}

fn identify(folder: &Path) -> io::Result<()> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let start_ticks = process::start_ticks(pid).unwrap_or_default();
    let identity = Identity {
        pid,
        start_ticks,
        boot_id: clock::boot_id(),
    };
    // Whole or not at all. It need not outlive a power cut: the process does
    // not either.
    let new = folder.join(format!(".{RUNNER_FILE}.new"));
    std::fs::write(&new, serde_json::to_vec(&identity)?)?;
    std::fs::rename(new, folder.join(RUNNER_FILE))
}

struct Control {
    pipe: pipe::Receiver,
    signals: [Signal; 2],
}

impl Control {
    fn new(pipe: pipe::Receiver) -> io::Result<Self> {
        let signals = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        // What it means is the daemon's to decide.
        let _ = signal(SignalKind::hangup())?;
        Ok(Self { pipe, signals })
    }

    /// The next thing that the daemon says. Safe to drop while it waits.
    async fn next(&mut self) -> Command {
        let [terminate, interrupt] = &mut self.signals;
        loop {
            let said = tokio::select! {
                biased;
                said = self.pipe.read_u8() => said,
                _ = terminate.recv() => return Command::Stop,
                _ = interrupt.recv() => return Command::Stop,
            };
            match said {
                Ok(b'k') => return Command::Kill,
                // Standing order: without a daemon there is no trial.
                Ok(b's') | Err(_) => return Command::Stop,
                Ok(_) => {}
            }
        }
    }

    /// Whether the daemon is known to be gone.
    fn is_closed(&self) -> bool {
        matches!(self.pipe.try_read(&mut [0]), Ok(0))
    }

    /// Waits for a kill; a daemon that is gone sends none.
    async fn kill(&mut self) {
        loop {
            match self.pipe.read_u8().await {
                Ok(b'k') => return,
                Ok(_) => {}
                Err(_) => std::future::pending().await,
            }
        }
    }
}

impl Sitting {
    fn begin(mut order: Order, reporter: Reporter) -> Self {
        let cgroup = order
            .cgroup
            .take()
            .and_then(|path| Cgroup::known(&path, &order.token));
        Self {
            order,
            cgroup,
            groups: RefCell::default(),
            reporter: RefCell::new(reporter),
            started: RefCell::new(0),
            made: RefCell::default(),
        }
    }

    async fn carry_out(&self, control: &mut Control) -> SittingResult {
        for warning in &self.order.warnings {
            self.tell(Report::Warning(warning.clone()));
        }
        let work = async {
            tokio::select! {
                biased;
                command = control.next() => Err(command),
                result = work::carry_out(self) => Ok(result),
                () = reap(self) => Ok(SittingResult::Interrupted),
            }
        };
        let (result, at_once) = match work.await {
            Ok(result) => (result, false),
            Err(command) => (SittingResult::Interrupted, command == Command::Kill),
        };
        let stuck = self.end(control, at_once).await;
        self.note_last_artifacts().await;
        match stuck {
            None => result,
            Some(failure) => SittingResult::Failed(failure),
        }
    }

    /// Ends all that was started: the `stop` commands, SIGTERM, grace, SIGKILL,
    /// until none is left. A kill overtakes all of it but the `stop` commands,
    /// which are somebody else's programs and the only way to end what runs
    /// elsewhere: it leaves them a short time.
    async fn end(
        &self,
        control: &mut Control,
        at_once: bool,
    ) -> Option<super::report::FailureReport> {
        let started: Vec<Rc<Group>> = self.groups.borrow().clone();
        let mut stops = std::pin::pin!(self.run_stops());
        let mut stops_over = false;
        let killed = if at_once {
            true
        } else {
            let in_order = async {
                let stopped = tokio::time::timeout(STOP_LIMIT, &mut stops).await;
                self.warn_of_stops(stopped.is_ok());
                stops_over = true;
                Self::terminate(&started).await;
            };
            tokio::select! {
                biased;
                () = control.kill() => true,
                () = in_order => false,
            }
        };
        if killed {
            started.iter().for_each(|group| group.kill());
            if !stops_over {
                let stopped = tokio::time::timeout(KILLED_STOP_LIMIT, stops).await;
                self.warn_of_stops(stopped.is_ok());
            }
        }
        let groups: Vec<Rc<Group>> = self.groups.borrow().clone();
        let mut cleared = true;
        for group in &groups {
            cleared &= group.clear(KILL_LIMIT).await;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.steps().kill();
            cleared &= cgroup.steps().until_empty(KILL_LIMIT).await;
        }
        cleared &= process::kill_descendants(KILL_LIMIT).await;
        (!cleared).then(|| {
            let left: Vec<String> = groups
                .iter()
                .flat_map(|g| g.members())
                .map(|p| p.to_string())
                .collect();
            work::not_released(reason::HANGS_IN_KERNEL.say([&left.join(", ")]))
        })
    }

    /// SIGTERM, and for each group the grace of its own step.
    async fn terminate(groups: &[Rc<Group>]) {
        groups.iter().for_each(|group| group.terminate());
        let begun = tokio::time::Instant::now();
        let mut by_grace: Vec<&Rc<Group>> = groups.iter().collect();
        by_grace.sort_by_key(|group| group.grace());
        for group in by_grace {
            let gone = async { while !group.until_empty().await {} };
            if tokio::time::timeout_at(begun + group.grace(), gone)
                .await
                .is_err()
            {
                group.kill();
            }
        }
    }

    async fn run_stops(&self) {
        for step in self.order.steps.iter().rev() {
            if let Some(stop) = &step.stop {
                self.run_stop(step, stop).await;
            }
        }
    }

    async fn run_stop(&self, step: &StepOrder, stop: &Invocation) {
        let output = std::fs::OpenOptions::new().write(true).open("/dev/null");
        match output.and_then(|output| self.start(step, None, stop, output)) {
            Ok(group) => drop(group.ended().await),
            Err(error) => self.tell(Report::Warning(format!(
                "the stop command of step `{}` could not be started: {error}, ignoring it",
                step.name
            ))),
        }
    }

    fn warn_of_stops(&self, stopped: bool) {
        if !stopped {
            let text = "the stop commands took too long and were killed: \
                        what they were to end may still run, ignoring it";
            self.tell(Report::Warning(text.to_owned()));
        }
    }

    /// Starts a program as a group of the sitting.
    pub(super) fn start(
        &self,
        step: &StepOrder,
        run: Option<u32>,
        invocation: &Invocation,
        output: std::fs::File,
    ) -> io::Result<Rc<Group>> {
        let number = {
            let mut started = self.started.borrow_mut();
            *started += 1;
            *started
        };
        let env = environment::for_step(std::env::vars_os(), &self.order.pass_env, &invocation.env);
        let program = Program {
            command: &invocation.command,
            env,
            workdir: &step.workdir,
            output,
            grace: step.stop_grace,
        };
        let steps = self.cgroup.as_ref().map(Cgroup::steps);
        let name = format!("{number}-{}", step.name);
        let group = Group::start(program, name, &self.order.token, steps.as_ref())?;
        let group = Rc::new(group);
        self.groups.borrow_mut().push(Rc::clone(&group));
        self.tell(Report::StepStarted {
            step: step.name.clone(),
            run,
            pid: group.pid(),
            start_ticks: group.start_ticks(),
        });
        Ok(group)
    }

    /// Ends one group at once, with its whole tree; whether that succeeded.
    pub(super) async fn clear(&self, group: &Rc<Group>) -> bool {
        let cleared = group.clear(KILL_LIMIT).await;
        if cleared {
            self.groups
                .borrow_mut()
                .retain(|known| !Rc::ptr_eq(known, group));
        }
        cleared
    }

    /// What the kernel has against the sitting, of which `group` is a part.
    /// Both memory and processes are counted since the sitting began.
    pub(super) fn kernel_cause(&self, group: &Group) -> Option<Kernel> {
        let counter = |file, name| {
            let steps = self.cgroup.as_ref()?.steps();
            steps.counter(file, name).filter(|count| *count > 0)
        };
        if group.oom_kills() > 0 {
            let Some(killed) = counter("memory.events", "oom_kill") else {
                return Some(Kernel::Oomd);
            };
            // The limit that was reached counts as `oom` in its own cgroup and
            // above, not below.
            let own = counter("memory.events", "oom").and_then(|_| self.order.limits.memory_hint());
            return Some(match own {
                Some(hint) => Kernel::MemoryLimit { hint, killed },
                None => Kernel::HostMemory { killed },
            });
        }
        let refused = counter("pids.events", "max")?;
        let max = self.order.limits.pids_max?;
        Some(Kernel::ProcessLimit { max, refused })
    }

    /// Every process of the sitting.
    pub(super) fn members(&self) -> Vec<i32> {
        self.groups
            .borrow()
            .iter()
            .flat_map(|group| group.members())
            .collect()
    }

    pub(super) fn tell(&self, report: Report) {
        self.reporter.borrow_mut().tell(report);
    }
}

/// Reaps orphans for as long as the sitting lasts; never returns.
async fn reap(sitting: &Sitting) {
    if let Ok(mut children) = signal(SignalKind::child()) {
        while children.recv().await.is_some() {
            let own: Vec<u32> = sitting
                .groups
                .borrow()
                .iter()
                .map(|group| group.pid())
                .collect();
            process::reap_orphans(&own);
        }
    }
    std::future::pending().await
}
