//! Trials as lines of 80 columns, and what a study has come to.

use std::io::{self, Write};
use std::path::Path;

use crate::base::clock;
use crate::model::amendment::Amendments;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::{Origin, Sitting, SittingEnd, Trial};
use crate::model::value::Value;
use crate::report::document;
use crate::report::overview::{self, Overview, misses};
use crate::report::phrase::{clean, cut, pruning, shown};
use crate::report::retrial;
use crate::report::text::{self, Block};
use crate::store::{journal, reports};
use crate::term::color::{BAD, BOLD, DIM, GOOD};
use crate::term::number::{self, FIGURES};
use crate::term::width::{fold, pad_right as pad, shorten as truncate};

/// The widths of the columns: number, what differs, objective, each of the
/// constraints.
const NUMBER: usize = 4;
const DIFFERS: usize = 26;
const OBJECTIVE: usize = 18;
const CONSTRAINT: usize = 9;
/// The most that one value takes of a line.
const VALUE: usize = 40;
/// So many constraints have room.
const CONSTRAINTS: usize = 1;

/// One trial, next to the incumbent of the moment.
pub struct Row {
    number: String,
    /// Its lines.
    differs: Vec<String>,
    objective: String,
    constraints: Vec<String>,
    verdict: String,
    note: Option<String>,
}

/// The names of the columns.
pub fn header(spec: &Spec) -> String {
    let mut line = format!(
        "{}  {}  {}",
        pad("#", NUMBER),
        pad("tried", DIFFERS),
        pad(&spec.objective.metric, OBJECTIVE)
    );
    for constraint in spec.constraints.iter().take(CONSTRAINTS) {
        line += &format!(
            "  {}",
            pad(&truncate(&constraint.metric, CONSTRAINT), CONSTRAINT)
        );
    }
    line.trim_end().to_owned()
}

/// Params in one line, `BATCH=32 CACHE=on`: whatever the values are, they
/// neither break the line nor steer the terminal.
pub fn params(params: &Params) -> String {
    let shown = params.iter().map(|(name, value)| assignment(name, value));
    shown.collect::<Vec<_>>().join(" ")
}

/// How `params` differ from `other`, `BATCH=32 no RANK`.
pub fn changes(space: &Space, params: &Params, other: &Params) -> String {
    let changes = overview::changes(space, other, params).into_iter();
    let changes = changes.map(|change| match change.to {
        Some(value) => assignment(&change.name, &value),
        None => format!("no {}", clean(&change.name)),
    });
    changes.collect::<Vec<_>>().join(" ")
}

fn assignment(name: &str, value: &Value) -> String {
    format!("{}={}", clean(name), cut(&shown(value), VALUE))
}

/// How a trial's params differ from the baseline's, as `autotunectl` has it
/// too; a word where they do not.
pub fn differences(study: &Study, trial: &Trial) -> String {
    if trial.origin == Origin::Baseline {
        return "baseline".to_owned();
    }
    let space = &study.spec().space;
    match space.baseline() {
        Err(_) => params(&trial.params),
        Ok(baseline) => match changes(space, &study.params_of(trial), &baseline) {
            same if same.is_empty() => "as the baseline".to_owned(),
            changes => changes,
        },
    }
}

/// What a change of the spec says that was not in force `before`.
pub fn amended(before: Option<&Study>, amendments: &Amendments) -> String {
    let before = before.map(Study::amendments);
    let new = amendments
        .iter()
        .filter(|one| before.is_none_or(|before| !before.iter().any(|known| known == *one)));
    let new: Vec<String> = new.map(|one| clean(&one.to_string())).collect();
    match new.is_empty() {
        true => "back to what the spec says".to_owned(),
        false => new.join("; "),
    }
}

impl Row {
    /// The row of `trial`, tried against `incumbent`.
    pub fn new(study: &Study, trial: &Trial, incumbent: Option<&Trial>) -> Self {
        let spec = study.spec();
        let objective = study.objective(trial);
        let shown = objective.map(|summary| number::mean_spread(summary.mean, summary.spread));
        let constraints = spec.constraints.iter().take(CONSTRAINTS).map(|constraint| {
            let summary = trial.summary(&constraint.metric);
            summary
                .map(|summary| number::significant(summary.mean, FIGURES))
                .unwrap_or_default()
        });
        let (verdict, note) = verdict(study, trial, incumbent);
        Self {
            number: trial.id.to_string(),
            differs: fold(&differences(study, trial), DIFFERS),
            objective: shown.unwrap_or_default(),
            constraints: constraints.collect(),
            verdict,
            note,
        }
    }

    /// The row as one line, and more below for what does not fit.
    pub fn lines(&self, study: &Study) -> Vec<String> {
        let (differs, more) = match &self.differs[..] {
            [first, more @ ..] => (first.as_str(), more),
            [] => ("", &[][..]),
        };
        let mut line = format!(
            "{}  {}  {}",
            pad(&self.number, NUMBER),
            pad(differs, DIFFERS),
            pad(&truncate(&self.objective, OBJECTIVE), OBJECTIVE),
        );
        if !study.spec().constraints.is_empty() {
            for constraint in &self.constraints {
                line += &format!("  {}", pad(&truncate(constraint, CONSTRAINT), CONSTRAINT));
            }
        }
        line += &format!("  {}", self.verdict);
        let mut lines = vec![line.trim_end().to_owned()];
        let indent = pad("", NUMBER + 2);
        lines.extend(more.iter().map(|line| format!("{indent}{line}")));
        if let Some(note) = &self.note {
            let note = text::note(note, NUMBER + 2);
            lines.extend(note.iter().map(|line| format!("{DIM}{line}{DIM:#}")));
        }
        lines
    }
}

