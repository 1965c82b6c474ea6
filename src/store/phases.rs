//! The phases that the status file goes through, from the facts as they come.

use super::status::Status;
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::event::{Event, Fact, port_busy};
use crate::model::outcome::{FailureKind, HostFault, Outcome};
use crate::model::spec::SamplerKind;
use crate::model::study::{Phase, Study};
use crate::model::trial::{Origin, SittingEnd, Trial};

/// Makes the texts of the status file.
#[derive(Clone, Debug, Default)]
pub struct StatusBuilder {
    /// What the running trial changes in the incumbent.
    varied: Option<Name>,
    /// The parameter whose values the sampler goes through, where it does so
    /// one parameter after the other.
    group: Option<Name>,
    /// Whether the port of a service is waited for.
    busy: bool,
}

impl StatusBuilder {
    /// Takes up a fact that `study` has just taken up. Returns what the file
    /// is to hold from then on, one after the other.
    pub fn take(&mut self, fact: &Fact, study: &Study) -> Vec<Vec<u8>> {
        let at = fact.at;
        let trial = fact.event.trial().and_then(|trial| study.trial(trial));
        let one = |status: Status<'_>| vec![status.text(at, study)];
        match (&fact.event, trial) {
            (Event::SittingStarted { .. }, Some(trial)) => {
                self.busy = false;
                let mut texts = self.vary(trial, study, at);
                let param = self.varied.as_deref();
                texts.extend(one(Status::TrialStart { trial, param }));
                texts
            }
            (Event::PortBusy { port, holder, .. }, Some(trial)) => {
                self.busy = true;
                one(Status::PortBusy {
                    trial,
                    attempt: faults(study, trial) + 1,
                    message: &port_busy(*port, holder),
                })
            }
            // The port is free.
            (Event::StepStarted { .. }, Some(trial)) if std::mem::take(&mut self.busy) => {
                let param = self.varied.as_deref();
                one(Status::TrialStart { trial, param })
            }
            (Event::SittingEnded { end, .. }, Some(trial)) => one(match end {
                SittingEnd::Finished(Outcome::Failed(failure))
                    if failure.kind == FailureKind::Host(HostFault::PortTaken) =>
                {
                    Status::PortBusy {
                        trial,
                        attempt: faults(study, trial),
                        message: &failure.message,
                    }
                }
                _ => Status::TrialDone {
                    trial,
                    param: self.varied.as_deref(),
                },
            }),
            (Event::Done { reason }, _) => {
                let group = self.group.take();
                let group = group.map(|param| Status::GroupBest { param: &param }.text(at, study));
                let done = Status::Done { message: reason }.text(at, study);
                group.into_iter().chain([done]).collect()
            }
            (Event::SpecAmended { .. } | Event::SpecReloaded { .. }, _) => one(self.now(study)),
            _ => Vec::new(),
        }
    }

    /// Notes what a trial that starts changes in the incumbent, or in the
    /// starting params where there is none, and says so where it is the first
    /// of a group.
    fn vary(&mut self, trial: &Trial, study: &Study, at: Timestamp) -> Vec<Vec<u8>> {
        let other = match study.incumbent() {
            Some(best) => Some(study.params_of(best)),
            None => study.spec().space.baseline().ok(),
        };
        let names = other.map(|other| study.params_of(trial).difference(&other));
        let names = names.unwrap_or_default();
        self.varied = names.first().cloned();
        let in_groups = study.spec().search.sampler == SamplerKind::Coordinate;
        let [param] = &names[..] else {
            return Vec::new();
        };
        if !in_groups || trial.origin != Origin::Sampler || self.group.as_ref() == Some(param) {
            return Vec::new();
        }
        let last = self.group.replace(param.clone());
        let last = last.map(|param| Status::GroupBest { param: &param }.text(at, study));
        let next = Status::ParamGroup { param }.text(at, study);
        last.into_iter().chain([next]).collect()
    }

    /// What happens now.
    fn now<'a>(&'a self, study: &'a Study) -> Status<'a> {
        match (study.running(), study.phase()) {
            (Some(trial), _) => Status::TrialStart {
                trial,
                param: self.varied.as_deref(),
            },
            (None, Phase::Done(reason)) => Status::Done { message: reason },
            (None, _) => Status::Start,
        }
    }
}

