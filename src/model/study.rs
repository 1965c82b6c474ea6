//! The state of a study: what its events add up to.

mod advised;
mod approvals;
mod faults;
mod keeping;
mod merit;
mod milestones;
mod places;
mod remedied;
mod rewriting;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::faults::Faults;
pub use self::faults::HOST_FAULTS_MAX;
pub use self::milestones::Milestones;
use self::places::Work;
use super::Name;
use super::advice::{Consultations, Question};
use super::amendment::{Amendments, Unfit};
use super::approval::Approvals;
use super::artifacts::Kept;
use super::drift::{Change, Levels};
use super::event::{Event, Fact, port_busy};
use super::host::Host;
use super::metric::Summary;
use super::notice::Outbox;
use super::outcome::{HostFault, Outcome};
use super::params::Params;
use super::spec::Spec;
use super::tally::Tally;
pub use super::tally::{Counts, Spread};
use super::trial::{Purpose, Sitting, SittingEnd, Trial, TrialId};
use super::trials::{ByParams, Trials};
use crate::base::clock::Timestamp;

/// Whether the study goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It goes on.
    Active,
    /// What the sampler proposes is not tried before somebody approves of it,
    /// and there is nothing else to do.
    AwaitingApproval,
    /// No new trial is started.
    Paused(String),
    /// There is nothing left to do.
    Done(String),
}

/// A study: its spec and everything that happened. Cheap to clone: trials, and
/// where to find them, are shared.
#[derive(Clone, Debug)]
pub struct Study {
    written: Arc<Spec>,
    amendments: Amendments,
    unfit: Vec<Unfit>,
    /// How often the spec was amended.
    revision: u32,
    /// `written` with the amendments laid over it.
    spec: Arc<Spec>,
    /// The specs that the running sittings were started under.
    begun: BTreeMap<TrialId, Arc<Spec>>,
    work: Work,
    /// How often runs and sittings have ended.
    results: u64,
    trials: Trials,
    by_params: ByParams,
    tally: Tally,
    phase: Phase,
    /// When the last was said of a study that is done: that it is, or what the
    /// advisor sums up.
    last_word: Option<Timestamp>,
    paused_by_user: bool,
    incumbent: Option<TrialId>,
    /// The incumbent when the study was done last, and by how many starts it
    /// was to be confirmed then.
    concluded: (Option<TrialId>, u32),
    leader: Option<TrialId>,
    /// The checks that showed drift, in order.
    changes: Vec<Change>,
    levels: Levels,
    host_faults: Faults,
    outbox: Arc<Outbox>,
    approvals: Arc<Approvals>,
    host: Option<Arc<Host>>,
    kept: Option<Kept>,
    consultations: Consultations,
    milestones: Milestones,
}

/// An event that does not fit what came before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// It speaks of a trial that was never planned.
    #[error("event for trial {0}, which was never planned")]
    UnknownTrial(TrialId),
    /// Numbers must go up by one.
    #[error("trial {found} planned where {expected} is next")]
    TrialNumber {
        /// The number in the event.
        found: TrialId,
        /// The number that is next.
        expected: TrialId,
    },
    /// It speaks of a sitting that is not the running one.
    #[error("event for sitting {sitting} of trial {trial}, which is not running")]
    UnknownSitting {
        /// The trial.
        trial: TrialId,
        /// The sitting.
        sitting: u32,
    },
}

impl Study {
    /// A study to which nothing has happened.
    pub fn new(spec: Arc<Spec>) -> Self {
        Self {
            written: Arc::clone(&spec),
            amendments: Amendments::default(),
            unfit: Vec::new(),
            revision: 0,
            spec,
            begun: BTreeMap::new(),
            work: Work::default(),
            results: 0,
            trials: Trials::default(),
            by_params: ByParams::new(),
            tally: Tally::default(),
            phase: Phase::Active,
            last_word: None,
            paused_by_user: false,
            incumbent: None,
            concluded: (None, 0),
            leader: None,
            changes: Vec::new(),
            levels: Levels::default(),
            host_faults: Faults::default(),
            outbox: Arc::default(),
            approvals: Arc::default(),
            host: None,
            kept: None,
            consultations: Consultations::default(),
            milestones: Milestones::default(),
        }
    }

