//! What a sitting does: its services, its tasks and its runs, until all is
//! done or something breaks.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::capture::{Capture, Found, Scan};
use super::cause::Kernel;
use super::evict;
use super::order::{CheckOrder, Invocation, ReadyOrder, StepOrder, Work};
use super::port;
use super::process::Group;
use super::ready::{Readiness, ReadyError};
use super::release;
use super::report::{CauseReport, EndingReport, FailureReport, Report, SittingResult};
use super::runner::Sitting;
use super::runs::{self, Watched};
use crate::base::quantity::show_duration;
use crate::model::outcome::{Cause, Ending, FailureKind, HostFault};
use crate::troubles;

/// How long output may go on once its program is dead. Only a process that got
/// away could hold the pipe longer.
pub(super) const OUTPUT_LIMIT: Duration = Duration::from_secs(5);
/// So many holders of a port are ended: one that is started again each time by
/// somebody else is not to be fought with.
const EVICTED_MAX: u32 = 16;
/// The pause between two looks at a busy port.
const PORT_PAUSE: Duration = Duration::from_millis(100);
/// With less free space than this a failed trial is the disk's fault, in bytes.
const DISK_LOW: u64 = 1 << 20;

/// A service that is up.
pub(super) struct Service<'a> {
    step: &'a StepOrder,
    group: Rc<Group>,
    capture: Capture,
}

/// Something that ends a sitting early.
pub(super) type Broken = Box<FailureReport>;

/// Does the whole work of a sitting.
pub(super) async fn carry_out(sitting: &Sitting) -> SittingResult {
    match try_carry_out(sitting).await {
        Ok(()) => SittingResult::Good,
        Err(failure) => SittingResult::Failed(blame_disk(sitting, *failure)),
    }
}

async fn try_carry_out(sitting: &Sitting) -> Result<(), Broken> {
    release::await_gpus(sitting).await?;
    let begun = Instant::now();
    let mut services: Vec<Service<'_>> = Vec::new();
    let mut health = None;
    let services_total = sitting
        .order
        .steps
        .iter()
        .filter(|s| matches!(s.work, Work::Service { .. }))
        .count();
    for step in &sitting.order.steps {
        write_files(step)?;
        match &step.work {
            Work::Service { invocation, ready } => {
                let (service, answer) =
                    start_service(sitting, step, invocation, ready, &services).await?;
                health = answer.or(health);
                services.push(service);
                if services.len() == services_total {
                    let startup = begun.elapsed();
                    let health = health.take();
                    sitting.tell(Report::ServicesReady { startup, health });
                }
            }
            Work::Runs {
                task,
                runs,
                timeout,
                progress,
                curves,
                stall_timeout,
            } => {
                let watched = Watched {
                    timeout: *timeout,
                    stall_timeout: *stall_timeout,
                    progress: progress.as_ref(),
                    curves,
                    services: &services,
                };
                runs::carry_out(sitting, step, *task, runs, watched).await?;
            }
        }
    }
    Ok(())
}

fn write_files(step: &StepOrder) -> Result<(), Broken> {
    for (path, text) in &step.files {
        std::fs::write(path, text).map_err(|error| {
            let message = format!("{} could not be written: {error}", path.display());
            let fault = host_fault_of(&error).unwrap_or(HostFault::CannotStart);
            failure(FailureKind::Host(fault), Some(step), None, message)
        })?;
    }
    Ok(())
}

