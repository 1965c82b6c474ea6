//! The facts of a study. The journal holds them; the state is what they add
//! up to, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use super::Name;
use super::advice::Advice;
use super::amendment::Amendments;
use super::approval::{By, Ends, Proposal};
use super::artifacts::ArtifactsChange;
use super::choice::Choice;
use super::curve::Told;
use super::host::Host;
use super::notice::{Notice, NoticeId, Refused};
use super::params::Params;
use super::prior::Batch;
use super::trial::{Mark, Origin, Pruning, Purpose, Run, SittingEnd, TrialId};
use crate::base::clock::Timestamp;

/// A fact and when it became one.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// Something that happened to a study.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A daemon took up the study.
    Opened {
        /// SHA-256 of the spec that it goes by from here on.
        digest: String,
    },
    /// The study runs on this host from here on.
    HostSeen {
        /// Which.
        host: Box<Host>,
    },
    /// Params were chosen to be tried.
    TrialPlanned {
        /// The new trial's number: one more than the last.
        trial: TrialId,
        /// What is to be tried.
        params: Params,
        /// Who wanted it.
        origin: Origin,
        /// Why the sampler chose it, where one did.
        choice: Option<Box<Choice>>,
    },
    /// A runner is about to be started.
    SittingStarted {
        /// The trial.
        trial: TrialId,
        /// The sitting's number: one more than the trial's last.
        sitting: u32,
        /// What it is for.
        purpose: Purpose,
        /// See [`super::trial::Sitting::token`].
        token: String,
        /// See [`super::trial::Sitting::boot_id`].
        boot_id: Name,
        /// See [`super::trial::Sitting::slot`].
        slot: Option<Name>,
    },
    /// A process of a step was started.
    StepStarted {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// The step.
        step: Name,
        /// The run's number; `None` of a service and of a warm-up run.
        run: Option<u32>,
        /// Its process.
        pid: u32,
        /// When the process started, in clock ticks since boot, which tells it
        /// from a later one of the same number.
        start_ticks: u64,
    },
    /// A service is not started yet, since somebody else has its port.
    PortBusy {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// The port.
        port: u16,
        /// Who has it, for people.
        holder: Name,
    },
    /// All services of a sitting are ready.
    ServicesReady {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// How long they took.
        startup: Duration,
        /// The text of the last answer.
        health: Option<Name>,
    },
    /// Something about a sitting that its owner should know and that changes
    /// nothing.
    Warned {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// A sentence for people.
        text: Name,
    },
    /// A sitting waits for something that somebody holds.
    Waiting {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// For what, and who holds it: a sentence for people.
        text: Name,
    },
    /// Something is known of a run that counts and has not ended.
    RunMarked {
        /// The trial.
        trial: TrialId,
        /// What.
        mark: Mark,
    },
    /// A run that goes on has told how far it is.
    RunTold {
        /// The trial.
        trial: TrialId,
        /// What.
        told: Told,
    },
    /// A run that counts has ended.
    RunEnded {
        /// The trial.
        trial: TrialId,
        /// The run.
        run: Run,
    },
    /// A sitting is over, and nothing of it is alive.
    SittingEnded {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// How.
        end: SittingEnd,
        /// The text of the last answer to a readiness check, where the
        /// services never became ready.
        health: Option<Name>,
    },
    /// A settled trial is to be measured again: its bad runs are repeated.
    TrialReopened {
        /// The trial.
        trial: TrialId,
    },
    /// A user does not want a trial to go on. One that does not run is pruned
    /// by that, one that runs when its sitting ends.
    TrialSkipped {
        /// The trial.
        trial: TrialId,
    },
    /// Racing ends a running trial: it cannot win any more.
    TrialPruned {
        /// The trial.
        trial: TrialId,
        /// Why.
        pruning: Box<Pruning>,
    },
    /// Racing puts off what runs the running trial has to come: others promise
    /// more. A later sitting takes it up again.
    TrialDeferred {
        /// The trial.
        trial: TrialId,
    },
    /// A check shows that the host gives more or less than it did.
    Drifted {
        /// The trial that was started again.
        trial: TrialId,
        /// Its first sitting since the change.
        sitting: u32,
        /// The mean of the objective in its starts before.
        before: f64,
        /// That in its starts since.
        after: f64,
    },
    /// The sampler proposes a trial that somebody has to approve of first.
    ApprovalAsked(Arc<Proposal>),
    /// The proposal that waits is tried.
    ApprovalGiven {
        /// Who wants it.
        by: By,
        /// What is tried instead of what was proposed.
        instead: Option<Params>,
    },
    /// The proposal that waits is not tried.
    ApprovalRefused {
        /// Who does not want it.
        by: By,
        /// What else ends with it.
        ends: Ends,
    },
    /// The proposal that waits is none any more.
    ApprovalWithdrawn {
        /// Why, for people.
        reason: String,
    },
    /// A parameter that a user had ended may be proposed again.
    ParameterReopened {
        /// Who wants it.
        by: By,
        /// The parameter.
        parameter: Name,
    },
    /// No new trial is started until the study is resumed.
    Paused {
        /// Why, for people.
        reason: String,
        /// Whether a user wanted it, who alone ends it then. Any other pause
        /// ends when a daemon takes up the study again.
        by_user: bool,
    },
    /// Trials are started again.
    Resumed,
    /// Users changed the spec.
    SpecAmended {
        /// All that is in force from here on.
        amendments: Amendments,
    },
    /// The spec's file was read again, and is gone by from here on.
    SpecReloaded {
        /// Its SHA-256.
        digest: String,
    },
    /// What was measured before, elsewhere, is learned from here on.
    Imported(Arc<Batch>),
    /// There is nothing left to do.
    Done {
        /// Why, for people.
        reason: String,
    },
    /// Something became of what a trial has made.
    Artifacts {
        /// The trial.
        trial: TrialId,
        /// What.
        change: ArtifactsChange,
    },
    /// A task goes on from a checkpoint of an earlier sitting.
    TaskResumed {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
        /// The step.
        step: Name,
        /// The checkpoint.
        checkpoint: Name,
    },
    /// The advisor was asked something.
    Advised(Arc<Advice>),
    /// Somebody is to be told something.
    NoticeQueued(Arc<Notice>),
    /// A channel's receiver has accepted notices.
    NoticeDelivered {
        /// The channel.
        channel: Name,
        /// The notices.
        notices: Vec<NoticeId>,
        /// The recipients of a mail who do not get them.
        refused: Vec<Refused>,
    },
    /// A channel tries no more to deliver notices.
    NoticeGivenUp {
        /// The channel.
        channel: Name,
        /// The notices.
        notices: Vec<NoticeId>,
        /// Why, for people.
        reason: String,
        /// The channels that take them over, where they do not have them yet.
        to: Vec<Name>,
    },
}

