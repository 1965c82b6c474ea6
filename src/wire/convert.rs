//! From the words of the project to those that are sent.

use std::time::Duration;

use super::reply::{self, Param};
use crate::model::advice::Tested;
use crate::model::choice::{Choice, Forecast, Rule};
use crate::model::curve::{Curve, Point};
use crate::model::metric::{Direction, Objective, Summary};
use crate::model::outcome::{Cause, Failure};
use crate::model::params::Params;
use crate::model::spec::Advisor;
use crate::model::trial::{
    Cut, MedianReached, Pruning, Purpose, Run, Sitting, SittingEnd, TrialId,
};
use crate::model::value::Finite;

/// Whole milliseconds.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl reply::AdvisorTested {
    /// What came of a test of that advisor, whose key was found at `key`.
    pub fn new(advisor: &Advisor, key: Option<String>, came: Result<Tested, String>) -> Self {
        let (answer, error) = match came {
            Ok(tested) => (Some(tested.into()), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            base_url: advisor.base_url.clone(),
            model: advisor.model.clone(),
            key,
            answer,
            error,
        }
    }
}

impl From<Tested> for reply::AdvisorAnswer {
    fn from(tested: Tested) -> Self {
        Self {
            model: tested.model,
            format: tested.format.to_owned(),
            keeps_format: tested.keeps_format,
            took: milliseconds(tested.took),
            tokens: tested.usage.tokens(),
            estimated: tested.estimated,
        }
    }
}

impl From<Summary> for reply::Summary {
    fn from(summary: Summary) -> Self {
        Self {
            count: summary.count,
            mean: summary.mean,
            spread: summary.spread,
            min: summary.min,
            max: summary.max,
        }
    }
}

impl From<&Objective> for reply::Objective {
    fn from(objective: &Objective) -> Self {
        Self {
            metric: objective.metric.to_string(),
            maximize: objective.direction == Direction::Maximize,
        }
    }
}

impl From<&Failure> for reply::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.name().to_owned(),
            step: failure.step.as_deref().map(str::to_owned),
            ending: failure.ending.as_ref().map(ToString::to_string),
            message: failure.message.clone(),
            cause: failure.cause.as_ref().map(Into::into),
        }
    }
}

impl From<&Pruning> for reply::Pruning {
    fn from(pruning: &Pruning) -> Self {
        Self {
            metric: pruning.metric.to_string(),
            runs: pruning.runs,
            of: pruning.of,
            mean: pruning.mean,
            needed: pruning.needed,
            rival: pruning.rival.map(|rival| rival.0),
            chance: pruning.chance,
            cut: pruning.cut.as_ref().map(|cut| reply::Cut {
                step: cut.step.to_string(),
                mark: cut.mark,
                parts: cut.parts,
                share: cut.share,
            }),
            median: pruning.median.map(|median| reply::MedianReached {
                at: median.at.get(),
                trials: median.trials,
            }),
        }
    }
}

impl From<&Curve> for reply::Curve {
    fn from(curve: &Curve) -> Self {
        let points = curve.points.iter().map(|point| reply::Point {
            at: point.at.get(),
            value: point.value.get(),
            sitting: point.sitting,
        });
        Self {
            step: curve.step.to_string(),
            run: curve.run,
            metric: curve.metric.to_string(),
            of: curve.of.map(Finite::get),
            points: points.collect(),
        }
    }
}

impl From<&reply::Curve> for Curve {
    fn from(curve: &reply::Curve) -> Self {
        let points = curve.points.iter().filter_map(|point| {
            Some(Point {
                at: Finite::new(point.at)?,
                value: Finite::new(point.value)?,
                sitting: point.sitting,
            })
        });
        Self {
            step: curve.step.as_str().into(),
            run: curve.run,
            metric: curve.metric.as_str().into(),
            of: curve.of.and_then(Finite::new),
            points: points.collect(),
        }
    }
}

