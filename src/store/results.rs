//! The lines of the results file, in the form of the reference tuner.
//!
//! A line is made of journalled facts and of nothing else, so that the file
//! can be made again at any time: by the same code when a trial ends and when
//! a journal is read. One field is not so: `ts` is local time, and local is
//! wherever the daemon runs. See [`TIME`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::outcome::{Ending, Failure, FailureKind, HostFault, Outcome};
use crate::model::params::Params;
use crate::model::spec::Spec;
use crate::model::study::Study;
use crate::model::trial::{self, Purpose, Run, Sitting, SittingEnd, Trial, TrialId};

/// The token of a sitting that was imported from a results file: no process of
/// it is to be looked for, and its line is there already.
pub const IMPORTED: &str = "imported";

/// Where a line has its time. When a file is compared with what it should be,
/// these bytes are left out: a daemon that is started in another time zone
/// must not take the file for a strange one.
pub const TIME: Range<usize> = 7..26;

/// The metrics that the reference tuner knows, which every run names.
pub(super) const REFERENCE: [&str; 4] = ["accuracy", "answer_tps", "total_tps", "total_time_s"];

/// Makes the lines: fed with every fact after the study has taken it up, it
/// yields a line when a sitting ends that is to have one.
#[derive(Debug, Default)]
pub struct ResultsBuilder {
    /// The incumbent that each trial was planned against, by number.
    against: Vec<Option<TrialId>>,
    /// When the first service of each trial's present sitting was started.
    services: BTreeMap<TrialId, Timestamp>,
}

impl ResultsBuilder {
    /// Takes up a fact that `study` has just taken up. Returns a line with its
    /// newline, where one is due.
    pub fn take(&mut self, fact: &Fact, study: &Study) -> Option<Vec<u8>> {
        match &fact.event {
            Event::TrialPlanned { .. } => {
                self.against.push(study.incumbent().map(|trial| trial.id));
            }
            Event::SittingStarted { trial, .. } => drop(self.services.remove(trial)),
            Event::StepStarted { trial, step, .. } => {
                let first = study.spec().first_service();
                if first.is_some_and(|first| first.name == *step) {
                    self.services.entry(*trial).or_insert(fact.at);
                }
            }
            Event::SittingEnded {
                trial,
                sitting,
                end: SittingEnd::Finished(outcome),
                ..
            } => {
                let service = self.services.remove(trial);
                let trial = study.trial(*trial)?;
                let sitting = trial.sitting(*sitting)?;
                if sitting.purpose != Purpose::Measure {
                    return None;
                }
                let imported = &*sitting.token == IMPORTED;
                let line = || self.line(fact.at, study, trial, sitting, outcome, service);
                return (!imported).then(line);
            }
            Event::TrialSkipped { trial } => {
                // One that was interrupted is settled by it, with what it has.
                let trial = study.trial(*trial)?;
                let outcome = trial.outcome.as_ref()?;
                let last = trial.sittings.last();
                let sitting = last.filter(|s| s.end == Some(SittingEnd::Interrupted))?;
                let service = sitting.startup.map(|_| sitting.started);
                return Some(self.line(fact.at, study, trial, sitting, outcome, service));
            }
            _ => {}
        }
        None
    }

    fn line(
        &self,
        at: Timestamp,
        study: &Study,
        trial: &Trial,
        sitting: &Sitting,
        outcome: &Outcome,
        service: Option<Timestamp>,
    ) -> Vec<u8> {
        let line = Line {
            at,
            spec: study.spec(),
            trial,
            sitting,
            outcome,
            under_test: self.under_test(study, trial),
            service,
        };
        let mut text = serde_json::to_vec(&line).expect("texts and numbers");
        text.push(b'\n');
        text
    }

    /// What the trial changes in the incumbent of the time when it was
    /// planned, or in the baseline where there was none.
    fn under_test(&self, study: &Study, trial: &Trial) -> String {
        let index = (trial.id.0 as usize).wrapping_sub(1);
        let against = self.against.get(index).copied().flatten();
        let against = against
            .and_then(|id| study.trial(id))
            .map(|incumbent| study.params_of(incumbent))
            .or_else(|| study.spec().space.baseline().ok());
        against
            .map(|against| study.params_of(trial).difference(&against).join(","))
            .unwrap_or_default()
    }
}

/// The reference tuner's word for an outcome.
pub const fn status_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Complete | Outcome::Infeasible => "ok",
        Outcome::Pruned => "partial",
        Outcome::Failed(failure) => match failure.kind {
            FailureKind::SomeRuns => "partial",
            FailureKind::NotReady => "timeout",
            FailureKind::Died => "crashed",
            FailureKind::DiedInRuns
            | FailureKind::Task
            | FailureKind::AllRuns
            | FailureKind::Host(_) => "failed",
        },
    }
}

/// The name under which a run has a metric: its own, unless the run's other
/// fields have it.
pub(super) fn run_field(metric: &str) -> Cow<'_, str> {
    match metric {
        "i" | "ok" | "returncode" | "elapsed_s" | "timeout" | "error" | "step" => {
            Cow::Owned(format!("metric_{metric}"))
        }
        _ => Cow::Borrowed(metric),
    }
}

/// Seconds to the millisecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1e3
}

struct Line<'a> {
    at: Timestamp,
    spec: &'a Spec,
    trial: &'a Trial,
    sitting: &'a Sitting,
    outcome: &'a Outcome,
    under_test: String,
    service: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Port,
    Startup,
    Eval,
}

