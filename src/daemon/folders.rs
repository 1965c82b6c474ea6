//! Where a study's things are on disk.

use std::path::{Path, PathBuf};

use crate::exec::order::Places;
use crate::model::spec::Spec;
use crate::model::trial::TrialId;

/// The folders of one study.
#[derive(Clone, Debug)]
pub struct Folders {
    output: PathBuf,
    logs: PathBuf,
}

impl Folders {
    /// The folders of a study whose files go to `output`.
    pub fn new(output: &Path, spec: &Spec) -> Self {
        Self {
            output: output.to_owned(),
            logs: output.join(&spec.files.logs),
        }
    }

    /// The output folder, which has the journal.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Where the runner of a sitting works; gone once the journal has it all.
    pub fn sitting(&self, trial: TrialId, sitting: u32) -> PathBuf {
        self.output
            .join("sittings")
            .join(format!("{:05}.{sitting}", trial.0))
    }

    /// The folders of sittings that are there.
    pub fn sittings(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.output.join("sittings"));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// A trial's own folder, for what its steps make.
    pub fn trial(&self, trial: TrialId) -> PathBuf {
        self.output
            .join("trials")
            .join(format!("trial_{:05}", trial.0))
    }

    /// A log file.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(name)
    }

    /// What an order needs to know.
    pub fn places(&self, trial: TrialId) -> Places {
        Places {
            output_dir: self.output.clone(),
            logs: self.logs.clone(),
            trial_dir: self.trial(trial),
        }
    }

    /// Removes the folder of a sitting that is over, and the trial's own where
    /// the trial is settled and nothing was put into it. The next sitting of
    /// one that is not may have begun to use that already.
    pub fn forget_sitting(&self, trial: TrialId, sitting: u32, settled: bool) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_dir_all(self.sitting(trial, sitting));
        if settled {
            let _ = std::fs::remove_dir(self.trial(trial));
        }
    }
}

/// Where a study's files go when its spec does not say: `$STATE_DIRECTORY`
/// under systemd, else `$XDG_STATE_HOME/autotune`, else
/// `~/.local/state/autotune`; below that a folder of the study's name.
///
/// `variable` looks up an environment variable.
pub fn default_output(spec: &Spec, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let given = |name: &str| variable(name).filter(|path| path.is_absolute());
    let base = given("STATE_DIRECTORY")
        .or_else(|| given("XDG_STATE_HOME").map(|state| state.join("autotune")))
        .or_else(|| given("HOME").map(|home| home.join(".local/state/autotune")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/autotune"));
    base.join(&spec.name)
}
