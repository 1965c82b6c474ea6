//! `autotuned selftest`: a real little study, killed in its midst and gone on
//! with, to see whether all of it works on this machine.
//!
//! ```text
//! spec ─▶ study, in a folder of its own ─▶ SIGKILL in trial 2 ─▶ nothing left?
//!      ─▶ the same command again ─▶ nothing twice? ─▶ files, best ─▶ nothing left?
//! ```
//!
//! The daemon is this program, started as a user would; what it tunes is the
//! demo's server.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use rustix::process::Signal;
use serde::Serialize;

use super::demo::filled;
use super::exit::Exit;
use super::selftest_notify;
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::config::{self, Origin};
use crate::daemon::signals::{Came, Signals};
use crate::exec::leftovers;
use crate::model::event::{Event, Fact};
use crate::model::spec::Spec;
use crate::model::study::{Phase, Study};
use crate::model::trial::TrialId;
use crate::report::phrase::{clean, counted};
use crate::store::files::Files;
use crate::store::journal;
use crate::store::status::Status;
use crate::supervise::child::{Daemon, Ending};
use crate::term::color::{BAD, BOLD, GOOD};

const SPEC: &str = include_str!("selftest.toml");

/// The longest that a part may take, on however slow a machine.
const LIMIT: Duration = Duration::from_secs(120);
/// The pause between two looks at what a daemon does.
const LOOK: Duration = Duration::from_millis(20);
/// The pause before a daemon that was asked to end is killed.
const GRACE: Duration = Duration::from_secs(15);
/// So many of the last lines of a daemon are shown when a check fails.
const LINES: usize = 8;

/// Tries autotune itself on this machine, in seconds and without a model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned selftest
  autotuned selftest --json
  autotuned selftest --dir /tmp/selftest    and look at what it made
  autotuned selftest --notify study.toml    do notifications arrive?

It tunes the server of the demo in a temporary folder, on a free port of
127.0.0.1, kills the daemon in the midst of it and lets it go on. It touches
no other study, and leaves nothing behind. With --notify it does none of that:
it sends a test by each channel of a spec's [notify], and shows what its receiver
answers. It needs no daemon; `autotunectl notify test` has a running one send it,
with the secrets that only the service has.")]
pub struct Args {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
    /// Keep spec, log and files in this new folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Send a test by the channels of this spec instead
    #[arg(long, value_name = "SPEC", conflicts_with = "dir")]
    notify: Option<PathBuf>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    /// `ok` or `error`.
    state: &'static str,
    text: String,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let notify = args.notify.as_deref().map(selftest_notify::read);
    let notify = match notify.transpose() {
        Ok(notify) => notify,
        Err(exit) => return exit,
    };
    // One thread, the main one: the daemon is told of its end.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(&error),
    };
    runtime.block_on(async {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => return Exit::failure(&error),
        };
        let begun = Instant::now();
        let mut told = Told::new(args.json);
        let tried = tokio::select! {
            biased;
            // None of them asks for anything but an end: no spec is read again.
            came = signals.next() => Err(came),
            all = async {
                match notify {
                    Some(notify) => selftest_notify::try_all(notify, &mut told).await,
                    None => try_all(args, &mut told).await,
                }
            } => Ok(all),
        };
        match tried {
            Ok(all) => told.conclude(all, begun.elapsed()),
            Err(Came::Interrupt) => Exit::Interrupted,
            Err(_) => Exit::Done,
        }
    })
}

