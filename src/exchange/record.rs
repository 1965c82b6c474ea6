//! A study and its trials as other programs may know them: JSON that is stable.
//!
//! Fields are only added. A file says by [`Head::autotune_export`] which
//! version it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::base::clock::Timestamp;
use crate::model;
use crate::model::Name;
use crate::model::domain::Scale;
use crate::model::metric::{Constraint, Direction, Summary};
use crate::model::outcome::Outcome;
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::SittingEnd;
use crate::model::value::Value;
use crate::report::{credit, discretion, overview};

/// The version of these records.
pub const VERSION: u32 = 1;

/// What is known of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`VERSION`].
    pub autotune_export: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The study's name.
    pub study: String,
    /// When its journal was begun; RFC 3339, UTC.
    pub begun: String,
    /// The study's seed.
    pub seed: u64,
    /// What is optimised.
    pub objective: Objective,
    /// What a trial must keep to.
    pub constraints: Vec<Bounds>,
    /// All metrics, the objective first.
    pub metrics: Vec<String>,
    /// What may vary, in the space's order, and after that what only former
    /// spaces had.
    pub parameters: Vec<Parameter>,
    /// How many trials follow.
    pub trials: u32,
}

/// See [`Head::objective`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// The metric.
    pub metric: String,
    /// Whether more is better.
    pub maximize: bool,
}

/// One of [`Head::constraints`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The metric.
    pub metric: String,
    /// The least that it may be.
    pub min: Option<f64>,
    /// The most that it may be.
    pub max: Option<f64>,
}

/// One of [`Head::parameters`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it may be: the domain, widened by what was tried beyond it.
    pub domain: Domain,
    /// What it is in the starting params; `None` where the space has it no more.
    pub base: Option<Json>,
    /// Where it has a meaning; everywhere when `None`.
    pub when: Option<String>,
}

/// See [`Parameter::domain`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// One of these.
    Values(Vec<Json>),
    /// A whole number.
    Int {
        /// The lowest.
        low: i64,
        /// The highest.
        high: i64,
        /// Whether it is spread by ratios.
        log: bool,
    },
    /// A number.
    Float {
        /// The lowest.
        low: f64,
        /// The highest.
        high: f64,
        /// Whether it is spread by ratios.
        log: bool,
    },
}

/// What is known of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 1.
    pub trial: u32,
    /// What came of it: `complete`, `infeasible`, `pruned`, `failed`; before
    /// that `planned`, `running`, `interrupted`, `held up`.
    pub outcome: String,
    /// Whether it meets every constraint; `None` where that was not measured.
    pub feasible: Option<bool>,
    /// Whether it is the best.
    pub best: bool,
    /// Who wanted it: `baseline`, `sampler`, `user`, …
    pub origin: String,
    /// When its first sitting began; RFC 3339, UTC.
    pub started: Option<String>,
    /// When its last sitting was over.
    pub ended: Option<String>,
    /// The time spent on it, in seconds.
    pub elapsed_s: f64,
    /// How long its services took to be ready, in seconds.
    pub startup_s: Option<f64>,
    /// The values of the active parameters.
    pub params: Map<String, Json>,
    /// The mean of the objective over its good runs.
    pub objective: Option<f64>,
    /// For each constraint by how much it is missed, below 0 by how much it is
    /// met, in the metric's unit.
    pub constraints: Vec<Option<f64>>,
    /// Each metric over its good runs.
    pub metrics: BTreeMap<String, Measured>,
    /// The runs that count, good and bad.
    pub runs: Vec<Run>,
    /// What its runs have told on their way.
    pub curves: Vec<Curve>,
    /// The fixed name of what made it fail: `gpu-out-of-memory`.
    pub cause: Option<String>,
    /// The same as a sentence.
    pub failure: Option<String>,
}

/// See [`Trial::metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How many runs.
    pub count: u32,
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation; `None` of one run.
    pub sd: Option<f64>,
}

/// One of [`Trial::runs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The step.
    pub step: String,
    /// Its number within trial and step, from 1.
    pub run: u32,
    /// The sitting in which it ran, from 1.
    pub sitting: u32,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// What it measured.
    pub metrics: BTreeMap<String, f64>,
    /// Why it does not count; `None` for a good run.
    pub fault: Option<String>,
}

/// One of [`Trial::curves`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The step.
    pub step: String,
    /// The run.
    pub run: u32,
    /// The metric.
    pub metric: String,
    /// Training step and value, in order.
    pub points: Vec<(f64, f64)>,
}

