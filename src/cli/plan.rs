//! `autotuned plan`: what a study would try.

use std::io::Write;
use std::sync::Arc;

use super::check::read_source;
use super::exit::Exit;
use super::source::SpecArgs;
use super::study_table;
use crate::base::quantity::show_duration;
use crate::model::spec::SamplerKind;
use crate::model::study::Study;
use crate::report::phrase::{clean, counted};
use crate::search::count::{self, Planned};
use crate::term::color::{self, BOLD, Choice, DIM};
use crate::term::tables::{Column, DEFAULT_WIDTH, Table};

/// How many trials are shown, unless more are wanted.
pub(super) const FIRST: usize = 10;

/// Shows what a study would try, and starts nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotuned plan study.toml --first 20")]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// How many of the first trials to show
    #[arg(long, default_value_t = FIRST, value_name = "N")]
    first: usize,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    plan(&args.spec, args.first)
}

/// Shows what a study would try, and the first trials of it.
pub(super) fn plan(spec: &SpecArgs, first: usize) -> Exit {
    let read = |source| read_source(&source, false);
    let checked = match spec.source().and_then(read) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let study = Study::new(Arc::new(checked.spec));
    Exit::of_output(show(&study, first))
}

fn show(study: &Study, first: usize) -> std::io::Result<()> {
    let spec = study.spec();
    let mut out = anstream::stdout();
    writeln!(
        out,
        "{BOLD}study {}{BOLD:#}, sampler {}\n",
        spec.name,
        spec.search.sampler.name()
    )?;
    let columns = [
        Column::left("parameter"),
        Column::left("base").flexible(),
        Column::left("values").flexible(),
    ];
    let mut table = Table::new(columns);
    for parameter in spec.space.parameters() {
        let when = parameter
            .when
            .as_ref()
            .map(|when| format!(", when {when}"))
            .unwrap_or_default();
        table.row([
            parameter.name.to_string(),
            parameter.base.to_string(),
            format!("{}{when}", parameter.domain),
        ]);
    }
    let color = color::wanted(Choice::Auto, &std::io::stdout());
    table.write(&mut out, DEFAULT_WIDTH, color)?;
    for rule in spec.space.rules() {
        writeln!(out, "rule: {}", clean(&rule.to_string()))?;
    }
    let (words, trials) = match count::trials(spec).within(spec.budget.trials) {
        Planned::Exactly(trials) => ("", Some(trials)),
        Planned::AtMost(trials) => ("at most ", Some(trials)),
        Planned::Unlimited => ("", None),
    };
    match trials {
        Some(trials) => {
            let runs = u64::from(spec.runs_per_trial()) * trials;
            let (trials, runs) = (counted(trials, "trial"), counted(runs, "run"));
            let races = spec.search.racing && spec.runs_per_trial() > 1;
            let fewer = if races { " or fewer by racing" } else { "" };
            writeln!(out, "\n{words}{trials}, {runs} that count{fewer}")?;
        }
        None => writeln!(out, "\nno end: give a [budget] with trials, runs or wall")?,
    }
    if let Some(wall) = spec.budget.wall {
        writeln!(out, "at most {} of work", show_duration(wall))?;
    }
    // What comes out decides what `coordinate` tries next; the others do not
    // care.
    let given = match spec.search.sampler {
        SamplerKind::Coordinate => ", if none of them is better than the first",
        SamplerKind::Grid | SamplerKind::Random => "",
    };
    writeln!(out, "\n{BOLD}the first trials{BOLD:#}{given}")?;
    let most = trials.and_then(|trials| usize::try_from(trials).ok());
    let first = first.min(most.unwrap_or(usize::MAX));
    let mut base = None;
    for (index, params) in count::preview(study, first).into_iter().enumerate() {
        let shown = match &base {
            None => study_table::params(&params),
            Some(base) => study_table::changes(&params, base),
        };
        let note = if base.is_none() {
            " (the baseline)"
        } else {
            ""
        };
        writeln!(out, "{:>4}  {shown}{DIM}{note}{DIM:#}", index + 1)?;
        base.get_or_insert(params);
    }
    Ok(())
}
