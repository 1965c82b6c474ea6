//! Reports on a study: written to its folder, and read by nobody here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::FilesError;
use crate::base::clock::Timestamp;
use crate::base::file;
use crate::model::form::Format;
use crate::model::spec::FileNames;

/// Where a report of that time belongs.
pub fn path(output_dir: &Path, names: &FileNames, format: Format, at: Timestamp) -> PathBuf {
    let path = output_dir.join(names.report.replace("{time}", &at.compact()));
    path.with_extension(format.name())
}

/// Writes a report, with the folder that it belongs into.
///
/// # Errors
/// Whatever the file system answers; a report that was there is then untouched.
pub fn write(path: &Path, text: &str) -> Result<(), FilesError> {
    let folder = file::folder_of(path);
    fs::create_dir_all(folder).map_err(FilesError::at(folder))?;
    file::replace(path, text.as_bytes()).map_err(FilesError::at(path))
}

/// When a report was written; `None` where there is none.
pub fn written(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).and_then(|known| known.modified()).ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since.as_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_time_and_the_format() {
        let names = FileNames::default();
        let at = Timestamp::from_millis(0);
        let markdown = path(Path::new("/s"), &names, Format::Markdown, at);
        let time = at.compact();
        assert_eq!(markdown, Path::new(&format!("/s/reports/report-{time}.md")));
        let page = path(Path::new("/s"), &names, Format::Html, at);
        assert_eq!(page, Path::new(&format!("/s/reports/report-{time}.html")));
    }

    #[test]
    fn the_folder_is_made_and_what_is_in_the_way_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("docs/reports/one.md");
        write(&path, "one").expect("written");
        write(&path, "two").expect("written again");
        assert_eq!(fs::read_to_string(&path).expect("read"), "two");
        // A file where the folder would be.
        let error = write(&path.join("three.md"), "three").expect_err("in the way");
        assert!(error.to_string().contains("one.md"), "{error}");
    }
}
