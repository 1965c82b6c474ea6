//! What users change in the spec of a study while it runs.
//!
//! An amendment stands on top of the spec as its owner wrote it, and is in
//! force until it is taken back. It says how something is to be, not by how
//! much it differs, so that it can be laid over a spec that was edited
//! meanwhile: one that says what the spec says changes nothing, and one that
//! does not fit any more is left out, and kept.

use std::fmt;

use super::Name;
use super::domain::Domain;
use super::setting::Setting;
use super::space::{Parameter, Space, SpaceError};
use super::spec::Spec;
use super::value::Value;

/// One change of a spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Amendment {
    /// A parameter that the spec does not have. Trials from before count as
    /// having had its base value.
    Parameter(Parameter),
    /// What a parameter may be.
    Domain {
        /// The parameter.
        parameter: Name,
        /// What it may be; its base value is in it.
        domain: Domain,
    },
    /// Whether a value is in a parameter's list.
    Value {
        /// The parameter.
        parameter: Name,
        /// The value.
        value: Value,
        /// Whether it may be tried.
        allowed: bool,
    },
    /// These parameters come first, in this order; the others follow in
    /// theirs.
    Order(Vec<Name>),
    /// A setting.
    Setting(Setting),
}

/// The amendments in force, in the order in which they are laid over a spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amendments(Vec<Amendment>);

/// Why an amendment does not fit a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It speaks of a parameter that is not there.
    #[error("there is no parameter `{0}`")]
    NoParameter(Name),
    /// It adds a parameter that is there, and is another one.
    #[error("the spec has a parameter `{0}`, which is another one")]
    Taken(Name),
    /// It adds or removes a value of a range.
    #[error("`{0}` is a range, not a list of values")]
    Range(Name),
    /// It takes the base value away.
    #[error(
        "`{base}` is where `{parameter}` starts (its base value), and all gains are measured \
         against it: it stays"
    )]
    Base {
        /// The parameter.
        parameter: Name,
        /// Its base value.
        base: String,
    },
    /// The space cannot be like that.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// It is a setting that is not there.
    #[error("there is no setting `{0}`")]
    NoSetting(String),
    /// The two bounds of a metric leave nothing between them.
    #[error("the bounds of `{metric}` leave nothing between them: {min} to {max}")]
    Crossed {
        /// The metric.
        metric: Name,
        /// The lower bound.
        min: String,
        /// The upper bound.
        max: String,
    },
}

/// An amendment that was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfit {
    /// The amendment.
    pub amendment: Amendment,
    /// Why.
    pub misfit: Misfit,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.amendment, self.misfit)
    }
}

impl Amendment {
    /// Whether `other` takes the place of this one.
    pub fn is_replaced_by(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Domain { parameter, .. } | Self::Value { parameter, .. },
                Self::Domain { parameter: new, .. },
            ) => parameter == new,
            (
                Self::Value {
                    parameter, value, ..
                },
                Self::Value {
                    parameter: new,
                    value: other,
                    ..
                },
            ) => parameter == new && value == other,
            (Self::Order(_), Self::Order(_)) => true,
            (Self::Setting(old), Self::Setting(new)) => old.is_same(new),
            _ => false,
        }
    }

    /// The parameter that it is about.
    pub fn parameter(&self) -> Option<&Name> {
        match self {
            Self::Parameter(Parameter { name, .. }) => Some(name),
            Self::Domain { parameter, .. } | Self::Value { parameter, .. } => Some(parameter),
            Self::Order(_) | Self::Setting(_) => None,
        }
    }

    /// Lays it over the parameters of a space.
    fn change(&self, parameters: &mut Vec<Parameter>) -> Result<(), Misfit> {
        let found = self.parameter().map(|name| {
            let place = parameters.iter().position(|known| known.name == *name);
            place.ok_or_else(|| Misfit::NoParameter(name.clone()))
        });
        match (self, found) {
            (Self::Parameter(new), Some(Ok(place))) if parameters[place] != *new => {
                Err(Misfit::Taken(new.name.clone()))
            }
            (Self::Parameter(new), Some(Err(_))) => {
                let mut more = parameters.clone();
                more.push(new.clone());
                check(&more)?;
                *parameters = more;
                Ok(())
            }
            (Self::Domain { domain, .. }, Some(found)) => {
                let parameter = &mut parameters[found?];
                let Ok(base) = domain.admit(&parameter.base) else {
                    return Err(base_misfit(parameter));
                };
                parameter.base = base;
                parameter.domain = domain.clone();
                Ok(())
            }
            (Self::Value { value, allowed, .. }, Some(found)) => {
                let parameter = &mut parameters[found?];
                if !allowed && parameter.base == *value {
                    return Err(base_misfit(parameter));
                }
                let Domain::Values(values) = &mut parameter.domain else {
                    return Err(Misfit::Range(parameter.name.clone()));
                };
                if !allowed {
                    values.retain(|known| known != value);
                } else if !values.contains(value) {
                    values.push(value.clone());
                }
                Ok(())
            }
            (Self::Order(names), _) => reorder(parameters, names),
            (Self::Parameter(_) | Self::Setting(_), _) | (_, None) => Ok(()),
        }
    }
}

fn base_misfit(parameter: &Parameter) -> Misfit {
    Misfit::Base {
        parameter: parameter.name.clone(),
        base: parameter.base.to_string(),
    }
}

fn check(parameters: &[Parameter]) -> Result<(), Misfit> {
    let space = Space::new(parameters.to_vec(), Vec::new());
    let first = space.err().and_then(|errors| errors.into_iter().next());
    first.map_or(Ok(()), |error| Err(error.into()))
}

