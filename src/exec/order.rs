//! What a runner is told: the file `trial.json` in a sitting's folder.
//!
//! Everything in it is concrete: templates are filled in, folders absolute.
//! So a runner needs nothing but this file and the programs that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::artifacts::{ArtifactOrder, KeepOrder};
use super::checkpoint::ResumeOrder;
use super::find::FindOrder;
use super::limits::LimitsOrder;
use super::release::GpuOrder;
pub use super::sources::{
    CurveOrder, CurveSourceOrder, MetricOrder, NoteOrder, ProgressOrder, SourceOrder, WhichOrder,
};
use crate::model::slot::Slot;
use crate::model::spec::Spec;
use crate::model::step::{Marks, PortOwner, Probe, Ready, ReadyCheck, Step, StepKind};
use crate::model::template::{Template, TemplateError};
use crate::model::trial::{Purpose, Trial, log_name};

/// The name of the order within a sitting's folder.
pub const ORDER_FILE: &str = "trial.json";
/// What it is renamed to by a daemon that takes the sitting over: a runner that
/// has not read it by then never begins.
pub const TAKEN_ORDER_FILE: &str = "trial.taken.json";

/// One sitting of a trial, ready to be carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The trial's number.
    pub trial: u32,
    /// The sitting's number.
    pub sitting: u32,
    /// The value of AUTOTUNE_TRIAL_ID for every process of the sitting.
    pub token: String,
    /// Whether the trial may have a cgroup of its own.
    pub may_have_cgroup: bool,
    /// The trial's cgroup, which the daemon has made.
    pub cgroup: Option<PathBuf>,
    /// What the steps may take of the host.
    #[serde(default)]
    pub limits: LimitsOrder,
    /// What the owner should know from the start, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What of the environment is passed on.
    pub pass_env: Vec<String>,
    /// Variables of the daemon's environment that hold its secrets.
    #[serde(default)]
    pub secret_env: Vec<String>,
    /// Variables with secrets that the steps get. Only their names are in the
    /// file: the secrets themselves come by the environment.
    #[serde(default)]
    pub pass_secrets: Vec<String>,
    /// The folder whose `.env` may have them.
    #[serde(default)]
    pub workdir: PathBuf,
    /// A folder of the trial's own; it outlives the sitting.
    pub trial_dir: PathBuf,
    /// The most that one log file may take, in bytes.
    pub log_max: u64,
    /// How long a busy port is waited for.
    pub port_wait: Duration,
    /// The texts that the command line of whoever holds a port must have for it
    /// to be ended; nobody is when there are none.
    #[serde(default)]
    pub port_kill: Vec<String>,
    /// Whether other trials may run beside it, which are never ended for a port.
    #[serde(default)]
    pub has_neighbours: bool,
    /// What is waited for of the GPUs; `None` where there are none to look at.
    #[serde(default)]
    pub gpu: Option<GpuOrder>,
    /// What of that which the steps make is noted.
    #[serde(default)]
    pub keep: KeepOrder,
    /// Whether the steps' output also goes to the runner's standard error.
    pub echo: bool,
    /// The steps, in order.
    pub steps: Vec<StepOrder>,
}

/// One step of an [`Order`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepOrder {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub workdir: PathBuf,
    /// Files to write before it starts: path and text.
    pub files: Vec<(PathBuf, String)>,
    /// A command that ends what runs elsewhere.
    pub stop: Option<Invocation>,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// Where its output goes.
    pub log: PathBuf,
    /// What it is told of files that are there only once it begins.
    #[serde(default)]
    pub find: Vec<FindOrder>,
    /// What of its output its owner should know.
    #[serde(default)]
    pub notes: Vec<NoteOrder>,
    /// What it declares that it makes.
    #[serde(default)]
    pub artifacts: Vec<ArtifactOrder>,
    /// What is to be done.
    pub work: Work,
}