async fn start_service<'a>(
    sitting: &Sitting,
    step: &'a StepOrder,
    invocation: &Invocation,
    ready: &ReadyOrder,
    others: &[Service<'_>],
) -> Result<(Service<'a>, Option<String>), Broken> {
    let mut readiness = Readiness::new(ready).map_err(|error| {
        failure(
            FailureKind::Host(HostFault::CannotStart),
            Some(step),
            None,
            error.to_string(),
        )
    })?;
    if let Some(port) = readiness.port() {
        free_port(sitting, step, port).await?;
    }
    let signal = match &ready.check {
        CheckOrder::Log { pattern } => Regex::new(pattern).ok(),
        _ => None,
    };
    let scan = Scan {
        signal,
        ..Scan::default()
    };
    let (group, capture) = launch(sitting, step, None, invocation, scan)?;
    let service = Service {
        step,
        group,
        capture,
    };
    let waited = {
        let wait = tokio::time::timeout(
            ready.timeout,
            readiness.wait(&service.capture, || sitting.members()),
        );
        tokio::select! {
            biased;
            ending = service.group.ended() => Err(ending),
            failure = first_death(sitting, others) => return Err(failure.await),
            waited = wait => Ok(waited),
        }
    };
    let health = readiness.health.take();
    let mut broken = match waited {
        Ok(Ok(Ok(()))) => return Ok((service, health)),
        Ok(Ok(Err(error))) => {
            let kind = match error {
                ReadyError::Stranger { .. } => FailureKind::Host(HostFault::PortTaken),
                _ => FailureKind::Host(HostFault::CannotStart),
            };
            failure(kind, Some(step), None, error.to_string())
        }
        Ok(Err(_)) => {
            let limit = show_duration(ready.timeout);
            let message = format!("not ready within {limit}: {}", readiness.last);
            let ending = Some(Ending::TimedOut);
            with_tail(
                FailureKind::NotReady,
                step,
                ending,
                message,
                &service.capture.found(),
                sitting.kernel_cause(&service.group),
                false,
            )
        }
        Err(ending) => {
            sitting.clear(&service.group).await;
            let found = service.capture.finish(OUTPUT_LIMIT).await;
            let message = format!("{ending} before it was ready");
            let kernel = sitting.kernel_cause(&service.group);
            with_tail(
                FailureKind::Died,
                step,
                Some(ending),
                message,
                &found,
                kernel,
                true,
            )
        }
    };
    broken.health = health;
    Err(broken)
}

/// Waits until nobody holds the port.
async fn free_port(sitting: &Sitting, step: &StepOrder, port: u16) -> Result<(), Broken> {
    let deadline = Instant::now() + sitting.order.port_wait;
    let (mut said, mut evicted) = (false, 0);
    loop {
        let Some(holder) = port::obstacle(port) else {
            return Ok(());
        };
        if evicted < EVICTED_MAX
            && let Some(ended) = evict::holder_of(port, &sitting.order).await
        {
            evicted += 1;
            sitting.tell(Report::Warning(format!(
                "{ended} held port {port} and was ended, as `port_kill` wants it"
            )));
            continue;
        }
        if Instant::now() >= deadline {
            let message = format!("port {port} is still in use before start, by {holder}");
            return Err(failure(
                FailureKind::Host(HostFault::PortTaken),
                Some(step),
                None,
                message,
            ));
        }
        if !said {
            let holder = holder.to_string();
            sitting.tell(Report::PortBusy { port, holder });
            said = true;
        }
        tokio::time::sleep(PORT_PAUSE).await;
    }
}

pub(super) fn launch(
    sitting: &Sitting,
    step: &StepOrder,
    run: Option<u32>,
    invocation: &Invocation,
    scan: Scan,
) -> Result<(Rc<Group>, Capture), Broken> {
    let captured = Capture::start(&step.log, sitting.order.log_max, sitting.order.echo, scan);
    captured
        .and_then(|(writer, capture)| {
            let group = sitting.start(step, run, invocation, writer)?;
            Ok((group, capture))
        })
        .map_err(|error| {
            let program = invocation.command.first().map_or("", String::as_str);
            let message = format!("`{program}` could not be started: {}", in_words(&error));
            let fault = host_fault_of(&error).unwrap_or(HostFault::CannotStart);
            let ending = Some(Ending::CouldNotStart(Box::new(error.to_string())));
            failure(FailureKind::Host(fault), Some(step), ending, message)
        })
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => {
            "there is no such program; check `command` and PATH".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "it may not be executed; `chmod +x` it, or name its interpreter".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Waits until a service ends, and says what to make of it. The inner future
/// reads the rest of its output.
pub(super) async fn first_death<'a>(
    sitting: &'a Sitting,
    services: &'a [Service<'_>],
) -> impl Future<Output = Broken> + use<'a> {
    let mut endings: Vec<_> = services
        .iter()
        .map(|service| Box::pin(async move { (service.group.ended().await, service) }))
        .collect();
    let (ending, service) = std::future::poll_fn(|context| {
        endings
            .iter_mut()
            .find_map(|ending| match ending.as_mut().poll(context) {
                std::task::Poll::Ready(ended) => Some(std::task::Poll::Ready(ended)),
                std::task::Poll::Pending => None,
            })
            .unwrap_or(std::task::Poll::Pending)
    })
    .await;
    async move {
        let found = service.capture.finish(Duration::from_millis(500)).await;
        let message = format!("the service {ending} while it was in use");
        with_tail(
            FailureKind::DiedInRuns,
            service.step,
            Some(ending),
            message,
            &found,
            sitting.kernel_cause(&service.group),
            true,
        )
    }
}

