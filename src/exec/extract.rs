//! Reading a run's metrics: from what it printed and from the files that it
//! wrote.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use regex::bytes::Regex;
use serde_json::Value as Json;

use super::capture::{Found, Scan};
use super::fresh::{Fresh, Written};
use super::number::{Picked, Position, at};
use super::order::{MetricOrder, SourceOrder};
use crate::model::reason;

/// The most that is read of a JSON file, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// So many files say what is wrong with them.
const FAULTS_MAX: usize = 3;

/// The metrics of one run, prepared before the run begins.
pub struct Extraction<'a> {
    metrics: &'a [MetricOrder],
    before: Vec<Option<Fresh>>,
}

/// What a run yielded.
pub struct Yield {
    /// The metrics that were found.
    pub metrics: Vec<(String, f64)>,
    /// What is wrong with the others.
    pub faults: Vec<String>,
}

impl<'a> Extraction<'a> {
    /// Prepares to read `metrics`: what is in their files now does not count.
    pub fn prepare(metrics: &'a [MetricOrder]) -> Self {
        let before = metrics.iter();
        let before = before.map(|metric| file_of(metric).map(|file| Fresh::note(file)));
        Self {
            metrics,
            before: before.collect(),
        }
    }

    /// What to look for in the output.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for metric in self.metrics {
            match &metric.source {
                SourceOrder::Regex { pattern, which } => {
                    // `config` has compiled the same text before.
                    let regex = Regex::new(pattern).unwrap_or_else(|_| never());
                    scan.patterns.push((regex, (*which).into()));
                }
                SourceOrder::JsonOutput { .. } => scan.json = true,
                _ => {}
            }
        }
        scan
    }

    /// Reads the metrics after the run.
    pub fn finish(&self, found: &Found) -> Yield {
        let mut picked = found.picked.iter();
        let mut yielded = Yield {
            metrics: Vec::new(),
            faults: Vec::new(),
        };
        for (metric, before) in self.metrics.iter().zip(&self.before) {
            let read = match &metric.source {
                SourceOrder::Regex { pattern, .. } => {
                    let nothing = reason::PATTERN_FOUND_NOTHING.say([pattern]);
                    match picked.next() {
                        Some(picked) => picked.number(&nothing),
                        None => Err(nothing),
                    }
                }
                SourceOrder::JsonOutput { pointer } => match &found.json {
                    Some(line) => parse(line).and_then(|json| at(&json, pointer)),
                    None => Err(reason::NO_JSON_LINE.say([])),
                },
                SourceOrder::JsonFile { pointer, .. } => {
                    in_newest(before.as_ref(), |file| at(&document(file)?, pointer))
                }
                SourceOrder::Records {
                    list,
                    pointer,
                    step,
                    which,
                    ..
                } => in_newest(before.as_ref(), |file| {
                    let mut records = Records {
                        pointer,
                        step: step.as_deref(),
                        picked: Picked::new((*which).into()),
                    };
                    match list {
                        Some(list) => records.take_list(&document(file)?, list)?,
                        None => records.take_lines(file)?,
                    }
                    let nothing = reason::NO_RECORD.say([pointer]);
                    records.picked.number(&nothing)
                }),
            };
            match read {
                Ok(number) => yielded.metrics.push((metric.metric.clone(), number)),
                Err(_) if metric.optional => {}
                Err(fault) => yielded
                    .faults
                    .push(reason::OF_METRIC.say([&metric.metric, &fault])),
            }
        }
        yielded
    }
}

fn never() -> Regex {
    Regex::new(r"[^\s\S]").expect("a pattern that matches nothing")
}

fn file_of(metric: &MetricOrder) -> Option<&PathBuf> {
    match &metric.source {
        SourceOrder::JsonFile { file, .. } | SourceOrder::Records { file, .. } => Some(file),
        SourceOrder::Regex { .. } | SourceOrder::JsonOutput { .. } => None,
    }
}

/// What the newest file has of which `read` makes something: a run may have
/// begun more than once, and not got far.
fn in_newest(
    before: Option<&Fresh>,
    read: impl Fn(&Written) -> Result<f64, String>,
) -> Result<f64, String> {
    let written = before.map_or_else(|| Ok(Vec::new()), Fresh::written)?;
    let mut faults = Vec::new();
    for file in &written {
        match read(file) {
            Ok(number) => return Ok(number),
            Err(fault) => faults.push(format!("{}: {fault}", file.path.display())),
        }
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(format!("and {more} more files like these"));
    }
    Err(faults.join("; "))
}

