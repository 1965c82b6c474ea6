//! Racing: ends a trial before its last run once it cannot win any more.
//!
//! # The question
//! A trial becomes the incumbent when its mean over all its `N` runs beats the
//! incumbent's. After `n` good runs of mean `m` that takes a mean of the runs
//! still to come of `r = (N · incumbent - n · m) / (N - n)`. The trial is
//! pruned when the chance of such a mean is below a level. So racing answers
//! what would be decided without it, and not which params are better in truth:
//! with it, a study finds the same winner. This is stochastic curtailment
//! (K. K. G. Lan, R. Simon and M. Halperin, Stochastically curtailed tests in
//! long-term clinical trials, Communications in Statistics C 1, 1982), with
//! the predictive chance (D. J. Spiegelhalter, L. S. Freedman and P. R.
//! Blackburn, Monitoring clinical trials: conditional or predictive power?,
//! Controlled Clinical Trials 7, 1986). The same is asked of each constraint:
//! whether the mean over all runs can still meet its bound.
//!
//! # The chance
//! Where all measurements of the metric are above 0, noise is taken as
//! relative, on the scale of logarithms; else as absolute. Its variance `s²`
//! is pooled over the runs of all settled trials, each around its own mean,
//! with as many degrees of freedom as that leaves. Then `r - m` divided by
//! `s · √(1/n + 1/(N-n))` follows Student's t if the trial is no better than
//! `m` tells. It does so whatever the true mean is, since the runs so far and
//! those to come differ by their noise alone. An incumbent with fewer runs
//! than `N` (imported, or from before `runs` was raised) adds what its own
//! mean may still move by.
//!
//! A metric whose runs are all done, while those of other steps are still to
//! come, needs no chance: it stays as it is.
//!
//! What could make that too sure of itself is granted to the trial:
//! - Runs that get better by their number (caches fill, a clock goes up): by
//!   how much the runs after the first `n` were better than those, on average
//!   over the settled trials. That they got worse is not held against it.
//! - A trial that varies more than the others: its own spread, where that is
//!   larger. After one run it has none, so it must also be further off than
//!   any run of the study was from the mean of its trial.
//! - Figures that were rounded and so do not vary: see [`FINEST`].
//!
//! # The level
//! A trial is looked at after each of `N - 1` runs, by the objective and by
//! each constraint. [`LEVEL`] is divided by the number of all these looks (the
//! inequality of Bonferroni; O. J. Dunn, Multiple comparisons among means,
//! Journal of the American Statistical Association 56, 1961). So of the trials
//! that would have become the incumbent, at most that share is pruned, however
//! many looks there are. `racing_tests` measures it on studies made up.
//!
//! # What is never pruned
//! The baseline; the incumbent; what a user enqueued, and what is measured
//! again, since whoever wants that wants to know; every trial as long as
//! nothing is feasible, since the least bad one leads on; and every trial as
//! long as no other trial tells how large the noise is.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::model::metric::{Direction, Summary};
use crate::model::step::MetricRule;
use crate::model::study::Study;
use crate::model::trial::{Origin, Pruning, Trial};
use crate::model::value::Finite;

/// Of the trials that would have won, at most this share is pruned.
pub const LEVEL: f64 = 0.01;

/// No run is taken to be more exact than this share of its value: runs that
/// agree to the last printed figure have not shown that there is no noise.
pub const FINEST: f64 = 0.001;

/// Why `trial`, which has the runs of the running trial so far, is to end
/// before its last run; `None` when it goes on. Costs one look at each run of
/// the study for each metric that the trial is behind in.
pub fn prune(study: &Study, trial: &Trial) -> Option<Pruning> {
    let spec = study.spec();
    let incumbent = study.incumbent()?;
    let wanted = matches!(trial.origin, Origin::Sampler | Origin::Imported);
    let open = spec.search.racing && wanted && !trial.reopened && trial.id != incumbent.id;
    if !open || runs_to_come(study, trial, None) == 0 {
        return None;
    }
    let best = study.objective(incumbent)?;
    let objective = Criterion {
        metric: &spec.objective.metric,
        rises: spec.objective.direction == Direction::Maximize,
        needed: best.mean,
        met_when_equal: false,
        rival: Some((incumbent, best.count)),
    };
    let bounds = spec.constraints.iter().flat_map(|constraint| {
        let bound = |rises, bound: Option<Finite>| {
            bound.map(|bound| Criterion {
                metric: &constraint.metric,
                rises,
                needed: bound.get(),
                met_when_equal: true,
                rival: None,
            })
        };
        [bound(true, constraint.min), bound(false, constraint.max)]
    });
    let criteria: Vec<Criterion<'_>> = bounds.flatten().chain([objective]).collect();
    let share = LEVEL / criteria.len() as f64;
    criteria
        .iter()
        .find_map(|criterion| criterion.missed(study, trial, share))
}

/// How many runs the trial still gets, of those that yield the metric.
fn runs_to_come(study: &Study, trial: &Trial, metric: Option<&str>) -> u32 {
    let yields =
        |name: &str, metrics: &[MetricRule]| metrics.iter().any(|rule| &*rule.metric == name);
    let steps = study.spec().steps.iter();
    let steps = steps.filter(|step| metric.is_none_or(|name| yields(name, &step.metrics)));
    let open = steps.map(|step| {
        let ran = trial.runs.iter().filter(|run| run.step == step.name);
        step.counted_runs().saturating_sub(ran.count() as u32)
    });
    open.sum()
}

/// Something that a trial must be able to reach.
struct Criterion<'a> {
    metric: &'a str,
    /// Whether more is better.
    rises: bool,
    needed: f64,
    met_when_equal: bool,
    /// Whose mean `needed` is, and of how many runs.
    rival: Option<(&'a Trial, u32)>,
}

