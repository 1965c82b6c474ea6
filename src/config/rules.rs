//! Whether rules and conditions can hold at all: a slip in one (`N == '0'`)
//! would else silently keep half of the space out.
//!
//! All values of the parameters involved are tried where there are few
//! combinations of them; otherwise some at random, and then what looks wrong
//! is a warning, since it is not proven.

use std::ops::Range;

use rand::RngExt;

use super::reader::{Reader, Section};
use super::space::{Declared, condition};
use crate::base::random;
use crate::model::domain::Domain;
use crate::model::expression::Expression;
use crate::model::space::Parameter;
use crate::model::template::TemplateError;
use crate::model::value::Value;

/// The most combinations that are tried one by one: some 0.3 s.
const MOST_COMBINATIONS: usize = 100_000;

/// How many combinations are tried at random.
const SAMPLES: usize = 20_000;

/// After so many combinations for all rules together, a rule gets few.
const MOST_IN_ALL: usize = 300_000;

/// How many these are.
const FEW: usize = 50;

/// The longest range of whole numbers that is tried number by number.
const LONGEST_RANGE: u64 = 4096;

/// How many points of a longer range, or one of floats, are tried.
const POINTS: usize = 64;

/// Reads `[[rule]]` and checks rules and conditions against the values that
/// there are.
pub(super) fn read(
    r: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
    declared: &Declared,
) -> Vec<Expression> {
    let mut rules = Vec::new();
    let mut tried = 0;
    for mut section in sections {
        let node = section.require(r, "require", "\"SOFT <= HARD\"");
        let rule = node.and_then(|node| condition(r, &node));
        section.finish(r);
        let names = rule.iter().flat_map(|(rule, _)| rule.names());
        r.asked.extend(names.cloned());
        if let Some((rule, span)) = rule
            && knows_all(r, declared, &rule, &span)
        {
            tried += check(r, declared, &rule, &span, Kind::Rule, tried);
            rules.push(rule);
        }
    }
    for (name, span) in &declared.conditions {
        let when = declared.parameter(name).and_then(|p| p.when.as_ref());
        if let Some(when) = when {
            tried += check(r, declared, when, span, Kind::Condition(name), tried);
        }
    }
    rules
}

/// Checks the condition of a parameter that is added to others, which must
/// answer at once: only what is proven with few combinations is an error.
pub(super) fn check_condition(r: &mut Reader<'_>, declared: &Declared, new: &Parameter) {
    if let Some(when) = &new.when {
        let kind = Kind::Condition(&new.name);
        check(r, declared, when, &(0..0), kind, MOST_IN_ALL);
    }
}

fn knows_all(
    r: &mut Reader<'_>,
    declared: &Declared,
    rule: &Expression,
    span: &Range<usize>,
) -> bool {
    let mut known = true;
    for name in rule.names() {
        if declared.place(name).is_none() {
            let word = r.word(span, name);
            let message = format!("the rule asks for `{name}`, which is no parameter");
            let hint = declared.hint(name);
            let help = hint.unwrap_or_else(|| format!("text goes in quotes: '{name}'"));
            r.error_help(&word, message, help.as_str());
            known = false;
        }
    }
    known
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Rule,
    /// Of the parameter of that name.
    Condition(&'a str),
}

impl Kind<'_> {
    fn subject(self) -> String {
        match self {
            Self::Rule => "this rule".to_owned(),
            Self::Condition(name) => format!("the condition of `{name}`"),
        }
    }
}

/// One value or none for each of the parameters involved.
type Choice<'a> = Vec<(&'a Parameter, Option<Value>)>;

/// How many combinations were tried.
fn check(
    r: &mut Reader<'_>,
    declared: &Declared,
    expression: &Expression,
    span: &Range<usize>,
    kind: Kind<'_>,
    tried: usize,
) -> usize {
    // What has an error is missing here, and is complained about already.
    let Some(involved) = involved(declared, expression) else {
        return 0;
    };
    let most = if tried < MOST_IN_ALL {
        MOST_COMBINATIONS
    } else {
        FEW
    };
    let mut seen = Seen::default();
    let proven = survey(&involved, most, |choice| {
        seen.note(choice, answer(expression, choice))
    });
    let count = seen.count;
    conclude(r, &involved, expression, span, kind, seen, proven);
    count
}

