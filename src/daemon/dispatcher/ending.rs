//! The end of the dispatcher: what is still to be told, and what comes too late.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;

use super::Dispatcher;
use crate::daemon::decide::Input;
use crate::daemon::notifier::{Trouble, Troubles};
use crate::daemon::{DaemonError, Update};
use crate::model::Name;
use crate::wire::reply::{Refusal, Reply};

/// How long the last messages may take to be delivered.
const DELIVERIES: Duration = Duration::from_secs(10);

impl Dispatcher {
    /// Gives the channels a moment for what is still to be told, and says what
    /// is left. A disk that does not take what became of it is no failure: it is
    /// told once more.
    pub(super) async fn last_deliveries(
        &mut self,
        troubles: watch::Receiver<Troubles>,
    ) -> Result<(), DaemonError> {
        self.leaving = true;
        match self.await_deliveries(troubles).await {
            Err(DaemonError::NotRecorded(error)) => {
                let text = format!(
                    "{error}: what was delivered last is not on record, and told once more by the \
                     next start"
                );
                self.tell(Update::Warning(text));
                Ok(())
            }
            delivered => {
                self.tell_what_waits();
                delivered
            }
        }
    }

    /// Waits for the reports of a study that is done, unless an end is asked for:
    /// others can write them as well.
    pub(super) async fn await_report(&mut self) {
        let Some(mut reporting) = self.reporting.take() else {
            return;
        };
        loop {
            tokio::select! {
                biased;
                Some(_) = self.urgent.recv() => return,
                () = self.pulse.due() => self.beat(),
                _ = &mut reporting => return,
            }
        }
    }

    /// What comes too late is not done, and whoever asks for it is told so.
    pub(super) fn refuse_the_rest(&mut self) {
        self.inputs.close();
        let mut rest = std::mem::take(&mut self.waiting);
        while let Ok(input) = self.inputs.try_recv() {
            rest.push_back(input);
        }
        rest.into_iter().for_each(refuse);
    }

    /// Waits a moment until what is still to be told is delivered; not for
    /// channels that are between two attempts. What is left waits in the outbox.
    async fn await_deliveries(
        &mut self,
        mut troubles: watch::Receiver<Troubles>,
    ) -> Result<(), DaemonError> {
        let mut end = pin!(tokio::time::sleep(DELIVERIES));
        loop {
            let waiting = self.state.study.outbox().channels();
            let rests = |name: &Name| {
                let troubles = troubles.borrow();
                let trouble: Option<&Trouble> = troubles.get(name);
                trouble.is_some_and(|trouble| trouble.again.is_some())
            };
            if waiting.iter().all(rests) {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(_) = self.urgent.recv() => return Ok(()),
                () = self.pulse.due() => self.beat(),
                () = &mut end => return Ok(()),
                Some(input) = self.inputs.recv() => match input {
                    Input::Notified(_) => drop(self.handle(input).await?),
                    other => refuse(other),
                },
                changed = troubles.changed() => if changed.is_err() {
                    return Ok(());
                },
            }
        }
    }

    fn tell_what_waits(&self) {
        let waiting = self.state.study.outbox().channels();
        if !waiting.is_empty() {
            let channels = waiting.join(", ");
            let text = format!("not delivered yet, for {channels}: the next start tries again");
            self.tell(Update::Warning(text));
        }
    }
}

/// Says to whoever has asked for something that it is not done.
fn refuse(input: Input) {
    if let Input::Request { reply, .. } | Input::Reload { reply, .. } = input {
        let _ = reply.send(Reply::Refused(Refusal::Leaving));
    }
}