/// See [`StepOrder::work`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Start, wait until ready, keep.
    Service {
        /// The program.
        invocation: Invocation,
        /// When it is ready.
        ready: Box<ReadyOrder>,
    },
    /// Start each in turn and measure it.
    Runs {
        /// Whether it is a task: one bad run ends the trial.
        task: bool,
        /// The runs that are missing, or their parts; warm-up runs come first.
        runs: Vec<RunOrder>,
        /// The longest that a run may take, with all its parts.
        timeout: Duration,
        /// What a run tells on its way.
        #[serde(default)]
        progress: Option<ProgressOrder>,
        /// What the first of them tells on its way.
        #[serde(default)]
        curves: Vec<CurveOrder>,
        /// A run that tells nothing for so long is ended.
        #[serde(default)]
        stall_timeout: Option<Duration>,
    },
}

/// One run of a [`Work::Runs`], or one part of it: the parts of a run follow
/// one another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunOrder {
    /// Its number, from 1; `None` for a warm-up run.
    pub number: Option<u32>,
    /// Which part of the run it is, from 1; `None` of a run without parts.
    #[serde(default)]
    pub part: Option<u32>,
    /// The program.
    pub invocation: Invocation,
    /// What it is to yield.
    pub metrics: Vec<MetricOrder>,
    /// How it goes on from a checkpoint, where it may.
    #[serde(default)]
    pub resume: Option<ResumeOrder>,
}

/// A program with its arguments and the environment that the spec names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invocation {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
}

/// See [`Ready`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::Ready")]
pub struct ReadyOrder {
    pub check: CheckOrder,
    pub timeout: Duration,
    pub settle: Duration,
    pub any_owner: bool,
    pub probe: Option<ProbeOrder>,
}

/// See [`ReadyCheck`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::ReadyCheck")]
pub enum CheckOrder {
    Http {
        url: String,
        status: Vec<(u16, u16)>,
    },
    Tcp {
        address: String,
    },
    Log {
        pattern: String,
    },
}

/// See [`Probe`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::Probe")]
pub struct ProbeOrder {
    pub url: String,
    pub body: Option<String>,
    pub status: Vec<(u16, u16)>,
    pub expect: Option<String>,
    pub timeout: Duration,
}

/// Where a sitting's things are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The study's output folder.
    pub output_dir: PathBuf,
    /// The folder of log files.
    pub logs: PathBuf,
    /// A folder of the trial's own.
    pub trial_dir: PathBuf,
    /// The slot in which it runs, where the spec has slots.
    pub slot: Option<Slot>,
}

/// Why an order cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("step `{step}`: {what}: {source}")]
pub struct OrderError {
    /// The step.
    pub step: String,
    /// The part of it that has the template.
    pub what: String,
    /// What is wrong.
    pub source: TemplateError,
}

