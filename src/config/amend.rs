//! What a user asks to be changed in a running study's spec: texts to checked
//! amendments, by the same rules as a spec's own text.

use std::path::Path;

use super::complaint::{Complaint, Level};
use super::names::{CONTEXT_NAMES, variable};
use super::reader::{LONGEST, Reader, Section, alternatives, did_you_mean};
use super::space::{self, Declared, MOST};
use super::study::gpu_hours;
use super::{bounds, parse, rules};
use crate::base::quantity::parse_duration;
use crate::model::Name;
use crate::model::amendment::{Amendment, Amendments, Misfit, Unfit};
use crate::model::approval::{Approve, Overdue};
use crate::model::domain::{Domain, check_text};
use crate::model::expression::Expression;
use crate::model::setting::Setting;
use crate::model::space::Parameter;
use crate::model::spec::{Median, Spec};
use crate::model::study::Study;
use crate::model::value::{Finite, Value};

/// The amendments of a study as they would be after some changes. A change
/// that is refused leaves it as it was; the errors are sentences without their
/// full stops.
pub struct Draft<'a> {
    written: &'a Spec,
    amendments: Amendments,
    spec: Spec,
    unfit: Vec<Unfit>,
}

type Checked<T = ()> = Result<T, String>;

impl<'a> Draft<'a> {
    /// What is in force now.
    pub fn new(study: &'a Study) -> Self {
        Self {
            written: study.written(),
            amendments: study.amendments().clone(),
            spec: Spec::clone(study.spec()),
            unfit: study.unfit().to_vec(),
        }
    }

    /// The amendments with all changes.
    pub fn finish(self) -> Amendments {
        self.amendments
    }

