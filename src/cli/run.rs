//! `autotuned run`: the daemon in the foreground.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::check::{parse_spec, read_source};
use super::exit::Exit;
use super::journald::Entries;
use super::plan;
use super::progress::Progress;
use super::prompt;
use super::source::SpecArgs;
use super::study_table;
use crate::base::clock;
use crate::base::wrap::wrap;
use crate::config::{Checked, SpecSource};
use crate::daemon::decide::Urgency;
use crate::daemon::folders::default_output;
use crate::daemon::signals::{Came, Signals};
use crate::daemon::{self, DaemonError, Options, SocketWish, Update, Wish};
use crate::model::approval::{Approval, Approve};
use crate::model::spec::Spec;
use crate::model::study::{Phase, Study};
use crate::notify::Secrets;
use crate::report::phrase::counted;
use crate::store::error::JournalError;
use crate::store::fresh;
use crate::store::opening::StoreError;
use crate::supervise::child::follow_supervisor;
use crate::systemd::journald::{self, Journald};
use crate::term::color::{BOLD, DIM};
use crate::wire;

/// How long a display that takes nothing is waited for once an end is asked
/// for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tunes in the foreground, until the budget is used up
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned run study.toml
  autotuned run study.toml --output-dir /data/qwen/tuning
  autotuned run --preset serving-env --repo /data/qwen

Started again, it goes on where it was: no good run is repeated. Ctrl-C
ends the running trial in order, a second one at once; either way nothing is
left running. While it works, `autotunectl` asks and steers it.")]
pub struct Args {
    #[command(flatten)]
    pub(super) spec: SpecArgs,
    /// Where the study's files go [default: the spec's `output_dir`, or
    /// ~/.local/state/autotune/STUDY]
    #[arg(long, short, value_name = "DIR")]
    pub(super) output_dir: Option<PathBuf>,
    /// Where to listen for `autotunectl` [default: AUTOTUNE_SOCKET, the spec's,
    /// $XDG_RUNTIME_DIR/autotune/control.sock]
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    socket: Option<PathBuf>,
    /// Listen nowhere
    #[arg(long)]
    no_socket: bool,
    /// Stay when nothing is left to do, or when the host is in the way
    #[arg(long)]
    stay: bool,
    /// Ask no language model, whatever the spec says: the sampler `advisor` then
    /// goes through the parameters by itself
    #[arg(long)]
    no_advisor: bool,
    /// Begin anew; what there is so far moves to `former`, beside the journal
    #[arg(long)]
    fresh: bool,
    /// As `autotuned plan`
    #[arg(long, alias = "dry_run", requires = "preset", hide_short_help = true)]
    dry_run: bool,
    /// Understood, and always so: what has been tried is not tried again
    #[arg(
        long,
        alias = "skip_existing",
        requires = "preset",
        hide_short_help = true,
        conflicts_with = "fresh"
    )]
    skip_existing: bool,
    /// Refused: `autotuned selftest` is a verb
    #[arg(
        long,
        alias = "selftest_notify",
        alias = "selftest-notify",
        hide = true
    )]
    selftest: bool,
    #[arg(skip)]
    demo: bool,
}

impl Args {
    pub(super) fn demo(spec: PathBuf, output_dir: PathBuf) -> Self {
        Self {
            spec: SpecArgs::file(spec),
            output_dir: Some(output_dir),
            socket: None,
            no_socket: false,
            stay: false,
            no_advisor: false,
            fresh: false,
            dry_run: false,
            skip_existing: false,
            selftest: false,
            demo: true,
        }
    }

    /// What is done instead of tuning, where a flag of `auto_tune.py` wants
    /// that: how it ended.
    pub(super) fn instead(&self) -> Option<Exit> {
        if self.selftest {
            let text = "that is a verb here: `autotuned selftest`, or `autotuned selftest \
                        --notify SPEC` for the notifications, with a spec as `autotuned convert` \
                        prints it";
            return Some(Exit::Usage.say_text(text));
        }
        let plan = || plan::plan(&self.spec, self.output_dir.as_deref(), plan::FIRST);
        self.dry_run.then(plan)
    }

