//! `autotuned try`: one trial by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use clap::builder::Resettable;

use crate::base::quantity::show_duration;
use crate::base::random;
use crate::base::wrap::wrap;
use crate::daemon::folders::Folders;
use crate::daemon::signals::{Came, Signals};
use crate::daemon::verdict::{conclude, fact_of};
use crate::exec::delegation;
use crate::exec::handle::{Control, Runner};
use crate::exec::order::Order;
use crate::exec::report::{Report, SittingResult};
use crate::model::event::{Event, Fact, port_busy};
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::{Origin, Purpose, SittingEnd, TrialId};
use crate::model::value::Value;
use crate::report::artifacts;
use crate::report::overview::misses;
use crate::report::phrase::{clean, counted};
use crate::term::color::{ACCENT, BAD, BOLD, DIM, GOOD};
use crate::term::number::{self, FIGURES};

use super::after_label;
use super::check::read_source;
use super::exit::Exit;
use super::source::SpecArgs;
use super::study_table;

/// Does one trial by hand, with its output shown, and records nothing
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("spec", |spec| spec.conflicts_with(Resettable::Reset).index(1)),
    after_help = "\
Examples:
  autotuned try study.toml
      the starting values
  autotuned try study.toml BATCH=32 N_THREADS=2
      these values, and the starting ones for all others
  autotuned try --preset serving-env --repo /data/qwen MAX_MODEL_LEN=768"
)]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// Values that differ from the starting ones
    #[arg(index = 2, value_name = "NAME=VALUE", value_parser = assignment)]
    values: Vec<(String, Value)>,
}

fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| "write it as NAME=VALUE, for instance BATCH=32".to_owned())?;
    Ok((name.to_owned(), Value::text(value)))
}

impl Args {
    /// The spec and the values: beside a preset the first word is a value, too.
    ///
    /// # Errors
    /// How the verb is to end, said.
    fn sorted(&self) -> Result<(SpecArgs, Vec<(String, Value)>), Exit> {
        let (mut spec, mut values) = (self.spec.clone(), self.values.clone());
        if spec.preset.is_some()
            && let Some(word) = spec.spec.take()
        {
            let word = word.to_string_lossy();
            let value = assignment(&word).map_err(|_| {
                let text = format!("{word} beside --preset is no value: write NAME=VALUE");
                Exit::Usage.say_text(&text)
            })?;
            values.insert(0, value);
        }
        Ok((spec, values))
    }
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let (spec, values) = match args.sorted() {
        Ok(sorted) => sorted,
        Err(exit) => return exit,
    };
    let read = |source| read_source(&source, true);
    let checked = match spec.source().and_then(read) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in &values {
        if given.insert(name.clone(), value.clone()).is_some() {
            return Exit::Usage.say_text(&format!("{name} is given twice: leave one of them out"));
        }
    }
    let params = match checked.spec.space.check(&given) {
        Ok(params) => params,
        Err(errors) => {
            for error in &errors {
                Exit::Usage.say_text(&clean(&error.to_string()));
            }
            return Exit::Usage;
        }
    };
    let folder = match tempfile::Builder::new().prefix("autotune-try-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            let text = format!(
                "the trial's files have no place: {error}; name a folder in TMPDIR that can be \
                 written"
            );
            return Exit::Folder.say_text(&text);
        }
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failure(&error),
    };
    delegation::settle();
    let folders = Folders::new(folder.path(), &checked.spec);
    match runtime.block_on(do_trial(checked.spec, params, &folders)) {
        Ok(exit) => exit,
        Err(error) => Exit::Failure.say_text(&format!("{error:#}")),
    }
}

/// Standard output, and whether it is still read.
struct Output<W> {
    stream: W,
    lost: bool,
}

impl<W: Write> Output<W> {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        self.lost |= writeln!(self.stream, "{text}").is_err();
    }
}

async fn do_trial(spec: Spec, params: Params, folders: &Folders) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let mut study = Study::new(Arc::new(spec));
    let mut out = Output {
        stream: anstream::stdout(),
        lost: false,
    };
    let id = TrialId(1);
    let now = crate::base::clock::now;
    let token = random::token();
    let start = [
        Event::TrialPlanned {
            trial: id,
            params: params.clone(),
            origin: Origin::Sampler,
            choice: None,
        },
        Event::SittingStarted {
            trial: id,
            sitting: 1,
            purpose: Purpose::Measure,
            token: token.clone(),
            boot_id: "".into(),
            slot: None,
        },
    ];
    for event in start {
        study.apply(&Fact { at: now(), event })?;
    }
    let trying = wrap("trying ", "  ", &study_table::params(&params)).join("\n");
    let trying = trying.strip_prefix("trying").unwrap_or(&trying);
    out.line(format_args!("{BOLD}trying{BOLD:#}{trying}"));
    let trial = study
        .trial(id)
        .ok_or_else(|| anyhow::anyhow!("the trial is not known"))?;
    let mut places = folders.places(id, 1, Purpose::Measure);
    places.slot = study.spec().slots.first().cloned();
    let mut order = Order::new(study.spec(), trial, 1, token, &places)?;
    order.echo = true;
    let (control, controlled) = Control::new()?;
    let mut runner = Runner::start(&folders.sitting(id, 1), order, controlled)?;
    let mut came = None;
    loop {
        tokio::select! {
            biased;
            // None of them asks for anything but an end: no spec is read again.
            signal = signals.next() => {
                let again = came.replace(signal).is_some();
                let text = if again {
                    control.kill();
                    "ending at once"
                } else {
                    control.stop();
                    "ending the trial; once more ends it at once"
                };
                writeln!(anstream::stderr(), "\n{DIM}{text}{DIM:#}")?;
            }
            report = runner.next() => {
                let Some((at, report)) = report else { break };
                say(&mut out, &report);
                if out.lost && came.is_none() {
                    // Whoever watched has left: nobody waits for the rest.
                    control.stop();
                }
                if let Some(event) = fact_of(id, 1, report) {
                    study.apply(&Fact { at, event })?;
                }
            }
        }
    }
    let finished = runner.finish().await;
    for (at, report) in finished.missed {
        say(&mut out, &report);
        if let Some(event) = fact_of(id, 1, report) {
            study.apply(&Fact { at, event })?;
        }
    }
    if finished.result == SittingResult::Interrupted {
        out.line(format_args!(
            "stopped; nothing of the trial is left running"
        ));
        return Ok(match came {
            Some(Came::Interrupt) => Exit::Interrupted,
            Some(Came::Terminate | Came::Reload) => Exit::Done,
            None => Exit::Failure
                .say_text("nobody reads the output any more, so the trial was ended in its midst"),
        });
    }
    let event = conclude(&study, id, 1, finished.result);
    study.apply(&Fact { at: now(), event })?;
    summarise(&mut out, &study, id)
}

