//! Measurements from elsewhere: what is sent of a file, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a file, as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// The name of the file.
    pub file: String,
    /// Its format: `csv`, `jsonl`, `optuna`.
    pub format: String,
    /// What the cells of a row are, in order.
    pub columns: Vec<Column>,
    /// The rows; none to be told what becomes of the columns.
    pub rows: Vec<Row>,
    /// Whether nothing is changed.
    pub dry: bool,
}

/// What the cells of a column are. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// One of [`Import::rows`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Where it stands in the file: its line, or the number of its trial.
    pub row: u64,
    /// The texts of its cells; `None` where there is nothing.
    pub cells: Vec<Option<String>>,
    /// Whether it failed, so that it has no objective.
    pub failed: bool,
}

/// What came of a part of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// How many rows were taken.
    pub taken: u32,
    /// How many were known already.
    pub known: u32,
    /// Those that were not taken.
    pub unfit: Vec<Unfit>,
    /// The columns that are of no use, by their places.
    pub ignored: Vec<u32>,
    /// Parameters that no column has: they count as having had this value.
    pub absent: Vec<(String, String)>,
    /// Metrics of constraints that no column has.
    pub untold: Vec<String>,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unfit {
    /// See [`Row::row`].
    pub row: u64,
    /// Why not.
    pub why: String,
}

/// What was imported so far from a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// The name of the file.
    pub file: String,
    /// Its format.
    pub format: String,
    /// How many measurements.
    pub measurements: u32,
    /// How many of them the present space does not allow.
    pub passed_over: u32,
}