    /// What it goes by: what its owner wrote, with the amendments.
    pub fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// What its owner wrote.
    pub fn written(&self) -> &Arc<Spec> {
        &self.written
    }

    /// What users have changed since.
    pub fn amendments(&self) -> &Amendments {
        &self.amendments
    }

    /// The amendments that do not fit what its owner wrote, and are ignored.
    pub fn unfit(&self) -> &[Unfit] {
        &self.unfit
    }

    /// How often the spec was amended so far.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The spec that the running sitting of a trial was started under: it is
    /// finished by that.
    pub fn spec_of_running(&self, trial: TrialId) -> &Arc<Spec> {
        self.begun.get(&trial).unwrap_or(&self.spec)
    }

    /// How often something was measured, or came out, so far: what a sampler
    /// goes by, beside the trials and the spec.
    pub fn results(&self) -> u64 {
        self.results
    }

    /// All trials, in the order of their numbers.
    pub fn trials(&self) -> &Trials {
        &self.trials
    }

    /// The trial of that number.
    pub fn trial(&self, id: TrialId) -> Option<&Arc<Trial>> {
        self.trials.of(id)
    }

    /// The params of a trial as the space has them now; see
    /// [`Space::completed`](super::space::Space::completed).
    pub fn params_of(&self, trial: &Trial) -> Params {
        self.spec.space.completed(&trial.params)
    }

    /// The trial of these params, which are of the present space.
    pub fn trial_of(&self, params: &Params) -> Option<&Arc<Trial>> {
        self.trial(self.by_params.get(params)?)
    }

    /// The step whose log has the trial's name alone.
    pub fn first_service_name(&self) -> Option<Name> {
        self.spec.first_service().map(|step| step.name.clone())
    }

    /// Whether it goes on.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether it is paused since a user wants it to be.
    pub fn paused_by_user(&self) -> bool {
        self.paused_by_user && matches!(self.phase, Phase::Paused(_))
    }

    /// The trials that are begun or planned and not settled, in the order of
    /// their numbers.
    pub fn all_unsettled(&self) -> impl Iterator<Item = &Arc<Trial>> {
        let open = self.tally.open.iter().filter_map(|id| self.trial(*id));
        open.filter(|trial| !trial.is_settled())
    }

    /// The first trial that is begun or planned and not settled.
    pub fn unsettled(&self) -> Option<&Arc<Trial>> {
        self.all_unsettled().next()
    }

    /// The number of the next trial.
    pub fn next_id(&self) -> TrialId {
        TrialId(self.trials.len() as u32 + 1)
    }