fn say(out: &mut Output<impl Write>, report: &Report) {
    match report {
        Report::StepStarted {
            step,
            run: None,
            pid,
            ..
        } => out.line(format_args!("{DIM}▶ {step} (process {pid}){DIM:#}")),
        Report::StepStarted {
            step,
            run: Some(run),
            pid,
            ..
        } => out.line(format_args!(
            "{DIM}▶ {step}, run {run} (process {pid}){DIM:#}"
        )),
        Report::ServicesReady { startup, .. } => out.line(format_args!(
            "{GOOD}ready{GOOD:#} after {}",
            show_duration(*startup)
        )),
        Report::TaskResumed { step, checkpoint } => {
            out.line(format_args!("{DIM}{step} goes on from {checkpoint}{DIM:#}"))
        }
        Report::ArtifactsFound { files, bytes } => out.line(format_args!(
            "{DIM}artifacts: {}{DIM:#}",
            artifacts::extent(*files, *bytes)
        )),
        Report::RunMarked(mark) => out.line(format_args!(
            "{DIM}run {} so far ({}): {}{DIM:#}",
            mark.run,
            mark.number,
            metrics_text(&mark.metrics).join(", ")
        )),
        Report::RunTold(told) => out.line(format_args!(
            "{DIM}step {} so far: {}{DIM:#}",
            number::significant(told.at, 9),
            metrics_text(&told.metrics).join(", ")
        )),
        Report::RunEnded(run) => {
            let metrics = metrics_text(&run.metrics);
            let took = show_duration(run.elapsed);
            let (style, what) = match &run.fault {
                None => (GOOD, metrics.join(", ")),
                Some(fault) => (BAD, fault.to_string()),
            };
            let label = format!("run {}", run.number);
            let text = after_label(&label, &format!("{what} ({took})"));
            out.line(format_args!("{style}{label}{style:#}{text}"));
        }
        Report::PortBusy { port, holder } => note(out, &port_busy(*port, holder)),
        Report::Warning(text) | Report::Waiting(text) => note(out, text),
        Report::GpuLevels(_) => {}
    }
}

fn metrics_text(metrics: &[(String, f64)]) -> Vec<String> {
    let texts = metrics.iter();
    texts
        .map(|(name, value)| format!("{name} {}", number::significant(*value, FIGURES)))
        .collect()
}

fn note(out: &mut Output<impl Write>, text: &str) {
    let text = after_label("note", text);
    out.line(format_args!("{ACCENT}note{ACCENT:#}{text}"));
}

fn summarise(out: &mut Output<impl Write>, study: &Study, id: TrialId) -> anyhow::Result<Exit> {
    let trial = study
        .trial(id)
        .ok_or_else(|| anyhow::anyhow!("the trial is not known"))?;
    for metric in study.spec().metrics() {
        if let Some(summary) = trial.summary(metric) {
            let shown = number::mean_spread(summary.mean, summary.spread);
            out.line(format_args!(
                "  {metric}: {shown} over {}",
                counted(summary.count.into(), "run")
            ));
        }
    }
    let end = trial
        .sittings
        .last()
        .and_then(|sitting| sitting.end.as_ref());
    Ok(match end {
        Some(SittingEnd::Finished(Outcome::Failed(failure))) => {
            out.line(format_args!(
                "{BAD}failed{BAD:#}: {}",
                clean(&failure.message)
            ));
            if let Some(cause) = &failure.cause {
                out.line(format_args!(
                    "  {}: {}",
                    clean(&cause.name),
                    clean(&cause.hint)
                ));
            }
            Exit::TrialFailed
        }
        Some(SittingEnd::Finished(Outcome::Infeasible)) => {
            for miss in misses(study, trial) {
                let constraint = miss.constraint;
                out.line(format_args!(
                    "{BAD}infeasible{BAD:#}: {constraint} does not hold"
                ));
            }
            Exit::Done
        }
        _ => {
            out.line(format_args!("{GOOD}complete{GOOD:#}; nothing was recorded"));
            Exit::Done
        }
    })
}