impl Order {
    /// The order for the sitting of that number of `trial`: all of its runs that
    /// have not been run yet, or one of each step of what else the sitting is
    /// for.
    ///
    /// # Errors
    /// When a template asks for something that has no value in these params.
    pub fn new(
        spec: &Spec,
        trial: &Trial,
        sitting: u32,
        token: String,
        places: &Places,
    ) -> Result<Self, OrderError> {
        let mut scope = Scope::new(spec, trial, sitting, places);
        let steps = spec
            .steps_of(trial.purpose_of(sitting))
            .iter()
            .filter_map(|step| scope.step(spec, trial, sitting, step, places).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            trial: trial.id.0,
            sitting,
            token,
            may_have_cgroup: spec.host.cgroup,
            cgroup: None,
            limits: LimitsOrder::from(&spec.limits),
            warnings: Vec::new(),
            pass_env: spec
                .pass_env
                .iter()
                .chain(&spec.pass_secrets)
                .cloned()
                .collect(),
            pass_secrets: spec.pass_secrets.clone(),
            workdir: spec.workdir.clone(),
            secret_env: spec.secret_env(),
            trial_dir: places.trial_dir.clone(),
            log_max: spec.log_max,
            port_wait: spec.host.port_wait,
            port_kill: spec.host.port_kill.clone(),
            has_neighbours: spec.slots.len() > 1,
            gpu: None,
            keep: KeepOrder {
                output_dir: places.output_dir.clone(),
                ..KeepOrder::default()
            },
            echo: false,
            steps,
        })
    }

    /// The order that only runs the `stop` commands of this one; `None` when it
    /// has none.
    pub fn only_stops(&self) -> Option<Self> {
        let mut order = Self {
            cgroup: None,
            warnings: Vec::new(),
            gpu: None,
            echo: false,
            ..self.clone()
        };
        order.steps.retain(|step| step.stop.is_some());
        for step in &mut order.steps {
            step.files.clear();
            step.find.clear();
            step.work = Work::Runs {
                task: true,
                runs: Vec::new(),
                timeout: Duration::ZERO,
                progress: None,
                curves: Vec::new(),
                stall_timeout: None,
            };
        }
        (!order.steps.is_empty()).then_some(order)
    }

    /// The longest grace of any step.
    pub fn longest_grace(&self) -> Duration {
        self.steps
            .iter()
            .map(|step| step.stop_grace)
            .max()
            .unwrap_or_default()
    }
}

/// The numbers of the runs of `step` that `trial` has not run yet.
pub fn missing_runs(trial: &Trial, step: &Step) -> Vec<u32> {
    let ran = |number| {
        trial
            .runs
            .iter()
            .any(|r| r.step == step.name && r.number == number)
    };
    (1..=step.counted_runs())
        .filter(|number| !ran(*number))
        .collect()
}

/// The numbers of the runs of `step` that a sitting of `trial` is for.
fn runs_of(trial: &Trial, sitting: u32, step: &Step) -> Vec<u32> {
    let purpose = trial.purpose_of(sitting);
    if purpose == Purpose::Measure {
        return missing_runs(trial, step);
    }
    // A step may go by the number, as for its seed: it gets none that it would
    // not get else, and the same as that which it is compared with.
    let before = trial.held(purpose).count() as u32;
    let counted = step.counted_runs();
    before
        .checked_rem(counted)
        .map(|run| run + 1)
        .into_iter()
        .collect()
}

/// The values that templates of one sitting are filled in with.
pub(super) struct Scope {
    params: Vec<(String, String)>,
    /// The environment of the slot.
    slot_env: Vec<(String, String)>,
    pub(super) values: BTreeMap<String, String>,
}

impl Scope {
    fn new(spec: &Spec, trial: &Trial, sitting: u32, places: &Places) -> Self {
        let params: Vec<(String, String)> = trial
            .params
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut values: BTreeMap<String, String> = params.iter().cloned().collect();
        values.insert("study".to_owned(), spec.name.clone());
        values.insert("trial".to_owned(), trial.id.to_string());
        values.insert("sitting".to_owned(), sitting.to_string());
        // A step without parts has one.
        values.insert("part".to_owned(), "1".to_owned());
        values.insert("parts".to_owned(), "1".to_owned());
        values.insert("output_dir".to_owned(), path(&places.output_dir));
        values.insert("trial_dir".to_owned(), path(&places.trial_dir));
        let mut slot_env = Vec::new();
        if let Some(slot) = &places.slot {
            values.insert("slot".to_owned(), slot.name.to_string());
            let port = slot.port.map(|port| port.to_string());
            values.extend(port.map(|port| ("slot_port".to_owned(), port)));
            slot_env.clone_from(&slot.env);
        }
        Self {
            params,
            slot_env,
            values,
        }
    }

