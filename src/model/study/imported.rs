//! What was measured before the study, elsewhere: learned from, and nothing else.

use std::sync::Arc;

use super::Study;
use crate::model::prior::{Batch, Priors};

impl Study {
    /// All that was imported.
    pub fn priors(&self) -> &Priors {
        &self.priors
    }

    pub(super) fn import(&mut self, batch: &Batch) {
        Arc::make_mut(&mut self.priors).add(batch, &self.spec.space);
    }

    /// The space is another: what it allows is found anew.
    pub(super) fn refit_imported(&mut self) {
        if !self.priors.is_empty() {
            Arc::make_mut(&mut self.priors).refit(&self.spec.space);
        }
    }
}
