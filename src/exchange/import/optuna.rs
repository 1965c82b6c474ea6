//! The journal file of Optuna's `JournalFileBackend`: a line for each operation,
//! which are counted out here to what they made. Read as Optuna 4 and 5 write it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::super::optuna::{operation, state};
use super::super::record::text_of;
use super::{Column, Format, Gathered, Table, failed};

/// A line: which fields it has depends on its operation.
#[derive(Deserialize)]
struct Operation {
    op_code: u64,
    study_id: Option<usize>,
    study_name: Option<String>,
    directions: Option<Vec<u64>>,
    trial_id: Option<usize>,
    state: Option<u64>,
    value: Option<f64>,
    values: Option<Vec<f64>>,
    params: Option<Map<String, Json>>,
    distributions: Option<BTreeMap<String, String>>,
    user_attrs: Option<Map<String, Json>>,
    user_attr: Option<Map<String, Json>>,
    system_attr: Option<Map<String, Json>>,
    param_name: Option<String>,
    param_value_internal: Option<Json>,
    distribution: Option<String>,
}

struct Study {
    name: String,
    directions: Vec<u64>,
    /// What it calls its objective.
    metric: Option<String>,
    trials: Vec<usize>,
}

#[derive(Default)]
struct Trial {
    state: u64,
    values: Vec<f64>,
    params: BTreeMap<String, String>,
    attributes: Map<String, Json>,
}

/// # Errors
/// What is wrong with the whole.
pub(super) fn parse(text: &[u8], wanted: Option<&str>) -> Result<Table, String> {
    let mut studies: Vec<Option<Study>> = Vec::new();
    let mut trials: Vec<Trial> = Vec::new();
    for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1u64..) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let read: Operation = match serde_json::from_slice(line) {
            Ok(read) => read,
            // Optuna is about to write the rest.
            Err(_) if line.last() != Some(&b'\n') => break,
            Err(error) => {
                return Err(format!(
                    "line {number} is no operation of Optuna's journal: {error}"
                ));
            }
        };
        take(read, &mut studies, &mut trials).map_err(|why| format!("line {number}: {why}"))?;
    }
    let study = select(studies.into_iter().flatten().collect(), wanted)?;
    if study.directions.len() != 1 {
        return Err(format!(
            "the study {} has {} objectives; one can be imported",
            study.name,
            study.directions.len()
        ));
    }
    let objective = match study.metric {
        Some(name) => Column::Metric(name),
        None => Column::Objective,
    };
    let mut attributes = trials.iter().flat_map(|trial| trial.attributes.keys());
    let ours = attributes.any(|name| name.starts_with(METRIC));
    let mut gathered = Gathered::new();
    for (number, index) in study.trials.iter().enumerate() {
        let number = number as u64;
        let trial = &trials[*index];
        let cause = trial.attributes.get("cause").and_then(Json::as_str);
        match failed(word(trial.state), cause) {
            Ok(failed) => gathered.add(number, cells(trial, &objective, ours), failed),
            Err(why) => gathered.leave_out(number, why),
        }
    }
    Ok(Table {
        maximize: Some(study.directions[0] == MAXIMIZE),
        ..gathered.table(Format::Optuna)
    })
}

/// The direction of a study in which more is better.
const MAXIMIZE: u64 = 2;

/// What the attributes begin with that our own exports make of metrics.
const METRIC: &str = "metric:";

const fn word(state: u64) -> &'static str {
    match state {
        state::COMPLETE => "complete",
        state::PRUNED => "pruned",
        state::FAIL => "failed",
        state::WAITING => "waiting",
        _ => "running",
    }
}

fn cells(trial: &Trial, objective: &Column, ours: bool) -> Vec<(Column, String)> {
    let params = trial.params.iter();
    let params = params.map(|(name, text)| (Column::Parameter(name.clone()), text.clone()));
    let values = trial.values.iter().take(1);
    let values = values.map(|value| (objective.clone(), value.to_string()));
    // Other metrics are where people keep them; our own exports say which they are.
    let attributes = trial
        .attributes
        .iter()
        .filter(|(_, value)| value.is_number());
    let attributes = attributes.filter_map(|(name, value)| {
        let metric = name.strip_prefix(METRIC);
        let name = metric.or((!ours).then_some(name.as_str()))?;
        Some((Column::Metric(name.to_owned()), text_of(value)))
    });
    let attributes = attributes.filter(|(column, _)| column != objective);
    params.chain(values).chain(attributes).collect()
}

