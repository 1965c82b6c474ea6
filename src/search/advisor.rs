//! One parameter after the other, by the values that a language model
//! proposes.
//!
//! ```text
//! no plan yet                          ->  Consult(Plan)
//! the plan's base was not tried        ->  Try it
//! for each parameter of the plan, until it had its rounds:
//!     the plan had failed              ->  Consult(Plan), before each but the first
//!     base = the best trial so far
//!     nothing was said for this round  ->  Consult(Value)
//!     a value                          ->  Try it
//!     enough                           ->  the next parameter, this one stays
//!                                          as it is best
//!     no answer of use                 ->  Try the nearest value that was not
//!                                          tried; none is left: the next parameter
//! all have had theirs                  ->  Exhausted
//! ```
//!
//! A plan that failed is asked for again before the next parameter of the order
//! that took its place, until [`FAILED_PLANS_MAX`] have failed. One that comes
//! then goes on with what was not gone through.
//!
//! A value that a user refuses is a round, too, and one that the user gives
//! instead; a parameter that the user has ended is over.
//!
//! Every ask replays this from the history: which advice a trial came of is
//! kept with the trial, so a restart changes nothing, and a question that was
//! never answered is asked again. Advice is looked at once more before it is
//! used, since the space may have changed after it was checked.
//!
//! Beside another sampler, [`propose`] asks for a share of the trials.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;

use super::geometry::Geometry;
use super::standing::Standing;
use super::{Ask, coordinate};
use crate::base::random::generator;
use crate::model::Name;
use crate::model::advice::{Advice, Answer, FAILED_PLANS_MAX, Question};
use crate::model::choice::Rule;
use crate::model::domain::Domain;
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::TrialId;

/// So many parameters, with so many rounds each, where no `[advisor]` says
/// otherwise.
const DEFAULTS: (u32, u32) = (3, 3);
/// The streams of random numbers that decide whose turn a trial is: beyond
/// those of all samplers.
const TURNS: u64 = 1 << 40;

/// What to do next; of params, why.
type Next = (Ask, Option<Rule>);

/// What to try next, and by which rule.
pub(super) fn next(study: &Study, baseline: &Params) -> Next {
    if study.unsettled().is_some() {
        return (Ask::Wait, None);
    }
    let walk = Walk::new(study, baseline);
    let (most, rounds) = extent(study.spec());
    let Some(plan) = walk.plan() else {
        return (Ask::Consult(Question::Plan), None);
    };
    let (since, priority) = match &plan {
        Plan::Made {
            number,
            base,
            priority,
        } => {
            if walk.is_usable(base, baseline) {
                let rule = Rule::Advisor { advice: *number };
                return (Ask::Try(Params::clone(base)), Some(rule));
            }
            (*number, priority.to_vec())
        }
        Plan::Failed { .. } => (0, declared(study, baseline)),
    };
    // What the fall-back went through before there was a plan.
    let before = |parameter: &&Parameter| {
        let mut advice = walk.on(parameter);
        advice.next().is_some_and(|(number, _)| number < since)
    };
    let parameters = study.spec().space.parameters().iter();
    let mut known: Vec<&Parameter> = parameters.filter(before).collect();
    let over = known.len();
    let ordered = priority.iter().filter_map(|name| walk.tunable(name));
    known.extend(ordered.filter(|parameter| !before(parameter)));
    known.truncate(most);
    // Whatever is best of a parameter is fixed once the next one is asked for.
    let is_begun = |parameter: &&Parameter| walk.on(parameter).next().is_some();
    let begun = known.iter().rposition(is_begun).unwrap_or(0).max(over);
    let mut trials = 0;
    for (index, parameter) in known.iter().enumerate() {
        let (done, next) = walk.rounds(parameter, rounds);
        trials += done;
        let Some(next) = next.filter(|_| index >= begun) else {
            continue;
        };
        if !is_begun(parameter) && walk.wants_another(&plan) {
            return (Ask::Consult(Question::Plan), None);
        }
        return next;
    }
    (Ask::Exhausted(through(known.len(), trials)), None)
}

