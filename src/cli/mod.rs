//! `autotuned`: its verbs.
//!
//! Every verb is a file of its own and returns an [`Exit`]; `bin` alone ends
//! the process.

mod check;
mod convert;
mod demo;
mod doctor;
pub mod exit;
mod export;
mod journald;
mod notify_failed;
mod plan;
mod progress;
mod prompt;
mod report;
mod run;
mod selftest;
mod selftest_notify;
mod setup;
mod source;
mod study_table;
mod supervise;
mod trial;
mod view;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use self::exit::Exit;
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::term::usage;

/// The command line of `autotuned`.
#[derive(Debug, Parser)]
#[command(
    name = "autotuned",
    version,
    about = "Tunes a program by trying parameter values on the real thing",
    long_about = "Tunes a program by trying parameter values on the real thing: starts it with \
                  given values, waits until it is really ready, measures it several times, stops \
                  it without leaving anything behind, and keeps the best values that meet the \
                  constraints.",
    after_help = EXAMPLES,
    after_long_help = EXIT_CODES,
    max_term_width = 80
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// A text that stands in two others.
macro_rules! examples {
    () => {
        "\
Examples:
  autotuned demo                      watch a real study, in about a minute
  autotuned check study.toml          everything that is wrong with a spec
  autotuned doctor study.toml         whether this host has all it needs
  autotuned plan study.toml           what would be tried
  autotuned try study.toml BATCH=32   one trial by hand
  autotuned run study.toml            tune, until the budget is used up
  autotuned view DIR                  what a study has found so far
  autotuned report DIR                the same as a page, for others
  autotuned export DIR -o FILE        its trials, for other programs
  autotuned selftest                  does all of it work on this machine?

A spec is a TOML file that says how to start, measure and vary a program:
`autotuned demo --dir DIR` leaves one in DIR to begin with, `autotunectl init`
writes one for vLLM, SGLang or llama.cpp."
    };
}

const EXAMPLES: &str = examples!();

const EXIT_CODES: &str = concat!(
    examples!(),
    "

Exit codes:
  0    done, or stopped in order by SIGTERM
  1    something unforeseen; the message says what
  2    the command line is wrong
  3    the spec is wrong, or names what this machine has not
  4    the study's folder is in use, another study's, or cannot be written
  5    the journal is damaged, or a newer version's
  6    paused: the host got in the way several times in a row
  7    `try`: the trial failed
  8    `supervise`: gave up, the daemon failed too often
  130  stopped by Ctrl-C; the same command goes on"
);

#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::Args),
    Run(run::Args),
    Supervise(supervise::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Plan(plan::Args),
    Convert(convert::Args),
    Try(trial::Args),
    View(view::Args),
    Report(report::Args),
    Export(export::Args),
    NotifyFailed(notify_failed::Args),
    Selftest(selftest::Args),
    Setup(setup::Args),
    /// Prints completions for a shell
    #[command(after_help = "\
Example:
  autotuned completions bash > /etc/bash_completion.d/autotuned")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Carries out one sitting of a trial; for the daemon
    #[command(hide = true)]
    Trial {
        /// The sitting's folder
        folder: PathBuf,
    },
    /// Whether folders can be reached and written to; for setup's look
    #[command(hide = true)]
    Reach {
        /// The folders
        folders: Vec<PathBuf>,
    },
    /// Asks the driver of the GPUs, which may hang; for who asks with a limit
    #[command(hide = true)]
    Gpus,
    /// Takes controllers back from the cgroups of trials; for ExecStopPost=
    #[command(hide = true)]
    Release,
    /// The demo's search server; configured by its environment
    #[command(hide = true)]
    DemoServer,
    /// The demo's evaluator; configured by its environment
    #[command(hide = true)]
    DemoEval,
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
        match self.verb {
            Verb::Demo(args) => demo::carry_out(&args),
            Verb::Run(args) => run::carry_out(&args),
            Verb::Supervise(args) => supervise::carry_out(&args),
            Verb::Check(args) => check::carry_out(&args),
            Verb::Doctor(args) => doctor::carry_out(&args),
            Verb::Plan(args) => plan::carry_out(&args),
            Verb::Convert(args) => convert::carry_out(&args),
            Verb::Try(args) => trial::carry_out(&args),
            Verb::View(args) => view::carry_out(&args),
            Verb::Report(args) => report::carry_out(&args),
            Verb::Export(args) => export::carry_out(&args),
            Verb::NotifyFailed(args) => notify_failed::carry_out(&args),
            Verb::Selftest(args) => selftest::carry_out(&args),
            Verb::Setup(args) => setup::carry_out(&args),
            Verb::Completions { shell } => completions(shell),
            Verb::Reach { folders } => setup::carry_out_reach(&folders),
            Verb::Trial { folder } => match crate::exec::runner::run(&folder) {
                Ok(()) => Exit::Done,
                Err(error) => Exit::failure(&error),
            },
            Verb::Gpus => doctor::tell_of_gpus(),
            Verb::Release => {
                crate::exec::delegation::release();
                Exit::Done
            }
            Verb::DemoServer => demo::serve(),
            Verb::DemoEval => demo::evaluate(),
        }
    }
}

/// What follows the label of a remark, in lines that fit behind and below it.
fn after_label(label: &str, text: &str) -> String {
    let whole = wrap("", "  ", &format!("{label}: {}", clean(text))).join("\n");
    whole.strip_prefix(label).unwrap_or(&whole).to_owned()
}

/// What a user types; the verbs that autotune itself types are left out.
fn completions(shell: Shell) -> Exit {
    let whole = Cli::command();
    let seen = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    let seen: Vec<_> = seen.cloned().collect();
    let options = whole.get_arguments().cloned().collect::<Vec<_>>();
    let mut command = clap::Command::new("autotuned")
        .version(env!("CARGO_PKG_VERSION"))
        .args(options)
        .subcommands(seen);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "autotuned", &mut script);
    Exit::of_output(anstream::stdout().write_all(&script))
}

/// A runtime for a verb that needs one.
///
/// # Errors
/// When the system has no threads to give.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_80_columns_and_has_examples() {
        let mut whole = Cli::command();
        whole.build();
        for command in std::iter::once(&mut whole.clone()).chain(whole.get_subcommands_mut()) {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let is_for_users = name != "help" && !command.is_hide_set();
            assert!(!is_for_users || help.contains("\nExample"), "{name}");
            let long = help.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "in {name}");
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
    }
}
