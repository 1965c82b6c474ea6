//! Records to the text of a file, a trial at a time.

use super::record::{Head, Trial};
use super::{csv, optuna};

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for spreadsheets and data frames: a line a trial.
    Csv,
    /// One JSON document.
    Json,
    /// A line of JSON about the study, then one a trial.
    Jsonl,
    /// The journal file of Optuna's `JournalStorage`.
    Optuna,
}

/// A file that is being written.
pub struct Rendering {
    format: Format,
    head: Head,
    trials: u32,
}

impl Rendering {
    /// A file about the study of `head`.
    pub const fn new(format: Format, head: Head) -> Self {
        Self {
            format,
            head,
            trials: 0,
        }
    }

    /// How many trials it has.
    pub const fn trials(&self) -> u32 {
        self.trials
    }

    /// How it begins.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Csv => csv::header(&self.head),
            Format::Json => format!("{{\"study\": {},\n\"trials\": [", text(&self.head)),
            Format::Jsonl => format!("{}\n", text(&self.head)),
            Format::Optuna => optuna::begin(&self.head),
        }
    }

    /// What comes next, about the next trial.
    pub fn trial(&mut self, trial: &Trial) -> String {
        self.trials += 1;
        match self.format {
            Format::Csv => csv::line(&self.head, trial),
            Format::Json => {
                let comma = if self.trials > 1 { "," } else { "" };
                format!("{comma}\n{}", text(trial))
            }
            Format::Jsonl => format!("{}\n", text(trial)),
            Format::Optuna => optuna::line(&self.head, trial),
        }
    }

    /// How it ends.
    pub const fn end(&self) -> &'static str {
        match self.format {
            Format::Json => "\n]}\n",
            Format::Csv | Format::Jsonl | Format::Optuna => "",
        }
    }
}

pub(super) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and finite numbers")
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
