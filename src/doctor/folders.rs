//! The folders that are written to.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::finding::{Check, Finding};
use crate::base::file;
use crate::base::owner::{other_owner, this_user};
use crate::model::spec::Spec;
use crate::model::step::MetricSource;

/// Whether the study's folder is none, without writing to it.
pub fn look_at_kind(output_dir: &Path) -> Vec<Finding> {
    if !output_dir.exists() || output_dir.is_dir() {
        return Vec::new();
    }
    let text = format!("`output_dir`: {} is not a folder", output_dir.display());
    vec![Finding::error(Check::Output, text, "name another")]
}

/// Whether files can be made in the study's folder, or else that itself.
pub fn look_at_output(output_dir: &Path) -> Vec<Finding> {
    let is_there = |folder: &&Path| folder.symlink_metadata().is_ok();
    let nearest = output_dir.ancestors().find(is_there).unwrap_or(output_dir);
    let probed = if nearest.is_dir() {
        // Says what the file system says, without the name of a file.
        access(nearest, Access::WRITE_OK)
            .map_err(io::Error::from)
            .and_then(|()| file::check_room(nearest))
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    };
    vec![judge_output(output_dir, nearest, probed)]
}

fn judge_output(output_dir: &Path, nearest: &Path, probed: io::Result<()>) -> Finding {
    let output = output_dir.display();
    match probed {
        Ok(()) if output_dir == nearest => {
            Finding::ok(Check::Output, format!("{output} can be written"))
        }
        Ok(()) => {
            let text = format!("{output} can be made in {}", nearest.display());
            Finding::ok(Check::Output, text)
        }
        Err(error) => {
            use io::ErrorKind::{QuotaExceeded, StorageFull};
            // Room comes again; the folder is as it should be.
            let check = match error.kind() {
                StorageFull | QuotaExceeded => Check::Disk,
                _ => Check::Output,
            };
            let is_file = error.kind() == io::ErrorKind::NotADirectory;
            let what = match (output_dir == nearest, is_file) {
                (true, true) => "cannot be made (it is a file)".to_owned(),
                (true, false) => format!("cannot be written ({error})"),
                (false, true) => format!("cannot be made ({} is a file)", nearest.display()),
                (false, false) => format!("cannot be made in {} ({error})", nearest.display()),
            };
            let text = format!("the output folder {output} {what}");
            let remedy = match other_owner(output_dir) {
                // Only what is the study's own is given over as a whole.
                Some(owner) if error.kind() == io::ErrorKind::PermissionDenied => format!(
                    "it belongs to {owner}: `chown -R {} {output}` gives it over, or choose \
                     another output_dir",
                    this_user()
                ),
                _ => remedy(&error, nearest, "output_dir"),
            };
            Finding::error(check, text, remedy)
        }
    }
}

/// Whether steps can write where they run.
pub fn look_at_workdirs(spec: &Spec) -> Vec<Finding> {
    let mut looked: Vec<PathBuf> = Vec::new();
    let mut findings = Vec::new();
    for step in spec.all_steps() {
        // What is not there is told with the steps.
        if looked.contains(&step.workdir) || !step.workdir.is_dir() {
            continue;
        }
        looked.push(step.workdir.clone());
        let writes = spec
            .steps
            .iter()
            .filter(|other| other.workdir == step.workdir)
            .flat_map(|step| &step.metrics)
            .find(|rule| match &rule.source {
                MetricSource::Json { file: None, .. } | MetricSource::Regex { .. } => false,
                MetricSource::Json {
                    file: Some(file), ..
                }
                | MetricSource::Records { file, .. } => !file.source().contains('/'),
            })
            .map(|rule| rule.metric.to_string());
        let written = access(&step.workdir, Access::WRITE_OK).map_err(io::Error::from);
        findings.push(judge_workdir(&step.workdir, writes.as_deref(), written));
    }
    findings
}

/// `needed_by` is a metric that is read from a file there.
fn judge_workdir(workdir: &Path, needed_by: Option<&str>, written: io::Result<()>) -> Finding {
    let shown = workdir.display();
    let Err(error) = written else {
        return Finding::ok(Check::Workdir, format!("{shown} can be written"));
    };
    let remedy = remedy(&error, workdir, "workdir");
    match needed_by {
        Some(metric) => {
            let text = format!(
                "steps cannot write to {shown}, where the file of the metric {metric} is to be: {error}"
            );
            Finding::error(Check::Workdir, text, remedy)
        }
        None => {
            let text = format!("steps cannot write to {shown}, where they run: {error}");
            let remedy = format!("{remedy}; nothing to do if they do not write there");
            Finding::warning(Check::Workdir, text, remedy)
        }
    }
}

/// The way out for a folder that takes no files; `key` names another.
fn remedy(error: &io::Error, folder: &Path, key: &str) -> String {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let folder = folder.display();
    match error.kind() {
        ReadOnlyFilesystem => format!(
            "a service may write where ReadWritePaths={folder} lets it (`systemctl edit` its \
             unit); otherwise mount it writable, or choose another {key}"
        ),
        PermissionDenied => format!("let this user write to {folder}, or choose another {key}"),
        StorageFull | QuotaExceeded => "free some space: see `df -h` and `df -i`".to_owned(),
        _ => format!("choose another {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_folder_that_takes_no_files_has_a_way_out() {
        let folder = Path::new("/data/out");
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        let there = judge_output(folder, folder, denied());
        assert_eq!(there.state, State::Error);
        assert_eq!(
            there.sentence(),
            "the output folder /data/out cannot be written (permission denied): let this user \
             write to /data/out, or choose another output_dir"
        );
        let to_make = judge_output(folder, Path::new("/data"), denied());
        assert!(to_make.text.contains("cannot be made in /data"));
        let read_only = || Err(io::ErrorKind::ReadOnlyFilesystem.into());
        let workdir = judge_workdir(folder, None, read_only());
        assert_eq!(workdir.state, State::Warning);
        assert!(workdir.remedy.contains("ReadWritePaths=/data/out"));
        let metric = judge_workdir(folder, Some("tps"), read_only());
        assert_eq!(metric.state, State::Error);
        assert!(metric.text.contains("metric tps"));
    }

    #[test]
    fn a_folder_is_made_only_to_see_whether_it_can_be() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let output = dir.path().join("a/b");
        let found = look_at_output(&output);
        assert_eq!(found[0].state, State::Ok, "{found:?}");
        assert!(
            std::fs::read_dir(dir.path())
                .expect("read")
                .next()
                .is_none()
        );
        std::fs::write(dir.path().join("a"), "").expect("written");
        let found = look_at_output(&output);
        assert_eq!(found[0].state, State::Error, "{found:?}");
        assert!(found[0].text.contains("a/b cannot be made ("), "{found:?}");
        assert!(found[0].text.contains("a is a file)"), "{found:?}");
        assert_eq!(look_at_kind(&dir.path().join("a")).len(), 1);
        assert_eq!(look_at_kind(dir.path()), []);
    }
}
