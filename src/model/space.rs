//! The search space, the only door through which params are made.

use std::collections::BTreeMap;

use super::Name;
use super::domain::{Domain, DomainError};
use super::expression::Expression;
use super::params::Params;
use super::value::Value;

/// One thing that may vary.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, which is also its environment variable.
    pub name: Name,
    /// What it may be.
    pub domain: Domain,
    /// What it is in the baseline; a value of the domain.
    pub base: Value,
    /// Where it has a meaning; everywhere when `None`. Where it has none it is
    /// not part of the params.
    pub when: Option<Expression>,
    /// Whether the advisor may choose its value.
    pub tunable: bool,
}

impl Parameter {
    /// Whether the advisor has a say in it: one that only ever has one value is
    /// nobody's to choose.
    pub fn is_tunable(&self) -> bool {
        self.tunable && self.domain.size() != Some(1)
    }

    /// Whether it has several values and nobody but the sampler is to choose
    /// among them.
    pub fn is_protected(&self) -> bool {
        !self.tunable && self.domain.size() != Some(1)
    }
}

/// All that may vary, and what must hold between the values.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
    rules: Vec<Expression>,
}

/// Why a space is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// Two parameters of one name.
    #[error("the parameter `{0}` is declared twice")]
    Duplicate(Name),
    /// A condition on something that is not known before the parameter.
    #[error("the condition of `{parameter}` asks for `{name}`, which no parameter above it has")]
    UnknownInCondition {
        /// Whose condition.
        parameter: Name,
        /// The name that is not known.
        name: Name,
    },
    /// A rule on something that is no parameter.
    #[error("the rule `{rule}` asks for `{name}`, which is no parameter")]
    UnknownInRule {
        /// The rule's text.
        rule: String,
        /// The name that is not known.
        name: Name,
    },
}

/// Why params are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// No such parameter.
    #[error("there is no parameter `{name}`{}", hint(.nearest.as_ref()))]
    Unknown {
        /// The name given.
        name: String,
        /// The nearest name that there is.
        nearest: Option<Name>,
    },
    /// A value outside its domain.
    #[error("{name}: {problem}")]
    Value {
        /// The parameter.
        name: Name,
        /// What is wrong with the value.
        problem: DomainError,
    },
    /// A value for a parameter that the other values make meaningless.
    #[error("{name} has no effect here: it counts only when {when}")]
    Inactive {
        /// The parameter.
        name: Name,
        /// Its condition.
        when: String,
    },
    /// A rule that the values break.
    #[error("the rule `{0}` does not hold")]
    Rule(String),
    /// A condition or rule that these values cannot answer.
    #[error("`{expression}` cannot be answered: {problem}")]
    Expression {
        /// The condition or rule.
        expression: String,
        /// The engine's words.
        problem: String,
    },
}

fn hint(nearest: Option<&Name>) -> String {
    nearest
        .map(|name| format!(": did you mean `{name}`?"))
        .unwrap_or_default()
}

