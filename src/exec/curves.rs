//! What a run tells on its way: read from the lines that it prints, and from
//! files that grow, thinned, and handed on as it comes.
//!
//! Files are read by a thread of their own, so that a stalled disk does not hold
//! up the runner. It looks each second: `inotify` tells nothing of what another
//! host of a shared file system writes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use regex::bytes::Regex;
use serde_json::Value as Json;
use tokio::sync::mpsc::UnboundedSender;

use super::activity::Activity;
use super::fresh::Fresh;
use super::number::{Position, at, number};
use super::order::{CurveOrder, CurveSourceOrder};
use crate::model::curve::Thinning;
use crate::model::step::Groups;

/// The pause between two looks at a file.
const PAUSE: Duration = Duration::from_secs(1);
/// So much of a file is read at a time, in bytes.
const BLOCK: u64 = 1 << 20;
/// A longer line is passed over.
const LINE_MAX: usize = 1 << 20;

/// What a run tells on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Telling {
    /// Numbers.
    Told(Told),
    /// At its end, that some were none: a sentence for people.
    PassedOver(String),
}

/// Some metrics at one training step.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The step; of a program that does not tell it, the so manieth number.
    pub at: f64,
    /// Where the run will end, where it tells that.
    pub of: Option<f64>,
    /// The metrics.
    pub metrics: Vec<(String, f64)>,
}

/// Thins the numbers of one source, and hands them on.
struct Teller {
    curves: Vec<Thinned>,
    sender: UnboundedSender<Telling>,
}

struct Thinned {
    metric: String,
    thinning: Thinning,
    /// The last one, where it was not kept: it may be the end.
    pending: Option<(f64, Option<f64>, f64)>,
    /// How many were no numbers, and why the first was none.
    passed_over: Option<(u64, String)>,
}

impl Teller {
    fn new(metrics: impl Iterator<Item = String>, sender: UnboundedSender<Telling>) -> Self {
        let curves = metrics.map(|metric| Thinned {
            metric,
            thinning: Thinning::default(),
            pending: None,
            passed_over: None,
        });
        Self {
            curves: curves.collect(),
            sender,
        }
    }

    /// Takes the numbers of one line or record, each with its curve.
    fn take(&mut self, numbers: &[(usize, Option<Position>, f64)]) {
        let mut kept: VecDeque<Told> = VecDeque::new();
        for (index, position, number) in numbers {
            let curve = &mut self.curves[*index];
            let (step, of) = (position.map(|p| p.at), position.and_then(|p| p.of));
            let is_kept = curve.thinning.keeps(step, of);
            let at = step.unwrap_or(curve.thinning.count() as f64);
            curve.pending = (!is_kept).then_some((at, of, *number));
            if !is_kept {
                continue;
            }
            let metric = (curve.metric.clone(), *number);
            match kept.iter_mut().find(|told| told.at == at) {
                Some(told) => told.metrics.push(metric),
                None => kept.push_back(Told {
                    at,
                    of,
                    metrics: vec![metric],
                }),
            }
        }
        for told in kept {
            // Nobody may want to know any more.
            let _ = self.sender.send(Telling::Told(told));
        }
    }

    /// Counts what was no number.
    fn pass_over(&mut self, index: usize, why: String) {
        let passed_over = &mut self.curves[index].passed_over;
        passed_over.get_or_insert((0, why)).0 += 1;
    }
}

impl Drop for Teller {
    /// The end of a curve is always told, and what it lacks.
    fn drop(&mut self) {
        for curve in &mut self.curves {
            if let Some((at, of, number)) = curve.pending.take() {
                let metrics = vec![(curve.metric.clone(), number)];
                let _ = self.sender.send(Telling::Told(Told { at, of, metrics }));
            }
            if let Some((count, why)) = curve.passed_over.take() {
                let text = format!(
                    "passed over in the curve of {}: {count}, the first since {why}",
                    curve.metric
                );
                let _ = self.sender.send(Telling::PassedOver(text));
            }
        }
    }
}

/// The curves that are read from what a program prints.
pub struct Lines {
    patterns: Vec<(Regex, Groups)>,
    teller: Teller,
}

impl Lines {
    /// `None` where no curve is read there.
    pub fn new(curves: &[CurveOrder], sender: &UnboundedSender<Telling>) -> Option<Self> {
        let patterns = curves.iter().filter_map(|curve| match &curve.source {
            CurveSourceOrder::Regex { pattern } => {
                let regex = Regex::new(pattern).ok()?;
                let groups = Groups::of(&regex)?;
                Some((curve.metric.clone(), (regex, groups)))
            }
            CurveSourceOrder::Jsonl { .. } => None,
        });
        let (metrics, patterns): (Vec<_>, Vec<_>) = patterns.unzip();
        (!patterns.is_empty()).then(|| Self {
            patterns,
            teller: Teller::new(metrics.into_iter(), sender.clone()),
        })
    }

