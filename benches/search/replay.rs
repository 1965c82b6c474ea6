//! A study that is played with a table instead of a program.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use autotune::base::clock::Timestamp;
use autotune::base::random::generator;
use autotune::model::approval::Approval;
use autotune::model::choice::Choice;
use autotune::model::event::{Event, Fact};
use autotune::model::form::Reporting;
use autotune::model::metric::{Constraint, Direction, Objective};
use autotune::model::notify::Notify;
use autotune::model::outcome::{Ending, Failure, FailureKind, Outcome};
use autotune::model::params::Params;
use autotune::model::prior::{Batch, Prior};
use autotune::model::spec::{
    Budget, Confirm, Control, Converged, FileNames, HostCare, Limits, Retention, SamplerKind,
    Search, Spec,
};
use autotune::model::step::{Marks, MetricRule, MetricSource, Step, StepKind};
use autotune::model::study::Study;
use autotune::model::template::Template;
use autotune::model::trial::{Mark, Origin, Purpose, Run, SittingEnd, Trial, TrialId};
use autotune::model::value::Finite;
use autotune::search::racing::{self, Verdict};
use autotune::search::{Ask, drift, explained};
use rand::RngExt;
use rand::seq::SliceRandom;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::table::Table;

/// Runs of a whole trial.
const RUNS: u32 = 5;
/// The least relative spread of a run.
const SPREAD: f64 = 0.03;
/// The relative spread between params that comes from their start.
const START_SPREAD: f64 = 0.005;
/// The share of a run's standard deviation that runs of one number share.
const SHARED: f64 = 0.5;
/// What a run costs.
const RUN: f64 = 1.0;
/// A study ends after so many passes of coordinate ascent.
pub const PASSES: f64 = 1.5;
/// What a run is made of where it comes in parts, unless it is said.
pub const PARTS: u32 = 4;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contestant {
    pub sampler: SamplerKind,
    pub racing: bool,
    /// A run is made of so many parts; 1 for a run that is one.
    pub parts: u32,
    pub history: History,
}

/// What was measured before, on another host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum History {
    None,
    /// Of the same program, of which all is half as much there.
    Same,
    /// The same, and what is good is elsewhere: each params have what the next
    /// values of all parameters have.
    Moved,
}

/// So many combinations were measured before …
const DRAWN: usize = 60;
/// … of which so many, the best, are told.
const TOLD: usize = 20;

impl Contestant {
    /// `model`, or `model-plain` without racing; `model-parts` with runs in
    /// [`PARTS`]; `model-history` and `model-moved` with what was measured before.
    ///
    /// # Errors
    /// Which names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let (name, history) = match (name.strip_suffix("-history"), name.strip_suffix("-moved")) {
            (Some(name), _) => (name, History::Same),
            (_, Some(name)) => (name, History::Moved),
            _ => (name, History::None),
        };
        let (name, parts) = match name.strip_suffix("-parts") {
            Some(name) => (name, PARTS),
            None => (name, 1),
        };
        let (sampler, racing) = match name.strip_suffix("-plain") {
            Some(sampler) => (sampler, false),
            None => (name, true),
        };
        let mut samplers = SamplerKind::ALL.into_iter();
        let Some(sampler) = samplers.find(|kind| kind.name() == sampler) else {
            let names = SamplerKind::ALL.map(SamplerKind::name).join(", ");
            return Err(format!("the samplers are {names}"));
        };
        Ok(Self {
            sampler,
            racing,
            parts,
            history,
        })
    }

    /// The same with so many parts, where its runs come in parts.
    pub fn in_parts(self, parts: u32) -> Self {
        let parts = if self.parts > 1 { parts } else { 1 };
        Self { parts, ..self }
    }

    pub fn name(self) -> String {
        let plain = if self.racing { "" } else { "-plain" };
        let parts = if self.parts > 1 { "-parts" } else { "" };
        let history = match self.history {
            History::None => "",
            History::Same => "-history",
            History::Moved => "-moved",
        };
        format!("{}{plain}{parts}{history}", self.sampler.name())
    }
}

