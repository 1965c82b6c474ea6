//! What a client asks for.

use serde::{Deserialize, Serialize};

use super::import::Import;
use super::report::ReportQuery;

/// One request. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you?
    Ping,
    /// How does the study stand?
    Status,
    /// What is best?
    Best,
    /// A page of the trials.
    Trials(TrialsQuery),
    /// All that is known of one trial.
    Trial(u32),
    /// The output of a step; streamed.
    Log(LogQuery),
    /// What happened; streamed.
    Events(EventsQuery),
    /// An answer as soon as something holds.
    Wait(Until),
    /// A change.
    Steer(Steer),
    /// The search space: a page of its parameters, so many left out at the
    /// beginning.
    Space(u32),
    /// The settings that can be changed.
    Settings,
    /// Read the spec's file again, and go by it.
    Reload,
    /// How do the channels of `[notify]` stand?
    Channels,
    /// Send a test by this channel, or by all.
    NotifyTest(Option<String>),
    /// Is there on the host what the study needs?
    Doctor,
    /// What do the parameters matter? Of this one, at each of its values.
    Importance(Option<String>),
    /// Send the advisor a small request.
    AdvisorTest,
    /// A report; streamed, unless it is to be kept.
    Report(ReportQuery),
    /// All trials for other programs; streamed.
    Export,
    /// What is monitoring told?
    Metrics,
}

impl Request {
    /// Whether an answer is all that comes of it: then it may be sent twice.
    pub const fn only_reads(&self) -> bool {
        match self {
            Self::Ping
            | Self::Status
            | Self::Best
            | Self::Trials(_)
            | Self::Trial(_)
            | Self::Log(_)
            | Self::Events(_)
            | Self::Wait(_)
            | Self::Space(_)
            | Self::Settings
            | Self::Channels
            | Self::Doctor
            | Self::Importance(_)
            | Self::Export
            | Self::Metrics => true,
            // One that is kept may be written twice.
            Self::Report(query) => !query.keep,
            Self::Steer(_) | Self::Reload | Self::NotifyTest(_) | Self::AdvisorTest => false,
        }
    }
}

/// A change that a user wants. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steer {
    /// Start no further trial.
    Pause {
        /// Whether the running trial is interrupted.
        now: bool,
    },
    /// Go on.
    Resume,
    /// End the daemon.
    Stop {
        /// Whether the running trial is killed.
        now: bool,
    },
    /// End a trial for good: this one, which runs or waits, or the running
    /// one.
    Skip(Option<u32>),
    /// Repeat the bad and missing runs of a trial.
    Retry(u32),
    /// Try these values next.
    Enqueue {
        /// Names with the texts of their values.
        values: Vec<(String, String)>,
        /// Whether they are tried also when they have been already.
        again: bool,
    },
    /// Change the spec: all of it, or nothing.
    Amend(Vec<Edit>),
    /// Try what is proposed.
    Approve {
        /// The proposal; `None` for the one that waits.
        number: Option<u32>,
        /// What of it is changed before.
        instead: Instead,
    },
    /// Do not try what is proposed.
    Reject {
        /// The proposal; `None` for the one that waits.
        number: Option<u32>,
        /// What ends with it.
        end: End,
    },
    /// Let a parameter be proposed again that was ended.
    ReopenParameter(String),
    /// Learn of what was measured elsewhere: of the rows that fit.
    Import(Import),
}

/// What of a proposal is changed. Variants are only added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instead {
    /// Nothing.
    Nothing,
    /// The value of the one parameter that it changes.
    Value(String),
    /// These: names with the texts of their values.
    Values(Vec<(String, String)>),
}

/// What ends with a proposal that is not tried. Variants are only added at the
/// end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It alone.
    Proposal,
    /// The parameter that is being tuned.
    Parameter,
    /// The study.
    Study,
}

/// One change of the spec; texts are as a user writes them. Variants are only
/// added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edit {
    /// Add values to a parameter's list.
    AddValues {
        /// The parameter.
        parameter: String,
        /// The values.
        values: Vec<String>,
    },
    /// Take values out of a parameter's list.
    RemoveValues {
        /// The parameter.
        parameter: String,
        /// The values.
        values: Vec<String>,
    },
    /// Give a parameter another domain.
    Domain {
        /// The parameter.
        parameter: String,
        /// The domain, as in a spec's `[space]`.
        domain: String,
    },
    /// Add a parameter.
    AddParameter {
        /// Its name.
        parameter: String,
        /// Its domain, as in a spec's `[space]`.
        domain: String,
        /// The value that all trials so far count as having had.
        base: String,
        /// Where it has a meaning.
        when: Option<String>,
    },
    /// Put these parameters first.
    Order(Vec<String>),
    /// Give a setting a value.
    Set {
        /// Its name, or the end of it.
        name: String,
        /// The value.
        value: String,
    },
    /// Take back what was changed about these parameters, or the whole space.
    ResetSpace(Vec<String>),
    /// Take back what was changed about these settings, or all.
    ResetSettings(Vec<String>),
}

/// Which trials, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialsQuery {
    /// Only those of these outcomes, in [`super::reply::TrialRow::outcome`]'s
    /// words; empty for all.
    pub outcomes: Vec<String>,
    /// The order.
    pub sort: Sort,
    /// Whether the order is turned round.
    pub reverse: bool,
    /// So many are left out at the beginning.
    pub offset: u32,
    /// At most so many; the daemon may send fewer.
    pub limit: u32,
}

/// The order of trials. Variants are only added at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sort {
    /// By number.
    #[default]
    Number,
    /// The best objective first, that of trials that miss a constraint after the
    /// others; what has none comes last.
    Objective,
    /// The longest first.
    Time,
}

/// Which log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The trial.
    pub trial: u32,
    /// The step; `None` for the first one that has a log.
    pub step: Option<String>,
    /// From where on; `None` for the whole log of the last sitting.
    pub from: Option<LogPlace>,
    /// Whether to go on until the trial is over, with the logs of further
    /// sittings, too.
    pub follow: bool,
}

/// A place in the logs of a trial's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// The number of the sitting.
    pub sitting: u32,
    /// So many bytes after the beginning of its log, or [`LogPlace::LAST`].
    pub offset: u64,
}

impl LogPlace {
    /// The offset of the last part of a log, however long that is: of some
    /// 32 KiB.
    pub const LAST: u64 = u64::MAX;
}

/// Which events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Only those after this number.
    pub after: Option<u64>,
    /// At most so many old ones, the latest; `None` for all.
    pub last: Option<u32>,
    /// Whether to go on with what will happen.
    pub follow: bool,
}

/// What is waited for. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// There is nothing left to do.
    Done,
    /// The best is another than this trial; `None` for no best at all.
    Best(Option<u32>),
    /// The study is paused, and nothing runs.
    Paused,
    /// This trial is settled.
    Trial(u32),
    /// Something waits for approval.
    Approval,
}
