//! Keeping the artifacts of the best trial: a copy in a folder of its own that
//! is whole at every moment.
//!
//! ```text
//!   copy to .NAME.new ─ sync files and folders ─ exchange with NAME ─ remove the old
//! ```
//!
//! - What the list of the trial does not have is not copied, and what has
//!   changed since it was noted is not either.
//! - Half a copy has another name than a whole one; `autotune.json` is written
//!   last, and says which trial it is of.
//! - A folder of that name that is not such a copy is set aside, and of an old
//!   copy nothing is removed that was not copied.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, CWD, OFlags, RenameFlags, fstat, ioctl_ficlone, renameat_with, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::starting::is_full;
use crate::base::clock::Timestamp;
use crate::base::quantity::show_size;
use crate::base::{file, inside};
use crate::exec::artifacts::{Group, Item, Listed};
use crate::model::study::Study;
use crate::model::trial::Trial;

/// What says which trial a copy is of.
pub const ABOUT: &str = "autotune.json";
/// What says that half a copy is ours, until [`ABOUT`] does.
const MARKER: &str = ".autotune-copy";
/// So much room must be left for others, in bytes.
const SPARE: u64 = 1 << 20;
/// So much is copied between two looks at whether to go on, in bytes.
const PIECE: usize = 1 << 20;
/// So many folders of one name are set aside.
const ASIDE_MOST: u32 = 1000;

/// What is to be kept, and where.
#[derive(Clone, Debug)]
pub struct Order {
    /// The list of the trial's artifacts.
    pub list: PathBuf,
    /// See [`crate::exec::artifacts::KeepOrder::token`].
    pub token: String,
    /// The folder of the copy.
    pub to: PathBuf,
    /// What `autotune.json` says besides the files: which trial it is.
    pub about: serde_json::Map<String, serde_json::Value>,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is nothing to copy any more.
    #[error("{0}")]
    Lost(String),
    /// The disk has no room for it.
    #[error("they need {} in {}, where {} are free: make room", show_size(*.needed), .folder.display(), show_size(*.free))]
    NoRoom {
        /// So many bytes are needed yet.
        needed: u64,
        /// So many bytes are free.
        free: u64,
        /// The folder.
        folder: PathBuf,
    },
    /// Something is in the way that may pass.
    #[error("{path}: {source}")]
    System {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Nobody wants it any more.
    #[error("an end was asked for")]
    Cancelled,
}

/// A copy that was made.
#[derive(Debug, PartialEq, Eq)]
pub struct Copied {
    /// So many files.
    pub files: u32,
    /// So many bytes.
    pub bytes: u64,
    /// A folder of that name that was there and no copy of ours.
    pub aside: Vec<PathBuf>,
}

/// What `autotune.json` says.
#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    trial: serde_json::Map<String, serde_json::Value>,
    files: Vec<CopiedFile>,
}

impl About {
    fn same(&self, order: &Order, key: &str) -> bool {
        self.trial.get(key) == order.about.get(key)
    }

    /// Whether it is of this study, and no other that had the folder before.
    fn is_ours(&self, order: &Order) -> bool {
        self.same(order, "study") && self.same(order, "begun")
    }
}

/// One file of a copy.
#[derive(Serialize, Deserialize)]
struct CopiedFile {
    path: PathBuf,
    size: u64,
    sha256: String,
    /// The file of which it is a copy, and when that was changed last, in
    /// nanoseconds since 1970.
    from: PathBuf,
    modified: i64,
}

/// Where one file comes from and goes to.
struct Move<'a> {
    root: &'a Path,
    item: &'a Item,
    to: PathBuf,
}

/// What `autotune.json` says of a trial of a study whose journal was begun
/// then.
pub fn about_of(
    study: &Study,
    trial: &Trial,
    begun: Timestamp,
) -> serde_json::Map<String, serde_json::Value> {
    let objective = &study.spec().objective;
    let params = study.params_of(trial);
    let params: serde_json::Map<_, _> = params
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string().into()))
        .collect();
    let about = serde_json::json!({
        "study": study.spec().name,
        "begun": begun.as_millis(),
        "trial": trial.id.0,
        "params": params,
        "objective": {
            "metric": *objective.metric,
            "mean": study.objective(trial).map(|summary| summary.mean),
            "runs": study.objective(trial).map(|summary| summary.count),
        },
    });
    match about {
        serde_json::Value::Object(about) => about,
        _ => serde_json::Map::new(),
    }
}

