//! What a study found, for other people's programs, and what others have found,
//! for a study.
//!
//! ```text
//!   Study ── Head, Trial ──▶ JSON lines ── the socket ──▶ Head, Trial ──▶ CSV, Optuna …
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`record`] | a study and a trial as others may know them |
//! | [`format`](mod@format) | records to the text of a file |
//! | `csv`, `optuna` | what is particular to these |
//! | [`mlflow`] | records to a tracking server |
//! | [`sink`] | where an export goes |
//! | [`import`] | other programs' files as tables of measurements |
//!
//! # Invariants
//! - A record has what was tried and what came of it, and is passed on: commands,
//!   environments and paths are not in it, and what is called like a secret is
//!   withheld, as in a report.
//! - One trial is held at a time: a study may have a great many.

mod csv;
pub mod format;
pub mod import;
pub mod mlflow;
mod optuna;
pub mod record;
pub mod sink;
