//! Events as the journal has them. These types are the format: their names and
//! fields may be added to, never changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::advice_record::AdviceRecord;
use super::amendment_record::AmendmentRecord;
use super::approval_record::{AskedRecord, GivenRecord, RefusedRecord, ReopenedRecord};
use super::artifacts_record::{DeletedRecord, FoundRecord, KeptRecord, LostRecord, ResumedRecord};
use super::choice_record::ChoiceRecord;
use super::host_record::HostRecord;
use super::notice_record::{DeliveredRecord, GivenUpRecord, QueuedRecord};
use super::outcome_record::{EndRecord, EndingRecord, OriginRecord, PurposeRecord};
use super::prior_record::ImportedRecord;
use super::run_record::{PrunedRecord, ToldRecord};
use super::text::{Interner, Pairs, Scalar, Text, measurements, numbers};
use crate::model::amendment::Amendments;
use crate::model::event::Event;
use crate::model::trial::{Mark, Run, TrialId};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EventRecord<'a> {
    Opened {
        #[serde(borrow)]
        digest: Text<'a>,
    },
    TrialPlanned {
        trial: u32,
        #[serde(borrow)]
        params: Pairs<'a, Scalar<'a>>,
        origin: OriginRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choice: Option<ChoiceRecord<'a>>,
    },
    SittingStarted {
        trial: u32,
        sitting: u32,
        #[serde(default, skip_serializing_if = "PurposeRecord::is_measure")]
        purpose: PurposeRecord,
        token: Text<'a>,
        boot_id: Text<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Text<'a>>,
    },
    StepStarted {
        trial: u32,
        sitting: u32,
        step: Text<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<u32>,
        pid: u32,
        start_ticks: u64,
    },
    PortBusy {
        trial: u32,
        sitting: u32,
        port: u16,
        holder: Text<'a>,
    },
    ServicesReady {
        trial: u32,
        sitting: u32,
        startup_ns: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        health: Option<Text<'a>>,
    },
    Warned {
        trial: u32,
        sitting: u32,
        text: Text<'a>,
    },
    RunMarked {
        trial: u32,
        sitting: u32,
        step: Text<'a>,
        run: u32,
        mark: u32,
        metrics: Pairs<'a, f64>,
    },
    RunTold(ToldRecord<'a>),
    RunEnded {
        trial: u32,
        sitting: u32,
        step: Text<'a>,
        run: u32,
        elapsed_ns: u64,
        ending: EndingRecord<'a>,
        metrics: Pairs<'a, f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Text<'a>>,
    },
    SittingEnded {
        trial: u32,
        sitting: u32,
        end: EndRecord<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        health: Option<Text<'a>>,
    },
    TrialReopened {
        trial: u32,
    },
    TrialSkipped {
        trial: u32,
    },
    TrialPruned(PrunedRecord<'a>),
    TrialDeferred {
        trial: u32,
    },
    Drifted {
        trial: u32,
        sitting: u32,
        before: f64,
        after: f64,
    },
    Paused {
        reason: Text<'a>,
        #[serde(default, skip_serializing_if = "is_false")]
        by_user: bool,
    },
    Resumed {},
    Done {
        reason: Text<'a>,
    },
    SpecAmended {
        amendments: Vec<AmendmentRecord<'a>>,
    },
    SpecReloaded {
        digest: Text<'a>,
    },
    NoticeQueued(QueuedRecord<'a>),
    NoticeDelivered(DeliveredRecord<'a>),
    NoticeGivenUp(GivenUpRecord<'a>),
    HostSeen {
        host: HostRecord<'a>,
    },
    Waiting {
        trial: u32,
        sitting: u32,
        text: Text<'a>,
    },
    ApprovalAsked(AskedRecord<'a>),
    ApprovalGiven(GivenRecord<'a>),
    ApprovalRefused(RefusedRecord<'a>),
    ApprovalWithdrawn {
        reason: Text<'a>,
    },
    ArtifactsFound(FoundRecord),
    ArtifactsKept(KeptRecord<'a>),
    ArtifactsLost(LostRecord<'a>),
    ArtifactsDeleted(DeletedRecord),
    TaskResumed(ResumedRecord<'a>),
    Advised(AdviceRecord<'a>),
    ParameterReopened(ReopenedRecord<'a>),
    Imported(ImportedRecord<'a>),
}

impl EventRecord<'_> {
    /// The names of all kinds, as they stand in the journal.
    pub(super) const KINDS: [&'static str; 38] = [
        "opened",
        "trial-planned",
        "sitting-started",
        "step-started",
        "port-busy",
        "services-ready",
        "warned",
        "run-marked",
        "run-told",
        "run-ended",
        "sitting-ended",
        "trial-reopened",
        "trial-skipped",
        "trial-pruned",
        "trial-deferred",
        "drifted",
        "paused",
        "resumed",
        "done",
        "spec-amended",
        "spec-reloaded",
        "notice-queued",
        "notice-delivered",
        "notice-given-up",
        "host-seen",
        "waiting",
        "approval-asked",
        "approval-given",
        "approval-refused",
        "approval-withdrawn",
        "artifacts-found",
        "artifacts-kept",
        "artifacts-lost",
        "artifacts-deleted",
        "task-resumed",
        "advised",
        "parameter-reopened",
        "imported",
    ];
}

impl<'a> From<&'a Event> for EventRecord<'a> {
    fn from(event: &'a Event) -> Self {
        match event {
            Event::Opened { digest } => Self::Opened {
                digest: Text::of(digest),
            },
            Event::TrialPlanned {
                trial,
                params,
                origin,
                choice,
            } => Self::TrialPlanned {
                trial: trial.0,
                params: Scalar::pairs(params),
                origin: OriginRecord::of(*origin),
                choice: choice.as_deref().map(ChoiceRecord::of),
            },
            Event::SittingStarted {
                trial,
                sitting,
                purpose,
                token,
                boot_id,
                slot,
            } => Self::SittingStarted {
                trial: trial.0,
                sitting: *sitting,
                purpose: PurposeRecord::of(*purpose),
                token: Text::of(token),
                boot_id: Text::of(boot_id),
                slot: slot.as_deref().map(Text::of),
            },
            Event::StepStarted {
                trial,
                sitting,
                step,
                run,
                pid,
                start_ticks,
            } => Self::StepStarted {
                trial: trial.0,
                sitting: *sitting,
                step: Text::of(step),
                run: *run,
                pid: *pid,
                start_ticks: *start_ticks,
            },
            Event::PortBusy {
                trial,
                sitting,
                port,
                holder,
            } => Self::PortBusy {
                trial: trial.0,
                sitting: *sitting,
                port: *port,
                holder: Text::of(holder),
            },
            Event::ServicesReady {
                trial,
                sitting,
                startup,
                health,
            } => Self::ServicesReady {
                trial: trial.0,
                sitting: *sitting,
                startup_ns: nanoseconds(*startup),
                health: health.as_deref().map(Text::of),
            },
            Event::Warned {
                trial,
                sitting,
                text,
            } => Self::Warned {
                trial: trial.0,
                sitting: *sitting,
                text: Text::of(text),
            },
            Event::RunMarked { trial, mark } => Self::RunMarked {
                trial: trial.0,
                sitting: mark.sitting,
                step: Text::of(&mark.step),
                run: mark.run,
                mark: mark.number,
                metrics: numbers(&mark.metrics),
            },
            Event::RunTold { trial, told } => Self::RunTold(ToldRecord::of(*trial, told)),
            Event::RunEnded { trial, run } => Self::RunEnded {
                trial: trial.0,
                sitting: run.sitting,
                step: Text::of(&run.step),
                run: run.number,
                elapsed_ns: nanoseconds(run.elapsed),
                ending: EndingRecord::of(&run.ending),
                metrics: numbers(&run.metrics),
                fault: run.fault.as_deref().map(Text::of),
            },
            Event::SittingEnded {
                trial,
                sitting,
                end,
                health,
            } => Self::SittingEnded {
                trial: trial.0,
                sitting: *sitting,
                end: EndRecord::of(end),
                health: health.as_deref().map(Text::of),
            },
            Event::TrialReopened { trial } => Self::TrialReopened { trial: trial.0 },
            Event::TrialSkipped { trial } => Self::TrialSkipped { trial: trial.0 },
            Event::TrialPruned { trial, pruning } => {
                Self::TrialPruned(PrunedRecord::of(*trial, pruning))
            }
            Event::TrialDeferred { trial } => Self::TrialDeferred { trial: trial.0 },
            Event::Drifted {
                trial,
                sitting,
                before,
                after,
            } => Self::Drifted {
                trial: trial.0,
                sitting: *sitting,
                before: *before,
                after: *after,
            },
            Event::Paused { reason, by_user } => Self::Paused {
                reason: Text::of(reason),
                by_user: *by_user,
            },
            Event::Resumed => Self::Resumed {},
            Event::Done { reason } => Self::Done {
                reason: Text::of(reason),
            },
            Event::SpecAmended { amendments } => Self::SpecAmended {
                amendments: amendments.iter().map(AmendmentRecord::of).collect(),
            },
            Event::SpecReloaded { digest } => Self::SpecReloaded {
                digest: Text::of(digest),
            },
            Event::NoticeQueued(notice) => Self::NoticeQueued(QueuedRecord::of(notice)),
            Event::NoticeDelivered {
                channel,
                notices,
                refused,
            } => Self::NoticeDelivered(DeliveredRecord::of(channel, notices, refused)),
            Event::NoticeGivenUp {
                channel,
                notices,
                reason,
                to,
            } => Self::NoticeGivenUp(GivenUpRecord::of(channel, notices, reason, to)),
            Event::HostSeen { host } => Self::HostSeen {
                host: HostRecord::of(host),
            },
            Event::Waiting {
                trial,
                sitting,
                text,
            } => Self::Waiting {
                trial: trial.0,
                sitting: *sitting,
                text: Text::of(text),
            },
            Event::ApprovalAsked(proposal) => Self::ApprovalAsked(AskedRecord::of(proposal)),
            Event::ApprovalGiven { by, instead } => {
                Self::ApprovalGiven(GivenRecord::of(by, instead.as_ref()))
            }
            Event::ApprovalRefused { by, ends } => {
                Self::ApprovalRefused(RefusedRecord::of(by, ends))
            }
            Event::ApprovalWithdrawn { reason } => Self::ApprovalWithdrawn {
                reason: Text::of(reason),
            },
            Event::ParameterReopened { by, parameter } => {
                Self::ParameterReopened(ReopenedRecord::of(by, parameter))
            }
            Event::Artifacts { trial, change } => Self::of_artifacts(*trial, change),
            Event::TaskResumed {
                trial,
                sitting,
                step,
                checkpoint,
            } => Self::TaskResumed(ResumedRecord::of(*trial, *sitting, step, checkpoint)),
            Event::Advised(advice) => Self::Advised(AdviceRecord::of(advice)),
            Event::Imported(batch) => Self::Imported(ImportedRecord::of(batch)),
        }
    }
}

impl EventRecord<'_> {
    /// The event, its names taken from `names`.
    ///
    /// # Errors
    /// What no event can hold.
    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        Ok(match self {
            Self::Opened { digest } => Event::Opened {
                digest: digest.owned(),
            },
            Self::TrialPlanned {
                trial,
                params,
                origin,
                choice,
            } => Event::TrialPlanned {
                trial: TrialId(trial),
                params: params.into_params(names)?,
                origin: origin.origin(),
                choice: choice.map(|choice| Box::new(choice.into_choice())),
            },
            Self::SittingStarted {
                trial,
                sitting,
                purpose,
                token,
                boot_id,
                slot,
            } => Event::SittingStarted {
                trial: TrialId(trial),
                sitting,
                purpose: purpose.purpose(),
                token: token.owned(),
                boot_id: names.name(boot_id.as_str()),
                slot: slot.map(|slot| names.name(slot.as_str())),
            },
            Self::StepStarted {
                trial,
                sitting,
                step,
                run,
                pid,
                start_ticks,
            } => Event::StepStarted {
                trial: TrialId(trial),
                sitting,
                step: names.name(step.as_str()),
                run,
                pid,
                start_ticks,
            },
            Self::PortBusy {
                trial,
                sitting,
                port,
                holder,
            } => Event::PortBusy {
                trial: TrialId(trial),
                sitting,
                port,
                holder: names.name(holder.as_str()),
            },
            Self::ServicesReady {
                trial,
                sitting,
                startup_ns,
                health,
            } => Event::ServicesReady {
                trial: TrialId(trial),
                sitting,
                startup: Duration::from_nanos(startup_ns),
                health: health.map(|health| names.name(health.as_str())),
            },
            Self::Warned {
                trial,
                sitting,
                text,
            } => Event::Warned {
                trial: TrialId(trial),
                sitting,
                text: text.as_str().into(),
            },
            Self::RunEnded {
                trial,
                sitting,
                step,
                run,
                elapsed_ns,
                ending,
                metrics,
                fault,
            } => Event::RunEnded {
                trial: TrialId(trial),
                run: Run {
                    step: names.name(step.as_str()),
                    number: run,
                    sitting,
                    elapsed: Duration::from_nanos(elapsed_ns),
                    ending: ending.into_ending(),
                    metrics: measurements(metrics, names)?,
                    fault: fault.map(|fault| fault.as_str().into()),
                },
            },
            Self::RunMarked {
                trial,
                sitting,
                step,
                run,
                mark,
                metrics,
            } => Event::RunMarked {
                trial: TrialId(trial),
                mark: Mark {
                    step: names.name(step.as_str()),
                    run,
                    sitting,
                    number: mark,
                    metrics: measurements(metrics, names)?,
                },
            },
            Self::RunTold(told) => told.into_event(names)?,
            Self::SittingEnded {
                trial,
                sitting,
                end,
                health,
            } => Event::SittingEnded {
                trial: TrialId(trial),
                sitting,
                end: end.into_end(names)?,
                health: health.map(|health| names.name(health.as_str())),
            },
            Self::TrialReopened { trial } => Event::TrialReopened {
                trial: TrialId(trial),
            },
            Self::TrialSkipped { trial } => Event::TrialSkipped {
                trial: TrialId(trial),
            },
            Self::TrialPruned(pruned) => pruned.into_event(names)?,
            Self::TrialDeferred { trial } => Event::TrialDeferred {
                trial: TrialId(trial),
            },
            Self::Drifted {
                trial,
                sitting,
                before,
                after,
            } => Event::Drifted {
                trial: TrialId(trial),
                sitting,
                before,
                after,
            },
            Self::Paused { reason, by_user } => Event::Paused {
                reason: reason.owned(),
                by_user,
            },
            Self::Resumed {} => Event::Resumed,
            Self::Done { reason } => Event::Done {
                reason: reason.owned(),
            },
            Self::SpecReloaded { digest } => Event::SpecReloaded {
                digest: digest.owned(),
            },
            Self::NoticeQueued(queued) => queued.into_event(names)?,
            Self::NoticeDelivered(delivered) => delivered.into_event(names),
            Self::NoticeGivenUp(given_up) => given_up.into_event(names),
            Self::HostSeen { host } => Event::HostSeen {
                host: Box::new(host.into_host(names)),
            },
            Self::Waiting {
                trial,
                sitting,
                text,
            } => Event::Waiting {
                trial: TrialId(trial),
                sitting,
                text: text.as_str().into(),
            },
            Self::ApprovalAsked(asked) => asked.into_event(names)?,
            Self::ApprovalGiven(given) => given.into_event(names)?,
            Self::ApprovalRefused(refused) => refused.into_event(names),
            Self::ParameterReopened(reopened) => reopened.into_event(names),
            Self::ApprovalWithdrawn { reason } => Event::ApprovalWithdrawn {
                reason: reason.owned(),
            },
            Self::ArtifactsFound(found) => found.into_event(),
            Self::ArtifactsKept(kept) => kept.into_event(),
            Self::ArtifactsLost(lost) => lost.into_event(),
            Self::ArtifactsDeleted(deleted) => deleted.into_event(),
            Self::TaskResumed(resumed) => resumed.into_event(names),
            Self::Advised(advice) => Event::Advised(advice.into_advice(names)?.into()),
            Self::Imported(imported) => Event::Imported(imported.into_batch(names)?.into()),
            Self::SpecAmended { amendments } => {
                let amendments = amendments.into_iter();
                let amendments = amendments.map(|one| one.into_amendment(names));
                Event::SpecAmended {
                    amendments: Amendments::recorded(amendments.collect::<Result<_, _>>()?),
                }
            }
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(truth: &bool) -> bool {
    !*truth
}

/// Whole nanoseconds, so that a duration comes back exactly. Over 584 years
/// there is no difference any more.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
