//! What waits for somebody's word, and what was refused.

use std::sync::Arc;

use super::{Phase, Study};
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::approval::{Approve, Ends, Overdue, Pending, Proposal};
use crate::model::choice::{Choice, Rule};
use crate::model::event::{Event, Fact};
use crate::model::params::Params;

impl Study {
    /// The proposal that waits for an answer; also while the study is paused
    /// or something else runs.
    pub fn pending(&self) -> Option<&Pending> {
        self.approvals.pending.as_ref()
    }

    /// Until when it is answered at the latest, and what happens then; `None`
    /// for no limit, and while the study is paused.
    pub fn pending_until(&self) -> Option<(Timestamp, Overdue)> {
        let approval = self.spec.approval;
        let timeout = i64::try_from(approval.timeout?.as_millis()).unwrap_or(i64::MAX);
        let since = self.pending()?.since.as_millis();
        let until = Timestamp::from_millis(since.saturating_add(timeout));
        (!matches!(self.phase, Phase::Paused(_))).then_some((until, approval.overdue))
    }

    /// Whether a user wants these params, which are of the present space, not
    /// to be tried: no sampler proposes them.
    pub fn is_rejected(&self, params: &Params) -> bool {
        self.approvals.is_rejected(params)
    }

    /// Whether these params, which are of the present space, can be proposed:
    /// they were neither tried nor refused.
    pub fn is_new(&self, params: &Params) -> bool {
        self.trial_of(params).is_none() && !self.is_rejected(params)
    }

    /// The params that were refused, as the present space has them.
    pub fn rejected(&self) -> impl Iterator<Item = Params> {
        let rejected = self.approvals.rejected().iter();
        rejected.map(|params| self.spec.space.completed(params))
    }

    /// Whether a user wants no further value of this parameter: a sampler that
    /// goes through them one by one goes on to the next.
    pub fn is_ended(&self, parameter: &str) -> bool {
        self.approvals.is_ended(parameter)
    }

    /// The parameters that users have ended, in that order.
    pub fn ended(&self) -> &[Name] {
        self.approvals.ended()
    }

    /// Whether a user has ended the study, and not resumed it since.
    pub fn ended_by_user(&self) -> bool {
        self.approvals.study_ended
    }

    /// What is asked about params that the sampler wants tried; `None` where
    /// nobody is asked. The baseline needs nobody's word.
    pub fn to_approve(&self, params: &Params, choice: Option<&Choice>) -> Option<Proposal> {
        let of = self.spec.approval.of;
        if of == Approve::Never || self.spec.space.baseline().as_ref() == Ok(params) {
            return None;
        }
        let base = match choice.map(|choice| choice.rule) {
            Some(Rule::Coordinate { base }) => self.trial(base),
            _ => self.incumbent().or_else(|| self.baseline()),
        };
        let is_ordered = self.spec.search.sampler.goes_by_parameter();
        let changed = base.filter(|_| is_ordered).and_then(|base| {
            let base = self.params_of(base);
            // What is there only with the new value is not what is tuned.
            let differs = |name: &Name| {
                let (old, new) = (base.get(name), params.get(name));
                old.is_some() && new.is_some() && old != new
            };
            let mut changed = base
                .iter()
                .map(|(name, _)| name)
                .filter(|name| differs(name));
            changed.next().filter(|_| changed.next().is_none()).cloned()
        });
        let goes_on =
            of == Approve::Parameter && changed.is_some() && changed == self.approvals.parameter;
        (!goes_on).then(|| Proposal {
            number: self.approvals.asked + 1,
            params: params.clone(),
            choice: choice.cloned().map(Box::new),
            against: base.map(|base| base.id),
            parameter: changed,
        })
    }

    /// The parameters that a proposal changes: the one that is being tuned, or
    /// all that differ from what it is a change of.
    pub fn changed_by(&self, proposal: &Proposal) -> Vec<Name> {
        if let Some(parameter) = &proposal.parameter {
            return vec![parameter.clone()];
        }
        let against = proposal.against.and_then(|trial| self.trial(trial));
        let params = self.spec.space.completed(&proposal.params);
        against.map_or_else(Vec::new, |against| {
            params.difference(&self.params_of(against))
        })
    }

