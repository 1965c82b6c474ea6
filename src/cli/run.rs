//! `autotuned run`: the daemon in the foreground.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::mpsc;

use super::check::read_spec;
use super::exit::Exit;
use super::progress::Progress;
use super::study_table;
use crate::config::Checked;
use crate::daemon::decide::Urgency;
use crate::daemon::folders::default_output;
use crate::daemon::signals::{Came, Signals};
use crate::daemon::{self, DaemonError, Options, SocketWish};
use crate::model::study::{Phase, Study};
use crate::report::phrase::counted;
use crate::store::error::JournalError;
use crate::store::opening::StoreError;
use crate::term::color::{BOLD, DIM};
use crate::wire;

/// Tunes in the foreground, until the budget is used up
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned run study.toml
  autotuned run study.toml --output-dir /data/qwen/tuning

Started again, it goes on where it was: no finished run is repeated. Ctrl-C
ends the running trial in order, a second one at once; either way nothing is
left running. While it works, `autotunectl` asks and steers it.")]
pub struct Args {
    /// The study's spec
    spec: PathBuf,
    /// Where the study's files go [default: the spec's `output_dir`, or
    /// ~/.local/state/autotune/STUDY]
    #[arg(long, short, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Where to listen for `autotunectl` [default: the spec's, or
    /// $XDG_RUNTIME_DIR/autotune/control.sock]
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    socket: Option<PathBuf>,
    /// Listen nowhere
    #[arg(long)]
    no_socket: bool,
    /// Stay when nothing is left to do, or when the host is in the way
    #[arg(long)]
    stay: bool,
    #[arg(skip)]
    demo: bool,
}

impl Args {
    pub(super) fn demo(spec: PathBuf, output_dir: PathBuf) -> Self {
        Self {
            spec,
            output_dir: Some(output_dir),
            socket: None,
            no_socket: false,
            stay: false,
            demo: true,
        }
    }
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let checked = match read_spec(&args.spec, true) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let output_dir = match output_dir(args, &checked) {
        Ok(output_dir) => output_dir,
        Err(error) => return Exit::Folder.say_text(&error),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(&error),
    };
    let socket = match socket(args, &checked) {
        Ok(socket) => socket,
        Err(error) => return Exit::Folder.say(&error),
    };
    let Checked { spec, text, .. } = checked;
    let options = Options {
        spec: Arc::new(spec),
        spec_text: text,
        output_dir,
        socket,
        stay: args.stay,
    };
    runtime.block_on(tune(args, options))
}

fn output_dir(args: &Args, checked: &Checked) -> Result<PathBuf, String> {
    let given = args
        .output_dir
        .clone()
        .or_else(|| checked.spec.output_dir.clone());
    let chosen = given.unwrap_or_else(|| {
        default_output(&checked.spec, |name| {
            std::env::var_os(name).map(PathBuf::from)
        })
    });
    let refused = |why: String| format!("{} cannot be the output folder: {why}", chosen.display());
    let absolute = std::path::absolute(&chosen).map_err(|error| refused(error.to_string()))?;
    // Its name is handed on as text, to the steps and to the runner.
    if absolute.to_str().is_none() {
        return Err(refused("its name is not UTF-8; choose another".to_owned()));
    }
    Ok(absolute)
}

