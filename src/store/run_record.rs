//! What became known of runs that had not ended, as the journal has it: what they
//! told, and why they were ended.

use serde::{Deserialize, Serialize};

use super::text::{Interner, Pairs, Text, finite, measurements, numbers};
use crate::model::curve::Told;
use crate::model::event::Event;
use crate::model::trial::{Cut, MedianReached, Pruning, TrialId};
use crate::model::value::Finite;

#[derive(Serialize, Deserialize)]
pub(super) struct ToldRecord<'a> {
    trial: u32,
    sitting: u32,
    #[serde(borrow)]
    step: Text<'a>,
    run: u32,
    at: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<f64>,
    metrics: Pairs<'a, f64>,
}

impl<'a> ToldRecord<'a> {
    pub(super) fn of(trial: TrialId, told: &'a Told) -> Self {
        Self {
            trial: trial.0,
            sitting: told.sitting,
            step: Text::of(&told.step),
            run: told.run,
            at: told.at.get(),
            of: told.of.map(Finite::get),
            metrics: numbers(&told.metrics),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        Ok(Event::RunTold {
            trial: TrialId(self.trial),
            told: Told {
                step: names.name(self.step.as_str()),
                run: self.run,
                sitting: self.sitting,
                at: finite(self.at)?,
                of: self.of.map(finite).transpose()?,
                metrics: measurements(self.metrics, names)?,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PrunedRecord<'a> {
    trial: u32,
    #[serde(borrow)]
    metric: Text<'a>,
    runs: u32,
    of: u32,
    mean: f64,
    needed: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rival: Option<u32>,
    chance: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<CutRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    median: Option<MedianRecord>,
}

/// Where in a run it was ended.
#[derive(Serialize, Deserialize)]
struct CutRecord<'a> {
    #[serde(borrow)]
    step: Text<'a>,
    mark: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<u32>,
    share: f64,
}

/// Where the median rule has ended it.
#[derive(Serialize, Deserialize)]
struct MedianRecord {
    at: f64,
    trials: u32,
}

impl<'a> PrunedRecord<'a> {
    pub(super) fn of(trial: TrialId, pruning: &'a Pruning) -> Self {
        Self {
            trial: trial.0,
            metric: Text::of(&pruning.metric),
            runs: pruning.runs,
            of: pruning.of,
            mean: pruning.mean,
            needed: pruning.needed,
            rival: pruning.rival.map(|rival| rival.0),
            chance: pruning.chance,
            cut: pruning.cut.as_ref().map(|cut| CutRecord {
                step: Text::of(&cut.step),
                mark: cut.mark,
                parts: cut.parts,
                share: cut.share,
            }),
            median: pruning.median.map(|median| MedianRecord {
                at: median.at.get(),
                trials: median.trials,
            }),
        }
    }

    pub(super) fn into_event(self, names: &mut Interner) -> Result<Event, String> {
        let median = self.median.map(|median| {
            Ok::<_, String>(MedianReached {
                at: finite(median.at)?,
                trials: median.trials,
            })
        });
        Ok(Event::TrialPruned {
            trial: TrialId(self.trial),
            pruning: Box::new(Pruning {
                metric: names.name(self.metric.as_str()),
                runs: self.runs,
                of: self.of,
                mean: self.mean,
                needed: self.needed,
                rival: self.rival.map(TrialId),
                chance: self.chance,
                cut: self.cut.map(|cut| Cut {
                    step: names.name(cut.step.as_str()),
                    mark: cut.mark,
                    parts: cut.parts,
                    share: cut.share,
                }),
                median: median.transpose()?,
            }),
        })
    }
}