impl Line<'_> {
    fn phase(&self) -> Phase {
        let Outcome::Failed(failure) = self.outcome else {
            return Phase::Eval;
        };
        match failure.kind {
            FailureKind::Host(HostFault::PortTaken) => Phase::Port,
            FailureKind::NotReady | FailureKind::Died => Phase::Startup,
            FailureKind::Host(_) if self.sitting.startup.is_none() => Phase::Startup,
            _ => Phase::Eval,
        }
    }

    fn startup<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let ending = match self.outcome {
            Outcome::Failed(failure) => failure.ending.as_ref(),
            _ => None,
        };
        let begun = self.service.unwrap_or(self.sitting.started);
        map.serialize_entry("exit_code", &ending.and_then(returncode))?;
        map.serialize_entry("startup_s", &seconds(self.at.since(begun)))
    }

    fn eval<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let runs = &self.trial.runs;
        let good = runs.iter().filter(|run| run.is_good());
        map.serialize_entry("eval_ok_n", &good.clone().count())?;
        map.serialize_entry("eval_runs", &Runs(runs))?;
        let mean = |metric: &str| self.trial.summary(metric).map(|summary| summary.mean);
        for metric in ["accuracy", "total_tps", "answer_tps", "total_time_s"] {
            map.serialize_entry(&format!("avg_{metric}"), &mean(metric))?;
        }
        let mut others: Vec<&str> = Vec::new();
        for (name, _) in good.flat_map(|run| &run.metrics) {
            if !REFERENCE.contains(&&**name) && !others.contains(&&**name) {
                others.push(name);
            }
        }
        for metric in others {
            map.serialize_entry(&format!("avg_{metric}"), &mean(metric))?;
        }
        Ok(())
    }

    fn failure<M: SerializeMap>(&self, map: &mut M, failure: &Failure) -> Result<(), M::Error> {
        let known = match &failure.cause {
            Some(cause) if !matches!(failure.kind, FailureKind::Host(_)) => cause.name.as_str(),
            _ => failure.kind.name(),
        };
        map.serialize_entry("cause", known)?;
        if self.phase() != Phase::Port {
            map.serialize_entry("message", &failure.message)?;
        }
        Ok(())
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (trial, phase) = (self.trial, self.phase());
        // First, and of fixed width: see `TIME`.
        map.serialize_entry("ts", &self.at.local_iso())?;
        map.serialize_entry("trial_key", &trial.params.key())?;
        map.serialize_entry("status", status_word(self.outcome))?;
        match phase {
            Phase::Port => {}
            Phase::Startup => map.serialize_entry("phase", "startup")?,
            Phase::Eval => map.serialize_entry("phase", "eval")?,
        }
        if phase != Phase::Port {
            map.serialize_entry("param_under_test", &self.under_test)?;
        }
        map.serialize_entry("params", &Texts(&trial.params))?;
        match (phase, self.outcome) {
            (Phase::Port, Outcome::Failed(failure)) => {
                map.serialize_entry("reason", &failure.message)?;
            }
            _ => map.serialize_entry("health", &self.sitting.health.as_deref())?,
        }
        match phase {
            Phase::Port => {}
            Phase::Startup => self.startup(&mut map)?,
            Phase::Eval => self.eval(&mut map)?,
        }
        if self.service.is_some() {
            let log = trial::log_name(trial.id, self.sitting.number, None);
            map.serialize_entry("server_log", &format!("{}/{log}", self.spec.files.logs))?;
        }
        if phase == Phase::Eval {
            map.serialize_entry("total_s", &seconds(trial.elapsed(self.at)))?;
        }
        map.serialize_entry("trial", &trial.id.0)?;
        if self.sitting.number > 1 {
            map.serialize_entry("sitting", &self.sitting.number)?;
        }
        match self.outcome {
            Outcome::Pruned => map.serialize_entry("pruned", &true)?,
            Outcome::Failed(failure) => self.failure(&mut map, failure)?,
            Outcome::Complete | Outcome::Infeasible => {}
        }
        map.end()
    }
}

/// Params as an object of strings.
pub(super) struct Texts<'a>(pub(super) &'a Params);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(name, value)| (&**name, value.to_string())),
        )
    }
}

struct Runs<'a>(&'a [Run]);

impl Serialize for Runs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let several = self.0.iter().any(|run| run.step != self.0[0].step);
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for run in self.0 {
            list.serialize_element(&RunLine { run, several })?;
        }
        list.end()
    }
}

struct RunLine<'a> {
    run: &'a Run,
    /// Whether runs of several steps stand together, so that `i` is not enough.
    several: bool,
}

impl Serialize for RunLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let run = self.run;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("i", &run.number)?;
        map.serialize_entry("ok", &run.is_good())?;
        if self.several {
            map.serialize_entry("step", &*run.step)?;
        }
        if run.ending == Ending::TimedOut {
            map.serialize_entry("timeout", &true)?;
            return map.end();
        }
        if let Some(code) = returncode(&run.ending) {
            map.serialize_entry("returncode", &code)?;
            let of = |name: &str| run.metrics.iter().find(|(known, _)| &**known == name);
            for name in REFERENCE {
                map.serialize_entry(name, &of(name).map(|(_, number)| number.get()))?;
            }
            for (name, number) in &run.metrics {
                if !REFERENCE.contains(&&**name) {
                    map.serialize_entry(&*run_field(name), &number.get())?;
                }
            }
            map.serialize_entry("elapsed_s", &seconds(run.elapsed))?;
        }
        if let Some(fault) = &run.fault {
            map.serialize_entry("error", fault)?;
        }
        map.end()
    }
}

/// The number by which Python's `subprocess` tells how a process ended.
const fn returncode(ending: &Ending) -> Option<i32> {
    match ending {
        Ending::Exited(code) => Some(*code),
        Ending::Signalled(signal) => Some(-*signal),
        Ending::OomKilled => Some(-9),
        Ending::TimedOut | Ending::Stopped | Ending::CouldNotStart(_) => None,
    }
}
