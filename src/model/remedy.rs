//! Remedies: how the params of a trial that failed by a known trouble are
//! changed, so that they are tried once more as a trial of their own.

use std::collections::BTreeMap;

use super::Name;
use super::outcome::Outcome;
use super::params::Params;
use super::space::{ParamsError, Space};
use super::study::Study;
use super::trial::{Origin, Trial, TrialId};
use super::value::{Finite, Value};

/// What its owner wants done about a known trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The trouble's name.
    pub trouble: Name,
    /// Parameters of which half is taken.
    pub halve: Vec<Name>,
    /// Parameters of which twice as much is taken.
    pub double: Vec<Name>,
    /// Parameters that get this value.
    pub set: Vec<(Name, Value)>,
}

/// Why there is no remedy for a trial, in words that follow "no remedy: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRemedy {
    /// It is one itself.
    #[error("it is one itself, and gets none")]
    IsRemedy,
    /// What is to be halved or doubled does not count in it.
    #[error("{0} has no effect in it")]
    Inactive(Name),
    /// What is to be halved or doubled cannot be.
    #[error("{name} is {value}, which {why}")]
    Value {
        /// The parameter.
        name: Name,
        /// Its value in the trial.
        value: Value,
        /// What is the matter with that.
        why: &'static str,
    },
    /// The space does not allow what comes of it.
    #[error(transparent)]
    Space(#[from] ParamsError),
    /// What comes of it was tried.
    #[error("trial {0} has tried those values")]
    Tried(TrialId),
    /// What comes of it was refused.
    #[error("a user has refused those values")]
    Refused,
}

impl Remedy {
    /// `params` as the remedy has them.
    ///
    /// # Errors
    /// Where it cannot be: a parameter that it halves or doubles is not active, is
    /// no number or comes to no whole one, or the space does not allow what comes
    /// of it.
    pub fn apply(&self, space: &Space, params: &Params) -> Result<Params, NoRemedy> {
        let mut changed = BTreeMap::new();
        let mut change = |name: &Name, by: &dyn Fn(&Value) -> Result<Value, &'static str>| {
            let value = params.get(name);
            let value = value.ok_or_else(|| NoRemedy::Inactive(name.clone()))?;
            let other = by(value).map_err(|why| NoRemedy::Value {
                name: name.clone(),
                value: value.clone(),
                why,
            })?;
            changed.insert(name.clone(), other);
            Ok::<_, NoRemedy>(())
        };
        // What is doubled in turn keeps the product only of even numbers.
        let exactly = !self.double.is_empty();
        for name in &self.halve {
            change(name, &|value| half(value, exactly))?;
        }
        for name in &self.double {
            change(name, &twice)?;
        }
        changed.extend(self.set.iter().cloned());
        Ok(space.remedied(params, &changed)?)
    }
}

/// A number, as whole as the program is given it.
enum Number {
    Whole(i64),
    Broken(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Whole(*number)),
            Value::Text(text) if let Ok(number) = text.trim().parse() => Some(Self::Whole(number)),
            _ => value.number().map(Self::Broken),
        }
    }
}

const NO_NUMBER: &str = "is no number";
const NOT_POSITIVE: &str = "is not above 0";
const TOO_LARGE: &str = "is too large for twice as much";

/// Half of it: of a whole number the next lower whole one, 1 or more.
///
/// # Errors
/// Why there is none: also where that is not exactly half and has to be.
fn half(value: &Value, exactly: bool) -> Result<Value, &'static str> {
    match Number::of(value).ok_or(NO_NUMBER)? {
        Number::Whole(number) if number < 2 => Err("is not halved"),
        Number::Whole(number) if exactly && number % 2 != 0 => {
            Err("is odd: half of it would change the product with what is doubled")
        }
        Number::Whole(number) => Ok(Value::Int(number / 2)),
        Number::Broken(number) if number <= 0.0 => Err(NOT_POSITIVE),
        Number::Broken(number) => {
            let half = Finite::new(number / 2.0).ok_or(NO_NUMBER)?;
            Ok(Value::Float(half))
        }
    }
}

fn twice(value: &Value) -> Result<Value, &'static str> {
    match Number::of(value).ok_or(NO_NUMBER)? {
        Number::Whole(number) if number < 1 => Err(NOT_POSITIVE),
        Number::Whole(number) => number.checked_mul(2).map(Value::Int).ok_or(TOO_LARGE),
        Number::Broken(number) if number <= 0.0 => Err(NOT_POSITIVE),
        Number::Broken(number) => {
            let twice = Finite::new(number * 2.0).ok_or(TOO_LARGE)?;
            Ok(Value::Float(twice))
        }
    }
}

/// The first failed trial that a remedy can still help, with the params to try.
/// Each gets one remedy, and what is a remedy itself gets none; it follows from
/// the trials alone, so that a restart changes nothing of it. Costs a look at
/// those alone that a known trouble has ended.
pub fn due(study: &Study) -> Option<(TrialId, Params)> {
    if study.spec().remedies.is_empty() {
        return None;
    }
    study.troubled().find_map(|trial| {
        let params = chance(study, trial)?.ok()?;
        Some((trial.id, params))
    })
}

