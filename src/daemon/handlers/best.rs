//! `Best`: the incumbent, and what it is better by.

use super::common;
use crate::model::study::Study;
use crate::wire::convert;
use crate::wire::reply::{Best, Refusal, Reply};

pub fn answer(study: &Study) -> Reply {
    let Some(best) = study.incumbent() else {
        return Reply::Refused(Refusal::NothingBest);
    };
    Reply::Best(Box::new(Best {
        measured: common::measured(study, best),
        params: convert::params(&study.params_of(best)),
        changes: common::changes(study, best),
        gain: common::gain(study),
        objective: (&study.spec().objective).into(),
        confirmation: common::confirmation(study),
    }))
}
