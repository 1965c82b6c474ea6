//! What a daemon answers: data, no prose. Times are milliseconds since 1970
//! (UTC), durations are milliseconds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::accepted::{Accepted, Amended, Ended, Reloaded};
pub use super::advisor::{Advice, Advisor, AdvisorAnswer, AdvisorTested, Asking, Credit};
pub use super::artifacts::{Artifacts, ArtifactsState};
pub use super::channel::{Channel, GivenUp, Refused, Tested, Trouble};
pub use super::doctor::{Doctor, HostCheck, HostState};
pub use super::explain::{
    Chance, Choice, Effect, Expected, Forecast, Importance, Kept, Known, Leader, Marginal, Pair,
};
pub use super::metrics::{Family, FamilyKind, Label, Sample};
pub use super::proposal::Proposal;
pub use super::racing::{Curve, Cut, MedianReached, Point, Pruning};
pub use super::refusal::Refusal;
pub use super::retrial::{Confirmation, Drift};
pub use super::running::{Doing, HeldUp, Neighbours, Running, Slot};
pub use super::space::{Domain, Parameter, Setting, Settings, Space, TriedValue};
pub use super::stream::{EndOfStream, EventLine, LogPiece};

/// One answer. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`super::request::Request::Ping`].
    Pong(Pong),
    /// To [`super::request::Request::Status`].
    Status(Box<Status>),
    /// To [`super::request::Request::Best`].
    Best(Box<Best>),
    /// To [`super::request::Request::Trials`].
    Trials(Trials),
    /// To [`super::request::Request::Trial`].
    Trial(Box<TrialDetail>),
    /// Bytes of a log; more may follow, up to [`Reply::End`].
    Log(LogPiece),
    /// Events in order; more may follow, up to [`Reply::End`].
    Events(Vec<EventLine>),
    /// A stream is over.
    End(EndOfStream),
    /// What was waited for holds.
    Reached,
    /// A change was made, and is on disk.
    Accepted(Accepted),
    /// It was so already.
    Ignored(Accepted),
    /// Not done.
    Refused(Refusal),
    /// To [`super::request::Request::Space`].
    Space(Box<Space>),
    /// To [`super::request::Request::Settings`].
    Settings(Box<Settings>),
    /// To [`super::request::Request::Channels`].
    Channels(Vec<Channel>),
    /// To [`super::request::Request::NotifyTest`].
    Tested(Vec<Tested>),
    /// To [`super::request::Request::Doctor`].
    Doctor(Doctor),
    /// To [`super::request::Request::Importance`].
    Importance(Box<Importance>),
    /// To [`super::request::Request::AdvisorTest`].
    AdvisorTested(Box<AdvisorTested>),
    /// Bytes of a report; more may follow, up to [`Reply::End`].
    Report(Vec<u8>),
    /// A report was written to this file.
    ReportKept(String),
    /// Bytes of an export, JSON lines; more may follow, up to [`Reply::End`].
    Export(Vec<u8>),
    /// To [`super::request::Request::Metrics`].
    Metrics(Vec<Family>),
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// The version of the program.
    pub version: String,
    /// The version of the protocol that is spoken.
    pub protocol: u16,
    /// The daemon's process.
    pub pid: u32,
    /// The study's name.
    pub study: String,
    /// The study's folder.
    pub output_dir: String,
    /// When its journal was begun.
    pub begun: i64,
    /// How many events that has.
    pub events: u64,
    /// Whether the asking user may steer.
    pub may_steer: bool,
}

/// How a study stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The study's name.
    pub study: String,
    /// The study's folder.
    pub output_dir: String,
    /// The daemon's process.
    pub pid: u32,
    /// The time by the daemon's clock.
    pub now: i64,
    /// Whether it goes on.
    pub phase: Phase,
    /// Whether the daemon is about to end.
    pub stopping: bool,
    /// What the disk says, while it takes no facts.
    pub disk_trouble: Option<String>,
    /// How many trials came out how.
    pub counts: Counts,
    /// Good runs, over all trials.
    pub runs: u32,
    /// Runs that racing has saved; one that it has cut counts in part.
    pub runs_saved: f64,
    /// What was run of the runs that it has cut, in runs.
    pub runs_cut: f64,
    /// The time with a trial running.
    pub busy: u64,
    /// The trial that runs; where several do, the one with the lowest number.
    pub running: Option<Running>,
    /// Trials that are planned or interrupted, in the order in which they are
    /// taken up; 20 at most.
    pub waiting: Vec<Waiting>,
    /// The metric that is optimised.
    pub objective: Objective,
    /// What a trial must keep to, as `accuracy >= 0.88`.
    pub constraints: Vec<String>,
    /// The starting params, once they are measured.
    pub baseline: Option<Measured>,
    /// The best so far.
    pub best: Option<Measured>,
    /// What leads by only some of its runs, and may become the best.
    pub leader: Option<Leader>,
    /// How the best differs from the starting params.
    pub changes: Vec<Change>,
    /// How much better the best is.
    pub gain: Gain,
    /// How many trials there will be at most, where that is known.
    pub trials_most: Option<u64>,
    /// The expected time for the rest, at most.
    pub left: Option<u64>,
    /// What ends it then, as `budget of 60 trials`.
    pub left_by: Option<String>,
    /// The channels of `[notify]`.
    pub channels: Vec<Channel>,
    /// What users have changed in the spec, each in words.
    pub amendments: Vec<String>,
    /// Why a trial is not started again yet, while it waits after a fault of the
    /// host.
    pub held_up: Option<HeldUp>,
    /// How far the best is confirmed, once that has begun.
    pub confirmation: Option<Confirmation>,
    /// How far the host has drifted, where it has.
    pub drift: Option<Drift>,
    /// The advisor, where the spec has one.
    pub advisor: Option<Advisor>,
    /// What waits for approval.
    pub proposal: Option<Proposal>,
    /// What the best trial has made.
    pub artifacts: Option<Artifacts>,
    /// The other trials that run, in the order of their numbers.
    pub beside: Vec<Running>,
    /// The slots of the spec, in its order; none where one trial runs at a time.
    pub slots: Vec<Slot>,
    /// How much trials that run side by side disturb each other, once that was
    /// measured.
    pub neighbours: Option<Neighbours>,
    /// The parameters of which users want no further value.
    pub ended: Vec<String>,
}