impl Head {
    /// That of a study whose journal was begun at `begun`. Costs a look at every
    /// trial.
    pub fn of(study: &Study, begun: Timestamp) -> Self {
        let spec = study.spec();
        let objective = &spec.objective;
        let mut metrics = vec![objective.metric.to_string()];
        let bounded = spec.constraints.iter().map(|c| &c.metric);
        for name in bounded.chain(spec.metrics()) {
            if metrics.iter().all(|known| **known != **name) {
                metrics.push(name.to_string());
            }
        }
        Self {
            autotune_export: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            study: spec.name.clone(),
            begun: utc(begun),
            seed: spec.seed,
            objective: Objective {
                metric: objective.metric.to_string(),
                maximize: objective.direction == Direction::Maximize,
            },
            constraints: spec.constraints.iter().map(bounds).collect(),
            metrics,
            parameters: parameters(study),
            trials: study.trials().len() as u32,
        }
    }
}

fn bounds(constraint: &Constraint) -> Bounds {
    Bounds {
        metric: constraint.metric.to_string(),
        min: constraint.min.map(|min| min.get()),
        max: constraint.max.map(|max| max.get()),
    }
}

fn parameters(study: &Study) -> Vec<Parameter> {
    let spec = study.spec();
    let declared = spec.space.parameters().iter();
    let mut parameters: Vec<Parameter> = declared
        .map(|parameter| Parameter {
            name: parameter.name.to_string(),
            domain: domain(spec, parameter),
            base: Some(shown(spec, &parameter.name, &parameter.base)),
            when: parameter.when.as_ref().map(ToString::to_string),
        })
        .collect();
    // Twice: a text that turns a range into a list comes after numbers which that
    // list then lacks.
    let trials = study.trials();
    for trial in trials.iter().chain(trials) {
        for (name, value) in trial.params.iter() {
            let value = shown(spec, name, value);
            let known = parameters.iter_mut().find(|known| *known.name == **name);
            match known {
                Some(known) => widen(&mut known.domain, value),
                None => parameters.push(Parameter {
                    name: name.to_string(),
                    domain: Domain::Values(vec![value]),
                    base: None,
                    when: None,
                }),
            }
        }
    }
    parameters
}

fn domain(spec: &Spec, parameter: &model::space::Parameter) -> Domain {
    let name = &parameter.name;
    if discretion::is_secret(spec, name) {
        return Domain::Values(vec![shown(spec, name, &parameter.base)]);
    }
    match &parameter.domain {
        model::domain::Domain::Values(values) => Domain::Values(
            values
                .iter()
                .map(|value| shown(spec, name, value))
                .collect(),
        ),
        model::domain::Domain::Int(range) => Domain::Int {
            low: range.ends().0,
            high: range.ends().1,
            log: range.scale() == Scale::Log,
        },
        model::domain::Domain::Float(range) => Domain::Float {
            low: range.ends().0,
            high: range.ends().1,
            log: range.scale() == Scale::Log,
        },
    }
}

/// Makes room for a value that was tried under a former space.
fn widen(domain: &mut Domain, value: Json) {
    let number = number_of(&value);
    match (&mut *domain, number) {
        (Domain::Values(values), _) => {
            if place(values, &value).is_none() {
                values.push(value);
            }
        }
        (Domain::Int { low, high, log }, Some(number)) if number.fract() == 0.0 => {
            (*low, *high) = ((*low).min(number as i64), (*high).max(number as i64));
            *log &= *low > 0;
        }
        (Domain::Float { low, high, log }, Some(number)) => {
            (*low, *high) = (low.min(number), high.max(number));
            *log &= *low > 0.0;
        }
        (Domain::Int { low, high, .. }, Some(number)) => {
            let (low, high) = (number.min(*low as f64), number.max(*high as f64));
            let log = false;
            *domain = Domain::Float { low, high, log };
        }
        // A text beside numbers: what it was is kept, in no order.
        (Domain::Int { .. } | Domain::Float { .. }, None) => {
            *domain = Domain::Values(vec![value]);
        }
    }
}

/// Where a value stands in a list: two are one when a program sees the same.
pub(super) fn place(values: &[Json], value: &Json) -> Option<usize> {
    let text = text_of(value);
    values.iter().position(|known| text_of(known) == text)
}

