//! Where trials run side by side, and how long anything ran at all.

use std::sync::Arc;
use std::time::Duration;

use super::Study;
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::trial::{Origin, Purpose, Trial};

/// The time in which something ran, be it one sitting or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// The sittings that run.
    open: u32,
    /// Since when any does, and the latest end since then.
    span: Option<(Timestamp, Timestamp)>,
    /// What came before.
    sum: Duration,
}

impl Work {
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.span.get_or_insert((at, at));
        self.open += 1;
    }

    pub(super) fn end(&mut self, at: Timestamp) {
        self.open = self.open.saturating_sub(1);
        let Some((since, latest)) = &mut self.span else {
            return;
        };
        *latest = at.max(*latest);
        if self.open == 0 {
            self.sum += latest.since(*since);
            self.span = None;
        }
    }

    pub(super) fn so_far(&self, now: Timestamp) -> Duration {
        let running = self.span.map(|(since, _)| now.since(since));
        self.sum + running.unwrap_or_default()
    }
}

impl Study {
    /// The trials that run now, in the order of their numbers.
    pub fn all_running(&self) -> impl Iterator<Item = &Arc<Trial>> {
        let open = self.tally.open.iter().filter_map(|id| self.trial(*id));
        open.filter(|trial| trial.running().is_some())
    }

    /// The trial that runs now; of several the one with the lowest number.
    pub fn running(&self) -> Option<&Arc<Trial>> {
        self.all_running().next()
    }

    /// The first trial that is planned or interrupted, and does not run.
    pub fn waiting(&self) -> Option<&Arc<Trial>> {
        self.all_unsettled().find(|trial| trial.running().is_none())
    }

    /// The time with a trial running, be it one or several; up to `now`, where
    /// one does.
    pub fn busy(&self, now: Timestamp) -> Duration {
        self.work.so_far(now)
    }

    /// The time of all sittings together; those that run count up to `now`.
    pub fn sitting_time(&self, now: Timestamp) -> Duration {
        let sittings = self.all_running().filter_map(|trial| trial.running());
        let running: Duration = sittings.map(|sitting| now.since(sitting.started)).sum();
        self.tally.busy + running
    }

    /// The time of GPUs with a trial running: [`sitting_time`](Self::sitting_time)
    /// for each GPU that a trial has.
    pub fn gpu_time(&self, now: Timestamp) -> Duration {
        self.sitting_time(now).saturating_mul(self.spec.gpus())
    }

    /// Whether a trial runs in a slot.
    pub fn is_taken(&self, slot: &Option<Name>) -> bool {
        let mut sittings = self.all_running().filter_map(|trial| trial.running());
        sittings.any(|sitting| sitting.slot == *slot)
    }

    /// The slots in which none runs; none of them while one runs in a slot that
    /// the spec has no more, which may have the same GPUs.
    pub fn free_slots(&self) -> Vec<Option<Name>> {
        let places = self.spec.places();
        let mut running = self.all_running().filter_map(|trial| trial.running());
        if running.any(|sitting| !places.contains(&sitting.slot)) {
            return Vec::new();
        }
        let free = places.into_iter().filter(|slot| !self.is_taken(slot));
        free.collect()
    }

    /// Whether nothing else may run beside a sitting of `trial` for `purpose`.
    ///
    /// The starting params are measured alone: every gain goes by them, and the
    /// neighbours that they had would be in all of them. So are the checks for
    /// drift, which are compared with that, and the confirmation, which is the
    /// last word. What a training comes to does not depend on who trains beside
    /// it, so the starting params need no hours of their own there.
    pub fn must_be_alone(&self, trial: &Trial, purpose: Purpose) -> bool {
        let is_baseline = trial.origin == Origin::Baseline;
        let is_measured = purpose == Purpose::Measure && is_baseline;
        purpose.is_alone() || is_measured && !self.spec.trains()
    }

    /// Whether something runs that nothing else may run beside.
    pub fn runs_alone(&self) -> bool {
        self.all_running().any(|trial| {
            let purpose = trial.running().map(|sitting| sitting.purpose);
            purpose.is_some_and(|purpose| self.must_be_alone(trial, purpose))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_once_however_many_sittings_run() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let mut work = Work::default();
        work.begin(at(10));
        work.begin(at(12));
        assert_eq!(work.so_far(at(13)), Duration::from_secs(3));
        // After a crash the ends are on record in any order.
        work.end(at(20));
        work.end(at(15));
        assert_eq!(work.so_far(at(99)), Duration::from_secs(10));
        work.begin(at(100));
        work.end(at(101));
        assert_eq!(work.so_far(at(200)), Duration::from_secs(11));
    }
}