    /// Whether the proposal that waits is about a parameter that the sampler
    /// tunes already, rather than one that it goes on to.
    pub fn stays_with_parameter(&self) -> bool {
        let parameter = self
            .pending()
            .and_then(|pending| pending.proposal.parameter.as_ref());
        parameter.is_some() && parameter == self.approvals.parameter.as_ref()
    }

    /// Why nobody needs to answer the proposal that waits any more.
    pub fn obsolete(&self) -> Option<&'static str> {
        let params = self.spec.space.completed(&self.pending()?.proposal.params);
        if self.spec.approval.of == Approve::Never {
            Some("approval is not asked for any more")
        } else if !self.spec.space.allows(&params) {
            Some("the search space does not allow it any more")
        } else {
            let tried = self.trial_of(&params).is_some();
            tried.then_some("it was tried meanwhile")
        }
    }

    /// Takes up an event about approval; others change nothing here.
    pub(super) fn take_up_approval(&mut self, fact: &Fact) {
        let matters = match &fact.event {
            Event::ApprovalAsked(_)
            | Event::ApprovalGiven { .. }
            | Event::ApprovalRefused { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::ParameterReopened { .. }
            | Event::Resumed => true,
            Event::TrialPlanned { .. } => self.pending().is_some(),
            _ => false,
        };
        if !matters {
            return;
        }
        let approvals = Arc::make_mut(&mut self.approvals);
        let space = &self.spec.space;
        match &fact.event {
            Event::ApprovalAsked(proposal) => {
                if matches!(self.phase, Phase::Done(_)) {
                    // Its budget or space grew.
                    self.phase = Phase::Active;
                }
                approvals.asked = approvals.asked.max(proposal.number);
                approvals.pending = Some(Pending {
                    proposal: Arc::clone(proposal),
                    since: fact.at,
                });
            }
            Event::ApprovalGiven { instead, .. } => {
                if let Some(pending) = approvals.pending.take() {
                    let Proposal {
                        params, parameter, ..
                    } = &*pending.proposal;
                    if instead.as_ref().is_some_and(|instead| instead != params) {
                        // Somebody knows better, and is not asked again.
                        approvals.reject(params.clone(), space);
                    }
                    if parameter.is_some() {
                        approvals.parameter.clone_from(parameter);
                    }
                }
            }
            Event::ApprovalRefused { ends, .. } => {
                let pending = approvals.pending.take();
                match ends {
                    Ends::Proposal => {}
                    Ends::Parameter(parameter) => approvals.end(parameter),
                    // It may well be tried once the study is resumed.
                    Ends::Study => {
                        approvals.study_ended = true;
                        return;
                    }
                }
                if let Some(pending) = pending {
                    approvals.reject(pending.proposal.params.clone(), space);
                }
            }
            Event::ApprovalWithdrawn { .. } => approvals.pending = None,
            Event::ParameterReopened { parameter, .. } => {
                approvals.reopen(parameter);
                // What a sampler is thinking of is without it.
                self.revision += 1;
            }
            Event::Resumed => {
                approvals.study_ended = false;
                if let Some(pending) = &mut approvals.pending {
                    pending.since = fact.at;
                }
            }
            Event::TrialPlanned { params, .. } => {
                let params = space.completed(params);
                let is_it = |pending: &Pending| space.completed(&pending.proposal.params) == params;
                if approvals.pending.as_ref().is_some_and(is_it) {
                    approvals.pending = None;
                }
            }
            _ => {}
        }
    }

    /// The study waits for an answer whenever there is nothing else to do.
    pub(super) fn find_phase(&mut self) {
        let waits =
            self.pending().is_some() && self.unsettled().is_none() && self.running().is_none();
        match (&self.phase, waits) {
            (Phase::Active, true) => self.phase = Phase::AwaitingApproval,
            (Phase::AwaitingApproval, false) => self.phase = Phase::Active,
            _ => {}
        }
    }
}