    /// Adds values to a parameter's list.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn add_values(&mut self, name: &str, values: &[String]) -> Checked {
        let parameter = self.parameter(name).map_err(|error| {
            format!("{error}; a new one: autotunectl space new {name} DOMAIN --base VALUE")
        })?;
        let known = list_of(&parameter)?;
        let given = values.iter().map(|text| value_for(&parameter, known, text));
        let given: Vec<Value> = given.collect::<Result<_, _>>()?;
        let new = given.iter().filter(|value| !known.contains(value));
        if known.len() + new.count() > MOST {
            return Err(format!("`{name}` would have more than {MOST} values"));
        }
        self.allow(&parameter, given, true)
    }

    /// Takes values out of a parameter's list.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn remove_values(&mut self, name: &str, values: &[String]) -> Checked {
        let parameter = self.parameter(name)?;
        let known = list_of(&parameter)?;
        let mut given = Vec::new();
        for text in values {
            let value = Value::text(text.as_str());
            let found = known.iter().find(|known| **known == value);
            if found.is_none() && !self.is_removed(name, &value) {
                return Err(format!(
                    "`{text}` is not a value of `{name}`, which is {}",
                    parameter.domain
                ));
            }
            // One that is out already stays out.
            given.extend(found.cloned());
        }
        self.allow(&parameter, given, false)
    }

    fn is_removed(&self, name: &str, value: &Value) -> bool {
        self.amendments.iter().any(|amendment| {
            matches!(amendment, Amendment::Value { parameter, value: known, allowed: false }
                if **parameter == *name && known == value)
        })
    }

    fn allow(&mut self, parameter: &Parameter, values: Vec<Value>, allowed: bool) -> Checked {
        let name = &parameter.name;
        let amendments = &self.amendments;
        self.become_these(amendments.with_values(name, values, allowed, self.written))
    }

    /// Gives a parameter another domain, written as in a spec's `[space]`.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn set_domain(&mut self, name: &str, text: &str) -> Checked {
        let parameter = self.parameter(name)?;
        let Written {
            domain,
            when,
            tunable,
        } = written(name, text)?;
        let others = [(when.is_some(), "when"), (tunable.is_some(), "tunable")];
        if let Some((_, key)) = others.iter().find(|(given, _)| *given) {
            return Err(format!(
                "of `{name}` only the domain can be changed while it runs: leave `{key}` out"
            ));
        }
        if domain.admit(&parameter.base).is_err() {
            return Err(format!(
                "`{}` is where `{name}` starts (its base value): it must be among the values",
                parameter.base
            ));
        }
        let parameter = parameter.name;
        self.put(Amendment::Domain { parameter, domain })
    }

    /// Adds a parameter. `base` is what all trials so far count as having had.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn add_parameter(
        &mut self,
        name: &str,
        text: &str,
        base: &str,
        when: Option<&str>,
    ) -> Checked {
        if self.spec.space.parameter(name).is_some() {
            return Err(format!(
                "there is a parameter `{name}` already: `autotunectl space set {name} DOMAIN` \
                 changes what it may be"
            ));
        }
        if self.spec.space.parameters().len() >= MOST {
            return Err(format!("there are {MOST} parameters already"));
        }
        self.check_name(name)?;
        let Written {
            mut domain,
            when: own,
            tunable,
        } = written(name, text)?;
        let base = match &domain {
            Domain::Values(values) => {
                let base = value_like(values.first(), base)
                    .map_err(|error| format!("the base value of `{name}`: {error}"))?;
                if !values.contains(&base) {
                    // As a spec's: it is tried, so it is one of the values.
                    let values = std::iter::once(&base).chain(values).cloned();
                    domain = Domain::values(values.collect()).map_err(|e| e.to_string())?;
                }
                base
            }
            range => range
                .admit(&Value::text(base))
                .map_err(|error| format!("the base value of `{name}`: {error}"))?,
        };
        let when = match (when, own) {
            (Some(_), Some(_)) => {
                return Err(format!("`{name}` has its condition twice: give it once"));
            }
            (Some(text), None) => Some(condition(text)?),
            (None, own) => own,
        };
        let parameter = Parameter {
            name: name.into(),
            domain,
            base,
            when,
            tunable: tunable.unwrap_or(true),
        };
        self.check_condition(&parameter)?;
        self.put(Amendment::Parameter(parameter))
    }

    fn check_name(&self, name: &str) -> Checked {
        let mut r = Reader::new(name, Path::new("/"));
        variable(&mut r, &(0..name.len()), name);
        first_error(r)?;
        if CONTEXT_NAMES.contains(&name) {
            return Err(format!(
                "`{name}` cannot be a parameter: templates know something else by this name"
            ));
        }
        let steps = &self.spec.steps;
        let own = steps.iter().flat_map(|step| &step.env);
        if self.spec.env.iter().chain(own).any(|(set, _)| set == name) {
            return Err(format!(
                "`{name}` is an environment variable that the spec sets: a parameter of that name \
                 would be hidden by it"
            ));
        }
        if !steps.iter().any(|step| step.params_in_env) {
            return Err(format!(
                "no step would see `{name}`, since none has its parameters as environment \
                 variables: put it into the spec's [space] and into a template, and start again"
            ));
        }
        Ok(())
    }

    /// Whether a condition asks for what there is, and can hold.
    fn check_condition(&self, new: &Parameter) -> Checked {
        let Some(when) = &new.when else { return Ok(()) };
        let parameters = self.spec.space.parameters().iter().chain([new]);
        let parameters: Vec<Parameter> = parameters.cloned().collect();
        let declared = Declared {
            names: parameters.iter().map(|p| p.name.clone()).collect(),
            parameters,
            ..Declared::default()
        };
        for name in when.names() {
            if *name == new.name || declared.place(name).is_none() {
                let hint = declared.hint(name).map(|hint| format!(": {hint}"));
                return Err(format!(
                    "the condition asks for `{name}`, which is no parameter above it{}",
                    hint.unwrap_or_default()
                ));
            }
        }
        let mut r = Reader::new(when.source(), Path::new("/"));
        rules::check_condition(&mut r, &declared, new);
        first_error(r)
    }

    /// Puts parameters first, in this order.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn set_order(&mut self, names: &[String]) -> Checked {
        let mut order: Vec<Name> = Vec::new();
        for name in names {
            let parameter = self.parameter(name)?;
            if order.contains(&parameter.name) {
                return Err(format!("`{name}` is given twice"));
            }
            order.push(parameter.name);
        }
        self.put(Amendment::Order(order))
    }

    /// Gives a setting another value. The end of its name is enough where it
    /// is clear: `trials` for `budget.trials`.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn set(&mut self, name: &str, value: &str) -> Checked {
        let setting = with_value(&self.spec, &self.setting(name)?, value)?;
        self.put(Amendment::Setting(setting))
    }

    /// Takes back what was changed about these parameters; about the whole
    /// space where there are none.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn reset_space(&mut self, names: &[String]) -> Checked {
        for name in names {
            let gone = |one: &Amendment| one.parameter().is_some_and(|known| **known == **name);
            if !self.amendments.iter().any(gone) {
                self.parameter(name)?;
            }
        }
        let named = |name: &Name| names.iter().any(|given| **given == **name);
        let mut order = None;
        let kept = self.amendments.only(|one| match one {
            Amendment::Setting(_) => true,
            Amendment::Order(_) => !names.is_empty(),
            other => !names.is_empty() && !other.parameter().is_some_and(named),
        });
        // What is gone has no place in an order.
        for amendment in kept.iter() {
            if let Amendment::Order(listed) = amendment {
                let (spec, _) = kept.over(self.written);
                let known = |name: &&Name| spec.space.parameter(name).is_some();
                order = Some(listed.iter().filter(known).cloned().collect());
            }
        }
        let kept = match order {
            Some(order) => kept.with(Amendment::Order(order), self.written),
            None => kept,
        };
        self.become_these(kept)
    }

    /// Takes back what was changed about these settings; about all where there
    /// are none.
    ///
    /// # Errors
    /// Where that cannot be: with the way out.
    pub fn reset_settings(&mut self, names: &[String]) -> Checked {
        let named: Vec<Setting> = names
            .iter()
            .map(|name| self.setting(name))
            .collect::<Result<_, _>>()?;
        let kept = self.amendments.only(|one| match one {
            Amendment::Setting(setting) => {
                !names.is_empty() && !named.iter().any(|named| named.is_same(setting))
            }
            _ => true,
        });
        self.become_these(kept)
    }

    fn put(&mut self, amendment: Amendment) -> Checked {
        self.become_these(self.amendments.with(amendment, self.written))
    }

    fn become_these(&mut self, amendments: Amendments) -> Checked {
        let (spec, unfit) = amendments.over(self.written);
        if let Some(new) = unfit.iter().find(|unfit| !self.unfit.contains(unfit)) {
            return Err(way_out(&new.misfit));
        }
        self.amendments = amendments;
        self.spec = spec;
        self.unfit = unfit;
        Ok(())
    }

    fn parameter(&self, name: &str) -> Checked<Parameter> {
        let space = &self.spec.space;
        space.parameter(name).cloned().ok_or_else(|| {
            let names = space.parameters().iter().map(|p| &*p.name);
            let hint = did_you_mean(name, names).map(|hint| format!(": {hint}"));
            format!("there is no parameter `{name}`{}", hint.unwrap_or_default())
        })
    }

    fn setting(&self, name: &str) -> Checked<Setting> {
        let all = Setting::all(&self.spec);
        if let Some(found) = all.iter().find(|setting| setting.name() == name) {
            return Ok(found.clone());
        }
        let end = format!(".{name}");
        let meant: Vec<&Setting> = all.iter().filter(|s| s.name().ends_with(&end)).collect();
        match meant[..] {
            [one] => Ok(one.clone()),
            [] if matches!(name, "median" | "search.median") => Err(format!(
                "there is no setting `{name}`: no step tells values while it runs, by which the \
                 rule would go; add `progress` to one in the spec, then: autotunectl reload"
            )),
            [] => {
                let names: Vec<String> = all.iter().map(Setting::name).collect();
                let ends = names.iter().filter_map(|name| name.split_once('.'));
                let ends = ends.map(|(_, end)| end);
                let names = names.iter().map(String::as_str).chain(ends);
                let hint = did_you_mean(name, names)
                    .unwrap_or_else(|| "`autotunectl set` shows them all".to_owned());
                Err(format!("there is no setting `{name}`: {hint}"))
            }
            _ => {
                let names: Vec<String> = meant.iter().map(|s| s.name()).collect();
                let names = alternatives(names.iter().map(String::as_str));
                Err(format!("`{name}` may be {names}: write the whole name"))
            }
        }
    }
}

