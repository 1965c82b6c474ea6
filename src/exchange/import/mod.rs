//! Other programs' files as tables of measurements.
//!
//! | file | reads |
//! |---|---|
//! | `csv` | tables: our own, Optuna's data frames, anybody's with a line of names |
//! | `jsonl` | a line of JSON a trial: the reference tuner's results, our own |
//! | `optuna` | the journal file of Optuna's `JournalFileBackend` |
//!
//! What a column means to a study, and whether a value fits, is not known here.
//! A row that cannot be used is left out, with the reason, and the others are
//! read.

mod csv;
mod jsonl;
mod optuna;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::outcome::FailureKind;

/// The longest file, in bytes: it is held in memory.
const FILE_MAX: u64 = 256 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table with a line of names, as `export` writes it
    Csv,
    /// A line of JSON a trial: the results file, or `export --format jsonl`
    Jsonl,
    /// The journal file of an Optuna study
    Optuna,
}

impl Format {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Optuna => "optuna",
        }
    }

    /// What it numbers its rows by.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Csv | Self::Jsonl => "line",
            Self::Optuna => "trial",
        }
    }

    /// That of a text, by its beginning.
    fn of(text: &[u8]) -> Self {
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        match lines.find(|line| !line.is_empty()) {
            Some(line) if line.starts_with(b"{") => {
                let is_optuna = line
                    .windows(OPERATION.len())
                    .take(1 << 10)
                    .any(|part| part == OPERATION);
                if is_optuna { Self::Optuna } else { Self::Jsonl }
            }
            _ => Self::Csv,
        }
    }
}

/// What every line of Optuna's journal has.
const OPERATION: &[u8] = b"\"op_code\"";

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system does not give it.
    #[error("failed to read {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is no such file.
    #[error("{}: {problem}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What the cells of a column are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Values of a parameter, or numbers of a metric: whatever has that name.
    Named(String),
    /// Values of a parameter.
    Parameter(String),
    /// Numbers of a metric.
    Metric(String),
    /// Numbers of the objective.
    Objective,
}

impl Column {
    /// What it is called in the file.
    fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Parameter(name) | Self::Metric(name) => name,
            Self::Objective => "value",
        }
    }
}

/// Something that was measured, or that failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its line, or the number of its trial.
    pub row: u64,
    /// The texts of its cells; `None` where there is nothing.
    pub cells: Vec<Option<String>>,
    /// Whether it failed, so that it has no objective.
    pub failed: bool,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its line, or the number of its trial.
    pub row: u64,
    /// Why not.
    pub why: String,
}

/// A file as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it was.
    pub format: Format,
    /// What the cells of a row are, in order.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Those that cannot be used.
    pub left_out: Vec<LeftOut>,
    /// Whether more of the objective is better there, where it says so.
    pub maximize: Option<bool>,
}

/// Reads a file; `-` is standard input. `names` are those that the study has for
/// some of the file's, `study` which one is meant where an Optuna journal has several.
///
/// # Errors
/// [`ImportError`]
pub fn read(
    path: &Path,
    format: Option<Format>,
    names: &HashMap<String, String>,
    study: Option<&str>,
) -> Result<Table, ImportError> {
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let wrong = |problem| ImportError::Wrong {
        path: path.to_owned(),
        problem,
    };
    let mut text = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let mut source = source.take(FILE_MAX + 1);
    source.read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_MAX {
        let most = FILE_MAX >> 20;
        return Err(wrong(format!("it is longer than {most} MiB")));
    }
    let mut table = parse(&text, format, study).map_err(wrong)?;
    rename(&mut table.columns, names).map_err(wrong)?;
    Ok(table)
}

