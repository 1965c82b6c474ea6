//! Measurements from elsewhere that users want to be learned from: admitted by
//! a pure function.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::steer::{Admit, Change};
use crate::model::Name;
use crate::model::domain::Domain;
use crate::model::outcome::Outcome;
use crate::model::prior::{Batch, PRIORS_MAX, Prior};
use crate::model::space::{Parameter, ParamsError};
use crate::model::study::Study;
use crate::model::value::{Finite, Value};
use crate::wire::import::{Column, Import, Imported, Row, Unfit};
use crate::wire::reply::{Accepted, Refusal};

/// What a column is of the study.
#[derive(Clone, Copy, PartialEq)]
enum Use<'a> {
    Parameter(&'a Parameter),
    Metric(&'a str),
    None,
}

/// Which rows can be taken: those that fit, whatever the others.
pub fn admit(study: &Study, import: &Import) -> Admit {
    let uses: Vec<Use<'_>> = import
        .columns
        .iter()
        .map(|column| find(study, column))
        .collect();
    let errors = wrong(study, &uses);
    if !errors.is_empty() {
        return Admit::Deny(Refusal::BadChange(errors));
    }
    let mut answer = of_columns(study, &uses);
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for row in &import.rows {
        match read(study, &uses, row) {
            Ok(prior) if is_known(study, &prior) || seen.contains(&prior) => answer.known += 1,
            Ok(_) if study.priors().len() + rows.len() >= PRIORS_MAX => answer.unfit.push(Unfit {
                row: row.row,
                why: format!("the study has {PRIORS_MAX} imported measurements already"),
            }),
            Ok(prior) => {
                let prior = Arc::new(prior);
                seen.insert(Arc::clone(&prior));
                rows.push((row.row, prior));
            }
            Err(why) => answer.unfit.push(Unfit { row: row.row, why }),
        }
    }
    answer.taken = rows.len() as u32;
    let answer = Accepted::Imported(answer);
    if rows.is_empty() || import.dry {
        return Admit::Ignore(answer);
    }
    let batch = Batch {
        file: import.file.as_str().into(),
        format: import.format.as_str().into(),
        rows,
    };
    Admit::Accept(answer, Change::Import(batch.into()))
}

/// Whether it was imported before, or is a trial of the study's own: an export
/// that comes back teaches nothing.
fn is_known(study: &Study, prior: &Prior) -> bool {
    let is_own = study.trial_of(&prior.params).is_some_and(|trial| {
        let mean = study.objective(trial).map(|summary| summary.mean);
        match prior.metric(&study.spec().objective.metric) {
            Some(number) => mean == Some(number),
            None => matches!(trial.outcome, Some(Outcome::Failed(_))),
        }
    });
    is_own || study.priors().has(prior)
}

fn find<'a>(study: &'a Study, column: &Column) -> Use<'a> {
    let spec = study.spec();
    let parameter = |name: &str| spec.space.parameter(name).map(Use::Parameter);
    let metric = |name: &str| {
        let mut metrics = metrics(study);
        metrics
            .find(|known| &***known == name)
            .map(|known| Use::Metric(known))
    };
    let found = match column {
        Column::Named(name) => parameter(name).or_else(|| metric(name)),
        Column::Parameter(name) => parameter(name),
        Column::Metric(name) => metric(name),
        Column::Objective => Some(Use::Metric(&spec.objective.metric)),
    };
    found.unwrap_or(Use::None)
}

/// All metrics that the study has a use for.
fn metrics(study: &Study) -> impl Iterator<Item = &Name> {
    let spec = study.spec();
    let bounded = spec.constraints.iter().map(|constraint| &constraint.metric);
    std::iter::once(&spec.objective.metric)
        .chain(bounded)
        .chain(spec.metrics())
}

