//! The daemon's end of a runner: starting it, hearing it, stopping it, and
//! clearing up when it dies.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader, Interest};
use tokio::net::unix::pipe;

use super::cgroup::Cgroup;
use super::environment;
use super::leftovers;
use super::order::{ORDER_FILE, Order};
use super::report::{self, Report, SittingResult};
use super::spawn::{Spawn, Spawned};
use super::watch::watch;
use super::work;
use crate::base::clock::Timestamp;
use crate::base::usual;
use crate::model::outcome::{FailureKind, HostFault};
use crate::model::reason;

/// What a runner prints besides its reports, within the sitting's folder.
const RUNNER_LOG: &str = "runner.log";

/// A runner that was started.
pub struct Runner {
    folder: PathBuf,
    order: Order,
    pidfd: AsyncFd<OwnedFd>,
    reports: BufReader<pipe::Receiver>,
    heard: usize,
    result: Option<SittingResult>,
    cgroup: Option<Cgroup>,
}

/// The way to a runner. When the last one is dropped the runner ends its trial
/// by itself.
#[derive(Clone, Debug)]
pub struct Control(Arc<io::PipeWriter>);

/// The runner's end of its [`Control`].
#[derive(Debug)]
pub struct Controlled(io::PipeReader);

/// How a runner came out.
pub struct Finished {
    /// Reports that did not come through the pipe.
    pub missed: Vec<(Timestamp, Report)>,
    /// The result of the sitting.
    pub result: SittingResult,
}

/// Why a runner was not started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the runner in {folder}: {source}")]
pub struct StartError {
    /// The sitting's folder.
    pub folder: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl Control {
    /// The way to a runner that is yet to be started; what is asked of it
    /// meanwhile is the first that it hears.
    ///
    /// # Errors
    /// When no more files may be open.
    pub fn new() -> io::Result<(Self, Controlled)> {
        let (reader, writer) = io::pipe()?;
        Ok((Self(Arc::new(writer)), Controlled(reader)))
    }

    /// Asks for an orderly end of the sitting.
    pub fn stop(&self) {
        self.send(b's');
    }

    /// Asks for the end of the sitting at once.
    pub fn kill(&self) {
        self.send(b'k');
    }

    fn send(&self, command: u8) {
        // A runner that is gone needs no command.
        let _ = (&*self.0).write_all(&[command]);
    }
}

impl Runner {
    /// Starts a runner for `order` in `folder`, which is made. The trial gets a
    /// cgroup of its own where that can be had, with the limits. Waits for the
    /// disk.
    ///
    /// # Errors
    /// When the folder cannot be written or the process not started, or a limit
    /// is required that cannot be had.
    pub fn start(
        folder: &Path,
        mut order: Order,
        controlled: Controlled,
    ) -> Result<Self, StartError> {
        let cgroup = order
            .may_have_cgroup
            .then(|| Cgroup::create(&order.token))
            .flatten();
        order.cgroup = cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
        order.warnings = order.limits.apply(cgroup.as_ref());
        let started = if order.limits.required && !order.warnings.is_empty() {
            Err(io::Error::other(order.warnings.join("; ")))
        } else {
            Self::spawn(folder, order, cgroup.clone(), controlled)
        };
        started.map_err(|source| {
            if let Some(cgroup) = cgroup {
                cgroup.remove();
            }
            StartError {
                folder: folder.to_owned(),
                source,
            }
        })
    }

