//! Where a study's things are on disk.

use std::path::{Path, PathBuf};

use crate::exec::order::Places;
use crate::model::spec::{FileNames, Spec};
use crate::model::trial::{Purpose, TrialId, log_name};
use crate::store::fresh;

/// The folder of the trials' own folders, within that of the journal.
pub const TRIALS: &str = "trials";
/// The folder of the lists of what trials have made, there as well.
const LISTS: &str = "artifact-lists";

/// The folders of one study.
#[derive(Clone, Debug)]
pub struct Folders {
    output: PathBuf,
    journal: PathBuf,
    /// Within the output folder.
    logs: PathBuf,
}

impl Folders {
    /// The folders of a study whose files go to `output`.
    pub fn new(output: &Path, spec: &Spec) -> Self {
        Self {
            output: output.to_owned(),
            journal: spec.files.journal_dir(output),
            logs: PathBuf::from(&spec.files.logs),
        }
    }

    /// The output folder.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The folder of the journal.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// Where the runner of a sitting works; gone once the journal has it all.
    pub fn sitting(&self, trial: TrialId, sitting: u32) -> PathBuf {
        self.journal
            .join("sittings")
            .join(format!("{:05}.{sitting}", trial.0))
    }

    /// The folders of sittings that are there: those alone whose names
    /// [`sitting`](Self::sitting) gives.
    pub fn sittings(&self) -> Vec<PathBuf> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_ours = |path: &PathBuf| {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let (trial, sitting) = name.split_once('.').unwrap_or_default();
            trial.len() >= 5 && digits(trial) && digits(sitting) && !path.is_symlink()
        };
        let entries = std::fs::read_dir(self.journal.join("sittings"));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(is_ours).collect()
    }

    /// What the advisor was asked and said.
    pub fn dialogue(&self) -> PathBuf {
        self.output.join(fresh::DIALOGUE)
    }

    /// A trial's own folder, for what its steps make.
    pub fn trial(&self, trial: TrialId) -> PathBuf {
        self.journal.join(TRIALS).join(trial_name(trial))
    }

    /// The list of what a trial has made.
    pub fn artifacts(&self, trial: TrialId) -> PathBuf {
        let name = format!("{}.json", trial_name(trial));
        self.journal.join(LISTS).join(name)
    }

    /// The study's own files and folders, as far as others may stand beside
    /// them.
    pub fn own(&self, names: &FileNames) -> Vec<PathBuf> {
        let of_output = [
            &names.results,
            &names.best,
            &names.status,
            &names.logs,
            &names.best_model,
        ];
        let reports = Path::new(&names.report).parent();
        let reports = reports.filter(|folder| !folder.as_os_str().is_empty());
        let of_output = of_output.map(Path::new).into_iter().chain(reports);
        let mut own: Vec<PathBuf> = of_output.map(|name| self.output.join(name)).collect();
        own.extend(names.metrics.iter().map(|name| self.output.join(name)));
        match &names.journal {
            Some(_) => own.push(self.journal.clone()),
            // `journal` also is the start of what is set aside of it.
            None => own.extend(
                [
                    "journal", "spec", "lock", "sittings", "former", TRIALS, LISTS,
                ]
                .map(|name| self.journal.join(name)),
            ),
        }
        own
    }

    /// The folder of log files, within the output folder.
    pub fn logs_name(&self) -> &Path {
        &self.logs
    }

    /// A log file.
    pub fn log(&self, name: &str) -> PathBuf {
        self.output.join(&self.logs).join(name)
    }

    /// What the order for a trial's sitting needs to know. A sitting that is not
    /// to measure the trial leaves what the trial has made as it is: it has a
    /// folder below.
    pub fn places(&self, trial: TrialId, sitting: u32, purpose: Purpose) -> Places {
        let trial_dir = match purpose {
            // What follows goes by what the trial has made.
            Purpose::Measure | Purpose::Preflight | Purpose::Incumbent => self.trial(trial),
            Purpose::Check | Purpose::Confirm { .. } | Purpose::Neighbours => {
                self.extra(trial, sitting)
            }
        };
        Places {
            output_dir: self.output.clone(),
            logs: self.output.join(&self.logs),
            trial_dir,
            slot: None,
        }
    }

    fn extra(&self, trial: TrialId, sitting: u32) -> PathBuf {
        self.trial(trial).join(format!("sitting_{sitting}"))
    }

    /// Removes the folder of a sitting that is over, and the trial's own where
    /// the trial is settled and nothing was put into it. The next sitting of
    /// one that is not may have begun to use that already.
    pub fn forget_sitting(&self, trial: TrialId, sitting: u32, settled: bool) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_dir_all(self.sitting(trial, sitting));
        // Neither goes while there is something in it.
        let _ = std::fs::remove_dir(self.extra(trial, sitting));
        if settled {
            let _ = std::fs::remove_dir(self.trial(trial));
        }
    }
}

