//! `autotuned plan`: what a study would try.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::read_source;
use super::exit::Exit;
use super::run::{exit_of_journal, output_dir};
use super::source::SpecArgs;
use super::study_table;
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::base::wrap::wrap;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::{Phase, Study};
use crate::model::trial::Origin;
use crate::report::advice::subject;
use crate::report::phrase::{clean, counted};
use crate::search::count::{self, Planned};
use crate::search::{Ask, ask};
use crate::store::error::JournalError;
use crate::store::import;
use crate::store::journal;
use crate::store::record::Header;
use crate::term::color::{self, BOLD, Choice};
use crate::term::tables::{Column, DEFAULT_WIDTH, Table};

/// How many trials are shown, unless more are wanted.
pub(super) const FIRST: usize = 10;

/// Shows what a study would try next, and starts nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotuned plan study.toml --first 20
  autotuned plan study.toml --output-dir /data/qwen/tuning

Of a study that has begun it shows what comes after what is known, with what
was changed by autotunectl; a spec that was edited meanwhile counts as it is.")]
pub struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    /// How many of the first trials to show
    #[arg(long, default_value_t = FIRST, value_name = "N")]
    first: usize,
    /// Where the study's files are [default: as for `run`]
    #[arg(long, short, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    plan(&args.spec, args.output_dir.as_deref(), args.first)
}

/// Shows what a study would try next, and the first trials of it.
pub(super) fn plan(spec: &SpecArgs, output: Option<&Path>, first: usize) -> Exit {
    let read = |source| read_source(&source, false);
    let checked = match spec.source_in(output).and_then(read) {
        Ok(checked) => checked,
        Err(exit) => return exit,
    };
    let folder = match output_dir(output, &checked.spec) {
        Ok(folder) => folder,
        Err(error) => return Exit::Folder.say_text(&error),
    };
    match known(&folder, Arc::new(checked.spec)) {
        Ok(study) => Exit::of_output(show(&study, first)),
        Err(error) => exit_of_journal(&error).say(&error),
    }
}

/// The study with what its journal has, where there is one.
fn known(output_dir: &Path, spec: Arc<Spec>) -> Result<Study, JournalError> {
    let folder = &spec.files.journal_dir(output_dir);
    if !folder.join(journal::FILE).exists() {
        return Ok(with_results(output_dir, spec));
    }
    let header = Header::new(&spec, clock::now());
    let (study, seen) = journal::view(folder, spec)?;
    journal::fits(folder, &seen.header, &header)?;
    Ok(study)
}

