//! What clients see: the state as it is on disk, and the facts as they come.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::{broadcast, watch};

use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::step::StepKind;
use crate::model::study::Study;
use crate::model::trial::TrialId;
use crate::search::count;
use crate::wire::reply::Doing;

/// So many facts a reader may lag behind before it has to read the journal.
const LAG: usize = 1024;

/// The state of a moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The study, as far as it is on disk.
    pub study: Arc<Study>,
    /// How many facts that is.
    pub facts: u64,
    /// What the running sitting of each trial does, and since when.
    pub doing: BTreeMap<TrialId, (Doing, Timestamp)>,
    /// What the advisor is asked.
    pub asking: Option<Asking>,
    /// Whether the advisor is done without, whatever the spec says.
    pub offline: bool,
    /// Whether an end was asked for.
    pub stopping: bool,
    /// What the disk says, while it takes no facts.
    pub disk_trouble: Option<String>,
    /// Nothing more will happen.
    pub leaving: bool,
    /// See [`View::trials_most`]: counting a large space takes long, and only
    /// another spec changes it.
    trials_most: Arc<OnceLock<Option<u64>>>,
}

/// A question to the advisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// What it is about: `the next value of learning_rate`.
    pub about: String,
    /// Since when.
    pub since: Timestamp,
}

impl View {
    /// How many trials there will be at most, where that is known.
    pub fn trials_most(&self) -> Option<u64> {
        *self.trials_most.get_or_init(|| {
            let spec = self.study.spec();
            count::trials(spec).within(spec.budget.trials).most()
        })
    }
}

/// A fact with its number in the journal.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The number, from 1.
    pub seq: u64,
    /// The fact.
    pub fact: Fact,
    /// As it is sent, made once for all who follow.
    pub frame: OnceLock<Vec<u8>>,
}

/// The dispatcher's end.
pub struct Board {
    views: watch::Sender<View>,
    facts: broadcast::Sender<Arc<Numbered>>,
}

/// A reader's end.
#[derive(Clone)]
pub struct Reader {
    /// The latest view.
    pub views: watch::Receiver<View>,
    /// Weak: the stream of facts ends with the board.
    facts: broadcast::WeakSender<Arc<Numbered>>,
}

impl Board {
    /// A board for a study whose journal has so many facts.
    pub fn new(study: Arc<Study>, facts: u64, offline: bool) -> Self {
        let (views, _) = watch::channel(View {
            study,
            facts,
            doing: BTreeMap::new(),
            asking: None,
            offline,
            stopping: false,
            disk_trouble: None,
            leaving: false,
            trials_most: Arc::default(),
        });
        let (facts, _) = broadcast::channel(LAG);
        Self { views, facts }
    }

    /// A reader.
    pub fn reader(&self) -> Reader {
        Reader {
            views: self.views.subscribe(),
            facts: self.facts.downgrade(),
        }
    }

    /// Shows a fact that `study` has just taken up.
    pub fn took(&self, fact: &Fact, study: &Arc<Study>) {
        let mut seq = 0;
        self.views.send_modify(|view| {
            if !Arc::ptr_eq(view.study.spec(), study.spec()) {
                view.trials_most = Arc::default();
            }
            view.study = Arc::clone(study);
            view.facts += 1;
            seq = view.facts;
            let Some(trial) = fact.event.trial() else {
                return;
            };
            match doing(trial, &fact.event, study) {
                Some(Some(doing)) => {
                    let since = match (&doing, view.doing.get(&trial)) {
                        // It is still the same run.
                        (Doing::Progress { .. }, Some((_, since))) => *since,
                        _ => fact.at,
                    };
                    view.doing.insert(trial, (doing, since));
                }
                Some(None) => drop(view.doing.remove(&trial)),
                None => {}
            }
        });
        // After the view: a reader that missed it here finds it there counted.
        let numbered = Numbered {
            seq,
            fact: fact.clone(),
            frame: OnceLock::new(),
        };
        // Nobody may be looking.
        let _ = self.facts.send(Arc::new(numbered));
    }

    /// The running sitting of a trial is being ended.
    pub fn ending(&self, trial: TrialId, now: Timestamp) {
        self.views
            .send_modify(|view| drop(view.doing.insert(trial, (Doing::Ending, now))));
    }

    /// The advisor is asked, or has answered.
    pub fn asking(&self, asking: Option<Asking>) {
        self.views.send_modify(|view| view.asking = asking);
    }

    /// An end was asked for.
    pub fn stopping(&self) {
        self.views.send_if_modified(|view| {
            let changed = !view.stopping;
            view.stopping = true;
            changed
        });
    }

    /// The disk takes no facts, or takes them again.
    pub fn disk(&self, trouble: Option<String>) {
        self.views.send_modify(|view| view.disk_trouble = trouble);
    }

    /// Nothing more will happen: every stream of facts ends.
    pub fn leave(self) {
        self.views.send_modify(|view| view.leaving = true);
    }
}

impl Reader {
    /// Facts from here on; `None` when nothing more will happen. To be called
    /// before a view is taken that tells how many there were before.
    pub fn facts(&self) -> Option<broadcast::Receiver<Arc<Numbered>>> {
        Some(self.facts.upgrade()?.subscribe())
    }

    /// The state now.
    pub fn view(&self) -> View {
        self.views.borrow().clone()
    }
}

/// What a trial does after an event: `None` for no change.
fn doing(trial: TrialId, event: &Event, study: &Study) -> Option<Option<Doing>> {
    Some(match event {
        Event::SittingStarted { .. } => Some(Doing::Starting),
        Event::StepStarted { step, run, .. } => {
            let known = study.spec_of_running(trial).step(step);
            let part = known.zip(study.trial(trial)).zip(*run);
            let part = part.and_then(|((step, trial), run)| trial.next_part(step, run));
            let step = step.to_string();
            Some(match (known.map(|step| &step.kind), run, part) {
                (Some(StepKind::Service(_)), ..) => Doing::Readying { step },
                (Some(StepKind::Measure { .. }), None, _) => Doing::WarmUp { step },
                (.., Some((part, parts))) => Doing::Part { step, part, parts },
                _ => Doing::Step { step },
            })
        }
        Event::RunMarked { mark, .. } => {
            let step = study.spec_of_running(trial).step(&mark.step)?;
            let told = mark.metrics.first().filter(|_| step.parts().is_none())?;
            Some(Doing::Progress {
                step: mark.step.to_string(),
                metric: told.0.to_string(),
                value: told.1.get(),
            })
        }
        Event::PortBusy { port, holder, .. } => Some(Doing::PortBusy {
            port: *port,
            holder: holder.to_string(),
        }),
        Event::Waiting { text, .. } => Some(Doing::Waiting {
            text: text.to_string(),
        }),
        Event::ServicesReady { .. } => Some(Doing::Ready),
        Event::SittingEnded { .. } => None,
        _ => return None,
    })
}