/// What the spec's remedy makes of a failed trial; `None` where it did not fail by
/// a trouble that the spec has one for, and where that was tried.
pub fn chance(study: &Study, trial: &Trial) -> Option<Result<Params, NoRemedy>> {
    let Some(Outcome::Failed(failure)) = &trial.outcome else {
        return None;
    };
    let (spec, cause) = (study.spec(), failure.cause.as_ref()?);
    let mut remedies = spec.remedies.iter();
    let remedy = remedies.find(|one| *one.trouble == *cause.name)?;
    if study.helper(trial.id).is_some() {
        return None;
    }
    if matches!(trial.origin, Origin::Remedy { .. }) {
        return Some(Err(NoRemedy::IsRemedy));
    }
    let remedied = remedy.apply(&spec.space, &study.params_of(trial));
    Some(remedied.and_then(|params| match study.trial_of(&params) {
        Some(tried) => Err(NoRemedy::Tried(tried.id)),
        None if study.is_rejected(&params) => Err(NoRemedy::Refused),
        None => Ok(params),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::Domain;
    use crate::model::expression::Expression;
    use crate::model::space::Parameter;

    fn parameter(name: &str, values: &[Value], tunable: bool) -> Parameter {
        Parameter {
            name: name.into(),
            domain: Domain::values(values.to_vec()).expect("a domain"),
            base: values[0].clone(),
            when: None,
            tunable,
        }
    }

    fn ints(values: &[i64]) -> Vec<Value> {
        values.iter().copied().map(Value::Int).collect()
    }

    /// `BATCH` and `STEPS` have one value, `RANK` some, `LENGTH` is protected.
    fn space() -> Space {
        let parameters = vec![
            parameter("BATCH", &[Value::from("8")], false),
            parameter("STEPS", &ints(&[4]), false),
            parameter("RANK", &ints(&[8, 16, 64]), true),
            parameter("LENGTH", &ints(&[512, 1024]), false),
        ];
        let rule = Expression::new("BATCH * STEPS <= 32").expect("a rule");
        Space::new(parameters, vec![rule]).expect("a space")
    }

    fn remedy(halve: &[&str], double: &[&str]) -> Remedy {
        let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
        Remedy {
            trouble: "gpu-out-of-memory".into(),
            halve: names(halve),
            double: names(double),
            set: Vec::new(),
        }
    }

    fn key(remedy: &Remedy, params: &Params) -> Option<String> {
        let remedied = remedy.apply(&space(), params).ok()?;
        Some(remedied.key())
    }

    #[test]
    fn what_has_one_value_may_leave_it_and_what_varies_may_not() {
        let base = space().baseline().expect("params");
        let whole = remedy(&["BATCH"], &["STEPS"]);
        let first = whole.apply(&space(), &base).expect("a remedy");
        assert_eq!(first.key(), "BATCH=4|LENGTH=512|RANK=8|STEPS=8");
        let second = whole.apply(&space(), &first).expect("once more");
        assert_eq!(second.key(), "BATCH=2|LENGTH=512|RANK=8|STEPS=16");
        // Half of 8 is none of its values.
        assert_eq!(key(&remedy(&["RANK"], &[]), &base), None);
        let rank = |rank: i64| {
            space()
                .with(&base, "RANK", &Value::Int(rank))
                .expect("params")
        };
        let halved = key(&remedy(&["RANK"], &[]), &rank(16));
        assert_eq!(halved.as_deref(), Some("BATCH=8|LENGTH=512|RANK=8|STEPS=4"));
        // Protected, so that it stays.
        assert_eq!(key(&remedy(&[], &["LENGTH"]), &base), None);
        // The rule does not hold then.
        assert_eq!(key(&remedy(&[], &["STEPS"]), &base), None);
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let int = Value::Int;
        let float = |number| Value::Float(Finite::new(number).expect("finite"));
        assert_eq!(half(&int(3), false), Ok(int(1)));
        assert!(half(&int(3), true).is_err());
        assert!(half(&int(1), false).is_err());
        assert!(half(&int(0), false).is_err());
        assert_eq!(half(&Value::from("1024"), true), Ok(int(512)));
        assert_eq!(half(&Value::from("0.5"), true), Ok(float(0.25)));
        assert!(half(&float(0.0), false).is_err());
        assert!(half(&Value::from("auto"), false).is_err());
        assert!(half(&Value::from(true), false).is_err());
        assert!(twice(&int(i64::MAX)).is_err());
        assert!(twice(&int(-4)).is_err());
        assert!(twice(&float(1e308)).is_err());
        assert_eq!(twice(&float(0.25)), Ok(float(0.5)));
    }

    #[test]
    fn a_value_is_set_where_it_is_allowed() {
        let base = space().baseline().expect("params");
        let mut set = remedy(&[], &[]);
        set.set = vec![
            ("STEPS".into(), Value::Int(2)),
            ("RANK".into(), Value::Int(64)),
        ];
        assert_eq!(
            key(&set, &base).as_deref(),
            Some("BATCH=8|LENGTH=512|RANK=64|STEPS=2")
        );
        set.set = vec![("RANK".into(), Value::Int(65))];
        assert_eq!(key(&set, &base), None);
    }
}
