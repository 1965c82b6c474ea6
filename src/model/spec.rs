//! A whole study, as its owner wrote it and as `config` checked it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Name;
pub use super::advisor::{
    Advisor, KEY_CREDENTIAL, KEY_VARIABLE, Key, Language, PROMPT_NAMES, Price, Prompts,
};
use super::approval::Approval;
use super::form::Reporting;
use super::metric::{Constraint, Direction, Objective};
use super::notify::Notify;
use super::remedy::Remedy;
use super::slot::Slot;
use super::space::Space;
use super::step::{Step, StepKind};
use super::template::Template;
use super::trial::Purpose;
use crate::base::secret::Source;

/// A checked study spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The study's name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Where its relative paths begin: the folder of its file; absolute.
    pub folder: PathBuf,
    /// Where steps run; absolute.
    pub workdir: PathBuf,
    /// Where the study's files go; absolute. `None` leaves it to the program.
    pub output_dir: Option<PathBuf>,
    /// What all its random choices are made from.
    pub seed: u64,
    /// The metric that is optimised.
    pub objective: Objective,
    /// What a trial must keep to.
    pub constraints: Vec<Constraint>,
    /// When to stop.
    pub budget: Budget,
    /// How to choose what is tried.
    pub search: Search,
    /// What must be approved before it is tried.
    pub approval: Approval,
    /// How the winner is confirmed.
    pub confirm: Confirm,
    /// What may vary, with the base values.
    pub space: Space,
    /// What is done about known troubles, at most one for each; none where that
    /// is switched off.
    pub remedies: Vec<Remedy>,
    /// What a trial does, in order.
    pub steps: Vec<Step>,
    /// Tasks that must go well before anything is tried.
    pub preflight: Vec<Step>,
    /// Tasks that follow when a trial has become the incumbent.
    pub incumbent: Vec<Step>,
    /// Environment variables with secrets that the steps get; none is written
    /// to a file.
    pub pass_secrets: Vec<String>,
    /// The places in which trials run side by side; without any, one trial runs
    /// at a time.
    pub slots: Vec<Slot>,
    /// What of the daemon's environment reaches a step: names, `*` for any
    /// letters, `!` before what does not.
    pub pass_env: Vec<String>,
    /// Environment variables that every step gets.
    pub env: Vec<(String, Template)>,
    /// How the host is treated between trials.
    pub host: HostCare,
    /// What a trial may take of the host.
    pub limits: Limits,
    /// Who may ask and steer, and where.
    pub control: Control,
    /// The names of the files for other programs.
    pub files: FileNames,
    /// Who is told of what, and how.
    pub notify: Notify,
    /// The most that one log file may take, in bytes.
    pub log_max: u64,
    /// How long the output of trials is kept.
    pub retention: Retention,
    /// What its reports are like.
    pub report: Reporting,
    /// The language model that may advise.
    pub advisor: Option<Advisor>,
    /// SHA-256 of the spec's text, in hexadecimal.
    pub digest: String,
}

/// When a study ends by itself; `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// At most so many trials, the baseline among them.
    pub trials: Option<u32>,
    /// At most so many runs that count, over all trials.
    pub runs: Option<u32>,
    /// At most so much time with a trial running.
    pub wall: Option<Duration>,
    /// At most so much time of GPUs: that with a trial running, times
    /// [`gpus`](Self::gpus).
    pub gpu_time: Option<Duration>,
    /// So many GPUs a trial has; `None` where the spec does not say.
    pub gpus: Option<u32>,
    /// When `model` has converged.
    pub converged: Option<Converged>,
}

/// When a model promises too little to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Converged {
    /// An expected improvement under this share of the best is too little;
    /// above 0.
    pub under: f64,
    /// So many asks in a row have to promise too little; 1 or more.
    pub asks: u32,
}

impl Default for Converged {
    fn default() -> Self {
        Self {
            under: 0.001,
            asks: 10,
        }
    }
}

/// How to choose what is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The sampler.
    pub sampler: SamplerKind,
    /// How often `coordinate` goes round all parameters.
    pub passes: u32,
    /// How many points of a range `coordinate` and `grid` try.
    pub levels: usize,
    /// Whether a trial that cannot win any more is ended before its last run.
    pub racing: bool,
    /// When the median rule ends a run in its midst; `None` for never.
    pub median: Option<Median>,
    /// After so many trials the reference is measured again; 0 is never. `None`
    /// leaves it to [`Spec::recheck`].
    pub recheck: Option<u32>,
}

/// When a run is ended since those of other trials were better by the same
/// training step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Median {
    /// Never before so many trials have run to their end; 1 or more.
    pub after: u32,
    /// Never before this training step.
    pub from: u64,
    /// The metric whose curve is looked at.
    pub metric: Name,
    /// Which way is better.
    pub direction: Direction,
}

/// How the winner is confirmed once the search is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirm {
    /// By so many fresh starts of it, and as many of the baseline, in turn; 0
    /// is not at all. `None` leaves it to [`Spec::confirm_runs`].
    pub runs: Option<u32>,
}