/// A study that begins with what is in a results file, as a start would take
/// it up.
fn with_results(output_dir: &Path, spec: Arc<Spec>) -> Study {
    let mut study = Study::new(spec);
    // What is wrong with the file is said by a start.
    let import = import::preview(output_dir, study.spec()).unwrap_or_default();
    for fact in &import.facts {
        if study.apply(fact).is_err() {
            break;
        }
    }
    study
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
    let begun = study.trials().len();
    if begun > 0 {
        let trials = counted(begun as u64, "trial");
        let phase = match study.phase() {
            Phase::Active => String::new(),
            Phase::AwaitingApproval => "; a proposal waits for approval".to_owned(),
            Phase::Paused(reason) => format!("; paused: {}", clean(reason)),
            Phase::Done(reason) => format!("; done: {}", clean(reason)),
        };
        let of_file = study
            .trials()
            .iter()
            .all(|trial| trial.origin == Origin::Imported);
        let from = match of_file {
            true => format!(" that {} has", clean(&spec.files.results)),
            false => String::new(),
        };
        writeln!(out, "after {trials}{from}{phase}")?;
    }
    for amendment in study.amendments().iter() {
        let text = format!("changed by autotunectl: {}", clean(&amendment.to_string()));
        for line in wrap("", "  ", &text) {
            writeln!(out, "{line}")?;
        }
    }
    if begun > 0 || !study.amendments().is_empty() {
        writeln!(out)?;
    }
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
    let converges = spec.search.sampler == SamplerKind::Model && spec.budget.converged.is_some();
    match trials {
        Some(trials) => {
            let runs = u64::from(spec.runs_per_trial()) * trials;
            let (trials, runs) = (counted(trials, "trial"), counted(runs, "run"));
            let looks = spec.steps.iter().any(|step| step.marks().looks() > 0);
            let races = spec.search.racing && (spec.runs_per_trial() > 1 || looks);
            let fewer = match (races, converges) {
                (true, true) => " or fewer by racing, or once it has converged",
                (true, false) => " or fewer by racing",
                (false, true) => " or fewer once it has converged",
                (false, false) => "",
            };
            writeln!(out, "\n{words}{trials}, {runs} that count{fewer}")?;
        }
        None if converges => writeln!(out, "\nuntil the model has converged")?,
        None => writeln!(out, "\nno end: give a [budget] with trials, runs or wall")?,
    }
    if spec.confirm_runs() > 0 {
        let starts = counted(2 * u64::from(spec.confirm_runs()), "fresh start");
        writeln!(out, "then {starts}, to confirm the best")?;
    }
    if let Some(wall) = spec.budget.wall {
        writeln!(out, "at most {} of work", show_duration(wall))?;
    }
    if let Some(time) = spec.budget.gpu_time {
        let hours = time.as_secs_f64() / 3600.0;
        writeln!(
            out,
            "at most {hours} GPU hours, of {}",
            counted(spec.gpus().into(), "GPU")
        )?;
    }
    let left = spec.budget.trials;
    let left = left.map(|most| (most as usize).saturating_sub(begun));
    write_next(&mut out, study, first.min(left.unwrap_or(usize::MAX)))
}

/// The trials to come: those that are planned already, then what the sampler
/// would ask for.
fn write_next(out: &mut impl Write, study: &Study, first: usize) -> std::io::Result<()> {
    let spec = study.spec();
    let begun = study.trials().len();
    // What comes out decides what is tried next, but for `grid` and `random`.
    let given = match (spec.search.sampler, study.incumbent()) {
        (SamplerKind::Coordinate, None) => ", if none of them is better than the first",
        (SamplerKind::Coordinate, Some(_)) => ", if none of them is better than the best so far",
        (SamplerKind::Model | SamplerKind::Tpe, _) => ", as long as nothing is learned from them",
        (SamplerKind::Advisor, _) => ", before the advisor is asked",
        (SamplerKind::Grid | SamplerKind::Random, _) => "",
    };
    let title = if begun == 0 {
        "the first trials"
    } else {
        "what comes next"
    };
    writeln!(out, "\n{BOLD}{title}{BOLD:#}{given}")?;
    for trial in study.all_unsettled() {
        let shown = study_table::differences(study, trial);
        let note = if trial.sittings.is_empty() {
            "planned"
        } else {
            "begun"
        };
        write_trial(out, trial.id.0 as usize, &format!("{shown} ({note})"))?;
    }
    for trial in study.trials().iter().filter(|trial| trial.is_partial()) {
        let shown = study_table::differences(study, trial);
        let text = format!("{shown} (again, for its bad runs)");
        write_trial(out, trial.id.0 as usize, &text)?;
    }
    let baseline = spec.space.baseline().ok();
    let preview = count::preview(study, first);
    if preview.is_empty() && study.unsettled().is_none() {
        let why = match ask(study) {
            Ask::Exhausted(why) => why,
            Ask::Consult(question) => format!("the advisor is asked for {}", subject(&question)),
            _ => "the budget is used up".to_owned(),
        };
        writeln!(out, "      nothing: {}", clean(&why))?;
    }
    for (index, params) in preview.into_iter().enumerate() {
        let shown = match &baseline {
            Some(baseline) if params != *baseline => {
                study_table::changes(&spec.space, &params, baseline)
            }
            _ => "the baseline: the base of all parameters".to_owned(),
        };
        write_trial(out, begun + index + 1, &shown)?;
    }
    Ok(())
}

fn write_trial(out: &mut impl Write, number: usize, text: &str) -> std::io::Result<()> {
    for line in wrap(&format!("{number:>4}  "), "      ", text) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
