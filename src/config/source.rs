//! Where a daemon's spec comes from, so that it can be read again.

use std::path::PathBuf;

use super::reference::{self, Wishes};
use super::{Checked, Origin, Refusal};

/// Something that a spec is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecSource {
    /// A file.
    File(PathBuf),
    /// A preset alone.
    Preset(String),
    /// A repo that the reference tuner tunes.
    Repo(Wishes),
}

impl SpecSource {
    /// The same with absolute paths, whatever the current folder will be.
    ///
    /// # Errors
    /// When the current folder is not known.
    pub fn absolute(self) -> std::io::Result<Self> {
        match self {
            Self::File(path) => std::path::absolute(path).map(Self::File),
            other => Ok(other),
        }
    }

    /// Reads and checks the spec.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn read(&self) -> Result<Checked, Refusal> {
        match self {
            Self::File(path) => super::read(path),
            Self::Preset(name) => {
                let text = format!("preset = {}\n", toml::Value::from(name.as_str()));
                let origin = Origin {
                    file: format!("--preset {name}"),
                    folder: PathBuf::from("."),
                };
                super::check(&text, &origin).map_err(Refusal::Wrong)
            }
            Self::Repo(wishes) => reference::read(wishes),
        }
    }
}