/// # Errors
/// What is wrong with the whole.
fn parse(text: &[u8], format: Option<Format>, study: Option<&str>) -> Result<Table, String> {
    if text.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let table = match format.unwrap_or_else(|| Format::of(text)) {
        Format::Csv => csv::parse(text)?,
        Format::Jsonl => jsonl::parse(text)?,
        Format::Optuna => optuna::parse(text, study)?,
    };
    if study.is_some() && table.format != Format::Optuna {
        return Err("only an Optuna journal has several studies".to_owned());
    }
    Ok(table)
}

/// # Errors
/// A name that no column has.
fn rename(columns: &mut [Column], names: &HashMap<String, String>) -> Result<(), String> {
    let is_there = |name: &&String| columns.iter().any(|column| column.name() == **name);
    // The same is told whatever the order of a hash is.
    let missing = names.keys().filter(|name| !is_there(name)).min();
    if let Some(missing) = missing {
        let there: Vec<&str> = columns.iter().map(Column::name).collect();
        return Err(format!(
            "no column is called `{missing}`; there are: {}",
            there.join(", ")
        ));
    }
    for column in columns {
        if let Some(new) = names.get(column.name()) {
            *column = Column::Named(new.clone());
        }
    }
    Ok(())
}

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Measured,
    Failed,
    /// It was not measured to its end.
    Unfinished,
}

impl Ended {
    /// In the words of our own exports, of the reference tuner, and of Optuna.
    fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "complete" | "infeasible" | "ok" | "partial" => Self::Measured,
            "failed" | "fail" | "timeout" | "crashed" => Self::Failed,
            "pruned" | "running" | "planned" | "waiting" | "interrupted" | "held up" => {
                Self::Unfinished
            }
            _ => return None,
        })
    }
}

/// Whether it failed.
///
/// # Errors
/// Why nothing is learned of it.
fn failed(word: &str, cause: Option<&str>) -> Result<bool, String> {
    let host = |cause| matches!(FailureKind::named(cause), Some(FailureKind::Host(_)));
    match Ended::named(word) {
        Some(Ended::Measured) => Ok(false),
        Some(Ended::Failed) if cause.is_some_and(host) => {
            Err("its host was at fault, which says nothing about its values".to_owned())
        }
        Some(Ended::Failed) => Ok(true),
        Some(Ended::Unfinished) => Err(format!(
            "it was not measured to its end: {}",
            word.to_lowercase()
        )),
        None => Err(format!("nobody knows what came of it: `{word}`")),
    }
}

/// A table that is made of rows with different cells.
struct Gathered {
    places: BTreeMap<Column, usize>,
    rows: Vec<GatheredRow>,
    left_out: Vec<LeftOut>,
}

/// A row whose cells each say in which column they stand.
struct GatheredRow {
    row: u64,
    cells: Vec<(usize, String)>,
    failed: bool,
}

impl Gathered {
    const fn new() -> Self {
        Self {
            places: BTreeMap::new(),
            rows: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn add(&mut self, row: u64, cells: Vec<(Column, String)>, failed: bool) {
        let cells = cells.into_iter().map(|(column, text)| {
            let next = self.places.len();
            (*self.places.entry(column).or_insert(next), text)
        });
        let cells = cells.collect();
        self.rows.push(GatheredRow { row, cells, failed });
    }

    fn leave_out(&mut self, row: u64, why: String) {
        self.left_out.push(LeftOut { row, why });
    }

    fn table(self, format: Format) -> Table {
        let mut columns: Vec<(Column, usize)> = self.places.into_iter().collect();
        columns.sort_by_key(|(_, place)| *place);
        let rows = self.rows.into_iter().map(|gathered| {
            let mut cells = vec![None; columns.len()];
            for (place, text) in gathered.cells {
                cells[place] = Some(text);
            }
            Row {
                row: gathered.row,
                cells,
                failed: gathered.failed,
            }
        });
        Table {
            format,
            rows: rows.collect(),
            columns: columns.iter().map(|(column, _)| column.clone()).collect(),
            left_out: self.left_out,
            maximize: None,
        }
    }
}
