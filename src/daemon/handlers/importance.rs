//! `Importance`: what the parameters matter.

use super::Context;
use crate::model::study::Study;
use crate::model::value::Value;
use crate::report::phrase::figures;
use crate::search::model_based::importance::{self, At};
use crate::wire::reply::{Effect, Importance, Known, Marginal, Pair, Refusal, Reply};

/// Not more of them are told.
const PARAMETERS: usize = 100;
const PAIRS: usize = 10;
const VALUES: usize = 200;

pub async fn answer(context: &Context, name: Option<String>) -> Reply {
    let study = context.board.view().study;
    let parameters = study.spec().space.parameters();
    if let Some(name) = &name
        && !parameters.iter().any(|parameter| *parameter.name == **name)
    {
        let known = parameters.iter().take(PARAMETERS);
        let known = known.map(|parameter| parameter.name.to_string());
        return Reply::Refused(Refusal::NoSuchParameter(known.collect()));
    }
    // One at a time: each takes a core for some seconds.
    let _alone = context.thinking.lock().await;
    let found = tokio::task::spawn_blocking(move || look(&study, name.as_deref())).await;
    match found {
        Ok(found) => Reply::Importance(Box::new(found)),
        Err(_) => Reply::Refused(Refusal::Leaving),
    }
}

fn look(study: &Study, name: Option<&str>) -> Importance {
    let found = importance::importance(study);
    Importance {
        objective: (&study.spec().objective).into(),
        trials: importance::measured(study) as u32,
        needed: importance::NEEDED as u32,
        known: found.map(|found| known(found, name)),
    }
}

fn known(found: importance::Importance, name: Option<&str>) -> Known {
    let wanted = |effect: &importance::Effect| name.is_none_or(|name| *effect.name == *name);
    let parameters = found.parameters.into_iter().filter(wanted);
    let parameters = parameters.take(PARAMETERS).map(|effect| Effect {
        name: effect.name.to_string(),
        share: effect.share.into(),
        values: match name {
            Some(_) => effect
                .values
                .into_iter()
                .take(VALUES)
                .map(marginal)
                .collect(),
            None => Vec::new(),
        },
    });
    let of_it = |a: &str, b: &str| name.is_none_or(|name| a == name || b == name);
    let pairs = found.pairs.into_iter().filter(|(a, b, _)| of_it(a, b));
    let pairs = pairs.take(PAIRS).map(|(a, b, share)| Pair {
        names: [a.to_string(), b.to_string()],
        share: share.into(),
    });
    Known {
        explained: found.explained,
        parameters: parameters.collect(),
        pairs: pairs.collect(),
    }
}

fn marginal(marginal: importance::Marginal) -> Marginal {
    let short = |value: &Value| match value {
        Value::Float(number) => figures(number.get(), 3),
        _ => value.to_string(),
    };
    Marginal {
        value: match &marginal.at {
            At::Value(value) => Some(value.to_string()),
            At::Part { low, high } => Some(format!("{} to {}", short(low), short(high))),
            At::Inactive => None,
        },
        trials: marginal.trials,
        objective: marginal.objective.into(),
    }
}