/// The number that a value is, or that its text spells.
pub(super) fn number_of(value: &Json) -> Option<f64> {
    let number = match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// The text of a value, as a program gets it.
pub fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) if number.is_f64() => {
            format!("{:?}", number.as_f64().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// A value as others may know it: an export is passed on, as a report is.
fn shown(spec: &Spec, name: &str, value: &Value) -> Json {
    if discretion::is_secret(spec, name) {
        return discretion::WITHHELD.into();
    }
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => number.get().into(),
        Value::Text(text) => discretion::address(text).into(),
    }
}

impl Curve {
    /// Its points at whole numbers, as other programs count: at its own training
    /// steps where these are whole, else at 1, 2, 3.
    pub fn steps(&self) -> impl Iterator<Item = (i64, f64)> {
        let whole = self.points.iter().all(|(at, _)| at.fract() == 0.0);
        let points = self.points.iter().zip(1..);
        points.map(move |((at, value), place)| (if whole { *at as i64 } else { place }, *value))
    }
}

/// RFC 3339 in UTC, to the microsecond: `2026-11-21T15:40:12.250000+00:00`. Also
/// old Pythons read it.
fn utc(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis());
    let at = at.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

impl Trial {
    /// That of a trial of `study`, at `now`.
    pub fn of(study: &Study, trial: &model::trial::Trial, now: Timestamp) -> Self {
        let spec = study.spec();
        let missed = spec.constraints.iter().map(|constraint| {
            let mean = trial.summary(&constraint.metric)?.mean;
            let needed = study.needed(trial, constraint);
            let below = needed.min.map(|min| min.get() - mean);
            let above = needed.max.map(|max| mean - max.get());
            below.into_iter().chain(above).reduce(f64::max)
        });
        let constraints: Vec<Option<f64>> = missed.collect();
        let feasible = match trial.outcome {
            Some(Outcome::Complete) => Some(true),
            Some(Outcome::Infeasible) => Some(false),
            _ => None,
        };
        let ended = trial.sittings.last().and_then(|sitting| sitting.ended);
        let failure = failure(trial);
        let cause = failure.map(|failure| match &failure.cause {
            Some(cause) => cause.name.clone(),
            None => failure.kind.name().to_owned(),
        });
        let params = study.params_of(trial);
        let is_best = study.incumbent().is_some_and(|best| best.id == trial.id);
        Self {
            trial: trial.id.0,
            outcome: overview::word(trial).to_owned(),
            feasible,
            best: is_best,
            origin: credit::origin(trial).to_owned(),
            started: trial.sittings.first().map(|sitting| utc(sitting.started)),
            ended: ended.map(utc),
            elapsed_s: seconds(trial.elapsed(now)),
            startup_s: trial.startup().map(seconds),
            params: params
                .iter()
                .map(|(name, value)| (name.to_string(), shown(spec, name, value)))
                .collect(),
            objective: study.objective(trial).map(|summary| summary.mean),
            constraints,
            metrics: metrics(trial),
            runs: trial.runs.iter().map(run).collect(),
            curves: trial.curves.iter().map(curve).collect(),
            cause,
            failure: failure.map(|failure| discretion::address(&failure.message)),
        }
    }
}

fn metrics(trial: &model::trial::Trial) -> BTreeMap<String, Measured> {
    let mut metrics = BTreeMap::new();
    let good = trial.runs.iter().filter(|run| run.is_good());
    for (name, _) in good.flat_map(|run| &run.metrics) {
        if !metrics.contains_key(&**name)
            && let Some(summary) = trial.summary(name)
        {
            metrics.insert(name.to_string(), measured(&summary));
        }
    }
    metrics
}

const fn measured(summary: &Summary) -> Measured {
    Measured {
        count: summary.count,
        mean: summary.mean,
        sd: summary.spread,
    }
}

fn run(run: &model::trial::Run) -> Run {
    let number = |(name, number): &(Name, model::value::Finite)| (name.to_string(), number.get());
    Run {
        step: run.step.to_string(),
        run: run.number,
        sitting: run.sitting,
        elapsed_s: seconds(run.elapsed),
        metrics: run.metrics.iter().map(number).collect(),
        fault: run.fault.as_deref().map(discretion::address),
    }
}

fn curve(curve: &model::curve::Curve) -> Curve {
    let points = curve.points.iter();
    Curve {
        step: curve.step.to_string(),
        run: curve.run,
        metric: curve.metric.to_string(),
        points: points.map(|p| (p.at.get(), p.value.get())).collect(),
    }
}

/// What broke the trial, or its last sitting where it is not settled.
fn failure(trial: &model::trial::Trial) -> Option<&model::outcome::Failure> {
    let last = trial.sittings.last().and_then(|s| s.end.as_ref());
    match (&trial.outcome, last) {
        (Some(Outcome::Failed(failure)), _)
        | (None, Some(SittingEnd::Finished(Outcome::Failed(failure)))) => Some(failure),
        _ => None,
    }
}

/// Seconds to the millisecond.
fn seconds(duration: std::time::Duration) -> f64 {
    duration.as_millis() as f64 / 1e3
}
