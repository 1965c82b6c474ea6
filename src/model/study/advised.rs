//! What the advisor said of the study, and which trials came of it.

use std::sync::Arc;

use super::Study;
use crate::model::advice::{Advice, Consultations};
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

    /// The advice that led to a trial: what the advisor proposed, or why the
    /// fall-back took its place.
    pub fn advice_of(&self, trial: &Trial) -> Option<&Arc<Advice>> {
        match trial.choice.as_deref()?.rule {
            Rule::Advisor { advice } | Rule::Fallback { advice } => self.consultations.of(advice),
            _ => None,
        }
    }
}
