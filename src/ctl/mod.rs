//! `autotunectl`: its verbs.
//!
//! Every verb asks the daemon for data over [`wire`](crate::wire) and makes
//! text of it, or JSON. A verb returns how it ended; `bin` alone ends the
//! process.
//!
//! | file | part |
//! |---|---|
//! | [`exit`] | the exit codes |
//! | `session` | the connection, and what its troubles are called |
//! | `persist` | what outlives a connection: following and waiting |
//! | `changes` | hearing of what happens, as it happens |
//! | `top` | the live view |
//! | `prose` | refusals, params and metrics in words |
//! | the others | a verb, or a few that are alike |

mod advisor;
mod advisor_setup;
mod amend;
mod approve;
mod best;
mod changes;
mod doctor;
mod events;
pub mod exit;
mod export;
mod importance;
mod logs;
mod metrics;
mod notify;
mod params;
mod persist;
mod ping;
mod presets;
mod prose;
mod publish;
mod report;
mod schema;
mod session;
mod set;
mod show;
mod space;
mod status;
mod steer;
mod top;
mod trials;
mod wait;
mod why;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::exit::Exit;
use self::session::{Session, Trouble};
use crate::term::usage;
use crate::wire::socket;

/// The command line of `autotunectl`.
#[derive(Debug, Parser)]
#[command(
    name = "autotunectl",
    version,
    about = "Asks and steers a running autotuned",
    long_about = "Asks and steers a running autotuned: how its study stands, what is best, why a \
                  trial failed; pause, resume, try this next. It talks to the daemon over a Unix \
                  socket, and changes nothing by itself.",
    after_help = EXAMPLES,
    after_long_help = EXIT_CODES,
    max_term_width = 80
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What all verbs take.
#[derive(Debug, clap::Args)]
struct Common {
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/autotune/control.sock,
    /// or that of the service]
    #[arg(long, global = true, value_name = "PATH", env = "AUTOTUNE_SOCKET")]
    socket: Option<PathBuf>,
    /// The study of the service autotune@NAME
    #[arg(
        long,
        short,
        global = true,
        value_name = "NAME",
        conflicts_with = "socket",
        value_parser = socket::instance_name
    )]
    instance: Option<String>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  autotunectl status              what runs, how far, how good
  autotunectl top                 the same and more, as it happens
  autotunectl best --env          the best values, for a shell
  autotunectl show 7              why did trial 7 fail?
  autotunectl why 7               why was it tried, and what came?
  autotunectl importance          what do the parameters matter?
  autotunectl report              all of it as a page, for others
  autotunectl export -o FILE      all trials, for other programs
  autotunectl pause               after the running trial
  autotunectl enqueue BATCH=32    try this next
  autotunectl approve             let what is proposed be tried
  autotunectl space               what may be tried; change it
  autotunectl set                 limits and budgets; change them
  autotunectl notify test         who is told, and does it arrive?
  autotunectl advisor test        does the language model answer?
  autotunectl wait --for done     until the study is done
  autotunectl schema status       the shape of status --json, for scripts
  autotunectl metrics             numbers for Prometheus
  autotunectl init vllm           a spec to start from; needs no daemon";

const EXIT_CODES: &str = "\
Examples:
  autotunectl status              what runs, how far, how good
  autotunectl top                 the same and more, as it happens
  autotunectl best --env          the best values, for a shell
  autotunectl show 7              why did trial 7 fail?
  autotunectl why 7               why was it tried, and what came?
  autotunectl importance          what do the parameters matter?
  autotunectl report              all of it as a page, for others
  autotunectl export -o FILE      all trials, for other programs
  autotunectl pause               after the running trial
  autotunectl enqueue BATCH=32    try this next
  autotunectl approve             let what is proposed be tried
  autotunectl space               what may be tried; change it
  autotunectl set                 limits and budgets; change them
  autotunectl notify test         who is told, and does it arrive?
  autotunectl advisor test        does the language model answer?
  autotunectl wait --for done     until the study is done
  autotunectl schema status       the shape of status --json, for scripts
  autotunectl metrics             numbers for Prometheus
  autotunectl init vllm           a spec to start from; needs no daemon

