//! One parameter after the other, from the best so far: the reference tuner's
//! order and groups.
//!
//! Every ask replays the whole walk from the history, so that there is no
//! state to lose:
//!
//! ```text
//! base = the baseline, seen = its number
//! for each pass, for each parameter that is active in the base:
//!     the group = the base with every value of the parameter in turn
//!     one of the group is not in the history  ->  Try it, unless a user has
//!            refused it or ended the parameter
//!     seen = the highest number in the group, if above seen
//!     a trial up to seen is not settled       ->  Wait
//!     base = the best of the trials 1 to seen; of equals the base, then the
//!            earliest
//! after a pass that left the base as it was:
//!     a trial after seen beats the base       ->  it is the base, go on
//!     none does                               ->  Exhausted
//! ```
//!
//! # Why a restart changes nothing
//! A group is decided from the trials with numbers up to `seen` alone. All of
//! them exist when it is decided, whoever asked for them and whenever they ran,
//! and trials that are added later have higher numbers. So a longer history
//! decides every earlier group as it was decided then. Likewise the *first*
//! trial after `seen` that beats the base stays the first. Only a trial that is
//! reopened and measured anew can change what it decided; the walk then goes
//! on as it would have gone with those numbers, and repeats nothing.
//!
//! The base is itself among the trials 1 to `seen`: the incumbent always
//! competes, and a trial from before a restart counts like any other.
//!
//! # Details
//! - A value whose params break a rule, or that a user has refused, is left out
//!   of its group. What the user tried instead is in it.
//! - While nothing is feasible, the base is the trial that misses the
//!   constraints least ([`Study::violation`]), of equals the one with the
//!   better objective. A failed trial never is, except the baseline for want
//!   of any other.
//! - A trial whose params do not fit the space any more (imported, or from
//!   before a change of the spec) is no base. One that only lacks parameters
//!   that were added since counts as having had their base values.

use super::Ask;
use super::standing::Standing;
use crate::model::choice::Rule;
use crate::model::params::Params;
use crate::model::reason;
use crate::model::space::Parameter;
use crate::model::study::Study;
use crate::model::trial::{Origin, TrialId};

/// What to try next. Costs one look at each trial, and the making of all
/// params of all groups so far.
pub(super) fn ask(study: &Study, baseline: &Params) -> Ask {
    go(&mut Walk::new(study, baseline))
}

/// The trial that [`ask`] varies.
pub(super) fn base(study: &Study, baseline: &Params) -> Option<TrialId> {
    let mut walk = Walk::new(study, baseline);
    go(&mut walk);
    study.trial_of(&walk.base).map(|trial| trial.id)
}

fn go(walk: &mut Walk<'_>) -> Ask {
    let spec = walk.study.spec();
    let parameters = spec.space.parameters();
    let passes = spec.search.passes.max(1);
    for pass in 1..=passes {
        let before = walk.base.clone();
        for parameter in parameters {
            if let Err(ask) = walk.group(parameter) {
                return ask;
            }
        }
        if walk.base != before {
            continue;
        }
        // In the last pass a better base would have nowhere to go.
        let overtaken = pass < passes && {
            match walk.overtake() {
                Ok(overtaken) => overtaken,
                Err(ask) => return ask,
            }
        };
        if !overtaken {
            return Ask::Exhausted(reason::NO_VALUE_BETTER.say([]));
        }
    }
    Ask::Exhausted(match (passes, parameters.len()) {
        (1, 1) => reason::ONE_PASS_OF_ONE.say([]),
        (1, count) => reason::ONE_PASS.say([&count]),
        (passes, 1) => reason::PASSES_OF_ONE.say([&passes]),
        (passes, count) => reason::PASSES.say([&passes, &count]),
    })
}

/// The params that differ from `base` in one parameter, a level of it each, in
/// order. What breaks a rule is left out.
pub(super) fn variations(
    study: &Study,
    base: &Params,
    parameter: &Parameter,
) -> impl Iterator<Item = Params> {
    let spec = study.spec();
    let own = base.get(&parameter.name);
    let levels = parameter.domain.levels(spec.search.levels).into_iter();
    let others = levels.filter(move |value| Some(value) != own);
    others.filter_map(|value| spec.space.with(base, &parameter.name, &value).ok())
}

struct Walk<'a> {
    study: &'a Study,
    base: Params,
    standing: Option<Standing>,
    /// How many trials have competed for the base.
    judged: usize,
    /// The highest number that the walk has needed: trials up to here count.
    seen: usize,
}

impl<'a> Walk<'a> {
    fn new(study: &'a Study, baseline: &Params) -> Self {
        let trial = study.trial_of(baseline);
        Self {
            study,
            base: baseline.clone(),
            standing: trial.and_then(|trial| Standing::of(study, trial)),
            judged: 0,
            seen: trial.map_or(0, |trial| trial.id.0 as usize),
        }
    }

    /// Takes the walk through the group of one parameter.
    ///
    /// # Errors
    /// The ask that it stops at.
    fn group(&mut self, parameter: &Parameter) -> Result<(), Ask> {
        if self.base.get(&parameter.name).is_none() {
            return Ok(());
        }
        let is_ended = self.study.is_ended(&parameter.name);
        for candidate in variations(self.study, &self.base.clone(), parameter) {
            // Also when a user tries after all what was refused: it comes too
            // late for its group.
            if self.study.is_rejected(&candidate) {
                continue;
            }
            match self.study.trial_of(&candidate) {
                None if is_ended => {}
                None => return Err(Ask::Try(candidate)),
                Some(trial) => self.seen = self.seen.max(trial.id.0 as usize),
            }
        }
        self.see_replacements(&parameter.name);
        while self.judged < self.seen {
            self.judge_next()?;
        }
        Ok(())
    }

    /// Counts what users have tried instead of what the group proposed.
    fn see_replacements(&mut self, parameter: &str) {
        let study = self.study;
        if study.rejected().next().is_none() {
            return;
        }
        let Some(base) = study.trial_of(&self.base).map(|trial| trial.id) else {
            return;
        };
        let rule = Rule::Coordinate { base };
        for trial in study.trials().iter() {
            let chosen = trial
                .choice
                .as_ref()
                .is_some_and(|choice| choice.rule == rule);
            if chosen && trial.origin == Origin::User {
                let params = study.params_of(trial);
                let varied = params.get(parameter);
                let varied =
                    varied.map(|value| study.spec().space.with(&self.base, parameter, value));
                if varied == Some(Ok(params)) {
                    self.seen = self.seen.max(trial.id.0 as usize);
                }
            }
        }
    }

    /// Looks beyond what the walk has needed for a trial that beats the base,
    /// and makes the first that does the base.
    fn overtake(&mut self) -> Result<bool, Ask> {
        while self.judged < self.study.trials().len() {
            if self.judge_next()? {
                self.seen = self.judged;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets the next trial compete for the base; whether it won.
    fn judge_next(&mut self) -> Result<bool, Ask> {
        let trial = self.study.trials().get(self.judged);
        let trial = trial.filter(|trial| trial.is_settled()).ok_or(Ask::Wait)?;
        self.judged += 1;
        let spec = self.study.spec();
        let wins = Standing::of(self.study, trial)
            .filter(|standing| standing.beats(self.standing, &spec.objective));
        let params = self.study.params_of(trial);
        let wins = wins.filter(|_| spec.space.allows(&params));
        if wins.is_some() {
            self.standing = wins;
            self.base = params;
        }
        Ok(wins.is_some())
    }
}