/// A misfit with what can be done about it.
fn way_out(misfit: &Misfit) -> String {
    match misfit {
        Misfit::Base { parameter, .. } => format!(
            "{misfit}; to start from another value, change `{parameter}` in [base] of the spec and \
             start autotuned again"
        ),
        other => other.to_string(),
    }
}

fn list_of(parameter: &Parameter) -> Checked<&[Value]> {
    match &parameter.domain {
        Domain::Values(values) => Ok(values),
        range => {
            let Parameter { name, base, .. } = parameter;
            let kind = match range {
                Domain::Int(_) => "int",
                _ => "float",
            };
            Err(format!(
                "`{name}` is {range}, not a list: give it another range with `autotunectl space \
                 set {name} '{{ {kind} = [LOWEST, HIGHEST] }}'`, or a list with {base} in it"
            ))
        }
    }
}

/// The value of a parameter's list that a user means, or a new one like them.
fn value_for(parameter: &Parameter, known: &[Value], text: &str) -> Checked<Value> {
    let value =
        value_like(known.first(), text).map_err(|error| format!("`{}` {error}", parameter.name))?;
    let same = known.iter().find(|known| {
        **known != value && value.number().is_some() && known.number() == value.number()
    });
    match same {
        Some(same) => Err(format!(
            "`{}` has {same:?}, which is the same number as {value:?}",
            parameter.name
        )),
        None => Ok(value),
    }
}

