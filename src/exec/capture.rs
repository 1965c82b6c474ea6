//! Taking up what a program prints: into a log file of bounded size, and
//! through the patterns of the spec, line by line.
//!
//! A thread reads the pipe, so that neither a stalled disk nor gigabytes of
//! output hold up the runner, which must always answer stop and kill.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regex::bytes::Regex;
use tokio::sync::{mpsc, watch};

use super::activity::Activity;
use super::curves::Lines;
use super::number::{Picked, Position, number};
use crate::base::text::{clean, cut};
use crate::model::step::{Groups, Marks, Which};

/// Longer lines are cut here: a program that never ends its line must not fill
/// the memory.
const LINE_MAX: usize = 1 << 20;
/// How many of the last lines are kept to look for a cause.
const TAIL_LINES: usize = 200;
/// How much of one line is kept for that.
const TAIL_LINE_MAX: usize = 2_000;
/// How many notes one run may send, and how long each may be, in letters.
const NOTES_MAX: usize = 50;
const NOTE_MAX: usize = 300;
/// How much of a log's end is kept when its middle is left out.
const LOG_END: usize = 256 << 10;

/// Which pattern a line is matched by, and the text that it has found.
pub type Noted = (usize, String);

/// What to look for in a program's output.
#[derive(Default)]
pub struct Scan {
    /// Patterns, each with which of its matches counts.
    pub patterns: Vec<(Regex, Which)>,
    /// Whether to keep the last line that is a JSON object.
    pub json: bool,
    /// A pattern to wait for.
    pub signal: Option<Regex>,
    /// A pattern of lines of progress, and who gets the numbers of those that
    /// are marks, each with which line of progress it was, from 1.
    pub progress: Option<(Regex, mpsc::UnboundedSender<(u32, f64)>)>,
    /// Patterns of what somebody should know, and who gets it.
    pub notes: Option<(Vec<Regex>, mpsc::UnboundedSender<Noted>)>,
    /// The curves that are read from the lines.
    pub curves: Option<Lines>,
    /// Whom to tell that there is output.
    pub activity: Option<Activity>,
}

/// What was found so far.
#[derive(Clone, Default)]
pub struct Found {
    /// The number that each pattern has found, in the order of the patterns.
    pub picked: Vec<Picked>,
    /// The last line that is a JSON object.
    pub json: Option<Vec<u8>>,
    /// The last lines.
    pub tail: VecDeque<String>,
    /// What kept the log from being written, if anything did.
    pub log_error: Option<String>,
}

/// A pipe whose other end a program writes to.
pub struct Capture {
    found: Arc<Mutex<Found>>,
    signal: watch::Receiver<bool>,
    end: watch::Receiver<bool>,
}

