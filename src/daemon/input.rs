//! What can come to the dispatcher, and what it has done then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::clock::Timestamp;
use crate::exec::report::{Report, SittingResult};
use crate::model::Name;
use crate::model::advice::{Advice, Question};
use crate::model::approval::By;
use crate::model::artifacts::ArtifactsChange;
use crate::model::choice::Choice;
use crate::model::host::Host;
use crate::model::notice::{NoticeId, Refused};
use crate::model::spec::Spec;
use crate::model::trial::TrialId;
use crate::search::Ask;
use crate::wire::reply::Reply;
use crate::wire::request::Steer;

/// Everything that can come to the dispatcher.
#[derive(Debug)]
pub enum Input {
    /// The study was opened, and what was left of old sittings is cleared up.
    Begin {
        /// SHA-256 of the spec.
        digest: String,
        /// On what it runs, where that is known.
        host: Option<Box<Host>>,
    },
    /// The owner or the system wants an end.
    Stop(Urgency),
    /// A runner has reported something.
    Report {
        /// Its trial.
        trial: TrialId,
        /// Its sitting.
        sitting: u32,
        /// When it happened.
        at: Timestamp,
        /// What.
        report: Report,
    },
    /// A sitting is over.
    SittingOver {
        /// Its trial.
        trial: TrialId,
        /// Its sitting.
        sitting: u32,
        /// How.
        result: SittingResult,
    },
    /// The sampler has answered.
    Asked {
        /// How many trials there were when it was asked.
        trials: usize,
        /// How often the spec was amended by then.
        revision: u32,
        /// How often something was measured, or came out, by then.
        results: u64,
        /// Its answer.
        ask: Ask,
        /// Why it wants the trial that it wants.
        choice: Option<Box<Choice>>,
    },
    /// The advisor has answered, or cannot be asked.
    Consulted {
        /// How many trials there were when it was asked.
        trials: usize,
        /// How often the spec was amended by then.
        revision: u32,
        /// What came of it.
        advice: Advice,
    },
    /// The pause of a slot is over.
    Wake(Option<Name>),
    /// There may be room for another trial.
    Look,
    /// Nobody has answered a proposal in time.
    Overdue,
    /// A sign of life is due: it is given once all that came before is done.
    Tick,
    /// So much time has gone by that somebody wants a sign of life.
    HeartbeatDue,
    /// Something became of the artifacts of a trial.
    Artifacts {
        /// The trial.
        trial: TrialId,
        /// What.
        change: ArtifactsChange,
    },
    /// The artifacts of the best trial cannot be copied yet; it is tried again.
    KeepingWaits(String),
    /// A channel has news of what waits in the outbox.
    Notified(Notified),
    /// The spec's file was read again, and is good.
    Reload {
        /// What it says.
        spec: Arc<Spec>,
        /// Its text.
        text: String,
        /// What the check has to remark.
        warnings: Vec<String>,
        /// As with [`Request`](Self::Request).
        reply: oneshot::Sender<Reply>,
    },
    /// A user wants a change.
    Request {
        /// Which.
        steer: Steer,
        /// Who wants it.
        by: By,
        /// Gets the answer once it is true on disk. Whoever asked may be gone.
        reply: oneshot::Sender<Reply>,
    },
}

/// What a channel has to say of notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notified {
    /// Its receiver has accepted them.
    Delivered {
        /// The channel.
        channel: Name,
        /// The notices.
        notices: Vec<NoticeId>,
        /// The recipients of a mail who do not get them.
        refused: Vec<Refused>,
    },
    /// What its owner should know of it.
    Warning(String),
    /// It tries no more.
    GivenUp {
        /// The channel.
        channel: Name,
        /// The notices.
        notices: Vec<NoticeId>,
        /// Why, for people.
        reason: String,
        /// The channels that take them over.
        to: Vec<Name>,
    },
}

/// How soon an end is wanted; a later one outranks an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The trial is ended in order.
    Orderly,
    /// The trial is killed.
    AtOnce,
}

/// Something to be done once the facts are on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the sampler.
    Ask,
    /// Ask the advisor.
    Consult(Question),
    /// Wait for the advisor's answer no longer.
    ForgetQuestion,
    /// Start a runner.
    StartSitting {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
    },
    /// End the running sitting of a trial.
    EndSitting(TrialId, Urgency),
    /// Remove the folder of a sitting that is wholly in the journal.
    ForgetSitting {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
    },
    /// Copy the artifacts of a trial, which is the best.
    Keep(TrialId),
    /// Say that something waits for the disk, or that it waits no more.
    Disk(Option<String>),
    /// Send [`Input::Wake`] for a slot after this time.
    WakeAfter(Option<Name>, Duration),
    /// Send [`Input::Look`].
    Look,
    /// Keep this text as a copy of the spec.
    KeepSpec(String),
    /// Tell the owner something that changes nothing.
    Warn(String),
    /// There is nothing left to do: leave the dispatcher.
    Leave,
}