impl Criterion<'_> {
    /// The finding that the trial will miss this, when that is surer than
    /// `level`, spread over all looks.
    fn missed(&self, study: &Study, trial: &Trial, level: f64) -> Option<Pruning> {
        let so_far = trial.summary(self.metric)?;
        let ahead = if self.rises {
            so_far.mean > self.needed
        } else {
            so_far.mean < self.needed
        };
        if ahead || (self.met_when_equal && so_far.mean == self.needed) {
            return None;
        }
        let to_come = runs_to_come(study, trial, Some(self.metric));
        let of = so_far.count + to_come;
        let chance = match to_come {
            // All its runs are done: that is how it stays.
            0 => 0.0,
            _ => self.chance(study, trial, &so_far, to_come)?,
        };
        let looks = of.saturating_sub(1).max(1);
        let finite = so_far.mean.is_finite() && self.needed.is_finite();
        (finite && chance < level / f64::from(looks)).then(|| Pruning {
            metric: self.metric.into(),
            runs: so_far.count,
            of,
            mean: so_far.mean,
            needed: self.needed,
            rival: self.rival.map(|(rival, _)| rival.id),
            chance,
        })
    }

    /// The chance that the runs to come make up for those so far; `None` when
    /// that cannot be told.
    fn chance(&self, study: &Study, trial: &Trial, so_far: &Summary, to_come: u32) -> Option<f64> {
        let (n, rest) = (f64::from(so_far.count), f64::from(to_come));
        let settled = study.trials().iter().filter(|other| other.is_settled());
        let others = settled.filter(|other| other.id != trial.id);
        let all = others.clone().map(|other| &**other).chain([trial]);
        let relative = self.needed > 0.0
            && all
                .flat_map(|trial| trial.measurements(self.metric))
                .all(|number| number.get() > 0.0);
        let scale = Scale {
            relative,
            sign: if self.rises { 1.0 } else { -1.0 },
        };
        let mut noise = Noise::new(so_far.count as usize);
        for other in others {
            noise.add(other.measurements(self.metric).map(|m| scale.of(m.get())));
        }
        let required = ((n + rest) * self.needed - n * so_far.mean) / rest;
        if relative && required <= 0.0 {
            // More than nothing at all would be too much.
            return Some(0.0);
        }
        let known = f64::from(noise.continued);
        if noise.freedom == 0 || noise.continued == 0 {
            return None;
        }
        let own = Noise::of(trial.measurements(self.metric).map(|m| scale.of(m.get())));
        let distance = scale.of(required) - scale.of(so_far.mean) - noise.growth();
        if own.freedom == 0 && distance <= noise.largest {
            return None;
        }
        let finest = if relative { 1.0 } else { self.needed.abs() } * FINEST;
        let variance = noise.variance().max(own.variance()).max(finest * finest);
        let shares = (1.0 / n + 1.0 / rest) * (1.0 + 1.0 / known) + self.rival_share(n, rest);
        let student = StudentsT::new(0.0, 1.0, f64::from(noise.freedom)).ok()?;
        let chance = student.sf(distance / (variance * shares).sqrt());
        chance.is_finite().then_some(chance)
    }

    /// What the rival's own mean may still move by, had it as many runs as a
    /// whole trial: as a variance of what is required, in shares of that of a
    /// run.
    fn rival_share(&self, n: f64, rest: f64) -> f64 {
        let Some((_, runs)) = self.rival else {
            return 0.0;
        };
        let whole = n + rest;
        (1.0 / f64::from(runs) - 1.0 / whole).max(0.0) * (whole / rest).powi(2)
    }
}

/// On which differences are compared; more is better on it.
#[derive(Clone, Copy)]
struct Scale {
    relative: bool,
    sign: f64,
}

impl Scale {
    fn of(self, number: f64) -> f64 {
        self.sign * if self.relative { number.ln() } else { number }
    }
}

/// What the runs of several trials tell about noise.
struct Noise {
    /// After so many runs a trial is looked at.
    after: usize,
    squares: f64,
    freedom: u32,
    /// The farthest that a run was from the mean of its trial.
    largest: f64,
    /// The sum over trials of how much better the runs after `after` were.
    gained: f64,
    /// How many trials have such runs.
    continued: u32,
    buffer: Vec<f64>,
}

impl Noise {
    const fn new(after: usize) -> Self {
        Self {
            after,
            squares: 0.0,
            freedom: 0,
            largest: 0.0,
            gained: 0.0,
            continued: 0,
            buffer: Vec::new(),
        }
    }

    /// That of one trial alone.
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut noise = Self::new(usize::MAX);
        noise.add(numbers);
        noise
    }

    /// Adds the runs of a trial, in order.
    fn add(&mut self, numbers: impl Iterator<Item = f64>) {
        self.buffer.clear();
        self.buffer.extend(numbers);
        let mean = mean(&self.buffer);
        if self.buffer.len() < 2 {
            return;
        }
        for number in &self.buffer {
            let off = number - mean;
            self.squares += off * off;
            self.largest = self.largest.max(off.abs());
        }
        self.freedom += self.buffer.len() as u32 - 1;
        if self.buffer.len() > self.after {
            let (first, later) = self.buffer.split_at(self.after);
            self.gained += self::mean(later) - self::mean(first);
            self.continued += 1;
        }
    }

    fn variance(&self) -> f64 {
        self.squares / f64::from(self.freedom.max(1))
    }

    /// How much better the later runs are than the first, on average; 0 when
    /// they are worse.
    fn growth(&self) -> f64 {
        (self.gained / f64::from(self.continued.max(1))).max(0.0)
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[cfg(test)]
#[path = "racing_tests.rs"]
mod tests;
