//! Report: a view of a study for people. Pure: what it says depends on its
//! arguments alone.
//!
//! The split: [`overview`] takes the study to plain data, with a row for each
//! trial that the caller lays out as a table to its terminal; [`text`] takes
//! the overview to finished paragraphs of at most 80 columns, [`status_line`] the
//! study to one line, [`curves`] says what runs have told, [`retrial`] what was
//! measured beside the search, [`artifacts`] what became of what trials made,
//! [`advice`] what the advisor had to say, [`credit`] what came of it.
//! What is written into a file is made in two steps: [`document`] takes the study
//! to sections of paragraphs and tables, in Chinese, English or both;
//! [`markdown`] and [`html`] make a page of that.
//!
//! [`phrase`] holds the words that all of them, and a table's cells, are made of.

pub mod advice;
pub mod artifacts;
pub mod credit;
pub mod curves;
pub mod discretion;
pub mod document;
#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod experiment_tests;
pub mod host_check;
pub mod html;
pub mod markdown;
pub mod overview;
pub mod phrase;
pub mod proposal;
pub mod remaining;
#[cfg(test)]
mod report_tests;
pub mod retrial;
pub mod status_line;
pub mod text;
mod words;