/// What makes the whole table unusable.
fn wrong(study: &Study, uses: &[Use<'_>]) -> Vec<String> {
    let spec = study.spec();
    let mut errors = Vec::new();
    let name = |used: &Use<'_>| match used {
        Use::Parameter(parameter) => Some(parameter.name.to_string()),
        Use::Metric(metric) => Some((*metric).to_owned()),
        Use::None => None,
    };
    for (index, used) in uses.iter().enumerate() {
        let Some(name) = name(used) else { continue };
        if uses[..index].contains(used) {
            errors.push(format!("two columns are {name}"));
        }
    }
    let objective = &*spec.objective.metric;
    if !uses.contains(&Use::Metric(objective)) {
        errors.push(format!(
            "no column is {objective}, which this study optimises: --map NAME={objective} says \
             which is"
        ));
    }
    if !uses.iter().any(|used| matches!(used, Use::Parameter(_))) {
        let names = spec.space.parameters().iter().map(|p| p.name.to_string());
        let names: Vec<String> = names.take(10).collect();
        errors.push(format!(
            "no column is a parameter of this study: it has {}",
            names.join(", ")
        ));
    }
    errors
}

fn of_columns(study: &Study, uses: &[Use<'_>]) -> Imported {
    let spec = study.spec();
    let ignored = uses.iter().zip(0..).filter(|(used, _)| **used == Use::None);
    let absent = spec.space.parameters().iter();
    let absent = absent.filter(|parameter| !uses.contains(&Use::Parameter(parameter)));
    let bounded = spec
        .constraints
        .iter()
        .map(|constraint| &*constraint.metric);
    let untold = bounded.filter(|metric| !uses.contains(&Use::Metric(metric)));
    Imported {
        ignored: ignored.map(|(_, place)| place).collect(),
        absent: absent
            .map(|parameter| (parameter.name.to_string(), parameter.base.to_string()))
            .collect(),
        untold: untold.map(str::to_owned).collect(),
        ..Imported::default()
    }
}

/// # Errors
/// Why it does not fit.
fn read(study: &Study, uses: &[Use<'_>], row: &Row) -> Result<Prior, String> {
    if row.cells.len() != uses.len() {
        return Err(format!(
            "it has {} cells where there are {} columns",
            row.cells.len(),
            uses.len()
        ));
    }
    let spec = study.spec();
    let objective = &*spec.objective.metric;
    let mut given = BTreeMap::new();
    let mut empty = Vec::new();
    let mut metrics: Vec<(Name, Finite)> = Vec::new();
    for (used, cell) in uses.iter().zip(&row.cells) {
        let text = cell.as_deref();
        match used {
            Use::None => {}
            Use::Parameter(parameter) => match text {
                Some(text) => {
                    drop(given.insert(parameter.name.to_string(), value(parameter, text)))
                }
                None => empty.push(&*parameter.name),
            },
            // What failed has measured nothing that counts.
            Use::Metric(_) if row.failed => {}
            Use::Metric(metric) => match text.map(|text| number(metric, text)).transpose()? {
                Some(number) => metrics.push(((*metric).into(), number)),
                None if *metric == objective => return Err(format!("it has no {objective}")),
                None => {}
            },
        }
    }
    let params = spec.space.check(&given).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ParamsError::to_string).collect();
        errors.join("; ")
    })?;
    if let Some(name) = empty.into_iter().find(|name| params.get(name).is_some()) {
        return Err(format!("it has no value of {name}"));
    }
    metrics.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Prior {
        params,
        metrics: metrics.into(),
        failed: row.failed,
    })
}

fn number(metric: &str, text: &str) -> Result<Finite, String> {
    let number: f64 = text
        .trim()
        .parse()
        .map_err(|_| format!("{metric}: `{text}` is no number"))?;
    Finite::new(number).ok_or_else(|| format!("{metric}: {number} is no finite number"))
}

/// The value that a text stands for. Other programs write `64.0` and `True`
/// where a list has 64 and true.
fn value(parameter: &Parameter, text: &str) -> Value {
    let given = Value::text(text);
    if parameter.domain.admit(&given).is_ok() {
        return given;
    }
    let same = |known: &&Value| match &*known.to_string() {
        truth @ ("true" | "false") => text.eq_ignore_ascii_case(truth),
        _ => known.number().is_some() && known.number() == given.number(),
    };
    match &parameter.domain {
        Domain::Values(values) => values.iter().find(same).cloned(),
        Domain::Int(_) => given
            .number()
            .filter(|number| number.fract() == 0.0 && number.abs() < 9e15)
            .map(|number| Value::Int(number as i64)),
        Domain::Float(_) => None,
    }
    .unwrap_or(given)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
