//! The messages about reports.

use serde::{Deserialize, Serialize};

use crate::model::form;

/// Which report, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportQuery {
    /// Its languages.
    pub languages: Languages,
    /// Its format.
    pub format: Format,
    /// Whether the daemon writes it to the study's folder, and sends the path
    /// alone.
    pub keep: bool,
}

/// See [`form::Languages`]. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::form")]
pub enum Languages {
    Both,
    English,
    Chinese,
}

/// See [`form::Format`]. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::form")]
pub enum Format {
    Markdown,
    Html,
}

impl From<form::Languages> for Languages {
    fn from(languages: form::Languages) -> Self {
        match languages {
            form::Languages::Both => Self::Both,
            form::Languages::English => Self::English,
            form::Languages::Chinese => Self::Chinese,
        }
    }
}

impl From<Languages> for form::Languages {
    fn from(languages: Languages) -> Self {
        match languages {
            Languages::Both => Self::Both,
            Languages::English => Self::English,
            Languages::Chinese => Self::Chinese,
        }
    }
}

impl From<form::Format> for Format {
    fn from(format: form::Format) -> Self {
        match format {
            form::Format::Markdown => Self::Markdown,
            form::Format::Html => Self::Html,
        }
    }
}

impl From<Format> for form::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Markdown => Self::Markdown,
            Format::Html => Self::Html,
        }
    }
}
