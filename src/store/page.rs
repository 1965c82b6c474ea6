//! A page of the journal, found without reading what comes before it.
//!
//! Lines stand in the order of their numbers, so the first one that is wanted
//! is found by halving the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::journal::FILE;
use super::record::{self, Read};
use super::text::Interner;
use crate::model::event::Fact;

/// A stretch that is read from its beginning rather than halved, in bytes.
const STRETCH: u64 = 32 << 10;

/// The facts after number `after`, each with its number: as many as `most`
/// bytes of the journal in `folder` hold, and at least one where there is one.
/// The journal may be open for appending; half a line, or a damaged one, is
/// the end.
///
/// # Errors
/// What the file system answers.
pub fn page(folder: &Path, after: u64, most: u64) -> io::Result<Vec<(u64, Fact)>> {
    let mut file = File::open(folder.join(FILE))?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    // What is wanted begins after `low`.
    while high - low > STRETCH {
        let middle = low.midpoint(high);
        match number_after(&file, middle)? {
            Some(number) if number <= after => low = middle,
            _ => high = middle,
        }
    }
    file.seek(SeekFrom::Start(low))?;
    let mut reader = BufReader::with_capacity(STRETCH as usize, file);
    let mut names = Interner::default();
    let (mut facts, mut size) = (Vec::new(), 0);
    let mut line = Vec::new();
    // The rest of a line that begins before, or the header.
    reader.read_until(b'\n', &mut line)?;
    while size < most {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        if line.pop_if(|byte| *byte == b'\n').is_none() {
            break;
        }
        if number(&line).is_some_and(|number| number <= after) {
            continue;
        }
        if !record::is_sealed(&line) {
            break;
        }
        let Ok(Read::Fact(number, fact)) = record::read_line(&line, &mut names) else {
            break;
        };
        size += line.len() as u64;
        facts.push((number, fact));
    }
    Ok(facts)
}

/// The number of the first line that begins after `offset`; `None` where none
/// does.
fn number_after(file: &File, mut offset: u64) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; 4096];
    let mut line: Option<Vec<u8>> = None;
    loop {
        let read = file.read_at(&mut bytes, offset)?;
        if read == 0 {
            return Ok(None);
        }
        offset += read as u64;
        let mut rest = &bytes[..read];
        if line.is_none() {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                continue;
            };
            rest = &rest[end + 1..];
        }
        let line = line.get_or_insert_default();
        line.extend_from_slice(rest);
        if let Some(number) = number(line) {
            return Ok(Some(number));
        }
        if line.contains(&b'\n') {
            return Ok(None);
        }
    }
}

/// The number with which a line begins.
fn number(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let end = rest.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::event::Event;

    /// A journal whose facts have texts of these lengths.
    fn journal(lengths: &[usize]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bytes = b"{\"format\":{\"major\":1,\"minor\":1}}\n".to_vec();
        for (seq, length) in (1..).zip(lengths) {
            let fact = Fact {
                at: Timestamp::from_millis(seq),
                event: Event::Done {
                    reason: "x".repeat(*length),
                },
            };
            record::push_fact(&mut bytes, seq.unsigned_abs(), &fact);
        }
        std::fs::write(folder.path().join(FILE), bytes).expect("written");
        folder
    }

    fn numbers(folder: &Path, after: u64, most: u64) -> Vec<u64> {
        let facts = page(folder, after, most).expect("a page");
        facts.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn every_number_is_found() {
        // Short lines, and some that are longer than any stretch.
        let lengths: Vec<usize> = (0..700)
            .map(|seq| {
                if seq % 100 == 50 {
                    90_000
                } else {
                    seq * 7 % 900
                }
            })
            .collect();
        let folder = journal(&lengths);
        for after in 0..700 {
            assert_eq!(numbers(folder.path(), after, 1), [after + 1]);
        }
        assert!(numbers(folder.path(), 700, 1).is_empty());
        assert!(numbers(folder.path(), u64::MAX, 1).is_empty());
        let all = numbers(folder.path(), 0, u64::MAX);
        assert_eq!(all, (1..=700).collect::<Vec<_>>());
        let some = numbers(folder.path(), 600, 2000);
        assert!((1..50).contains(&some.len()), "{some:?}");
    }

    #[test]
    fn half_a_line_is_the_end() {
        let folder = journal(&[3, 5, 8]);
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).expect("read");
        let last = whole.len() - 1;
        std::fs::write(&path, &whole[..last]).expect("cut");
        assert_eq!(numbers(folder.path(), 0, 10_000), [1, 2]);
        let mut damaged = whole;
        damaged[last - 20] ^= 1;
        std::fs::write(&path, damaged).expect("damaged");
        assert_eq!(numbers(folder.path(), 1, 10_000), [2]);
        assert!(page(&folder.path().join("none"), 0, 1).is_err());
    }
}
