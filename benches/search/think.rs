//! How long a sampler thinks about an ask, by how many trials there are.
//!
//! The space is that of the preset `serving-env`: 17 lists with a bound on the
//! accuracy. The program is made up: it does not start with every params, and
//! is better and less accurate the higher the values of its lists, so that the
//! history has all that a sampler learns from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use autotune::base::clock::Timestamp;
use autotune::base::random::{Generator, generator};
use autotune::config::{self, Origin as File};
use autotune::model::event::{Event, Fact};
use autotune::model::params::Params;
use autotune::model::space::Space;
use autotune::model::spec::SamplerKind;
use autotune::model::study::Study;
use autotune::model::trial::{Origin, Purpose, SittingEnd, TrialId};
use autotune::search::{Ask, ask};
use rand::RngExt;

use crate::replay::{does_not_start, finite, measured};

/// Asks of which the mean counts: the kernel's clock is coarse.
const REPETITIONS: u32 = 10;
/// So many of a hundred trials do not start.
const FAILING: f64 = 12.0;

/// The time on one core for an ask after so many trials.
pub fn think(sampler: SamplerKind, trials: u32) -> Result<Duration> {
    let file = File {
        file: "spec".to_owned(),
        folder: PathBuf::from("/"),
    };
    let checked = config::check("preset = \"serving-env\"\n", &file);
    let mut spec = checked.map_err(|errors| anyhow!("{errors}"))?.spec;
    spec.search.sampler = sampler;
    // Racing would rather measure what leads again.
    spec.search.racing = false;
    let mut made_up = MadeUp {
        study: Study::new(Arc::new(spec)),
        random: generator(1, 1),
    };
    made_up.try_params(made_up.study.spec().space.baseline()?)?;
    while made_up.study.next_id().0 <= trials {
        let params = made_up.params()?;
        made_up.try_params(params)?;
    }
    let before = on_a_core()?;
    for _ in 0..REPETITIONS {
        let answer = ask(&made_up.study);
        // An answer without a thought would be quick.
        let Ask::Try(_) = answer else {
            bail!("{} has nothing to try: {answer:?}", sampler.name());
        };
    }
    Ok((on_a_core()? - before) / REPETITIONS)
}

/// How long this thread has had a core: others use the machine, too.
fn on_a_core() -> Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).context(path)?;
    let nanoseconds = text.split_whitespace().next().context(path)?;
    Ok(Duration::from_nanos(nanoseconds.parse().context(path)?))
}

struct MadeUp {
    study: Study,
    random: Generator,
}

impl MadeUp {
    /// Half of them near the incumbent, as those that a sampler asks for.
    fn params(&mut self) -> Result<Params> {
        let near = self.study.incumbent().map(|trial| trial.params.clone());
        let near = near.filter(|_| self.random.random_bool(0.5));
        loop {
            let random = &mut self.random;
            let drawn = self.study.spec().space.choose(|parameter| {
                let own = near.as_ref().and_then(|near| near.get(&parameter.name));
                let kept = own.filter(|_| random.random_bool(0.8)).cloned();
                kept.unwrap_or_else(|| parameter.domain.at(random.random()))
            })?;
            if self.study.trial_of(&drawn).is_none() {
                return Ok(drawn);
            }
        }
    }

    fn happen(&mut self, event: Event) -> Result<()> {
        let minutes = i64::from(self.study.next_id().0);
        let at = Timestamp::from_millis(minutes * 60_000);
        Ok(self.study.apply(&Fact { at, event })?)
    }

    fn try_params(&mut self, params: Params) -> Result<()> {
        let trial = self.study.next_id();
        let height = height(&self.study.spec().space, &params);
        let baseline = trial == TrialId(1);
        let origin = match baseline {
            true => Origin::Baseline,
            false => Origin::Sampler,
        };
        self.happen(Event::TrialPlanned {
            trial,
            params,
            origin,
            choice: None,
        })?;
        self.happen(Event::SittingStarted {
            trial,
            sitting: 1,
            purpose: Purpose::Measure,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        })?;
        let outcome = if !baseline && self.random.random_range(0.0..100.0) < FAILING {
            does_not_start()
        } else {
            let startup = Duration::from_secs_f64(60.0 + 30.0 * height);
            self.happen(Event::ServicesReady {
                trial,
                sitting: 1,
                startup,
                health: None,
            })?;
            let noise = self.random.random_range(-0.03..0.03);
            let mut run = measured(1, 1, 0.0, None)?;
            run.step = "eval".into();
            run.metrics = Box::new([
                ("total_tps".into(), finite(1e4 * (1.0 + height + noise))?),
                (
                    "accuracy".into(),
                    finite(0.95 - 0.1 * height + noise / 3.0)?,
                ),
            ]);
            self.happen(Event::RunEnded { trial, run })?;
            let ran = &self.study.trials()[trial.0 as usize - 1];
            self.study.judge(ran)
        };
        self.happen(Event::SittingEnded {
            trial,
            sitting: 1,
            end: SittingEnd::Finished(outcome),
            health: None,
        })
    }
}

/// How high the values lie in their lists, 0 to 1.
fn height(space: &Space, params: &Params) -> f64 {
    let parameters = space.parameters();
    let share = parameters.iter().filter_map(|parameter| {
        let levels = parameter.domain.levels(2);
        let own = params.get(&parameter.name)?;
        let at = levels.iter().position(|level| level == own)?;
        Some(at as f64 / levels.len().max(1) as f64)
    });
    share.sum::<f64>() / parameters.len().max(1) as f64
}
