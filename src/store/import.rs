//! A results file from before the study, taken up as its history.
//!
//! Of several lines about the same params the last one counts. What the
//! reference tuner would try again is tried again here: `partial` trials go on
//! with the good runs that they have, and a fault of the host (a busy port)
//! leaves nothing at all. Everything else is settled.
//!
//! The file itself stays as it is: its lines are copied to `<name>.imported`,
//! and from then on the results file is these bytes and the study's own lines
//! after them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::error::FilesError;
use super::files;
use super::results::{IMPORTED, run_field};
use crate::base::clock::Timestamp;
use crate::base::file;
use crate::model::Name;
use crate::model::event::{Event, Fact};
use crate::model::outcome::{Ending, Failure, FailureKind, Outcome};
use crate::model::params::Params;
use crate::model::spec::{FileNames, Spec};
use crate::model::step::{Step, StepKind};
use crate::model::study::Study;
use crate::model::trial::{Origin, Purpose, Run, SittingEnd, Trial, TrialId};
use crate::model::value::{Finite, Value};

/// What was made of a results file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// The facts, for an empty journal.
    pub facts: Vec<Fact>,
    /// How many trials they are.
    pub trials: u32,
    /// How many lines were left out because the host was at fault.
    pub host_faults: u32,
    /// Lines that could not be used.
    pub problems: Vec<Problem>,
    /// Whether the last line has no end.
    pub is_torn: bool,
}

/// A line that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub text: String,
}

/// What is wrong with a last line that has no end.
const TORN: &str = "it is half a line, as a crash leaves it";

/// Where the imported lines are kept.
pub(super) fn kept_path(output_dir: &Path, names: &FileNames) -> PathBuf {
    output_dir.join(format!("{}.imported", names.results))
}

/// Where lines are kept that could not be used.
pub fn damaged_path(output_dir: &Path, names: &FileNames) -> PathBuf {
    output_dir.join(format!("{}.damaged", names.results))
}

/// Takes up the results file in `output_dir`, for a study whose journal is
/// empty. `None` when there is none. It can be done again until the facts are
/// in the journal.
///
/// # Errors
/// Whatever the file system answers.
pub fn take(output_dir: &Path, spec: &Spec) -> Result<Option<Import>, FilesError> {
    let names = &spec.files;
    let kept = kept_path(output_dir, names);
    let text = read(output_dir, names)?;
    if text.is_empty() {
        // What an earlier study imported is none of this one's history.
        retire(&kept).map_err(FilesError::at(&kept))?;
        return Ok(None);
    }
    let Parsed {
        import,
        kept: lines,
        damaged,
    } = parse(&text, spec);
    if !damaged.is_empty() {
        let path = damaged_path(output_dir, names);
        file::replace(&path, &damaged).map_err(FilesError::at(&path))?;
    }
    file::replace(&kept, &lines).map_err(FilesError::at(&kept))?;
    Ok(Some(import))
}

/// What [`take`] would take up; changes nothing.
///
/// # Errors
/// Whatever the file system answers.
pub fn preview(output_dir: &Path, spec: &Spec) -> Result<Import, FilesError> {
    Ok(parse(&read(output_dir, &spec.files)?, spec).import)
}

/// Leaves the lines alone that were taken up, less a torn one, once the facts
/// are in the journal: ours come after them.
///
/// # Errors
/// Whatever the file system answers.
pub(super) fn cut(output_dir: &Path, names: &FileNames) -> Result<(), FilesError> {
    let kept = kept_path(output_dir, names);
    let lines = fs::read(&kept).map_err(FilesError::at(&kept))?;
    let path = output_dir.join(&names.results);
    file::replace(&path, &lines).map_err(FilesError::at(&path))
}

fn read(output_dir: &Path, names: &FileNames) -> Result<Vec<u8>, FilesError> {
    let path = output_dir.join(&names.results);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(FilesError::at(&path)),
    }
}

fn retire(path: &Path) -> io::Result<()> {
    if files::keep_aside(path)?.is_some() {
        fs::remove_file(path)?;
    }
    Ok(())
}

struct Parsed {
    import: Import,
    /// The text, whole lines all of it.
    kept: Vec<u8>,
    /// The lines that could not be used.
    damaged: Vec<u8>,
}

