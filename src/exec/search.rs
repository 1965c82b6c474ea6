//! A walk through the files that a pattern may match, which no link leads out
//! of its root.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, fstat, statat};
use rustix::io::Errno;

use super::artifacts::Item;
use crate::base::inside;

/// More files than these are not looked at.
const MOST: usize = 200_000;
/// How a pattern is matched: `*` stays within one name.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// When a file must have changed to count.
#[derive(Default)]
pub(super) struct Written<'a> {
    pub(super) since: Option<i64>,
    pub(super) spans: &'a [(i64, i64)],
}

impl Written<'_> {
    fn by(&self, file: &Item) -> bool {
        let at = file.changed / 1_000_000;
        let mut spans = self.spans.iter();
        self.since.is_some_and(|since| file.changed >= since)
            || spans.any(|(from, to)| (*from..=*to).contains(&at))
    }
}

/// A walk through the files that a pattern may match.
pub(super) struct Search<'a> {
    root: OwnedFd,
    pattern: Pattern,
    /// What the pattern matches as a whole counts with all that is in it.
    below: bool,
    /// So many folders down there can still be a match.
    depth: usize,
    pub(super) fixed: PathBuf,
    pub(super) own: HashSet<(u64, u64)>,
    pub(super) written: Written<'a>,
    /// What the pattern itself matches.
    pub(super) tops: Vec<PathBuf>,
    /// Each with the place in `tops` of that to which it belongs.
    pub(super) files: Vec<(Item, usize)>,
    pub(super) folders: Vec<(Item, usize)>,
    pub(super) refused: Vec<String>,
    left: usize,
}

