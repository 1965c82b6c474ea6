//! How things ended, as the journal has it. The names and fields are the format:
//! see [`super::event_record`].

use serde::{Deserialize, Serialize};

use super::text::{Interner, Text};
use crate::model::outcome::{Cause, Ending, Failure, FailureKind, Outcome};
use crate::model::trial::{Origin, Purpose, SittingEnd, TrialId};

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OriginRecord {
    Baseline,
    Sampler,
    Imported,
    User,
    /// Of the trial of that number.
    Remedy(u32),
}

/// A sitting that says nothing of it measures its trial.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PurposeRecord {
    #[default]
    Measure,
    Check,
    Confirm {
        baseline: u32,
        winner: u32,
    },
    Preflight,
    Incumbent,
    /// Journals of builds before the first release may call it so.
    #[serde(alias = "beside")]
    Neighbours,
}

impl PurposeRecord {
    pub(super) const fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Measure => Self::Measure,
            Purpose::Check => Self::Check,
            Purpose::Confirm { baseline, winner } => Self::Confirm {
                baseline: baseline.0,
                winner: winner.0,
            },
            Purpose::Preflight => Self::Preflight,
            Purpose::Incumbent => Self::Incumbent,
            Purpose::Neighbours => Self::Neighbours,
        }
    }

    pub(super) const fn purpose(self) -> Purpose {
        match self {
            Self::Measure => Purpose::Measure,
            Self::Check => Purpose::Check,
            Self::Confirm { baseline, winner } => Purpose::Confirm {
                baseline: TrialId(baseline),
                winner: TrialId(winner),
            },
            Self::Preflight => Purpose::Preflight,
            Self::Incumbent => Purpose::Incumbent,
            Self::Neighbours => Purpose::Neighbours,
        }
    }

    pub(super) const fn is_measure(&self) -> bool {
        matches!(self, Self::Measure)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EndingRecord<'a> {
    Exited(i32),
    Signalled(i32),
    OomKilled,
    TimedOut,
    Stopped,
    CouldNotStart(#[serde(borrow)] Text<'a>),
}

/// How a sitting ended and, where that settles the trial, its outcome.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EndRecord<'a> {
    Interrupted,
    Complete,
    Infeasible,
    Pruned,
    Failed(#[serde(borrow)] FailureRecord<'a>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct FailureRecord<'a> {
    /// See [`FailureKind::name`].
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ending: Option<EndingRecord<'a>>,
    message: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<CauseRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CauseRecord<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    hint: Text<'a>,
    line: Text<'a>,
}

impl OriginRecord {
    pub(super) const fn of(origin: Origin) -> Self {
        match origin {
            Origin::Baseline => Self::Baseline,
            Origin::Sampler => Self::Sampler,
            Origin::Imported => Self::Imported,
            Origin::User => Self::User,
            Origin::Remedy { of } => Self::Remedy(of.0),
        }
    }

    pub(super) const fn origin(self) -> Origin {
        match self {
            Self::Baseline => Origin::Baseline,
            Self::Sampler => Origin::Sampler,
            Self::Imported => Origin::Imported,
            Self::User => Origin::User,
            Self::Remedy(of) => Origin::Remedy { of: TrialId(of) },
        }
    }
}

impl<'a> EndingRecord<'a> {
    pub(super) fn of(ending: &'a Ending) -> Self {
        match ending {
            Ending::Exited(code) => Self::Exited(*code),
            Ending::Signalled(signal) => Self::Signalled(*signal),
            Ending::OomKilled => Self::OomKilled,
            Ending::TimedOut => Self::TimedOut,
            Ending::Stopped => Self::Stopped,
            Ending::CouldNotStart(why) => Self::CouldNotStart(Text::of(why)),
        }
    }

    pub(super) fn into_ending(self) -> Ending {
        match self {
            Self::Exited(code) => Ending::Exited(code),
            Self::Signalled(signal) => Ending::Signalled(signal),
            Self::OomKilled => Ending::OomKilled,
            Self::TimedOut => Ending::TimedOut,
            Self::Stopped => Ending::Stopped,
            Self::CouldNotStart(why) => Ending::CouldNotStart(Box::new(why.owned())),
        }
    }
}

impl<'a> EndRecord<'a> {
    pub(super) fn of(end: &'a SittingEnd) -> Self {
        match end {
            SittingEnd::Interrupted => Self::Interrupted,
            SittingEnd::Finished(Outcome::Complete) => Self::Complete,
            SittingEnd::Finished(Outcome::Infeasible) => Self::Infeasible,
            SittingEnd::Finished(Outcome::Pruned) => Self::Pruned,
            SittingEnd::Finished(Outcome::Failed(failure)) => Self::Failed(FailureRecord {
                kind: Text::of(failure.kind.name()),
                step: failure.step.as_deref().map(Text::of),
                ending: failure.ending.as_ref().map(EndingRecord::of),
                message: Text::of(&failure.message),
                cause: failure.cause.as_ref().map(|cause| CauseRecord {
                    name: Text::of(&cause.name),
                    hint: Text::of(&cause.hint),
                    line: Text::of(&cause.line),
                }),
            }),
        }
    }

    pub(super) fn into_end(self, names: &mut Interner) -> Result<SittingEnd, String> {
        Ok(SittingEnd::Finished(match self {
            Self::Interrupted => return Ok(SittingEnd::Interrupted),
            Self::Complete => Outcome::Complete,
            Self::Infeasible => Outcome::Infeasible,
            Self::Pruned => Outcome::Pruned,
            Self::Failed(failure) => Outcome::Failed(Box::new(Failure {
                kind: FailureKind::named(failure.kind.as_str()).ok_or_else(|| {
                    format!("unknown kind of failure `{}`", failure.kind.as_str())
                })?,
                step: failure.step.map(|step| names.name(step.as_str())),
                ending: failure.ending.map(EndingRecord::into_ending),
                message: failure.message.owned(),
                cause: failure.cause.map(|cause| Cause {
                    name: cause.name.owned(),
                    hint: cause.hint.owned(),
                    line: cause.line.owned(),
                }),
            })),
        }))
    }
}