    /// On what it runs, or ran last.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_deref()
    }

    /// The trial of the starting params, once it is planned.
    pub fn baseline(&self) -> Option<&Arc<Trial>> {
        let params = self.spec.space.baseline().ok()?;
        self.trial_of(&params)
    }

    /// The best trial that is complete with all its runs, the earlier of two
    /// equals. The baseline counts from its first run on.
    pub fn incumbent(&self) -> Option<&Arc<Trial>> {
        self.trial(self.incumbent?)
    }

    /// The best trial that is complete, also by only some of its runs: the
    /// incumbent, or what may become it once it has all of them.
    pub fn leader(&self) -> Option<&Arc<Trial>> {
        self.trial(self.leader?)
    }

    /// What the good runs of all trials tell about the noise of a metric.
    pub fn spread(&self, metric: &str) -> Spread {
        self.tally.spread(metric)
    }

    /// The share of what runs of a metric vary by that those of one number
    /// share, 0 to 1; `log` of logarithms.
    pub fn shared(&self, metric: &str, log: bool) -> f64 {
        self.tally.share(metric, log)
    }

    /// The summary of the objective of a trial.
    pub fn objective(&self, trial: &Trial) -> Option<Summary> {
        trial.summary(&self.spec.objective.metric)
    }

    /// What somebody is to be told and has not been told yet.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// How many trials came out how.
    pub fn counts(&self) -> Counts {
        self.tally.counts
    }

    /// Good runs that count, over all trials.
    pub fn runs(&self) -> u32 {
        self.tally.runs
    }

    /// Runs that racing has saved: those that the trials did not get that it
    /// has pruned or put off. One that it has cut is saved in part.
    pub fn runs_saved(&self) -> f64 {
        let whole = f64::from(self.spec.runs_per_trial() * self.tally.raced);
        (whole - self.tally.raced_runs).max(0.0)
    }

    /// What was run of the runs that racing has cut, together, in runs.
    pub fn runs_cut(&self) -> f64 {
        self.tally.cut_runs.max(0.0)
    }

    /// When the last was said of a study that is done, by itself or by the
    /// advisor, which sums it up; `None` while it is not.
    pub fn last_word(&self) -> Option<Timestamp> {
        let is_done = matches!(self.phase, Phase::Done(_));
        self.last_word.filter(|_| is_done)
    }

    /// Takes up a fact.
    ///
    /// # Errors
    /// When it does not fit what came before; the state is then unchanged.
    pub fn apply(&mut self, fact: &Fact) -> Result<(), StudyError> {
        let changed = fact.event.trial();
        if let Some(trial) = changed.and_then(|id| self.trials.of(id)) {
            self.tally.subtract(trial);
        }
        let before = self.phase.clone();
        let applied = self.take_up(fact);
        if let Some(trial) = changed.and_then(|id| self.trials.of(id)) {
            self.tally.add(trial);
        }
        if matches!(fact.event, Event::SittingEnded { .. }) && self.judges_by_noise() {
            self.judge_all();
        }
        if applied.is_ok() {
            self.take_up_approval(fact);
            self.find_phase();
            self.note(fact, &before);
        }
        applied
    }

    fn take_up(&mut self, fact: &Fact) -> Result<(), StudyError> {
        match &fact.event {
            Event::StepStarted { .. } => {}
            Event::Opened { .. } => self.consultations.try_anew(),
            Event::Advised(advice) => {
                if advice.question == Question::Summary {
                    self.last_word = Some(fact.at);
                }
                self.consultations.add(advice);
            }
            // See `take_up_approval`.
            Event::ApprovalAsked(_)
            | Event::ApprovalGiven { .. }
            | Event::ApprovalRefused { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::ParameterReopened { .. } => {}
            Event::TrialPlanned {
                trial,
                params,
                origin,
                choice,
            } => {
                let expected = self.next_id();
                if *trial != expected {
                    return Err(StudyError::TrialNumber {
                        found: *trial,
                        expected,
                    });
                }
                let mut planned = Trial::new(*trial, params.clone(), *origin);
                planned.choice.clone_from(choice);
                self.trials.push(planned);
                let params = self.spec.space.completed(params);
                self.by_params.insert(params, *trial);
                self.consultations.trial_planned();
                if matches!(self.phase, Phase::Done(_)) {
                    self.phase = Phase::Active;
                }
            }
            Event::SittingStarted {
                trial,
                sitting,
                purpose,
                token,
                boot_id,
                slot,
            } => {
                // It may have been done before its budget or space grew.
                self.phase = Phase::Active;
                let taken_up = self.edit(*trial)?;
                if *purpose == Purpose::Measure {
                    // A sitting that was to end it met a fault of the host
                    // instead.
                    taken_up.pruning = None;
                    taken_up.forget_open_marks();
                    if taken_up.deferred {
                        taken_up.deferred = false;
                        taken_up.outcome = None;
                        self.find_incumbent();
                    }
                }
                self.edit(*trial)?.sittings.push(Sitting {
                    number: *sitting,
                    purpose: *purpose,
                    token: token.as_str().into(),
                    boot_id: boot_id.clone(),
                    slot: slot.clone(),
                    started: fact.at,
                    ended: None,
                    startup: None,
                    health: None,
                    warnings: Vec::new(),
                    resumed: None,
                    end: None,
                });
                self.work.begin(fact.at);
                self.begun.insert(*trial, Arc::clone(&self.spec));
            }
            Event::ServicesReady {
                trial,
                sitting,
                startup,
                health,
            } => {
                let sitting = self.edit_sitting(*trial, *sitting)?;
                sitting.startup = Some(*startup);
                sitting.health.clone_from(health);
            }
            Event::HostSeen { host } => self.host = Some(Arc::new(Host::clone(host))),
            Event::Warned {
                trial,
                sitting,
                text,
            }
            | Event::Waiting {
                trial,
                sitting,
                text,
            } => {
                let sitting = self.edit_sitting(*trial, *sitting)?;
                sitting.warnings.push(text.clone());
            }
            Event::PortBusy {
                trial,
                sitting,
                port,
                holder,
            } => {
                let sitting = self.edit_sitting(*trial, *sitting)?;
                sitting.warnings.push(port_busy(*port, holder).into());
            }
            Event::RunMarked { trial, mark } => {
                let trial = self.edit(*trial)?;
                if trial.purpose_of(mark.sitting) == Purpose::Measure {
                    trial.marks.push(mark.clone());
                }
            }
            Event::RunTold { trial, told } => self.edit(*trial)?.hear(told),
            Event::RunEnded { trial, run } => {
                self.results += 1;
                let trial = self.edit(*trial)?;
                match trial.purpose_of(run.sitting) {
                    Purpose::Measure => trial.runs.push(run.clone()),
                    _ => trial.extra.push(run.clone()),
                }
            }
            Event::SittingEnded {
                trial,
                sitting,
                end,
                health,
            } => {
                let ended = self.edit_sitting(*trial, *sitting)?;
                ended.ended = Some(fact.at);
                ended.end = Some(end.clone());
                let (purpose, is_held) = (ended.purpose, ended.is_held());
                let slot = ended.slot.clone();
                if health.is_some() {
                    ended.health.clone_from(health);
                }
                self.begun.remove(trial);
                self.work.end(fact.at);
                self.results += 1;
                // Most trials stay as they are from here on, and a large study
                // has a great many of them.
                let ended = self.edit(*trial)?;
                ended.runs.shrink_to_fit();
                ended.marks.shrink_to_fit();
                ended.sittings.shrink_to_fit();
                match purpose {
                    Purpose::Measure => self.settle(*trial, &slot, end)?,
                    Purpose::Preflight => {
                        let trial = self.edit(*trial)?;
                        if trial.skipped {
                            trial.outcome = Some(Outcome::Pruned);
                        }
                    }
                    // They follow once, however they end; but a runner that dies
                    // each time is not for ever started again.
                    Purpose::Incumbent => {
                        let fault = match end {
                            SittingEnd::Finished(outcome) => outcome.host_fault(),
                            SittingEnd::Interrupted => None,
                        };
                        if fault == Some(HostFault::RunnerDied) {
                            self.host_faults.add(&slot);
                        }
                    }
                    // It changes nothing of what came of the trial.
                    _ if is_held => {
                        self.host_faults.over(&slot);
                        if purpose == Purpose::Check {
                            self.find_levels();
                        }
                    }
                    _ => {
                        self.edit(*trial)?
                            .extra
                            .retain(|run| run.sitting != *sitting);
                        if *end != SittingEnd::Interrupted {
                            self.host_faults.add(&slot);
                        }
                    }
                }
            }
            Event::TrialReopened { trial } => {
                let reopened = self.edit(*trial)?;
                reopened.outcome = None;
                reopened.skipped = false;
                reopened.pruning = None;
                reopened.deferred = false;
                reopened.reopened = true;
                reopened.runs.retain(|run| run.is_good());
                reopened.forget_open_marks();
                if matches!(self.phase, Phase::Done(_)) {
                    self.phase = Phase::Active;
                }
                self.find_incumbent();
            }
            Event::TrialSkipped { trial } => {
                let skipped = self.edit(*trial)?;
                skipped.skipped = true;
                if skipped.running().is_none() {
                    // There is no sitting whose end would settle it.
                    skipped.outcome = Some(Outcome::Pruned);
                    self.find_incumbent();
                }
            }
            Event::TrialPruned { trial, pruning } => {
                self.edit(*trial)?.pruning = Some(pruning.clone());
            }
            Event::TrialDeferred { trial } => self.edit(*trial)?.deferred = true,
            Event::Drifted { trial, sitting, .. } => {
                self.edit(*trial)?;
                self.changes.push(Change {
                    trial: *trial,
                    sitting: *sitting,
                });
                self.find_levels();
            }
            Event::Paused { reason, by_user } => {
                self.phase = Phase::Paused(reason.clone());
                self.paused_by_user = *by_user;
            }
            Event::Resumed => {
                self.phase = Phase::Active;
                self.host_faults = Faults::default();
                self.consultations.try_anew();
            }
            Event::SpecAmended { amendments } => self.amend(amendments),
            // Whoever has read the file brings it: see `rewrite`.
            Event::SpecReloaded { .. } => self.consultations.try_anew(),
            Event::Done { reason } => {
                self.last_word = Some(fact.at);
                self.phase = Phase::Done(reason.clone());
                self.concluded = self.conclusion();
            }
            Event::Artifacts { trial, change } => self.take_change(*trial, change)?,
            Event::TaskResumed {
                trial,
                sitting,
                checkpoint,
                ..
            } => self.edit_sitting(*trial, *sitting)?.resumed = Some(checkpoint.clone()),
            Event::NoticeQueued(notice) => Arc::make_mut(&mut self.outbox).queue(fact.at, notice),
            Event::NoticeDelivered {
                channel,
                notices,
                refused,
            } => Arc::make_mut(&mut self.outbox).deliver(fact.at, channel, notices, refused),
            Event::NoticeGivenUp {
                channel,
                notices,
                reason,
                to,
            } => Arc::make_mut(&mut self.outbox).give_up(fact.at, channel, notices, reason, to),
        }
        Ok(())
    }

    fn settle(
        &mut self,
        id: TrialId,
        slot: &Option<Name>,
        end: &SittingEnd,
    ) -> Result<(), StudyError> {
        let SittingEnd::Finished(outcome) = end else {
            return Ok(());
        };
        if outcome.host_fault().is_some() {
            self.host_faults.add(slot);
            // Its bad runs are the host's as well, so they are run again.
            self.edit(id)?.runs.retain(|run| run.is_good());
            return Ok(());
        }
        self.host_faults.over(slot);
        self.edit(id)?.outcome = Some(outcome.clone());
        self.finish_if_whole(id);
        // The constraints of today decide, also where its owner has changed
        // them since it was journalled.
        self.judge_anew(id);
        if self.incumbent == Some(id) {
            self.find_incumbent();
        } else {
            self.challenge(id);
        }
        Ok(())
    }

    fn edit(&mut self, id: TrialId) -> Result<&mut Trial, StudyError> {
        let trial = self.trials.edit(id);
        trial.ok_or(StudyError::UnknownTrial(id))
    }

    fn edit_sitting(&mut self, id: TrialId, number: u32) -> Result<&mut Sitting, StudyError> {
        let unknown = StudyError::UnknownSitting {
            trial: id,
            sitting: number,
        };
        let sitting = self.edit(id)?.sittings.last_mut();
        sitting
            .filter(|s| s.number == number && s.end.is_none())
            .ok_or(unknown)
    }
}