/// The samplers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplerKind {
    /// What a model of the space, learned from the trials, promises most of.
    Model,
    /// What is frequent among good trials and rare among the others.
    Tpe,
    /// One parameter after the other, from the incumbent.
    Coordinate,
    /// Every combination.
    Grid,
    /// Combinations at random.
    Random,
    /// One parameter after the other, as a language model advises.
    Advisor,
}

impl SamplerKind {
    /// Every sampler.
    pub const ALL: [Self; 6] = [
        Self::Model,
        Self::Tpe,
        Self::Coordinate,
        Self::Grid,
        Self::Random,
        Self::Advisor,
    ];

    /// Whether it tunes one parameter after the other.
    pub const fn goes_by_parameter(self) -> bool {
        match self {
            Self::Coordinate | Self::Advisor => true,
            Self::Model | Self::Tpe | Self::Grid | Self::Random => false,
        }
    }

    /// Its name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tpe => "tpe",
            Self::Coordinate => "coordinate",
            Self::Grid => "grid",
            Self::Random => "random",
            Self::Advisor => "advisor",
        }
    }
}

/// How the host is treated between trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCare {
    /// How long a port that somebody holds is waited for before a trial.
    pub port_wait: Duration,
    /// Whoever holds a port is ended when its command line has all of these
    /// texts; nobody is when there are none.
    pub port_kill: Vec<String>,
    /// How long the GPUs' memory is waited for before a trial; zero for not at
    /// all.
    pub gpu_release: Duration,
    /// The pause after each trial.
    pub cooldown: Duration,
    /// The pause before a trial is tried again after a fault of the host.
    pub fault_wait: Duration,
    /// Whether trials get cgroups of their own where that can be had.
    pub cgroup: bool,
}

/// What all processes of a trial's steps together may take of the host; `None`
/// is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Memory, in bytes. A trial that reaches it is killed as a whole.
    pub memory_max: Option<u64>,
    /// Swap beside that, in bytes.
    pub swap_max: Option<u64>,
    /// Processes and threads.
    pub pids_max: Option<u32>,
    /// Computing time, in cores; 0.01 or more.
    pub cpus: Option<f64>,
    /// Whether no trial may run without all of them.
    pub required: bool,
}

/// Who may ask and steer a running study, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// The socket; absolute. `None` leaves it to the program.
    pub socket: Option<PathBuf>,
    /// Whether every user may ask.
    pub all_read: bool,
    /// The group whose members may ask and steer besides the owner and root.
    pub group: Option<String>,
}

/// The names of the files for other programs, relative to the output folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNames {
    /// One JSON object a trial.
    pub results: String,
    /// The incumbent's params.
    pub best: String,
    /// What happens now.
    pub status: String,
    /// The folder of the steps' output.
    pub logs: String,
    /// The folder of the best trial's artifacts.
    pub best_model: String,
    /// A report on the study; `{time}` in it is when that was written.
    pub report: String,
    /// The folder of the journal and of what belongs to it; the output folder
    /// itself when `None`.
    pub journal: Option<String>,
    /// The file of metrics, which may also be an absolute path; `None` for none.
    pub metrics: Option<String>,
}

impl FileNames {
    /// The folder of the journal of a study whose files go to `output`.
    pub fn journal_dir(&self, output: &Path) -> PathBuf {
        match &self.journal {
            Some(name) => output.join(name),
            None => output.to_owned(),
        }
    }
}

impl Default for FileNames {
    /// The names of the reference tuner.
    fn default() -> Self {
        Self {
            results: "tune_results.jsonl".to_owned(),
            best: "best_params.json".to_owned(),
            status: "tune_status.json".to_owned(),
            logs: "tune_server_logs".to_owned(),
            best_model: "artifacts/best".to_owned(),
            report: "reports/report-{time}.md".to_owned(),
            journal: None,
            metrics: None,
        }
    }
}

/// How long the output of trials, their logs and folders, is kept. That of
/// the incumbent, of the baseline, and of trials that are not settled is kept
/// whatever comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// That of so many of the newest trials; 1 or more.
    pub trials: u32,
    /// That of so many of the newest that failed, whatever comes.
    pub failures: u32,
    /// That of no older ones; `None` is no limit.
    pub age: Option<Duration>,
    /// At most so many bytes in all; `None` is no limit.
    pub size: Option<u64>,
    /// The artifacts of so many of the best trials, 1 or more; those of all
    /// trials when `None`.
    pub artifacts: Option<u32>,
}

impl Default for Retention {
    /// Nothing of a study of a usual size goes.
    fn default() -> Self {
        Self {
            trials: 1000,
            failures: 20,
            age: None,
            size: None,
            artifacts: None,
        }
    }
}