/// Tries one thing after the other, as long as each is well; whether all were.
async fn try_all(args: &Args, told: &mut Told) -> bool {
    let Some(spec) = told.of("spec", read_spec()) else {
        return false;
    };
    let Some(mut site) = told.of("folder", Site::new(args.dir.as_deref(), spec)) else {
        return false;
    };
    let killed = site.start_and_kill().await;
    let killed = told.of("kill", site.explained(killed));
    let resumed = match killed {
        Some(()) => site.go_on().await,
        None => return false,
    };
    let Some(study) = told.of("resume", site.explained(resumed)) else {
        return false;
    };
    let checks = [
        told.of("best", best(&site, &study)),
        told.of("files", files(&site, &study)),
        told.of("leftovers", site.nothing_is_left()),
    ];
    let all = checks.iter().all(Option::is_some);
    let message = if all {
        "all is well"
    } else {
        "not all is well"
    };
    let text = Status::Selftest { message }.text(clock::now(), &study);
    let _ = Files::new(&site.output(), &site.spec.files).status(&text);
    all
}

/// What was tried so far; said at once, or at the end as JSON.
pub(super) struct Told {
    json: bool,
    checks: Vec<Check>,
}

/// What a check came to, and in words.
pub(super) type Tried<T> = anyhow::Result<(T, String)>;

impl Told {
    const fn new(json: bool) -> Self {
        let checks = Vec::new();
        Self { json, checks }
    }

    /// Says what came of a check.
    pub(super) fn of<T>(&mut self, name: &'static str, tried: Tried<T>) -> Option<T> {
        let (state, text, value) = match tried {
            Ok((value, text)) => ("ok", text, Some(value)),
            Err(error) => ("error", format!("{error:#}"), None),
        };
        if !self.json {
            let style = if value.is_some() { GOOD } else { BAD };
            let word = if value.is_some() { "ok" } else { "failed" };
            let lines: Vec<String> = text.lines().map(clean).collect();
            let text = lines.join("\n                   ");
            // Nobody may be reading.
            let _ = writeln!(
                anstream::stdout(),
                "{style}{word:<6}{style:#}  {BOLD}{name:<9}{BOLD:#}  {text}"
            );
        }
        self.checks.push(Check { name, state, text });
        value
    }

    fn conclude(&self, all: bool, took: Duration) -> Exit {
        let took = show_duration(took);
        let mut out = anstream::stdout();
        let written = match (self.json, all) {
            (true, _) => {
                let all = serde_json::json!({ "checks": self.checks });
                writeln!(out, "{all:#}")
            }
            (false, true) => writeln!(out, "all is well, after {took}"),
            (false, false) => writeln!(out, "not all is well, after {took}"),
        };
        match Exit::of_output(written) {
            Exit::Done if !all => Exit::Failure,
            exit => exit,
        }
    }
}

fn read_spec() -> Tried<String> {
    let origin = Origin::of(Path::new("selftest.toml"));
    let wrong = config::check("[study]\nnme = 's'\n", &origin).err();
    let wrong = wrong.context("a spec with a wrong key is taken")?;
    let line = wrong.to_string();
    ensure!(
        line.contains("selftest.toml:2:1"),
        "the wrong key is not shown: {line}"
    );
    let text = filled(SPEC)?;
    config::check(&text, &origin).map_err(|wrong| anyhow!("a good spec is refused: {wrong}"))?;
    Ok((
        text,
        "a good one is read, a mistake is shown with its place".to_owned(),
    ))
}

/// Where the study is, and its daemon.
struct Site {
    /// Removed at last, unless it is to be kept.
    folder: tempfile::TempDir,
    spec: Arc<Spec>,
    port: u16,
    daemon: Option<Daemon>,
}

