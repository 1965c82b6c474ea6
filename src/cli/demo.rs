//! `autotuned demo`: a real study to watch.

use std::path::PathBuf;

use super::exit::Exit;
use super::run;
use crate::demo;

/// Tunes a real search server on this machine, to show what a study is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned demo
  autotuned demo --dir /tmp/demo   keep spec and results there

The server is an approximate nearest-neighbour index inside this program; it
and its evaluator run as processes of their own, like any user's. It listens
on 127.0.0.1 alone.")]
pub struct Args {
    /// Where spec and results go; a new folder by default
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let prepared = prepare(args);
    match prepared {
        Ok((spec, output)) => run::carry_out(&run::Args::demo(spec, output)),
        Err(error) => Exit::Folder.say_text(&format!("{error:#}")),
    }
}

/// Writes the spec, with this program and a free port filled in.
fn prepare(args: &Args) -> anyhow::Result<(PathBuf, PathBuf)> {
    use anyhow::Context;
    let folder = match &args.dir {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
            folder
                .canonicalize()
                .with_context(|| format!("failed to enter {}", folder.display()))?
        }
        None => tempfile::Builder::new()
            .prefix("autotune-demo-")
            .disable_cleanup(true)
            .tempdir()
            .context("failed to make a folder for the demo")?
            .path()
            .to_owned(),
    };
    let path = folder.join("demo.toml");
    if !path.exists() {
        let spec = filled(demo::SPEC)?;
        crate::base::file::replace(&path, spec.as_bytes())
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok((path, folder.join("study")))
}

/// A spec with this program and a free port filled in.
pub(super) fn filled(spec: &str) -> anyhow::Result<String> {
    use anyhow::Context;
    let program = std::env::current_exe().context("failed to find this program")?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .context("failed to find a free port")?
        .port();
    let program = program
        .to_string_lossy()
        .replace('\\', r"\\")
        .replace('"', "\\\"");
    let spec = spec.replace("{{ program }}", &program);
    Ok(spec.replace("PORT = \"0\"", &format!("PORT = \"{port}\"")))
}

pub(super) fn serve() -> Exit {
    play(async |out| demo::serve(out).await)
}

pub(super) fn evaluate() -> Exit {
    play(async |out| demo::evaluate(out).await)
}

/// Plays one of the demo's programs. These have exit codes of their own, as a
/// user's programs do.
fn play(part: impl AsyncFnOnce(&mut std::io::Stdout) -> Result<(), demo::Error>) -> Exit {
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(&error),
    };
    match runtime.block_on(part(&mut std::io::stdout())) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let code = error.exit_code();
            Exit::Child(code).say(&error)
        }
    }
}
