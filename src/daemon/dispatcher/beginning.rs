//! The beginning of a sitting: a runner is started, and what it reports comes
//! to the dispatcher.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Dispatcher;
use crate::daemon::decide::{Input, Urgency};
use crate::daemon::starting;
use crate::exec::handle::Control;
use crate::exec::order::Order;
use crate::exec::release::{GpuOrder, Level};
use crate::exec::report::SittingResult;
use crate::model::Name;
use crate::model::outcome::FailureKind;
use crate::model::trial::TrialId;

/// What was in use of the GPUs of each slot before its trials.
pub(super) type Levels = BTreeMap<Option<Name>, Vec<Level>>;

/// A sitting that runs.
pub(super) struct Running {
    pub(super) slot: Option<Name>,
    pub(super) control: Control,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    pub(super) fn end(&self, urgency: Urgency) {
        match urgency {
            Urgency::Orderly => self.control.stop(),
            Urgency::AtOnce => self.control.kill(),
        }
    }
}

impl Dispatcher {
    pub(super) fn start(&mut self, id: TrialId, sitting: u32) {
        match self.try_start(id, sitting) {
            Ok(running) => drop(self.running.insert(id, running)),
            Err(message) => {
                let result =
                    SittingResult::Failed(starting::not_started(FailureKind::Died, message));
                self.waiting.push_back(Input::SittingOver {
                    trial: id,
                    sitting,
                    result,
                });
            }
        }
    }

    fn try_start(&self, id: TrialId, sitting: u32) -> Result<Running, String> {
        let study = &self.state.study;
        let gone = || format!("trial {id} is not known");
        let trial = study.trial(id).ok_or_else(gone)?;
        let running = trial.running().ok_or_else(gone)?;
        let slot = running.slot.clone();
        let token = running.token.clone().into_string();
        let mut places = self.folders.places(id, sitting, running.purpose);
        let in_slot = slot.as_deref().and_then(|name| study.spec().slot(name));
        places.slot = in_slot.cloned();
        let mut order = Order::new(study.spec(), trial, sitting, token, &places)
            .map_err(|error| error.to_string())?;
        let release = study.spec().host.gpu_release;
        let is_judged = !release.is_zero() && study.spec().has_own_gpus(slot.as_deref());
        let known = self.gpus.as_ref().filter(|_| is_judged);
        let before = known.map(|known| known.get(&slot).cloned().unwrap_or_default());
        order.secret_env.clone_from(&self.secret_env);
        order.keep = self.keep_order(study, trial, sitting);
        order.gpu = before.map(|before| GpuOrder { release, before });
        let (control, controlled) = Control::new().map_err(|error| error.to_string())?;
        let folder = self.folders.sitting(id, sitting);
        let sender = self.sender.clone();
        let hands = Arc::clone(&self.hands);
        let task = tokio::spawn(async move {
            let send = |at, report| {
                drop(sender.send(Input::Report {
                    trial: id,
                    sitting,
                    at,
                    report,
                }));
            };
            let result = match starting::start(folder, order, controlled, hands).await {
                Err(failure) => SittingResult::Failed(failure),
                Ok(mut runner) => {
                    while let Some((at, report)) = runner.next().await {
                        send(at, report);
                    }
                    let finished = runner.finish().await;
                    for (at, report) in finished.missed {
                        send(at, report);
                    }
                    finished.result
                }
            };
            let _ = sender.send(Input::SittingOver {
                trial: id,
                sitting,
                result,
            });
        });
        Ok(Running {
            slot,
            control,
            task,
        })
    }
}
