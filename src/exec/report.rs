//! What a runner tells: lines of `events.jsonl`, which it also writes to its
//! standard output for the daemon, and last `result.json`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::release::Level;
use crate::base::clock::{self, Timestamp};
use crate::model::curve::Told;
use crate::model::outcome::{Cause, Ending, Failure, FailureKind};
use crate::model::reason;
use crate::model::trial::{Mark, Run};
use crate::model::value::Finite;

/// The name of the reports within a sitting's folder.
pub const REPORTS_FILE: &str = "events.jsonl";
/// The name of the result within a sitting's folder.
pub const RESULT_FILE: &str = "result.json";

/// One line of a runner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since 1970 in UTC.
    pub at: i64,
    /// What happened.
    pub report: Report,
}

/// The last line of a runner's standard output.
#[derive(Serialize, Deserialize)]
struct LastLine {
    result: SittingResult,
}

/// Something that happened in a sitting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "as in model::event")]
pub enum Report {
    /// A process of a step was started.
    StepStarted {
        step: String,
        run: Option<u32>,
        pid: u32,
        start_ticks: u64,
    },
    /// Somebody else has the port of a service.
    PortBusy { port: u16, holder: String },
    /// Every service is ready.
    ServicesReady {
        startup: Duration,
        health: Option<String>,
    },
    /// Something is known of a run that counts and has not ended.
    RunMarked(MarkReport),
    /// A run that goes on has told how far it is.
    RunTold(ToldReport),
    /// A run that counts has ended.
    RunEnded(RunReport),
    /// Something that the owner should know and that changes nothing.
    Warning(String),
    /// The sitting waits for what somebody holds.
    Waiting(String),
    /// A task goes on from a checkpoint.
    TaskResumed { step: String, checkpoint: String },
    /// What the steps declare that they make was found.
    ArtifactsFound { files: u32, bytes: u64 },
    /// What is in use of the GPUs before the trial, for the next sitting.
    GpuLevels(Vec<Level>),
}

/// See [`Mark`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::trial::Mark")]
pub struct MarkReport {
    pub step: String,
    pub run: u32,
    pub number: u32,
    pub metrics: Vec<(String, f64)>,
}

/// See [`Told`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::curve::Told")]
pub struct ToldReport {
    pub step: String,
    pub run: u32,
    pub at: f64,
    pub of: Option<f64>,
    pub metrics: Vec<(String, f64)>,
}

/// See [`Run`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::trial::Run")]
pub struct RunReport {
    pub step: String,
    pub number: u32,
    pub elapsed: Duration,
    pub ending: EndingReport,
    pub metrics: Vec<(String, f64)>,
    pub fault: Option<String>,
}

/// See [`Ending`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "as in model::outcome::Ending")]
pub enum EndingReport {
    Exited(i32),
    Signalled(i32),
    OomKilled,
    TimedOut,
    Stopped,
    CouldNotStart(String),
}

/// How a sitting came out: the whole of `result.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SittingResult {
    /// Every run that was ordered is good.
    Good,
    /// Something broke.
    Failed(FailureReport),
    /// It was told to stop.
    Interrupted,
}

/// See [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::outcome::Failure")]
pub struct FailureReport {
    pub kind: String,
    pub step: Option<String>,
    pub ending: Option<EndingReport>,
    pub message: String,
    pub cause: Option<CauseReport>,
    /// The text of the last answer to a readiness check.
    pub health: Option<String>,
}

/// See [`Cause`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::outcome::Cause")]
pub struct CauseReport {
    pub name: String,
    pub hint: String,
    pub line: String,
}

impl From<&Ending> for EndingReport {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Exited(code) => Self::Exited(*code),
            Ending::Signalled(signal) => Self::Signalled(*signal),
            Ending::OomKilled => Self::OomKilled,
            Ending::TimedOut => Self::TimedOut,
            Ending::Stopped => Self::Stopped,
            Ending::CouldNotStart(why) => Self::CouldNotStart(why.to_string()),
        }
    }
}

impl From<EndingReport> for Ending {
    fn from(report: EndingReport) -> Self {
        match report {
            EndingReport::Exited(code) => Self::Exited(code),
            EndingReport::Signalled(signal) => Self::Signalled(signal),
            EndingReport::OomKilled => Self::OomKilled,
            EndingReport::TimedOut => Self::TimedOut,
            EndingReport::Stopped => Self::Stopped,
            EndingReport::CouldNotStart(why) => Self::CouldNotStart(Box::new(why)),
        }
    }
}

impl MarkReport {
    /// The mark as the model has it; `None` where a number is not finite,
    /// which cannot come from a runner.
    pub fn into_mark(self, sitting: u32) -> Option<Mark> {
        let metrics = self.metrics.into_iter();
        let metrics = metrics.map(|(name, number)| Some((name.into(), Finite::new(number)?)));
        Some(Mark {
            step: self.step.into(),
            run: self.run,
            sitting,
            number: self.number,
            metrics: metrics.collect::<Option<_>>()?,
        })
    }
}

