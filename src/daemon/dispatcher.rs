//! The one task that owns a study.
//!
//! ```text
//!   signals, runners, sampler, timers ── Input ──▶ decide ──▶ facts ──▶ journal, synced
//!                                                    │                     │
//!                                                 effects ◀── publish ◀── apply
//! ```
//!
//! - Nobody sees a fact before it is on disk.
//! - While the journal writes, stop and kill are still obeyed, and signs of life
//!   given: a disk that does not answer is no hanging dispatcher.
//! - A disk that takes no facts stops everything that needs new ones; the
//!   facts are kept and written as soon as it does.

mod beginning;
mod consulting;
mod ending;
pub(super) mod keeping;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};

use self::beginning::{Levels, Running};
use self::consulting::Way;
use super::board::{Board, Reader};
use super::decide::{self, Company, Context, Decision, Effect, Input, State, Urgency, decide};
use super::folders::Folders;
use super::notifier::Troubles;
use super::records::{Records, written};
use super::reporter;
use super::service::Pulse;
use super::sweep::{Hands, Sweeper};
use super::{DaemonError, Update, approve, starting};
use crate::base::clock::Timestamp;
use crate::base::{clock, file, random};
use crate::exec::report::Report;
use crate::model::event::{Event, Fact};
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::TrialId;
use crate::store::error::AppendError;
use crate::store::spec_copy;
use crate::systemd::notify;

/// After so much time a disk that says nothing is said to.
const DISK_SILENCE: Duration = Duration::from_secs(10);
/// The pause before a full disk is tried again.
const DISK_PAUSE: Duration = Duration::from_secs(5);
/// How often the disk is looked at while a trial runs: a runner that waits for
/// it reports nothing, so that nothing is written here that would show it.
const DISK_LOOK: Duration = Duration::from_secs(5);

/// See the module's docs.
pub struct Dispatcher {
    state: State,
    records: Records,
    folders: Folders,
    boot_id: String,
    sender: mpsc::UnboundedSender<Input>,
    inputs: mpsc::UnboundedReceiver<Input>,
    urgent: mpsc::UnboundedReceiver<Urgency>,
    waiting: VecDeque<Input>,
    pulse: Pulse,
    disk_look: Interval,
    stopping_since: Option<Instant>,
    /// Nothing waits for the disk any more.
    leaving: bool,
    /// The variables that were a secret at some time. No trial gets them, also
    /// when the spec names them no more.
    secret_env: Vec<String>,
    updates: mpsc::UnboundedSender<Update>,
    board: Board,
    /// The sittings that run: one, or one in each slot.
    running: BTreeMap<TrialId, Running>,
    consulting: Option<JoinHandle<()>>,
    /// The way to the advisor.
    way: Way,
    forgetting: JoinSet<()>,
    reporting: Option<JoinHandle<()>>,
    sweeper: Arc<Mutex<Sweeper>>,
    hands: Arc<Hands>,
    copying: Option<keeping::Copying>,
    /// What was in use of the GPUs before the trials; `None` where there are
    /// none to look at.
    gpus: Option<Levels>,
    /// Whether a start waits for room on the disk while others run.
    lacks_room: bool,
}