fn reorder(parameters: &mut Vec<Parameter>, names: &[Name]) -> Result<(), Misfit> {
    let place = |parameter: &Parameter| {
        let named = names.iter().position(|name| *name == parameter.name);
        named.unwrap_or(names.len())
    };
    let mut ordered = parameters.clone();
    ordered.sort_by_key(place);
    check(&ordered)?;
    *parameters = ordered;
    let known = |name: &&Name| !parameters.iter().any(|known| known.name == **name);
    match names.iter().find(known) {
        Some(gone) => Err(Misfit::NoParameter(gone.clone())),
        None => Ok(()),
    }
}

impl Amendments {
    /// Amendments as a journal has them.
    pub const fn recorded(list: Vec<Amendment>) -> Self {
        Self(list)
    }

    /// They, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Amendment> {
        self.0.iter()
    }

    /// Whether the spec is as its owner wrote it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and one more, which takes the place of what it overrides. It is
    /// left out where `written` says the same without it.
    #[must_use]
    pub fn with(&self, amendment: Amendment, written: &Spec) -> Self {
        let replaced = |old: &&Amendment| old.is_replaced_by(&amendment);
        if self.0.iter().filter(replaced).eq([&amendment]) {
            return self.clone();
        }
        let mut without = self.clone();
        without.0.retain(|old| !old.is_replaced_by(&amendment));
        let mut with = without.clone();
        with.0.push(amendment);
        if with.over(written) == without.over(written) {
            without
        } else {
            with
        }
    }

    /// These, with some values of a parameter's list allowed or not. Those
    /// that are so without it are left out.
    #[must_use]
    pub fn with_values(
        &self,
        parameter: &Name,
        values: Vec<Value>,
        allowed: bool,
        written: &Spec,
    ) -> Self {
        let new = values.into_iter().map(|value| Amendment::Value {
            parameter: parameter.clone(),
            value,
            allowed,
        });
        let new: Vec<Amendment> = new.filter(|new| !self.0.contains(new)).collect();
        let mut with = self.only(|old| !new.iter().any(|new| old.is_replaced_by(new)));
        let (spec, _) = with.over(written);
        let domain = spec.space.parameter(parameter).map(|found| &found.domain);
        let is_so = |amendment: &Amendment| match (amendment, domain) {
            (Amendment::Value { value, .. }, Some(Domain::Values(values))) => {
                values.contains(value) == allowed
            }
            _ => false,
        };
        with.0.extend(new.into_iter().filter(|one| !is_so(one)));
        with
    }

    /// Those for which `keep` holds.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Amendment) -> bool) -> Self {
        Self(self.0.iter().filter(|one| keep(one)).cloned().collect())
    }

    /// The spec with them laid over it, and those that do not fit it.
    pub fn over(&self, written: &Spec) -> (Spec, Vec<Unfit>) {
        let mut spec = written.clone();
        let mut unfit = Vec::new();
        let mut parameters = written.space.parameters().to_vec();
        for amendment in &self.0 {
            let laid = match amendment {
                Amendment::Setting(setting) if setting.put(&mut spec) => Ok(()),
                Amendment::Setting(setting) => Err(Misfit::NoSetting(setting.name())),
                other => other.change(&mut parameters),
            };
            if let Err(misfit) = laid {
                let amendment = amendment.clone();
                unfit.push(Unfit { amendment, misfit });
            }
        }
        // It was checked at each step, and the rules ask for the spec's own.
        if let Ok(space) = Space::new(parameters, written.space.rules().to_vec()) {
            spec.space = space;
        }
        self.uncross(written, &mut spec, &mut unfit);
        (spec, unfit)
    }

    /// Bounds that leave nothing between them are the spec's again.
    fn uncross(&self, written: &Spec, spec: &mut Spec, unfit: &mut Vec<Unfit>) {
        for constraint in &mut spec.constraints {
            let (Some(min), Some(max)) = (constraint.min, constraint.max) else {
                continue;
            };
            if min <= max {
                continue;
            }
            let misfit = Misfit::Crossed {
                metric: constraint.metric.clone(),
                min: min.get().to_string(),
                max: max.get().to_string(),
            };
            let mut written = written.constraints.iter();
            let own = written.find(|own| own.metric == constraint.metric);
            (constraint.min, constraint.max) = own.map_or((None, None), |own| (own.min, own.max));
            for amendment in &self.0 {
                if let Amendment::Setting(setting) = amendment
                    && setting.bounds(&constraint.metric)
                {
                    let (amendment, misfit) = (amendment.clone(), misfit.clone());
                    unfit.push(Unfit { amendment, misfit });
                }
            }
        }
        spec.constraints
            .retain(|c| c.min.is_some() || c.max.is_some());
    }
}

impl fmt::Display for Amendment {
    /// For people: `BATCH without 16`, `budget.trials = 40`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(Parameter {
                name,
                domain,
                base,
                when,
                tunable,
            }) => {
                write!(f, "new parameter {name}: {domain}, base {base}")?;
                if let Some(when) = when {
                    write!(f, ", when {when}")?;
                }
                f.write_str(if *tunable { "" } else { ", not the advisor's" })
            }
            Self::Domain { parameter, domain } => write!(f, "{parameter}: {domain}"),
            Self::Value {
                parameter,
                value,
                allowed,
            } => {
                let word = if *allowed { "with" } else { "without" };
                write!(f, "{parameter} {word} {value}")
            }
            Self::Order(names) => write!(f, "first in order: {}", names.join(", ")),
            Self::Setting(setting) => write!(f, "{} = {}", setting.name(), setting.value()),
        }
    }
}