/// How one study went.
pub struct Course {
    /// The quality of what leads from each cost on, in passes.
    pub steps: Vec<(f64, f64)>,
    /// The cost at which nothing was left to do, in passes.
    pub stopped: Option<f64>,
    pub trials: usize,
    pub runs: u32,
    pub failed: u32,
    /// Trials that were ended in the midst of a run.
    pub cut: u32,
}

impl Course {
    pub fn quality(&self, passes: f64) -> f64 {
        let before = self.steps.iter().take_while(|(cost, _)| *cost <= passes);
        before.last().map_or(0.0, |(_, quality)| *quality)
    }

    /// The cost from which on the quality stays at `target` or above.
    pub fn reached(&self, target: f64) -> Option<f64> {
        let below = self
            .steps
            .iter()
            .rposition(|(_, quality)| *quality < target);
        let first = below.map_or(0, |last| last + 1);
        self.steps.get(first).map(|(cost, _)| *cost)
    }
}

/// Plays a study until its budget is spent.
///
/// With `converged`, also until it has converged by that.
pub fn play(
    table: &Table,
    contestant: Contestant,
    seed: u64,
    startup: f64,
    converged: Option<Converged>,
) -> Result<Course> {
    let mut replay = Replay {
        table,
        parts: contestant.parts,
        seed,
        startup,
        study: Study::new(Arc::new(spec(table, contestant, seed, converged)?)),
        runs: HashMap::new(),
        cost: 0.0,
        budget: PASSES * table.pass(startup),
        steps: Vec::new(),
        normal: Normal::new(0.0, 1.0)?,
    };
    replay.import(contestant.history)?;
    let baseline = replay.study.spec().space.baseline()?;
    replay
        .steps
        .push((0.0, table.quality(&table.key(&baseline))));
    let mut stopped = None;
    while replay.cost < replay.budget {
        if let Some(trial) = drift::due(&replay.study) {
            replay.check(trial)?;
            continue;
        }
        let (ask, choice) = explained(&replay.study);
        match ask {
            Ask::Try(params) => {
                let trial = replay.plan(params, choice)?;
                replay.sit(trial)?;
            }
            Ask::Run(trial) => replay.sit(trial)?,
            Ask::Exhausted(_) => {
                stopped = Some(replay.cost / table.pass(startup));
                break;
            }
            Ask::Consult(_) => anyhow::bail!("there is nobody to ask"),
            Ask::Wait => anyhow::bail!("nothing is unsettled, and still it waits"),
        }
    }
    Ok(Course {
        steps: replay.steps,
        stopped,
        trials: replay.study.trials().len(),
        runs: replay.study.runs(),
        failed: replay.study.counts().failed,
        cut: replay.study.trials().iter().filter(is_cut).count() as u32,
    })
}

fn is_cut(trial: &&Arc<Trial>) -> bool {
    trial
        .pruned_by_racing()
        .is_some_and(|pruning| pruning.cut.is_some())
}

struct Replay<'a> {
    table: &'a Table,
    parts: u32,
    seed: u64,
    startup: f64,
    study: Study,
    /// How many runs each params has had.
    runs: HashMap<Vec<usize>, u32>,
    cost: f64,
    budget: f64,
    steps: Vec<(f64, f64)>,
    normal: Normal,
}

