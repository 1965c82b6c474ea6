//! `Best`: the incumbent, and what it is better by.

use std::path::Path;

use super::common;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::wire::convert;
use crate::wire::reply::{Best, Kept, Refusal, Reply};

pub fn answer(study: &Study, output: &Path) -> Reply {
    let Some(best) = study.incumbent() else {
        return Reply::Refused(match common::leader(study) {
            Some(leader) => Refusal::OnlyLeads {
                trial: leader.measured.trial,
                runs: leader.runs,
                runs_all: leader.runs_all,
            },
            None => Refusal::NothingBest,
        });
    };
    Reply::Best(Box::new(Best {
        measured: common::measured(study, best),
        params: convert::params(&study.params_of(best)),
        changes: common::changes(study, best),
        gain: common::gain(study),
        objective: (&study.spec().objective).into(),
        confirmation: common::confirmation(study),
        leader: common::leader(study),
        kept: kept(study, best),
        artifacts: common::artifacts(study, best, output),
    }))
}

/// How surely it keeps each constraint.
fn kept(study: &Study, best: &Trial) -> Vec<Kept> {
    let constraints = study.spec().constraints.iter();
    let kept = constraints.map(|constraint| Kept {
        constraint: constraint.to_string(),
        confidence: study.confidence(best, constraint),
    });
    kept.collect()
}
