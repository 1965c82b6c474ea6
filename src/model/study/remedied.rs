//! Which trials a remedy may help, and which has helped.

use std::sync::Arc;

use super::Study;
use crate::model::trial::{Trial, TrialId};

impl Study {
    /// The trials that a known trouble has ended and that have no remedy yet, in
    /// the order of their numbers; none that was to be one.
    pub fn troubled(&self) -> impl Iterator<Item = &Arc<Trial>> {
        let helped = |id: &&TrialId| self.tally.helpers.contains_key(id);
        let troubled = self.tally.troubled.iter().filter(move |id| !helped(id));
        troubled.filter_map(|id| self.trial(*id))
    }

    /// The trial that is the remedy for what `trial` failed by, if there is one.
    pub fn helper(&self, trial: TrialId) -> Option<TrialId> {
        self.tally.helpers.get(&trial).copied()
    }
}