/// Whether it is the advisor's turn to propose a trial beside another sampler,
/// and what comes of it. `None` leaves it to the sampler.
pub(super) fn propose(study: &Study, baseline: &Params) -> Option<Next> {
    let spec = study.spec();
    let advisor = spec.advisor.as_ref()?;
    let is_beside = spec.search.sampler != SamplerKind::Advisor;
    if !is_beside || study.waiting().is_some() {
        return None;
    }
    let TrialId(number) = study.next_id();
    let turn: f64 = generator(spec.seed, TURNS + u64::from(number)).random();
    if turn >= advisor.share {
        return None;
    }
    let walk = Walk::new(study, baseline);
    let before = study.advice().len() - study.consultations().since_trial().len();
    let mut asked = walk.about(|question| *question == Question::Params);
    let Some((number, advice)) = asked.find(|(number, _)| *number as usize > before) else {
        return Some((Ask::Consult(Question::Params), None));
    };
    let Ok(Answer::Params(params)) = &advice.answer else {
        return None;
    };
    let usable = walk.is_usable(params, baseline) || walk.is_usable(params, &walk.best);
    let rule = Rule::Advisor { advice: number };
    usable.then(|| (Ask::Try(params.clone()), Some(rule)))
}

/// How many trials there are at most, the baseline among them.
pub(super) fn most(spec: &Spec) -> u64 {
    let (most, rounds) = extent(spec);
    let tunable = spec.space.parameters().iter().filter(|p| p.is_tunable());
    let parameters = tunable.count().min(most) as u64;
    parameters.saturating_mul(rounds.into()).saturating_add(2)
}

/// How many parameters a plan has at most, and how many rounds each.
fn extent(spec: &Spec) -> (usize, u32) {
    let wanted = spec.advisor.as_ref();
    let wanted = wanted.map(|advisor| (advisor.max_priority_params, advisor.rounds_per_param));
    let (parameters, rounds) = wanted.unwrap_or(DEFAULTS);
    (parameters as usize, rounds)
}

/// The plan where the advisor has none: the tunable parameters as they are
/// declared.
fn declared(study: &Study, baseline: &Params) -> Vec<Name> {
    let parameters = study.spec().space.parameters().iter();
    let active = parameters.filter(|p| p.is_tunable() && baseline.get(&p.name).is_some());
    active.map(|parameter| parameter.name.clone()).collect()
}

fn through(parameters: usize, trials: usize) -> String {
    let count = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    match parameters {
        0 => "there is no parameter that the advisor may choose".to_owned(),
        _ => format!(
            "the plan is through: {} in {}",
            count(parameters, "parameter"),
            count(trials, "round")
        ),
    }
}

/// The plan that counts.
enum Plan<'a> {
    /// The first that came to something.
    Made {
        /// The number of the advice.
        number: u32,
        base: &'a Params,
        priority: &'a [Name],
    },
    /// None did, and this was the last.
    Failed {
        /// The number of the advice.
        number: u32,
    },
}

struct Walk<'a> {
    study: &'a Study,
    /// The best params so far.
    best: Params,
    /// The trials that came of advice, by its number.
    came_of: BTreeMap<u32, TrialId>,
}

impl<'a> Walk<'a> {
    fn new(study: &'a Study, baseline: &Params) -> Self {
        let came_of = study.trials().iter().filter_map(|trial| {
            let (Rule::Advisor { advice } | Rule::Fallback { advice }) =
                trial.choice.as_deref()?.rule
            else {
                return None;
            };
            Some((advice, trial.id))
        });
        Self {
            study,
            best: best(study, baseline),
            came_of: came_of.collect(),
        }
    }

    /// The advice on some question, with its number.
    fn about(
        &self,
        asked: impl Fn(&Question) -> bool,
    ) -> impl Iterator<Item = (u32, &'a Arc<Advice>)> {
        let numbered = (1..).zip(self.study.advice());
        numbered.filter(move |(_, advice)| {
            asked(&advice.question) && advice.answer != Ok(Answer::Outdated)
        })
    }

