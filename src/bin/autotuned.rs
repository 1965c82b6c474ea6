//! The daemon's program: see [`autotune::cli`].

use std::process::ExitCode;

use autotune::cli::Cli;

fn main() -> ExitCode {
    Cli::read().map_or_else(|exit| exit, Cli::carry_out).into()
}