fn socket(args: &Args, checked: &Checked) -> std::io::Result<SocketWish> {
    if args.no_socket {
        return Ok(SocketWish::None);
    }
    if let Some(path) = &args.socket {
        return Ok(SocketWish::Required(std::path::absolute(path)?));
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let uid = rustix::process::geteuid().as_raw();
    let own = checked.spec.control.socket.clone();
    let path = own.unwrap_or_else(|| wire::socket::default_path(variable, uid));
    Ok(SocketWish::Wanted(path))
}

async fn tune(args: &Args, options: Options) -> Exit {
    let output_dir = options.output_dir.clone();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return Exit::failure(&error),
    };
    let (updates, looking) = mpsc::unbounded_channel();
    let (urgent, wishes) = mpsc::unbounded_channel();
    let progress = tokio::spawn(Progress::new(&output_dir).follow(looking));
    let came = Arc::new(AtomicU8::new(0));
    tokio::spawn(signals.forward(urgent, {
        let came = Arc::clone(&came);
        move |signal, urgency| {
            came.store(
                if signal == Came::Interrupt { 1 } else { 2 },
                Ordering::Relaxed,
            );
            let text = match urgency {
                Urgency::Orderly => "ending the running trial; once more ends it at once",
                Urgency::AtOnce => "ending at once",
            };
            let _ = writeln!(anstream::stderr(), "\n{DIM}{text}{DIM:#}");
        }
    }));
    let ended = daemon::run(options, wishes, updates).await;
    let _ = progress.await;
    let study = match ended {
        Ok(study) => study,
        Err(error) => return exit_of(&error).say(&error),
    };
    match (study.phase(), came.load(Ordering::Relaxed)) {
        (Phase::Active, came) => {
            let done = study
                .trials()
                .iter()
                .filter(|trial| trial.is_settled())
                .count();
            let mut out = anstream::stdout();
            let _ = writeln!(
                out,
                "\nstopped with {} done; nothing is left running.\n\
                 The same command goes on: {}",
                counted(done as u64, "trial"),
                command(args),
            );
            if came == 1 {
                Exit::Interrupted
            } else {
                Exit::Done
            }
        }
        (Phase::Paused(_), _) if study.paused_by_user() => {
            let mut out = anstream::stdout();
            let _ = writeln!(
                out,
                "\nstopped; the study stays paused, as a user wants it, until `autotunectl resume`.\n\
                 The same command takes it up: {}",
                command(args),
            );
            if came.load(Ordering::Relaxed) == 1 {
                Exit::Interrupted
            } else {
                Exit::Done
            }
        }
        (Phase::Paused(reason), _) => {
            let hint = format!("paused: {reason}\nWhen that is mended, the same command goes on");
            Exit::Paused.say_text(&hint)
        }
        (Phase::Done(reason), _) => {
            let _ = conclude(args, &study, reason, &output_dir);
            Exit::Done
        }
    }
}

fn conclude(args: &Args, study: &Study, reason: &str, output_dir: &Path) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "\n{BOLD}done{BOLD:#}: {reason}")?;
    let mut next = vec![format!("autotuned view {}", output_dir.display())];
    if args.demo {
        let spec = args.spec.display();
        next.push(format!("read {spec}: that spec is all there was to it"));
        next.push("write one for your own server and `autotuned check` it".to_owned());
    } else {
        let go_on = "with a larger [budget] or [space] the same command goes on from here";
        next.push(go_on.to_owned());
    }
    study_table::write_findings(&mut out, study, output_dir, &next)
}

fn command(args: &Args) -> String {
    if args.demo {
        let folder = args.spec.parent().unwrap_or(Path::new("."));
        return format!("autotuned demo --dir {}", folder.display());
    }
    let output = args
        .output_dir
        .as_ref()
        .map(|dir| format!(" --output-dir {}", dir.display()));
    format!(
        "autotuned run {}{}",
        args.spec.display(),
        output.unwrap_or_default()
    )
}

/// The exit code for what stopped a daemon.
pub(super) fn exit_of(error: &DaemonError) -> Exit {
    match error {
        DaemonError::Store(StoreError::Journal(error)) => exit_of_journal(error),
        DaemonError::Store(_)
        | DaemonError::NotRecorded(_)
        | DaemonError::Folder { .. }
        | DaemonError::Socket(_) => Exit::Folder,
        DaemonError::Inconsistent(_) => Exit::Failure,
    }
}

/// The exit code for a journal that cannot be opened.
pub(super) fn exit_of_journal(error: &JournalError) -> Exit {
    match error {
        JournalError::Damaged { .. } | JournalError::Newer { .. } => Exit::Journal,
        _ => Exit::Folder,
    }
}
