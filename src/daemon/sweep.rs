//! Removing the output of trials that [`retention`] gives up: log files and
//! the trials' own folders, and the artifacts that the study gives up.
//!
//! - Only names that this program gives are looked at, and each is checked
//!   against the trial that it must belong to, a log's time too; everything
//!   else stays.
//! - The folders are reached through descriptors, without following a link;
//!   a folder of logs that is one is left alone.
//! - A trial is looked at again before its output goes, and none begins while
//!   its own does: see [`Hands`].

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::dispatcher::keeping::token;
use super::folders::{self, Folders};
use super::{discard, retention};
use crate::base::clock::{self, Timestamp};
use crate::model::artifacts::ArtifactsChange;
use crate::model::study::Study;
use crate::model::trial::{Trial, TrialId};

/// The longest that one sweep goes on; the next one does the rest.
const LONGEST: Duration = Duration::from_secs(10);
/// The clock of a disk that others share may be off by so much.
const SLACK: Duration = Duration::from_secs(60);
/// So many files of a trial's folder are measured.
const MEASURED: usize = 100_000;

/// What one sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// The trials whose output is gone.
    pub trials: Vec<TrialId>,
    /// The trials whose artifacts were removed.
    pub artifacts: Vec<(TrialId, ArtifactsChange)>,
    /// What stood in the way of the last that could not be removed.
    pub trouble: Option<String>,
}

/// Removes output, on whichever thread may wait for a disk.
#[derive(Debug)]
pub struct Sweeper {
    folders: Folders,
    hands: Arc<Hands>,
    /// The size of a trial's folder, by the number of its sittings: one that
    /// is settled does not change.
    sizes: HashMap<(TrialId, usize), u64>,
}

/// What a trial has.
#[derive(Debug, Default)]
struct Output {
    /// Names in the folder of logs.
    logs: Vec<String>,
    /// Whether it has a folder of its own.
    folder: bool,
    /// What all of it takes, in bytes.
    bytes: u64,
}

/// The trial that is in hand: its folder is being removed. Whoever begins a
/// sitting of it waits.
#[derive(Debug, Default)]
pub struct Hands {
    trial: Mutex<Option<TrialId>>,
    free: Condvar,
}