    /// `None` for a step whose runs have all been run.
    fn step(
        &mut self,
        spec: &Spec,
        trial: &Trial,
        sitting: u32,
        step: &Step,
        places: &Places,
    ) -> Result<Option<StepOrder>, OrderError> {
        self.values.insert("step".to_owned(), step.name.to_string());
        self.values.insert(
            "workdir".to_owned(),
            step.workdir.to_string_lossy().into_owned(),
        );
        let find = self.find(step)?;
        let work = match &step.kind {
            StepKind::Service(ready) => {
                let invocation = self.invocation(spec, step, &step.command, "0")?;
                Work::Service {
                    invocation,
                    ready: Box::new(self.ready(step, ready)?),
                }
            }
            StepKind::Task { timeout } => Work::Runs {
                task: true,
                runs: self.runs(spec, trial, sitting, step, 0)?,
                timeout: *timeout,
                progress: None,
                curves: self.curves(trial, sitting, step)?,
                stall_timeout: step.stall_timeout,
            },
            StepKind::Measure {
                warmup,
                timeout,
                marks,
                ..
            } => Work::Runs {
                task: false,
                runs: self.runs(spec, trial, sitting, step, *warmup)?,
                timeout: *timeout,
                progress: match marks {
                    Marks::Progress { metric, pattern } => Some(ProgressOrder {
                        metric: metric.to_string(),
                        pattern: pattern.source().to_owned(),
                    }),
                    _ => None,
                },
                curves: self.curves(trial, sitting, step)?,
                stall_timeout: step.stall_timeout,
            },
        };
        self.forget(step);
        if matches!(&work, Work::Runs { runs, .. } if runs.is_empty()) {
            return Ok(None);
        }
        let is_first_service = spec.first_service().is_some_and(|s| s.name == step.name);
        let log = log_name(
            trial.id,
            sitting,
            (!is_first_service).then_some(&*step.name),
        );
        let files = step
            .files
            .iter()
            .map(|file| {
                let text = self.fill(step, &file.text, &file.name)?;
                Ok((places.trial_dir.join(&file.name), text))
            })
            .collect::<Result<_, _>>()?;
        let stop = step.stop.as_ref();
        Ok(Some(StepOrder {
            name: step.name.to_string(),
            workdir: step.workdir.clone(),
            files,
            stop: stop
                .map(|stop| self.invocation(spec, step, stop, "0"))
                .transpose()?,
            stop_grace: step.stop_grace,
            log: places.logs.join(log),
            find,
            notes: self.notes(step)?,
            artifacts: self.artifacts(step)?,
            work,
        }))
    }

    fn runs(
        &mut self,
        spec: &Spec,
        trial: &Trial,
        sitting: u32,
        step: &Step,
        warmup: u32,
    ) -> Result<Vec<RunOrder>, OrderError> {
        let runs = runs_of(trial, sitting, step);
        let warmups = (0..if runs.is_empty() { 0 } else { warmup }).map(|_| None);
        let numbers: Vec<Option<u32>> = warmups.chain(runs.into_iter().map(Some)).collect();
        let parts = step.parts();
        // The first part warms up as well as all of them, and costs less.
        let parts_of = |number: Option<u32>| match (parts, number) {
            (None, _) => vec![None],
            (Some(_), None) => vec![Some(1)],
            (Some(parts), Some(_)) => (1..=parts).map(Some).collect(),
        };
        let each = numbers.into_iter();
        let each = each.flat_map(|number| parts_of(number).into_iter().map(move |p| (number, p)));
        self.set("parts", parts.unwrap_or(1));
        each.map(|(number, part)| {
            let shown = number.unwrap_or(0).to_string();
            self.set("part", part.unwrap_or(1));
            Ok(RunOrder {
                number,
                part,
                invocation: self.invocation(spec, step, &step.command, &shown)?,
                metrics: step
                    .metrics
                    .iter()
                    .map(|rule| MetricOrder::new(rule, |file| self.file(step, file, &rule.metric)))
                    .collect::<Result<_, _>>()?,
                resume: self.resume(spec, trial, sitting, step, &shown)?,
            })
        })
        .collect()
    }

