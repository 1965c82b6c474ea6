//! `Space`: what may be tried, and what was.

use std::collections::HashMap;

use crate::model::amendment::Amendment;
use crate::model::domain::{self, Scale};
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::study::Study;
use crate::model::value::Value;
use crate::wire::reply::{self, Domain, Reply, Space, TriedValue};

/// So many bytes of names and values fill a page.
const PAGE: usize = 256 << 10;

pub fn answer(study: &Study, offset: u32) -> Reply {
    let space = &study.spec().space;
    let all: Vec<Params> = study.trials().iter().map(|t| study.params_of(t)).collect();
    let best = study.incumbent().map(|trial| study.params_of(trial));
    let mut parameters = Vec::new();
    let mut size = 0;
    for parameter in space.parameters().iter().skip(offset as usize) {
        let row = row(study, parameter, &all, best.as_ref());
        size += size_of(&row);
        if size > PAGE && !parameters.is_empty() {
            break;
        }
        parameters.push(row);
    }
    let amendments = study.amendments().iter();
    let of_space = |one: &Amendment| !matches!(one, Amendment::Setting(_));
    let changed = amendments.filter(|one| of_space(one));
    Reply::Space(Box::new(Space {
        total: space.parameters().len() as u32,
        parameters,
        rules: space.rules().iter().map(ToString::to_string).collect(),
        changed: changed.map(ToString::to_string).collect(),
        ignored: ignored(study, of_space),
    }))
}

/// The amendments that do not fit the spec, of those for which `is_wanted`
/// holds, with why.
pub fn ignored(study: &Study, is_wanted: impl Fn(&Amendment) -> bool) -> Vec<String> {
    let unfit = study.unfit().iter();
    let unfit = unfit.filter(|unfit| is_wanted(&unfit.amendment));
    unfit.map(ToString::to_string).collect()
}

fn row(
    study: &Study,
    parameter: &Parameter,
    all: &[Params],
    best: Option<&Params>,
) -> reply::Parameter {
    let mut tried: HashMap<&Value, u32> = HashMap::new();
    for value in all.iter().filter_map(|params| params.get(&parameter.name)) {
        *tried.entry(value).or_default() += 1;
    }
    let domain = match &parameter.domain {
        domain::Domain::Values(values) => Domain::Values(
            values
                .iter()
                .map(|value| TriedValue {
                    value: value.to_string(),
                    trials: tried.get(value).copied().unwrap_or_default(),
                })
                .collect(),
        ),
        domain::Domain::Int(range) => {
            let (low, high) = range.ends();
            let log = range.scale() == Scale::Log;
            Domain::Int { low, high, log }
        }
        domain::Domain::Float(range) => {
            let (low, high) = range.ends();
            Domain::Float {
                low: format!("{low:?}"),
                high: format!("{high:?}"),
                log: range.scale() == Scale::Log,
            }
        }
    };
    let written = study.written().space.parameter(&parameter.name);
    let best = best.and_then(|best| best.get(&parameter.name));
    reply::Parameter {
        name: parameter.name.to_string(),
        domain,
        base: parameter.base.to_string(),
        when: parameter.when.as_ref().map(ToString::to_string),
        best: best.map(ToString::to_string),
        tried: tried.len() as u32,
        changed: written != Some(parameter),
    }
}

/// About how many bytes a parameter takes.
fn size_of(parameter: &reply::Parameter) -> usize {
    let values = match &parameter.domain {
        Domain::Values(values) => values.iter().map(|value| value.value.len() + 8).sum(),
        Domain::Int { .. } | Domain::Float { .. } => 40,
    };
    let texts = [&parameter.when, &parameter.best].into_iter().flatten();
    let texts: usize = texts.map(String::len).sum();
    parameter.name.len() + parameter.base.len() + values + texts
}