fn parse(text: &[u8], spec: &Spec) -> Parsed {
    let reader = Reader::new(spec);
    let mut import = Import::default();
    let (mut kept, mut damaged) = (Vec::new(), Vec::new());
    let mut trials: Vec<Option<Imported>> = Vec::new();
    let mut by_params: HashMap<Params, usize> = HashMap::new();
    for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let whole = line.last() == Some(&b'\n');
        let bytes = line.trim_ascii();
        let read = if bytes.is_empty() {
            Ok(None)
        } else {
            reader.line(bytes)
        };
        let usable = read.is_ok();
        match read {
            Ok(Some(trial)) => {
                if let Some(earlier) = by_params.insert(trial.params.clone(), trials.len()) {
                    trials[earlier] = None;
                }
                trials.push(Some(trial));
            }
            Ok(None) => import.host_faults += u32::from(!bytes.is_empty()),
            Err(text) => {
                let text = if whole { text } else { TORN.to_owned() };
                damaged.extend_from_slice(bytes);
                damaged.push(b'\n');
                import.problems.push(Problem { line: number, text });
            }
        }
        import.is_torn = !whole;
        // Half a line at the end would have ours glued to it.
        if whole || usable {
            kept.extend_from_slice(line);
            if !whole {
                kept.push(b'\n');
            }
        }
    }
    for (trial, number) in trials.into_iter().flatten().zip(1..) {
        trial.into_facts(TrialId(number), &mut import.facts);
        import.trials = number;
    }
    Parsed {
        import,
        kept,
        damaged,
    }
}

/// One line, checked.
struct Imported {
    params: Params,
    started: Timestamp,
    ended: Timestamp,
    runs: Vec<Run>,
    end: SittingEnd,
    health: Option<String>,
}

impl Imported {
    fn into_facts(self, trial: TrialId, facts: &mut Vec<Fact>) {
        let mut push = |at, event| facts.push(Fact { at, event });
        push(
            self.started,
            Event::TrialPlanned {
                trial,
                params: self.params,
                origin: Origin::Imported,
                choice: None,
            },
        );
        push(
            self.started,
            Event::SittingStarted {
                trial,
                sitting: 1,
                purpose: Purpose::Measure,
                token: IMPORTED.to_owned(),
                boot_id: "".into(),
                slot: None,
            },
        );
        for run in self.runs {
            push(self.ended, Event::RunEnded { trial, run });
        }
        push(
            self.ended,
            Event::SittingEnded {
                trial,
                sitting: 1,
                end: self.end,
                health: self.health.map(Into::into),
            },
        );
    }
}

#[derive(Deserialize)]
struct Line {
    ts: String,
    status: String,
    params: BTreeMap<String, String>,
    reason: Option<String>,
    health: Option<String>,
    exit_code: Option<i32>,
    startup_s: Option<f64>,
    eval_runs: Option<Vec<Map<String, Json>>>,
    total_s: Option<f64>,
    #[serde(default)]
    pruned: bool,
    cause: Option<String>,
    message: Option<String>,
}

struct Reader<'a> {
    spec: &'a Spec,
    /// A study without facts, which can judge.
    judge: Study,
    /// The step whose runs a line has, unless they name it.
    step: Option<&'a Step>,
}

impl<'a> Reader<'a> {
    fn new(spec: &'a Spec) -> Self {
        let measures = |step: &&Step| matches!(step.kind, StepKind::Measure { .. });
        let yields = |step: &&Step| !step.metrics.is_empty();
        Self {
            spec,
            judge: Study::new(spec.clone().into()),
            step: spec
                .steps
                .iter()
                .find(measures)
                .or_else(|| spec.steps.iter().find(yields)),
        }
    }

    /// `None` for a fault of the host, from which nothing is learnt.
    fn line(&self, bytes: &[u8]) -> Result<Option<Imported>, String> {
        let line: Line = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let kind = line.cause.as_deref().and_then(FailureKind::named);
        if line.status == "failed"
            && (line.reason.is_some() || matches!(kind, Some(FailureKind::Host(_))))
        {
            return Ok(None);
        }
        let ended = local_time(&line.ts)?;
        let lasted = line.total_s.or(line.startup_s).unwrap_or(0.0);
        let lasted = Duration::try_from_secs_f64(lasted).unwrap_or_default();
        let lasted = i64::try_from(lasted.as_millis()).unwrap_or(0);
        let started = Timestamp::from_millis(ended.as_millis().saturating_sub(lasted));
        let mut runs = self.runs(line.eval_runs.as_deref().unwrap_or_default())?;
        let end = match line.status.as_str() {
            "ok" => SittingEnd::Finished(self.judged(&line, &runs)?),
            "partial" if line.pruned => SittingEnd::Finished(Outcome::Pruned),
            "partial" => {
                runs.retain(Run::is_good);
                SittingEnd::Interrupted
            }
            "failed" => self.failed(&line, kind.unwrap_or(FailureKind::AllRuns)),
            "timeout" => self.failed(&line, FailureKind::NotReady),
            "crashed" => self.failed(&line, FailureKind::Died),
            other => return Err(format!("unknown status `{other}`")),
        };
        Ok(Some(Imported {
            params: self.params(&line.params),
            started,
            ended,
            runs,
            end,
            health: line.health,
        }))
    }

