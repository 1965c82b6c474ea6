//! The settings of a spec that can be changed while its study runs, each with
//! a name of its own: `budget.trials`, `constraint.accuracy.min`.

use std::time::Duration;

use super::Name;
use super::approval::{Approve, Overdue};
use super::metric::Constraint;
use super::spec::{Converged, Median, Spec};
use super::step::StepKind;
use super::value::Finite;
use crate::base::quantity::show_duration;

/// A setting with its value; `None` is no bound, no limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// The least that a metric may be.
    Min(Name, Option<Finite>),
    /// The most that a metric may be.
    Max(Name, Option<Finite>),
    /// With what confidence a metric keeps its bounds, 0.5 to 1; `None` where the
    /// mean decides.
    Confidence(Name, Option<Finite>),
    /// How many runs of a measure step count; 1 to 1000.
    Runs(Name, u32),
    /// See [`super::spec::Budget::trials`]; 1 or more.
    BudgetTrials(Option<u32>),
    /// See [`super::spec::Budget::runs`]; 1 or more.
    BudgetRuns(Option<u32>),
    /// See [`super::spec::Budget::wall`]; above 0.
    BudgetWall(Option<Duration>),
    /// See [`super::spec::Budget::gpu_time`]; above 0.
    BudgetGpuHours(Option<Duration>),
    /// See [`super::spec::Converged::under`]; above 0.
    Converged(Option<Finite>),
    /// See [`super::spec::Search::racing`].
    Racing(bool),
    /// See [`super::spec::Search::recheck`]; 0 is never.
    Recheck(u32),
    /// See [`super::spec::Confirm::runs`]; 0 to 1000.
    ConfirmRuns(u32),
    /// See [`super::spec::Search::median`].
    Median(Option<Median>),
    /// See [`super::approval::Approval::of`].
    Approve(Approve),
    /// See [`super::approval::Approval::timeout`]; above 0.
    ApproveTimeout(Option<Duration>),
    /// See [`super::approval::Approval::overdue`].
    ApproveDefault(Overdue),
}

impl Setting {
    /// All settings of a spec with their values in it: bounds of every metric
    /// that a step yields, also where there are none.
    pub fn all(spec: &Spec) -> Vec<Self> {
        let mut all = Vec::new();
        let mut metrics: Vec<&Name> = Vec::new();
        let constrained = spec.constraints.iter().map(|c| &c.metric);
        for metric in constrained.chain(spec.metrics()) {
            if metrics.contains(&metric) {
                continue;
            }
            metrics.push(metric);
            let found = spec.constraints.iter().find(|c| c.metric == *metric);
            all.push(Self::Min(metric.clone(), found.and_then(|c| c.min)));
            all.push(Self::Max(metric.clone(), found.and_then(|c| c.max)));
            if let Some(found) = found {
                all.push(Self::Confidence(metric.clone(), found.confidence));
            }
        }
        for step in &spec.steps {
            if let StepKind::Measure { runs, .. } = step.kind {
                all.push(Self::Runs(step.name.clone(), runs));
            }
        }
        all.push(Self::BudgetTrials(spec.budget.trials));
        all.push(Self::BudgetRuns(spec.budget.runs));
        all.push(Self::BudgetWall(spec.budget.wall));
        all.push(Self::BudgetGpuHours(spec.budget.gpu_time));
        let under = spec.budget.converged.map(|converged| converged.under);
        all.push(Self::Converged(under.and_then(Finite::new)));
        all.push(Self::Racing(spec.search.racing));
        all.push(Self::Recheck(spec.recheck()));
        all.push(Self::ConfirmRuns(spec.confirm_runs()));
        if spec.steps.iter().any(|step| !step.curves.is_empty()) {
            all.push(Self::Median(spec.search.median.clone()));
        }
        all.push(Self::Approve(spec.approval.of));
        all.push(Self::ApproveTimeout(spec.approval.timeout));
        all.push(Self::ApproveDefault(spec.approval.overdue));
        all
    }

    /// Its name: the places in the spec, joined by points.
    pub fn name(&self) -> String {
        match self {
            Self::Min(metric, _) => format!("constraint.{metric}.min"),
            Self::Max(metric, _) => format!("constraint.{metric}.max"),
            Self::Confidence(metric, _) => format!("constraint.{metric}.confidence"),
            Self::Runs(step, _) => format!("step.{step}.runs"),
            Self::BudgetTrials(_) => "budget.trials".to_owned(),
            Self::BudgetRuns(_) => "budget.runs".to_owned(),
            Self::BudgetWall(_) => "budget.wall".to_owned(),
            Self::BudgetGpuHours(_) => "budget.gpu_hours".to_owned(),
            Self::Converged(_) => "budget.converged".to_owned(),
            Self::Racing(_) => "search.racing".to_owned(),
            Self::Recheck(_) => "search.recheck".to_owned(),
            Self::ConfirmRuns(_) => "confirm.runs".to_owned(),
            Self::Median(_) => "search.median".to_owned(),
            Self::Approve(_) => "study.approve".to_owned(),
            Self::ApproveTimeout(_) => "study.approve_timeout".to_owned(),
            Self::ApproveDefault(_) => "study.approve_default".to_owned(),
        }
    }

