//! Faults of the host, slot by slot: one that works says nothing about another
//! whose GPU is lost.

use std::sync::Arc;

use super::{Phase, Study};
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::outcome::{Failure, FailureKind, Outcome};
use crate::model::spec::Spec;
use crate::model::trial::{SittingEnd, Trial};

/// So many sittings in a row that the host's fault ended put a slot out of use.
pub const HOST_FAULTS_MAX: u32 = 5;

/// How many sittings in a row the host's fault has ended, in each slot; those
/// without any are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Vec<(Option<Name>, u32)>);

impl Faults {
    pub(super) fn add(&mut self, slot: &Option<Name>) {
        match self.0.iter_mut().find(|(known, _)| known == slot) {
            Some((_, count)) => *count += 1,
            None => self.0.push((slot.clone(), 1)),
        }
    }

    /// A sitting has come to its end.
    pub(super) fn over(&mut self, slot: &Option<Name>) {
        self.0.retain(|(known, _)| known != slot);
    }
}

impl Study {
    /// How many sittings in a row the host's fault has ended in a slot.
    pub fn host_faults(&self, slot: &Option<Name>) -> u32 {
        let mut known = self.host_faults.0.iter();
        let found = known.find(|(known, _)| known == slot);
        found.map_or(0, |(_, count)| *count)
    }

    /// Whether the host's fault has ended the latest sitting of any slot.
    pub fn has_host_faults(&self) -> bool {
        !self.host_faults.0.is_empty()
    }

    /// Gives the slots another try that are other ones in `written`: what got in
    /// the way, a port or a GPU, need not be theirs any more.
    pub(super) fn forget_faults_of_changed(&mut self, written: &Spec) {
        let spec = Arc::clone(&self.spec);
        self.host_faults.0.retain(|(slot, _)| {
            let of = |spec: &Spec| slot.as_deref().and_then(|name| spec.slot(name).cloned());
            of(&spec) == of(written)
        });
    }

    /// Whether a slot is out of use until the study is resumed.
    pub fn is_out_of_use(&self, slot: &Option<Name>) -> bool {
        self.host_faults(slot) >= HOST_FAULTS_MAX
    }

    /// The trial that waits after a fault of the host, with that fault and when
    /// it showed. `None` while the study is paused, and where a trial runs in its
    /// slot.
    pub fn held_up(&self) -> Option<(&Trial, &Failure, Timestamp)> {
        if self.phase != Phase::Active {
            return None;
        }
        let mut unsettled = self.all_unsettled();
        unsettled.find_map(|trial| {
            let last = trial.sittings.last()?;
            if self.host_faults(&last.slot) == 0 || self.is_taken(&last.slot) {
                return None;
            }
            let Some(SittingEnd::Finished(Outcome::Failed(failure))) = &last.end else {
                return None;
            };
            let is_fault = matches!(failure.kind, FailureKind::Host(_));
            is_fault.then_some((&**trial, &**failure, last.ended?))
        })
    }
}
