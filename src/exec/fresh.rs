//! Which files a run has written: a result of yesterday must not pass for
//! today's, nor a failed start's empty folder for the newest result.
//!
//! What is there is noted before the run begins. Afterwards only files count
//! that have changed since, and of one that was only appended to only what is
//! new in it.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many of the last bytes of a file are compared to tell whether it was
/// appended to.
const TAIL: u64 = 512;
/// So many files a complaint names.
const NAMED_MAX: usize = 3;

/// A file, or a pattern of files, and what matched it before a run.
pub struct Fresh {
    path: PathBuf,
    before: BTreeMap<PathBuf, State>,
}

/// A file as it was.
struct State {
    stamp: (u64, u64, i64, i64),
    tail: Vec<u8>,
}

/// A file that the run has written.
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Where in it that begins which the run has written, in bytes.
    pub start: u64,
    modified: SystemTime,
}

impl Fresh {
    /// Notes what matches `path`, in which `*`, `?`, `[…]` and `**` stand for
    /// other names.
    pub fn note(path: &Path) -> Self {
        let states = matches(path).into_iter().filter_map(|path| {
            let metadata = std::fs::metadata(&path).ok()?;
            let state = State {
                stamp: stamp(&metadata),
                tail: tail(&path, metadata.size()).unwrap_or_default(),
            };
            Some((path, state))
        });
        Self {
            path: path.to_owned(),
            before: states.collect(),
        }
    }

    /// The files that were written since, the newest first.
    ///
    /// # Errors
    /// Why there is none, for people: it names the pattern, and what matched.
    pub fn written(&self) -> Result<Vec<Written>, String> {
        let mut written = Vec::new();
        let mut old = Vec::new();
        for path in matches(&self.path) {
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let before = self.before.get(&path);
            if before.is_some_and(|state| state.stamp == stamp(&metadata)) {
                old.push(path);
                continue;
            }
            written.push(Written {
                start: before.map_or(0, |state| state.end_within(&path, &metadata)),
                modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                path,
            });
        }
        written.sort_by(|a, b| (b.modified, &b.path).cmp(&(a.modified, &a.path)));
        if written.is_empty() {
            return Err(self.nothing(&old));
        }
        Ok(written)
    }

    fn nothing(&self, old: &[PathBuf]) -> String {
        let shown = self.path.display();
        let is_itself = |path: &PathBuf| *path == self.path;
        match old {
            [] if is_pattern(&self.path) => format!("{shown} matches no file"),
            [] => format!("{shown} is not there"),
            [one] if is_itself(one) => format!("{shown} was not written by this run"),
            _ => {
                let mut names: Vec<_> = old.iter().rev().map(|path| path.display()).collect();
                let more = names.len().saturating_sub(NAMED_MAX);
                names.truncate(NAMED_MAX);
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                let more = match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "{shown} matches no file that was written by this run, only older ones: \
                     {}{more}",
                    names.join(", ")
                )
            }
        }
    }
}

impl State {
    /// Where the old content ends in what the file is now; 0 where it was
    /// written anew.
    fn end_within(&self, path: &Path, now: &Metadata) -> u64 {
        let (inode, size, ..) = self.stamp;
        // One of the same size has not grown.
        let is_longer = now.ino() == inode && now.size() > size;
        let begins_alike = || tail(path, size).is_ok_and(|tail| tail == self.tail);
        if is_longer && begins_alike() { size } else { 0 }
    }
}

/// The last bytes before `end`.
fn tail(path: &Path, end: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let start = end.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end - start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stamp(metadata: &Metadata) -> (u64, u64, i64, i64) {
    (
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
    )
}

fn is_pattern(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains(['*', '?', '['])
}

/// The files that match; one of that very name is one of them.
fn matches(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if path.is_file() || !is_pattern(path) {
        found.push(path.to_owned());
    }
    if is_pattern(path)
        && let Some(pattern) = path.to_str()
        && let Ok(paths) = glob::glob(pattern)
    {
        // What cannot be looked into holds nothing for us.
        let files = paths.filter_map(Result::ok).filter(|path| path.is_file());
        found.extend(files);
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Makes it look as if it had been written so many seconds later.
    fn age(path: &Path, seconds: u64) {
        let file = File::options().append(true).open(path).expect("there");
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file.set_modified(time).expect("set");
    }

    #[test]
    fn the_newest_that_the_run_has_written_and_none_of_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |n: u32| folder.path().join(format!("output/v{n}/logging.jsonl"));
        let pattern = folder.path().join("output/v*/logging.jsonl");
        let fault = |fresh: &Fresh| fresh.written().err().expect("nothing is new");
        let fresh = Fresh::note(&pattern);
        assert_eq!(
            fault(&fresh),
            format!("{} matches no file", pattern.display())
        );
        (0..5).for_each(|n| write(&file(n), "old\n"));
        let fresh = Fresh::note(&pattern);
        let said = fault(&fresh);
        let expected = format!(
            "{} matches no file that was written by this run, only older ones: {}, {}, {} \
             and 2 more",
            pattern.display(),
            file(4).display(),
            file(3).display(),
            file(2).display()
        );
        assert_eq!(said, expected);
        write(&file(7), "new\n");
        write(&file(10), "newer\n");
        age(&file(7), 100);
        age(&file(10), 200);
        // A failed start has left a folder without it.
        std::fs::create_dir(folder.path().join("output/v11")).expect("made");
        let written = fresh.written().expect("two");
        let paths: Vec<_> = written.iter().map(|written| &written.path).collect();
        assert_eq!(paths, [&file(10), &file(7)]);
        assert_eq!(written[0].start, 0);
    }

    #[test]
    fn of_a_file_that_grows_only_what_is_new_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a[1].jsonl");
        write(&path, "{\"a\": 1}\n");
        let start = |fresh: &Fresh| fresh.written().expect("written")[0].start;
        let fresh = Fresh::note(&path);
        write(&path, "{\"a\": 1}\n{\"a\": 2}\n");
        assert_eq!(start(&fresh), 9);
        write(&path, "{\"a\": 3}\n{\"a\": 2}\n");
        assert_eq!(start(&fresh), 0, "written anew");
        write(&path, "{\"a\": 1}\n");
        age(&path, 100);
        assert_eq!(start(&fresh), 0, "the same, written anew");
        std::fs::remove_file(&path).expect("removed");
        assert!(fresh.written().is_err());
    }
}
