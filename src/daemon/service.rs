//! What systemd is told while the daemon works: see [`systemd`](crate::systemd).

use std::time::Duration;

use super::board::{Reader, View};
use crate::model::spec::Spec;
use crate::report::curves;
use crate::report::phrase::figures;
use crate::report::status_line::status_line;
use crate::systemd::notify;
use crate::systemd::watchdog::Watchdog;
use crate::wire::reply::Doing;

/// How often more time is asked for while the daemon begins.
const BEGINNING: Duration = Duration::from_secs(5);
/// For so much time each time: enough for two requests that come late.
const EXTENSION: Duration = Duration::from_secs(30);
/// What a trial may need to end beyond the grace of its steps: its `stop`
/// commands, and processes that hang in the kernel.
const ENDING: Duration = Duration::from_secs(120);
/// The longest that the past may take to be read and cleared up.
const BEGINNING_MAX: Duration = Duration::from_secs(1800);

/// Signs of life, which the dispatcher gives.
#[derive(Debug)]
pub struct Pulse {
    watchdog: Watchdog,
    /// The longest that a trial may take to end.
    ending_limit: Duration,
}

impl Pulse {
    /// The beat that the service manager expects, if there is one.
    pub fn new(spec: &Spec) -> Self {
        Self {
            watchdog: Watchdog::from_environment(),
            ending_limit: ending_limit(spec),
        }
    }

    /// Lets a trial take as long to end as this spec allows, too: the running
    /// one still goes by the former.
    pub fn allow(&mut self, spec: &Spec) {
        self.ending_limit = self.ending_limit.max(ending_limit(spec));
    }

    /// Waits until a sign of life is due. May be dropped at any time.
    pub async fn due(&mut self) {
        self.watchdog.due().await;
    }

    /// Gives it. `ending` is how long a trial has been ending by now, with
    /// nothing to come after it.
    pub fn beat(&self, ending: Option<Duration>) {
        // A manager that cannot be reached cannot be told so either.
        let _ = notify::alive();
        if ending.is_some_and(|ending| ending < self.ending_limit) {
            let _ = notify::extend_timeout(EXTENSION);
        }
    }
}

fn ending_limit(spec: &Spec) -> Duration {
    let graces = spec.all_steps().map(|step| step.stop_grace);
    graces.max().unwrap_or_default() + ENDING
}

/// Waits for a part of the beginning, and asks for more time as long as that
/// lasts.
pub async fn beginning<T>(part: impl Future<Output = T>) -> T {
    let extend = async {
        let mut asked = Duration::ZERO;
        while asked < BEGINNING_MAX {
            let _ = notify::extend_timeout(EXTENSION);
            tokio::time::sleep(BEGINNING).await;
            asked += BEGINNING;
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        result = part => result,
        () = extend => unreachable!("it waits for ever"),
    }
}

/// Keeps the line for `systemctl status` up to date, for ever.
pub async fn keep_status(mut reader: Reader) {
    let mut said = String::new();
    loop {
        let view = reader.views.borrow_and_update().clone();
        let line = line(&view);
        if line != said {
            let _ = notify::status(&line);
            said = line;
        }
        drop(view);
        if reader.views.changed().await.is_err() {
            return;
        }
    }
}

fn line(view: &View) -> String {
    if let Some(trouble) = &view.disk_trouble {
        return format!("waiting for the disk: {trouble}");
    }
    let running = view.study.running();
    let newest = || curves::in_one_line(running?.open_curves());
    let doing = running.and_then(|trial| view.doing.get(&trial.id));
    let doing = doing.map(|(doing, _)| match newest() {
        Some(newest) => format!("{}, {newest}", words(doing)),
        None => words(doing),
    });
    let line = status_line(&view.study, view.trials_most(), doing.as_deref());
    if view.stopping {
        format!("stopping; {line}")
    } else {
        line
    }
}

fn words(doing: &Doing) -> String {
    match doing {
        Doing::Starting => "starting".to_owned(),
        Doing::Readying { step } => format!("{step} getting ready"),
        Doing::Ready => "ready".to_owned(),
        Doing::Step { step } => step.clone(),
        Doing::Ending => "ending".to_owned(),
        Doing::WarmUp { step } => format!("{step}, warm-up"),
        Doing::PortBusy { port, .. } => format!("waiting for port {port}"),
        Doing::Waiting { text } => text.clone(),
        Doing::Part { step, part, parts } => format!("{step}, part {part} of {parts}"),
        Doing::Progress {
            step,
            metric,
            value,
        } => format!("{step}, {metric} {} so far", figures(*value, 4)),
    }
}