/// Copies what a trial has made, unless that is there already. Waits for the
/// disk; `cancel` ends it soon.
///
/// # Errors
/// Why there is no copy. The former one is then as it was.
pub fn keep(order: &Order, cancel: &AtomicBool) -> Result<Copied, Trouble> {
    let listed = Listed::read(&order.list, &order.token).map_err(at(&order.list))?;
    let moves = moves(&listed.groups);
    let (files, bytes) = listed.size();
    if files == 0 {
        return Err(Trouble::Lost("the list of them is gone".to_owned()));
    }
    let mut copied = Copied {
        files,
        bytes,
        aside: Vec::new(),
    };
    let parent = file::folder_of(&order.to);
    make_folders(parent)?;
    let (new, name) = beside(&order.to);
    // What a crash has left: the former copy, half a copy, or the one before.
    if order.to.symlink_metadata().is_err() {
        let _ = rename(&former(&order.to), &order.to);
    }
    copied
        .aside
        .extend(remove(&former(&order.to), &name, order)?);
    copied.aside.extend(remove(&new, &name, order)?);
    if about(&order.to).is_some_and(|about| is_of(&about, order, &moves)) {
        file::sync_folder(parent).map_err(at(parent))?;
        return Ok(copied);
    }
    if let Err(trouble) = copy_all(order, &moves, &new, cancel) {
        // Next time it is in the way.
        let _ = remove(&new, &name, order);
        return Err(trouble);
    }
    if order.to.symlink_metadata().is_ok() && !about(&order.to).is_some_and(|a| a.is_ours(order)) {
        copied.aside.push(set_aside(&order.to, &name)?);
    }
    install(&new, &order.to)?;
    file::sync_folder(parent).map_err(at(parent))?;
    copied.aside.extend(remove(&new, &name, order)?);
    Ok(copied)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Trouble + use<> {
    let path = path.to_owned();
    move |source| Trouble::System { path, source }
}

/// The name of an unfinished copy, and that of a finished one.
fn beside(to: &Path) -> (PathBuf, String) {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    (to.with_file_name(format!(".{name}.new")), name.into_owned())
}

fn make_folders(path: &Path) -> Result<(), Trouble> {
    if path.is_dir() {
        return Ok(());
    }
    let above = file::folder_of(path);
    make_folders(above)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(path)(error)),
        _ => file::sync_folder(above).map_err(at(above)),
    }
}

/// What the copy in a folder says of itself; `None` where it is none.
fn about(folder: &Path) -> Option<About> {
    let is_folder = folder.symlink_metadata().ok()?.is_dir();
    let text = std::fs::read(folder.join(ABOUT))
        .ok()
        .filter(|_| is_folder)?;
    serde_json::from_slice(&text).ok()
}

/// Whether a copy is of what is to be copied.
fn is_of(about: &About, order: &Order, moves: &[Move<'_>]) -> bool {
    let is_copied = |one: &Move<'_>| {
        let is_there = order.to.join(&one.to).symlink_metadata();
        is_there.is_ok_and(|data| data.is_file() && data.len() == one.item.size)
            && about.files.iter().any(|file| {
                file.path == one.to
                    && file.size == one.item.size
                    && file.modified == one.item.modified
                    && file.from == one.root.join(&one.item.path)
            })
    };
    about.is_ours(order)
        && about.same(order, "trial")
        && about.files.len() == moves.len()
        && moves.iter().all(is_copied)
}

/// Where each file goes: its name from the deepest folder on that all patterns
/// name, without that of a folder which was chosen as the newest.
fn moves(groups: &[Group]) -> Vec<Move<'_>> {
    // Also by those that match nothing: the names are not to differ by that.
    let mut common = groups.iter().map(|group| group.root.join(&group.fixed));
    let first = common.next().unwrap_or_default();
    let common = common.fold(first, |common, fixed| {
        let both = common.components().zip(fixed.components());
        both.take_while(|(a, b)| a == b)
            .map(|(part, _)| part)
            .collect()
    });
    let is_one_root = groups.iter().all(|group| common.starts_with(&group.root));
    let mut taken: BTreeSet<PathBuf> = [ABOUT, MARKER].map(PathBuf::from).into();
    let mut moves = Vec::new();
    for group in groups {
        for item in &group.files {
            let whole = group.root.join(&item.path);
            let named = match whole.strip_prefix(&common) {
                Ok(rest) if is_one_root => rest,
                _ => &item.path,
            };
            let chosen = group.newest.as_ref();
            let short = chosen.and_then(|newest| {
                let rest = item.path.strip_prefix(newest).ok()?;
                let before = group.root.join(newest.parent()?);
                let before = match before.strip_prefix(&common) {
                    Ok(before) if is_one_root => before,
                    _ => newest.parent()?,
                };
                Some(before.join(rest))
            });
            let of_step = Path::new(&group.step).join(&item.path);
            let mut names = short.into_iter().chain([named.to_owned(), of_step.clone()]);
            let to = names.find(|name| !taken.contains(name)).unwrap_or(of_step);
            if taken.insert(to.clone()) {
                moves.push(Move {
                    root: &group.root,
                    item,
                    to,
                });
            }
        }
    }
    moves
}

