//! What was asked and answered about proposals, as the journal has it. The
//! names and fields are the format: see [`super::event_record`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::choice_record::ChoiceRecord;
use super::text::{Interner, Pairs, Scalar, Text};
use crate::model::approval::{By, Ends, Proposal};
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::trial::TrialId;

#[derive(Serialize, Deserialize)]
pub(super) struct AskedRecord<'a> {
    number: u32,
    #[serde(borrow)]
    params: Pairs<'a, Scalar<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<ChoiceRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    against: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameter: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct GivenRecord<'a> {
    #[serde(borrow)]
    by: ByRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instead: Option<Pairs<'a, Scalar<'a>>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RefusedRecord<'a> {
    #[serde(borrow)]
    by: ByRecord<'a>,
    ends: EndsRecord<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ReopenedRecord<'a> {
    #[serde(borrow)]
    by: ByRecord<'a>,
    parameter: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ByRecord<'a> {
    User {
        uid: u32,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        name: Option<Text<'a>>,
    },
    Timeout,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EndsRecord<'a> {
    Proposal,
    Parameter(#[serde(borrow)] Text<'a>),
    Study,
}

impl<'a> AskedRecord<'a> {
    pub(super) fn of(proposal: &'a Proposal) -> Self {
        Self {
            number: proposal.number,
            params: Scalar::pairs(&proposal.params),
            choice: proposal.choice.as_deref().map(ChoiceRecord::of),
            against: proposal.against.map(|trial| trial.0),
            parameter: proposal.parameter.as_deref().map(Text::of),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        Ok(Event::ApprovalAsked(Arc::new(Proposal {
            number: self.number,
            params: self.params.into_params(names)?,
            choice: self.choice.map(|choice| Box::new(choice.into_choice())),
            against: self.against.map(TrialId),
            parameter: self.parameter.map(|name| names.name(name.as_str())),
        })))
    }
}

impl<'a> GivenRecord<'a> {
    pub(super) fn of(by: &'a By, instead: Option<&'a Params>) -> Self {
        Self {
            by: ByRecord::of(by),
            instead: instead.map(Scalar::pairs),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        let instead = self.instead.map(|instead| instead.into_params(names));
        Ok(Event::ApprovalGiven {
            by: self.by.into_by(names),
            instead: instead.transpose()?,
        })
    }
}

impl<'a> RefusedRecord<'a> {
    pub(super) fn of(by: &'a By, ends: &'a Ends) -> Self {
        Self {
            by: ByRecord::of(by),
            ends: match ends {
                Ends::Proposal => EndsRecord::Proposal,
                Ends::Parameter(name) => EndsRecord::Parameter(Text::of(name)),
                Ends::Study => EndsRecord::Study,
            },
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Event {
        Event::ApprovalRefused {
            by: self.by.into_by(names),
            ends: match self.ends {
                EndsRecord::Proposal => Ends::Proposal,
                EndsRecord::Parameter(name) => Ends::Parameter(names.name(name.as_str())),
                EndsRecord::Study => Ends::Study,
            },
        }
    }
}

impl<'a> ReopenedRecord<'a> {
    pub(super) fn of(by: &'a By, parameter: &'a str) -> Self {
        Self {
            by: ByRecord::of(by),
            parameter: Text::of(parameter),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Event {
        Event::ParameterReopened {
            by: self.by.into_by(names),
            parameter: names.name(self.parameter.as_str()),
        }
    }
}

impl<'a> ByRecord<'a> {
    fn of(by: &'a By) -> Self {
        match by {
            By::User { uid, name } => Self::User {
                uid: *uid,
                name: name.as_deref().map(Text::of),
            },
            By::Timeout => Self::Timeout,
        }
    }

    fn into_by(self, names: &mut Interner) -> By {
        match self {
            Self::User { uid, name } => By::User {
                uid,
                name: name.map(|name| names.name(name.as_str())),
            },
            Self::Timeout => By::Timeout,
        }
    }
}
