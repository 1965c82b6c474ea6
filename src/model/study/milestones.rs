//! When what happened last: for those who watch a study from afar.

use super::{Phase, Study};
use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};

/// The latest of each kind. Nothing is decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Milestones {
    /// How often a daemon took up the study.
    pub openings: u32,
    /// Since when the study is in its phase, whatever the reason for that.
    pub phase_since: Option<Timestamp>,
    /// The end of the last good run that has measured the objective, whatever it
    /// was for, and what it has measured.
    pub measured: Option<(Timestamp, f64)>,
}

impl Study {
    /// When what happened last.
    pub fn milestones(&self) -> Milestones {
        self.milestones
    }

    /// Takes up a fact, after which the study is no more in the phase `before`,
    /// or still.
    pub(super) fn note(&mut self, fact: &Fact, before: &Phase) {
        let same = std::mem::discriminant(before) == std::mem::discriminant(&self.phase);
        if !same || self.milestones.phase_since.is_none() {
            self.milestones.phase_since = Some(fact.at);
        }
        match &fact.event {
            Event::Opened { .. } => self.milestones.openings += 1,
            Event::RunEnded { run, .. } if run.is_good() => {
                let metric = &self.spec.objective.metric;
                if let Some((_, value)) = run.metrics.iter().find(|(name, _)| name == metric) {
                    self.milestones.measured = Some((fact.at, value.get()));
                }
            }
            _ => {}
        }
    }
}