impl Hands {
    /// Waits until `trial` is not in hand.
    pub fn wait_for(&self, trial: TrialId) {
        let mut held = self.lock();
        while *held == Some(trial) {
            held = self.free.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<TrialId>> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with a trial in hand.
    fn with<T>(&self, trial: TrialId, work: impl FnOnce() -> T) -> T {
        *self.lock() = Some(trial);
        let done = work();
        *self.lock() = None;
        self.free.notify_all();
        done
    }
}

impl Sweeper {
    /// One for the output in these folders.
    pub fn new(folders: Folders) -> Self {
        Self {
            folders,
            hands: Arc::default(),
            sizes: HashMap::new(),
        }
    }

    /// What a sitting must wait for before it begins.
    pub fn hands(&self) -> Arc<Hands> {
        Arc::clone(&self.hands)
    }

    /// Removes the output that `study` gives up. `now` is the study of the
    /// moment: another one when it is looked at again.
    pub fn sweep(&mut self, study: &Study, now: impl Fn() -> Arc<Study>) -> Swept {
        let begun = Instant::now();
        let mut swept = Swept::default();
        let logs = Inside::open(self.folders.output(), self.folders.logs_name());
        let trials = Inside::open(self.folders.journal(), Path::new(folders::TRIALS));
        let found = self.find(study, logs.as_ref(), trials.as_ref());
        let sizes = found.iter().map(|(id, output)| (*id, output.bytes));
        let doomed = retention::doomed(study, &sizes.collect(), clock::now());
        for id in doomed {
            let Some(output) = found.get(&id) else {
                continue;
            };
            if begun.elapsed() > LONGEST {
                break;
            }
            let removed = Arc::clone(&self.hands).with(id, || {
                // It may have been taken up again meanwhile, or, by another
                // spec, be the best now.
                let study = now();
                let may_go = study.trial(id).is_some_and(|trial| is_over(trial));
                if !may_go || retention::spared(&study).any(|spared| spared == id) {
                    return Ok(false);
                }
                remove(id, output, logs.as_ref(), trials.as_ref()).map(|()| true)
            });
            match removed {
                Ok(true) => swept.trials.push(id),
                Ok(false) => {}
                Err(error) => swept.trouble = Some(format!("the output of trial {id}: {error}")),
            }
        }
        self.sweep_artifacts(study, &now, begun, &mut swept);
        swept
    }

    fn sweep_artifacts(
        &self,
        study: &Study,
        now: &impl Fn() -> Arc<Study>,
        begun: Instant,
        swept: &mut Swept,
    ) {
        for id in study.given_up() {
            if begun.elapsed() > LONGEST {
                return;
            }
            let removed = self.hands.with(id, || {
                // It may be the best now, or have been taken up again.
                let study = now();
                let trial = study.trial(id).filter(|_| study.given_up().contains(&id))?;
                Some(discard::discard(&self.folders.artifacts(id), &token(trial)))
            });
            match removed {
                Some(Ok(discarded)) => swept.artifacts.push((id, discarded)),
                Some(Err(error)) => {
                    swept.trouble = Some(format!("the artifacts of trial {id}: {error}"));
                }
                None => {}
            }
        }
    }

    /// What is there, of trials that are over.
    fn find(
        &mut self,
        study: &Study,
        logs: Option<&Inside>,
        trials: Option<&Inside>,
    ) -> BTreeMap<TrialId, Output> {
        let mut found: BTreeMap<TrialId, Output> = BTreeMap::new();
        let measure = study.spec().retention.size.is_some();
        for (entry, name) in logs.into_iter().flat_map(Inside::entries) {
            let known = folders::parse_log(&name).and_then(|(id, number)| {
                let trial = study.trial(id)?;
                let is_known = trial.sittings.iter().any(|known| known.number == number);
                is_known.then_some(trial)
            });
            let Some(trial) = known else { continue };
            let is_log = |data: &Metadata| data.is_file() && is_written_by(trial, data);
            let Some(data) = metadata(&entry).filter(is_log) else {
                continue;
            };
            let output = found.entry(trial.id).or_default();
            output.bytes += data.len();
            output.logs.push(name);
        }
        for (entry, name) in trials.into_iter().flat_map(Inside::entries) {
            let known = folders::parse_trial(&name).and_then(|id| study.trial(id));
            let Some(trial) = known.filter(|trial| is_over(trial)) else {
                continue;
            };
            if !metadata(&entry).is_some_and(|data| data.is_dir()) {
                continue;
            }
            let output = found.entry(trial.id).or_default();
            output.folder = true;
            if measure {
                let size = self.sizes.entry((trial.id, trial.sittings.len()));
                output.bytes += *size.or_insert_with(|| size_of(&entry.path()));
            }
        }
        self.sizes.retain(|(id, _), _| found.contains_key(id));
        found
    }
}

fn is_over(trial: &Trial) -> bool {
    trial.is_settled() && trial.running().is_none()
}

/// Whether a log was written last while the trial had its sittings: another
/// study, or an earlier tuner, may have logs of the same names in the folder.
fn is_written_by(trial: &Trial, log: &Metadata) -> bool {
    let (Some(first), Some(last)) = (trial.sittings.first(), trial.sittings.last()) else {
        return false;
    };
    let Ok(written) = log.modified().map(jiff::Timestamp::try_from) else {
        return false;
    };
    let written = written.map(|at| Timestamp::from_millis(at.as_millisecond()));
    written.is_ok_and(|at| {
        first.started.since(at) <= SLACK && last.ended.is_none_or(|end| at.since(end) <= SLACK)
    })
}

/// Not following a link.
fn metadata(entry: &DirEntry) -> Option<Metadata> {
    entry.metadata().ok()
}

/// The bytes of all files in a folder, links not followed.
fn size_of(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    let mut left = MEASURED;
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take(left) {
            left -= 1;
            match metadata(&entry) {
                Some(data) if data.is_dir() => folders.push(entry.path()),
                Some(data) => bytes += data.len(),
                None => {}
            }
        }
    }
    bytes
}

fn remove(
    id: TrialId,
    output: &Output,
    logs: Option<&Inside>,
    trials: Option<&Inside>,
) -> io::Result<()> {
    let ignore_missing = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    if let Some(logs) = logs {
        for name in &output.logs {
            // A link that took its place goes, not what it leads to.
            ignore_missing(std::fs::remove_file(logs.path().join(name)))?;
        }
    }
    if let Some(trials) = trials.filter(|_| output.folder) {
        let folder = trials.path().join(folders::trial_name(id));
        if std::fs::symlink_metadata(&folder).is_ok_and(|data| data.is_dir()) {
            ignore_missing(std::fs::remove_dir_all(folder))?;
        }
    }
    Ok(())
}

/// A folder within the output folder that was reached without a link.
#[derive(Debug)]
struct Inside(OwnedFd);

impl Inside {
    /// `None` where there is no such folder, or a link on the way to it.
    fn open(output: &Path, name: &Path) -> Option<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let mut folder = openat(CWD, output, flags, Mode::empty()).ok()?;
        for part in name.components() {
            let Component::Normal(part) = part else {
                return None;
            };
            folder = openat(&folder, part, flags | OFlags::NOFOLLOW, Mode::empty()).ok()?;
        }
        Some(Self(folder))
    }

    /// A path that leads here whatever becomes of the folder's name.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// What is in it, where the name is text.
    fn entries(&self) -> impl Iterator<Item = (DirEntry, String)> {
        let entries = std::fs::read_dir(self.path()).into_iter().flatten();
        entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((entry, name))
        })
    }
}
