//! What a study found, for other people's programs, and back.
//!
//! ```text
//!   Study ── Head, Trial ──▶ JSON lines ──▶ CSV, JSON, Optuna, MLflow
//!   CSV, JSON lines, reference tuner, Optuna ──▶ Table of rows ──▶ a study's history
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`record`] | a study and a trial as others may know them |
//! | [`format`](mod@format) | records to the text of a file |
//! | `csv`, `optuna` | what is particular to these |
//! | [`mlflow`] | records to a tracking server |
//! | [`sink`] | where an export goes |
//!
//! # Invariants
//! - A record has what was tried and what came of it. Commands, environments and
//!   paths, where a secret may stand, are not in it.
//! - One trial is held at a time: a study may have a great many.

mod csv;
pub mod format;
pub mod mlflow;
mod optuna;
pub mod record;
pub mod sink;
