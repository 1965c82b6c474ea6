//! In which form a report of a study is written, and what its owner adds to it:
//! the `[report]` section of a spec.

use std::str::FromStr;

use super::Name;
use super::value::Finite;

/// What a spec says of reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reporting {
    /// The languages of those that a study leaves by itself, and of others
    /// unless who asks for one says otherwise.
    pub languages: Languages,
    /// The one format of those that a study leaves by itself; `None` is both.
    pub format: Option<Format>,
    /// The heading; `None` is one that names the study.
    pub title: Option<String>,
    /// Words of the owner's, a paragraph each.
    pub notes: Vec<String>,
    /// The data sets that models are evaluated on.
    pub datasets: Vec<Dataset>,
    /// A pattern of files of sample dialogues, relative to the folder of the best
    /// trial's artifacts, else to the workdir.
    pub dialogues: Option<String>,
}

/// A data set that models are evaluated on.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it is called.
    pub name: String,
    /// How many samples of it are used.
    pub samples: Option<Figure>,
    /// What is measured on it: the heading of a column, and the metric.
    pub metrics: Vec<(String, Name)>,
    /// The same of the base model, by the same headings; where there is none the
    /// baseline's metric stands beside that of the best.
    pub base: Vec<(String, Figure)>,
    /// What else is to be said of it.
    pub notes: Option<String>,
}

/// A number that is known, or that is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// It is known.
    Known(Finite),
    /// The mean of that metric.
    Metric(Name),
}

impl Reporting {
    /// The formats of the reports that a study leaves by itself.
    pub fn formats(&self) -> impl Iterator<Item = Format> + use<> {
        let one = self.format;
        let is_wanted = move |format: &Format| one.is_none_or(|one| one == *format);
        Format::ALL.into_iter().filter(is_wanted)
    }
}

/// The languages of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Languages {
    /// Chinese and English, beside each other: what a study leaves by itself,
    /// as those who read it are not known.
    #[default]
    Both,
    /// English alone.
    English,
    /// Chinese alone.
    Chinese,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Markdown.
    #[default]
    Markdown,
    /// One HTML page with plots, which needs nothing else.
    Html,
}

impl Languages {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Both, Self::English, Self::Chinese];

    /// Its name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

impl FromStr for Languages {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or("there are zh, en and both")
    }
}

impl Format {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Markdown, Self::Html];

    /// Its name on command lines, and the ending of its files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or("there are md and html")
    }
}