impl Status {
    /// All trials that run, in the order of their numbers.
    pub fn all_running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter().chain(&self.beside)
    }
}

/// Whether a study goes on. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Active,
    /// No new trial is started.
    Paused {
        /// Why.
        reason: String,
        /// Whether a user wanted it.
        by_user: bool,
    },
    /// There is nothing left to do.
    Done {
        /// Why.
        reason: String,
    },
    /// The search is over, and its winner is being confirmed.
    Confirming,
    /// What the sampler proposes waits for approval.
    AwaitingApproval,
}

/// Numbers of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Complete and feasible.
    pub complete: u32,
    /// Complete, and a constraint is missed.
    pub infeasible: u32,
    /// Ended early.
    pub pruned: u32,
    /// Failed.
    pub failed: u32,
    /// Planned, running, interrupted or held up.
    pub unsettled: u32,
}

/// A trial that will be taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// Its number.
    pub trial: u32,
    /// How it differs from the starting params.
    pub changes: Vec<Change>,
}

/// What is optimised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Objective {
    /// The metric.
    pub metric: String,
    /// Whether more is better.
    pub maximize: bool,
}

/// A trial with its metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// Its number.
    pub trial: u32,
    /// What came of it, or its state; see [`TrialRow::outcome`].
    pub outcome: String,
    /// The objective, the metrics of the constraints, then the others.
    pub metrics: Vec<Metric>,
}

/// The summary of a metric over the good runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Its summary.
    pub summary: Summary,
}

/// A summary over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many runs.
    pub count: u32,
    /// The mean.
    pub mean: f64,
    /// The standard deviation; `None` for a single run.
    pub spread: Option<f64>,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// One parameter that differs from the starting params.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The parameter.
    pub name: String,
    /// Its starting value; `None` where it is not active there.
    pub from: Option<String>,
    /// Its value; `None` where it is not active.
    pub to: Option<String>,
}

/// How much better the best is than the starting params. Variants are only
/// added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    /// No trial is feasible yet.
    NothingFeasible,
    /// The starting params have no result.
    NoBaseline,
    /// The starting params are the best.
    None,
    /// Both were measured.
    Measured {
        /// In the metric's unit; positive is better.
        amount: f64,
        /// As a share of the starting params' mean.
        share: Option<f64>,
        /// The least that it is with the confidence of a report, as a share.
        low: Option<f64>,
        /// The most.
        high: Option<f64>,
        /// Whether it is more than noise; `None` when that cannot be told.
        clear: Option<bool>,
        /// By so many fresh starts of each it was confirmed; `None` of what was
        /// found in the search.
        confirmed: Option<u32>,
    },
}

/// The best trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Best {
    /// Its metrics.
    pub measured: Measured,
    /// Its params, each with the text that a program gets.
    pub params: Vec<Param>,
    /// How it differs from the starting params.
    pub changes: Vec<Change>,
    /// How much better it is.
    pub gain: Gain,
    /// The metric that is optimised.
    pub objective: Objective,
    /// How far it is confirmed, once that has begun.
    pub confirmation: Option<Confirmation>,
    /// What leads by only some of its runs, and may become the best.
    pub leader: Option<Leader>,
    /// The constraints, and how well it keeps them.
    pub kept: Vec<Kept>,
    /// What it has made.
    pub artifacts: Option<Artifacts>,
}

/// A parameter and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// The text of its value.
    pub value: String,
}