/// # Errors
/// What makes no sense.
fn take(
    read: Operation,
    studies: &mut Vec<Option<Study>>,
    trials: &mut Vec<Trial>,
) -> Result<(), String> {
    let unknown = |what: &str| format!("it speaks of {what} that was never made");
    match read.op_code {
        operation::CREATE_STUDY => studies.push(Some(Study {
            name: read.study_name.unwrap_or_default(),
            directions: read.directions.unwrap_or_default(),
            metric: None,
            trials: Vec::new(),
        })),
        operation::DELETE_STUDY => {
            let study = read.study_id.and_then(|id| studies.get_mut(id));
            *study.ok_or_else(|| unknown("a study"))? = None;
        }
        operation::SET_STUDY_SYSTEM_ATTR => {
            let study = read.study_id.and_then(|id| studies.get_mut(id));
            let study = study.ok_or_else(|| unknown("a study"))?;
            let names = read.system_attr.unwrap_or_default();
            let names = names.get("study:metric_names").and_then(Json::as_array);
            let name = names.and_then(|names| names.first()?.as_str());
            if let (Some(study), Some(name)) = (study, name) {
                study.metric = Some(name.to_owned());
            }
        }
        operation::CREATE_TRIAL => {
            let study = read.study_id.and_then(|id| studies.get_mut(id));
            let study = study.ok_or_else(|| unknown("a study"))?;
            if let Some(study) = study {
                study.trials.push(trials.len());
            }
            let mut trial = Trial {
                state: read.state.unwrap_or(state::RUNNING),
                values: read
                    .values
                    .or(read.value.map(|value| vec![value]))
                    .unwrap_or_default(),
                attributes: read.user_attrs.unwrap_or_default(),
                params: BTreeMap::new(),
            };
            let distributions = read.distributions.unwrap_or_default();
            for (name, value) in read.params.unwrap_or_default() {
                let distribution = distributions.get(&name).map_or("", String::as_str);
                trial.params.insert(name, external(&value, distribution)?);
            }
            trials.push(trial);
        }
        operation::SET_TRIAL_PARAM..=operation::SET_TRIAL_USER_ATTR => {
            let trial = read.trial_id.and_then(|id| trials.get_mut(id));
            let trial = trial.ok_or_else(|| unknown("a trial"))?;
            if read.op_code == operation::SET_TRIAL_PARAM
                && let (Some(name), Some(value)) = (read.param_name, read.param_value_internal)
            {
                let distribution = read.distribution.unwrap_or_default();
                let text = external(&value, &distribution)?;
                trial.params.insert(name, text);
            } else if read.op_code == operation::SET_TRIAL_STATE_VALUES {
                trial.state = read.state.unwrap_or(trial.state);
                trial.values = read.values.unwrap_or_default();
            } else if read.op_code == operation::SET_TRIAL_USER_ATTR {
                trial.attributes.extend(read.user_attr.unwrap_or_default());
            }
        }
        // What else there is says nothing about what was measured.
        _ => {}
    }
    Ok(())
}

/// # Errors
/// Which studies there are.
fn select(mut studies: Vec<Study>, wanted: Option<&str>) -> Result<Study, String> {
    let names: Vec<String> = studies.iter().map(|study| study.name.clone()).collect();
    let names = names.join(", ");
    match wanted {
        Some(wanted) => {
            let place = studies.iter().position(|study| study.name == wanted);
            let place = place.ok_or(format!("it has no study {wanted}; it has {names}"))?;
            Ok(studies.swap_remove(place))
        }
        None if studies.len() > 1 => Err(format!(
            "it has several studies: {names}; --study NAME says which is meant"
        )),
        None => studies.pop().ok_or_else(|| "it has no study".to_owned()),
    }
}

/// The text of a value of which the journal has the number: of a list its place.
///
/// # Errors
/// When the distribution does not have it.
fn external(value: &Json, distribution: &str) -> Result<String, String> {
    let known: Json = serde_json::from_str(distribution).unwrap_or_default();
    let choices = known
        .pointer("/attributes/choices")
        .and_then(Json::as_array);
    if let Some(choices) = choices {
        let place = value.as_f64().map(|place| place as usize);
        let choice = place.and_then(|place| choices.get(place));
        return choice
            .map(text_of)
            .ok_or_else(|| format!("there is no choice {value}"));
    }
    let is_whole = known.get("name").and_then(Json::as_str) == Some("IntDistribution");
    Ok(match value.as_f64() {
        Some(number) if is_whole && number.abs() < 9e15 => (number as i64).to_string(),
        _ => text_of(value),
    })
}
