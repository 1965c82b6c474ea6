//! What monitoring is told of a study: pure.
//!
//! Names go by Prometheus' conventions: base units, and `_total` where a number
//! only goes up. How many trials came out how is no such number: `retry` and a
//! new constraint change what came of old ones.

use super::board::View;
use crate::base::clock::Timestamp;
use crate::model::study::{Phase, Study};
use crate::model::trial::Trial;
use crate::wire::metrics::{Family, FamilyKind, Label, Sample};
use crate::wire::reply::Doing;

/// The phases of a study, in the words that `status` has for them.
const PHASES: [&str; 4] = ["active", "awaiting_approval", "paused", "done"];

/// All families as of `now`; `up` is whether the daemon goes on working.
pub fn families(view: &View, now: Timestamp, up: bool) -> Vec<Family> {
    let study = &*view.study;
    let spec = study.spec();
    let mut all = Families {
        study: spec.name.to_string(),
        families: Vec::new(),
    };
    let metric: &str = &spec.objective.metric;
    let milestones = study.milestones();

    all.gauge("autotune_info", "The program and the sampler of the study.")
        .add(
            &[
                ("version", env!("CARGO_PKG_VERSION")),
                ("sampler", spec.search.sampler.name()),
            ],
            1.0,
        );
    all.gauge("autotune_up", "Whether the daemon works.")
        .add(&[], flag(up));
    let phase = phase(study);
    let mut phases = all.gauge(
        "autotune_phase",
        "The phase of the study: 1 for the present.",
    );
    for name in PHASES {
        phases.add(&[("phase", name)], flag(name == phase));
    }
    if let Some(since) = milestones.phase_since {
        all.gauge("autotune_phase_seconds", "How long it is in that phase.")
            .add(&[], now.since(since).as_secs_f64());
    }
    trials(&mut all, study);
    best(&mut all, study, metric);
    if let Some((at, value)) = milestones.measured {
        all.gauge(
            "autotune_last_run_objective",
            "The objective as the last good run has measured it.",
        )
        .add(&[("metric", metric)], value);
        all.gauge(
            "autotune_last_run_timestamp_seconds",
            "When that run ended, since 1970.",
        )
        .add(&[], seconds(at));
    }
    running(&mut all, view, now);
    all.counter(
        "autotune_busy_seconds_total",
        "The time with a trial running.",
    )
    .add(&[], study.busy(now).as_secs_f64());
    all.counter(
        "autotune_restarts_total",
        "How often a daemon took the study up again.",
    )
    .add(&[], milestones.openings.saturating_sub(1).into());
    let mut outbox = all.gauge(
        "autotune_outbox_messages",
        "Messages that wait to be delivered by a channel.",
    );
    for channel in &spec.notify.channels {
        let waiting = study.outbox().waiting(&channel.name).count();
        outbox.add(&[("channel", &channel.name)], waiting as f64);
    }
    all.gauge(
        "autotune_disk_trouble",
        "Whether the disk takes no data, which holds everything up.",
    )
    .add(&[], flag(view.disk_trouble.is_some()));
    all.families
}

fn trials(all: &mut Families, study: &Study) {
    let counts = study.counts();
    let mut trials = all.gauge(
        "autotune_trials",
        "Trials by what came of them; unsettled ones are planned, run, or are gone on with.",
    );
    for (outcome, count) in [
        ("complete", counts.complete),
        ("infeasible", counts.infeasible),
        ("pruned", counts.pruned),
        ("failed", counts.failed),
        ("unsettled", counts.unsettled),
    ] {
        trials.add(&[("outcome", outcome)], count.into());
    }
    all.gauge("autotune_runs", "Good runs of all trials.")
        .add(&[], study.runs().into());
    all.gauge(
        "autotune_runs_saved",
        "Runs that racing has saved; one that it has cut counts in part.",
    )
    .add(&[], study.runs_saved());
}

fn best(all: &mut Families, study: &Study, metric: &str) {
    let mean = |trial: &Trial| study.objective(trial).map(|summary| summary.mean);
    if let Some(best) = study.incumbent() {
        all.gauge("autotune_best_trial", "The number of the best trial.")
            .add(&[], best.id.0.into());
        let mut objective = all.gauge(
            "autotune_best_objective",
            "The objective of the best trial, the mean of its runs.",
        );
        if let Some(mean) = mean(best) {
            objective.add(&[("metric", metric)], mean);
        }
    }
    if let Some(mean) = study.baseline().and_then(|trial| mean(trial)) {
        all.gauge(
            "autotune_baseline_objective",
            "The objective of the starting values, the mean of their runs.",
        )
        .add(&[("metric", metric)], mean);
    }
}