Exit codes:
  0    done, or it was so already
  1    something unforeseen; the message says what
  2    the command line is wrong
  3    no daemon listens on the socket
  4    the daemon refuses; the message says why
  5    this user may not
  6    the daemon is of a version that this program cannot talk to
  7    `wait`: the time is over";

#[derive(Debug, Subcommand)]
enum Verb {
    Status(status::Args),
    Top(top::Args),
    Best(best::Args),
    Trials(trials::Args),
    Show(show::Args),
    Why(why::Args),
    Importance(importance::Args),
    Report(report::Args),
    Export(export::Args),
    Publish(publish::Args),
    /// Prints numbers for monitoring, as Prometheus reads them
    #[command(after_help = "\
Example:
  autotunectl metrics

`[files] metrics` in the spec names a file for the textfile collector of
node_exporter, which the daemon keeps up to date.")]
    Metrics,
    Logs(logs::Args),
    Events(events::Args),
    Pause(steer::Pause),
    /// Goes on after a pause
    #[command(after_help = "Example:\n  autotunectl resume")]
    Resume,
    Stop(steer::Stop),
    Skip(steer::Skip),
    Reload(steer::Reload),
    Retry(steer::Retry),
    Enqueue(steer::Enqueue),
    Approve(approve::Approve),
    Reject(approve::Reject),
    Space(space::Args),
    Set(set::Args),
    Notify(notify::Args),
    Advisor(advisor::Args),
    Wait(wait::Args),
    /// Looks whether the host has what the study needs, with the daemon's eyes
    #[command(after_help = "\
Example:
  autotunectl doctor

The exit code is 1 when something is in the way. `autotuned doctor SPEC` looks
without a daemon.")]
    Doctor,
    /// Tells whether a daemon answers, and which
    #[command(after_help = "Example:\n  autotunectl ping && echo it runs")]
    Ping,
    Presets(presets::List),
    Init(presets::Init),
    Params(params::Args),
    Schema(schema::Args),
    /// Shows the versions of this program and of the daemon
    #[command(after_help = "Example:\n  autotunectl version")]
    Version,
    /// Prints completions for a shell
    #[command(after_help = "\
Example:
  autotunectl completions bash > ~/.local/share/bash-completion/completions/autotunectl")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

impl Cli {
    /// The command line of this process.
    ///
    /// # Errors
    /// How the program is to end, said: the line is wrong, or asks for help.
    pub fn read() -> Result<Self, Exit> {
        let words: Vec<OsString> = std::env::args_os().collect();
        Self::try_parse_from(&words).map_err(|error| {
            let text = usage::message(&error, &Self::command(), &words);
            if error.use_stderr() {
                let _ = write!(anstream::stderr(), "{text}");
                Exit::Usage
            } else {
                let _ = write!(anstream::stdout(), "{text}");
                Exit::Done
            }
        })
    }