    /// The plan that counts; `None` before there was any.
    fn plan(&self) -> Option<Plan<'a>> {
        let mut last = None;
        for (number, advice) in self.about(|question| *question == Question::Plan) {
            if let Ok(Answer::Plan { base, priority }) = &advice.answer {
                return Some(Plan::Made {
                    number,
                    base,
                    priority,
                });
            }
            last = Some(Plan::Failed { number });
        }
        last
    }

    /// Whether a parameter was gone through since the last plan failed, and
    /// another plan is worth asking for.
    fn wants_another(&self, plan: &Plan<'_>) -> bool {
        let Plan::Failed { number: last } = plan else {
            return false;
        };
        let mut values = self.about(|question| matches!(question, Question::Value { .. }));
        let is_due = values.any(|(number, _)| number > *last);
        is_due && self.study.consultations().failed_plans() < FAILED_PLANS_MAX
    }

    /// The parameter of that name, if the advisor may choose it and it counts.
    fn tunable(&self, name: &str) -> Option<&'a Parameter> {
        let parameter = self.study.spec().space.parameter(name)?;
        let counts = self.best.get(name).is_some();
        (counts && parameter.is_tunable()).then_some(parameter)
    }

    /// The advice on one parameter.
    fn on(&self, parameter: &Parameter) -> impl Iterator<Item = (u32, &'a Arc<Advice>)> {
        let name = parameter.name.clone();
        self.about(
            move |question| matches!(question, Question::Value { parameter, .. } if *parameter == name),
        )
    }

    /// Goes through the rounds of one parameter: how many there were, and what
    /// comes next where they are not over.
    fn rounds(&self, parameter: &Parameter, most: u32) -> (usize, Option<Next>) {
        let mut rounds = 0;
        let is_ended = self.study.is_ended(&parameter.name);
        for (number, advice) in self.on(parameter) {
            let tried = match &advice.answer {
                Ok(Answer::Enough) => return (rounds, None),
                Ok(Answer::Params(params)) => self.study.trial_of(params).map(|trial| trial.id),
                _ => None,
            };
            // What a user refused would else be asked for again and again.
            let is_refused = matches!(&advice.answer, Ok(Answer::Params(params))
                if self.study.is_rejected(params));
            if is_refused || tried.or(self.came_of.get(&number).copied()).is_some() {
                rounds += 1;
                continue;
            }
            if rounds >= most as usize || is_ended {
                return (rounds, None);
            }
            if let (Ok(Answer::Params(params)), Question::Value { base, .. }) =
                (&advice.answer, &advice.question)
                && self.is_variation(params, base, parameter)
            {
                let rule = Rule::Advisor { advice: number };
                return (rounds, Some((Ask::Try(params.clone()), Some(rule))));
            }
            let rule = Rule::Fallback { advice: number };
            let next = self.nearest(parameter);
            return (rounds, next.map(|params| (Ask::Try(params), Some(rule))));
        }
        // Of a list nothing may be left that could be proposed.
        let is_list = matches!(parameter.domain, Domain::Values(_));
        if is_ended || rounds >= most as usize || (is_list && self.nearest(parameter).is_none()) {
            return (rounds, None);
        }
        let question = Question::Value {
            parameter: parameter.name.clone(),
            base: self.best.clone(),
        };
        (rounds, Some((Ask::Consult(question), None)))
    }

    /// Whether params differ from `base` by an allowed value of one parameter.
    fn is_variation(&self, params: &Params, base: &Params, parameter: &Parameter) -> bool {
        let space = &self.study.spec().space;
        params
            .get(&parameter.name)
            .and_then(|value| space.with(base, &parameter.name, value).ok())
            .is_some_and(|varied| varied == *params)
    }

    /// Whether params can be tried: they are allowed still, new, and leave
    /// every protected parameter as it is in `from`.
    fn is_usable(&self, params: &Params, from: &Params) -> bool {
        let space = &self.study.spec().space;
        let protected = space.parameters().iter().filter(|p| !p.tunable);
        let is_kept = |parameter: &Parameter| {
            let kept = from.get(&parameter.name).unwrap_or(&parameter.base);
            params.get(&parameter.name).is_none_or(|own| own == kept)
        };
        space.allows(params) && self.study.is_new(params) && protected.into_iter().all(is_kept)
    }

    /// The best params with the nearest value of one parameter that was not
    /// tried.
    fn nearest(&self, parameter: &Parameter) -> Option<Params> {
        let space = &self.study.spec().space;
        let geometry = Geometry::new(space);
        let mut names = space.parameters().iter().map(|p| &p.name);
        let axis = names.position(|name| *name == parameter.name)?;
        let place = |params: &Params| geometry.coordinate(axis, params.get(&parameter.name)?);
        let own = place(&self.best)?;
        let off = |params: &Params| place(params).map_or(f64::INFINITY, |at| (at - own).abs());
        coordinate::variations(self.study, &self.best, parameter)
            .filter(|params| self.study.is_new(params))
            .min_by(|a, b| off(a).total_cmp(&off(b)))
    }
}

/// The params of the best trial, whoever wanted it; the baseline's while none
/// has any merit.
fn best(study: &Study, baseline: &Params) -> Params {
    let spec = study.spec();
    let (mut best, mut merit) = (baseline.clone(), None);
    for trial in study.trials().iter() {
        let standing = Standing::of(study, trial);
        let params = study.params_of(trial);
        let wins = standing.is_some_and(|own| own.beats(merit, &spec.objective));
        if wins && spec.space.allows(&params) {
            (best, merit) = (params, standing);
        }
    }
    best
}