    /// Where the spec comes from.
    ///
    /// # Errors
    /// How the verb is to end, said.
    pub(super) fn source(&self) -> Result<SpecSource, Exit> {
        self.spec.source_in(self.output_dir.as_deref())
    }

    /// `autotuned run` with these, as a command line has it, but for a new
    /// beginning: that is made once.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let Self {
            spec,
            output_dir,
            socket,
            no_socket,
            stay,
            ..
        } = self;
        let mut arguments: Vec<OsString> = vec!["run".into()];
        for (name, path) in [("--output-dir", output_dir), ("--socket", socket)] {
            let given = path.iter().map(OsString::from);
            arguments.extend(given.flat_map(|path| [OsString::from(name), path]));
        }
        for (name, is_given) in [("--no-socket", *no_socket), ("--stay", *stay)] {
            arguments.extend(is_given.then(|| name.into()));
        }
        arguments.extend(spec.to_arguments());
        arguments
    }
}

pub(super) fn carry_out(args: &Args) -> Exit {
    if let Err(error) = follow_supervisor() {
        return Exit::failure(&error);
    }
    if let Some(exit) = args.instead() {
        return exit;
    }
    let source = match args.source() {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    if let Err(exit) = begin_anew(args, &source) {
        return exit;
    }
    let checked = match read_source(&source, true) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let output_dir = match output_dir(args.output_dir.as_deref(), &checked.spec) {
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
    // It is read again from wherever the daemon is then.
    let source = match source.absolute() {
        Ok(source) => source,
        Err(error) => return Exit::Spec.say(&error),
    };
    let Checked { spec, text, .. } = checked;
    let secrets = match Secrets::resolve(&spec.notify, &|name| std::env::var_os(name)) {
        Ok(secrets) => secrets,
        Err(missing) => {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            return Exit::Spec.say_text(&missing.join("\n"));
        }
    };
    let asks = prompt::is_possible();
    if let Some(text) = nobody_approves(&spec.approval, &socket, asks) {
        return Exit::Usage.say_text(text);
    }
    let (wishes, terminal) = asks.then(mpsc::unbounded_channel).unzip();
    let options = Options {
        spec: Arc::new(spec),
        source,
        spec_text: text,
        output_dir,
        socket,
        stay: args.stay,
        offline: args.no_advisor,
        secrets,
        terminal,
    };
    let exit = runtime.block_on(tune(args, options, wishes));
    // What is stuck in a write to a terminal that takes nothing stays there.
    runtime.shutdown_background();
    exit
}

/// Why a study would wait for ever, where nobody could approve of anything.
fn nobody_approves(approval: &Approval, socket: &SocketWish, asks: bool) -> Option<&'static str> {
    let waits = approval.of != Approve::Never && approval.timeout.is_none();
    (waits && !asks && *socket == SocketWish::None).then_some(
        "nobody could approve of what is proposed: there is no terminal, and with --no-socket \
         `autotunectl approve` finds nobody; leave --no-socket out, or give `approve_timeout`",
    )
}

/// Moves aside what a study has so far, where `--fresh` wants that.
///
/// # Errors
/// How the verb is to end, said.
pub(super) fn begin_anew(args: &Args, source: &SpecSource) -> Result<(), Exit> {
    if !args.fresh {
        return Ok(());
    }
    let checked = parse_spec(source)?;
    let output_dir = output_dir(args.output_dir.as_deref(), &checked.spec);
    let output_dir = output_dir.map_err(|error| Exit::Folder.say_text(&error))?;
    let former = fresh::set_aside(&output_dir, &checked.spec.files, clock::now());
    let former = former.map_err(|error| exit_of_journal(&error).say(&error))?;
    if let Some(former) = former {
        let former = former.display();
        let _ = writeln!(
            anstream::stderr(),
            "{DIM}what there was is kept: autotuned view {former}{DIM:#}"
        );
    }
    Ok(())
}

/// Where the files of a study go: where the command line says, or the spec.
///
/// # Errors
/// Why they cannot go there.
pub(super) fn output_dir(given: Option<&Path>, spec: &Spec) -> Result<PathBuf, String> {
    let given = given.or(spec.output_dir.as_deref()).map(Path::to_owned);
    let chosen = given
        .unwrap_or_else(|| default_output(spec, |name| std::env::var_os(name).map(PathBuf::from)));
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
    // As `autotunectl` goes by it, too.
    let told = variable("AUTOTUNE_SOCKET").filter(|path| !path.as_os_str().is_empty());
    let told = told.map(std::path::absolute).transpose()?;
    let own = told.or_else(|| checked.spec.control.socket.clone());
    let path = own.unwrap_or_else(|| wire::socket::default_path(variable, uid));
    Ok(SocketWish::Wanted(path))
}

async fn tune(args: &Args, options: Options, answers: Option<mpsc::UnboundedSender<Wish>>) -> Exit {
    let output_dir = options.output_dir.clone();
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return Exit::failure(&error),
    };
    let (updates, looking) = mpsc::unbounded_channel();
    let (urgent, wishes) = mpsc::unbounded_channel();
    let reload = Arc::new(Notify::new());
    let (came, mut seen) = watch::channel(None);
    let shown = output_dir.clone();
    let progress = on_a_thread(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        // Without a display the study is as good.
        let _ = runtime.map(|runtime| runtime.block_on(show(&shown, looking, answers)));
    });
    let told = move |signal, urgency| {
        came.send_replace(Some(signal));
        let text = match urgency {
            Urgency::Orderly => "ending the running trial; once more ends it at once",
            Urgency::AtOnce => "ending at once",
        };
        drop(on_a_thread(move || {
            let _ = writeln!(anstream::stderr(), "\n{DIM}{text}{DIM:#}");
        }));
    };
    tokio::spawn(signals.forward(urgent, Arc::clone(&reload), told));
    let ended = daemon::run(options, wishes, reload, updates).await;
    let is_read = patient(progress, &mut seen).await;
    let came = *seen.borrow();
    let (exit, last) = last_words(args, ended, came, output_dir);
    if is_read {
        patient(on_a_thread(last), &mut seen).await;
    }
    exit
}

