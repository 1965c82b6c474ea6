//! `autotuned setup`: the service for a study in somebody's own folder.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::doctor::State;
use crate::report::phrase::clean;
use crate::setup::drop_in::{OWN, Settings};
use crate::setup::files::{self, Change};
use crate::setup::preflight::{self, Check, Checks, PROGRAM, Report};
use crate::setup::unit::{RUNTIME, Unit};
use crate::setup::{SetupError, host, manager, reach};
use crate::term::color::{BAD, BOLD, DIM, DOUBTFUL, GOOD};
use crate::wire::socket::instance_name;

/// Lets the service work on a study in somebody's own folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned setup --workdir /data/qwen
  autotuned setup --workdir /home/alice/qwen --user alice \\
      --spec /home/alice/qwen/study.toml
  autotuned setup -i llama --workdir /data/llama --gpus 0,1
  autotuned setup --remove

Writes a drop-in for autotune.service, after showing it, and looks from inside
the service's sandbox whether all can be reached that the study needs. Starts
nothing. Needs root.")]
pub struct Args {
    /// The study's folder, which the service may write to then
    #[arg(long, value_name = "DIR", required_unless_present = "remove")]
    workdir: Option<PathBuf>,
    /// Another folder that it may write to, as a cache; may be repeated
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
    /// The user that it runs as [default: autotune]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The GPUs that it may use: all, or numbers of nvidia-smi as 0,1
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = gpus)]
    gpus: Gpus,
    /// The service autotune@NAME
    #[arg(long, short, value_name = "NAME", value_parser = instance_name)]
    instance: Option<String>,
    /// The study's spec [default: that of the service, /etc/autotune/NAME.toml]
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Write without asking
    #[arg(long, short)]
    yes: bool,
    /// Keep what is written even when something is in the way
    #[arg(long)]
    force: bool,
    /// Take back what an earlier setup has written
    #[arg(long, conflicts_with_all = ["workdir", "write", "user", "spec", "force"])]
    remove: bool,
}

/// Which GPUs are wanted.
#[derive(Clone, Debug)]
enum Gpus {
    All,
    These(Vec<u32>),
}

fn gpus(text: &str) -> Result<Gpus, String> {
    if text == "all" {
        return Ok(Gpus::All);
    }
    let numbers = text.split(',').map(|number| number.trim().parse());
    let numbers: Result<Vec<u32>, _> = numbers.collect();
    numbers
        .map(Gpus::These)
        .map_err(|_| "`all`, or numbers with commas, as 0,1".to_owned())
}

/// Whether folders can be reached and written to; for the service's sandbox
pub(super) fn carry_out_reach(folders: &[PathBuf]) -> Exit {
    let checks: Vec<Check> = folders.iter().map(|folder| reach::look(folder)).collect();
    let is_good = checks.iter().all(|check| check.state != State::Error);
    let shown = serde_json::to_string(&Checks { checks })
        .map_err(io::Error::from)
        .and_then(|text| writeln!(io::stdout(), "{text}"));
    match Exit::of_output(shown) {
        Exit::Done if !is_good => Exit::Failure,
        exit => exit,
    }
}

pub(super) fn carry_out(args: &Args) -> Exit {
    match set_up(args) {
        Ok(()) => Exit::Done,
        Err(Stop::Failed(error)) => Exit::failure(&error),
        Err(Stop::Said(exit, text)) => exit.say_text(&text),
    }
}

/// Why it goes no further.
enum Stop {
    Failed(SetupError),
    Said(Exit, String),
}

impl From<SetupError> for Stop {
    fn from(error: SetupError) -> Self {
        Self::Failed(error)
    }
}

fn stop<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Said(Exit::Failure, text.into()))
}

fn set_up(args: &Args) -> Result<(), Stop> {
    let unit = Unit::new(args.instance.clone());
    if args.remove {
        check_manager(&unit)?;
        return remove(args, &unit);
    }
    let (settings, spec) = settings(args, &unit)?;
    let (drop_in, tmpfiles) = (settings.drop_in()?, settings.tmpfiles()?);
    check_manager(&unit)?;
    let changes = [
        Change::new(unit.drop_in(), Some(drop_in))?,
        Change::new(unit.tmpfiles(), tmpfiles)?,
    ];
    let changed = changes.iter().any(Change::is_one);
    if changed {
        check_stopped(&unit)?;
        show(&changes);
        ask(args, "Write this?")?;
        write(&unit, &changes)?;
    } else {
        say(&format!("{} is so already\n", unit.drop_in().display()));
    }
    say(&format!("From inside the sandbox of {}:", unit.name()));
    let looked = preflight::look(&unit, &settings.folders, &spec);
    if let Ok(report) = &looked {
        show_report(report);
    }
    let is_good = looked.as_ref().is_ok_and(|report| report.is_good);
    if !is_good && !args.force {
        if changed {
            write(&unit, &changes.map(Change::back))?;
            say("\nNothing of it was kept; --force keeps it all the same.");
        }
        looked?;
        return stop("something is in the way of this study; see above");
    }
    next(args, &unit, &settings, &spec);
    Ok(())
}

