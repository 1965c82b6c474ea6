//! Room on the disks, against what a trial has taken so far.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::{Check, Finding};
use crate::base::quantity::show_size;
use crate::model::spec::Spec;
use crate::report::phrase::counted;

/// With less than this a disk counts as full, in bytes.
const FULL: u64 = 16 << 20;
/// With less than this it counts as nearly full when nothing is known of what a
/// trial takes, in bytes.
const LITTLE: u64 = 1 << 30;
/// Fewer files than this are few.
const FEW_FILES: u64 = 1000;
/// For so many trials like the largest there should be room.
const TRIALS: u64 = 10;
/// So many files are looked at to see what a trial takes.
const MOST_FILES: usize = 20_000;

/// The room of one disk.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// In bytes; `None` for a file system without an end.
    free: Option<u64>,
    /// How many files may still be made.
    files: Option<u64>,
}

/// Looks at the disk of the study's files and at those where steps run.
pub fn look(spec: &Spec, output_dir: &Path) -> Vec<Finding> {
    let used = largest_trial(output_dir, &output_dir.join(&spec.files.logs));
    let workdirs = spec.all_steps().map(|step| (&*step.workdir, None));
    let mut devices: Vec<u64> = Vec::new();
    let mut findings = Vec::new();
    for (folder, used) in [(output_dir, used)].into_iter().chain(workdirs) {
        let nearest = folder.ancestors().find(|folder| folder.exists());
        let Some((nearest, device)) = nearest.and_then(|n| Some((n, n.metadata().ok()?.dev())))
        else {
            continue;
        };
        if devices.contains(&device) {
            continue;
        }
        devices.push(device);
        findings.extend(room(nearest).map(|room| judge(folder, room, used)));
    }
    findings
}

fn room(folder: &Path) -> Option<Room> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    // A file system without an end reports no blocks or no files at all.
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    Some(Room {
        free: (disk.blocks() > 0).then_some(free),
        files: (disk.files() > 0).then(|| disk.files_available()),
    })
}

/// `used` is what the largest trial so far has taken, in bytes.
fn judge(folder: &Path, room: Room, used: Option<u64>) -> Finding {
    let folder = folder.display();
    let remedy = "free some space: see `df -h`, or name another `output_dir`";
    if let Some(files) = room.files.filter(|files| *files < FEW_FILES) {
        let text = format!(
            "the disk of {folder} takes only {}",
            counted(files, "more file")
        );
        let remedy = "remove files that nobody needs: see `df -i`";
        return if files == 0 {
            Finding::error(Check::Disk, text, remedy)
        } else {
            Finding::warning(Check::Disk, text, remedy)
        };
    }
    let Some(free) = room.free else {
        return Finding::ok(Check::Disk, format!("the disk of {folder} has no limit"));
    };
    let shown = show_size(free);
    if free < FULL {
        let text = format!("the disk of {folder} is full: {shown} free");
        return Finding::error(Check::Disk, text, remedy);
    }
    let Some(used) = used.filter(|used| *used > 0) else {
        let text = format!("{shown} free on the disk of {folder}");
        return if free < LITTLE {
            Finding::warning(Check::Disk, text, remedy)
        } else {
            Finding::ok(Check::Disk, text)
        };
    };
    let taken = show_size(used);
    let text =
        format!("{shown} free on the disk of {folder}; the largest trial so far has taken {taken}");
    if free < used {
        Finding::error(Check::Disk, text, remedy)
    } else if free / used < TRIALS {
        let text = format!(
            "{text}: room for {} like it",
            counted(free / used, "more trial")
        );
        Finding::warning(Check::Disk, text, remedy)
    } else {
        Finding::ok(Check::Disk, text)
    }
}

/// What the largest trial has left behind: its own folder and its logs.
fn largest_trial(output_dir: &Path, logs: &Path) -> Option<u64> {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut left = MOST_FILES;
    for folder in [output_dir.join("trials").as_path(), logs] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // trial_00012, trial_00012.eval.log
            let Some(number) = name.strip_prefix("trial_") else {
                continue;
            };
            let number = number.split('.').next().unwrap_or_default().to_owned();
            *sizes.entry(number).or_default() += size(entry.path(), &mut left);
        }
    }
    sizes.into_values().max()
}

/// What a file or folder takes, without following links; nothing more is added
/// once `left` files were looked at.
fn size(path: PathBuf, left: &mut usize) -> u64 {
    let mut stack = vec![path];
    let mut sum = 0;
    while let Some(path) = stack.pop() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let Ok(data) = path.symlink_metadata() else {
            continue;
        };
        sum += data.blocks() * 512;
        if data.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            stack.extend(entries.map(|entry| entry.path()));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn room_is_held_against_what_a_trial_takes() {
        const GIB: u64 = 1 << 30;
        let cases = [
            (
                Some(500 * GIB),
                Some(1000),
                Some(GIB),
                State::Ok,
                "500.0 GiB free",
            ),
            (
                Some(5 * GIB),
                Some(1000),
                Some(GIB),
                State::Warning,
                "5 more trials like it",
            ),
            (
                Some(GIB),
                Some(1000),
                Some(2 * GIB),
                State::Error,
                "has taken 2.0 GiB",
            ),
            (Some(2 * GIB), None, None, State::Ok, "2.0 GiB free"),
            (Some(GIB / 2), None, None, State::Warning, "512.0 MiB free"),
            (Some(1 << 20), None, None, State::Error, "is full"),
            (Some(GIB * 9), Some(7), None, State::Warning, "7 more files"),
            (Some(GIB * 9), Some(0), None, State::Error, "0 more files"),
            (None, None, Some(GIB), State::Ok, "no limit"),
        ];
        for (free, files, used, state, words) in cases {
            let found = judge(Path::new("/out"), Room { free, files }, used);
            assert_eq!(found.state, state, "{found:?}");
            assert!(found.text.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_trial_is_its_folder_and_its_logs() {
        let output = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, size: usize| {
            let file = output.path().join(name);
            std::fs::create_dir_all(file.parent().expect("in a folder")).expect("made");
            std::fs::write(file, vec![1; size]).expect("written");
        };
        let logs = output.path().join("logs");
        assert_eq!(largest_trial(output.path(), &logs), None);
        write("trials/trial_00001/model/weights", 300 << 10);
        write("logs/trial_00001.log", 200 << 10);
        write("logs/trial_00002.2.eval.log", 400 << 10);
        write("logs/notes", 900 << 10);
        let largest = largest_trial(output.path(), &logs).expect("some");
        assert!((500 << 10..600 << 10).contains(&largest), "{largest}");
    }
}