fn copy_all(
    order: &Order,
    moves: &[Move<'_>],
    new: &Path,
    cancel: &AtomicBool,
) -> Result<(), Trouble> {
    std::fs::create_dir(new).map_err(at(new))?;
    let marker = new.join(MARKER);
    File::create(&marker).map_err(|error| no_room(error, 0, new, &marker))?;
    let mut left: u64 = moves.iter().map(|one| one.item.size).sum();
    let mut folders = BTreeSet::from([new.to_owned()]);
    let mut files = Vec::new();
    for one in moves {
        let path = new.join(&one.to);
        let above = one.to.ancestors().skip(1);
        folders.extend(above.map(|folder| new.join(folder)));
        let folder = file::folder_of(&path);
        std::fs::create_dir_all(folder).map_err(|error| no_room(error, left, new, folder))?;
        let sha256 = copy(one, &path, left, cancel)?;
        left -= one.item.size;
        files.push(CopiedFile {
            path: one.to.clone(),
            size: one.item.size,
            sha256,
            from: one.root.join(&one.item.path),
            modified: one.item.modified,
        });
    }
    let about = About {
        trial: order.about.clone(),
        files,
    };
    let path = new.join(ABOUT);
    let text = format!("{:#}\n", serde_json::json!(about));
    let write = File::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    write.map_err(|error| no_room(error, 0, new, &path))?;
    std::fs::remove_file(&marker).map_err(at(&marker))?;
    // The deepest first.
    for folder in folders.iter().rev() {
        file::sync_folder(folder).map_err(|error| no_room(error, 0, new, folder))?;
    }
    Ok(())
}

/// The trouble that an error in writing to `path` is.
fn no_room(error: io::Error, needed: u64, new: &Path, path: &Path) -> Trouble {
    if !is_full(&error) {
        return at(path)(error);
    }
    let folder = file::folder_of(new).to_owned();
    Trouble::NoRoom {
        needed: needed + SPARE,
        free: free(&folder),
        folder,
    }
}

/// So many bytes are free in a folder; all there can be where that is not
/// known.
fn free(folder: &Path) -> u64 {
    let disk = nix::sys::statvfs::statvfs(folder);
    disk.map_or(u64::MAX, |disk| match disk.blocks() {
        0 => u64::MAX,
        _ => disk.blocks_available().saturating_mul(disk.fragment_size()),
    })
}

/// Copies one file and syncs it. Its SHA-256. `left` bytes are to be copied
/// yet, with those of this file.
fn copy(one: &Move<'_>, path: &Path, left: u64, cancel: &AtomicBool) -> Result<String, Trouble> {
    let named = one.root.join(&one.item.path);
    let gone = |why: &str| Trouble::Lost(format!("{} {why}", named.display()));
    let root = inside::folder(one.root).map_err(|_| gone("is gone"))?;
    let opened = inside::open(&root, &one.item.path, OFlags::RDONLY, one.item.linked);
    let mut from = match opened {
        Ok(opened) => File::from(opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone("is gone")),
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::LOOP | Errno::XDEV | Errno::NOTDIR) => return Err(gone("is a link now")),
            _ => return Err(at(&named)(error)),
        },
    };
    let is_same = |from: &File| fstat(from).is_ok_and(|stat| one.item.is(&stat));
    if !is_same(&from) {
        return Err(gone("has changed since the trial ended"));
    }
    let new = file::folder_of(path);
    let mut to = File::create_new(path).map_err(|error| no_room(error, left, new, path))?;
    let mut hash = Sha256::new();
    let is_shared = one.item.size > 0 && ioctl_ficlone(&to, &from).is_ok();
    if !is_shared && free(new) < left.saturating_add(SPARE) {
        return Err(no_room(io::ErrorKind::StorageFull.into(), left, new, path));
    }
    let mut piece = vec![0; PIECE];
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(Trouble::Cancelled);
        }
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(at(&named)(error)),
        };
        hash.update(&piece[..count]);
        if !is_shared {
            to.write_all(&piece[..count])
                .map_err(|error| no_room(error, left, new, path))?;
        }
    }
    if !is_same(&from) {
        return Err(gone("was changed while it was copied"));
    }
    let mode = from.metadata().map_err(at(&named))?.permissions().mode() & 0o777;
    let done = to
        .set_permissions(Permissions::from_mode(mode | 0o600))
        .and_then(|()| to.sync_all());
    done.map_err(|error| no_room(error, left, new, path))?;
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Puts a whole copy into its place, and what was there into that of the copy.
fn install(new: &Path, to: &Path) -> Result<(), Trouble> {
    let put = |flags| renameat_with(CWD, new, CWD, to, flags);
    let done = match put(RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => put(RenameFlags::empty()),
        // A file system that cannot exchange. Until the second name is given
        // the former copy is whole under another.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            let former = former(to);
            let to_former = rename(to, &former);
            let done = put(RenameFlags::empty());
            if to_former.is_ok() {
                let _ = rename(&former, new);
            }
            done
        }
        done => done,
    };
    done.map_err(|error| at(to)(error.into()))
}

