//! What the system's journal is told while a study runs as a service: an entry
//! for each thing that happens, with fields to search by.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::study_table::{amended, differences};
use crate::base::quantity::show_duration;
use crate::daemon::Update;
use crate::model::artifacts::ArtifactsChange;
use crate::model::event::{Event, Fact, port_busy};
use crate::model::outcome::Outcome;
use crate::model::prior::imported;
use crate::model::study::Study;
use crate::model::trial::{Purpose, Run, SittingEnd, Trial, TrialId};
use crate::report::advice::news;
use crate::report::artifacts;
use crate::report::overview::{Gain, gain, misses};
use crate::report::phrase::pruning as why_pruned;
use crate::report::phrase::{
    clean_lines, constraint, counted, figures, mean_and_spread, percent, undelivered,
};
use crate::report::proposal;
use crate::report::retrial::{self, DRIFT_HINT, drifted, fresh_starts};
use crate::systemd::journald::{Entry, Journald, MessageId, Priority};

/// Writes entries for what a daemon does.
pub struct Entries {
    journald: Journald,
    study: Option<Arc<Study>>,
}

/// An entry before it is written.
struct Said {
    priority: Priority,
    id: Option<MessageId>,
    message: String,
}

impl Said {
    fn info(message: String) -> Self {
        Self {
            priority: Priority::Info,
            id: None,
            message,
        }
    }

    fn of(priority: Priority, id: MessageId, message: String) -> Self {
        Self {
            priority,
            id: Some(id),
            message,
        }
    }
}

impl Entries {
    /// Entries for this journal.
    pub const fn new(journald: Journald) -> Self {
        Self {
            journald,
            study: None,
        }
    }

    /// Writes until the daemon has ended.
    pub async fn follow(mut self, mut updates: mpsc::UnboundedReceiver<Update>) {
        while let Some(update) = updates.recv().await {
            self.take(update);
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Opened { study, notes } => {
                let message = opened(&study);
                self.study = Some(study);
                self.write(Said::of(Priority::Notice, MessageId::Opened, message));
                for note in notes {
                    self.write(Said {
                        priority: Priority::Notice,
                        ..Said::info(note)
                    });
                }
            }
            Update::Recovering { trial, .. } => {
                let message = format!("clearing up what an earlier daemon left of trial {trial}");
                let said = Said::of(Priority::Notice, MessageId::Recovered, message);
                self.write_of(said, trial);
            }
            Update::Asking(about) => {
                self.write(Said::info(format!("asking the advisor for {about}")));
            }
            Update::Warning(message) => self.write(Said {
                priority: Priority::Warning,
                ..Said::info(message)
            }),
            Update::Answer(message) => self.write(Said::info(message)),
            Update::DiskTrouble(trouble) => {
                let message = format!("{trouble}, retrying");
                let id = MessageId::DiskTrouble;
                self.write(Said::of(Priority::Error, id, message));
            }
            Update::DiskBack => {
                let message = "the disk takes data again".to_owned();
                let id = MessageId::DiskBack;
                self.write(Said::of(Priority::Notice, id, message));
            }
            Update::Fact(fact, study) => {
                self.fact(&fact, &study);
                self.study = Some(study);
            }
        }
    }

    fn write(&self, said: Said) {
        self.write_fields(&said, Entry::default());
    }

    fn write_of(&self, said: Said, trial: TrialId) {
        let fields = Entry {
            trial: Some(trial.0),
            ..Entry::default()
        };
        self.write_fields(&said, fields);
    }

    fn write_fields(&self, said: &Said, fields: Entry<'_>) {
        let message = clean_lines(&said.message);
        let entry = Entry {
            message: &message,
            id: said.id,
            study: self.study.as_ref().map(|study| &*study.spec().name),
            ..fields
        };
        self.journald.write(said.priority, &entry);
    }

    fn fact(&self, fact: &Fact, study: &Study) {
        let Some(said) = self.say(fact, study) else {
            return;
        };
        let fields = Entry {
            event: Some(fact.event.name()),
            ..Entry::default()
        };
        let fields = match &fact.event {
            Event::SittingStarted { trial, .. }
            | Event::ServicesReady { trial, .. }
            | Event::PortBusy { trial, .. }
            | Event::Warned { trial, .. }
            | Event::Waiting { trial, .. }
            | Event::TrialPlanned { trial, .. }
            | Event::TrialReopened { trial }
            | Event::TrialSkipped { trial }
            | Event::TrialPruned { trial, .. }
            | Event::TrialDeferred { trial }
            | Event::Artifacts { trial, .. }
            | Event::TaskResumed { trial, .. }
            | Event::Drifted { trial, .. } => Entry {
                trial: Some(trial.0),
                ..fields
            },
            Event::RunEnded { trial, run } => Entry {
                trial: Some(trial.0),
                step: Some(&*run.step),
                run: Some(run.number),
                ..fields
            },
            Event::SittingEnded { trial, end, .. } => Entry {
                trial: Some(trial.0),
                outcome: Some(match end {
                    SittingEnd::Finished(outcome) => outcome.word(),
                    SittingEnd::Interrupted => "interrupted",
                }),
                ..fields
            },
            _ => fields,
        };
        self.write_fields(&said, fields);
    }

