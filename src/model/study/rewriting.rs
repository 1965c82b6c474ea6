//! A study that goes by another spec from here on: all that was measured is
//! judged anew by it.

use std::sync::Arc;

use super::Study;
use crate::model::amendment::Amendments;
use crate::model::spec::Spec;
use crate::model::tally::Tally;
use crate::model::trial::TrialId;
use crate::model::trials::ByParams;

impl Study {
    /// Goes by another spec of its owner's from here on, as if it had been
    /// opened with that. The amendments lie on top of it.
    pub fn rewrite(&mut self, written: Arc<Spec>) {
        self.forget_faults_of_changed(&written);
        self.written = written;
        let amendments = self.amendments.clone();
        self.amend(&amendments);
    }

    pub(super) fn amend(&mut self, amendments: &Amendments) {
        let (spec, unfit) = amendments.over(&self.written);
        self.amendments = amendments.clone();
        self.unfit = unfit;
        self.spec = Arc::new(spec);
        self.revision += 1;
        Arc::make_mut(&mut self.approvals).refit(&self.spec.space);
        self.by_params = ByParams::new();
        for trial in self.trials.iter() {
            let params = self.spec.space.completed(&trial.params);
            self.by_params.insert(params, trial.id);
        }
        for index in 0..self.trials.len() {
            self.finish_if_whole(TrialId(index as u32 + 1));
            self.judge_anew(TrialId(index as u32 + 1));
        }
        self.tally = Tally::of(&self.trials);
        self.find_levels();
        self.find_incumbent();
    }
}