    /// Carries out the verb.
    pub fn carry_out(self) -> Exit {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let instance = self.common.instance.as_deref();
        let socket = instance.map(socket::of_instance);
        let socket = socket.or(self.common.socket);
        let mut session = Session::new(socket, self.common.json);
        session.instance = self.common.instance;
        let result = match runtime {
            Ok(runtime) => runtime.block_on(carry_out(self.verb, &mut session)),
            Err(error) => Err(Trouble::Io(error)),
        };
        match result {
            Ok(exit) => exit,
            Err(trouble) => session.say(&trouble),
        }
    }
}

async fn carry_out(verb: Verb, session: &mut Session) -> Result<Exit, Trouble> {
    match verb {
        Verb::Status(args) => status::carry_out(session, &args).await,
        Verb::Top(args) => top::carry_out(session, args).await,
        Verb::Best(args) => best::carry_out(session, &args).await,
        Verb::Trials(args) => trials::carry_out(session, &args).await,
        Verb::Show(args) => show::carry_out(session, &args).await,
        Verb::Why(args) => why::carry_out(session, &args).await,
        Verb::Importance(args) => importance::carry_out(session, &args).await,
        Verb::Report(args) => report::carry_out(session, &args).await,
        Verb::Export(args) => export::carry_out(session, &args).await,
        Verb::Publish(args) => publish::carry_out(session, &args).await,
        Verb::Metrics => metrics::carry_out(session).await,
        Verb::Logs(args) => logs::carry_out(session, args).await,
        Verb::Events(args) => events::carry_out(session, &args).await,
        Verb::Pause(args) => steer::pause(session, &args).await,
        Verb::Resume => steer::resume(session).await,
        Verb::Stop(args) => steer::stop(session, &args).await,
        Verb::Skip(args) => steer::skip(session, &args).await,
        Verb::Reload(args) => steer::reload(session, &args).await,
        Verb::Retry(args) => steer::retry(session, &args).await,
        Verb::Enqueue(args) => steer::enqueue(session, args).await,
        Verb::Approve(args) => approve::approve(session, args).await,
        Verb::Reject(args) => approve::reject(session, &args).await,
        Verb::Space(args) => space::carry_out(session, args).await,
        Verb::Set(args) => set::carry_out(session, args).await,
        Verb::Notify(args) => notify::carry_out(session, args).await,
        Verb::Advisor(args) => advisor::carry_out(session, args).await,
        Verb::Wait(args) => wait::carry_out(session, &args).await,
        Verb::Doctor => doctor::carry_out(session).await,
        Verb::Ping => ping::ping(session).await,
        Verb::Presets(args) => presets::list(session, &args),
        Verb::Init(args) => presets::init(session, &args),
        Verb::Params(args) => params::carry_out(session, &args),
        Verb::Schema(args) => schema::carry_out(session, &args),
        Verb::Version => ping::version(session).await,
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "autotunectl", &mut script);
            session.print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_80_columns_and_has_examples() {
        let mut whole = Cli::command();
        whole.build();
        let mut left = vec![whole];
        while let Some(mut command) = left.pop() {
            let name = command.get_bin_name().unwrap_or_default().to_owned();
            let help = command.render_long_help().to_string();
            let of_clap = name.contains(" help");
            assert!(of_clap || help.contains("\nExample"), "{name}");
            let long = help.lines().find(|line| {
                // A command stays whole, to be copied.
                line.chars().count() > 80 && !line.starts_with("  autotunectl ")
            });
            assert_eq!(long, None, "in {name}");
            left.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn who_leaves_something_out_is_shown_an_example() {
        let mut whole = Cli::command();
        whole.build();
        let mut left = vec![whole];
        let mut wanting = 0;
        while let Some(verb) = left.pop() {
            left.extend(verb.get_subcommands().cloned());
            let name = verb.get_bin_name().unwrap_or("PROGRAM");
            let words: Vec<OsString> = name.split(' ').map(OsString::from).collect();
            if verb.is_hide_set() || name.contains(" help") {
                continue;
            }
            if let Err(error) = Cli::try_parse_from(&words)
                && error.kind() == clap::error::ErrorKind::MissingRequiredArgument
            {
                wanting += 1;
                let text = usage::message(&error, &Cli::command(), &words);
                assert!(text.contains(&format!("\n  {name} ")), "{text}");
            }
        }
        assert!(wanting > 5, "{wanting}");
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = Cli::command().render_long_help().to_string();
        for exit in Exit::ALL {
            let line = format!("\n  {:<4} ", exit.code());
            assert!(help.contains(&line), "{exit:?}");
        }
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