/// A text as a value of the same kind as another one.
fn value_like(other: Option<&Value>, text: &str) -> Checked<Value> {
    let value = match other {
        Some(Value::Bool(_)) => text.parse().ok().map(Value::Bool),
        Some(Value::Int(_) | Value::Float(_)) => {
            let whole = text.parse().ok().map(Value::Int);
            let finite = || text.parse().ok().and_then(Finite::new).map(Value::Float);
            whole.or_else(finite)
        }
        _ => Some(Value::text(text)),
    };
    let kind = match other {
        Some(Value::Bool(_)) => "true or false",
        _ => "a number",
    };
    let value = value.ok_or_else(|| format!("takes {kind}, not `{text}`"))?;
    check_text(&value).map_err(|error| error.to_string())?;
    Ok(value)
}

/// A domain as `[space]` has it, with its condition.
/// What a text says of a parameter.
struct Written {
    domain: Domain,
    when: Option<Expression>,
    tunable: Option<bool>,
}

fn written(name: &str, text: &str) -> Checked<Written> {
    let text = format!("{name} = {}", text.trim());
    let mut r = Reader::new(&text, Path::new("/"));
    let Some(table) = parse(&mut r, &text) else {
        let error = first_error(r).err().unwrap_or_default();
        let help = "write it as in [space]: '[1, 2, 4]', '[\"a\", \"b\"]', '{ int = [1, 64] }'";
        return Err(format!("{error}; {help}"));
    };
    let nodes = Section::new("a domain", &table, 0..0).rest();
    let [node] = &nodes[..] else {
        return Err(format!("`{name}` takes one domain"));
    };
    let varied = space::varied(&mut r, node);
    first_error(r)?;
    Ok(Written {
        domain: (varied.domain).ok_or_else(|| format!("`{name}` has no values"))?,
        when: varied.when.map(|(when, _)| when),
        tunable: varied.tunable,
    })
}

fn condition(text: &str) -> Checked<Expression> {
    if text.trim().is_empty() || text.len() > bounds::LONGEST_EXPRESSION {
        let longest = bounds::LONGEST_EXPRESSION;
        return Err(format!("a condition has 1 to {longest} bytes"));
    }
    Expression::new(text).map_err(|error| {
        format!("`{text}` is not a condition: {error}; write it like train_type == 'lora'")
    })
}

/// The first error that a reader has met.
fn first_error(r: Reader<'_>) -> Checked {
    let mut complaints = r.into_complaints().into_iter();
    let error = complaints.find(|c| c.level == Level::Error);
    let Some(Complaint { message, help, .. }) = error else {
        return Ok(());
    };
    Err(match help {
        Some(help) => format!("{message}: {help}"),
        None => message,
    })
}

