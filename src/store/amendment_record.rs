//! Amendments as the journal has them. These types are the format: their names
//! and fields may be added to, never changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::{Interner, Scalar, Text};
use crate::model::amendment::Amendment;
use crate::model::approval::{Approve, Overdue};
use crate::model::domain::{Domain, DomainError, Scale};
use crate::model::expression::Expression;
use crate::model::metric::Direction;
use crate::model::setting::Setting;
use crate::model::space::Parameter;
use crate::model::spec::Median;
use crate::model::value::Finite;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AmendmentRecord<'a> {
    Parameter {
        #[serde(borrow)]
        parameter: Text<'a>,
        domain: DomainRecord<'a>,
        base: Scalar<'a>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<Text<'a>>,
        /// Absent in journals from before there was an advisor.
        #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
        tunable: bool,
    },
    Domain {
        parameter: Text<'a>,
        domain: DomainRecord<'a>,
    },
    Value {
        parameter: Text<'a>,
        value: Scalar<'a>,
        allowed: bool,
    },
    Order(Vec<Text<'a>>),
    Setting(SettingRecord<'a>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DomainRecord<'a> {
    #[serde(borrow)]
    Values(Vec<Scalar<'a>>),
    Int {
        low: i64,
        high: i64,
        log: bool,
    },
    Float {
        low: f64,
        high: f64,
        log: bool,
    },
}

/// `null` is no bound, no limit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SettingRecord<'a> {
    Min {
        #[serde(borrow)]
        metric: Text<'a>,
        bound: Option<f64>,
    },
    Max {
        metric: Text<'a>,
        bound: Option<f64>,
    },
    Confidence {
        metric: Text<'a>,
        confidence: Option<f64>,
    },
    Runs {
        step: Text<'a>,
        runs: u32,
    },
    BudgetTrials(Option<u32>),
    BudgetRuns(Option<u32>),
    BudgetWallNs(Option<u64>),
    BudgetGpuNs(Option<u64>),
    Converged(Option<f64>),
    Racing(bool),
    Recheck(u32),
    ConfirmRuns(u32),
    Median(Option<MedianRecord<'a>>),
    Approve(Text<'a>),
    ApproveTimeoutNs(Option<u64>),
    ApproveDefault(Text<'a>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct MedianRecord<'a> {
    after: u32,
    from: u64,
    #[serde(borrow)]
    metric: Text<'a>,
    maximize: bool,
}

fn unknown(name: &Text<'_>) -> String {
    format!("`{}` is not known", name.as_str())
}

const fn yes() -> bool {
    true
}

impl<'a> AmendmentRecord<'a> {
    pub(super) fn of(amendment: &'a Amendment) -> Self {
        match amendment {
            Amendment::Parameter(Parameter {
                name,
                domain,
                base,
                when,
                tunable,
            }) => Self::Parameter {
                parameter: Text::of(name),
                domain: DomainRecord::of(domain),
                base: Scalar::of(base),
                when: when.as_ref().map(|when| Text::of(when.source())),
                tunable: *tunable,
            },
            Amendment::Domain { parameter, domain } => Self::Domain {
                parameter: Text::of(parameter),
                domain: DomainRecord::of(domain),
            },
            Amendment::Value {
                parameter,
                value,
                allowed,
            } => Self::Value {
                parameter: Text::of(parameter),
                value: Scalar::of(value),
                allowed: *allowed,
            },
            Amendment::Order(names) => {
                Self::Order(names.iter().map(|name| Text::of(name)).collect())
            }
            Amendment::Setting(setting) => Self::Setting(SettingRecord::of(setting)),
        }
    }

    /// # Errors
    /// What no amendment can hold.
    pub(super) fn into_amendment(self, names: &mut Interner) -> Result<Amendment, String> {
        Ok(match self {
            Self::Parameter {
                parameter,
                domain,
                base,
                when,
                tunable,
            } => {
                let when = when.map(|when| Expression::new(when.as_str()));
                Amendment::Parameter(Parameter {
                    name: names.name(parameter.as_str()),
                    domain: domain.into_domain(names)?,
                    base: base.into_value(names)?,
                    when: when.transpose().map_err(|error| error.to_string())?,
                    tunable,
                })
            }
            Self::Domain { parameter, domain } => Amendment::Domain {
                parameter: names.name(parameter.as_str()),
                domain: domain.into_domain(names)?,
            },
            Self::Value {
                parameter,
                value,
                allowed,
            } => Amendment::Value {
                parameter: names.name(parameter.as_str()),
                value: value.into_value(names)?,
                allowed,
            },
            Self::Order(order) => {
                Amendment::Order(order.iter().map(|name| names.name(name.as_str())).collect())
            }
            Self::Setting(setting) => Amendment::Setting(setting.into_setting(names)?),
        })
    }
}

impl<'a> DomainRecord<'a> {
    fn of(domain: &'a Domain) -> Self {
        match domain {
            Domain::Values(values) => Self::Values(values.iter().map(Scalar::of).collect()),
            Domain::Int(range) => {
                let (low, high) = range.ends();
                let log = range.scale() == Scale::Log;
                Self::Int { low, high, log }
            }
            Domain::Float(range) => {
                let (low, high) = range.ends();
                let log = range.scale() == Scale::Log;
                Self::Float { low, high, log }
            }
        }
    }

    fn into_domain(self, names: &mut Interner) -> Result<Domain, String> {
        let scale = |log| if log { Scale::Log } else { Scale::Linear };
        let domain = match self {
            Self::Values(values) => {
                let values = values.into_iter().map(|value| value.into_value(names));
                Domain::values(values.collect::<Result<_, _>>()?)
            }
            Self::Int { low, high, log } => Domain::int(low, high, scale(log)),
            Self::Float { low, high, log } => Domain::float(low, high, scale(log)),
        };
        domain.map_err(|error: DomainError| error.to_string())
    }
}

impl<'a> SettingRecord<'a> {
    fn of(setting: &'a Setting) -> Self {
        match setting {
            Setting::Min(metric, bound) => Self::Min {
                metric: Text::of(metric),
                bound: bound.map(Finite::get),
            },
            Setting::Max(metric, bound) => Self::Max {
                metric: Text::of(metric),
                bound: bound.map(Finite::get),
            },
            Setting::Confidence(metric, confidence) => Self::Confidence {
                metric: Text::of(metric),
                confidence: confidence.map(Finite::get),
            },
            Setting::Runs(step, runs) => Self::Runs {
                step: Text::of(step),
                runs: *runs,
            },
            Setting::BudgetTrials(most) => Self::BudgetTrials(*most),
            Setting::BudgetRuns(most) => Self::BudgetRuns(*most),
            Setting::BudgetWall(wall) => {
                Self::BudgetWallNs(wall.map(|wall| wall.as_nanos().try_into().unwrap_or(u64::MAX)))
            }
            Setting::BudgetGpuHours(time) => {
                Self::BudgetGpuNs(time.map(|time| time.as_nanos().try_into().unwrap_or(u64::MAX)))
            }
            Setting::Converged(under) => Self::Converged(under.map(Finite::get)),
            Setting::Racing(on) => Self::Racing(*on),
            Setting::Recheck(trials) => Self::Recheck(*trials),
            Setting::ConfirmRuns(runs) => Self::ConfirmRuns(*runs),
            Setting::Median(median) => Self::Median(median.as_ref().map(|median| MedianRecord {
                after: median.after,
                from: median.from,
                metric: Text::of(&median.metric),
                maximize: median.direction == Direction::Maximize,
            })),
            Setting::Approve(of) => Self::Approve(Text::of(of.name())),
            Setting::ApproveTimeout(time) => Self::ApproveTimeoutNs(
                time.map(|time| time.as_nanos().try_into().unwrap_or(u64::MAX)),
            ),
            Setting::ApproveDefault(overdue) => Self::ApproveDefault(Text::of(overdue.name())),
        }
    }

    fn into_setting(self, names: &mut Interner) -> Result<Setting, String> {
        let finite = |bound: Option<f64>| match bound {
            None => Ok(None),
            Some(number) => Finite::new(number)
                .map(Some)
                .ok_or_else(|| format!("{number} is not a finite number")),
        };
        Ok(match self {
            Self::Min { metric, bound } => {
                Setting::Min(names.name(metric.as_str()), finite(bound)?)
            }
            Self::Max { metric, bound } => {
                Setting::Max(names.name(metric.as_str()), finite(bound)?)
            }
            Self::Confidence { metric, confidence } => {
                Setting::Confidence(names.name(metric.as_str()), finite(confidence)?)
            }
            Self::Runs { step, runs } => Setting::Runs(names.name(step.as_str()), runs),
            Self::BudgetTrials(most) => Setting::BudgetTrials(most),
            Self::BudgetRuns(most) => Setting::BudgetRuns(most),
            Self::BudgetWallNs(wall) => Setting::BudgetWall(wall.map(Duration::from_nanos)),
            Self::BudgetGpuNs(time) => Setting::BudgetGpuHours(time.map(Duration::from_nanos)),
            Self::Converged(under) => Setting::Converged(finite(under)?),
            Self::Racing(on) => Setting::Racing(on),
            Self::Recheck(trials) => Setting::Recheck(trials),
            Self::ConfirmRuns(runs) => Setting::ConfirmRuns(runs),
            Self::Median(median) => Setting::Median(median.map(|median| Median {
                after: median.after,
                from: median.from,
                metric: names.name(median.metric.as_str()),
                direction: match median.maximize {
                    true => Direction::Maximize,
                    false => Direction::Minimize,
                },
            })),
            Self::Approve(name) => {
                let found = Approve::ALL
                    .into_iter()
                    .find(|of| of.name() == name.as_str());
                Setting::Approve(found.ok_or_else(|| unknown(&name))?)
            }
            Self::ApproveTimeoutNs(time) => Setting::ApproveTimeout(time.map(Duration::from_nanos)),
            Self::ApproveDefault(name) => {
                let mut all = Overdue::ALL.into_iter();
                let found = all.find(|overdue| overdue.name() == name.as_str());
                Setting::ApproveDefault(found.ok_or_else(|| unknown(&name))?)
            }
        })
    }
}