/// One JSON document, whatever part of it the run has written.
fn document(file: &Written) -> Result<Json, String> {
    let mut bytes = Vec::new();
    let opened = File::open(&file.path).map_err(|error| error.to_string())?;
    opened
        .take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    parse(&bytes)
}

/// Many records, of which one counts.
struct Records<'a> {
    pointer: &'a str,
    step: Option<&'a str>,
    picked: Picked,
}

impl Records<'_> {
    fn take(&mut self, record: &Json) {
        // A record without the metric is passed over.
        if record.pointer(self.pointer).is_none() {
            return;
        }
        let position = self.step.and_then(|step| Position::in_json(record, step));
        let number = at(record, self.pointer);
        self.picked
            .offer(position.map(|position| position.at), number);
    }

    fn take_list(&mut self, document: &Json, list: &str) -> Result<(), String> {
        let Some(Json::Array(records)) = document.pointer(list) else {
            return Err(format!("has no list at `{list}`"));
        };
        records.iter().for_each(|record| self.take(record));
        Ok(())
    }

    /// Those of a file with one a line, as far as the run has written it.
    fn take_lines(&mut self, file: &Written) -> Result<(), String> {
        let mut opened = File::open(&file.path).map_err(|error| error.to_string())?;
        opened
            .seek(SeekFrom::Start(file.start))
            .map_err(|error| error.to_string())?;
        for line in BufReader::new(opened.take(FILE_MAX)).split(b'\n') {
            let line = line.map_err(|error| error.to_string())?;
            // So is a torn last one.
            if let Ok(json) = parse(&line) {
                self.take(&json);
            }
        }
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::order::WhichOrder;
    use super::*;

    fn order(source: SourceOrder) -> MetricOrder {
        MetricOrder {
            optional: false,
            metric: "acc".into(),
            source,
        }
    }

    fn records(file: &Path, pointer: &str, which: WhichOrder) -> SourceOrder {
        SourceOrder::Records {
            file: file.to_owned(),
            list: None,
            pointer: pointer.to_owned(),
            step: Some("/global_step~1max_steps".to_owned()),
            which,
        }
    }

    #[test]
    fn files_must_be_new() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("out.json");
        std::fs::write(&file, r#"{"r": [{"acc": "0.5"}]}"#).expect("written");
        let source = SourceOrder::JsonFile {
            file: file.clone(),
            pointer: "/r/0/acc".into(),
        };
        let metrics = [order(source)];
        let extraction = Extraction::prepare(&metrics);
        let stale = extraction.finish(&Found::default());
        assert!(
            stale.faults[0].ends_with("was not written by this run"),
            "{:?}",
            stale.faults
        );
        std::fs::write(&file, r#"{"r": [{"acc": "0.75", "more": 1}]}"#).expect("written");
        assert_eq!(
            extraction.finish(&Found::default()).metrics,
            [("acc".to_owned(), 0.75)]
        );
    }

    #[test]
    fn a_run_may_do_without_what_is_optional() {
        let source = SourceOrder::Regex {
            pattern: "acc=(.)".into(),
            which: WhichOrder::Last,
        };
        let mut metrics = [order(source)];
        let faults = |metrics: &[MetricOrder]| {
            let extraction = Extraction::prepare(metrics);
            extraction.finish(&Found::default()).faults.len()
        };
        assert_eq!(faults(&metrics), 1);
        metrics[0].optional = true;
        assert_eq!(faults(&metrics), 0);
    }

    #[test]
    fn the_last_record_that_has_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("log.jsonl");
        let text = "{\"acc\": 0.1}\n{\"acc\": 0.2}\n{\"loss\": 3}\n{\"acc\": 0.3";
        let source = records(&file, "/acc", WhichOrder::Last);
        let metrics = [order(source)];
        let extraction = Extraction::prepare(&metrics);
        let missing = extraction.finish(&Found::default());
        assert!(missing.faults[0].ends_with("is not there"));
        std::fs::write(&file, text).expect("written");
        assert_eq!(
            extraction.finish(&Found::default()).metrics,
            [("acc".to_owned(), 0.2)]
        );
    }

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ms-swift");
        std::fs::read(folder.join(name)).expect("the fixture")
    }

    /// What a run yields that writes this into this file.
    fn yields(source: SourceOrder, file: &Path, text: &[u8]) -> Result<f64, String> {
        let metrics = [order(source)];
        let extraction = Extraction::prepare(&metrics);
        std::fs::write(file, text).expect("written");
        let mut yielded = extraction.finish(&Found::default());
        match yielded.metrics.pop() {
            Some((_, number)) => Ok(number),
            None => Err(yielded.faults.remove(0)),
        }
    }

    #[test]
    fn the_log_of_a_real_training_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("logging.jsonl");
        let text = fixture("logging.jsonl");
        let loss = |which| yields(records(&file, "/loss", which), &file, &text);
        assert_eq!(loss(WhichOrder::Last), Ok(1.012_128_35));
        assert_eq!(loss(WhichOrder::First), Ok(0.583_751_62));
        assert_eq!(loss(WhichOrder::Least), Ok(0.583_751_62));
        assert_eq!(loss(WhichOrder::Most), Ok(1.012_128_35));
        assert_eq!(loss(WhichOrder::At(3.0)), Ok(0.891_422_69));
        let missing = loss(WhichOrder::At(9.0)).expect_err("there is no such step");
        let why = "no record has a number at `/loss` at step 9: those that have one go from \
                   step 1 to 5";
        assert!(missing.ends_with(why), "{missing}");
        let eval = records(&file, "/eval_loss", WhichOrder::At(5.0));
        assert_eq!(yields(eval, &file, &text), Ok(0.642_139_32));
    }

    #[test]
    fn the_list_in_the_state_of_a_real_trainer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("trainer_state.json");
        let text = fixture("trainer_state.json");
        let of = |list: &str, which| SourceOrder::Records {
            file: path.clone(),
            list: Some(list.to_owned()),
            pointer: "/loss".to_owned(),
            step: Some("/step".to_owned()),
            which,
        };
        let loss = |which| yields(of("/log_history", which), &path, &text);
        assert_eq!(loss(WhichOrder::Least), Ok(0.583_751_618_862_152_1));
        assert_eq!(loss(WhichOrder::At(4.0)), Ok(0.594_841_301_441_192_6));
        let missing = yields(of("/history", WhichOrder::Last), &path, &text);
        let missing = missing.expect_err("no such list");
        assert!(missing.ends_with("has no list at `/history`"), "{missing}");
    }

    #[test]
    fn only_what_this_run_has_appended_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("log.jsonl");
        std::fs::write(&file, "{\"acc\": 0.9}\n").expect("an older trial's");
        let source = records(&file, "/acc", WhichOrder::Most);
        let text = b"{\"acc\": 0.9}\n{\"acc\": 0.1}\n{\"acc\": 0.2}\n";
        assert_eq!(yields(source, &file, text), Ok(0.2));
    }

    #[test]
    fn the_newest_file_that_has_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pattern = folder.path().join("v*/log.jsonl");
        let file = |n: u32| folder.path().join(format!("v{n}/log.jsonl"));
        (0..3).for_each(|n| std::fs::create_dir(file(n).parent().expect("one")).expect("made"));
        std::fs::write(file(0), "{\"acc\": 0.9}\n").expect("an older trial's");
        let metrics = [order(records(&pattern, "/acc", WhichOrder::Last))];
        let extraction = Extraction::prepare(&metrics);
        let finish = || extraction.finish(&Found::default());
        let fault = &finish().faults[0];
        assert!(fault.contains("only older ones: "), "{fault}");
        std::fs::write(file(1), "{\"acc\": 0.5}\n").expect("written");
        // A second start that has not come far.
        std::fs::write(file(2), "{\"loss\": 3}\n").expect("written");
        assert_eq!(finish().metrics, [("acc".to_owned(), 0.5)]);
        std::fs::remove_file(file(1)).expect("removed");
        let fault = &finish().faults[0];
        let why = "v2/log.jsonl: no record has a number at `/acc`";
        assert!(fault.ends_with(why), "{fault}");
    }
}