impl From<&reply::Pruning> for Pruning {
    fn from(pruning: &reply::Pruning) -> Self {
        Self {
            metric: pruning.metric.as_str().into(),
            runs: pruning.runs,
            of: pruning.of,
            mean: pruning.mean,
            needed: pruning.needed,
            rival: pruning.rival.map(TrialId),
            chance: pruning.chance,
            cut: pruning.cut.as_ref().map(|cut| Cut {
                step: cut.step.as_str().into(),
                mark: cut.mark,
                parts: cut.parts,
                share: cut.share,
            }),
            median: pruning.median.and_then(|median| {
                Some(MedianReached {
                    at: Finite::new(median.at)?,
                    trials: median.trials,
                })
            }),
        }
    }
}

impl From<Forecast> for reply::Forecast {
    fn from(forecast: Forecast) -> Self {
        Self {
            mean: forecast.mean,
            low: forecast.low,
            high: forecast.high,
        }
    }
}

impl From<&Choice> for reply::Choice {
    fn from(choice: &Choice) -> Self {
        let (rule, base) = match choice.rule {
            Rule::Opening => ("opening", None),
            Rule::Model => ("model", None),
            Rule::Tpe => ("tpe", None),
            Rule::Coordinate { base } => ("coordinate", Some(base.0)),
            Rule::Grid => ("grid", None),
            Rule::Random => ("random", None),
            Rule::Advisor { .. } => ("advisor", None),
            Rule::Fallback { .. } => ("fallback", None),
        };
        Self {
            rule: rule.to_owned(),
            base,
            varied: Vec::new(),
            advice: None,
            expected: choice.expected.as_ref().map(|expected| reply::Expected {
                objective: expected.objective.map(Into::into),
                improvement: expected.improvement,
                bounds: expected
                    .bounds
                    .iter()
                    .map(|(bound, chance)| reply::Chance {
                        bound: bound.clone(),
                        chance: *chance,
                    })
                    .collect(),
                starts: expected.starts,
                time: expected.time.map(milliseconds),
            }),
        }
    }
}

impl From<&Cause> for reply::Cause {
    fn from(cause: &Cause) -> Self {
        Self {
            name: cause.name.clone(),
            hint: cause.hint.clone(),
            line: cause.line.clone(),
        }
    }
}

impl From<&Run> for reply::Run {
    fn from(run: &Run) -> Self {
        let metrics = run.metrics.iter();
        Self {
            step: run.step.to_string(),
            number: run.number,
            sitting: run.sitting,
            elapsed: milliseconds(run.elapsed),
            ending: run.ending.to_string(),
            fault: run.fault.as_deref().map(str::to_owned),
            metrics: metrics
                .map(|(name, value)| reply::Number {
                    name: name.to_string(),
                    value: value.get(),
                })
                .collect(),
        }
    }
}

impl From<&Sitting> for reply::Sitting {
    fn from(sitting: &Sitting) -> Self {
        let end = match &sitting.end {
            None => "running",
            Some(SittingEnd::Interrupted) => "interrupted",
            Some(SittingEnd::Finished(outcome)) => outcome.word(),
        };
        Self {
            number: sitting.number,
            purpose: purpose(sitting.purpose).to_owned(),
            started: sitting.started.as_millis(),
            ended: sitting.ended.map(|ended| ended.as_millis()),
            startup: sitting.startup.map(milliseconds),
            end: end.to_owned(),
            health: sitting.health.as_deref().map(str::to_owned),
            warnings: sitting.warnings.iter().map(|w| w.to_string()).collect(),
            resumed: sitting.resumed.as_deref().map(str::to_owned),
        }
    }
}

/// Params, each with the text that a program gets.
pub fn params(params: &Params) -> Vec<Param> {
    let each = params.iter().map(|(name, value)| Param {
        name: name.to_string(),
        value: value.to_string(),
    });
    each.collect()
}

/// What a sitting is for, in one word.
const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Measure => "measure",
        Purpose::Check => "check",
        Purpose::Neighbours => "neighbours",
        Purpose::Confirm { .. } => "confirm",
        Purpose::Preflight => "preflight",
        Purpose::Incumbent => "incumbent",
    }
}