fn conclude(
    r: &mut Reader<'_>,
    involved: &[&Parameter],
    expression: &Expression,
    span: &Range<usize>,
    kind: Kind<'_>,
    seen: Seen,
    proven: bool,
) {
    let subject = kind.subject();
    if let Some((values, why)) = seen.unanswered {
        let message = format!("{subject} cannot be answered{values}: {why}");
        r.error(span, message);
        return;
    }
    if seen.held {
        if matches!(kind, Kind::Rule) {
            check_baseline(r, involved, expression, span);
        }
        return;
    }
    let help = unquoted(expression);
    if !seen.failed && !matches!(kind, Kind::Condition(_)) {
        let message = format!("{subject} says nothing: its parameters are never active together");
        r.warn(span, message, None);
    } else if proven {
        let what = match kind {
            Kind::Rule => "never holds: no combination of values meets it",
            Kind::Condition(_) => "never holds: the parameter would never be active",
        };
        let help = help
            .as_deref()
            .unwrap_or("correct it, or the values that it asks for");
        r.error_help(span, format!("{subject} {what}"), help);
    } else {
        let message = format!(
            "{subject} held for none of the {} combinations tried",
            seen.count
        );
        r.warn(span, message, help.as_deref());
    }
}

/// What came of the combinations so far.
#[derive(Default)]
struct Seen {
    count: usize,
    held: bool,
    failed: bool,
    unanswered: Option<(String, TemplateError)>,
}

impl Seen {
    /// Whether to go on.
    fn note(&mut self, choice: &Choice<'_>, answer: Result<Option<bool>, TemplateError>) -> bool {
        self.count += 1;
        match answer {
            Ok(None) => {}
            Ok(Some(true)) => self.held = true,
            Ok(Some(false)) => self.failed = true,
            Err(why) => self.unanswered = Some((show(choice), why)),
        }
        self.unanswered.is_none()
    }
}

/// ` for A = 1, B = 2`.
fn show(choice: &Choice<'_>) -> String {
    let values: Vec<String> = choice
        .iter()
        .filter_map(|(parameter, value)| Some(format!("{} = {}", parameter.name, value.as_ref()?)))
        .collect();
    if values.is_empty() {
        String::new()
    } else {
        format!(" for {}", values.join(", "))
    }
}

/// The parameters that an expression asks for, and those that decide whether
/// these are active; in the order of the space. `None` when one has an error.
fn involved<'a>(declared: &'a Declared, expression: &Expression) -> Option<Vec<&'a Parameter>> {
    let mut names = expression.names().to_vec();
    let mut next = 0;
    while next < names.len() {
        let parameter = declared.parameter(&names[next])?;
        for name in parameter.when.iter().flat_map(Expression::names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        next += 1;
    }
    let parameters = declared.parameters.iter();
    Some(parameters.filter(|p| names.contains(&p.name)).collect())
}

fn lookup<'c>(choice: &'c Choice<'_>, name: &str) -> Option<&'c Value> {
    let (_, value) = choice.iter().find(|(p, _)| &*p.name == name)?;
    value.as_ref()
}

fn answer(expression: &Expression, choice: &Choice<'_>) -> Result<Option<bool>, TemplateError> {
    expression.holds(|name| lookup(choice, name))
}

/// Takes away the values of the parameters that are not active.
fn deactivate(choice: &mut Choice<'_>) {
    for index in 0..choice.len() {
        if let Some(when) = &choice[index].0.when {
            // A condition that cannot be answered has its own complaint.
            if !matches!(answer(when, choice), Ok(Some(true))) {
                choice[index].1 = None;
            }
        }
    }
}