impl Site {
    fn new(kept: Option<&Path>, text: String) -> Tried<Self> {
        let folder = match kept {
            None => tempfile::Builder::new()
                .prefix("autotune-selftest-")
                .tempdir(),
            Some(path) => {
                let parent = crate::base::file::folder_of(path);
                let name = path
                    .file_name()
                    .context("--dir needs the name of a folder")?;
                ensure!(
                    !path.exists(),
                    "{} is there already: give a new one",
                    path.display()
                );
                let mut builder = tempfile::Builder::new();
                builder
                    .disable_cleanup(true)
                    .rand_bytes(0)
                    .prefix(name)
                    .tempdir_in(parent)
            }
        };
        let folder = folder.context("failed to make a folder for the study")?;
        let path = folder.path().join("selftest.toml");
        crate::base::file::replace(&path, text.as_bytes())
            .with_context(|| format!("failed to write {}", path.display()))?;
        let checked = config::read(&path)?;
        let port = checked.spec.space.baseline().ok();
        let port = port.and_then(|params| params.get("PORT")?.to_string().parse().ok());
        let said = format!("{}", folder.path().display());
        let site = Self {
            folder,
            spec: Arc::new(checked.spec),
            port: port.context("the spec has no PORT")?,
            daemon: None,
        };
        Ok((site, said))
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("study")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// Starts `autotuned run` on the study.
    fn start(&mut self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let spec = self.folder.path().join("selftest.toml");
        let arguments = [
            "run".into(),
            "--no-socket".into(),
            "--output-dir".into(),
            self.output().into(),
            spec.into(),
        ];
        let daemon = Daemon::start(&program, &arguments, None, Some(&log));
        self.daemon = Some(daemon.context("failed to start `autotuned run`")?);
        Ok(())
    }

    /// Waits for the end of the daemon.
    async fn ended(&mut self) -> anyhow::Result<Ending> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let daemon = self.daemon.as_ref().context("no daemon was started")?;
            if let Some(ending) = daemon.reap() {
                self.daemon = None;
                return Ok(ending);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the daemon has not ended within {}", show_duration(LIMIT))
    }

    /// The study as its journal has it, once there is one.
    fn study(&self) -> anyhow::Result<Option<Study>> {
        if !self.output().join(journal::FILE).exists() {
            return Ok(None);
        }
        let (study, _) = journal::view(&self.output(), Arc::clone(&self.spec))?;
        Ok(Some(study))
    }

    /// Kills the daemon when the server of the second trial is ready, and
    /// waits until all of that trial is gone.
    async fn start_and_kill(&mut self) -> Tried<()> {
        self.start()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            ensure!(
                Instant::now() < deadline,
                "no second trial within {}",
                show_duration(LIMIT)
            );
            if let Some(ending) = self.daemon.as_ref().and_then(Daemon::reap) {
                self.daemon = None;
                bail!("the daemon {ending} before the second trial was measured");
            }
            let study = self.study().ok().flatten();
            let second = study.as_ref().and_then(|study| study.trial(TrialId(2)));
            let is_ready = |sitting: &crate::model::trial::Sitting| sitting.startup.is_some();
            if second
                .and_then(|trial| trial.running())
                .is_some_and(is_ready)
            {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let begun = Instant::now();
        if let Some(daemon) = &self.daemon {
            daemon.signal(Signal::KILL);
        }
        self.ended().await?;
        while !self.alive().is_empty() {
            ensure!(
                begun.elapsed() < LIMIT,
                "processes {:?} are left",
                self.alive()
            );
            tokio::time::sleep(LOOK).await;
        }
        let took = show_duration(begun.elapsed());
        Ok((
            (),
            format!("killed in mid-trial; nothing of trial 2 was left {took} later"),
        ))
    }

    /// Starts it again, to its end: no run is repeated, none is missing.
    async fn go_on(&mut self) -> Tried<Study> {
        self.start()?;
        match self.ended().await? {
            Ending::Exited(0) => {}
            ending => bail!("the daemon {ending}"),
        }
        let study = self.study()?.context("there is no journal")?;
        ensure!(
            matches!(study.phase(), Phase::Done(_)),
            "the study is not done: {:?}",
            study.phase()
        );
        let mut runs = Vec::new();
        journal::read(&self.output(), |fact: &Fact| {
            if let Event::RunEnded { trial, run } = &fact.event {
                runs.push((trial.0, run.number));
            }
            Ok(())
        })?;
        runs.sort_unstable();
        let wanted = [1, 2, 4]
            .iter()
            .flat_map(|trial| [(*trial, 1), (*trial, 2)]);
        ensure!(
            runs.iter().copied().eq(wanted),
            "these runs are on record: {runs:?}"
        );
        let sittings = study
            .trial(TrialId(2))
            .map_or(0, |trial| trial.sittings.len());
        ensure!(sittings == 2, "trial 2 had {sittings} sittings");
        let said = format!(
            "trial 2 went on: {}, {}, none twice",
            counted(study.trials().len() as u64, "trial"),
            counted(runs.len() as u64, "run")
        );
        Ok((study, said))
    }

    /// The processes of the study's trials that are alive.
    fn alive(&self) -> Vec<i32> {
        let study = self.study().ok().flatten();
        let trials = study.iter().flat_map(|study| study.trials());
        let sittings = trials.flat_map(|trial| &trial.sittings);
        sittings
            .flat_map(|sitting| leftovers::carriers(&sitting.token))
            .collect()
    }

    fn nothing_is_left(&self) -> Tried<()> {
        let alive = self.alive();
        ensure!(alive.is_empty(), "processes {alive:?} are left");
        let free = TcpListener::bind(("127.0.0.1", self.port));
        free.with_context(|| format!("port {} is not free again", self.port))?;
        let sittings = std::fs::read_dir(self.output().join("sittings"));
        let left = sittings.map_or(0, Iterator::count);
        ensure!(
            left == 0,
            "{} of sittings are left",
            counted(left as u64, "folder")
        );
        Ok((
            (),
            format!("no process, no folder; port {} is free", self.port),
        ))
    }

    /// What the daemon said last, where a check failed.
    fn explained<T>(&self, tried: Tried<T>) -> Tried<T> {
        tried.map_err(|error| {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = &lines[lines.len().saturating_sub(LINES)..];
            anyhow!("{error:#}\n{}", last.join("\n"))
        })
    }
}

impl Drop for Site {
    /// Ends what runs, so that nothing writes to the folder that goes.
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.signal(Signal::TERM);
            let begun = Instant::now();
            let mut is_killed = false;
            while daemon.reap().is_none() && begun.elapsed() < 2 * GRACE {
                if begun.elapsed() > GRACE && !is_killed {
                    is_killed = true;
                    daemon.signal(Signal::KILL);
                }
                std::thread::sleep(LOOK);
            }
        }
        let begun = Instant::now();
        while !self.alive().is_empty() && begun.elapsed() < GRACE {
            std::thread::sleep(LOOK);
        }
    }
}

