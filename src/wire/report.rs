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
    /// Those of the spec.
    AsWritten,
}

/// See [`form::Format`]. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::form")]
pub enum Format {
    Markdown,
    Html,
}

impl From<Option<form::Languages>> for Languages {
    fn from(languages: Option<form::Languages>) -> Self {
        match languages {
            Some(form::Languages::Both) => Self::Both,
            Some(form::Languages::English) => Self::English,
            Some(form::Languages::Chinese) => Self::Chinese,
            None => Self::AsWritten,
        }
    }
}

impl From<Languages> for Option<form::Languages> {
    fn from(languages: Languages) -> Self {
        match languages {
            Languages::Both => Some(form::Languages::Both),
            Languages::English => Some(form::Languages::English),
            Languages::Chinese => Some(form::Languages::Chinese),
            Languages::AsWritten => None,
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