/// The trials that run, each with the name of its slot where there are slots.
fn running(all: &mut Families, view: &View, now: Timestamp) {
    let study = &*view.study;
    let slot_of = |trial: &Trial| trial.running().and_then(|sitting| sitting.slot.clone());
    let running: Vec<&Trial> = study.all_running().map(|trial| &**trial).collect();
    all.gauge("autotune_running_trials", "Trials that run now.")
        .add(&[], running.len() as f64);
    let mut busy = all.gauge("autotune_slot_busy", "Whether a trial runs in the slot.");
    for slot in &study.spec().slots {
        let is_busy = running
            .iter()
            .any(|trial| slot_of(trial).as_ref() == Some(&slot.name));
        busy.add(&[("slot", &slot.name)], flag(is_busy));
    }
    let mut numbers = all.gauge("autotune_running_trial", "The number of the running trial.");
    for trial in &running {
        let slot = slot_of(trial);
        let labels: Vec<_> = slot.iter().map(|slot| ("slot", &**slot)).collect();
        numbers.add(&labels, trial.id.0.into());
    }
    let mut phases = all.gauge(
        "autotune_running_trial_phase_seconds",
        "How long the running trial is in its phase.",
    );
    for trial in &running {
        let Some(sitting) = trial.running() else {
            continue;
        };
        let (doing, since) = match view.doing.get(&trial.id) {
            Some((doing, since)) => (doing, *since),
            None => (&Doing::Starting, sitting.started),
        };
        let (phase, step) = doing_words(doing);
        let mut labels = vec![("phase", phase), ("step", step)];
        labels.extend(sitting.slot.iter().map(|slot| ("slot", &**slot)));
        labels.retain(|(_, text)| !text.is_empty());
        phases.add(&labels, now.since(since).as_secs_f64());
    }
}

/// What a trial does, in the words of `status --json`, and in which step.
fn doing_words(doing: &Doing) -> (&'static str, &str) {
    match doing {
        Doing::Starting => ("starting", ""),
        Doing::Readying { step } => ("readying", step),
        Doing::Ready => ("ready", ""),
        Doing::Step { step } => ("step", step),
        Doing::Ending => ("ending", ""),
        Doing::WarmUp { step } => ("warm_up", step),
        Doing::PortBusy { .. } => ("port_busy", ""),
        Doing::Waiting { .. } => ("waiting", ""),
        Doing::Part { step, .. } => ("part", step),
        Doing::Progress { step, .. } => ("progress", step),
    }
}

fn phase(study: &Study) -> &'static str {
    match study.phase() {
        Phase::Active => "active",
        Phase::AwaitingApproval => "awaiting_approval",
        Phase::Paused(_) => "paused",
        Phase::Done(_) => "done",
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// Families of one study.
struct Families {
    study: String,
    families: Vec<Family>,
}

/// A family that is being filled.
struct Filling<'f> {
    study: &'f str,
    samples: Option<&'f mut Vec<Sample>>,
}

impl Families {
    fn gauge(&mut self, name: &str, help: &str) -> Filling<'_> {
        self.begin(name, help, FamilyKind::Gauge)
    }

    fn counter(&mut self, name: &str, help: &str) -> Filling<'_> {
        self.begin(name, help, FamilyKind::Counter)
    }

    fn begin(&mut self, name: &str, help: &str, kind: FamilyKind) -> Filling<'_> {
        self.families.push(Family {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            samples: Vec::new(),
        });
        Filling {
            study: &self.study,
            samples: self.families.last_mut().map(|family| &mut family.samples),
        }
    }
}

impl Filling<'_> {
    /// Adds a number with these labels, and the study's name as the first.
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let all = std::iter::once(("study", self.study)).chain(labels.iter().copied());
        let labels = all.map(|(name, value)| Label {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        if let Some(samples) = &mut self.samples {
            samples.push(Sample {
                labels: labels.collect(),
                value,
            });
        }
    }
}
