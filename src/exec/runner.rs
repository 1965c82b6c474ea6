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
//!   end too, and so is SIGTERM. Control is looked at before anything else, whatever the sitting
//!   waits for.
//! - The work holds no process: groups live in [`Sitting`], so dropping the
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

use super::cgroup::Cgroup;
use super::environment;
use super::order::{Invocation, ORDER_FILE, Order};
use super::process::{self, Group, Program};
use super::report::{RESULT_FILE, Report, Reporter, SittingResult};
use super::work;
use crate::base::{clock, file};

/// The name of the file that says which process the runner is.
pub const RUNNER_FILE: &str = "runner.json";
/// How long killed processes may take to be gone: one in an uninterruptible
/// state (a sick GPU or disk) takes longer, and is then reported.
const KILL_LIMIT: Duration = Duration::from_secs(30);
/// How long a `stop` command may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    runtime.block_on(async {
        let order = read_order(folder)?;
        let stdin = io::stdin();
        let stdin: OwnedFd = std::os::fd::AsFd::as_fd(&stdin)
            .try_clone_to_owned()
            .map_err(system("take the control pipe"))?;
        let mut control = Control {
            pipe: pipe::Receiver::from_owned_fd(stdin).map_err(|_| RunnerError::NoPipe)?,
            terminate: signal(SignalKind::terminate()).map_err(system("take up SIGTERM"))?,
        };
        identify(folder).map_err(system("write runner.json"))?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| system("become a sub-reaper")(error.into()))?;
        let reporter = Reporter::create(folder).map_err(system("write events.jsonl"))?;
        let sitting = Sitting::begin(order, reporter);
        let result = sitting.carry_out(&mut control).await;
        sitting.reporter.borrow_mut().conclude(&result);
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
    std::fs::write(folder.join(RUNNER_FILE), serde_json::to_vec(&identity)?)
}

struct Control {
    pipe: pipe::Receiver,
    terminate: Signal,
}

impl Control {
    /// The next thing that the daemon says. Safe to drop while it waits.
    async fn next(&mut self) -> Command {
        loop {
            let said = tokio::select! {
                biased;
                said = self.pipe.read_u8() => said,
                // Somebody wants an end of this process, which must take the
                // trial with it.
                _ = self.terminate.recv() => return Command::Stop,
            };
            match said {
                Ok(b'k') => return Command::Kill,
                // Standing order: without a daemon there is no trial.
                Ok(b's') | Err(_) => return Command::Stop,
                Ok(_) => {}
            }
        }
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
        }
    }

    async fn carry_out(&self, control: &mut Control) -> SittingResult {
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
        match stuck {
            None => result,
            Some(failure) => SittingResult::Failed(failure),
        }
    }

    /// Ends all that was started: SIGTERM, grace, SIGKILL, until none is left.
    async fn end(
        &self,
        control: &mut Control,
        at_once: bool,
    ) -> Option<super::report::FailureReport> {
        let at_once = at_once || self.run_stops(control).await;
        let groups: Vec<Rc<Group>> = self.groups.borrow().clone();
        if !at_once {
            // A step that has ended already has no say in how long this takes.
            let steps = self.order.steps.iter();
            let alive = steps.filter(|step| groups.iter().any(|group| group.is_of(&step.name)));
            let grace = alive.map(|step| step.stop_grace).max().unwrap_or_default();
            groups.iter().for_each(|group| group.terminate());
            let gone = async {
                for group in &groups {
                    while !group.until_empty().await {}
                }
            };
            tokio::select! {
                biased;
                () = control.kill() => {}
                _ = tokio::time::timeout(grace, gone) => {}
            }
        }
        let mut cleared = true;
        for group in &groups {
            cleared &= group.clear(KILL_LIMIT).await;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.steps().kill();
            cleared &= cgroup.steps().until_empty(KILL_LIMIT).await;
        }
        cleared &= process::kill_descendants(KILL_LIMIT).await;
        if at_once {
            // Whoever is in a hurry has waited for nothing; what runs elsewhere
            // must end all the same.
            self.run_stops(control).await;
            cleared &= process::kill_descendants(KILL_LIMIT).await;
        }
        (!cleared).then(|| {
            let left: Vec<String> = groups
                .iter()
                .flat_map(|g| g.members())
                .map(|p| p.to_string())
                .collect();
            work::not_released(format!(
                "SIGKILL did not end process {}: it hangs in the kernel (a sick GPU or disk?)",
                left.join(", ")
            ))
        })
    }

    /// Runs the `stop` commands, at most for as long as the limit says, since
    /// they are somebody else's programs; whether a kill came meanwhile.
    async fn run_stops(&self, control: &mut Control) -> bool {
        let stops = async {
            for step in self.order.steps.iter().rev() {
                if let Some(stop) = &step.stop {
                    self.run_stop(&step.name, stop).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = control.kill() => true,
            _ = tokio::time::timeout(STOP_LIMIT, stops) => false,
        }
    }

    async fn run_stop(&self, step: &str, stop: &Invocation) {
        let output = std::fs::OpenOptions::new().write(true).open("/dev/null");
        let started = output.and_then(|output| {
            let workdir = self
                .order
                .steps
                .iter()
                .find(|s| s.name == step)
                .map(|s| &s.workdir);
            let workdir = workdir.map_or(Path::new("/"), |workdir| workdir);
            self.start(step, None, stop, workdir, output)
        });
        match started {
            Ok(group) => drop(group.ended().await),
            Err(error) => self.tell(Report::Warning(format!(
                "the stop command of step `{step}` could not be started: {error}, ignoring it"
            ))),
        }
    }

    /// Starts a program as a group of the sitting.
    pub(super) fn start(
        &self,
        step: &str,
        run: Option<u32>,
        invocation: &Invocation,
        workdir: &Path,
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
            workdir,
            output,
        };
        let steps = self.cgroup.as_ref().map(Cgroup::steps);
        let name = format!("{number}-{step}");
        let group = Group::start(program, name, &self.order.token, steps.as_ref())?;
        let group = Rc::new(group);
        self.groups.borrow_mut().push(Rc::clone(&group));
        self.tell(Report::StepStarted {
            step: step.to_owned(),
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