/// Shows combinations of values to `visit` until it has seen enough; whether
/// these were all that there are.
fn survey<'a>(
    involved: &[&'a Parameter],
    most: usize,
    mut visit: impl FnMut(&Choice<'a>) -> bool,
) -> bool {
    let mut exact = true;
    let mut lists: Vec<Vec<Value>> = Vec::new();
    for parameter in involved {
        let (values, all) = points(&parameter.domain);
        exact &= all;
        lists.push(values);
    }
    let product = |lists: &[Vec<Value>]| {
        lists
            .iter()
            .try_fold(1usize, |product, list| product.checked_mul(list.len()))
            .filter(|product| *product <= most)
    };
    if product(&lists).is_none() {
        for (list, parameter) in lists.iter_mut().zip(involved) {
            if !matches!(parameter.domain, Domain::Values(_)) && list.len() > POINTS {
                *list = parameter.domain.levels(POINTS);
                exact = false;
            }
        }
    }
    let Some(product) = product(&lists) else {
        let mut generator = random::generator(0, 0);
        for _ in 0..SAMPLES.min(most) {
            let mut choice: Choice<'a> = involved
                .iter()
                .map(|p| (*p, Some(p.domain.at(generator.random()))))
                .collect();
            deactivate(&mut choice);
            if !visit(&choice) {
                break;
            }
        }
        return false;
    };
    for mut number in 0..product {
        let mut choice: Choice<'a> = Vec::with_capacity(involved.len());
        for (parameter, list) in involved.iter().zip(&lists) {
            choice.push((parameter, list.get(number % list.len()).cloned()));
            number /= list.len();
        }
        deactivate(&mut choice);
        if !visit(&choice) {
            break;
        }
    }
    exact
}

/// The values of a domain that are tried, and whether these are all.
fn points(domain: &Domain) -> (Vec<Value>, bool) {
    let size = domain.size();
    match domain {
        Domain::Values(values) => (values.clone(), true),
        Domain::Int(_) if size.is_some_and(|size| size <= LONGEST_RANGE) => {
            let whole = |value: Value| match value {
                Value::Int(number) => number,
                _ => 0,
            };
            let (low, high) = (whole(domain.at(0.0)), whole(domain.at(1.0)));
            ((low..=high).map(Value::Int).collect(), true)
        }
        _ => (domain.levels(POINTS), size == Some(1)),
    }
}

fn check_baseline(
    r: &mut Reader<'_>,
    involved: &[&Parameter],
    rule: &Expression,
    span: &Range<usize>,
) {
    let base = involved.iter().map(|p| (*p, Some(p.base.clone())));
    let mut choice: Choice<'_> = base.collect();
    deactivate(&mut choice);
    if matches!(answer(rule, &choice), Ok(Some(false))) {
        let message = format!("the baseline breaks the rule `{rule}`{}", show(&choice));
        r.error_help(span, message, "set values in [base] that keep to it");
    }
}

/// For an expression that has a number in quotes: how it should be.
fn unquoted(expression: &Expression) -> Option<String> {
    let source = expression.to_string();
    let mut right = String::with_capacity(source.len());
    let mut rest = source.as_str();
    let mut found = false;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else {
            break;
        };
        let inner = &rest[start + 1..start + 1 + length];
        let is_number = Value::from(inner).number().is_some();
        found |= is_number;
        right.push_str(&rest[..start]);
        if is_number {
            right.push_str(inner.trim());
        } else {
            right.push_str(&rest[start..start + length + 2]);
        }
        rest = &rest[start + length + 2..];
    }
    right.push_str(rest);
    found.then(|| format!("text that spells a number counts as a number: write {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_their_quotes() {
        let right = |source| unquoted(&Expression::new(source).expect("a condition"));
        let right = |source: &'static str| {
            right(source).map(|help| {
                help.replace("text that spells a number counts as a number: write ", "")
            })
        };
        assert_eq!(right("N == '0'").as_deref(), Some("N == 0"));
        assert_eq!(
            right("A == \"1.5\" and B == 'x'").as_deref(),
            Some("A == 1.5 and B == 'x'")
        );
        assert_eq!(right("A == 'x'"), None);
    }
}