impl Dispatcher {
    /// A dispatcher for a study whose journal `records` has open. `urgent`
    /// brings the wishes to end; with `has_gpus` trials wait for the memory of
    /// the host's GPUs; `offline` does without the advisor.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing that it is made of"
    )]
    pub fn new(
        study: Study,
        records: Records,
        folders: Folders,
        urgent: mpsc::UnboundedReceiver<Urgency>,
        updates: mpsc::UnboundedSender<Update>,
        company: Company,
        has_gpus: bool,
        offline: bool,
    ) -> Self {
        let (sender, inputs) = mpsc::unbounded_channel();
        let study = Arc::new(study);
        let board = Board::new(Arc::clone(&study), records.facts(), offline);
        let pulse = Pulse::new(study.spec());
        let secret_env = study.spec().secret_env();
        let mut disk_look = interval(DISK_LOOK);
        disk_look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sweeper = Sweeper::new(folders.clone());
        let hands = sweeper.hands();
        Self {
            state: State {
                offline,
                ..State::new(study, company)
            },
            records,
            folders,
            boot_id: clock::boot_id(),
            sender,
            inputs,
            urgent,
            waiting: VecDeque::new(),
            pulse,
            disk_look,
            stopping_since: None,
            leaving: false,
            secret_env,
            updates,
            board,
            running: BTreeMap::new(),
            consulting: None,
            way: Way::default(),
            forgetting: JoinSet::new(),
            reporting: None,
            sweeper: Arc::new(Mutex::new(sweeper)),
            hands,
            copying: None,
            gpus: has_gpus.then(Levels::default),
            lacks_room: false,
        }
    }

    /// What clients see of it.
    pub fn reader(&self) -> Reader {
        self.board.reader()
    }

    /// Takes the wishes of clients.
    pub fn sender(&self) -> mpsc::UnboundedSender<Input> {
        self.sender.clone()
    }

    /// Works until there is nothing left to do, or an end is asked for. No
    /// trial runs then. `troubles` are those of the channels, where somebody is
    /// told what happens.
    ///
    /// # Errors
    /// When the journal cannot be written and an end is asked for. Facts that
    /// are not in it are still in the folder of their sitting, where the next
    /// start finds them.
    pub async fn run(
        mut self,
        first: Input,
        troubles: Option<watch::Receiver<Troubles>>,
    ) -> Result<Arc<Study>, DaemonError> {
        self.waiting.push_back(first);
        let left = loop {
            let input = self.next_input().await;
            let is_tick = matches!(input, Input::Tick);
            let begins = matches!(input, Input::Begin { .. });
            let handled = self.handle(input).await;
            let lacks = || reporter::is_missing(&self.state.study, self.folders.output());
            if begins && self.reporting.is_none() && lacks() {
                self.report();
            }
            match handled {
                // What came before it is handled, too.
                Ok(false) if is_tick => self.beat(),
                Ok(false) => {}
                Ok(true) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.forget_consulting();
        for running in self.running.values() {
            running.control.stop();
        }
        for (_, running) in std::mem::take(&mut self.running) {
            let _ = running.task.await;
        }
        if let Some(copying) = self.copying.take() {
            copying.end().await;
        }
        let left = match (left, troubles) {
            (Ok(()), Some(troubles)) => self.last_deliveries(troubles).await,
            (left, _) => left,
        };
        self.await_report().await;
        self.refuse_the_rest();
        while self.forgetting.join_next().await.is_some() {}
        if let Err(error) = &left {
            self.records.crashed(&error.to_string(), &self.state.study);
        }
        self.board.leave();
        self.records.close().await;
        left.map(|()| self.state.study)
    }

    async fn next_input(&mut self) -> Input {
        loop {
            if let Ok(urgency) = self.urgent.try_recv() {
                return Input::Stop(urgency);
            }
            if let Some(input) = self.waiting.pop_front() {
                return input;
            }
            let due = approve::due(&self.state);
            tokio::select! {
                biased;
                Some(urgency) = self.urgent.recv() => return Input::Stop(urgency),
                () = self.pulse.due() => return Input::Tick,
                Some(input) = self.inputs.recv() => return input,
                () = reached(due), if due.is_some() => return Input::Overdue,
                _ = self.disk_look.tick(), if !self.running.is_empty() => self.look_at_disk().await,
            }
        }
    }

    /// Waits until the disk answers.
    async fn look_at_disk(&mut self) {
        let output = self.folders.output().to_owned();
        let look = tokio::task::spawn_blocking(move || file::await_answer(&output));
        // What is wrong with the folder is for those to say who use it.
        let _ = self.await_disk(look).await;
    }

    /// Whether it was the last input.
    async fn handle(&mut self, input: Input) -> Result<bool, DaemonError> {
        #[cfg(feature = "hang")]
        hang();
        if let Input::Report {
            trial,
            report: Report::GpuLevels(levels),
            ..
        } = &input
            && let (Some(known), Some(running)) = (&mut self.gpus, self.running.get(trial))
        {
            known.insert(running.slot.clone(), levels.clone());
        }
        let token = random::token();
        let context = Context {
            now: clock::now(),
            token: &token,
            boot_id: &self.boot_id,
        };
        let Decision {
            facts,
            spec,
            mut effects,
            answer,
        } = decide(&mut self.state, input, &context);
        if self.state.stopping.is_some() && self.stopping_since.is_none() {
            self.stopping_since = Some(Instant::now());
            let _ = notify::stopping();
            self.board.stopping();
        }
        let is_start = |fact: &Fact| matches!(fact.event, Event::SittingStarted { .. });
        let start = facts.iter().position(is_start).unwrap_or(facts.len());
        let (before, start) = facts.split_at(start);
        if !before.is_empty() {
            self.record(before, spec).await?;
        }
        if let Some((reply, answer)) = answer {
            // True from here on, whenever the next sitting starts.
            let _ = reply.send(answer);
        }
        // As it is on disk: what has just ended is not forgotten yet.
        let is_alone = self.state.study.running().is_none();
        if !start.is_empty() && is_alone && !self.await_room().await {
            // The end that is wanted comes next. Nothing was begun.
            return Ok(false);
        }
        if !start.is_empty() && is_alone && std::mem::take(&mut self.lacks_room) {
            self.disk_is_back();
        }
        if !start.is_empty() && !is_alone && !self.has_room().await {
            // Nothing was begun; what runs beside it goes on.
            let begins =
                |effect: &Effect| matches!(effect, Effect::StartSitting { .. } | Effect::Look);
            effects.retain(|effect| !begins(effect));
        } else if !start.is_empty() {
            self.record(start, None).await?;
        }
        let mut last = false;
        for effect in effects {
            last |= effect == Effect::Leave;
            self.carry_out(effect);
        }
        Ok(last)
    }

    /// Puts facts on disk, takes them up, and publishes the new state. `spec`
    /// is what one of them says is gone by.
    async fn record(
        &mut self,
        facts: &[Fact],
        mut spec: Option<Arc<Spec>>,
    ) -> Result<(), DaemonError> {
        let mut receipt = self.records.append(facts.to_vec());
        let mut said = false;
        while let Err(error) = self.await_disk(written(&mut receipt)).await {
            if self.end_is_wanted() {
                return Err(DaemonError::NotRecorded(error));
            }
            if !said {
                said = true;
                self.disk_trouble(error.to_string());
            }
            self.pause().await;
            receipt = self.records.retry(facts.to_vec());
        }
        if said {
            self.disk_is_back();
        }
        for fact in facts {
            let study = Arc::make_mut(&mut self.state.study);
            // The same check was made when the fact was decided.
            study.apply(fact).map_err(DaemonError::Inconsistent)?;
            if matches!(fact.event, Event::SpecReloaded { .. })
                && let Some(spec) = spec.take()
            {
                self.pulse.allow(&spec);
                self.secret_env.extend(spec.secret_env());
                study.rewrite(spec);
                self.way = Way::default();
            }
            if fact.event == Event::Resumed {
                // Whoever wants it to go on finds the GPUs good enough.
                self.gpus.iter_mut().for_each(Levels::clear);
                // And perhaps has stored another key.
                self.way = Way::default();
            }
            if matches!(fact.event, Event::Advised(_)) {
                self.board.asking(None);
            }
            self.records.follow(fact, &self.state.study);
            self.board.took(fact, &self.state.study);
            self.tell(Update::Fact(fact.clone(), Arc::clone(&self.state.study)));
        }
        let study = &self.state.study;
        if facts
            .iter()
            .any(|fact| reporter::is_due(&fact.event, study))
        {
            self.report();
        }
        let may_give_up = |fact: &Fact| {
            use crate::model::artifacts::ArtifactsChange::Kept;
            use Event::{Artifacts, Opened, SittingEnded, SpecReloaded};
            match &fact.event {
                Opened { .. } | SittingEnded { .. } | SpecReloaded { .. } => true,
                Artifacts { change, .. } => matches!(change, Kept { .. }),
                _ => false,
            }
        };
        if facts.iter().any(may_give_up) {
            self.sweep();
        }
        Ok(())
    }

    /// Removes the output of trials that is not kept any more, where it holds
    /// nobody up.
    fn sweep(&self) {
        let (study, reader) = (Arc::clone(&self.state.study), self.reader());
        let (sweeper, updates) = (Arc::clone(&self.sweeper), self.updates.clone());
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            // One that is still at work leaves the rest to the next.
            let Ok(mut sweeper) = sweeper.try_lock() else {
                return;
            };
            let swept = sweeper.sweep(&study, || reader.view().study);
            for (trial, change) in swept.artifacts {
                let _ = sender.send(Input::Artifacts { trial, change });
            }
            if let Some(trouble) = swept.trouble {
                let text = format!("[retention] could not remove {trouble}, retrying");
                let _ = updates.send(Update::Warning(text));
            }
        });
    }

    /// Writes the reports of a study that is done, where it holds nobody up.
    fn report(&mut self) {
        let (study, updates) = (Arc::clone(&self.state.study), self.updates.clone());
        let (output, before) = (self.folders.output().to_owned(), self.reporting.take());
        self.reporting = Some(tokio::spawn(async move {
            // Reports of the same end replace each other: the last is the newest.
            if let Some(before) = before {
                let _ = before.await;
            }
            let written = move || reporter::conclude(&study, clock::now(), &output);
            let written = tokio::task::spawn_blocking(written).await;
            if let Ok(Err(trouble)) = written {
                let _ = updates.send(Update::Warning(trouble));
            }
        }));
    }

    /// Waits until the disk has room for a sitting: one that fails for want of
    /// it is no use to anybody. Whether it has; else an end is wanted.
    async fn await_room(&mut self) -> bool {
        let mut said = false;
        loop {
            let path = self.folders.output().to_owned();
            let probed = path.clone();
            let probe = tokio::task::spawn_blocking(move || file::check_room(&probed));
            let probe = self.await_disk(probe).await;
            // What else is wrong with the folder is for those to say who use it.
            let Some(source) = probe.ok().and_then(Result::err).filter(starting::is_full) else {
                break;
            };
            if self.end_is_wanted() {
                return false;
            }
            if !said {
                said = true;
                self.disk_trouble(AppendError::Full { path, source }.to_string());
            }
            self.pause().await;
        }
        if said {
            self.disk_is_back();
        }
        true
    }

    /// Whether the disk has room for a sitting, where nobody can wait for it
    /// since others run; where it has not, that is looked at again.
    async fn has_room(&mut self) -> bool {
        let path = self.folders.output().to_owned();
        let probed = path.clone();
        let probe = tokio::task::spawn_blocking(move || file::check_room(&probed));
        let probe = self.await_disk(probe).await;
        let full = probe.ok().and_then(Result::err).filter(starting::is_full);
        let lacked = std::mem::replace(&mut self.lacks_room, full.is_some());
        match full {
            Some(source) => {
                if !lacked {
                    self.disk_trouble(AppendError::Full { path, source }.to_string());
                }
                self.send_after(DISK_PAUSE, Input::Look);
            }
            None if lacked => self.disk_is_back(),
            None => {}
        }
        !self.lacks_room
    }

    /// Waits before a full disk is tried again; less long where an end is
    /// asked for.
    async fn pause(&mut self) {
        let mut pause = pin!(tokio::time::sleep(DISK_PAUSE));
        loop {
            tokio::select! {
                biased;
                Some(urgency) = self.urgent.recv() => return self.end_now(urgency),
                () = self.pulse.due() => self.beat(),
                () = &mut pause => return,
            }
        }
    }

    /// Waits for what depends on the disk. Ends are obeyed and signs of life
    /// given meanwhile.
    async fn await_disk<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let (mut answer, mut silence) = (pin!(answer), pin!(tokio::time::sleep(DISK_SILENCE)));
        let mut said = false;
        loop {
            tokio::select! {
                biased;
                Some(urgency) = self.urgent.recv() => self.end_now(urgency),
                () = self.pulse.due() => self.beat(),
                result = &mut answer => {
                    if said {
                        self.disk_is_back();
                    }
                    return result;
                }
                () = &mut silence, if !said => {
                    said = true;
                    let seconds = DISK_SILENCE.as_secs();
                    let output = self.folders.output().display();
                    self.disk_trouble(format!("the disk of {output} has not answered for {seconds} s"));
                }
            }
        }
    }

    fn disk_trouble(&self, trouble: String) {
        self.board.disk(Some(trouble.clone()));
        self.tell(Update::DiskTrouble(trouble));
    }

    fn disk_is_back(&self) {
        self.board.disk(None);
        self.tell(Update::DiskBack);
    }

    /// A sign of life for the service manager.
    fn beat(&self) {
        let ending = self.stopping_since.filter(|_| !self.running.is_empty());
        self.pulse.beat(ending.map(|since| since.elapsed()));
    }

    fn end_is_wanted(&self) -> bool {
        let waits = self
            .waiting
            .iter()
            .any(|input| matches!(input, Input::Stop(_)));
        waits || self.leaving || self.state.stopping.is_some()
    }

    /// An end that cannot wait for the disk.
    fn end_now(&mut self, urgency: Urgency) {
        for running in self.running.values() {
            running.end(urgency);
        }
        self.waiting.push_front(Input::Stop(urgency));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Ask => {
                let (study, sender) = (Arc::clone(&self.state.study), self.sender.clone());
                tokio::task::spawn_blocking(move || drop(sender.send(decide::ask(&study))));
            }
            Effect::Consult(question) => self.consult(question),
            Effect::ForgetQuestion => {
                self.forget_consulting();
                self.board.asking(None);
            }
            Effect::StartSitting { trial, sitting } => self.start(trial, sitting),
            Effect::EndSitting(trial, urgency) => {
                if let Some(running) = self.running.get(&trial) {
                    self.board.ending(trial, clock::now());
                    running.end(urgency);
                }
            }
            Effect::Look => self.waiting.push_back(Input::Look),
            Effect::ForgetSitting { trial, sitting } => {
                self.running.remove(&trial);
                let folders = self.folders.clone();
                let settled = self.state.study.trial(trial);
                let settled = settled.is_some_and(|trial| trial.is_settled());
                // Those that are over are forgotten themselves.
                while self.forgetting.try_join_next().is_some() {}
                self.forgetting.spawn_blocking(move || {
                    folders.forget_sitting(trial, sitting, settled);
                });
            }
            Effect::Keep(trial) => self.keep(trial),
            Effect::Disk(Some(trouble)) => self.disk_trouble(trouble),
            Effect::Disk(None) => self.disk_is_back(),
            Effect::WakeAfter(slot, pause) => self.send_after(pause, Input::Wake(slot)),
            Effect::KeepSpec(text) => {
                let folder = self.folders.journal().to_owned();
                let updates = self.updates.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = spec_copy::keep(&folder, &text) {
                        let text = format!("{error}, retrying at the next start");
                        let _ = updates.send(Update::Warning(text));
                    }
                });
            }
            Effect::Warn(text) => self.tell(Update::Warning(text)),
            Effect::Leave => {}
        }
    }

    fn send_after(&self, pause: Duration, input: Input) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            drop(sender.send(input));
        });
    }

    fn tell(&self, update: Update) {
        // Nobody may be looking.
        let _ = self.updates.send(update);
    }
}

/// Waits until then, by the clock that the facts are dated by.
async fn reached(due: Option<Timestamp>) {
    if let Some(due) = due {
        tokio::time::sleep(due.since(clock::now())).await;
    }
}

/// What a mistake in the dispatcher would look like from outside.
#[cfg(feature = "hang")]
fn hang() {
    let file = std::env::var_os("AUTOTUNE_HANG").map(std::path::PathBuf::from);
    while file.as_ref().is_some_and(|file| file.exists()) {
        std::thread::park();
    }
}
