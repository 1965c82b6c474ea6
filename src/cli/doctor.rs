//! `autotuned doctor`: is there on this host what a study needs?

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::Resettable;
use serde_json::json;

use super::check::parse_spec;
use super::exit::Exit;
use super::run::output_dir;
use super::source::SpecArgs;
use crate::doctor::{self, Finding, State, Study};
use crate::exec::nvml;
use crate::report::host_check;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD};

/// Looks whether this host has what a study needs
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("spec", |spec| spec.required_unless_present(Resettable::Reset)),
    after_help = "\
Examples:
  autotuned doctor                    the host alone
  autotuned doctor study.toml         what this study needs of it
  autotuned doctor study.toml --json
  autotuned doctor --preset serving-env --repo /data/qwen

Starts no trial. The exit code is 1 when something is in the way."
)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Where the study's files would go [default: as with `run`]
    #[arg(long, short, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let study = match study(args) {
        Ok(study) => study,
        Err(exit) => return exit,
    };
    let findings = doctor::examine(study.as_ref()).findings;
    let shown = if args.json {
        show_json(&findings)
    } else {
        show(&findings)
    };
    match Exit::of_output(shown) {
        Exit::Done if findings.iter().any(|f| f.state == State::Error) => Exit::Failure,
        exit => exit,
    }
}

/// The study that the command line names, if it names one.
///
/// # Errors
/// How the verb is to end, said.
fn study(args: &Args) -> Result<Option<Study>, Exit> {
    let folder = args.output_dir.as_deref();
    // Flags of a repo are refused without one.
    let source = args.spec.source_in(folder)?;
    if !args.spec.is_given() {
        let text = "--output-dir belongs to a study: give its spec, or --preset NAME";
        return match folder {
            Some(_) => Err(Exit::Usage.say_text(text)),
            None => Ok(None),
        };
    }
    let checked = parse_spec(&source)?;
    let output_dir = output_dir(folder, &checked.spec);
    Ok(Some(Study {
        output_dir: output_dir.map_err(|error| Exit::Folder.say_text(&error))?,
        spec: Arc::new(checked.spec),
    }))
}

/// Asks the driver of the GPUs, for [`gpu::look`](crate::exec::gpu::look).
pub(super) fn tell_of_gpus() -> Exit {
    let told = serde_json::to_string(&nvml::ask()).map_err(std::io::Error::from);
    Exit::of_output(told.and_then(|text| writeln!(std::io::stdout(), "{text}")))
}

fn show_json(findings: &[Finding]) -> std::io::Result<()> {
    let checks: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "name": finding.check.name(),
                "state": finding.state.word(),
                "text": finding.text,
                "remedy": finding.remedy,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({ "checks": checks }))?;
    writeln!(std::io::stdout(), "{text}")
}

fn show(findings: &[Finding]) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    for finding in findings {
        let style = match finding.state {
            State::Ok => GOOD,
            State::Warning => DOUBTFUL,
            State::Error => BAD,
        };
        let (word, name) = (finding.state.word(), finding.check.name());
        let lines = host_check::lines(word, name, &finding.text, &finding.remedy);
        writeln!(
            out,
            "{style}{}{style:#}{}",
            lines.state,
            lines.text.join("\n")
        )?;
        for line in lines.remedy {
            writeln!(out, "{DIM}{line}{DIM:#}")?;
        }
    }
    Ok(())
}
