//! All trials of a study, in pages that the copies of a study share: every fact
//! makes a copy, and must not cost a look at each trial of a large study.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Index;
use std::sync::Arc;

use super::params::Params;
use super::trial::{Trial, TrialId};

/// So many trials share a page. A copy costs a pointer a page, a change the
/// pointers of one page.
const PAGE: usize = 256;
/// Into so many parts the params are divided.
const PARTS: usize = 256;

type Page = Arc<Vec<Arc<Trial>>>;
type Within<'a> = std::slice::Iter<'a, Arc<Trial>>;

/// Trials in order.
pub type Iter<'a> =
    std::iter::FlatMap<std::slice::Iter<'a, Page>, Within<'a>, fn(&'a Page) -> Within<'a>>;

/// Trials in the order of their numbers, without gaps. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trials {
    /// All but the last are full; none is empty.
    pages: Vec<Page>,
}

impl Trials {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self.pages.split_last() {
            Some((last, full)) => full.len() * PAGE + last.len(),
            None => 0,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The trial at this place, from 0.
    pub fn get(&self, index: usize) -> Option<&Arc<Trial>> {
        self.pages.get(index / PAGE)?.get(index % PAGE)
    }

    /// All of them.
    pub fn iter(&self) -> Iter<'_> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    pub(super) fn of(&self, id: TrialId) -> Option<&Arc<Trial>> {
        self.get((id.0 as usize).checked_sub(1)?)
    }

    pub(super) fn edit(&mut self, id: TrialId) -> Option<&mut Trial> {
        let index = (id.0 as usize).checked_sub(1)?;
        let page = Arc::make_mut(self.pages.get_mut(index / PAGE)?);
        page.get_mut(index % PAGE).map(Arc::make_mut)
    }

    pub(super) fn push(&mut self, trial: Trial) {
        let trial = Arc::new(trial);
        match self.pages.last_mut().filter(|page| page.len() < PAGE) {
            Some(page) => Arc::make_mut(page).push(trial),
            None => self.pages.push(Arc::new(vec![trial])),
        }
    }
}

impl<'a> IntoIterator for &'a Trials {
    type Item = &'a Arc<Trial>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Index<usize> for Trials {
    type Output = Arc<Trial>;

    /// # Panics
    /// Where there is none.
    fn index(&self, index: usize) -> &Arc<Trial> {
        &self.pages[index / PAGE][index % PAGE]
    }
}

/// Which trial was the first of which params. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ByParams {
    hasher: RandomState,
    parts: Vec<Arc<HashMap<Params, TrialId, RandomState>>>,
}

impl ByParams {
    pub(super) fn new() -> Self {
        let hasher = RandomState::new();
        let part = Arc::new(HashMap::with_hasher(hasher.clone()));
        Self {
            parts: vec![part; PARTS],
            hasher,
        }
    }

    fn part(&self, params: &Params) -> usize {
        // The map within goes by the other bits.
        (self.hasher.hash_one(params) >> 32) as usize % PARTS
    }

    pub(super) fn get(&self, params: &Params) -> Option<TrialId> {
        self.parts[self.part(params)].get(params).copied()
    }

    pub(super) fn insert(&mut self, params: Params, trial: TrialId) {
        let part = self.part(&params);
        let part = Arc::make_mut(&mut self.parts[part]);
        part.entry(params).or_insert(trial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::model::trial::Origin;
    use crate::model::value::Value;

    fn params(number: usize) -> Params {
        let value = Value::text(number.to_string());
        Params::recorded([(Name::from("N"), value)])
    }

    fn trials(count: usize) -> Trials {
        let mut trials = Trials::default();
        for number in 1..=count {
            let id = TrialId(number as u32);
            trials.push(Trial::new(id, params(number), Origin::Sampler));
        }
        trials
    }

    #[test]
    fn trials_keep_their_places() {
        for count in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 7] {
            let trials = trials(count);
            assert_eq!((trials.len(), trials.is_empty()), (count, count == 0));
            let ids: Vec<u32> = trials.iter().map(|trial| trial.id.0).collect();
            assert_eq!(ids, (1..=count as u32).collect::<Vec<_>>());
            for (index, id) in ids.iter().enumerate() {
                assert_eq!(trials[index].id.0, *id);
                assert_eq!(trials.of(TrialId(*id)).map(|t| t.id.0), Some(*id));
            }
            assert!(trials.get(count).is_none() && trials.of(TrialId(0)).is_none());
        }
    }

    #[test]
    fn a_copy_stays_as_it_was_and_shares_what_did_not_change() {
        let mut now = trials(3 * PAGE);
        let then = now.clone();
        now.edit(TrialId(PAGE as u32 + 5)).expect("a trial").skipped = true;
        now.push(Trial::new(TrialId(9), params(9), Origin::User));
        assert!(now[PAGE + 4].skipped && !then[PAGE + 4].skipped);
        assert_eq!((now.len(), then.len()), (3 * PAGE + 1, 3 * PAGE));
        let shared = now.pages.iter().zip(&then.pages);
        let shared: Vec<bool> = shared.map(|(a, b)| Arc::ptr_eq(a, b)).collect();
        assert_eq!(shared, [true, false, true]);
    }

    #[test]
    fn the_first_trial_of_params_is_found() {
        let mut known = ByParams::new();
        for number in 1..=1000 {
            known.insert(params(number), TrialId(number as u32));
        }
        known.insert(params(7), TrialId(2000));
        for number in 1..=1000 {
            assert_eq!(known.get(&params(number)), Some(TrialId(number as u32)));
        }
        assert_eq!(known.get(&params(1001)), None);
    }
}