fn best(site: &Site, study: &Study) -> Tried<()> {
    let best = study.incumbent().context("no trial is the best")?;
    let recall = study.objective(best).map(|summary| summary.mean);
    ensure!(
        best.id == TrialId(4) && recall == Some(1.0),
        "trial {} with recall {recall:?} is the best, not trial 4 with recall 1",
        best.id
    );
    let path = site.output().join(&site.spec.files.best);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    let params: serde_json::Value = serde_json::from_str(&text)?;
    ensure!(
        params["N_PROBE"] == "8",
        "{} has other params: {text}",
        path.display()
    );
    Ok((
        (),
        "trial 4, as it must be, and its params are in their file".to_owned(),
    ))
}

fn files(site: &Site, study: &Study) -> Tried<()> {
    let names = &site.spec.files;
    let read = |name: &str| {
        let path = site.output().join(name);
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
    };
    let mut words = Vec::new();
    for line in read(&names.results)?.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        words.push(line["status"].as_str().unwrap_or("?").to_owned());
    }
    ensure!(
        words == ["ok", "ok", "crashed", "ok"],
        "{} has these: {}",
        names.results,
        words.join(", ")
    );
    let status: serde_json::Value = serde_json::from_str(&read(&names.status)?)?;
    ensure!(
        status["phase"] == "done",
        "{}: {}",
        names.status,
        status["phase"]
    );
    for trial in study.trials() {
        let log = format!("{}/trial_{:05}.log", names.logs, trial.id.0);
        ensure!(!read(&log)?.is_empty(), "{log} is empty");
    }
    let said = "results, status and logs are right, also of a failed trial";
    Ok(((), said.to_owned()))
}