impl<'a> Search<'a> {
    /// A search for `rest` below `root`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with them.
    pub(super) fn new(root: &Path, rest: &Path) -> Result<Self, String> {
        let is_wild = |part: &Component<'_>| {
            let part = part.as_os_str().to_string_lossy();
            part.contains(['*', '?', '['])
        };
        let mut parts: Vec<Component<'_>> = rest.components().collect();
        let below = parts.len() > 1 && parts.last().is_some_and(|last| last.as_os_str() == "**");
        let mut fixed: PathBuf = parts.iter().take_while(|part| !is_wild(part)).collect();
        if fixed == rest {
            // It is one file, or one folder, by its name.
            fixed.pop();
        }
        if below {
            parts.pop();
        }
        let text: PathBuf = parts.iter().collect();
        let text = text.to_string_lossy();
        let depth = if text.contains("**") {
            usize::MAX
        } else {
            parts.len()
        };
        let wrong =
            |error: glob::PatternError| format!("`{}` is not a pattern: {error}", rest.display());
        let folder = inside::folder(root).map_err(|error| format!("{}: {error}", root.display()));
        Ok(Self {
            root: folder?,
            pattern: Pattern::new(&text).map_err(wrong)?,
            below,
            depth,
            fixed,
            own: HashSet::new(),
            written: Written::default(),
            tops: Vec::new(),
            files: Vec::new(),
            folders: Vec::new(),
            refused: Vec::new(),
            left: MOST,
        })
    }

    /// Walks.
    ///
    /// # Errors
    /// Whatever the file system answers.
    pub(super) fn go(&mut self) -> io::Result<()> {
        let fixed = self.fixed.clone();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let without_link = inside::open(&self.root, &fixed, flags, false);
        let linked = without_link.is_err();
        match without_link.or_else(|_| inside::open(&self.root, &fixed, flags, true)) {
            Ok(folder) => {
                // `x/**` is what is in x.
                let is_all = self.below && self.pattern.matches_path_with(&fixed, OPTIONS);
                let top = is_all.then(|| self.top(&fixed));
                self.walk(folder, &fixed, top, linked)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                self.refuse(&fixed, &error);
                Ok(())
            }
        }
    }

    fn top(&mut self, path: &Path) -> usize {
        self.tops.push(path.to_owned());
        self.tops.len() - 1
    }

    /// Takes what is in a folder that belongs to a match, `top`, or in which
    /// there may be one.
    fn walk(
        &mut self,
        folder: OwnedFd,
        path: &Path,
        top: Option<usize>,
        linked: bool,
    ) -> io::Result<()> {
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return Err(io::Error::other(format!("it has over {MOST} files")));
            }
            let Ok(name) = name.to_str() else {
                self.refused.push(format!(
                    "the name of {} is not UTF-8",
                    path.join(name.to_string_lossy().as_ref()).display()
                ));
                continue;
            };
            let at = path.join(name);
            let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It has gone meanwhile.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if self.own.contains(&(stat.st_dev, stat.st_ino)) {
                continue;
            }
            let matches = self.pattern.matches_path_with(&at, OPTIONS);
            let top = match top {
                None if matches => Some(self.top(&at)),
                top => top,
            };
            self.take(&folder, name, at, &stat, top, linked)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        folder: &OwnedFd,
        name: &str,
        at: PathBuf,
        stat: &Stat,
        top: Option<usize>,
        linked: bool,
    ) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match (FileType::from_raw_mode(stat.st_mode), top) {
            (FileType::Directory, _) => {
                if let Some(top) = top {
                    let item = Item::of(at.clone(), stat, linked);
                    self.folders.push((item, top));
                } else if at.components().count() >= self.depth {
                    return Ok(());
                }
                match inside::open(folder, Path::new(name), flags, false) {
                    Ok(folder) => self.walk(folder, &at, top, linked),
                    Err(error) => {
                        self.refuse(&at, &error);
                        Ok(())
                    }
                }
            }
            (_, None) => Ok(()),
            (FileType::RegularFile, Some(top)) => {
                self.file(Item::of(at, stat, linked), top);
                Ok(())
            }
            (FileType::Symlink, Some(top)) => self.follow(at, top, linked),
            (_, Some(_)) => {
                let what = "is neither a file nor a folder".to_owned();
                self.refused.push(format!("{} {what}", at.display()));
                Ok(())
            }
        }
    }

    fn file(&mut self, file: Item, top: usize) {
        if self.written.by(&file) {
            self.files.push((file, top));
        }
    }

    /// Takes what a link leads to, where that is below the root.
    fn follow(&mut self, at: PathBuf, top: usize, linked: bool) -> io::Result<()> {
        let target = inside::open(&self.root, &at, OFlags::PATH, true);
        let (target, stat) = match target.and_then(|fd| Ok((fstat(&fd)?, fd))) {
            Ok((stat, target)) => (target, stat),
            Err(error) => {
                self.refuse(&at, &error);
                return Ok(());
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            _ if self.own.contains(&(stat.st_dev, stat.st_ino)) => {}
            FileType::RegularFile => self.file(Item::of(at, &stat, true), top),
            FileType::Directory if !linked => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let folder = inside::open(target.as_fd(), Path::new("."), flags, false)?;
                return self.walk(folder, &at, Some(top), true);
            }
            _ => self.refused.push(format!(
                "{} leads to a folder from a folder to which a link has led",
                at.display()
            )),
        }
        Ok(())
    }

    fn refuse(&mut self, at: &Path, error: &io::Error) {
        let at = at.display();
        self.refused
            .push(match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => {
                    format!("{at} is a link that leads out of its folder")
                }
                Some(Errno::NOENT) => format!("{at} is a link that leads nowhere"),
                _ => format!("{at} cannot be read: {error}"),
            });
    }

    /// Leaves of what the pattern matches only the newest: that in which a file
    /// was changed last, the last by name of several. That, where it is a
    /// folder.
    pub(super) fn choose_newest(&mut self) -> Option<PathBuf> {
        let newest = self.files.iter().max_by(|(a, of_a), (b, of_b)| {
            let by_time = a.modified.cmp(&b.modified);
            by_time.then_with(|| self.tops[*of_a].cmp(&self.tops[*of_b]))
        });
        let chosen = newest.map(|(_, top)| *top)?;
        self.files.retain(|(_, top)| *top == chosen);
        self.folders.retain(|(_, top)| *top == chosen);
        let path = self.tops[chosen].clone();
        let is_file = self.files.iter().any(|(file, _)| file.path == path);
        (!is_file).then_some(path)
    }
}
