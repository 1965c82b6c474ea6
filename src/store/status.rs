//! The texts of the two files that are replaced whole: the best params, and
//! what happens now.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::results::{Texts, status_word};
use crate::base::clock::Timestamp;
use crate::model::params::Params;
use crate::model::study::Study;
use crate::model::trial::{SittingEnd, Trial};

/// The text of the file of the best params: an object of strings with sorted
/// keys, and nothing else, since it is read as the base of the next study.
pub fn best_text(params: &Params) -> Vec<u8> {
    pretty(&Texts(params))
}

/// What happens now, in the reference tuner's phases.
#[derive(Clone, Copy, Debug)]
pub enum Status<'a> {
    /// The daemon is about to begin or to go on.
    Start,
    /// The sampler goes on to the next parameter.
    ParamGroup {
        /// The parameter.
        param: &'a str,
    },
    /// A trial begins.
    TrialStart {
        /// The trial.
        trial: &'a Trial,
        /// The parameter that is varied, where there is one.
        param: Option<&'a str>,
    },
    /// Somebody else has the trial's port.
    PortBusy {
        /// The trial.
        trial: &'a Trial,
        /// How often it was looked, from 1.
        attempt: u32,
        /// Who it is.
        message: &'a str,
    },
    /// A trial is over.
    TrialDone {
        /// The trial.
        trial: &'a Trial,
        /// The parameter that was varied, where there is one.
        param: Option<&'a str>,
    },
    /// All values of a parameter are tried.
    GroupBest {
        /// The parameter.
        param: &'a str,
    },
    /// There is nothing left to do.
    Done {
        /// Why.
        message: &'a str,
    },
    /// The daemon gave up.
    Crashed {
        /// Why.
        error: &'a str,
    },
    /// The daemon tries itself.
    Selftest {
        /// What it found.
        message: &'a str,
    },
}

impl Status<'_> {
    /// The text of the status file for a moment of `study`.
    pub fn text(self, at: Timestamp, study: &Study) -> Vec<u8> {
        pretty(&Line {
            status: self,
            at,
            study,
        })
    }

    const fn phase(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::ParamGroup { .. } => "param_group",
            Self::TrialStart { .. } => "trial_start",
            Self::PortBusy { .. } => "port_busy",
            Self::TrialDone { .. } => "trial_done",
            Self::GroupBest { .. } => "group_best",
            Self::Done { .. } => "done",
            Self::Crashed { .. } => "crashed",
            Self::Selftest { .. } => "selftest",
        }
    }
}

struct Line<'a> {
    status: Status<'a>,
    at: Timestamp,
    study: &'a Study,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ts", &self.at.local_iso())?;
        map.serialize_entry("phase", self.status.phase())?;
        match self.status {
            Status::Start => {}
            Status::ParamGroup { param } | Status::GroupBest { param } => {
                map.serialize_entry("param", param)?;
            }
            Status::TrialStart { trial, param } => trial_fields(&mut map, trial, param)?,
            Status::PortBusy {
                trial,
                attempt,
                message,
            } => {
                trial_fields(&mut map, trial, None)?;
                map.serialize_entry("attempt", &attempt)?;
                map.serialize_entry("message", message)?;
            }
            Status::TrialDone { trial, param } => {
                trial_fields(&mut map, trial, param)?;
                map.serialize_entry("result", &TrialResult(trial))?;
            }
            Status::Done { message } | Status::Selftest { message } => {
                map.serialize_entry("message", message)?;
            }
            Status::Crashed { error } => map.serialize_entry("error", error)?,
        }
        let best = self
            .study
            .incumbent()
            .map(|trial| self.study.params_of(trial));
        let best = best.as_ref().map(Texts);
        map.serialize_entry("best_params", &best)?;
        map.end()
    }
}

fn trial_fields<M: SerializeMap>(
    map: &mut M,
    trial: &Trial,
    param: Option<&str>,
) -> Result<(), M::Error> {
    if let Some(param) = param {
        map.serialize_entry("param", param)?;
    }
    map.serialize_entry("trial_index", &trial.id.0)?;
    map.serialize_entry("trial_key", &trial.params.key())?;
    map.serialize_entry("params", &Texts(&trial.params))
}

struct TrialResult<'a>(&'a Trial);

impl Serialize for TrialResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The last sitting's end, since a fault of the host settles nothing.
        let end = self
            .0
            .sittings
            .last()
            .and_then(|sitting| sitting.end.as_ref());
        let status = match end {
            Some(SittingEnd::Finished(outcome)) => Some(status_word(outcome)),
            Some(SittingEnd::Interrupted) | None => None,
        };
        let mean = |metric| self.0.summary(metric).map(|summary| summary.mean);
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("status", &status)?;
        for metric in ["accuracy", "total_tps", "total_time_s"] {
            map.serialize_entry(&format!("avg_{metric}"), &mean(metric))?;
        }
        map.end()
    }
}

/// JSON indented by 2, with a newline at the end.
fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("texts and numbers");
    text.push(b'\n');
    text
}
