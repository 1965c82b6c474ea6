//! Tables of measured configurations.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use autotune::model::domain::Domain;
use autotune::model::params::Params;
use autotune::model::space::{Parameter, Space};
use autotune::model::value::Value;
use serde::Deserialize;

/// A row that started.
#[derive(Clone, Copy)]
pub struct Row {
    pub objective: f64,
    pub constraint: Option<f64>,
    /// The relative spread of a run, where it was measured.
    pub spread: Option<f64>,
}

/// What a program does with each of its params.
pub struct Table {
    pub name: String,
    pub threshold: Option<f64>,
    /// The spread of a run's constraint.
    pub constraint_spread: f64,
    parameters: Vec<(String, Vec<Value>)>,
    baselines: Vec<Vec<usize>>,
    rows: HashMap<Vec<usize>, Option<Row>>,
    best: f64,
}

#[derive(Deserialize)]
struct Meta {
    params: Vec<MetaParameter>,
    threshold: Option<f64>,
    con_sd: f64,
    start_configs: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct MetaParameter {
    name: String,
    values: Vec<serde_json::Value>,
}

impl Table {
    /// All tables of a folder, in the order of their names.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut names = Vec::new();
        let listed = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in listed {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".meta.json").map(str::to_owned));
        }
        ensure!(!names.is_empty(), "{}: no *.meta.json", folder.display());
        names.sort();
        let tables = names.iter().map(|name| {
            Self::read(folder, name).with_context(|| format!("{name} in {}", folder.display()))
        });
        tables.collect()
    }

    fn read(folder: &Path, name: &str) -> Result<Self> {
        let meta = fs::read_to_string(folder.join(format!("{name}.meta.json")))?;
        let meta: Meta = serde_json::from_str(&meta)?;
        let text = fs::read_to_string(folder.join(format!("{name}.csv")))?;
        let texts = |parameter: &MetaParameter| -> Vec<String> {
            let values = parameter.values.iter();
            let text = |value: &serde_json::Value| match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            values.map(text).collect()
        };
        let lists: Vec<Vec<String>> = meta.params.iter().map(texts).collect();
        let mut rows = HashMap::new();
        for (number, line) in text.lines().enumerate().skip(1) {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let row = row(&fields, &lists).with_context(|| format!("line {}", number + 1))?;
            rows.insert(row.0, row.1);
        }
        let keeps = |row: &&Row| meta.threshold.is_none_or(|t| row.constraint >= Some(t));
        let feasible = rows.values().flatten().filter(keeps);
        let best = feasible.map(|row| row.objective).fold(0.0, f64::max);
        ensure!(best > 0.0, "no row is feasible");
        let names = meta.params.into_iter().map(|parameter| parameter.name);
        let values = lists
            .iter()
            .map(|list| list.iter().map(|text| text.as_str().into()));
        Ok(Self {
            name: name.to_owned(),
            threshold: meta.threshold,
            constraint_spread: meta.con_sd,
            parameters: names.zip(values.map(Iterator::collect)).collect(),
            baselines: meta.start_configs,
            rows,
            best,
        })
    }

    /// The space, with the baseline of a seed.
    pub fn space(&self, seed: u64) -> Result<Space> {
        let baseline = &self.baselines[seed as usize % self.baselines.len()];
        let parameters = self.parameters.iter().zip(baseline);
        let parameters = parameters.map(|((name, values), base)| {
            Ok(Parameter {
                name: name.as_str().into(),
                domain: Domain::values(values.clone())?,
                base: values[*base].clone(),
                when: None,
                tunable: true,
            })
        });
        let parameters = parameters.collect::<Result<_>>()?;
        Space::new(parameters, Vec::new()).map_err(|errors| anyhow::anyhow!("{errors:?}"))
    }

    /// The position of each value in its list.
    pub fn key(&self, params: &Params) -> Vec<usize> {
        let position = |(name, values): &(String, Vec<Value>)| {
            let own = params.get(name);
            values
                .iter()
                .position(|value| Some(value) == own)
                .unwrap_or(0)
        };
        self.parameters.iter().map(position).collect()
    }

    /// What comes of it; `None` where it does not start.
    pub fn row(&self, key: &[usize]) -> Option<Row> {
        *self.rows.get(key)?
    }

    /// The true objective as a share of the best in the table; 0 when it does
    /// not start, or misses the threshold by more than the spread of a run.
    pub fn quality(&self, key: &[usize]) -> f64 {
        let Some(row) = self.row(key) else { return 0.0 };
        let threshold = self.threshold.map(|t| t - self.constraint_spread);
        match (threshold, row.constraint) {
            (Some(threshold), Some(found)) if found < threshold => 0.0,
            _ => (row.objective / self.best).min(1.0),
        }
    }

    /// All combinations that are in the table, in order.
    pub fn keys(&self) -> Vec<Vec<usize>> {
        let mut keys: Vec<Vec<usize>> = self.rows.keys().cloned().collect();
        keys.sort();
        keys
    }

    /// The params of a combination.
    pub fn params(&self, key: &[usize]) -> Params {
        let values = self.parameters.iter().zip(key);
        let values = values.map(|((name, values), at)| (name.as_str().into(), values[*at].clone()));
        Params::recorded(values)
    }

    /// The combination with the next value of each parameter, round and round.
    pub fn next(&self, key: &[usize]) -> Vec<usize> {
        let lists = self.parameters.iter().zip(key);
        lists
            .map(|((_, values), at)| (at + 1) % values.len())
            .collect()
    }

    /// What one pass of coordinate ascent costs with 5 runs a value.
    pub fn pass(&self, startup: f64) -> f64 {
        let values: usize = self.parameters.iter().map(|(_, values)| values.len()).sum();
        values as f64 * (startup + 5.0)
    }
}

fn row(fields: &[&str], lists: &[Vec<String>]) -> Result<(Vec<usize>, Option<Row>)> {
    let count = lists.len();
    let [objective, constraint, status, spread] = fields.get(count..).unwrap_or_default() else {
        bail!("{} fields where {} are due", fields.len(), count + 4);
    };
    let key = fields.iter().zip(lists).map(|(field, list)| {
        let position = list.iter().position(|value| value == field);
        position.with_context(|| format!("{field} is none of {list:?}"))
    });
    let key = key.collect::<Result<_>>()?;
    let optional = |text: &str| -> Result<Option<f64>> {
        Ok(if text.is_empty() {
            None
        } else {
            Some(text.parse()?)
        })
    };
    let row = (*status == "ok").then(|| {
        Ok::<_, anyhow::Error>(Row {
            objective: objective.parse()?,
            constraint: optional(constraint)?,
            spread: optional(spread)?,
        })
    });
    Ok((key, row.transpose()?))
}