    fn spawn(
        folder: &Path,
        order: Order,
        cgroup: Option<Cgroup>,
        controlled: Controlled,
    ) -> io::Result<Self> {
        make(folder)?;
        make(&order.trial_dir)?;
        for step in &order.steps {
            step.log.parent().map_or(Ok(()), make)?;
        }
        // The steps' environment is in it, which others may have no business in.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(ORDER_FILE))?;
        file.write_all(&serde_json::to_vec(&order)?)?;
        let (reports_reader, reports_writer) = io::pipe()?;
        let errors = if order.echo {
            io::stderr().as_fd().try_clone_to_owned()?
        } else {
            std::fs::File::create(folder.join(RUNNER_LOG))?.into()
        };
        // The link leads to our own program also after an upgrade replaced it.
        let command = ["/proc/self/exe".into(), "trial".into(), folder.into()];
        let home = cgroup.as_ref().map(Cgroup::runner);
        let mut env = environment::for_runner(std::env::vars_os(), &order.secret_env);
        for name in &order.pass_secrets {
            let variable = |name: &str| std::env::var_os(name);
            let found = usual::find(&name.to_lowercase(), name, &order.workdir, &variable);
            if let Some(found) = found.map_err(io::Error::other)? {
                env.insert(name.into(), found.secret.expose().into());
            }
        }
        let spawn = Spawn {
            command: &command,
            env: &env,
            workdir: Path::new("/"),
            streams: [controlled.0.as_fd(), reports_writer.as_fd(), errors.as_fd()],
            cgroup: home.as_ref(),
            // The control pipe tells it when the daemon is gone.
            dies_with_caller: false,
        };
        let Spawned { pid: _, pidfd } = spawn.start()?;
        drop(reports_writer);
        Ok(Self {
            folder: folder.to_owned(),
            order,
            pidfd: watch(pidfd, Interest::READABLE)?,
            reports: BufReader::new(pipe::Receiver::from_owned_fd(reports_reader.into())?),
            heard: 0,
            result: None,
            cgroup,
        })
    }

    /// Waits until the process is gone, and says how it ended.
    async fn ended(&self) -> String {
        loop {
            let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
            match rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                Ok(Some(status)) => {
                    return match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => format!("exit code {code}"),
                        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
                    };
                }
                Ok(None) => match self.pidfd.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(error) => return error.to_string(),
                },
                Err(error) => return error.to_string(),
            }
        }
    }

    /// The next report; `None` when the runner has closed its end.
    pub async fn next(&mut self) -> Option<(Timestamp, Report)> {
        let mut line = Vec::new();
        loop {
            line.clear();
            match self.reports.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            if let Some(report) = report::parse_line(&line) {
                self.heard += 1;
                return Some(report);
            }
            if let Some(result) = report::parse_last_line(&line) {
                self.result = Some(result);
            }
        }
    }

    /// Waits until the runner is gone, and clears up after one that died.
    pub async fn finish(mut self) -> Finished {
        let status = self.ended().await;
        // On a full disk the runner could only say it.
        let result = report::read_result(&self.folder).ok().flatten();
        let result = result.or(self.result.take());
        let died = result.is_none();
        let result = match result {
            Some(result) => result,
            None => {
                let path = self.cgroup.as_ref().map(Cgroup::path);
                let left = leftovers::clear(&self.order.token, path).await;
                if let Some(order) = self.order.only_stops() {
                    run_stops(&self.folder, order, std::future::pending()).await;
                }
                SittingResult::Failed(self.describe_death(&status, &left))
            }
        };
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
        let missed = if died {
            let all = report::read_reports(&self.folder).unwrap_or_default();
            all.into_iter().skip(self.heard).collect()
        } else {
            Vec::new()
        };
        Finished { missed, result }
    }

    fn describe_death(&self, status: &str, left: &[i32]) -> report::FailureReport {
        let said = std::fs::read_to_string(self.folder.join(RUNNER_LOG)).unwrap_or_default();
        let said = said
            .trim()
            .lines()
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        let mut failure = work::not_released(reason::RUNNER_ENDED.say([&status]) + &said);
        if left.is_empty() {
            failure.kind = FailureKind::Host(HostFault::RunnerDied).name().to_owned();
        } else {
            let left = format!("{left:?}");
            failure.message = reason::AND_NOT_KILLED.say([&failure.message, &left]);
        }
        failure
    }
}

/// Makes a folder; an error names it, since it need not be the sitting's.
fn make(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let text = format!("the folder {} cannot be made: {error}", folder.display());
        io::Error::new(error.kind(), text)
    })
}

/// Runs the `stop` commands of a sitting whose runner could not; `at_once`
/// shortens the time that they have.
pub(super) async fn run_stops(folder: &Path, order: Order, at_once: impl Future<Output = ()>) {
    let Ok((control, controlled)) = Control::new() else {
        return;
    };
    let Ok(mut runner) = Runner::spawn(&folder.join("stop"), order, None, controlled) else {
        return;
    };
    let run = async {
        while runner.next().await.is_some() {}
        let _ = runner.ended().await;
    };
    let mut run = std::pin::pin!(run);
    tokio::select! {
        biased;
        () = at_once => {
            control.kill();
            run.await;
        }
        () = &mut run => {}
    }
}
