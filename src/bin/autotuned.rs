//! The daemon's program: see [`autotune::cli`].

use std::process::ExitCode;

use autotune::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    Cli::parse().carry_out().into()
}