impl ToldReport {
    /// What was told as the model has it; `None` where a number is not finite,
    /// which cannot come from a runner.
    pub fn into_told(self, sitting: u32) -> Option<Told> {
        let metrics = self.metrics.into_iter();
        let metrics = metrics.map(|(name, number)| Some((name.into(), Finite::new(number)?)));
        Some(Told {
            step: self.step.into(),
            run: self.run,
            sitting,
            at: Finite::new(self.at)?,
            of: self.of.and_then(Finite::new),
            metrics: metrics.collect::<Option<_>>()?,
        })
    }
}

impl RunReport {
    /// The run as the model has it. A number that is not finite cannot come
    /// from a runner and makes the run bad.
    pub fn into_run(self, sitting: u32) -> Run {
        let mut fault = self.fault.map(String::into_boxed_str);
        let mut metrics = Vec::with_capacity(self.metrics.len());
        for (name, number) in self.metrics {
            match Finite::new(number) {
                Some(number) => metrics.push((name.into(), number)),
                None => fault = Some(reason::NOT_FINITE.say([&name]).into()),
            }
        }
        Run {
            step: self.step.into(),
            number: self.number,
            sitting,
            elapsed: self.elapsed,
            ending: self.ending.into(),
            metrics: metrics.into(),
            fault,
        }
    }
}

impl From<FailureReport> for Failure {
    fn from(report: FailureReport) -> Self {
        Self {
            kind: FailureKind::named(&report.kind).unwrap_or(FailureKind::AllRuns),
            step: report.step.map(Into::into),
            ending: report.ending.map(Into::into),
            message: report.message,
            cause: report.cause.map(|cause| Cause {
                name: cause.name,
                hint: cause.hint,
                line: cause.line,
            }),
        }
    }
}

/// Writes the reports of one sitting.
pub struct Reporter {
    file: File,
    /// Lines that a full disk did not take, to be written before any other.
    kept: Vec<u8>,
    stream: io::Stdout,
}

impl Reporter {
    /// Begins `events.jsonl` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(REPORTS_FILE);
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file,
            kept: Vec::new(),
            stream: io::stdout(),
        })
    }

    /// Tells the result to the daemon, which cannot read it from the folder
    /// when the disk is full.
    ///
    /// # Errors
    /// When `events.jsonl` lacks something that a full disk did not take: then
    /// no result may stand beside it.
    pub fn conclude(&mut self, result: &SittingResult) -> io::Result<()> {
        let line = LastLine {
            result: result.clone(),
        };
        if let Ok(text) = serde_json::to_string(&line) {
            let _ = writeln!(self.stream, "{text}").and_then(|()| self.stream.flush());
        }
        if self.kept.is_empty() {
            return Ok(());
        }
        self.append(b"").and_then(|()| self.file.sync_data())
    }

    /// Writes one report, and makes it outlive a crash where it has a result.
    ///
    /// The daemon gets the line whatever becomes of the file: on a full disk
    /// it is the daemon that says so.
    pub fn tell(&mut self, report: Report) {
        let durable = matches!(report, Report::RunEnded(_));
        let line = Line {
            at: clock::now().as_millis(),
            report,
        };
        let Ok(mut text) = serde_json::to_string(&line) else {
            return;
        };
        text.push('\n');
        let written = self.append(text.as_bytes());
        if durable && written.is_ok() {
            let _ = self.file.sync_data();
        }
        // A reader that is gone is a daemon that died: the control pipe tells.
        let _ = self
            .stream
            .write_all(text.as_bytes())
            .and_then(|()| self.stream.flush());
    }

    /// Half a line would hide those that come after it.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        self.kept.extend_from_slice(line);
        self.file.write_all(&self.kept).inspect_err(|_| {
            // At the end of the file it does no harm.
            let _ = self.file.set_len(end);
        })?;
        self.kept.clear();
        Ok(())
    }
}

/// Reads the lines that a runner wrote to `folder`; a torn last line is left
/// out.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_reports(folder: &Path) -> io::Result<Vec<(Timestamp, Report)>> {
    let bytes = match std::fs::read(folder.join(REPORTS_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines.map_while(parse_line).collect())
}

/// One line of a runner; `None` when it is torn.
pub fn parse_line(line: &[u8]) -> Option<(Timestamp, Report)> {
    let line: Line = serde_json::from_slice(line).ok()?;
    Some((Timestamp::from_millis(line.at), line.report))
}

/// The result, where `line` is a runner's last.
pub fn parse_last_line(line: &[u8]) -> Option<SittingResult> {
    let line: LastLine = serde_json::from_slice(line).ok()?;
    Some(line.result)
}

/// Reads `result.json`; `None` when the runner did not come to write it.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_result(folder: &Path) -> io::Result<Option<SittingResult>> {
    match std::fs::read(folder.join(RESULT_FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