    /// What a sitting follows of the first run of `step`: nobody looks at what
    /// one tells that is not to measure the trial.
    fn curves(
        &mut self,
        trial: &Trial,
        sitting: u32,
        step: &Step,
    ) -> Result<Vec<CurveOrder>, OrderError> {
        if trial.purpose_of(sitting) != Purpose::Measure {
            return Ok(Vec::new());
        }
        self.set("run", 1);
        let curves = step.curves.iter();
        curves
            .map(|rule| CurveOrder::new(rule, |file| self.file(step, file, &rule.metric)))
            .collect()
    }

    fn set(&mut self, name: &str, number: u32) {
        self.values.insert(name.to_owned(), number.to_string());
    }

    pub(super) fn invocation(
        &mut self,
        spec: &Spec,
        step: &Step,
        command: &[Template],
        run: &str,
    ) -> Result<Invocation, OrderError> {
        self.values.insert("run".to_owned(), run.to_owned());
        let mut words = Vec::with_capacity(command.len());
        for part in command {
            let word = self.fill(step, part, "command")?;
            // An option that a template leaves out is no empty argument.
            if !word.is_empty() || part.source().is_empty() {
                words.push(word);
            }
        }
        let command = words;
        let mut env = if step.params_in_env {
            self.params.clone()
        } else {
            Vec::new()
        };
        let mut set = |name: &String, value: String| {
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value));
        };
        for (name, value) in &spec.env {
            set(name, self.fill(step, value, name)?);
        }
        for (name, value) in &self.slot_env {
            set(name, value.clone());
        }
        for (name, value) in &step.env {
            set(name, self.fill(step, value, name)?);
        }
        Ok(Invocation { command, env })
    }

    /// A file that `metric` is read from.
    fn file(&self, step: &Step, file: &Template, metric: &str) -> Result<PathBuf, OrderError> {
        Ok(step.workdir.join(self.fill(step, file, metric)?))
    }

    fn ready(&self, step: &Step, ready: &Ready) -> Result<ReadyOrder, OrderError> {
        let check = match &ready.check {
            ReadyCheck::Http { url, status } => CheckOrder::Http {
                url: self.fill(step, url, "ready.http")?,
                status: pairs(status),
            },
            ReadyCheck::Tcp { address } => CheckOrder::Tcp {
                address: self.fill(step, address, "ready.tcp")?,
            },
            ReadyCheck::Log { pattern } => CheckOrder::Log {
                pattern: pattern.source().to_owned(),
            },
        };
        let probe = ready
            .probe
            .as_ref()
            .map(|probe| self.probe(step, probe))
            .transpose()?;
        Ok(ReadyOrder {
            check,
            timeout: ready.timeout,
            settle: ready.settle,
            any_owner: ready.owner == PortOwner::Any,
            probe,
        })
    }

    fn probe(&self, step: &Step, probe: &Probe) -> Result<ProbeOrder, OrderError> {
        let body = probe.body.as_ref();
        Ok(ProbeOrder {
            url: self.fill(step, &probe.url, "ready.probe.url")?,
            body: body
                .map(|body| self.fill(step, body, "ready.probe.body"))
                .transpose()?,
            status: pairs(&probe.status),
            expect: probe
                .expect
                .as_ref()
                .map(|pattern| pattern.source().to_owned()),
            timeout: probe.timeout,
        })
    }

    pub(super) fn fill(
        &self,
        step: &Step,
        template: &Template,
        what: &str,
    ) -> Result<String, OrderError> {
        template.render(&self.values).map_err(|source| OrderError {
            step: step.name.to_string(),
            what: what.to_owned(),
            source,
        })
    }
}

fn pairs(ranges: &[std::ops::RangeInclusive<u16>]) -> Vec<(u16, u16)> {
    ranges
        .iter()
        .map(|range| (*range.start(), *range.end()))
        .collect()
}