fn failure(
    kind: FailureKind,
    step: Option<&StepOrder>,
    ending: Option<Ending>,
    message: String,
) -> Broken {
    Box::new(FailureReport {
        kind: kind.name().to_owned(),
        step: step.map(|step| step.name.clone()),
        ending: ending.as_ref().map(EndingReport::from),
        message,
        cause: None,
        health: None,
    })
}

/// The failure that what did not end is.
pub(super) fn not_released(message: String) -> FailureReport {
    host_fault(HostFault::NotReleased, message)
}

/// The failure of a sitting that a fault of the host keeps from beginning, or
/// from ending.
pub(super) fn host_fault(fault: HostFault, message: String) -> FailureReport {
    *failure(FailureKind::Host(fault), None, None, message)
}

/// A failure with the trouble that the kernel knows of or of which the output
/// speaks. It shows the line that gave the trouble away, or else the last one.
pub(super) fn with_tail(
    kind: FailureKind,
    step: &StepOrder,
    ending: Option<Ending>,
    message: String,
    found: &Found,
    kernel: Option<Kernel>,
    show_line: bool,
) -> Broken {
    let said = || troubles::find(found.tail.iter().map(String::as_str), ending.as_ref());
    let kernel = kernel.map(|kernel| (kernel.is_certain(), (Cause::from(kernel), None)));
    let known = match kernel {
        Some((true, known)) => Some(known),
        Some((false, known)) => said().or(Some(known)),
        None => said(),
    };
    let host = known.as_ref().and_then(|(_, host)| *host);
    let kind = host.map_or(kind, FailureKind::Host);
    let last = || {
        let mut lines = found.tail.iter().rev().map(|line| line.trim());
        lines.find(|line| !line.is_empty())
    };
    let line = known.as_ref().map(|(cause, _)| cause.line.as_str());
    let shown = line.or_else(last).filter(|_| show_line);
    let shown = shown.map(|line| format!(": {line}")).unwrap_or_default();
    let mut broken = failure(kind, Some(step), ending, message + &shown);
    broken.cause = known.map(|(cause, _)| CauseReport {
        name: cause.name,
        hint: cause.hint,
        line: cause.line,
    });
    broken
}

/// A trial that failed on a full disk failed because of it.
fn blame_disk(sitting: &Sitting, mut failure: FailureReport) -> FailureReport {
    let full = |path: &Path| -> bool {
        nix::sys::statvfs::statvfs(path).is_ok_and(|disk| {
            use nix::sys::statvfs::FsFlags;
            // A read-only or unlimited file system reports no free blocks.
            if disk.flags().contains(FsFlags::ST_RDONLY) || disk.blocks() == 0 {
                return false;
            }
            let free = disk.blocks_available() * disk.fragment_size();
            free < DISK_LOW || (disk.files() > 0 && disk.files_available() == 0)
        })
    };
    let folders = sitting.order.steps.iter().flat_map(|step| {
        [Some(step.workdir.as_path()), step.log.parent()]
            .into_iter()
            .flatten()
    });
    if let Some(folder) = folders.into_iter().find(|folder| full(folder)) {
        failure.kind = FailureKind::Host(HostFault::DiskFull).name().to_owned();
        failure.message = format!(
            "{} (the disk of {} is full)",
            failure.message,
            folder.display()
        );
    }
    failure
}

fn host_fault_of(error: &io::Error) -> Option<HostFault> {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded).then_some(HostFault::DiskFull)
}
