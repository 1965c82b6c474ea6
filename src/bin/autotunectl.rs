//! The client's program: see [`autotune::ctl`].

use std::process::ExitCode;

use autotune::ctl::Cli;
use clap::Parser;

fn main() -> ExitCode {
    Cli::parse().carry_out().into()
}