/// Shows updates where they are looked for: as entries of the journal when
/// systemd has started us, else as lines.
async fn show(
    output_dir: &Path,
    updates: mpsc::UnboundedReceiver<Update>,
    wishes: Option<mpsc::UnboundedSender<Wish>>,
) {
    let journald = journald::is_read().then(Journald::connect);
    match journald {
        Some(Ok(journald)) => Entries::new(journald).follow(updates).await,
        _ => Progress::new(output_dir, wishes).follow(updates).await,
    }
}

/// Does what writes to a terminal or a pipe, which can take any time: nothing
/// that steers the study waits for that. The receiver tells when it is done.
fn on_a_thread(work: impl FnOnce() + Send + 'static) -> oneshot::Receiver<()> {
    let (over, done) = oneshot::channel();
    let work = move || {
        work();
        drop(over);
    };
    // A system without threads has worse trouble than a line not shown.
    drop(
        std::thread::Builder::new()
            .name("display".to_owned())
            .spawn(work),
    );
    done
}

/// Waits until something is shown; once an end is asked for, only so long.
/// Whether it was.
async fn patient(done: oneshot::Receiver<()>, seen: &mut watch::Receiver<Option<Came>>) -> bool {
    let too_long = async {
        if seen.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        biased;
        _ = done => true,
        () = too_long => false,
    }
}

