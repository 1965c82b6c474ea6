//! The client's program: see [`autotune::ctl`].

use std::process::ExitCode;

use autotune::ctl::Cli;

fn main() -> ExitCode {
    Cli::read().map_or_else(|exit| exit, Cli::carry_out).into()
}
