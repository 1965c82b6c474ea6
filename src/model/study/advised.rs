//! What the advisor said of the study, and which trials came of it.

use std::sync::Arc;

use super::Study;
use crate::model::Name;
use crate::model::advice::{Advice, Answer, Consultations, Question};
use crate::model::choice::Rule;
use crate::model::trial::Trial;

impl Study {
    /// All that the advisor was asked, in order, with what came of it.
    pub fn advice(&self) -> &[Arc<Advice>] {
        self.consultations.all()
    }

    /// The same, with what it amounts to.
    pub fn consultations(&self) -> &Consultations {
        &self.consultations
    }

    /// The parameters that were gone through by now, or are gone through just
    /// now: those whose values were asked for, in order, none twice.
    pub fn gone_through(&self) -> Vec<&Name> {
        let mut names: Vec<&Name> = Vec::new();
        for advice in self.advice() {
            if let Question::Value { parameter, .. } = &advice.question
                && advice.answer != Ok(Answer::Outdated)
                && !names.contains(&parameter)
            {
                names.push(parameter);
            }
        }
        names
    }

    /// Whether a plan may name this parameter still: it was not gone through,
    /// and no user has ended it.
    pub fn is_left_to_plan(&self, parameter: &str) -> bool {
        let is_it = |name: &&Name| &***name == parameter;
        !self.is_ended(parameter) && !self.gone_through().iter().any(is_it)
    }

    /// The advice that led to a trial: what the advisor proposed, or why the
    /// fall-back took its place.
    pub fn advice_of(&self, trial: &Trial) -> Option<&Arc<Advice>> {
        match trial.choice.as_deref()?.rule {
            Rule::Advisor { advice } | Rule::Fallback { advice } => self.consultations.of(advice),
            _ => None,
        }
    }
}
