//! Why params were chosen, as the journal has it. The names and fields are the
//! format: see [`super::event_record`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::text::Text;
use crate::model::choice::{Choice, Expected, Forecast, Rule};
use crate::model::trial::TrialId;

#[derive(Serialize, Deserialize)]
pub(super) struct ChoiceRecord<'a> {
    rule: RuleRecord,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    expected: Option<ExpectedRecord<'a>>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RuleRecord {
    Opening,
    Model,
    Tpe,
    Coordinate { base: u32 },
    Grid,
    Random,
    Advisor { advice: u32 },
    Fallback { advice: u32 },
    Imported,
}

#[derive(Serialize, Deserialize)]
struct ExpectedRecord<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objective: Option<ForecastRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    improvement: Option<f64>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    bounds: Vec<(Text<'a>, f64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct ForecastRecord {
    mean: f64,
    low: f64,
    high: f64,
}

impl<'a> ChoiceRecord<'a> {
    pub(super) fn of(choice: &'a Choice) -> Self {
        Self {
            rule: match choice.rule {
                Rule::Opening => RuleRecord::Opening,
                Rule::Model => RuleRecord::Model,
                Rule::Tpe => RuleRecord::Tpe,
                Rule::Coordinate { base } => RuleRecord::Coordinate { base: base.0 },
                Rule::Grid => RuleRecord::Grid,
                Rule::Random => RuleRecord::Random,
                Rule::Advisor { advice } => RuleRecord::Advisor { advice },
                Rule::Fallback { advice } => RuleRecord::Fallback { advice },
                Rule::Imported => RuleRecord::Imported,
            },
            expected: choice.expected.as_ref().map(|expected| ExpectedRecord {
                objective: expected.objective.map(|of| ForecastRecord {
                    mean: of.mean,
                    low: of.low,
                    high: of.high,
                }),
                improvement: expected.improvement,
                bounds: expected
                    .bounds
                    .iter()
                    .map(|(bound, chance)| (Text::of(bound), *chance))
                    .collect(),
                starts: expected.starts,
                time_ms: expected
                    .time
                    .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            }),
        }
    }

    pub(super) fn into_choice(self) -> Choice {
        Choice {
            rule: match self.rule {
                RuleRecord::Opening => Rule::Opening,
                RuleRecord::Model => Rule::Model,
                RuleRecord::Tpe => Rule::Tpe,
                RuleRecord::Coordinate { base } => Rule::Coordinate {
                    base: TrialId(base),
                },
                RuleRecord::Grid => Rule::Grid,
                RuleRecord::Random => Rule::Random,
                RuleRecord::Advisor { advice } => Rule::Advisor { advice },
                RuleRecord::Fallback { advice } => Rule::Fallback { advice },
                RuleRecord::Imported => Rule::Imported,
            },
            expected: self.expected.map(|expected| Expected {
                objective: expected.objective.map(|of| Forecast {
                    mean: of.mean,
                    low: of.low,
                    high: of.high,
                }),
                improvement: expected.improvement,
                bounds: expected
                    .bounds
                    .into_iter()
                    .map(|(bound, chance)| (bound.owned(), chance))
                    .collect(),
                starts: expected.starts,
                time: expected.time_ms.map(Duration::from_millis),
            }),
        }
    }
}