/// What is wished for, put into what this host has; and the spec that counts.
fn settings(args: &Args, unit: &Unit) -> Result<(Settings, PathBuf), Stop> {
    let user = args.user.as_deref().map(host::account).transpose()?;
    let user = user.flatten();
    let folders = args.workdir.iter().chain(&args.write);
    let folders = folders.map(|folder| host::folder(folder));
    let folders = folders.collect::<Result<Vec<_>, _>>()?;
    let spec = match &args.spec {
        Some(spec) => Some(
            std::path::absolute(spec).map_err(|source| SetupError::File {
                path: spec.clone(),
                source,
            })?,
        ),
        None => None,
    };
    let own = unit.own_spec();
    let counts = spec.clone().unwrap_or_else(|| own.clone());
    if !counts.is_file() {
        return stop(format!(
            "there is no spec {}: write it first, or name another with --spec FILE",
            counts.display()
        ));
    }
    let devices = match &args.gpus {
        Gpus::All => None,
        Gpus::These(numbers) => Some(host::devices(numbers)?),
    };
    let settings = Settings {
        folders,
        spec: spec.filter(|spec| *spec != own),
        groups: host::groups(user.as_ref()),
        user,
        devices,
        modprobe: host::modprobe(),
    };
    Ok((settings, counts))
}

/// Whether there is somebody to set up, and we may.
fn check_manager(unit: &Unit) -> Result<(), Stop> {
    if !rustix::process::geteuid().is_root() {
        return stop("it writes to /etc: run it as root");
    }
    if !manager::is_running() {
        return stop(
            "systemd does not run here: `autotuned supervise` keeps a study alive without it",
        );
    }
    let name = unit.name();
    if manager::property(&name, "LoadState")? != "loaded" {
        return stop(format!(
            "there is no {name} here: install the package first"
        ));
    }
    if !Path::new(PROGRAM).exists() {
        return stop(format!("there is no {PROGRAM}, which {name} starts"));
    }
    Ok(())
}

/// A service that runs would hold files of the user that it had.
fn check_stopped(unit: &Unit) -> Result<(), Stop> {
    let name = unit.name();
    match manager::property(&name, "ActiveState")?.as_str() {
        "inactive" | "failed" => Ok(()),
        _ => stop(format!(
            "{name} is at work: `systemctl stop {}` first; its study goes on when it is started",
            unit.short()
        )),
    }
}

fn remove(args: &Args, unit: &Unit) -> Result<(), Stop> {
    let changes = [
        Change::new(unit.drop_in(), None)?,
        Change::new(unit.tmpfiles(), None)?,
    ];
    if !changes.iter().any(Change::is_one) {
        say(&format!("there is nothing of setup for {}", unit.name()));
        return Ok(());
    }
    check_stopped(unit)?;
    show(&changes);
    ask(args, "Delete this?")?;
    write(unit, &changes)?;
    say(&format!("{} is without it again.", unit.name()));
    let state = changes[0].old.iter().flat_map(|text| text.lines());
    for folder in state.filter_map(|line| line.strip_prefix("StateDirectory=autotune-")) {
        say(&format!("Its studies stay in /var/lib/autotune-{folder}."));
    }
    Ok(())
}

/// Makes the changes, and systemd know of them.
fn write(unit: &Unit, changes: &[Change; 2]) -> Result<(), SetupError> {
    for change in changes.iter().filter(|change| change.is_one()) {
        change.make()?;
    }
    manager::systemctl(&["daemon-reload"])?;
    if changes[1].is_one() {
        if Path::new(RUNTIME).exists() {
            // Nobody but the owner, until the files that are left say so.
            let alone = "user::rwx,group::r-x,other::r-x";
            manager::make_tmpfile(&format!("a {RUNTIME} - - - - {alone}\n"))?;
        }
        manager::make_tmpfiles(RUNTIME)?;
        files::remove_stale_lock(&unit.lock())?;
    }
    Ok(())
}

fn say(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Shows what is written or deleted, line by line.
fn show(changes: &[Change]) {
    for change in changes.iter().filter(|change| change.is_one()) {
        say(&format!("{BOLD}{}{BOLD:#}", change.path.display()));
        for line in change.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GOOD,
                Some(b'-') => BAD,
                _ => DIM,
            };
            say(&format!("{style}{}{style:#}", clean(&line)));
        }
        say("");
    }
}

fn ask(args: &Args, question: &str) -> Result<(), Stop> {
    if args.yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return stop("there is no terminal to ask on: --yes does it without asking");
    }
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{question} [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    let _ = stdin.lock().read_line(&mut answer);
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => stop("nothing was changed"),
    }
}

fn show_report(report: &Report) {
    for check in &report.checks {
        let style = match check.state {
            State::Ok => GOOD,
            State::Warning => DOUBTFUL,
            State::Error => BAD,
        };
        let (word, name, text) = (check.state.word(), clean(&check.name), clean(&check.text));
        say(&format!("{style}{word:<7}{style:#}  {name}: {text}"));
        if !check.remedy.is_empty() {
            say(&format!("         {DIM}{}{DIM:#}", clean(&check.remedy)));
        }
    }
    for line in &report.said {
        say(&clean(line));
    }
}

/// What there is to do now.
fn next(args: &Args, unit: &Unit, settings: &Settings, spec: &Path) {
    let (short, option) = (unit.short(), unit.option());
    let mut lines = vec![
        format!("systemctl start {short}"),
        format!("autotunectl{option} status"),
        format!("systemctl enable {short}      # with the machine, from then on"),
    ];
    if let Some(account) = &settings.user {
        lines.push(format!(
            "usermod -aG {OWN} NAME        # whoever is to steer it, besides {}",
            account.user
        ));
    }
    if matches!(args.gpus, Gpus::These(_)) {
        lines.push(
            "systemctl enable nvidia-persistenced   # the driver must be there first".to_owned(),
        );
    }
    say(&format!("\nThe spec is {}. Next:", spec.display()));
    for line in lines {
        say(&format!("  {line}"));
    }
}