/// How the verb ends, and what shows it.
fn last_words(
    args: &Args,
    ended: Result<Arc<Study>, DaemonError>,
    came: Option<Came>,
    output_dir: PathBuf,
) -> (Exit, Box<dyn FnOnce() + Send>) {
    let study = match ended {
        Ok(study) => study,
        Err(error) => {
            let exit = exit_of(&error);
            let say = move || {
                exit.say(&error);
            };
            return (exit, Box::new(say));
        }
    };
    match study.phase().clone() {
        Phase::Active => {
            let settled = study.trials().iter().filter(|trial| trial.is_settled());
            let text = format!(
                "\nstopped with {} done; nothing is left running.\n\
                 The same command goes on: {}",
                counted(settled.count() as u64, "trial"),
                command(args),
            );
            let exit = interrupted_or_done(came);
            let say = move || drop(writeln!(anstream::stdout(), "{text}"));
            (exit, Box::new(say))
        }
        Phase::AwaitingApproval => {
            let number = study.pending().map_or(0, |pending| pending.proposal.number);
            let text = format!(
                "\nstopped; proposal {number} still waits for approval.\n\
                 The same command asks again: {}",
                command(args),
            );
            let exit = interrupted_or_done(came);
            let say = move || drop(writeln!(anstream::stdout(), "{text}"));
            (exit, Box::new(say))
        }
        Phase::Paused(_) if study.paused_by_user() => {
            let text = format!(
                "
stopped; the study stays paused, as a user wants it, until `autotunectl resume`.
\
                 The same command takes it up: {}",
                command(args),
            );
            let exit = interrupted_or_done(came);
            let say = move || drop(writeln!(anstream::stdout(), "{text}"));
            (exit, Box::new(say))
        }
        Phase::Paused(reason) => {
            let hint = format!("paused: {reason}\nWhen that is mended, the same command goes on");
            let say = move || {
                Exit::Paused.say_text(&hint);
            };
            (Exit::Paused, Box::new(say))
        }
        Phase::Done(reason) => {
            let next = next_steps(args, &output_dir);
            let say = move || drop(conclude(&study, &reason, &output_dir, &next));
            (Exit::Done, Box::new(say))
        }
    }
}

fn interrupted_or_done(came: Option<Came>) -> Exit {
    match came {
        Some(Came::Interrupt) => Exit::Interrupted,
        _ => Exit::Done,
    }
}

fn next_steps(args: &Args, output_dir: &Path) -> Vec<String> {
    let mut next = vec![format!("autotuned view {}", output_dir.display())];
    if args.demo {
        let spec = args.spec.shown();
        next.push(format!("read {spec}: that spec is all there was to it"));
        next.push("write one for your own server and `autotuned check` it".to_owned());
    } else if args.spec.preset.is_some() {
        let go_on = "with --stay the daemon is there for `autotunectl space` and `set`";
        next.push(go_on.to_owned());
    } else {
        let go_on = "with a larger [budget] or [space] the same command goes on from here";
        next.push(go_on.to_owned());
    }
    next
}

fn conclude(
    study: &Study,
    reason: &str,
    output_dir: &Path,
    next: &[String],
) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "\n{BOLD}done{BOLD:#}: {reason}")?;
    study_table::write_findings(&mut out, study, output_dir, next)
}

fn command(args: &Args) -> String {
    if args.demo {
        let spec = args.spec.spec.as_deref();
        let folder = spec.and_then(Path::parent).unwrap_or(Path::new("."));
        return format!("autotuned demo --dir {}", folder.display());
    }
    let output = args
        .output_dir
        .as_ref()
        .map(|dir| format!(" --output-dir {}", dir.display()));
    let variables = args.spec.variables();
    let with = match variables.is_empty() {
        true => String::new(),
        false => {
            let text = format!("with these variables set as now: {}", variables.join(", "));
            format!("\n{}", wrap("", "  ", &text).join("\n"))
        }
    };
    format!(
        "autotuned run {}{}{with}",
        args.spec.shown(),
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
        | DaemonError::Unfit(_)
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
