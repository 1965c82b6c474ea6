//! What a step has made: the files that match its patterns and that its trial
//! has written, with what tells each from another file of the same name.
//!
//! - Nothing outside of the trial's folder, the step's folder and the study's
//!   folder is looked at, and no link is followed that leads out of them.
//! - The study's own files are never a trial's.
//! - A file counts when it was made, written or put in its place while the
//!   trial was at work.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Stat, fstat};
use serde::{Deserialize, Serialize};

use super::search::{Search, Written};
use crate::base::{clock, file};

/// A pattern that a step declares.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::artifacts::Artifact")]
pub struct ArtifactOrder {
    pub pattern: String,
    pub newest: bool,
    pub required: Option<bool>,
}

/// What a runner needs to know of the artifacts of its trial.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeepOrder {
    /// Where the list of them goes; without it there is none.
    pub list: Option<PathBuf>,
    /// What tells the trial from another of the same number.
    pub token: String,
    /// The study's folder.
    pub output_dir: PathBuf,
    /// The study's own files and folders: what begins with one of these.
    pub own: Vec<PathBuf>,
    /// When the trial was at work before, each from one time to another, in
    /// milliseconds since 1970.
    pub spans: Vec<(i64, i64)>,
}

/// What a trial has made: the list of its artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// See [`KeepOrder::token`].
    pub token: String,
    /// For each pattern of each step what it matches.
    pub groups: Vec<Group>,
}

/// What one pattern matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The step.
    pub step: String,
    /// The folder that the following names are relative to; absolute.
    pub root: PathBuf,
    /// The folder before the first part of the pattern that matches several
    /// names.
    pub fixed: PathBuf,
    /// The folder that was chosen as the newest.
    pub newest: Option<PathBuf>,
    /// The files.
    pub files: Vec<Item>,
    /// The folders that match, and those within them.
    pub folders: Vec<Item>,
}

/// A file or a folder, and which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name.
    pub path: PathBuf,
    /// The device of its file system.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its text was changed last, in nanoseconds since 1970.
    pub modified: i64,
    /// When anything of it was changed last, in nanoseconds since 1970.
    pub changed: i64,
    /// Whether a link leads to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
}

impl Listed {
    /// The list in that file; an empty one where there is none, or one of
    /// another trial.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path, token: &str) -> io::Result<Self> {
        let none = || Self {
            token: token.to_owned(),
            groups: Vec::new(),
        };
        match std::fs::read(path) {
            Ok(bytes) => {
                let listed = serde_json::from_slice(&bytes).ok();
                let listed = listed.filter(|listed: &Self| listed.token == token);
                Ok(listed.unwrap_or_else(none))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(none()),
            Err(error) => Err(error),
        }
    }

    /// How many files it has, and how many bytes.
    pub fn size(&self) -> (u32, u64) {
        let files = self.groups.iter().flat_map(|group| &group.files);
        files.fold((0, 0), |(count, bytes), file| {
            (count + 1, bytes + file.size)
        })
    }
}

impl Item {
    pub(super) fn of(path: PathBuf, stat: &Stat, linked: bool) -> Self {
        let nanoseconds = |seconds: i64, rest: u64| {
            let rest = i64::try_from(rest).unwrap_or_default();
            seconds.saturating_mul(1_000_000_000).saturating_add(rest)
        };
        Self {
            path,
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            linked,
        }
    }

    /// Whether the file that `stat` is of is still this one, unchanged.
    pub fn is(&self, stat: &Stat) -> bool {
        let now = Self::of(self.path.clone(), stat, self.linked);
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && now == *self
    }

    /// Whether the folder that `stat` is of is still this one.
    pub fn is_folder(&self, stat: &Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && (stat.st_dev, stat.st_ino) == (self.device, self.inode)
    }
}

/// Since when what is in a folder counts, by the clock of its file system.
#[derive(Clone, Debug)]
pub struct Since {
    root: PathBuf,
    at: i64,
}

/// Where the patterns of a step may lead.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// The trial's own folder.
    pub trial: &'a Path,
    /// The step's folder.
    pub work: &'a Path,
    /// The study's folder.
    pub output: &'a Path,
}

/// What was found of one pattern.
#[derive(Debug)]
pub struct Found {
    /// What counts.
    pub group: Group,
    /// What does not, and why: a sentence each.
    pub refused: Vec<String>,
}

