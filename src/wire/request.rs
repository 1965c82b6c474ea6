//! What a client asks for.

use serde::{Deserialize, Serialize};

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
    /// End the running trial for good.
    Skip,
    /// Repeat the bad and missing runs of a trial.
    Retry(u32),
    /// Try these values next: names with the texts of their values.
    Enqueue(Vec<(String, String)>),
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
    /// The best objective first; what has none comes last.
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
    /// So many bytes after the beginning of its log.
    pub offset: u64,
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
}