/// How many sittings in a row the host's fault has ended where this trial runs,
/// or ran last.
fn faults(study: &Study, trial: &Trial) -> u32 {
    let last = trial.sittings.last();
    last.map_or(0, |sitting| study.host_faults(&sitting.slot))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value as Json;

    use super::*;
    use crate::model::outcome::Failure;
    use crate::model::trial::Purpose;
    use crate::search::simulation::{Simulation, list, space, spec, speed};

    /// What the file goes through with these facts: the fields that tell.
    fn phases(simulation: &Simulation) -> Vec<String> {
        let mut study = Study::new(Arc::clone(simulation.study.spec()));
        let mut builder = StatusBuilder::default();
        let mut seen = Vec::new();
        for fact in &simulation.facts {
            study.apply(fact).expect("it fits");
            for text in builder.take(fact, &study) {
                let json: Json = serde_json::from_slice(&text).expect("JSON");
                let fields = ["phase", "param", "trial_index", "attempt", "message"];
                let shown = fields.map(|field| match &json[field] {
                    Json::Null => String::new(),
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                });
                let shown = shown.iter().filter(|text| !text.is_empty());
                let shown: Vec<&str> = shown.map(String::as_str).collect();
                seen.push(shown.join(" "));
            }
        }
        seen
    }

    fn study(sampler: SamplerKind) -> Simulation {
        let parameters = vec![list("A", "1 2", ""), list("B", "1 2", "")];
        let mut simulation = Simulation::new(spec(space(parameters, &[]), sampler));
        simulation.run(9, |params| {
            let number = |name: &str| params.get(name).map_or(0.0, |v| v.to_string().len() as f64);
            speed(number("A"))
        });
        simulation
    }

    #[test]
    fn groups_begin_and_end() {
        let mut simulation = study(SamplerKind::Coordinate);
        let reason = "all is tried".to_owned();
        simulation.happen(Event::Done { reason });
        assert_eq!(
            phases(&simulation),
            [
                "trial_start 1",
                "trial_done 1",
                "param_group A",
                "trial_start A 2",
                "trial_done A 2",
                "group_best A",
                "param_group B",
                "trial_start B 3",
                "trial_done B 3",
                "group_best B",
                "done all is tried",
            ]
        );
    }

    #[test]
    fn a_sampler_without_groups_has_none() {
        let seen = phases(&study(SamplerKind::Grid));
        assert!(
            seen.iter().all(|line| line.starts_with("trial_")),
            "{seen:?}"
        );
    }

    #[test]
    fn a_busy_port_is_told_while_it_is_waited_for() {
        let parameters = vec![list("A", "1 2", "")];
        let mut simulation = Simulation::new(spec(space(parameters, &[]), SamplerKind::Grid));
        let params = simulation.study.spec().space.baseline().expect("params");
        let trial = simulation.plan(&params, Origin::Baseline);
        for sitting in 1..=2 {
            simulation.happen(Event::SittingStarted {
                trial,
                sitting,
                purpose: Purpose::Measure,
                token: String::new(),
                boot_id: "".into(),
                slot: None,
            });
            simulation.happen(Event::PortBusy {
                trial,
                sitting,
                port: 80,
                holder: "nginx".into(),
            });
            if sitting == 2 {
                for run in 1..=2 {
                    simulation.happen(Event::StepStarted {
                        trial,
                        sitting,
                        step: "measure".into(),
                        run: Some(run),
                        pid: 2,
                        start_ticks: 0,
                    });
                }
            }
            let failure = Failure {
                kind: FailureKind::Host(HostFault::PortTaken),
                step: None,
                ending: None,
                message: "still".to_owned(),
                cause: None,
            };
            simulation.happen(Event::SittingEnded {
                trial,
                sitting,
                end: SittingEnd::Finished(Outcome::Failed(Box::new(failure))),
                health: None,
            });
        }
        let waiting = "waiting for port 80, held by nginx";
        assert_eq!(
            phases(&simulation),
            [
                "trial_start 1".to_owned(),
                format!("port_busy 1 1 {waiting}"),
                "port_busy 1 1 still".to_owned(),
                "trial_start 1".to_owned(),
                format!("port_busy 1 2 {waiting}"),
                "trial_start 1".to_owned(),
                "port_busy 1 2 still".to_owned(),
            ]
        );
    }
}