impl Space {
    /// A space with its parameters in the order in which they are to be
    /// explored.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(
        parameters: Vec<Parameter>,
        rules: Vec<Expression>,
    ) -> Result<Self, Vec<SpaceError>> {
        let mut errors = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let above = &parameters[..index];
            let known = |name: &Name| above.iter().any(|earlier| earlier.name == *name);
            if known(&parameter.name) {
                errors.push(SpaceError::Duplicate(parameter.name.clone()));
            }
            let asked = parameter.when.iter().flat_map(|when| when.names());
            errors.extend(asked.filter(|name| !known(name)).map(|name| {
                SpaceError::UnknownInCondition {
                    parameter: parameter.name.clone(),
                    name: name.clone(),
                }
            }));
        }
        for rule in &rules {
            let unknown = rule
                .names()
                .iter()
                .filter(|n| !parameters.iter().any(|p| p.name == **n));
            errors.extend(unknown.map(|name| SpaceError::UnknownInRule {
                rule: rule.to_string(),
                name: name.clone(),
            }));
        }
        if errors.is_empty() {
            Ok(Self { parameters, rules })
        } else {
            Err(errors)
        }
    }

    /// The parameters, in the order in which they are to be explored.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// What must hold between the values.
    pub fn rules(&self) -> &[Expression] {
        &self.rules
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters
            .iter()
            .find(|parameter| &*parameter.name == name)
    }

    /// The starting params: every parameter at its base value.
    ///
    /// # Errors
    /// When they break a rule.
    pub fn baseline(&self) -> Result<Params, ParamsError> {
        self.assemble(|parameter| Ok(parameter.base.clone()))
    }

    /// Params from a person or another untrusted source: every name must be
    /// known, every value allowed and of effect; what is not named has its
    /// base value.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self, given: &BTreeMap<String, Value>) -> Result<Params, Vec<ParamsError>> {
        self.fill(given, |_| None)
    }

    /// `params` with values from a person changed, as by [`check`](Self::check).
    /// What this makes active gets its base value, what it makes meaningless is
    /// dropped.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn change(
        &self,
        params: &Params,
        given: &BTreeMap<String, Value>,
    ) -> Result<Params, Vec<ParamsError>> {
        self.fill(given, |name| params.get(name).cloned())
    }

    /// What is not given is as in `rest`, or has its base value.
    fn fill(
        &self,
        given: &BTreeMap<String, Value>,
        rest: impl Fn(&str) -> Option<Value>,
    ) -> Result<Params, Vec<ParamsError>> {
        let mut errors: Vec<ParamsError> = given
            .keys()
            .filter(|name| self.parameter(name).is_none())
            .map(|name| ParamsError::Unknown {
                name: name.clone(),
                nearest: self.nearest(name),
            })
            .collect();
        let mut admitted = BTreeMap::new();
        for parameter in &self.parameters {
            let Some(value) = given.get(&*parameter.name) else {
                continue;
            };
            match parameter.domain.admit(value) {
                Ok(value) => drop(admitted.insert(parameter.name.clone(), value)),
                Err(problem) => {
                    errors.push(ParamsError::Value {
                        name: parameter.name.clone(),
                        problem,
                    });
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let params = self
            .assemble(|parameter| {
                let given = admitted.get(&parameter.name).cloned();
                let rest = || rest(&parameter.name).unwrap_or_else(|| parameter.base.clone());
                Ok(given.unwrap_or_else(rest))
            })
            .map_err(|error| vec![error])?;
        let inactive = self.parameters.iter().filter(|parameter| {
            given.contains_key(&*parameter.name) && params.get(&parameter.name).is_none()
        });
        errors.extend(inactive.map(|parameter| {
            ParamsError::Inactive {
                name: parameter.name.clone(),
                when: parameter
                    .when
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            }
        }));
        if errors.is_empty() {
            Ok(params)
        } else {
            Err(errors)
        }
    }

    /// `params` with one value changed. Parameters that this makes active get
    /// their base value, those that it makes meaningless are dropped.
    ///
    /// # Errors
    /// When the value is not allowed or a rule is broken.
    pub fn with(&self, params: &Params, name: &str, value: &Value) -> Result<Params, ParamsError> {
        self.assemble(|parameter| {
            if &*parameter.name == name {
                return parameter
                    .domain
                    .admit(value)
                    .map_err(|problem| ParamsError::Value {
                        name: parameter.name.clone(),
                        problem,
                    });
            }
            Ok(params
                .get(&parameter.name)
                .unwrap_or(&parameter.base)
                .clone())
        })
    }

    /// `params` with values that its owner's remedy for a trouble changes. A
    /// parameter that varies keeps to its domain, and a protected one to its
    /// value; one that only ever has one value may get another, since it is
    /// named for that. The rules hold.
    ///
    /// # Errors
    /// When a value is not allowed or a rule is broken.
    pub fn remedied(
        &self,
        params: &Params,
        changed: &BTreeMap<Name, Value>,
    ) -> Result<Params, ParamsError> {
        self.assemble(|parameter| {
            let present = params.get(&parameter.name).unwrap_or(&parameter.base);
            let Some(value) = changed.get(&parameter.name) else {
                return Ok(present.clone());
            };
            let refused = |problem| ParamsError::Value {
                name: parameter.name.clone(),
                problem,
            };
            match parameter.domain.size() {
                Some(1) => Ok(value.clone()),
                _ if parameter.is_protected() && value != present => {
                    Err(refused(DomainError::NotAllowed {
                        value: value.to_string(),
                        domain: present.to_string(),
                    }))
                }
                _ => parameter.domain.admit(value).map_err(refused),
            }
        })
    }

    /// Params with the value that `choose` gives for each active parameter, in
    /// the order of the space. `choose` is asked for active parameters only.
    ///
    /// # Errors
    /// When a value is not allowed or a rule is broken.
    pub fn choose(
        &self,
        mut choose: impl FnMut(&Parameter) -> Value,
    ) -> Result<Params, ParamsError> {
        self.assemble(|parameter| {
            parameter
                .domain
                .admit(&choose(parameter))
                .map_err(|problem| ParamsError::Value {
                    name: parameter.name.clone(),
                    problem,
                })
        })
    }

    /// `params` as this space has them: a parameter that they lack counts as
    /// at its base value, where it is active. So a trial from before a
    /// parameter was added is still known.
    pub fn completed(&self, params: &Params) -> Params {
        let lacks = |parameter: &&Parameter| params.get(&parameter.name).is_none();
        if !self.parameters.iter().any(|parameter| lacks(&parameter)) {
            return params.clone();
        }
        let given = params.iter().map(|(n, v)| (n.clone(), v.clone()));
        let mut values: Vec<(Name, Value)> = given.collect();
        let count = values.len();
        for parameter in self.parameters.iter().filter(lacks) {
            let active = match &parameter.when {
                None => true,
                // One that cannot be answered makes nothing active.
                Some(when) => matches!(holds(when, &values), Ok(Some(true))),
            };
            if active {
                values.push((parameter.name.clone(), parameter.base.clone()));
            }
        }
        if values.len() == count {
            return params.clone();
        }
        Params::from_checked(values)
    }

    /// Whether `params` could still be chosen. Imported trials, and those from
    /// before the space was changed, may have parameters or values that it
    /// does not know any more.
    pub fn allows(&self, params: &Params) -> bool {
        let again = self.choose(|parameter| {
            let own = params.get(&parameter.name);
            own.unwrap_or(&parameter.base).clone()
        });
        again.as_ref() == Ok(params)
    }

    fn assemble(
        &self,
        mut value_of: impl FnMut(&Parameter) -> Result<Value, ParamsError>,
    ) -> Result<Params, ParamsError> {
        let mut values: Vec<(Name, Value)> = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let active = match &parameter.when {
                None => true,
                Some(when) => holds(when, &values)?.unwrap_or(false),
            };
            if active {
                let value = value_of(parameter)?;
                values.push((parameter.name.clone(), value));
            }
        }
        for rule in &self.rules {
            // A rule about a parameter that is not active says nothing.
            if holds(rule, &values)? == Some(false) {
                return Err(ParamsError::Rule(rule.to_string()));
            }
        }
        Ok(Params::from_checked(values))
    }

    fn nearest(&self, name: &str) -> Option<Name> {
        nearest(
            name,
            self.parameters.iter().map(|parameter| &*parameter.name),
        )
        .map(Name::from)
    }
}

fn holds(expression: &Expression, values: &[(Name, Value)]) -> Result<Option<bool>, ParamsError> {
    expression
        .holds(|name| {
            values
                .iter()
                .find(|(known, _)| &**known == name)
                .map(|(_, value)| value)
        })
        .map_err(|problem| ParamsError::Expression {
            expression: expression.to_string(),
            problem: problem.to_string(),
        })
}

/// The name among `known` that `given` is most likely a slip of: at most a
/// third of its letters differ, case aside.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (edits(&given, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edit distance in which a swap of neighbours counts once (optimal string
/// alignment; Damerau 1964).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::Scale;

    fn list(name: &str, values: &[&str], when: Option<&str>) -> Parameter {
        let domain = Domain::values(values.iter().map(|v| Value::from(*v)).collect());
        let domain = domain.expect("a list");
        Parameter {
            name: name.into(),
            base: domain.default_value(),
            domain,
            when: when.map(|when| Expression::new(when).expect("a condition")),
            tunable: true,
        }
    }

    fn space() -> Space {
        let rank = Domain::int(4, 64, Scale::Log).expect("a range");
        let parameters = vec![
            list("train_type", &["full", "lora"], None),
            Parameter {
                name: "rank".into(),
                base: Value::Int(8),
                domain: rank,
                when: Some(Expression::new("train_type == 'lora'").expect("a condition")),
                tunable: true,
            },
            list("SOFT", &["64", "96", "256"], None),
            list("HARD", &["192", "256"], None),
        ];
        let rule = Expression::new("SOFT <= HARD").expect("a rule");
        Space::new(parameters, vec![rule]).expect("a space")
    }

    fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, Value> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Value::from(*v)))
            .collect()
    }

    #[test]
    fn conditions_decide_what_is_there() {
        let space = space();
        let base = space.baseline().expect("a baseline");
        assert_eq!(base.key(), "HARD=192|SOFT=64|train_type=full");
        let lora = space
            .with(&base, "train_type", &"lora".into())
            .expect("allowed");
        assert_eq!(lora.key(), "HARD=192|SOFT=64|rank=8|train_type=lora");
        let full = space
            .with(&lora, "train_type", &"full".into())
            .expect("allowed");
        assert_eq!(full, base);
    }

    #[test]
    fn rules_keep_params_out() {
        let space = space();
        let broken = space.check(&given(&[("SOFT", "256")]));
        assert_eq!(broken, Err(vec![ParamsError::Rule("SOFT <= HARD".into())]));
        assert!(
            space
                .check(&given(&[("SOFT", "256"), ("HARD", "256")]))
                .is_ok()
        );
    }

    #[test]
    fn all_errors_at_once() {
        let errors = space()
            .check(&given(&[
                ("RANK", "8"),
                ("SOFT", "65"),
                ("train_typ", "lora"),
            ]))
            .expect_err("three errors");
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "there is no parameter `RANK`: did you mean `rank`?",
                "there is no parameter `train_typ`: did you mean `train_type`?",
                "SOFT: `65` is not allowed: choose one of 64, 96, 256",
            ]
        );
    }

    #[test]
    fn a_value_without_effect_is_refused() {
        let errors = space()
            .check(&given(&[("rank", "16")]))
            .expect_err("not active");
        assert!(
            matches!(errors[..], [ParamsError::Inactive { .. }]),
            "{errors:?}"
        );
    }

    #[test]
    fn conditions_look_upwards_only() {
        let early = list("A", &["1"], Some("B == 1"));
        let errors = Space::new(vec![early, list("B", &["1"], None)], vec![]);
        assert!(matches!(
            errors.expect_err("B is below A")[..],
            [SpaceError::UnknownInCondition { .. }]
        ));
    }

    #[test]
    fn slips_of_the_hand() {
        let known = ["max_tokens", "timeout", "runs"];
        assert_eq!(nearest("timeuot", known), Some("timeout"));
        assert_eq!(nearest("MAX_TOKEN", known), Some("max_tokens"));
        assert_eq!(nearest("colour", known), None);
    }
}