    /// Takes a line.
    pub(super) fn take(&mut self, line: &[u8]) {
        let patterns = self.patterns.iter().enumerate();
        let found = patterns.filter_map(|(index, (regex, groups))| {
            let captures = regex.captures_iter(line).last()?;
            let text = std::str::from_utf8(captures.get(groups.value)?.as_bytes()).ok()?;
            let position = Position::in_match(&captures, *groups);
            // A step that is no number is no place for a point.
            if groups.step.is_some() && position.is_none() {
                return None;
            }
            match number(text) {
                Ok(number) => Some((index, position, number)),
                Err(why) => {
                    self.teller.pass_over(index, why);
                    None
                }
            }
        });
        let found: Vec<_> = found.collect();
        self.teller.take(&found);
    }
}

/// The curves that are read from one file, or from the newest of several.
struct Tail {
    files: Fresh,
    rules: Vec<Rule>,
    teller: Teller,
    activity: Activity,
    current: Option<Current>,
}

struct Rule {
    pointer: String,
    step: Option<String>,
}

/// The file that is read.
struct Current {
    path: PathBuf,
    inode: u64,
    offset: u64,
    /// The beginning of a line that has not ended.
    line: Vec<u8>,
    /// That line is too long.
    skips: bool,
}

/// Reads files that grow, until it is dropped; then to their end.
pub struct Followed {
    _stop: Sender<()>,
}

impl Followed {
    /// Begins to follow the files of `curves`: what is in them now does not
    /// count. `None` where no curve is read from a file.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        curves: &[CurveOrder],
        sender: &UnboundedSender<Telling>,
        activity: &Activity,
    ) -> io::Result<Option<Self>> {
        let mut tails: Vec<(&PathBuf, Vec<Rule>, Vec<String>)> = Vec::new();
        for curve in curves {
            let CurveSourceOrder::Jsonl {
                file,
                pointer,
                step,
            } = &curve.source
            else {
                continue;
            };
            let index = tails.iter().position(|(known, ..)| *known == file);
            let index = index.unwrap_or_else(|| {
                tails.push((file, Vec::new(), Vec::new()));
                tails.len() - 1
            });
            tails[index].1.push(Rule {
                pointer: pointer.clone(),
                step: step.clone(),
            });
            tails[index].2.push(curve.metric.clone());
        }
        if tails.is_empty() {
            return Ok(None);
        }
        let tails = tails.into_iter().map(|(file, rules, metrics)| Tail {
            files: Fresh::note(file),
            rules,
            teller: Teller::new(metrics.into_iter(), sender.clone()),
            activity: activity.clone(),
            current: None,
        });
        let mut tails: Vec<Tail> = tails.collect();
        let (stop, stopped) = channel::<()>();
        std::thread::Builder::new()
            .name("curves".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    tails.iter_mut().for_each(Tail::look);
                }
                for mut tail in tails {
                    tail.look();
                    tail.end_line();
                }
            })?;
        Ok(Some(Self { _stop: stop }))
    }
}

impl Tail {
    /// Reads what is new. One that cannot be read now may be later.
    fn look(&mut self) {
        let _ = self.read();
        let Ok(written) = self.files.written() else {
            return;
        };
        let Some(newest) = written.first() else {
            return;
        };
        let inode = std::fs::metadata(&newest.path).map_or(0, |metadata| metadata.ino());
        let is_it = |current: &Current| current.path == newest.path && current.inode == inode;
        if self.current.as_ref().is_some_and(is_it) {
            return;
        }
        self.end_line();
        self.current = Some(Current {
            path: newest.path.clone(),
            inode,
            offset: newest.start,
            line: Vec::new(),
            skips: false,
        });
        let _ = self.read();
    }

    fn read(&mut self) -> io::Result<()> {
        loop {
            let Some(current) = &mut self.current else {
                return Ok(());
            };
            let mut file = File::open(&current.path)?;
            let metadata = file.metadata()?;
            if metadata.ino() != current.inode {
                // The next look takes up what is there now.
                return Ok(());
            }
            if metadata.len() < current.offset {
                // It was written anew.
                current.offset = 0;
                current.line.clear();
                current.skips = false;
            }
            file.seek(SeekFrom::Start(current.offset))?;
            let mut block = Vec::new();
            file.take(BLOCK).read_to_end(&mut block)?;
            if block.is_empty() {
                return Ok(());
            }
            current.offset += block.len() as u64;
            self.activity.note();
            self.take(&block);
        }
    }

