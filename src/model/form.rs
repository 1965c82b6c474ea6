//! In which form a report of a study is written.

use std::str::FromStr;

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
