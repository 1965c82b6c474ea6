//! A new beginning: what a study has so far is moved aside, and kept.
//!
//! ```text
//! <journal's folder>/former/2026-03-01T120000/
//!     journal.jsonl, spec.toml, trials/     as they were
//!     tune_results.jsonl, tune_server_logs/ under the names that the spec has
//!     advisor.jsonl                         the dialogue with the advisor
//!     best_params.json                      a copy: the file stays
//! ```
//!
//! The journal goes last. Should the move be cut short, the next start finds it
//! and makes the files anew from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::import;
use super::journal::{self, unused};
use super::lock::Lock;
use super::spec_copy;
use crate::base::clock::Timestamp;
use crate::base::file;
use crate::model::spec::FileNames;

/// The dialogue with the advisor, in the folder of the output.
pub const DIALOGUE: &str = "reports/advisor.jsonl";

/// Moves the study whose files are in `output_dir` aside, under its lock.
/// Returns where it is now; `None` when there was nothing to move.
///
/// # Errors
/// When the study is in use, and whatever the file system answers.
pub fn set_aside(
    output_dir: &Path,
    names: &FileNames,
    now: Timestamp,
) -> Result<Option<PathBuf>, JournalError> {
    let folder = names.journal_dir(output_dir);
    let beside = |name: &str| folder.join(name);
    let moved = [
        output_dir.join(&names.results),
        import::kept_path(output_dir, names),
        import::damaged_path(output_dir, names),
        output_dir.join(&names.logs),
        beside("trials"),
        beside("artifact-lists"),
        beside(spec_copy::FILE),
        beside(spec_copy::FOLDER),
        // The dialogue goes on in a file of its own.
        output_dir.join(DIALOGUE),
        beside(journal::FILE),
    ];
    let has_history = [&moved[0], &moved[9]];
    if !has_history.iter().any(|path| path.exists()) {
        return Ok(None);
    }
    fs::create_dir_all(&folder).map_err(JournalError::making(&folder))?;
    let _lock = Lock::take(&folder)?;
    let all = folder.join("former");
    fs::create_dir_all(&all).map_err(JournalError::making(&all))?;
    let former = unused(&all, &now.local_iso().replace(':', ""));
    fs::create_dir(&former).map_err(JournalError::making(&former))?;
    let best = output_dir.join(&names.best);
    if best.exists() {
        let kept = former.join(base_name(&best));
        fs::copy(&best, &kept).map_err(JournalError::at(&kept))?;
    }
    for path in &moved {
        let kept = former.join(base_name(path));
        match fs::rename(path, &kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JournalError::of(path, error));
            }
            _ => {}
        }
    }
    for folder in [&former, &all, &folder] {
        file::sync_folder(folder).map_err(JournalError::at(folder))?;
    }
    Ok(Some(former))
}

fn base_name(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_763_767_212_004);

    fn list(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn names() -> FileNames {
        FileNames {
            journal: Some(".autotune/r".to_owned()),
            ..FileNames::default()
        }
    }

    fn study(folder: &Path) {
        let journal = folder.join(".autotune/r");
        for folder in [&journal.join("trials"), &folder.join("tune_server_logs")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::create_dir_all(folder.join("reports")).expect("a folder");
        for path in [
            "tune_results.jsonl",
            "best_params.json",
            "run_model.sh",
            DIALOGUE,
            "reports/report-1.md",
        ] {
            fs::write(folder.join(path), path).expect("written");
        }
        for name in ["journal.jsonl", "spec.toml"] {
            fs::write(journal.join(name), name).expect("written");
        }
    }

    #[test]
    fn all_of_a_study_is_kept_and_its_best_params_stay() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        assert_eq!(set_aside(folder, &names(), NOW).expect("nothing"), None);
        assert_eq!(list(folder), [""; 0]);
        study(folder);
        let former = set_aside(folder, &names(), NOW).expect("moved");
        let former = former.expect("a history");
        let kept = [
            "advisor.jsonl",
            "best_params.json",
            "journal.jsonl",
            "spec.toml",
            "trials",
            "tune_results.jsonl",
            "tune_server_logs",
        ];
        assert_eq!(list(&former), kept);
        let left = [".autotune", "best_params.json", "reports", "run_model.sh"];
        assert_eq!(list(folder), left);
        // A report has its time in its name.
        assert_eq!(list(&folder.join("reports")), ["report-1.md"]);
        assert_eq!(list(&folder.join(".autotune/r")), ["former", "lock"]);
        // Within the same second.
        study(folder);
        let again = set_aside(folder, &names(), NOW).expect("moved");
        assert_ne!(again.expect("a history"), former);
        assert_eq!(list(&former), kept);
    }

    #[test]
    fn a_study_in_use_stays_where_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        study(folder.path());
        let journal = folder.path().join(".autotune/r");
        let _lock = Lock::take(&journal).expect("free");
        let error = set_aside(folder.path(), &names(), NOW).expect_err("in use");
        assert!(matches!(error, JournalError::InUse { .. }), "{error}");
        assert!(journal.join("journal.jsonl").exists());
        assert!(folder.path().join("tune_results.jsonl").exists());
    }
}