/// A setting with the value that a text stands for.
fn with_value(spec: &Spec, setting: &Setting, text: &str) -> Checked<Setting> {
    let wrong = |what: &str| format!("`{}` takes {what}, not `{text}`", setting.name());
    let is_none = text == "none";
    let count = || match text.parse::<u32>() {
        _ if is_none => Ok(None),
        Ok(count @ 1..) => Ok(Some(count)),
        _ => Err(wrong("a whole number, 1 or more, or `none`")),
    };
    let bound = || match text.parse().ok().and_then(Finite::new) {
        _ if is_none => Ok(None),
        Some(number) => Ok(Some(number)),
        None => Err(wrong("a number or `none`")),
    };
    Ok(match setting {
        Setting::Min(metric, _) => Setting::Min(metric.clone(), bound()?),
        Setting::Max(metric, _) => Setting::Max(metric.clone(), bound()?),
        Setting::Confidence(metric, _) if text == "mean" => {
            Setting::Confidence(metric.clone(), None)
        }
        Setting::Confidence(metric, _) => match text.parse::<f64>() {
            Ok(number) if (0.5..1.0).contains(&number) => {
                Setting::Confidence(metric.clone(), Finite::new(number))
            }
            _ => return Err(wrong("`mean`, or 0.5 or more and less than 1")),
        },
        Setting::Runs(step, _) => match text.parse() {
            Ok(runs @ 1..=1000) => Setting::Runs(step.clone(), runs),
            _ => return Err(wrong("a whole number from 1 to 1000")),
        },
        Setting::Recheck(_) => match text.parse() {
            Ok(trials) => Setting::Recheck(trials),
            _ => return Err(wrong("a whole number; 0 is never")),
        },
        Setting::ConfirmRuns(_) => match text.parse() {
            Ok(runs @ 0..=1000) => Setting::ConfirmRuns(runs),
            _ => return Err(wrong("a whole number from 0 to 1000")),
        },
        Setting::BudgetTrials(_) => Setting::BudgetTrials(count()?),
        Setting::BudgetRuns(_) => Setting::BudgetRuns(count()?),
        Setting::BudgetWall(_) if is_none => Setting::BudgetWall(None),
        Setting::BudgetWall(_) => match parse_duration(text) {
            Ok(wall) if !wall.is_zero() && wall <= LONGEST => Setting::BudgetWall(Some(wall)),
            _ => return Err(wrong("a duration such as `12h`, or `none`")),
        },
        Setting::BudgetGpuHours(_) if is_none => Setting::BudgetGpuHours(None),
        Setting::BudgetGpuHours(_) => match text.parse().ok().and_then(gpu_hours) {
            Some(time) => Setting::BudgetGpuHours(Some(time)),
            None => return Err(wrong("a number of hours above 0, or `none`")),
        },
        Setting::Converged(_) if is_none => Setting::Converged(None),
        Setting::Converged(_) => match text.parse::<f64>() {
            Ok(0.0) => Setting::Converged(None),
            Ok(under) if under > 0.0 && under < 1.0 => Setting::Converged(Finite::new(under)),
            _ => return Err(wrong("a share such as 0.001, or `none`")),
        },
        Setting::Racing(_) => match text {
            "true" | "on" => Setting::Racing(true),
            "false" | "off" => Setting::Racing(false),
            _ => return Err(wrong("`true` or `false`")),
        },
        Setting::Median(_) if ["off", "none"].contains(&text) => Setting::Median(None),
        Setting::Median(median) => match text.parse() {
            Ok(after @ 1..) => {
                let (metric, direction) = (&spec.objective.metric, spec.objective.direction);
                let mut curves = spec.steps.iter().flat_map(|step| &step.curves);
                let new = Median {
                    after,
                    from: 0,
                    metric: metric.clone(),
                    direction,
                };
                match median {
                    Some(known) => Setting::Median(Some(Median {
                        after,
                        ..known.clone()
                    })),
                    None if curves.any(|curve| curve.metric == *metric) => {
                        Setting::Median(Some(new))
                    }
                    None => {
                        return Err(format!(
                            "no [step.progress] tells `{metric}`, by which the median rule would \
                             go: write `median` into the spec, with the metric that counts, and \
                             reload it"
                        ));
                    }
                }
            }
            _ => {
                return Err(wrong(
                    "`off`, or after how many trials it may end one, 1 or more",
                ));
            }
        },
        Setting::Approve(_) => {
            let all = Approve::ALL;
            let found = all.into_iter().find(|of| of.name() == text);
            Setting::Approve(found.ok_or_else(|| wrong("`never`, `trial` or `parameter`"))?)
        }
        Setting::ApproveTimeout(_) if is_none => Setting::ApproveTimeout(None),
        Setting::ApproveTimeout(_) => match parse_duration(text) {
            Ok(time) if !time.is_zero() && time <= LONGEST => Setting::ApproveTimeout(Some(time)),
            _ => return Err(wrong("a duration such as `30m`, or `none`")),
        },
        Setting::ApproveDefault(_) => {
            let all = Overdue::ALL;
            let found = all.into_iter().find(|overdue| overdue.name() == text);
            let found = found.ok_or_else(|| wrong("`approve`, `reject` or `pause`"))?;
            Setting::ApproveDefault(found)
        }
    })
}