    /// The params with the types of the space, where it still has them all.
    fn params(&self, texts: &BTreeMap<String, String>) -> Params {
        let given: BTreeMap<String, Value> = texts
            .iter()
            .map(|(name, text)| (name.clone(), Value::text(text.as_str())))
            .collect();
        // The space fills in what is missing, and then they are other params.
        let checked = self.spec.space.check(&given).ok();
        checked
            .filter(|params| params.iter().count() == given.len())
            .unwrap_or_else(|| {
                let values = given.into_iter();
                Params::recorded(values.map(|(name, value)| (Name::from(name), value)))
            })
    }

    fn judged(&self, line: &Line, runs: &[Run]) -> Result<Outcome, String> {
        if !runs.iter().any(Run::is_good) {
            return Err(format!("status `{}` without a good run", line.status));
        }
        let mut trial = Trial::new(TrialId(1), self.params(&line.params), Origin::Imported);
        trial.runs = runs.to_vec();
        Ok(self.judge.judge(&trial))
    }

    fn failed(&self, line: &Line, kind: FailureKind) -> SittingEnd {
        let startup = matches!(kind, FailureKind::NotReady | FailureKind::Died);
        let step = if startup {
            self.spec.first_service()
        } else {
            self.step
        };
        SittingEnd::Finished(Outcome::Failed(Box::new(Failure {
            kind,
            step: step.map(|step| step.name.clone()),
            ending: line.exit_code.filter(|_| startup).map(ending),
            message: line
                .message
                .clone()
                .unwrap_or_else(|| format!("imported with status `{}`", line.status)),
            cause: None,
        })))
    }

    fn runs(&self, lines: &[Map<String, Json>]) -> Result<Vec<Run>, String> {
        let mut runs: Vec<Run> = Vec::with_capacity(lines.len());
        for (line, place) in lines.iter().zip(1..) {
            let wrong = |problem| format!("run {place}: {problem}");
            let mut run = self.run(line).map_err(wrong)?;
            let of_step = runs.iter().filter(|other| other.step == run.step);
            run.number = of_step.count() as u32 + 1;
            runs.push(run);
        }
        Ok(runs)
    }

    fn run(&self, line: &Map<String, Json>) -> Result<Run, String> {
        let named = line.get("step").and_then(Json::as_str);
        let step = named.and_then(|name| self.spec.step(name)).or(self.step);
        let step = step.ok_or("the study has no step that measures")?;
        let good = line.get("ok").and_then(Json::as_bool);
        let good = good.ok_or("`ok` must be true or false")?;
        let mut metrics = Vec::new();
        for rule in &step.metrics {
            if let Some(number) = number(line, &run_field(&rule.metric))? {
                let finite = Finite::new(number).ok_or("a metric is no finite number")?;
                metrics.push((rule.metric.clone(), finite));
            }
        }
        let has = |metric: &Name| metrics.iter().any(|(name, _)| name == metric);
        let needed = std::iter::once(&self.spec.objective.metric)
            .chain(self.spec.constraints.iter().map(|c| &c.metric));
        let yielded = |metric: &&Name| step.metrics.iter().any(|rule| rule.metric == **metric);
        if let Some(missing) = needed
            .filter(yielded)
            .find(|metric| !has(metric))
            .filter(|_| good)
        {
            return Err(format!("it has no `{missing}`, which the study asks for"));
        }
        let code = number(line, "returncode")?.map(|code| code as i32);
        let error = line.get("error").and_then(Json::as_str);
        let ending = match (code, error) {
            _ if line.get("timeout").and_then(Json::as_bool) == Some(true) => Ending::TimedOut,
            (Some(code), _) => ending(code),
            (None, Some(error)) if !good => Ending::CouldNotStart(Box::new(error.to_owned())),
            (None, _) => Ending::Exited(0),
        };
        let fault = error.map_or_else(|| format!("it {ending}"), str::to_owned);
        let elapsed = number(line, "elapsed_s")?.unwrap_or(0.0);
        Ok(Run {
            step: step.name.clone(),
            number: 0,
            sitting: 1,
            elapsed: Duration::try_from_secs_f64(elapsed).unwrap_or_default(),
            ending,
            metrics: metrics.into(),
            fault: (!good).then(|| fault.into()),
        })
    }
}

fn number(line: &Map<String, Json>, field: &str) -> Result<Option<f64>, String> {
    match line.get(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(number)) => Ok(number.as_f64()),
        Some(other) => Err(format!("`{field}` must be a number, not {other}")),
    }
}

const fn ending(code: i32) -> Ending {
    if code < 0 {
        Ending::Signalled(-code)
    } else {
        Ending::Exited(code)
    }
}

/// The moment of a `ts`. An hour that the clock went through twice is the
/// first of the two.
fn local_time(text: &str) -> Result<Timestamp, String> {
    let wrong = |error| format!("`ts` is no time: {error}");
    let civil: jiff::civil::DateTime = text.parse().map_err(wrong)?;
    let zoned = civil
        .to_zoned(jiff::tz::TimeZone::system())
        .map_err(wrong)?;
    Ok(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}
