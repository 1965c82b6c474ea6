//! Reading a run's metrics: from what it printed and from the files that it
//! wrote.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;
use serde_json::Value as Json;

use super::capture::{Found, Scan};
use super::order::{MetricOrder, SourceOrder};
use crate::model::value::Finite;

/// The most that is read of a JSON file, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// The most that a complaint quotes of what is no number, in characters.
const SHOWN_MAX: usize = 80;

/// What identifies one state of a file.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The metrics of one run, prepared before the run begins.
pub struct Extraction<'a> {
    metrics: &'a [MetricOrder],
    before: Vec<Stamp>,
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
        let before = metrics
            .iter()
            .map(|metric| file_of(metric).and_then(stamp))
            .collect();
        Self { metrics, before }
    }

    /// What to look for in the output.
    pub fn scan(&self) -> Scan {
        let mut scan = Scan::default();
        for metric in self.metrics {
            match &metric.source {
                SourceOrder::Regex { pattern, first } => {
                    // `config` has compiled the same text before.
                    let regex = Regex::new(pattern).unwrap_or_else(|_| never());
                    scan.patterns.push((regex, *first));
                }
                SourceOrder::JsonOutput { .. } => scan.json = true,
                _ => {}
            }
        }
        scan
    }

    /// Reads the metrics after the run.
    pub fn finish(&self, found: &Found) -> Yield {
        let mut groups = found.groups.iter();
        let mut yielded = Yield {
            metrics: Vec::new(),
            faults: Vec::new(),
        };
        for (metric, before) in self.metrics.iter().zip(&self.before) {
            let read = match &metric.source {
                SourceOrder::Regex { pattern, .. } => {
                    match groups.next().and_then(Option::as_ref) {
                        Some(text) => number(&String::from_utf8_lossy(text)),
                        None => Err(format!(
                            "the pattern `{pattern}` found nothing in the output"
                        )),
                    }
                }
                SourceOrder::JsonOutput { pointer } => match &found.json {
                    Some(line) => parse(line).and_then(|json| at(&json, pointer)),
                    None => Err("no line of the output is a JSON object".to_owned()),
                },
                SourceOrder::JsonFile { file, pointer } => {
                    fresh(file, *before).and_then(|()| read_json(file, pointer))
                }
                SourceOrder::JsonlFile { file, pointer } => {
                    fresh(file, *before).and_then(|()| read_jsonl(file, pointer))
                }
            };
            match read {
                Ok(number) => yielded.metrics.push((metric.metric.clone(), number)),
                Err(_) if metric.optional => {}
                Err(fault) => yielded.faults.push(format!("{}: {fault}", metric.metric)),
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
        SourceOrder::JsonFile { file, .. } | SourceOrder::JsonlFile { file, .. } => Some(file),
        _ => None,
    }
}

fn stamp(path: &PathBuf) -> Stamp {
    let of = |m: Metadata| (m.ino(), m.size(), m.mtime(), m.mtime_nsec());
    std::fs::metadata(path).ok().map(of)
}

/// A result of yesterday must not pass for today's.
fn fresh(path: &PathBuf, before: Stamp) -> Result<(), String> {
    match stamp(path) {
        None => Err(format!("{} is not there", path.display())),
        now if now == before => Err(format!("{} was not written by this run", path.display())),
        _ => Ok(()),
    }
}

fn read_json(path: &Path, pointer: &str) -> Result<f64, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| named(error.to_string()))?;
    file.take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| named(error.to_string()))?;
    at(&parse(&bytes).map_err(named)?, pointer).map_err(named)
}

fn read_jsonl(path: &Path, pointer: &str) -> Result<f64, String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| named(error.to_string()))?;
    let mut last = Err(named(format!("no record has a number at `{pointer}`")));
    for line in BufReader::new(file.take(FILE_MAX)).split(b'\n') {
        let line = line.map_err(|error| named(error.to_string()))?;
        // A record without the metric, or a torn last one, is passed over.
        let Ok(json) = parse(&line) else { continue };
        if json.pointer(pointer).is_some() {
            last = at(&json, pointer).map_err(named);
        }
    }
    last
}

fn parse(bytes: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("is not JSON: {error}"))
}

fn at(json: &Json, pointer: &str) -> Result<f64, String> {
    match json.pointer(pointer) {
        Some(Json::Number(found)) => found
            .as_f64()
            .filter(|n| n.is_finite())
            .ok_or_else(|| not_finite(&found.to_string())),
        // Some programs write their numbers as texts.
        Some(Json::String(text)) => number(text),
        Some(_) => Err(format!("`{pointer}` is not a number")),
        None => Err(format!("has nothing at `{pointer}`")),
    }
}

/// Reads a number, strictly.
fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    // A pattern may have caught megabytes; the complaint goes into the journal.
    let shown = match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    match text.parse::<f64>() {
        Ok(number) => Finite::new(number)
            .map(Finite::get)
            .ok_or_else(|| not_finite(&shown)),
        Err(_) if text.contains(',') => Err(format!(
            "`{shown}` is not a number: write it with a point and without commas"
        )),
        Err(_) => Err(format!("`{shown}` is not a number")),
    }
}

fn not_finite(text: &str) -> String {
    format!("`{text}` is not a finite number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        assert_eq!(number(" 0.8815 "), Ok(0.8815));
        assert_eq!(number("1e3"), Ok(1000.0));
        for (text, expected) in [
            ("1.2.3", "`1.2.3` is not a number"),
            ("nan", "`nan` is not a finite number"),
            ("inf", "`inf` is not a finite number"),
            (
                "1,5",
                "`1,5` is not a number: write it with a point and without commas",
            ),
            ("", "`` is not a number"),
        ] {
            assert_eq!(number(text), Err(expected.to_owned()));
        }
    }

    fn order(source: SourceOrder) -> MetricOrder {
        MetricOrder {
            optional: false,
            metric: "acc".into(),
            source,
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
    fn the_last_record_that_has_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("log.jsonl");
        let text = "{\"acc\": 0.1}\n{\"acc\": 0.2}\n{\"loss\": 3}\n{\"acc\": 0.3";
        let source = SourceOrder::JsonlFile {
            file: file.clone(),
            pointer: "/acc".into(),
        };
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
}
