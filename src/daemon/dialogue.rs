//! What was said between the advisor and us: `reports/advisor.jsonl`, one
//! request and its answer a line. It is for people; nothing is read from it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Adds lines, all of them or none.
///
/// # Errors
/// Whatever the file system answers.
pub fn append(path: &Path, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = File::options();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    let end = file.metadata()?.len();
    let mut text = String::new();
    if end > 0 && !ends_line(&mut file)? {
        // Somebody was cut short.
        text.push('\n');
    }
    for line in lines {
        text += line;
        text.push('\n');
    }
    let written = file.write_all(text.as_bytes());
    if written.is_err() {
        // Half a line on a full disk is of no use to anybody.
        let _ = file.set_len(end);
    }
    written
}

fn ends_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reports/advisor.jsonl");
        append(&path, &[]).expect("nothing to do");
        assert!(!path.exists());
        append(&path, &["{\"a\":1}".to_owned()]).expect("a new file");
        fs::write(&path, "{\"a\":1}\n{\"cut").expect("as a crash leaves it");
        let two = ["{\"b\":2}".to_owned(), "{\"c\":3}".to_owned()];
        append(&path, &two).expect("written");
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "{\"a\":1}\n{\"cut\n{\"b\":2}\n{\"c\":3}\n");
    }
}