impl Capture {
    /// Begins to capture into the file `log`, which is appended to and may
    /// reach `log_max` bytes. Returns the end of the pipe for the program.
    ///
    /// # Errors
    /// When there is no pipe or no thread to be had.
    pub fn start(log: &Path, log_max: u64, echo: bool, scan: Scan) -> io::Result<(File, Self)> {
        let (reader, writer) = io::pipe()?;
        let (log, log_error) = match LogFile::open(log, log_max) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let patterns = scan.patterns.iter();
        let picked = patterns.map(|(_, which)| Picked::new(*which)).collect();
        let found = Arc::new(Mutex::new(Found {
            picked,
            log_error,
            ..Found::default()
        }));
        let (signal_sender, signal) = watch::channel(false);
        let (end_sender, end) = watch::channel(false);
        let reading = Reading {
            found: Arc::clone(&found),
            log,
            echo,
            scan,
            signal: signal_sender,
            line: Vec::new(),
            cut: false,
            progress: 0,
            noted: 0,
        };
        std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                reading.run(reader);
                drop(end_sender);
            })?;
        let writer = File::from(std::os::fd::OwnedFd::from(writer));
        Ok((writer, Self { found, signal, end }))
    }

    /// Waits until the pattern to wait for has been seen; for ever when it
    /// never is.
    pub async fn signalled(&self) {
        let mut signal = self.signal.clone();
        if signal.wait_for(|seen| *seen).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nobody holds the pipe any more and all of it is read, at
    /// most for `limit`, and returns what was found.
    pub async fn finish(&self, limit: Duration) -> Found {
        let mut end = self.end.clone();
        let closed = async { while end.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(limit, closed).await;
        self.found()
    }

    /// What was found so far.
    pub fn found(&self) -> Found {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Reading {
    found: Arc<Mutex<Found>>,
    log: Option<LogFile>,
    echo: bool,
    scan: Scan,
    signal: watch::Sender<bool>,
    line: Vec<u8>,
    cut: bool,
    /// How many lines of progress there were.
    progress: u32,
    /// How many notes there were.
    noted: usize,
}

impl Reading {
    fn run(mut self, mut pipe: io::PipeReader) {
        let mut block = vec![0; 64 << 10];
        loop {
            let read = match pipe.read(&mut block) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            self.take(&block[..read]);
        }
        self.end_line();
        let closed = self.log.take().map_or(Ok(()), LogFile::close);
        self.note(closed);
    }

    fn take(&mut self, mut bytes: &[u8]) {
        if let Some(activity) = &self.scan.activity {
            activity.note();
        }
        if self.echo {
            let _ = io::stderr().write_all(bytes);
        }
        if let Some(log) = &mut self.log {
            let written = log.write(bytes);
            if written.is_err() {
                self.log = None;
            }
            self.note(written);
        }
        // A carriage return ends a line too: progress bars use nothing else.
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn note(&self, written: io::Result<()>) {
        if let Err(error) = written {
            self.lock()
                .log_error
                .get_or_insert_with(|| error.to_string());
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_MAX - self.line.len();
        self.cut |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let whole = !std::mem::take(&mut self.cut);
        if !line.is_empty() {
            self.scan_line(&line, whole);
            self.follow(&line);
            self.take_notes(&line);
            if let Some(curves) = &mut self.scan.curves {
                curves.take(&line);
            }
        }
        line.clear();
        self.line = line;
    }

    fn scan_line(&self, line: &[u8], whole: bool) {
        // Of several matches in one line the same one counts as of several lines.
        let mut matches = Vec::new();
        for (index, (pattern, _)) in self.scan.patterns.iter().enumerate() {
            for captures in pattern.captures_iter(line) {
                let Some(groups) = Groups::of(pattern) else {
                    break;
                };
                let step = Position::in_match(&captures, groups).map(|position| position.at);
                if let Some(text) = captures.get(groups.value) {
                    let number = number(&String::from_utf8_lossy(text.as_bytes()));
                    matches.push((index, step, number));
                }
            }
        }
        let json = self.scan.json && whole && is_json_object(line);
        let mut found = self.lock();
        for (index, step, number) in matches {
            found.picked[index].offer(step, number);
        }
        if json {
            found.json = Some(line.to_vec());
        }
        if found.tail.len() == TAIL_LINES {
            found.tail.pop_front();
        }
        let shown = &line[..line.len().min(TAIL_LINE_MAX)];
        found
            .tail
            .push_back(String::from_utf8_lossy(shown).into_owned());
        drop(found);
        if self
            .scan
            .signal
            .as_ref()
            .is_some_and(|signal| signal.is_match(line))
        {
            self.signal.send_replace(true);
        }
    }

    fn follow(&mut self, line: &[u8]) {
        let Some((pattern, sender)) = &self.scan.progress else {
            return;
        };
        let group = pattern.captures_iter(line).filter_map(|m| m.get(1)).last();
        let text = group.and_then(|group| std::str::from_utf8(group.as_bytes()).ok());
        let number = text.and_then(|text| text.trim().parse::<f64>().ok());
        let Some(number) = number.filter(|number| number.is_finite()) else {
            return;
        };
        self.progress = self.progress.saturating_add(1);
        if Marks::is_mark(self.progress) {
            // Nobody may want to know any more.
            let _ = sender.send((self.progress, number));
        }
    }

    fn take_notes(&mut self, line: &[u8]) {
        let Some((patterns, sender)) = &self.scan.notes else {
            return;
        };
        for (index, pattern) in patterns.iter().enumerate() {
            let captures = pattern.captures(line);
            let text = captures.and_then(|found| found.get(1).or_else(|| found.get(0)));
            if let Some(text) = text
                && self.noted < NOTES_MAX
            {
                self.noted += 1;
                let text = clean(&String::from_utf8_lossy(text.as_bytes()));
                let _ = sender.send((index, cut(text.trim(), NOTE_MAX)));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_json_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// A log file that keeps its beginning and its end when it grows too large.
struct LogFile {
    file: File,
    room: u64,
    end: VecDeque<u8>,
    left_out: u64,
}

impl LogFile {
    fn open(path: &Path, max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let room = max.saturating_sub(file.metadata()?.len());
        Ok(Self {
            file,
            room,
            end: VecDeque::new(),
            left_out: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let direct = bytes
            .len()
            .min(usize::try_from(self.room).unwrap_or(usize::MAX));
        self.file.write_all(&bytes[..direct])?;
        self.room -= direct as u64;
        let rest = &bytes[direct..];
        self.end.extend(&rest[rest.len().saturating_sub(LOG_END)..]);
        let over = self.end.len().saturating_sub(LOG_END);
        self.end.drain(..over);
        self.left_out += rest.len() as u64;
        Ok(())
    }

    fn close(mut self) -> io::Result<()> {
        let kept = self.end.len() as u64;
        if self.left_out > kept {
            let left_out = self.left_out - kept;
            writeln!(
                self.file,
                "\n[autotune: {left_out} bytes left out: over log_max]"
            )?;
        }
        self.file.write_all(self.end.make_contiguous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn capture(text: &[u8], log_max: u64, scan: Scan) -> (Found, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("log");
        let (mut writer, capture) =
            Capture::start(&log, log_max, false, scan).expect("a pipe and a thread");
        let bytes = text.to_vec();
        let writing = std::thread::spawn(move || writer.write_all(&bytes));
        let found = capture.finish(Duration::from_secs(60)).await;
        writing.join().expect("no panic").expect("written");
        (found, std::fs::read(&log).expect("the log"))
    }

    fn scan(pattern: &str, which: Which) -> Scan {
        Scan {
            patterns: vec![(Regex::new(pattern).expect("a pattern"), which)],
            ..Scan::default()
        }
    }

    fn numbers(found: &Found) -> Vec<Result<f64, String>> {
        let picked = found.picked.iter();
        picked.map(|picked| picked.number("nothing")).collect()
    }

    #[tokio::test]
    async fn first_and_last_match() {
        let text = b"acc: 1\racc: 2 acc: 3\n\xff\xfe junk\nacc: 4";
        let (found, log) = capture(text, 1 << 20, scan(r"acc: (\d)", Which::First)).await;
        assert_eq!(numbers(&found), [Ok(1.0)]);
        assert_eq!(log, text);
        let (found, _) = capture(text, 1 << 20, scan(r"acc: (\d)", Which::Last)).await;
        assert_eq!(numbers(&found), [Ok(4.0)]);
    }

    #[tokio::test]
    async fn the_best_match_and_that_of_a_training_step() {
        let text = b"step 10 acc 0.5\nstep 20 acc 0.7\rstep 30 acc 0.6 step 40 acc nan\n";
        let pattern = r"step (?<step>\d+) acc (\S+)";
        let pick = async |which| numbers(&capture(text, 1 << 20, scan(pattern, which)).await.0);
        let step = |step| Which::At(crate::model::value::Finite::new(step).expect("finite"));
        assert_eq!(pick(Which::Most).await, [Ok(0.7)]);
        assert_eq!(pick(Which::Least).await, [Ok(0.5)]);
        assert_eq!(pick(step(20.0)).await, [Ok(0.7)]);
        let missing = "nothing at step 25: those that have one go from step 10 to 40";
        assert_eq!(pick(step(25.0)).await, [Err(missing.to_owned())]);
    }

    #[tokio::test]
    async fn the_last_json_object() {
        let text = b"{\"a\": 1}\nnoise\n{\"a\": 2}\n{\"torn\": \n[3]\n";
        let (found, _) = capture(
            text,
            1 << 20,
            Scan {
                json: true,
                ..Scan::default()
            },
        )
        .await;
        assert_eq!(found.json.as_deref(), Some(&b"{\"a\": 2}"[..]));
    }

    #[tokio::test]
    async fn a_log_keeps_its_beginning_and_its_end() {
        let mut text = vec![b'x'; 3 << 20];
        text.extend_from_slice(b"\nthe end 7\n");
        let (found, log) = capture(&text, 1 << 20, scan(r"end (\d)", Which::Last)).await;
        assert_eq!(numbers(&found), [Ok(7.0)]);
        assert!(log.len() < (1 << 20) + LOG_END + 100, "{}", log.len());
        assert!(log.ends_with(b"\nthe end 7\n"));
        let note = String::from_utf8_lossy(&log).contains("bytes left out: over log_max");
        assert!(note);
        assert_eq!(found.tail.back().map(String::as_str), Some("the end 7"));
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_loses_no_metric() {
        let scan = scan(r"acc: (\d)", Which::Last);
        let (mut writer, capture) =
            Capture::start(Path::new("/nonexistent/log"), 9, false, scan).expect("a pipe");
        writer.write_all(b"acc: 5\n").expect("written");
        drop(writer);
        let found = capture.finish(Duration::from_secs(60)).await;
        assert_eq!(numbers(&found), [Ok(5.0)]);
        assert!(found.log_error.is_some());
    }
}