impl Replay<'_> {
    fn happen(&mut self, event: Event) -> Result<()> {
        let at = Timestamp::from_millis((self.cost * 60_000.0) as i64);
        Ok(self.study.apply(&Fact { at, event })?)
    }

    /// Takes up what was measured before.
    fn import(&mut self, history: History) -> Result<()> {
        if history == History::None {
            return Ok(());
        }
        let mut keys = self.table.keys();
        keys.shuffle(&mut generator(self.seed, 0));
        let told = keys.into_iter().filter_map(|key| {
            let from = match history {
                History::Moved => self.table.next(&key),
                _ => key.clone(),
            };
            let row = self.table.row(&from)?;
            let kept = self
                .table
                .threshold
                .is_none_or(|t| row.constraint >= Some(t));
            let noise = SPREAD * self.draw(("before", &key));
            kept.then(|| (key, 0.5 * row.objective * noise.exp(), row.constraint))
        });
        let mut told: Vec<_> = told.take(DRAWN).collect();
        told.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
        told.truncate(TOLD);
        let rows = told
            .into_iter()
            .zip(1..)
            .map(|((key, objective, constraint), row)| {
                let mut metrics = vec![("objective".into(), finite(objective)?)];
                if let Some(constraint) = constraint {
                    metrics.push(("constraint".into(), finite(constraint)?));
                }
                let prior = Prior {
                    params: self.table.params(&key),
                    metrics: metrics.into(),
                    failed: false,
                };
                Ok((row, Arc::new(prior)))
            });
        let batch = Batch {
            file: "before".into(),
            format: "csv".into(),
            rows: rows.collect::<Result<_>>()?,
        };
        self.happen(Event::Imported(batch.into()))
    }

    /// Spends, and whether that was still within the budget.
    fn spend(&mut self, cost: f64) -> bool {
        self.cost += cost;
        self.cost <= self.budget
    }

    fn plan(&mut self, params: Params, choice: Option<Box<Choice>>) -> Result<TrialId> {
        let trial = self.study.next_id();
        let origin = if trial.0 == 1 {
            Origin::Baseline
        } else {
            Origin::Sampler
        };
        self.happen(Event::TrialPlanned {
            trial,
            params,
            origin,
            choice,
        })?;
        Ok(trial)
    }

    /// One sitting of a trial, as the daemon would have it.
    fn sit(&mut self, trial: TrialId) -> Result<()> {
        let Some(planned) = self.study.trial(trial).cloned() else {
            anyhow::bail!("trial {trial} is not known");
        };
        let key = self.table.key(&planned.params);
        let sitting = planned.sittings.len() as u32 + 1;
        self.happen(Event::SittingStarted {
            trial,
            sitting,
            purpose: Purpose::Measure,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        })?;
        if !self.spend(self.startup) {
            return Ok(());
        }
        if self.table.row(&key).is_none() {
            return self.end(trial, sitting, does_not_start());
        }
        let startup = Duration::from_secs_f64(60.0 * self.startup);
        self.happen(Event::ServicesReady {
            trial,
            sitting,
            startup,
            health: None,
        })?;
        loop {
            let Some(verdict) = self.run(trial, &key, sitting)? else {
                return Ok(());
            };
            let measured = self.study.trial(trial).expect("it was planned").clone();
            let outcome = match verdict {
                Some(Verdict::Prune(pruning)) => {
                    let pruning = Box::new(pruning);
                    self.happen(Event::TrialPruned { trial, pruning })?;
                    Outcome::Pruned
                }
                Some(Verdict::Defer) => {
                    self.happen(Event::TrialDeferred { trial })?;
                    self.study.judge(&measured)
                }
                None if measured.runs.len() as u32 >= RUNS => self.study.judge(&measured),
                None => continue,
            };
            return self.end(trial, sitting, outcome);
        }
    }

    /// One more start with one run, to see whether the host has drifted.
    fn check(&mut self, trial: TrialId) -> Result<()> {
        let Some(checked) = self.study.trial(trial).cloned() else {
            anyhow::bail!("trial {trial} is not known");
        };
        let sitting = checked.sittings.len() as u32 + 1;
        self.happen(Event::SittingStarted {
            trial,
            sitting,
            purpose: Purpose::Check,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        })?;
        if !self.spend(self.startup + RUN) {
            return Ok(());
        }
        let key = self.table.key(&checked.params);
        let number = self.next_run(&key);
        // Nothing looks into it.
        let share = |sum: f64| sum / f64::from(self.parts);
        let (mut objective, mut constraint) = (0.0, None);
        for part in 1..=self.parts {
            let found = self.part(&key, number, part);
            objective += share(found.0);
            constraint = found
                .1
                .map(|found| share(found) + constraint.unwrap_or(0.0));
        }
        let run = measured(number, sitting, objective, constraint)?;
        self.happen(Event::RunEnded { trial, run })?;
        self.end(trial, sitting, Outcome::Complete)?;
        if let Some(event) = drift::look(&self.study, trial) {
            self.happen(event)?;
        }
        Ok(())
    }

    fn end(&mut self, trial: TrialId, sitting: u32, outcome: Outcome) -> Result<()> {
        self.happen(Event::SittingEnded {
            trial,
            sitting,
            end: SittingEnd::Finished(outcome),
            health: None,
        })?;
        if let Some(leader) = self.study.leader() {
            let quality = self.table.quality(&self.table.key(&leader.params));
            let passes = self.cost / self.table.pass(self.startup);
            self.steps.push((passes, quality));
        }
        Ok(())
    }

    /// A run, and what racing says to it; `None` when the budget ends before.
    fn run(
        &mut self,
        trial: TrialId,
        key: &[usize],
        sitting: u32,
    ) -> Result<Option<Option<Verdict>>> {
        let number = self.next_run(key);
        let (mut objective, mut constraint) = (0.0, None);
        for part in 1..=self.parts {
            if !self.spend(RUN / f64::from(self.parts)) {
                return Ok(None);
            }
            let found = self.part(key, number, part);
            objective += found.0 / f64::from(self.parts);
            let share = found.1.map(|found| found / f64::from(self.parts));
            constraint = share.map(|share| share + constraint.unwrap_or(0.0));
            if self.parts == 1 {
                break;
            }
            let mark = Mark {
                step: "measure".into(),
                run: number,
                sitting,
                number: part,
                metrics: measured(number, sitting, found.0, found.1)?.metrics,
            };
            self.happen(Event::RunMarked { trial, mark })?;
            let planned = self.study.trial(trial).expect("it was planned");
            if let Some(pruning) = racing::look_into(&self.study, planned) {
                return Ok(Some(Some(Verdict::Prune(pruning))));
            }
        }
        let run = measured(number, sitting, objective, constraint)?;
        self.happen(Event::RunEnded { trial, run })?;
        let measured = self.study.trial(trial).expect("it was planned");
        Ok(Some(racing::look(&self.study, measured)))
    }

    /// The number of the next run of these params.
    fn next_run(&mut self, key: &[usize]) -> u32 {
        let number = self.runs.entry(key.to_vec()).or_default();
        *number += 1;
        *number
    }

    /// Objective and constraint of a part of a run: fewer things measured vary
    /// more.
    fn part(&self, key: &[usize], run: u32, part: u32) -> (f64, Option<f64>) {
        let row = self.table.row(key).expect("it has started");
        let own = (1.0 - SHARED * SHARED).sqrt();
        let more = f64::from(self.parts).sqrt();
        // As without parts where there is one.
        let number = (run, (part > 1).then_some(part));
        let noise = |what: &str| {
            let shared = SHARED * self.draw((what, number));
            more * (shared + own * self.draw((what, key, number)))
        };
        let spread = row.spread.map_or(SPREAD, |own| own.clamp(SPREAD, 0.1));
        let start = START_SPREAD * self.draw(("start", key));
        let objective = row.objective * (spread * noise("objective") + start).exp();
        let constraint = row
            .constraint
            .map(|constraint| constraint + self.table.constraint_spread * noise("constraint"));
        (objective, constraint)
    }

    /// A standard normal number, always the same for the same things.
    fn draw(&self, what: impl Hash) -> f64 {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let mut random = generator(self.seed, hasher.finish());
        self.normal.inverse_cdf(random.random_range(1e-15..1.0))
    }
}

