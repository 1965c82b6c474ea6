//! Remedies: how the params of a trial that failed by a known trouble are
//! changed, so that they are tried once more as a trial of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::Name;
use super::outcome::Outcome;
use super::params::Params;
use super::space::Space;
use super::study::Study;
use super::trial::{Origin, TrialId};
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

impl Remedy {
    /// `params` as the remedy has them; `None` where it cannot be: a parameter
    /// that it halves or doubles is not active, is no number or comes to no whole
    /// one, or the space does not allow what comes of it.
    pub fn apply(&self, space: &Space, params: &Params) -> Option<Params> {
        let mut changed = BTreeMap::new();
        for name in &self.halve {
            // What is doubled in turn keeps the product only of even numbers.
            let value = half(params.get(name)?, !self.double.is_empty())?;
            changed.insert(name.clone(), value);
        }
        for name in &self.double {
            changed.insert(name.clone(), twice(params.get(name)?)?);
        }
        changed.extend(self.set.iter().cloned());
        space.remedied(params, &changed).ok()
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

/// Half of it: of a whole number the next lower whole one, 1 or more; `None`
/// where that is not exactly half and has to be.
fn half(value: &Value, exactly: bool) -> Option<Value> {
    match Number::of(value)? {
        Number::Whole(number) if number < 2 || exactly && number % 2 != 0 => None,
        Number::Whole(number) => Some(Value::Int(number / 2)),
        Number::Broken(number) if number <= 0.0 => None,
        Number::Broken(number) => Finite::new(number / 2.0).map(Value::Float),
    }
}

fn twice(value: &Value) -> Option<Value> {
    match Number::of(value)? {
        Number::Whole(number) if number < 1 => None,
        Number::Whole(number) => number.checked_mul(2).map(Value::Int),
        Number::Broken(number) if number <= 0.0 => None,
        Number::Broken(number) => Finite::new(number * 2.0).map(Value::Float),
    }
}

/// The first failed trial that a remedy can still help, with the params to try.
/// Each gets one remedy, and what is a remedy itself gets none; it follows from
/// the trials alone, so that a restart changes nothing of it.
pub fn due(study: &Study) -> Option<(TrialId, Params)> {
    let spec = study.spec();
    if spec.remedies.is_empty() {
        return None;
    }
    let helped: BTreeSet<TrialId> = study
        .trials()
        .iter()
        .filter_map(|trial| match trial.origin {
            Origin::Remedy { of } => Some(of),
            _ => None,
        })
        .collect();
    study.trials().iter().find_map(|trial| {
        let Some(Outcome::Failed(failure)) = &trial.outcome else {
            return None;
        };
        let cause = failure.cause.as_ref()?;
        let remedy = spec
            .remedies
            .iter()
            .find(|one| *one.trouble == *cause.name)?;
        let is_one = matches!(trial.origin, Origin::Remedy { .. });
        if is_one || helped.contains(&trial.id) {
            return None;
        }
        let params = remedy.apply(&spec.space, &study.params_of(trial))?;
        study.is_new(&params).then_some((trial.id, params))
    })
}

/// The trial that was to help `trial`, if there was one.
pub fn helper(study: &Study, trial: TrialId) -> Option<TrialId> {
    let mut trials = study.trials().iter();
    let helper = trials.find(|other| other.origin == Origin::Remedy { of: trial })?;
    Some(helper.id)
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
        remedy.apply(&space(), params).map(|params| params.key())
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
        assert_eq!(half(&int(3), false), Some(int(1)));
        assert_eq!(half(&int(3), true), None);
        assert_eq!(half(&int(1), false), None);
        assert_eq!(half(&int(0), false), None);
        assert_eq!(half(&Value::from("1024"), true), Some(int(512)));
        assert_eq!(half(&Value::from("0.5"), true), Some(float(0.25)));
        assert_eq!(half(&float(0.0), false), None);
        assert_eq!(half(&Value::from("auto"), false), None);
        assert_eq!(half(&Value::from(true), false), None);
        assert_eq!(twice(&int(i64::MAX)), None);
        assert_eq!(twice(&int(-4)), None);
        assert_eq!(twice(&float(1e308)), None);
        assert_eq!(twice(&float(0.25)), Some(float(0.5)));
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