    fn take(&mut self, block: &[u8]) {
        for piece in block.split_inclusive(|byte| *byte == b'\n') {
            if let Some(current) = &mut self.current {
                current.skips |= current.line.len() + piece.len() > LINE_MAX;
                if !current.skips {
                    current.line.extend_from_slice(piece);
                }
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let Some(current) = &mut self.current else {
            return;
        };
        let line = std::mem::take(&mut current.line);
        if std::mem::take(&mut current.skips) {
            return;
        }
        if line.trim_ascii().is_empty() {
            return;
        }
        let rules = self.rules.iter().enumerate();
        let Ok(record) = serde_json::from_slice::<Json>(&line) else {
            // As Python writes a NaN, for one.
            rules.for_each(|(index, _)| {
                self.teller
                    .pass_over(index, "its line is no JSON".to_owned());
            });
            return;
        };
        let found = rules.filter_map(|(index, rule)| {
            let number = match at(&record, &rule.pointer) {
                Ok(number) => number,
                // Not every record has every metric.
                Err(_) if record.pointer(&rule.pointer).is_none_or(Json::is_null) => return None,
                Err(why) => {
                    self.teller.pass_over(index, why);
                    return None;
                }
            };
            let step = rule.step.as_deref();
            let position = step.and_then(|step| Position::in_json(&record, step));
            if step.is_some() && position.is_none() {
                return None;
            }
            Some((index, position, number))
        });
        let found: Vec<_> = found.collect();
        self.teller.take(&found);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::sync::mpsc;

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ms-swift");
        std::fs::read(folder.join(name)).expect("the fixture")
    }

    fn jsonl(metric: &str, file: &Path, pointer: &str, step: Option<&str>) -> CurveOrder {
        CurveOrder {
            metric: metric.to_owned(),
            source: CurveSourceOrder::Jsonl {
                file: file.to_owned(),
                pointer: pointer.to_owned(),
                step: step.map(str::to_owned),
            },
        }
    }

    /// The numbers, and the sentences about those that were none.
    fn all(mut told: mpsc::UnboundedReceiver<Telling>) -> (Vec<Told>, Vec<String>) {
        let (mut all, mut passed_over) = (Vec::new(), Vec::new());
        while let Some(telling) = told.blocking_recv() {
            match telling {
                Telling::Told(told) => all.push(told),
                Telling::PassedOver(text) => passed_over.push(text),
            }
        }
        (all, passed_over)
    }

    fn points(told: &[Told], metric: &str) -> Vec<(f64, f64)> {
        let of = |told: &Told| {
            let mut metrics = told.metrics.iter();
            let found = metrics.find(|(name, _)| name == metric);
            found.map(|(_, number)| (told.at, *number))
        };
        told.iter().filter_map(of).collect()
    }

    #[test]
    fn the_lines_of_a_real_training_run() {
        let regex = |metric: &str, pattern: &str| CurveOrder {
            metric: metric.to_owned(),
            source: CurveSourceOrder::Regex {
                pattern: pattern.to_owned(),
            },
        };
        let step = r"'global_step/max_steps': '(?<step>[^']+)'";
        let curves = [
            regex("loss", &format!("'loss': '(?<value>[^']+)'.*{step}")),
            regex(
                "eval_loss",
                &format!("'eval_loss': '(?<value>[^']+)'.*{step}"),
            ),
            regex("bar", r"Train: +\d+%\|[^|]*\| (\d+)/\d+"),
        ];
        let (sender, told) = mpsc::unbounded_channel();
        let mut lines = Lines::new(&curves, &sender).expect("patterns");
        drop(sender);
        let text = fixture("stdout");
        let split = text.split(|byte| matches!(byte, b'\n' | b'\r'));
        split.for_each(|line| lines.take(line));
        drop(lines);
        let (told, passed_over) = all(told);
        assert!(passed_over.is_empty(), "{passed_over:?}");
        let loss = [
            (1.0, 0.5838),
            (2.0, 0.7247),
            (3.0, 0.8914),
            (4.0, 0.5948),
            (5.0, 1.012),
        ];
        assert_eq!(points(&told, "loss"), loss);
        assert_eq!(points(&told, "eval_loss"), [(5.0, 0.6421)]);
        assert!(
            told.iter()
                .filter(|told| told.metrics[0].0 == "loss")
                .all(|told| told.of == Some(5.0))
        );
        assert!(points(&told, "bar").len() > 5);
    }

    #[test]
    fn what_is_told_twice_a_step_is_one_report_and_the_end_is_kept() {
        let curve = |metric: &str, pattern: &str| CurveOrder {
            metric: metric.to_owned(),
            source: CurveSourceOrder::Regex {
                pattern: pattern.to_owned(),
            },
        };
        let curves = [
            curve("a", r"step (?<step>\d+) of (?<of>\d+) a=(\S+)"),
            curve("b", r"step (?<step>\d+).* b=(\S+)"),
        ];
        let (sender, told) = mpsc::unbounded_channel();
        let mut lines = Lines::new(&curves, &sender).expect("patterns");
        drop(sender);
        for step in 1..=1003 {
            lines.take(format!("step {step} of 2000 a={step} b=nan").as_bytes());
        }
        lines.take(b"step 1004 of 2000 a=7 b=8");
        drop(lines);
        let (told, passed_over) = all(told);
        let nan =
            "passed over in the curve of b: 1003, the first since `nan` is not a finite number";
        assert_eq!(passed_over, [nan]);
        let a = points(&told, "a");
        assert_eq!((a.len(), a.last()), (102, Some(&(1004.0, 7.0))));
        assert_eq!(points(&told, "b"), [(1004.0, 8.0)]);
        assert_eq!(told[0].of, Some(2000.0));
    }

    #[test]
    fn a_file_that_grows_is_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pattern = folder.path().join("v*/logging.jsonl");
        let old = folder.path().join("v9/logging.jsonl");
        std::fs::create_dir(old.parent().expect("one")).expect("made");
        std::fs::write(&old, fixture("logging.jsonl")).expect("an older trial's");
        let step = Some("/global_step~1max_steps");
        let curves = [
            jsonl("loss", &pattern, "/loss", step),
            jsonl("eval_loss", &pattern, "/eval_loss", step),
            jsonl("accuracy", &pattern, "/token_acc", None),
        ];
        let (sender, mut told) = mpsc::unbounded_channel();
        let followed = Followed::start(&curves, &sender, &Activity::begin())
            .expect("a thread")
            .expect("curves");
        drop(sender);
        let file = folder.path().join("v10/logging.jsonl");
        std::fs::create_dir(file.parent().expect("one")).expect("made");
        let text = fixture("logging.jsonl");
        // Half a line.
        std::fs::write(&file, &text[..300]).expect("written");
        let Some(Telling::Told(first)) = told.blocking_recv() else {
            panic!("the first record");
        };
        let metrics = [("loss", 0.583_751_62), ("accuracy", 0.826_086_96)];
        let metrics = metrics.map(|(name, number)| (name.to_owned(), number));
        assert_eq!((first.at, first.of), (1.0, Some(5.0)));
        assert_eq!(first.metrics, metrics);
        let mut appended = File::options().append(true).open(&file).expect("there");
        let rest = text[300..].trim_ascii_end();
        io::Write::write_all(&mut appended, rest).expect("written");
        drop(followed);
        let (told, passed_over) = all(told);
        assert!(passed_over.is_empty(), "{passed_over:?}");
        assert_eq!(points(&told, "loss").len(), 4);
        assert_eq!(points(&told, "eval_loss"), [(5.0, 0.642_139_32)]);
        let told: Vec<f64> = points(&told, "accuracy")
            .iter()
            .map(|point| point.0)
            .collect();
        assert_eq!(told, [2.0, 3.0, 4.0, 5.0], "counted, where no step is told");
    }

    #[test]
    fn a_file_that_is_written_anew_and_one_that_takes_its_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log.jsonl");
        let curves = [jsonl("a", &path, "/a", None)];
        let (sender, told) = mpsc::unbounded_channel();
        let mut tail = Tail {
            files: Fresh::note(&path),
            rules: vec![Rule {
                pointer: "/a".to_owned(),
                step: None,
            }],
            teller: Teller::new(curves.iter().map(|curve| curve.metric.clone()), sender),
            activity: Activity::begin(),
            current: None,
        };
        tail.look();
        std::fs::write(&path, "{\"a\": 1}\n{\"a\": 2}\n{\"a\"").expect("written");
        tail.look();
        std::fs::write(&path, "{\"a\": 3}\n").expect("written anew");
        tail.look();
        std::fs::rename(&path, folder.path().join("log.jsonl.1")).expect("rotated");
        tail.look();
        std::fs::write(&path, "{\"a\": 4}\n").expect("written");
        tail.look();
        let long = format!(
            "{{\"a\": NaN}}\n\n{{\"a\": null}}\n{{\"a\": 5, \"b\": \"{}\"}}\n{{\"a\": 6}}\n",
            "x".repeat(LINE_MAX)
        );
        let mut appended = File::options().append(true).open(&path).expect("there");
        io::Write::write_all(&mut appended, long.as_bytes()).expect("written");
        tail.look();
        drop(tail);
        let (told, passed_over) = all(told);
        let no_json = "passed over in the curve of a: 1, the first since its line is no JSON";
        assert_eq!(passed_over, [no_json]);
        let values: Vec<f64> = points(&told, "a").iter().map(|point| point.1).collect();
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 6.0]);
    }
}