impl Roots<'_> {
    /// The folder to which a pattern is relative, and the pattern below that.
    pub(super) fn place(&self, pattern: &str) -> Result<(PathBuf, PathBuf), String> {
        let path = Path::new(pattern);
        let is_plain = |part| matches!(part, Component::Normal(_) | Component::RootDir);
        if !path
            .components()
            .filter(|part| *part != Component::CurDir)
            .all(is_plain)
        {
            return Err(format!("`{pattern}` leads out of its folder by `..`"));
        }
        let path: PathBuf = self.work.join(path).components().collect();
        for root in [self.trial, self.work, self.output] {
            let Ok(rest) = path.strip_prefix(root) else {
                continue;
            };
            let mut parts = rest.components();
            let first = parts.next().map(Component::as_os_str);
            let is_all = first.is_none_or(|first| first == "*" || first == "**");
            if is_all && root != self.trial {
                return Err(format!(
                    "`{pattern}` would take all that changes in a folder that is not the trial's alone"
                ));
            }
            let rest = if first.is_none() {
                Path::new("**")
            } else {
                rest
            };
            return Ok((root.to_owned(), rest.to_owned()));
        }
        Err(format!(
            "`{pattern}` is outside of {} and {}",
            self.work.display(),
            self.output.display()
        ))
    }

    /// Notes that a step begins.
    pub fn begin(&self, patterns: &[ArtifactOrder]) -> Vec<Since> {
        let mut since: Vec<Since> = Vec::new();
        for pattern in patterns {
            if let Ok((root, _)) = self.place(&pattern.pattern)
                && !since.iter().any(|known| known.root == root)
            {
                let at = self.now(&root);
                since.push(Since { root, at });
            }
        }
        since
    }

    /// The time by the clock that gives the files in a folder theirs.
    fn now(&self, folder: &Path) -> i64 {
        let device = |path: &Path| path.metadata().ok().map(|data| data.dev());
        // Nobody but the trial looks at its own folder.
        let probed = if device(folder) == device(self.trial) {
            self.trial
        } else {
            folder
        };
        let probe = tempfile::Builder::new()
            .prefix(".time-")
            .tempfile_in(probed);
        let made = probe.and_then(|probe| Ok(fstat(probe.as_file())?));
        made.map_or_else(
            |_| clock::now().as_millis().saturating_mul(1_000_000),
            |stat| Item::of(PathBuf::new(), &stat, false).changed,
        )
    }

    /// Looks for what a step has made by one of its patterns.
    ///
    /// # Errors
    /// A sentence that says why the pattern is refused.
    pub fn find(
        &self,
        step: &str,
        order: &ArtifactOrder,
        since: &[Since],
        keep: &KeepOrder,
    ) -> Result<Found, String> {
        let (root, rest) = self.place(&order.pattern)?;
        let since = since.iter().find(|since| since.root == root);
        let own = if root == self.trial {
            HashSet::new()
        } else {
            own_files(keep)
        };
        let mut search = Search::new(&root, &rest)?;
        search.own = own;
        search.written = Written {
            since: since.map(|since| since.at),
            spans: &keep.spans,
        };
        let fixed = search.fixed.clone();
        search.go().map_err(|error| {
            format!(
                "{} cannot be looked through: {error}",
                root.join(&fixed).display()
            )
        })?;
        let newest = order.newest.then(|| search.choose_newest()).flatten();
        Ok(Found {
            group: Group {
                step: step.to_owned(),
                root,
                fixed,
                newest,
                files: search.files.into_iter().map(|(file, _)| file).collect(),
                folders: search
                    .folders
                    .into_iter()
                    .map(|(folder, _)| folder)
                    .collect(),
            },
            refused: search.refused,
        })
    }
}

/// The study's own files and folders, as they are now.
fn own_files(keep: &KeepOrder) -> HashSet<(u64, u64)> {
    let mut own = HashSet::new();
    let mut note = |path: &Path| {
        if let Ok(data) = std::fs::symlink_metadata(path) {
            own.insert((data.dev(), data.ino()));
        }
    };
    for path in &keep.own {
        note(path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        // What was set aside has the name with something behind it.
        let name = name.to_string_lossy();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let other = entry.file_name();
            let other = other.to_string_lossy();
            let other = other.strip_prefix('.').unwrap_or(&other);
            let rest = other.strip_prefix(&*name);
            if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-'])) {
                note(&entry.path());
            }
        }
    }
    own
}

/// Brings the list up to date with what a step has made by its patterns, and
/// makes it outlive a power cut. Returns the list.
///
/// # Errors
/// When it cannot be read or written.
pub fn list(path: &Path, token: &str, step: &str, groups: Vec<Group>) -> io::Result<Listed> {
    let mut listed = Listed::read(path, token)?;
    let before = listed.clone();
    listed.groups.retain(|group| group.step != step);
    listed.groups.extend(groups);
    let mut known: HashSet<PathBuf> = HashSet::new();
    for group in &mut listed.groups {
        let root = &group.root;
        group
            .files
            .retain(|file| known.insert(root.join(&file.path)));
    }
    if listed != before || !path.exists() {
        std::fs::create_dir_all(file::folder_of(path))?;
        file::replace(path, &serde_json::to_vec(&listed)?)?;
    }
    Ok(listed)
}
