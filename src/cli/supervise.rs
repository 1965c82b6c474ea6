//! `autotuned supervise`: keeps `autotuned run` alive.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use super::check::parse_spec;
use super::exit::Exit;
use super::run;
use crate::base::clock;
use crate::base::quantity::parse_duration;
use crate::report::phrase::clean;
use crate::supervise::backoff::Limits;
use crate::supervise::{self, Ended, Next, Notice, Options, SuperviseError, pid_file};
use crate::term::color::{BAD, DIM};

/// How long a display that takes nothing is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps `autotuned run` alive, where there is no systemd
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned supervise study.toml
  nohup autotuned supervise study.toml >> supervise.log 2>&1 &
  ENTRYPOINT [\"autotuned\", \"supervise\", \"/etc/autotune/study.toml\"]
  kill \"$(cat DIR/autotune.watchdog.pid)\"    ends both in order

Starts `autotuned run` with the same options, and again when it crashes, is
killed or hangs: after 1 s first, then after twice as long each time, up to
5 minutes. What a restart does not mend (a wrong spec, a damaged journal, a
folder in use) ends both. Signals are passed on. As PID 1 of a container it
reaps orphans. On a host with systemd use the service instead.")]
#[group(id = "supervise")]
pub struct Args {
    #[command(flatten)]
    run: run::Args,
    /// The pid file [default: autotune.watchdog.pid in the output folder]
    #[arg(long, value_name = "PATH")]
    pid_file: Option<PathBuf>,
    /// Give up after so many restarts in the time of --within
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_restarts: u32,
    /// The time in which restarts are counted
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    within: Duration,
    /// Restart a daemon that gives no sign of life for so long; 0 for never
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = parse_duration)]
    watchdog: Duration,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let checked = match parse_spec(&args.run.spec) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let output_dir = match run::output_dir(args.run.output_dir.as_deref(), &checked) {
        Ok(output_dir) => output_dir,
        Err(error) => return Exit::Folder.say_text(&error),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Exit::failure(&error),
    };
    let pid_file = args.pid_file.clone();
    let options = Options {
        program,
        arguments: args.run.to_arguments(),
        pid_file: pid_file.unwrap_or_else(|| output_dir.join(pid_file::FILE)),
        limits: Limits {
            restarts: args.max_restarts,
            within: args.within,
        },
        watchdog: Some(args.watchdog).filter(|limit| !limit.is_zero()),
        after,
    };
    // One thread: the daemon is told of the end of that which starts it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(&error),
    };
    let (notices, said) = display();
    let ended = runtime.block_on(supervise::keep(options, move |notice| {
        // Without a display the daemon is kept alive as well.
        let _ = notices.send(notice);
    }));
    // It ends once the last notice is shown; one that takes nothing is left.
    let _ = said.recv_timeout(PATIENCE);
    match ended {
        Ok(Ended::Code(code)) => Exit::Child(code),
        Ok(Ended::GaveUp) => Exit::GaveUp,
        Err(error @ SuperviseError::PidFile(_)) => Exit::Folder.say(&error),
        Err(error) => Exit::failure(&error),
    }
}

/// What follows on an exit code of `run`.
fn after(code: u8, is_first: bool) -> Next {
    const ENDS: [Exit; 6] = [
        Exit::Done,
        Exit::Usage,
        Exit::Spec,
        Exit::Journal,
        Exit::Interrupted,
        Exit::Folder,
    ];
    // A folder that could be used a while ago will be again.
    let may_mend = code == Exit::Folder.code() && !is_first;
    if code == Exit::Paused.code() {
        Next::Later
    } else if ENDS.iter().any(|exit| exit.code() == code) && !may_mend {
        Next::End
    } else {
        Next::Restart
    }
}

/// Shows notices on a thread of its own: a terminal or a pipe can take any
/// time, and signals are to be passed on meanwhile. The second receiver tells
/// when all is shown.
fn display() -> (mpsc::Sender<Notice>, mpsc::Receiver<()>) {
    let (notices, coming) = mpsc::channel::<Notice>();
    let (over, said) = mpsc::channel();
    let show = move || {
        for notice in coming {
            let text = clean(&notice.to_string());
            let style = match notice {
                Notice::Started(_) => DIM,
                _ => BAD,
            };
            let line = format!("{DIM}{}{DIM:#} {style}{text}{style:#}\n", clock::now());
            let _ = anstream::stderr().write_all(line.as_bytes());
        }
        drop(over);
    };
    // A system without threads has worse trouble than a line not shown.
    drop(
        std::thread::Builder::new()
            .name("display".to_owned())
            .spawn(show),
    );
    (notices, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_on_each_exit_code() {
        let follows = |is_first| {
            let codes = Exit::ALL.map(Exit::code).into_iter();
            let codes = codes.filter(|code| after(*code, is_first) == Next::End);
            codes.collect::<Vec<_>>()
        };
        assert_eq!(follows(true), [0, 2, 3, 4, 5, 130]);
        assert_eq!(follows(false), [0, 2, 3, 5, 130]);
        assert_eq!(after(Exit::Paused.code(), true), Next::Later);
        // A panic ends with it.
        assert_eq!(after(101, true), Next::Restart);
    }
}