    /// What there is to say; `None` for what another entry tells as well.
    fn say(&self, fact: &Fact, study: &Study) -> Option<Said> {
        Some(match &fact.event {
            Event::Opened { .. }
            | Event::HostSeen { .. }
            | Event::StepStarted { .. }
            | Event::RunMarked { .. }
            | Event::RunTold { .. }
            | Event::TrialPlanned { .. }
            | Event::NoticeQueued(_)
            | Event::NoticeDelivered { .. } => return None,
            Event::NoticeGivenUp { .. } => Said {
                priority: Priority::Warning,
                ..Said::info(undelivered(&fact.event)?)
            },
            Event::SittingStarted { trial, sitting, .. } => {
                let tried = study.trial(*trial)?;
                let differs = differences(study, tried);
                if let Some(why) = retrial::running(study, tried) {
                    return Some(Said::info(format!(
                        "{why}: trial {trial} ({differs}) starts"
                    )));
                }
                let again = match sitting {
                    1 => String::new(),
                    again => format!(", sitting {again}"),
                };
                Said::info(format!("trial {trial} ({differs}) starts{again}"))
            }
            Event::ServicesReady { trial, startup, .. } => Said::info(format!(
                "trial {trial}: ready after {}",
                show_duration(*startup)
            )),
            Event::PortBusy {
                trial,
                port,
                holder,
                ..
            } => Said {
                priority: Priority::Warning,
                ..Said::info(format!("trial {trial}: {}", port_busy(*port, holder)))
            },
            Event::Warned { trial, text, .. } | Event::Waiting { trial, text, .. } => Said {
                priority: Priority::Warning,
                ..Said::info(format!("trial {trial}: {text}"))
            },
            Event::RunEnded { trial, run } => {
                let priority = if run.is_good() {
                    Priority::Info
                } else {
                    Priority::Warning
                };
                Said {
                    priority,
                    ..Said::info(run_text(*trial, run))
                }
            }
            Event::SittingEnded {
                trial,
                sitting,
                end,
                ..
            } => {
                let trial = study.trial(*trial)?;
                match trial.purpose_of(*sitting) {
                    Purpose::Measure => self.ended(trial, end, study),
                    purpose => retried(trial, purpose, end)?,
                }
            }
            Event::TrialReopened { trial } => {
                Said::info(format!("trial {trial} is to be measured again"))
            }
            Event::TrialSkipped { trial } => Said::info(format!("trial {trial} is skipped")),
            Event::TrialPruned { trial, pruning } => {
                Said::info(format!("trial {trial} ends early: {}", why_pruned(pruning)))
            }
            Event::TrialDeferred { trial } => Said::info(format!(
                "trial {trial} is left at the runs that it has: others promise more"
            )),
            Event::Drifted {
                trial,
                before,
                after,
                ..
            } => {
                let metric = &study.spec().objective.metric;
                let message = drifted(metric, trial.0, *before, *after);
                let message = format!("drift: {message}: {DRIFT_HINT}");
                Said::of(Priority::Warning, MessageId::Drifted, message)
            }
            Event::ApprovalAsked(proposal) => {
                let what = proposal::in_words(study, proposal);
                let how = "to answer: autotunectl approve, autotunectl reject";
                let message = format!("proposal {} waits: {what}; {how}", proposal.number);
                Said::of(Priority::Notice, MessageId::ApprovalAsked, message)
            }
            Event::ApprovalGiven { .. }
            | Event::ApprovalRefused { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::ParameterReopened { .. } => Said {
                priority: Priority::Notice,
                ..Said::info(proposal::answered(&fact.event)?)
            },
            Event::Artifacts { trial, change } => {
                let priority = match change {
                    ArtifactsChange::Lost { .. } => Priority::Warning,
                    _ => Priority::Info,
                };
                Said {
                    priority,
                    ..Said::info(artifacts::changed(*trial, change))
                }
            }
            Event::TaskResumed {
                trial,
                step,
                checkpoint,
                ..
            } => Said::info(artifacts::resumed(*trial, step, checkpoint)),
            Event::Paused { reason, by_user } => {
                let how = "to go on: autotunectl resume";
                let message = format!("paused: {reason}; {how}");
                if *by_user {
                    Said::of(Priority::Notice, MessageId::Paused, message)
                } else {
                    Said::of(Priority::Error, MessageId::HostFaults, message)
                }
            }
            Event::SpecAmended { amendments } => {
                let what = amended(self.study.as_deref(), amendments);
                Said {
                    priority: Priority::Notice,
                    ..Said::info(format!("changed: {what}"))
                }
            }
            Event::Imported(batch) => Said {
                priority: Priority::Notice,
                ..Said::info(format!(
                    "imported: {}",
                    imported(batch.rows.len(), &batch.file)
                ))
            },
            Event::SpecReloaded { .. } => Said {
                priority: Priority::Notice,
                ..Said::info("the spec was read again".to_owned())
            },
            Event::Advised(advice) => Said {
                priority: match advice.answer {
                    Ok(_) => Priority::Info,
                    Err(_) => Priority::Warning,
                },
                ..Said::info(news(study, advice)?)
            },
            Event::Resumed => Said::of(Priority::Notice, MessageId::Resumed, "resumed".to_owned()),
            Event::Done { reason } => {
                let message = format!("done: {reason}; {}", best_text(study));
                Said::of(Priority::Notice, MessageId::Done, message)
            }
        })
    }

    fn ended(&self, trial: &Trial, end: &SittingEnd, study: &Study) -> Said {
        let id = trial.id;
        let objective = study.objective(trial);
        let metric = &study.spec().objective.metric;
        let measured = objective
            .map(|summary| format!(", {metric} {}", mean_and_spread(&summary)))
            .unwrap_or_default();
        let SittingEnd::Finished(outcome) = end else {
            return Said::info(format!("trial {id} is interrupted; it goes on later"));
        };
        match outcome {
            Outcome::Failed(failure) => {
                let message = format!("trial {id} failed: {}", failure.with_hint());
                Said::of(Priority::Warning, MessageId::TrialFailed, message)
            }
            Outcome::Infeasible => {
                let missed = misses(study, trial);
                let missed: Vec<String> = missed
                    .iter()
                    .map(|miss| {
                        format!(
                            "{} is {}",
                            constraint(&miss.constraint),
                            figures(miss.mean, 4)
                        )
                    })
                    .collect();
                let missed = missed.join(", ");
                Said::info(format!("trial {id} is infeasible{measured}: {missed}"))
            }
            Outcome::Pruned => Said::info(format!("trial {id} is pruned{measured}")),
            Outcome::Complete => {
                let is_best = |study: &Study| study.incumbent().is_some_and(|best| best.id == id);
                let before = self.study.as_deref();
                if is_best(study) && !before.is_some_and(is_best) {
                    let message = format!("new best: {}", best_text(study));
                    return Said::of(Priority::Notice, MessageId::NewBest, message);
                }
                Said::info(format!("trial {id} is complete{measured}"))
            }
        }
    }
}

/// What there is to say of the end of a sitting that was not to measure its
/// trial: its run has been told.
fn retried(trial: &Trial, purpose: Purpose, end: &SittingEnd) -> Option<Said> {
    let what = match purpose {
        Purpose::Preflight => "the pre-flight".to_owned(),
        Purpose::Incumbent => format!("what follows trial {} as the new best", trial.id),
        _ => format!("the fresh start of trial {}", trial.id),
    };
    match end {
        SittingEnd::Interrupted => Some(Said::info(format!(
            "{what} is interrupted; it is made again later"
        ))),
        SittingEnd::Finished(Outcome::Failed(failure)) => {
            let why = failure.with_hint();
            let message = format!("{what} failed: {why}");
            Some(Said::of(Priority::Warning, MessageId::TrialFailed, message))
        }
        SittingEnd::Finished(_) => None,
    }
}

fn opened(study: &Study) -> String {
    let spec = study.spec();
    let direction = format!("{:?}", spec.objective.direction).to_lowercase();
    let constraints: Vec<String> = spec.constraints.iter().map(constraint).collect();
    let floor = match constraints.join(" and ") {
        none if none.is_empty() => none,
        all => format!(", where {all}"),
    };
    let settled = study.trials().iter().filter(|trial| trial.is_settled());
    let after = match settled.count() {
        0 => String::new(),
        some => format!("; going on after {}", counted(some as u64, "trial")),
    };
    let metric = &spec.objective.metric;
    format!("study {}: {direction} {metric}{floor}{after}", spec.name)
}

fn run_text(trial: TrialId, run: &Run) -> String {
    let head = format!("trial {trial}: {} run {}", run.step, run.number);
    if let Some(fault) = &run.fault {
        return format!("{head} is bad: {fault}");
    }
    let metrics = run.metrics.iter();
    let metrics = metrics.map(|(name, value)| format!("{name} {}", figures(value.get(), 4)));
    let metrics: Vec<String> = metrics.collect();
    format!("{head}: {}", metrics.join(", "))
}

fn best_text(study: &Study) -> String {
    let Some(best) = study.incumbent() else {
        return "no trial meets the constraints".to_owned();
    };
    let metric = &study.spec().objective.metric;
    let summary = study.objective(best);
    let mean = summary.map_or_else(String::new, |summary| {
        format!(", {metric} {}", mean_and_spread(&summary))
    });
    let gained = match gain(study) {
        Gain::Measured {
            share: Some(share),
            confirmed,
            ..
        } => {
            let by = confirmed.map(|starts| format!(" in {}", fresh_starts(starts)));
            let better = percent(share);
            format!(
                ", {better} better than the baseline{}",
                by.unwrap_or_default()
            )
        }
        _ => String::new(),
    };
    let differs = differences(study, best);
    format!("trial {} ({differs}){mean}{gained}", best.id)
}