/// What comes of params that do not start.
pub fn does_not_start() -> Outcome {
    Outcome::Failed(Box::new(Failure {
        kind: FailureKind::Died,
        step: None,
        ending: None,
        message: String::new(),
        cause: None,
    }))
}

/// A run with what it measured.
pub fn measured(number: u32, sitting: u32, objective: f64, constraint: Option<f64>) -> Result<Run> {
    let mut metrics = vec![("objective".into(), finite(objective)?)];
    if let Some(constraint) = constraint {
        metrics.push(("constraint".into(), finite(constraint)?));
    }
    Ok(Run {
        step: "measure".into(),
        number,
        sitting,
        elapsed: Duration::from_secs_f64(60.0 * RUN),
        ending: Ending::Exited(0),
        metrics: metrics.into(),
        fault: None,
    })
}

pub fn finite(number: f64) -> Result<Finite> {
    Finite::new(number).ok_or_else(|| anyhow::anyhow!("{number} is not finite"))
}

/// The study of a table.
pub fn spec(
    table: &Table,
    contestant: Contestant,
    seed: u64,
    converged: Option<Converged>,
) -> Result<Spec> {
    let metrics = ["objective", "constraint"].into_iter();
    let metrics = metrics.filter(|name| *name == "objective" || table.threshold.is_some());
    let metrics = metrics.map(|name| MetricRule {
        metric: name.into(),
        source: MetricSource::Json {
            file: None,
            pointer: format!("/{name}"),
        },
        optional: false,
    });
    let constraint = table.threshold.map(|threshold| Constraint {
        metric: "constraint".into(),
        min: Finite::new(threshold),
        max: None,
        confidence: None,
    });
    let step = Step {
        name: "measure".into(),
        kind: StepKind::Measure {
            runs: RUNS,
            warmup: 0,
            timeout: Duration::MAX,
            marks: match contestant.parts {
                1 => Marks::None,
                parts => Marks::Parts(parts),
            },
        },
        command: vec![Template::new("replay")?],
        params_in_env: true,
        env: Vec::new(),
        files: Vec::new(),
        workdir: "/".into(),
        stop: None,
        stop_grace: Duration::ZERO,
        curves: Vec::new(),
        stall_timeout: None,
        notes: Vec::new(),
        metrics: metrics.collect(),
        find: Vec::new(),
        artifacts: Vec::new(),
        resume: None,
    };
    Ok(Spec {
        name: table.name.clone(),
        folder: "/".into(),
        workdir: "/".into(),
        output_dir: None,
        seed,
        objective: Objective {
            metric: "objective".into(),
            direction: Direction::Maximize,
        },
        constraints: constraint.into_iter().collect(),
        budget: Budget {
            converged,
            ..Budget::default()
        },
        search: Search {
            sampler: contestant.sampler,
            passes: 99,
            levels: 5,
            racing: contestant.racing,
            median: None,
            recheck: None,
        },
        approval: Approval::default(),
        confirm: Confirm { runs: Some(0) },
        space: table.space(seed)?,
        steps: vec![step],
        slots: Vec::new(),
        preflight: Vec::new(),
        incumbent: Vec::new(),
        pass_env: Vec::new(),
        pass_secrets: Vec::new(),
        env: Vec::new(),
        host: HostCare {
            port_wait: Duration::ZERO,
            port_kill: Vec::new(),
            cooldown: Duration::ZERO,
            fault_wait: Duration::ZERO,
            gpu_release: Duration::ZERO,
            cgroup: false,
        },
        limits: Limits::default(),
        control: Control::default(),
        files: FileNames::default(),
        notify: Notify::default(),
        log_max: 1,
        retention: Retention::default(),
        report: Reporting::default(),
        remedies: Vec::new(),
        advisor: None,
        digest: String::new(),
    })
}