/// A page of trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trials {
    /// How many there are, over all pages.
    pub total: u32,
    /// The metric that is optimised.
    pub objective: Objective,
    /// The constraints, as `accuracy >= 0.88`.
    pub constraints: Vec<String>,
    /// The trials of this page.
    pub rows: Vec<TrialRow>,
}

/// One trial, for a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialRow {
    /// Its number.
    pub trial: u32,
    /// `complete`, `infeasible`, `pruned`, `failed`; before that `planned`,
    /// `running`, `interrupted`, `held up`.
    pub outcome: String,
    /// Who wanted it: `baseline`, `sampler`, `imported`, `user`; `advisor` where
    /// the advisor has proposed it, `fallback` where it was of no help; `remedy`
    /// of the trouble of another.
    pub origin: String,
    /// How it differs from the starting params.
    pub changes: Vec<Change>,
    /// The objective, where it was measured.
    pub objective: Option<Summary>,
    /// The metric of each constraint in turn.
    pub constraints: Vec<Option<Checked>>,
    /// Its good runs.
    pub runs: u32,
    /// The time spent on it.
    pub elapsed: u64,
    /// Whether it has the starting params.
    pub is_baseline: bool,
    /// Whether it is the best.
    pub is_best: bool,
    /// What broke, of a failed trial.
    pub failure: Option<String>,
    /// How long the services took to be ready.
    pub startup: Option<u64>,
    /// The metrics that it has.
    pub metrics: Vec<Metric>,
    /// What the failure is called: the cause that a log names, or its kind.
    pub cause: Option<String>,
    /// Why the advisor has proposed it, in its own words, or why it was of no
    /// help.
    pub advice: Option<String>,
    /// The failed trial for which it is the remedy.
    pub remedy_of: Option<u32>,
}

/// The metric of a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// Its mean.
    pub mean: f64,
    /// Whether it misses the constraint.
    pub missed: bool,
    /// The confidence, 0 to 1, with which the true mean keeps the constraint;
    /// `None` while no two runs tell how much the metric varies.
    pub confidence: Option<f64>,
}

/// All that is known of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialDetail {
    /// As in the table.
    pub row: TrialRow,
    /// Its params.
    pub params: Vec<Param>,
    /// The metrics that it has.
    pub metrics: Vec<Metric>,
    /// The constraints, as `accuracy >= 0.88`.
    pub constraints: Vec<String>,
    /// Its runs, in the order in which they ended.
    pub runs: Vec<Run>,
    /// Those of sittings beside the search, by which it does not come out.
    pub extra: Vec<Run>,
    /// Its sittings, in order.
    pub sittings: Vec<Sitting>,
    /// What broke.
    pub failure: Option<Failure>,
    /// Whether a user ended it.
    pub skipped: bool,
    /// Why racing ended it.
    pub pruning: Option<Pruning>,
    /// The names of its log files below the study's folder, and the end of
    /// each.
    pub logs: Vec<LogTail>,
    /// Whether it had logs that are gone.
    pub logs_gone: bool,
    /// Why the sampler chose it, where one did.
    pub choice: Option<Choice>,
    /// What it has made.
    pub artifacts: Option<Artifacts>,
    /// What its runs have told on their way.
    pub curves: Vec<Curve>,
    /// The trial that is the remedy for what it failed by.
    pub remedied_by: Option<u32>,
    /// Why there is none, where the spec has one for what it failed by.
    pub no_remedy: Option<String>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The step.
    pub step: String,
    /// Its number within the step.
    pub number: u32,
    /// The sitting.
    pub sitting: u32,
    /// How long it took.
    pub elapsed: u64,
    /// How its process ended, as `exited with code 0`.
    pub ending: String,
    /// Why it does not count; `None` for a good run.
    pub fault: Option<String>,
    /// What it measured.
    pub metrics: Vec<Number>,
}

/// A metric of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Number {
    /// The metric.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// A sitting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sitting {
    /// Its number.
    pub number: u32,
    /// `measure`, `check`, `confirm`.
    pub purpose: String,
    /// When it began.
    pub started: i64,
    /// When it was over.
    pub ended: Option<i64>,
    /// How long the services took to be ready.
    pub startup: Option<u64>,
    /// `running`, `interrupted`, or an outcome.
    pub end: String,
    /// The last answer to a readiness check.
    pub health: Option<String>,
    /// What its owner should know, a sentence each.
    pub warnings: Vec<String>,
    /// The checkpoint from which a task of it went on.
    pub resumed: Option<String>,
}

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Its kind, as in the results file.
    pub kind: String,
    /// The step.
    pub step: Option<String>,
    /// How the step's process ended.
    pub ending: Option<String>,
    /// In words.
    pub message: String,
    /// The cause that its log names.
    pub cause: Option<Cause>,
}

/// A cause that was found in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Its name.
    pub name: String,
    /// What helps.
    pub hint: String,
    /// The line that tells it.
    pub line: String,
}

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogTail {
    /// The step.
    pub step: String,
    /// The file's path.
    pub path: String,
    /// Its last lines.
    pub tail: String,
}
