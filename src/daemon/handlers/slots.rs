//! The slots of a status: what runs in each, and why none does.

use crate::base::clock;
use crate::daemon::board::View;
use crate::daemon::budget::used_up;
use crate::daemon::seats::why_out_of_use;
use crate::model::Name;
use crate::model::spec::SamplerKind;
use crate::model::study::{Phase, Study};
use crate::model::trial::Sitting;
use crate::search::neighbours::Disturbance;
use crate::wire::reply::{Neighbours, Slot};

pub fn all(view: &View) -> Vec<Slot> {
    let study = &*view.study;
    let slots = study.spec().slots.iter().map(|slot| {
        let name = Some(slot.name.clone());
        let mut running = study.all_running();
        let trial = running.find(|trial| {
            let sitting = trial.running();
            sitting.is_some_and(|sitting| sitting.slot == name)
        });
        Slot {
            name: slot.name.to_string(),
            trial: trial.map(|trial| trial.id.0),
            idle: trial.is_none().then(|| idle(view, &name)),
        }
    });
    slots.collect()
}

/// Why nothing runs in a slot.
fn idle(view: &View, slot: &Option<Name>) -> String {
    let study = &*view.study;
    if study.is_out_of_use(slot) {
        return why_out_of_use(study, slot);
    }
    match study.phase() {
        Phase::Paused(_) => return "the study is paused".to_owned(),
        Phase::Done(_) => return "the study is done".to_owned(),
        Phase::Active | Phase::AwaitingApproval => {}
    }
    let alone = study.all_running().find(|_| study.runs_alone());
    if let Some(trial) = alone {
        return format!("trial {} is measured alone", trial.id);
    }
    let places = study.spec().places();
    let is_gone = |sitting: &Sitting| !places.contains(&sitting.slot);
    let mut running = study.all_running();
    if let Some(trial) = running.find(|trial| trial.running().is_some_and(is_gone)) {
        let trial = trial.id;
        return format!("trial {trial} is to end first, in a slot that the spec has no more");
    }
    if view.asking.is_some() {
        return "the advisor is asked".to_owned();
    }
    if study.pending().is_some() {
        return "a proposal waits for approval".to_owned();
    }
    if let Some(reason) = used_up(study, clock::now()) {
        return reason;
    }
    let sampler = study.spec().search.sampler;
    match (study.running(), sampler) {
        (Some(trial), SamplerKind::Coordinate | SamplerKind::Advisor) => {
            format!("{} needs the result of trial {}", sampler.name(), trial.id)
        }
        (Some(trial), _) => format!("trial {} is to end first", trial.id),
        (None, _) => "the next trial is being chosen".to_owned(),
    }
}

pub fn neighbours(study: &Study) -> Option<Neighbours> {
    let found = Disturbance::of(study)?;
    Some(Neighbours {
        alone: found.alone,
        beside: found.beside,
        difference: found.difference,
        noise: found.noise,
        disturb: found.is_clear(),
    })
}