    /// Its value as a user writes it: `40`, `12h`, `none`, `mean`.
    pub fn value(&self) -> String {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map_or("none".to_owned(), |value| value.to_string())
        }
        match self {
            Self::Min(_, bound) | Self::Max(_, bound) | Self::Converged(bound) => {
                text(bound.map(Finite::get))
            }
            Self::Confidence(_, confidence) => {
                confidence.map_or("mean".to_owned(), |number| number.get().to_string())
            }
            Self::Runs(_, count) | Self::Recheck(count) | Self::ConfirmRuns(count) => {
                count.to_string()
            }
            Self::BudgetTrials(most) | Self::BudgetRuns(most) => text(*most),
            Self::BudgetWall(time) | Self::ApproveTimeout(time) => text(time.map(show_duration)),
            Self::BudgetGpuHours(time) => text(time.map(|time| time.as_secs_f64() / 3600.0)),
            Self::Racing(on) => on.to_string(),
            Self::Median(None) => "off".to_owned(),
            Self::Median(Some(median)) => median.after.to_string(),
            Self::Approve(of) => of.name().to_owned(),
            Self::ApproveDefault(overdue) => overdue.name().to_owned(),
        }
    }

    /// Whether both are the same setting, whatever their values.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name() == other.name()
    }

    /// Whether it is a bound of this metric.
    pub fn bounds(&self, name: &str) -> bool {
        matches!(self, Self::Min(metric, _) | Self::Max(metric, _) if **metric == *name)
    }

    /// Puts the value into a spec; whether the spec has such a setting.
    pub(super) fn put(&self, spec: &mut Spec) -> bool {
        match self {
            Self::Min(metric, bound) => {
                return bound_of(spec, metric, |constraint| constraint.min = *bound);
            }
            Self::Max(metric, bound) => {
                return bound_of(spec, metric, |constraint| constraint.max = *bound);
            }
            Self::Confidence(metric, confidence) => {
                let mut constraints = spec.constraints.iter_mut();
                let Some(found) = constraints.find(|found| found.metric == *metric) else {
                    return false;
                };
                found.confidence = *confidence;
            }
            Self::Runs(name, count) => {
                let mut steps = spec.steps.iter_mut().filter(|step| step.name == *name);
                let Some(StepKind::Measure { runs, .. }) = steps.next().map(|step| &mut step.kind)
                else {
                    return false;
                };
                *runs = *count;
            }
            Self::BudgetTrials(most) => spec.budget.trials = *most,
            Self::BudgetRuns(most) => spec.budget.runs = *most,
            Self::BudgetWall(wall) => spec.budget.wall = *wall,
            Self::BudgetGpuHours(time) => spec.budget.gpu_time = *time,
            Self::Converged(under) => {
                let asks = spec.budget.converged.unwrap_or_default().asks;
                spec.budget.converged = under.map(|under| Converged {
                    under: under.get(),
                    asks,
                });
            }
            Self::Racing(on) => spec.search.racing = *on,
            Self::Recheck(trials) => spec.search.recheck = Some(*trials),
            Self::ConfirmRuns(runs) => spec.confirm.runs = Some(*runs),
            Self::Median(Some(median)) if !is_told(spec, &median.metric) => return false,
            Self::Median(median) => spec.search.median.clone_from(median),
            Self::Approve(of) => spec.approval.of = *of,
            Self::ApproveTimeout(timeout) => spec.approval.timeout = *timeout,
            Self::ApproveDefault(overdue) => spec.approval.overdue = *overdue,
        }
        true
    }
}

/// Whether some step tells this metric while it runs.
fn is_told(spec: &Spec, metric: &Name) -> bool {
    let mut curves = spec.steps.iter().flat_map(|step| &step.curves);
    curves.any(|curve| curve.metric == *metric)
}

fn bound_of(spec: &mut Spec, metric: &Name, change: impl FnOnce(&mut Constraint)) -> bool {
    let known = spec.constraints.iter().any(|c| c.metric == *metric);
    if !known {
        if !spec.metrics().any(|yielded| yielded == metric) {
            return false;
        }
        spec.constraints.push(Constraint {
            metric: metric.clone(),
            min: None,
            max: None,
            confidence: None,
        });
    }
    if let Some(constraint) = spec.constraints.iter_mut().find(|c| c.metric == *metric) {
        change(constraint);
    }
    spec.constraints
        .retain(|c| c.min.is_some() || c.max.is_some());
    true
}