impl Spec {
    /// The step of that name, of a trial or beside it.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.all_steps().find(|step| &*step.name == name)
    }

    /// Every step: the pre-flight, those of a trial, and those that follow when
    /// there is a new incumbent.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.preflight
            .iter()
            .chain(&self.steps)
            .chain(&self.incumbent)
    }

    /// The steps of a sitting, in order.
    pub fn steps_of(&self, purpose: Purpose) -> &[Step] {
        match purpose {
            Purpose::Preflight => &self.preflight,
            Purpose::Measure | Purpose::Check | Purpose::Confirm { .. } | Purpose::Neighbours => {
                &self.steps
            }
            Purpose::Incumbent => &self.incumbent,
        }
    }

    /// The variables of the daemon's environment in which the spec finds secrets.
    pub fn secret_env(&self) -> Vec<String> {
        let advisor = self.advisor.iter();
        let key = advisor
            .clone()
            .filter_map(|advisor| match &advisor.api_key {
                Key::At(source) => Some(source),
                Key::Usual | Key::None => None,
            });
        let sources = self.notify.sources().chain(key);
        let names = sources.filter_map(|source| match source {
            // Who has written such a file has often read it into a shell, too.
            Source::Env(name) | Source::Exported { name, .. } => Some(name.clone()),
            _ => None,
        });
        // Whoever has an advisor may have it there, whether it is used or not.
        let usual = advisor.map(|_| KEY_VARIABLE.to_owned());
        names.chain(usual).collect()
    }

    /// How many GPUs a trial has: what `gpus` of `[budget]` says, else as many
    /// as `CUDA_VISIBLE_DEVICES` lists of the slot that has most, else as that of
    /// `[env]`, else 1.
    pub fn gpus(&self) -> u32 {
        let listed = || {
            let (_, listed) = self
                .env
                .iter()
                .find(|(name, _)| name == "CUDA_VISIBLE_DEVICES")?;
            let devices = listed.source().split(',').map(str::trim);
            let count = devices.filter(|device| !device.is_empty()).count();
            // One that depends on params is not known here.
            listed.names().is_empty().then_some(count as u32)
        };
        let of_slots = self
            .slots
            .iter()
            .filter_map(|slot| Some(slot.gpus()?.len() as u32));
        let counted = self.budget.gpus.or_else(|| of_slots.max());
        counted.or_else(listed).unwrap_or(1).max(1)
    }

    /// The slot of that name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| &*slot.name == name)
    }

    /// Whether the GPUs of the trials in that slot are theirs alone, so that what
    /// is in use of them tells of nobody else. Of a part of a GPU (MIG) that is
    /// not known.
    pub fn has_own_gpus(&self, slot: Option<&str>) -> bool {
        let Some(slot) = slot.and_then(|name| self.slot(name)) else {
            return true;
        };
        let mut others = self.slots.iter().filter(|other| other.name != slot.name);
        let is_part = |device: &&str| device.starts_with("MIG-");
        others.clone().next().is_none()
            || slot.gpus().is_some_and(|gpus| !gpus.iter().any(is_part))
                && others.all(|other| slot.shares_gpu(other).is_none())
    }

    /// The places in which trials run, in order: the slots' names, or the one
    /// place that has none.
    pub fn places(&self) -> Vec<Option<Name>> {
        if self.slots.is_empty() {
            return vec![None];
        }
        let names = self.slots.iter().map(|slot| Some(slot.name.clone()));
        names.collect()
    }

    /// How many runs that count a whole trial has.
    pub fn runs_per_trial(&self) -> u32 {
        self.steps.iter().map(Step::counted_runs).sum()
    }

    /// By how many fresh starts each the winner and the baseline are compared
    /// at the end.
    ///
    /// Three unless it says otherwise: with runs that vary by 3 % that gives a
    /// gain to within 7 % of it (Student's t at 4 degrees of freedom), where two
    /// give 13 % and five, which cost more than half as much again, 4 %. None
    /// where each start would be a training.
    pub fn confirm_runs(&self) -> u32 {
        let default = if self.trains() { 0 } else { 3 };
        self.confirm.runs.unwrap_or(default)
    }

    /// After how many trials the reference is measured again; 0 is never.
    ///
    /// After 20 unless it says otherwise, which costs one part in 20 at most.
    /// Never where each start would be a training, and where trials are not
    /// raced: whoever wants a fixed number of runs gets that.
    pub fn recheck(&self) -> u32 {
        let default = if self.trains() || !self.search.racing {
            0
        } else {
            20
        };
        self.search.recheck.unwrap_or(default)
    }

    /// Whether a trial runs something once whose result the later steps use.
    pub fn trains(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step.kind, StepKind::Task { .. }))
    }

    /// The metrics that the steps yield, in order.
    pub fn metrics(&self) -> impl Iterator<Item = &Name> {
        self.steps
            .iter()
            .flat_map(|step| step.metrics.iter().map(|rule| &rule.metric))
    }

    /// The first service, whose log the reference tuner's `server_log` names.
    pub fn first_service(&self) -> Option<&Step> {
        self.steps
            .iter()
            .find(|step| matches!(step.kind, StepKind::Service(_)))
    }
}