impl Event {
    /// Its name, in the journal and everywhere else.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::HostSeen { .. } => "host-seen",
            Self::TrialPlanned { .. } => "trial-planned",
            Self::SittingStarted { .. } => "sitting-started",
            Self::StepStarted { .. } => "step-started",
            Self::PortBusy { .. } => "port-busy",
            Self::ServicesReady { .. } => "services-ready",
            Self::Warned { .. } => "warned",
            Self::Waiting { .. } => "waiting",
            Self::RunMarked { .. } => "run-marked",
            Self::RunTold { .. } => "run-told",
            Self::RunEnded { .. } => "run-ended",
            Self::SittingEnded { .. } => "sitting-ended",
            Self::TrialReopened { .. } => "trial-reopened",
            Self::TrialSkipped { .. } => "trial-skipped",
            Self::TrialPruned { .. } => "trial-pruned",
            Self::TrialDeferred { .. } => "trial-deferred",
            Self::Drifted { .. } => "drifted",
            Self::ApprovalAsked(_) => "approval-asked",
            Self::ApprovalGiven { .. } => "approval-given",
            Self::ApprovalRefused { .. } => "approval-refused",
            Self::ApprovalWithdrawn { .. } => "approval-withdrawn",
            Self::ParameterReopened { .. } => "parameter-reopened",
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::SpecAmended { .. } => "spec-amended",
            Self::SpecReloaded { .. } => "spec-reloaded",
            Self::Imported(_) => "imported",
            Self::Done { .. } => "done",
            Self::Artifacts { change, .. } => change.name(),
            Self::TaskResumed { .. } => "task-resumed",
            Self::Advised(_) => "advised",
            Self::NoticeQueued(_) => "notice-queued",
            Self::NoticeDelivered { .. } => "notice-delivered",
            Self::NoticeGivenUp { .. } => "notice-given-up",
        }
    }

    /// The trial that it changes.
    pub const fn trial(&self) -> Option<TrialId> {
        match self {
            Self::TrialPlanned { trial, .. }
            | Self::SittingStarted { trial, .. }
            | Self::StepStarted { trial, .. }
            | Self::PortBusy { trial, .. }
            | Self::ServicesReady { trial, .. }
            | Self::RunMarked { trial, .. }
            | Self::RunTold { trial, .. }
            | Self::RunEnded { trial, .. }
            | Self::SittingEnded { trial, .. }
            | Self::TrialReopened { trial }
            | Self::TrialSkipped { trial }
            | Self::TrialPruned { trial, .. }
            | Self::Waiting { trial, .. }
            | Self::TrialDeferred { trial }
            | Self::Drifted { trial, .. }
            | Self::Artifacts { trial, .. }
            | Self::TaskResumed { trial, .. }
            | Self::Warned { trial, .. } => Some(*trial),
            Self::Opened { .. }
            | Self::HostSeen { .. }
            | Self::ApprovalAsked(_)
            | Self::ApprovalGiven { .. }
            | Self::ApprovalRefused { .. }
            | Self::ApprovalWithdrawn { .. }
            | Self::ParameterReopened { .. }
            | Self::Paused { .. }
            | Self::Resumed
            | Self::SpecAmended { .. }
            | Self::SpecReloaded { .. }
            | Self::Imported(_)
            | Self::Done { .. }
            | Self::Advised(_)
            | Self::NoticeQueued(_)
            | Self::NoticeDelivered { .. }
            | Self::NoticeGivenUp { .. } => None,
        }
    }
}

/// A busy port in words, as a warning.
pub fn port_busy(port: u16, holder: &str) -> String {
    format!("waiting for port {port}, held by {holder}")
}
