//! Whose word a study waits for before it tries what its sampler proposes, and
//! what became of the proposals.
//!
//! ```text
//!   asked ──▶ waits ─┬─ given ──────▶ tried, with the values that were given
//!                    ├─ refused ────▶ never proposed again
//!                    └─ withdrawn ──▶ proposed anew, where it still can be
//! ```

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Name;
use super::choice::Choice;
use super::params::Params;
use super::space::Space;
use super::trial::TrialId;
use crate::base::clock::Timestamp;

/// What must be approved before it is tried, and what becomes of a proposal
/// that nobody answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// What.
    pub of: Approve,
    /// How long an answer is waited for; for ever when `None`.
    pub timeout: Option<Duration>,
    /// What happens then.
    pub overdue: Overdue,
}

/// What must be approved before it is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approve {
    /// Nothing.
    #[default]
    Never,
    /// Every trial that the sampler proposes.
    Trial,
    /// The first of each parameter that the sampler goes on to; every one of a
    /// sampler that has no order of parameters.
    Parameter,
}

impl Approve {
    /// Every one, by its [name](Self::name).
    pub const ALL: [Self; 3] = [Self::Never, Self::Trial, Self::Parameter];

    /// Its name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Trial => "trial",
            Self::Parameter => "parameter",
        }
    }
}

/// What becomes of a proposal that nobody answers in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overdue {
    /// It is tried.
    Approve,
    /// It is not, and another one is made.
    Reject,
    /// The study is paused, and waits again once it is resumed.
    #[default]
    Pause,
}

impl Overdue {
    /// Every one, by its [name](Self::name).
    pub const ALL: [Self; 3] = [Self::Approve, Self::Reject, Self::Pause];

    /// Its name in a spec.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Pause => "pause",
        }
    }
}

/// What a sampler wants tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Its number in the study, from 1.
    pub number: u32,
    /// What is to be tried.
    pub params: Params,
    /// Why the sampler wants it.
    pub choice: Option<Box<Choice>>,
    /// The trial that it is a change of.
    pub against: Option<TrialId>,
    /// The parameter that is being tuned, where the sampler goes through them
    /// one by one.
    pub parameter: Option<Name>,
}

/// A proposal that waits for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// What is proposed.
    pub proposal: Arc<Proposal>,
    /// Since when: the time limit counts from here. It begins anew as the study
    /// is resumed.
    pub since: Timestamp,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A user.
    User {
        /// Who, for the system.
        uid: u32,
        /// Who, for people; `None` where the system has no name.
        name: Option<Name>,
    },
    /// Nobody, in time.
    Timeout,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User {
                name: Some(name), ..
            } => f.write_str(name),
            Self::User { uid, name: None } => write!(f, "uid {uid}"),
            Self::Timeout => f.write_str("the time limit"),
        }
    }
}

/// What else ends with a proposal that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nothing: the sampler proposes something else.
    Proposal,
    /// This parameter: the sampler proposes no further value of it.
    Parameter(Name),
    /// The study, until it is resumed.
    Study,
}

/// What was asked and answered so far.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    pub(super) asked: u32,
    pub(super) pending: Option<Pending>,
    rejected: Vec<Params>,
    /// The same, as the space has them now.
    known: HashSet<Params>,
    ended: Vec<Name>,
    /// The parameter of the last proposal that was approved.
    pub(super) parameter: Option<Name>,
    pub(super) study_ended: bool,
}

impl Approvals {
    pub(super) fn reject(&mut self, params: Params, space: &Space) {
        self.known.insert(space.completed(&params));
        self.rejected.push(params);
    }

    pub(super) fn end(&mut self, parameter: &Name) {
        if !self.ended.contains(parameter) {
            self.ended.push(parameter.clone());
        }
    }

    pub(super) fn reopen(&mut self, parameter: &Name) {
        self.ended.retain(|ended| ended != parameter);
    }

    pub(super) fn ended(&self) -> &[Name] {
        &self.ended
    }

    /// Goes by another space.
    pub(super) fn refit(&mut self, space: &Space) {
        let rejected = self.rejected.iter();
        self.known = rejected.map(|params| space.completed(params)).collect();
    }

    pub(super) fn is_rejected(&self, params: &Params) -> bool {
        self.known.contains(params)
    }

    pub(super) fn is_ended(&self, parameter: &str) -> bool {
        self.ended.iter().any(|ended| &**ended == parameter)
    }

    pub(super) fn rejected(&self) -> &[Params] {
        &self.rejected
    }
}