fn verdict(study: &Study, trial: &Trial, incumbent: Option<&Trial>) -> (String, Option<String>) {
    let end = trial
        .sittings
        .last()
        .and_then(|sitting| sitting.end.as_ref());
    let outcome = match (&trial.outcome, end) {
        (Some(outcome), _) | (None, Some(SittingEnd::Finished(outcome))) => outcome,
        (None, Some(SittingEnd::Interrupted)) => return ("interrupted".to_owned(), None),
        (None, None) => return ("running".to_owned(), None),
    };
    match outcome {
        Outcome::Complete => {
            let is_best = study.incumbent().is_some_and(|best| best.id == trial.id);
            let leads = study.leader().is_some_and(|leader| leader.id == trial.id);
            let before = incumbent.and_then(|incumbent| study.objective(incumbent));
            let gain = before
                .zip(study.objective(trial))
                .and_then(|(before, now)| study.spec().objective.gain(before.mean, now.mean));
            let gain = gain.map(number::percent).unwrap_or_default();
            match (is_best, incumbent) {
                // What others are measured by, also where a neighbour was faster.
                _ if trial.origin == Origin::Baseline => (String::new(), None),
                (true, Some(_)) => (format!("{GOOD}★ {gain}{GOOD:#}"), None),
                // Those before it failed, missed a constraint, or are not at their end.
                (true, None) => (format!("{GOOD}★ the first{GOOD:#}"), None),
                // Its other runs may show that it was lucky.
                (false, _) if leads => (format!("leads {gain}").trim_end().to_owned(), None),
                (false, _) => (gain, None),
            }
        }
        Outcome::Infeasible => {
            let constraints = study.spec().constraints.iter();
            let misses = misses(study, trial);
            let missed = constraints
                .enumerate()
                .find(|(_, one)| misses.iter().any(|miss| miss.constraint == **one));
            // Where the metric has a column, the number is seen there.
            let missed = missed.filter(|(index, _)| *index >= CONSTRAINTS);
            let note = missed.map(|(_, missed)| format!("{missed} does not hold"));
            (format!("{BAD}infeasible{BAD:#}"), note)
        }
        Outcome::Pruned => {
            let note = trial.pruned_by_racing().map(pruning);
            ("pruned".to_owned(), note)
        }
        Outcome::Failed(failure) => (format!("{BAD}failed{BAD:#}"), Some(failure.with_hint())),
    }
}

/// A sitting that was not to measure its trial, in a line.
pub fn retried(study: &Study, trial: &Trial, sitting: &Sitting) -> String {
    let why = retrial::purpose(study, sitting).unwrap_or_default();
    let metric = &study.spec().objective.metric;
    let mut found = trial.extra_measurements(sitting.purpose, metric);
    let found = found.find(|(of, _)| of.number == sitting.number);
    let came = match (&sitting.end, found) {
        (_, Some((_, found))) => {
            format!(
                "{} {}",
                clean(metric),
                number::significant(found.get(), FIGURES)
            )
        }
        (Some(SittingEnd::Finished(Outcome::Failed(failure))), None) => {
            format!("{BAD}failed{BAD:#}: {}", clean(&failure.message))
        }
        (Some(SittingEnd::Finished(_)), None) => "done".to_owned(),
        _ => "interrupted".to_owned(),
    };
    format!("{DIM}{why}:{DIM:#} trial {}, {came}", trial.id)
}

/// Prints a block of a report.
///
/// # Errors
/// Whatever `out` answers.
pub fn write_block(out: &mut impl Write, block: &Block) -> io::Result<()> {
    writeln!(out, "{BOLD}{}{BOLD:#}", block.title)?;
    block
        .lines
        .iter()
        .try_for_each(|line| writeln!(out, "  {line}"))
}

/// Prints what a study has come to: baseline, incumbent, gain, what failed,
/// and where the files are.
///
/// # Errors
/// Whatever `out` answers.
pub fn write_findings(
    out: &mut impl Write,
    study: &Study,
    output_dir: &Path,
    next: &[String],
) -> io::Result<()> {
    let overview = Overview::of(study, clock::now());
    let names = &study.spec().files;
    let path = |name: &str| output_dir.join(name).display().to_string();
    let journal = names.journal_dir(output_dir).join(journal::FILE);
    let mut files = vec![("best values", path(&names.best))];
    if study.kept().is_some() {
        files.push(("best artifacts", path(&names.best_model)));
    }
    files.extend([
        ("every trial", path(&names.results)),
        ("program output", path(&names.logs)),
        ("journal", journal.display().to_string()),
    ]);
    // What a study leaves when it is done, and not before.
    let report = document::ended(study).and_then(|at| {
        let mut formats = study.spec().report.formats();
        formats.find_map(|format| {
            let path = reports::path(output_dir, names, format, at);
            path.exists().then_some(("report", path))
        })
    });
    files.extend(report.map(|(what, path)| (what, path.display().to_string())));
    let files: Vec<(String, String)> = files
        .into_iter()
        .map(|(what, path)| (what.to_owned(), path))
        .collect();
    for block in text::findings(&overview)
        .iter()
        .chain(&text::closing(&files, next))
    {
        writeln!(out)?;
        write_block(out, block)?;
    }
    Ok(())
}
