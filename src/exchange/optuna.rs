//! The journal file that `optuna.storages.journal.JournalFileBackend` reads: a
//! line for the study, and a line for each trial. Optuna 4 and 5 read it.
//!
//! | ours | Optuna's |
//! |---|---|
//! | complete, infeasible | COMPLETE; `constraints` above 0 are missed |
//! | pruned | PRUNED |
//! | failed | FAIL, with `cause` and `failure` as user attributes |
//! | running, interrupted, held up | RUNNING |
//! | planned | WAITING |
//! | the curve of the objective, else its runs | intermediate values |
//! | other metrics, where they are from | user attributes |

use serde_json::{Map, Value as Json, json};

use super::format::text;
use super::record::{Domain, Head, Parameter, Trial, number_of, place};

/// Numbers of operations in the journal.
pub(super) mod operation {
    pub const CREATE_STUDY: u64 = 0;
    pub const DELETE_STUDY: u64 = 1;
    pub const SET_STUDY_USER_ATTR: u64 = 2;
    pub const SET_STUDY_SYSTEM_ATTR: u64 = 3;
    pub const CREATE_TRIAL: u64 = 4;
    pub const SET_TRIAL_PARAM: u64 = 5;
    pub const SET_TRIAL_STATE_VALUES: u64 = 6;
    pub const SET_TRIAL_USER_ATTR: u64 = 8;
}

/// Numbers of a trial's states.
pub(super) mod state {
    pub const RUNNING: u64 = 0;
    pub const COMPLETE: u64 = 1;
    pub const PRUNED: u64 = 2;
    pub const FAIL: u64 = 3;
    pub const WAITING: u64 = 4;
}

/// Whom the lines are by.
const WORKER: &str = "autotune";

pub(super) fn begin(head: &Head) -> String {
    let direction = if head.objective.maximize { 2 } else { 1 };
    let study = |operation: u64, field: &str, name: &str, value: Json| {
        json!({
            "op_code": operation, "worker_id": WORKER, "study_id": 0, field: { name: value },
        })
    };
    let constraints = head.constraints.iter().map(|bounds| {
        let least = bounds.min.map(|min| format!("{min} <= "));
        let most = bounds.max.map(|max| format!(" <= {max}"));
        let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
        format!("{least}{}{most}", bounds.metric)
    });
    let constraints: Vec<String> = constraints.collect();
    let user = |name, value| study(operation::SET_STUDY_USER_ATTR, "user_attr", name, value);
    let lines = [
        json!({
            "op_code": operation::CREATE_STUDY, "worker_id": WORKER,
            "study_name": head.study, "directions": [direction],
        }),
        study(
            operation::SET_STUDY_SYSTEM_ATTR,
            "system_attr",
            "study:metric_names",
            json!([head.objective.metric]),
        ),
        user("autotune", head.program.clone().into()),
        user("begun", head.begun.clone().into()),
        user("seed", head.seed.into()),
        user("constraints", constraints.into()),
    ];
    lines
        .iter()
        .map(|line| format!("{}\n", text(line)))
        .collect()
}

pub(super) fn line(head: &Head, trial: &Trial) -> String {
    let state = match trial.outcome.as_str() {
        "complete" | "infeasible" if trial.objective.is_some() => state::COMPLETE,
        "complete" | "infeasible" | "failed" => state::FAIL,
        "pruned" => state::PRUNED,
        "planned" => state::WAITING,
        _ => state::RUNNING,
    };
    let is_over = matches!(state, state::COMPLETE | state::PRUNED | state::FAIL);
    let (mut params, mut distributions) = (Map::new(), Map::new());
    for parameter in &head.parameters {
        let value = trial.params.get(&parameter.name);
        if let Some(value) = value.and_then(|value| internal(&parameter.domain, value)) {
            params.insert(parameter.name.clone(), value);
            let distribution = text(&distribution(parameter));
            distributions.insert(parameter.name.clone(), distribution.into());
        }
    }
    let mut system = Map::new();
    let missed: Option<Vec<f64>> = trial.constraints.iter().copied().collect();
    // Optuna counts a trial without it as feasible.
    if let Some(missed) = missed.filter(|missed| !missed.is_empty() && is_over) {
        system.insert("constraints".to_owned(), missed.into());
    }
    if state == state::WAITING {
        system.insert("fixed_params".to_owned(), trial.params.clone().into());
    }
    let mut line = json!({
        "op_code": operation::CREATE_TRIAL,
        "worker_id": WORKER,
        "study_id": 0,
        "datetime_start": trial.started,
        "state": state,
        "value": if is_over { trial.objective } else { None },
        "values": null,
        "params": params,
        "distributions": distributions,
        "user_attrs": attributes(trial),
        "system_attrs": system,
        "intermediate_values": intermediate(head, trial),
    });
    if is_over && let Json::Object(fields) = &mut line {
        // One that was skipped before it began has no times, and Optuna wants
        // one here.
        let ended = trial.ended.clone().unwrap_or_else(|| head.begun.clone());
        fields.insert("datetime_complete".to_owned(), ended.into());
        if trial.started.is_none() {
            fields.insert("datetime_start".to_owned(), head.begun.clone().into());
        }
    }
    format!("{}\n", text(&line))
}

fn attributes(trial: &Trial) -> Map<String, Json> {
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Json| {
        if !value.is_null() {
            attributes.insert(name.to_owned(), value);
        }
    };
    set("trial", trial.trial.into());
    set("outcome", trial.outcome.clone().into());
    set("feasible", trial.feasible.into());
    set("origin", trial.origin.clone().into());
    set("best", trial.best.then_some(true).into());
    set("cause", trial.cause.clone().into());
    set("failure", trial.failure.clone().into());
    set("runs", trial.runs.len().into());
    set("elapsed_s", trial.elapsed_s.into());
    set("startup_s", trial.startup_s.into());
    for (name, measured) in &trial.metrics {
        set(&format!("metric:{name}"), measured.mean.into());
    }
    attributes
}

/// The newest curve of the objective; where there is none, what each good run
/// measured, by the run's number.
fn intermediate(head: &Head, trial: &Trial) -> Map<String, Json> {
    let metric = &head.objective.metric;
    let mut curves = trial.curves.iter().rev();
    if let Some(curve) = curves.find(|curve| curve.metric == *metric) {
        let steps = curve.steps();
        return steps
            .map(|(at, value)| (at.to_string(), value.into()))
            .collect();
    }
    let good = trial.runs.iter().filter(|run| run.fault.is_none());
    let measured = good.filter_map(|run| Some((run.run, *run.metrics.get(metric)?)));
    measured
        .map(|(run, value)| (run.to_string(), value.into()))
        .collect()
}

fn distribution(parameter: &Parameter) -> Json {
    match &parameter.domain {
        Domain::Values(choices) => json!({
            "name": "CategoricalDistribution", "attributes": { "choices": choices },
        }),
        Domain::Int { low, high, log } => json!({
            "name": "IntDistribution",
            "attributes": { "log": log, "step": 1, "low": low, "high": high },
        }),
        Domain::Float { low, high, log } => json!({
            "name": "FloatDistribution",
            "attributes": { "step": null, "low": low, "high": high, "log": log },
        }),
    }
}

/// A value as Optuna's journal has it: the place in a list, else the number.
fn internal(domain: &Domain, value: &Json) -> Option<Json> {
    match domain {
        Domain::Values(values) => place(values, value).map(Json::from),
        Domain::Int { .. } | Domain::Float { .. } if value.is_number() => Some(value.clone()),
        Domain::Int { .. } | Domain::Float { .. } => number_of(value).map(Json::from),
    }
}