/// The name of the former copy while the new one gets its own, where the two
/// cannot be exchanged.
fn former(to: &Path) -> PathBuf {
    to.with_file_name(format!(".{}.former", beside(to).1))
}

fn rename(from: &Path, to: &Path) -> rustix::io::Result<()> {
    renameat_with(CWD, from, CWD, to, RenameFlags::empty())
}

/// Removes half a copy, or one that has done its service: the files alone that
/// were copied. Where it keeps others, they are set aside.
fn remove(folder: &Path, name: &str, order: &Order) -> Result<Option<PathBuf>, Trouble> {
    let Ok(data) = folder.symlink_metadata() else {
        return Ok(None);
    };
    let Some(about) = about(folder) else {
        // A copy that was not finished, or what somebody else gave this name.
        let is_ours = data.is_dir() && folder.join(MARKER).symlink_metadata().is_ok();
        if is_ours {
            std::fs::remove_dir_all(folder).map_err(at(folder))?;
        } else if std::fs::remove_dir(folder).is_err() {
            return set_aside(folder, name).map(Some);
        }
        return Ok(None);
    };
    if !about.is_ours(order) {
        return set_aside(folder, name).map(Some);
    }
    // A crash may have come between the two.
    let _ = std::fs::remove_file(folder.join(MARKER));
    let root = inside::folder(folder).map_err(at(folder))?;
    let own = about.files.iter().map(|file| file.path.as_path());
    let mut folders = BTreeSet::new();
    for path in own {
        folders.extend(
            path.ancestors()
                .skip(1)
                .filter(|path| !path.as_os_str().is_empty()),
        );
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if let (Ok(above), Some(name)) = (
            inside::open(&root, file::folder_of(path), flags, false),
            path.file_name(),
        ) {
            let _ = unlinkat(above, name, AtFlags::empty());
        }
    }
    // Each goes only when nothing is in it.
    for path in folders.iter().rev() {
        let _ = unlinkat(&root, *path, AtFlags::REMOVEDIR);
    }
    let rest = std::fs::read_dir(folder).map_err(at(folder))?.flatten();
    if rest.count() > 1 {
        return set_aside(folder, name).map(Some);
    }
    std::fs::remove_file(folder.join(ABOUT)).map_err(at(folder))?;
    std::fs::remove_dir(folder).map_err(at(folder))?;
    Ok(None)
}

/// Gives a folder another name that nobody has.
fn set_aside(folder: &Path, name: &str) -> Result<PathBuf, Trouble> {
    for number in 1..=ASIDE_MOST {
        let aside = folder.with_file_name(format!("{name}.old-{number}"));
        match renameat_with(CWD, folder, CWD, &aside, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(aside),
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS) if aside.symlink_metadata().is_err() => {
                return std::fs::rename(folder, &aside)
                    .map(|()| aside)
                    .map_err(at(folder));
            }
            Err(error) => return Err(at(folder)(error.into())),
        }
    }
    Err(at(folder)(io::Error::other(format!(
        "there are {ASIDE_MOST} of it aside already"
    ))))
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
