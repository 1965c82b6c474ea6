//! A study that is played with a table instead of a program.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use autotune::base::clock::Timestamp;
use autotune::base::random::generator;
use autotune::model::event::{Event, Fact};
use autotune::model::metric::{Constraint, Direction, Objective};
use autotune::model::notify::Notify;
use autotune::model::outcome::{Ending, Failure, FailureKind, Outcome};
use autotune::model::params::Params;
use autotune::model::spec::{
    Budget, Control, Converged, FileNames, HostCare, Limits, Retention, SamplerKind, Search, Spec,
};
use autotune::model::step::{MetricRule, MetricSource, Step, StepKind};
use autotune::model::study::Study;
use autotune::model::template::Template;
use autotune::model::trial::{Origin, Run, SittingEnd, TrialId};
use autotune::model::value::Finite;
use autotune::search::racing::{self, Verdict};
use autotune::search::{Ask, ask, choice};
use rand::RngExt;
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

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contestant {
    pub sampler: SamplerKind,
    pub racing: bool,
}

impl Contestant {
    /// `model`, or `model-plain` without racing.
    pub fn named(name: &str) -> Option<Self> {
        let (sampler, racing) = match name.strip_suffix("-plain") {
            Some(sampler) => (sampler, false),
            None => (name, true),
        };
        let mut samplers = SamplerKind::ALL.into_iter();
        let sampler = samplers.find(|kind| kind.name() == sampler)?;
        Some(Self { sampler, racing })
    }

    pub fn name(self) -> String {
        let plain = if self.racing { "" } else { "-plain" };
        format!("{}{plain}", self.sampler.name())
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
    /// The time that the sampler took.
    pub asked: Duration,
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
        seed,
        startup,
        study: Study::new(Arc::new(spec(table, contestant, seed, converged)?)),
        runs: HashMap::new(),
        cost: 0.0,
        budget: PASSES * table.pass(startup),
        steps: Vec::new(),
        normal: Normal::new(0.0, 1.0)?,
    };
    let baseline = replay.study.spec().space.baseline()?;
    replay
        .steps
        .push((0.0, table.quality(&table.key(&baseline))));
    let mut asked = Duration::ZERO;
    let mut stopped = None;
    while replay.cost < replay.budget {
        let before = Instant::now();
        let answer = ask(&replay.study);
        asked += before.elapsed();
        match answer {
            Ask::Try(params) => {
                let trial = replay.plan(params)?;
                replay.sit(trial)?;
            }
            Ask::Run(trial) => replay.sit(trial)?,
            Ask::Exhausted(_) => {
                stopped = Some(replay.cost / table.pass(startup));
                break;
            }
            Ask::Wait => anyhow::bail!("nothing is unsettled, and still it waits"),
        }
    }
    Ok(Course {
        steps: replay.steps,
        stopped,
        trials: replay.study.trials().len(),
        runs: replay.study.runs(),
        failed: replay.study.counts().failed,
        asked,
    })
}

struct Replay<'a> {
    table: &'a Table,
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

    /// Spends, and whether that was still within the budget.
    fn spend(&mut self, cost: f64) -> bool {
        self.cost += cost;
        self.cost <= self.budget
    }

    fn plan(&mut self, params: Params) -> Result<TrialId> {
        let trial = self.study.next_id();
        let origin = if trial.0 == 1 {
            Origin::Baseline
        } else {
            Origin::Sampler
        };
        let choice = match self.study.spec().budget.converged {
            Some(_) => choice(&self.study, &params),
            None => None,
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
            token: String::new(),
            boot_id: "".into(),
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
            if !self.spend(RUN) {
                return Ok(());
            }
            let run = self.run(&key, sitting)?;
            self.happen(Event::RunEnded { trial, run })?;
            let measured = self.study.trial(trial).expect("it was planned").clone();
            let verdict = racing::look(&self.study, &measured);
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

    fn run(&mut self, key: &[usize], sitting: u32) -> Result<Run> {
        let number = self.runs.entry(key.to_vec()).or_default();
        *number += 1;
        let number = *number;
        let row = self.table.row(key).expect("it has started");
        let own = (1.0 - SHARED * SHARED).sqrt();
        let noise =
            |what: &str| SHARED * self.draw((what, number)) + own * self.draw((what, key, number));
        let spread = row.spread.map_or(SPREAD, |own| own.clamp(SPREAD, 0.1));
        let start = START_SPREAD * self.draw(("start", key));
        let objective = row.objective * (spread * noise("objective") + start).exp();
        let constraint = row
            .constraint
            .map(|constraint| constraint + self.table.constraint_spread * noise("constraint"));
        measured(number, sitting, objective, constraint)
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

fn finite(number: f64) -> Result<Finite> {
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
        },
        command: vec![Template::new("replay")?],
        params_in_env: true,
        env: Vec::new(),
        files: Vec::new(),
        workdir: "/".into(),
        stop: None,
        stop_grace: Duration::ZERO,
        metrics: metrics.collect(),
    };
    Ok(Spec {
        name: table.name.clone(),
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
        },
        space: table.space(seed)?,
        steps: vec![step],
        pass_env: Vec::new(),
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
        digest: String::new(),
    })
}