/// The name of a trial's own folder.
pub fn trial_name(trial: TrialId) -> String {
    format!("trial_{:05}", trial.0)
}

/// The trial whose own folder has this name; `None` for all names that
/// [`trial_name`] does not give.
pub fn parse_trial(name: &str) -> Option<TrialId> {
    let trial = TrialId(name.strip_prefix("trial_")?.parse().ok()?);
    (trial_name(trial) == name).then_some(trial)
}

/// The trial and the sitting whose log has this name; `None` for all names
/// that [`log_name`] does not give.
pub fn parse_log(name: &str) -> Option<(TrialId, u32)> {
    let parts: Vec<&str> = name.strip_suffix(".log")?.split('.').collect();
    let (trial, parts) = parts.split_first()?;
    let trial = parse_trial(trial)?;
    let sitting = parts.first().and_then(|part| part.parse::<u32>().ok());
    let (sitting, step) = match (sitting, parts) {
        (None, []) => (1, None),
        (None, [step]) => (1, Some(*step)),
        (Some(sitting), [_]) => (sitting, None),
        (Some(sitting), [_, step]) => (sitting, Some(*step)),
        _ => return None,
    };
    let plain = |step: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        !step.is_empty() && step.chars().all(good)
    };
    let ours = step.is_none_or(plain) && log_name(trial, sitting, step) == name;
    ours.then_some((trial, sitting))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, check};

    #[test]
    fn only_folders_of_sittings_are_taken_for_ours() {
        let output = tempfile::tempdir().expect("a temporary folder");
        let folders = Folders {
            output: PathBuf::new(),
            journal: output.path().to_owned(),
            logs: PathBuf::new(),
        };
        let ours = folders.sitting(TrialId(12), 2);
        for name in [
            "00012.2",
            "notes",
            "12.1",
            "00012",
            "00012.2.old",
            "0001a.1",
        ] {
            let path = output.path().join("sittings").join(name);
            std::fs::create_dir_all(path).expect("a folder");
        }
        let link = output.path().join("sittings/00013.1");
        std::os::unix::fs::symlink("/", link).expect("a link");
        assert_eq!(folders.sittings(), [ours]);
    }

    #[test]
    fn only_names_of_logs_are_taken_for_ours() {
        for (trial, sitting, step) in [
            (1, 1, None),
            (12, 2, None),
            (123_456, 1, Some("eval")),
            (7, 30, Some("a-b_c")),
        ] {
            let trial = TrialId(trial);
            let name = log_name(trial, sitting, step);
            assert_eq!(parse_log(&name), Some((trial, sitting)), "{name}");
            assert_eq!(parse_trial(&trial_name(trial)), Some(trial));
        }
        for name in [
            "trial_1.log",
            "trial_000001.log",
            "trial_00001",
            "trial_00001.log.gz",
            "trial_00001.1.log",
            "trial_00001.0.log",
            "trial_00001.02.log",
            "trial_00001.a b.log",
            "trial_00001.2.eval.old.log",
            "trial_00001..log",
            "trial_+0001.log",
            "run.log",
            ".log",
        ] {
            assert_eq!(parse_log(name), None, "{name}");
        }
        for name in ["trial_1", "trial_000001", "trial_00001.old", "trial_", "x"] {
            assert_eq!(parse_trial(name), None, "{name}");
        }
    }

    #[test]
    fn the_folder_of_a_study_that_names_none() {
        let text = "[study]\nname = 's'\n[objective]\nmaximize = 'm'\n[space]\nN = [1, 2]\n\
                    [[step]]\nname = 'e'\nkind = 'measure'\ncommand = ['true']\nmetrics.m = '(.)'\n";
        let spec = check(text, &Origin::of(Path::new("s.toml"))).expect("good");
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("HOME", "/home/a")], "/home/a/.local/state/autotune/s"),
            (
                &[("HOME", "/home/a"), ("XDG_STATE_HOME", "/x")],
                "/x/autotune/s",
            ),
            (
                &[("XDG_STATE_HOME", "/x"), ("STATE_DIRECTORY", "/var/lib/y")],
                "/var/lib/y/s",
            ),
            // What is no whole path is not used.
            (
                &[("HOME", "here"), ("XDG_STATE_HOME", "")],
                "/var/lib/autotune/s",
            ),
            (&[], "/var/lib/autotune/s"),
        ];
        for (variables, expected) in cases {
            let lookup = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| PathBuf::from(value))
            };
            let folder = default_output(&spec.spec, lookup);
            assert_eq!(folder, Path::new(expected), "{variables:?}");
        }
    }
}
