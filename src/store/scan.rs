//! Reading a journal from its first byte to its last, each one checked.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::error::JournalError;
use super::record::{self, AnyHeader, Format, Header};
use super::text::Interner;
use crate::model::event::Fact;
use crate::model::study::StudyError;

/// The longest line that can be one of ours: a fact holds texts of some
/// kilobytes at most. Without a bound a file that is no journal would be read
/// into memory whole.
const LONGEST: u64 = 64 << 20;

/// What a journal holds up to its last good byte.
#[derive(Debug)]
pub(super) struct Scan {
    /// `None` for a file without a whole header: nothing was begun.
    pub(super) header: Option<Header>,
    /// How many facts.
    pub(super) facts: u64,
    /// Facts of a kind that came with a newer format; they were left out.
    pub(super) unknown: u64,
    /// Where the last good line begins.
    pub(super) last: u64,
    /// Where the last good line ends, and what comes next is to be written.
    pub(super) end: u64,
    /// How many bytes of a torn line come after that.
    pub(super) torn: u64,
}

struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<io::Take<&'a File>>,
    line: Vec<u8>,
    /// Lines read so far, and where the present one begins.
    number: u64,
    start: u64,
    end: u64,
}

/// What the next line is.
enum Next {
    Good,
    Torn,
    End,
}

/// Reads the journal in `file`, hands each fact to `each`, and checks what
/// `header` says of the header before the first.
///
/// # Errors
/// [`JournalError::Damaged`] for anything but a torn tail, also for a fact
/// that `each` refuses; [`JournalError::Newer`]; those of `header`.
pub(super) fn scan(
    path: &Path,
    file: &File,
    header: impl FnOnce(&Header) -> Result<(), JournalError>,
    mut each: impl FnMut(&Fact) -> Result<(), StudyError>,
) -> Result<Scan, JournalError> {
    // The length is taken once: another daemon may be appending.
    let length = file.metadata().map_err(JournalError::at(path))?.len();
    let mut lines = Lines {
        path,
        reader: BufReader::with_capacity(1 << 16, file.take(length)),
        line: Vec::with_capacity(4096),
        number: 0,
        start: 0,
        end: 0,
    };
    let mut scan = Scan {
        header: None,
        facts: 0,
        unknown: 0,
        last: 0,
        end: 0,
        torn: 0,
    };
    let first = lines.next(any_format(path))?;
    if !matches!(first, Next::Good) {
        scan.torn = length;
        return Ok(scan);
    }
    let found = lines.header()?;
    header(&found)?;
    let newer = found.format.minor > Format::OURS.minor;
    let mut names = Interner::default();
    loop {
        scan.last = lines.start;
        scan.end = lines.end;
        if !matches!(lines.next(|_| Ok(()))?, Next::Good) {
            break;
        }
        let expected = scan.facts + scan.unknown + 1;
        match record::read_line(&lines.line, &mut names) {
            Ok(record::Read::Fact(seq, fact)) => {
                lines.in_sequence(seq, expected)?;
                each(&fact).map_err(|error| {
                    lines.damaged(format!("it does not fit what came before it: {error}"))
                })?;
                scan.facts += 1;
            }
            Ok(record::Read::Unknown(seq, _)) if newer => {
                lines.in_sequence(seq, expected)?;
                scan.unknown += 1;
            }
            Ok(record::Read::Unknown(_, kind)) => {
                return Err(lines.damaged(format!("it has an event of the unknown kind `{kind}`")));
            }
            Err(_) if newer => return Err(newer_than_ours(path, &found)),
            Err(problem) => return Err(lines.damaged(format!("it is no fact: {problem}"))),
        }
    }
    scan.header = Some(found);
    scan.torn = length - scan.end;
    Ok(scan)
}

pub(super) fn newer_than_ours(path: &Path, header: &Header) -> JournalError {
    JournalError::Newer {
        path: path.to_owned(),
        found: header.format,
        tool: header.tool.clone(),
    }
}

/// A header of another major version may have another checksum, or none, so
/// its version is looked at first.
fn any_format(path: &Path) -> impl FnOnce(&[u8]) -> Result<(), JournalError> + '_ {
    move |line| match serde_json::from_slice::<AnyHeader>(line) {
        Ok(AnyHeader { format, tool }) if format.major != Format::OURS.major => {
            Err(JournalError::Newer {
                path: path.to_owned(),
                found: format,
                tool: tool.unwrap_or_else(|| "?".to_owned()),
            })
        }
        _ => Ok(()),
    }
}

impl Lines<'_> {
    /// Reads the next line, without its newline, and checks its checksum.
    /// `before` sees it first.
    fn next(
        &mut self,
        before: impl FnOnce(&[u8]) -> Result<(), JournalError>,
    ) -> Result<Next, JournalError> {
        self.line.clear();
        self.start = self.end;
        let mut bounded = self.reader.by_ref().take(LONGEST);
        let read = bounded.read_until(b'\n', &mut self.line);
        let read = read.map_err(JournalError::at(self.path))? as u64;
        if read == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        self.end += read;
        let whole = self.line.pop_if(|byte| *byte == b'\n').is_some();
        before(&self.line)?;
        if whole && record::is_sealed(&self.line) {
            return Ok(Next::Good);
        }
        let rest = self
            .reader
            .fill_buf()
            .map_err(JournalError::at(self.path))?;
        if !rest.is_empty() {
            return Err(self.damaged("its checksum is wrong, and more lines follow".to_owned()));
        }
        if record::is_glued(&self.line) {
            return Err(self.damaged("a whole record has something glued to it".to_owned()));
        }
        Ok(Next::Torn)
    }

    fn header(&self) -> Result<Header, JournalError> {
        let wrong = |error| self.damaged(format!("it is no header of a journal: {error}"));
        let header: Header = serde_json::from_slice(&self.line).map_err(wrong)?;
        Ok(header)
    }

    fn in_sequence(&self, found: u64, expected: u64) -> Result<(), JournalError> {
        if found == expected {
            return Ok(());
        }
        Err(self.damaged(format!("it has number {found} where {expected} is next")))
    }

    fn damaged(&self, problem: String) -> JournalError {
        JournalError::Damaged {
            path: self.path.to_owned(),
            line: self.number,
            offset: self.start,
            problem,
        }
    }
}
