//! `[base]` and `[space]`: what may vary, and where it starts.

use std::ops::Range;

use super::reader::{Node, Reader, Section, did_you_mean};
use super::{bounds, names};
use crate::model::Name;
use crate::model::domain::{Domain, DomainError, Scale};
use crate::model::expression::Expression;
use crate::model::space::Parameter;
use crate::model::value::Value;

/// The most parameters, and the most values in a list. More cannot be searched
/// by trials that take minutes, and would take long to check.
pub(super) const MOST: usize = 1000;

/// The parameters of a spec, as far as they are good.
#[derive(Default)]
pub(super) struct Declared {
    /// The good ones, in the order of the space.
    pub(super) parameters: Vec<Parameter>,
    /// Where the conditions stand, by the parameter's name.
    pub(super) conditions: Vec<(Name, Range<usize>)>,
    /// Every declared name in the order of the space, also of those that have
    /// an error.
    pub(super) names: Vec<Name>,
    /// Where they are declared, in `[base]` first.
    pub(super) places: Vec<(Name, Range<usize>)>,
}

impl Declared {
    /// The place of `name` in the order, with an error or without.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| &**known == name)
    }

    /// `did you mean …?` for a name that is not known.
    pub(super) fn hint(&self, name: &str) -> Option<String> {
        did_you_mean(name, self.names.iter().map(|known| &**known))
    }

    /// Warns of parameters that no template, rule or condition asks for: where
    /// steps do not get them all as environment variables, such a name is
    /// mostly a slip.
    pub(super) fn warn_of_unused(&self, r: &mut Reader<'_>) {
        let conditions = self.parameters.iter().filter_map(|p| p.when.as_ref());
        r.asked
            .extend(conditions.flat_map(Expression::names).cloned());
        let (asked, unused): (Vec<&Name>, Vec<_>) =
            self.names.iter().partition(|name| r.asked.contains(*name));
        for name in unused {
            let place = self.places.iter().find(|(known, _)| known == name);
            let Some((_, place)) = place else {
                continue;
            };
            let message = format!("nothing asks for `{name}`: its value has no effect");
            let help = did_you_mean(name, asked.iter().map(|name| &***name));
            r.warn(place, message, help.as_deref());
        }
    }

    /// The parameter of that name, if it is good.
    pub(super) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| &*p.name == name)
    }
}

/// A value of `[base]`.
struct Base<'a> {
    name: &'a str,
    span: Range<usize>,
    value: Option<Value>,
}

/// What `[space]` says of a parameter.
pub(super) struct Varied<'a> {
    pub(super) name: &'a str,
    /// What it may be; `None` when that has an error.
    pub(super) domain: Option<Domain>,
    /// Where it has a meaning.
    pub(super) when: Option<Condition>,
    /// Whether the advisor may choose its value, where it says so.
    pub(super) tunable: Option<bool>,
}

pub(super) fn read(
    r: &mut Reader<'_>,
    base: Option<Section<'_>>,
    space: Option<Section<'_>>,
) -> Declared {
    let (base, space) = (base.map(Section::rest), space.map(Section::rest));
    let (mut base, mut space) = (base.unwrap_or_default(), space.unwrap_or_default());
    for nodes in [&mut base, &mut space] {
        if let Some(node) = nodes.get(MOST) {
            let message = format!("there are more than {MOST} parameters");
            r.error(&node.key_span, message);
            nodes.truncate(MOST);
        }
    }
    let keys = base.iter().chain(&space);
    let places = keys.map(|node| (Name::from(node.key), node.key_span.clone()));
    let places = places.collect();
    let mut bases = Vec::new();
    for node in base {
        parameter_name(r, &node);
        bases.push(Base {
            name: node.key,
            value: node.value(r),
            span: node.span,
        });
    }
    let mut varied = Vec::new();
    for node in space {
        parameter_name(r, &node);
        varied.push(self::varied(r, &node));
    }
    Declared {
        places,
        ..assemble(r, &bases, varied)
    }
}

/// The order: what conditions ask for and the space does not vary, the space,
/// and what else is only set. A condition may ask for what stands above it.
fn assemble(r: &mut Reader<'_>, bases: &[Base<'_>], varied: Vec<Varied<'_>>) -> Declared {
    let is_asked = |name: &str| {
        let mut conditions = varied.iter().filter_map(|v| v.when.as_ref());
        conditions.any(|(when, _)| when.names().iter().any(|asked| &**asked == name))
    };
    let only_set = bases
        .iter()
        .filter(|base| !varied.iter().any(|v| v.name == base.name));
    let (asked, unasked): (Vec<&Base<'_>>, Vec<_>) = only_set.partition(|b| is_asked(b.name));
    let names = asked.iter().map(|base| base.name);
    let names = names.chain(varied.iter().map(|v| v.name));
    let names = names.chain(unasked.iter().map(|base| base.name));
    let mut declared = Declared {
        names: names.map(Name::from).collect(),
        ..Declared::default()
    };
    let fixed = |base: &&Base<'_>| {
        let value = base.value.clone()?;
        Some(Parameter {
            name: base.name.into(),
            domain: Domain::values(vec![value.clone()]).ok()?,
            base: value,
            when: None,
            tunable: false,
        })
    };
    declared.parameters.extend(asked.iter().filter_map(fixed));
    for one in varied {
        let Varied {
            name,
            domain,
            when,
            tunable,
        } = one;
        let mut good = true;
        if let Some((when, span)) = &when {
            for asked in when.names() {
                good &= looks_upwards(r, &declared, span, name, asked);
            }
            declared.conditions.push((name.into(), span.clone()));
        }
        let base = bases.iter().find(|base| base.name == name);
        let placed = domain.and_then(|domain| place_base(r, name, domain, base));
        if let Some((domain, base)) = placed.filter(|_| good) {
            let when = when.map(|(when, _)| when);
            let name = name.into();
            declared.parameters.push(Parameter {
                name,
                domain,
                base,
                when,
                tunable: tunable.unwrap_or(true),
            });
        }
    }
    declared.parameters.extend(unasked.iter().filter_map(fixed));
    declared
}

fn looks_upwards(
    r: &mut Reader<'_>,
    declared: &Declared,
    span: &Range<usize>,
    name: &str,
    asked: &str,
) -> bool {
    let place = declared.place(asked);
    let word = r.word(span, asked);
    match place {
        None => {
            let message =
                format!("the condition of `{name}` asks for `{asked}`, which is no parameter");
            r.error_help(&word, message, declared.hint(asked).as_deref());
        }
        Some(_) if asked == name => {
            r.error(
                &word,
                format!("the condition of `{name}` asks for `{name}` itself"),
            );
        }
        Some(place) if declared.place(name).is_some_and(|own| place > own) => {
            let message =
                format!("the condition of `{name}` asks for `{asked}`, which stands below it");
            let help = format!("move `{asked}` above `{name}`");
            r.error_help(&word, message, help.as_str());
        }
        Some(_) => return true,
    }
    false
}

fn parameter_name(r: &mut Reader<'_>, node: &Node<'_>) {
    if names::variable(r, &node.key_span, node.key) && names::CONTEXT_NAMES.contains(&node.key) {
        let message = format!("`{}` cannot be a parameter", node.key);
        let help = "templates know something else by this name; choose another";
        r.error_help(&node.key_span, message, help);
    }
}

/// The domain of a parameter with the base value in it, and that value.
fn place_base(
    r: &mut Reader<'_>,
    name: &str,
    domain: Domain,
    base: Option<&Base<'_>>,
) -> Option<(Domain, Value)> {
    let Some(base) = base else {
        let value = domain.default_value();
        return Some((domain, value));
    };
    let value = base.value.as_ref()?;
    let problem = match domain.admit(value) {
        Ok(value) => return Some((domain, value)),
        Err(problem) => problem,
    };
    let Domain::Values(mut values) = domain else {
        r.error(&base.span, format!("the base value of `{name}`: {problem}"));
        return None;
    };
    let number = value.number();
    let same = values
        .iter()
        .find(|v| number.is_some() && v.number() == number);
    if let Some(same) = same {
        let message = format!("the base value of `{name}` is {value:?}, but [space] has {same:?}");
        let help = "the number is the same, but a program would see two texts: write both alike";
        r.error_help(&base.span, message, help);
        return None;
    }
    let message =
        format!("`{value}` is not among the values of `{name}`: it is tried as the baseline");
    let help = format!("add it to `{name}` in [space], or start from one of the values there");
    r.warn(&base.span, message, help.as_str());
    values.insert(0, value.clone());
    Some((Domain::values(values).ok()?, value.clone()))
}

type Condition = (Expression, Range<usize>);

/// Ways to say which values a parameter has.
const EXAMPLES: &str = "[1, 2, 4], { int = [1, 64] } or { float = [0.1, 0.9] }";

/// What is said of a parameter.
pub(super) fn varied<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Varied<'a> {
    use toml::de::DeValue;
    let mut varied = Varied {
        name: node.key,
        domain: None,
        when: None,
        tunable: None,
    };
    match node.value {
        DeValue::Array(_) => varied.domain = list(r, node),
        DeValue::Table(_) => {
            if let Some(section) = node.section(r, &format!("`{}`", node.key)) {
                table(r, node, section, &mut varied);
            }
        }
        _ => {
            let message = format!("`{}` must say which values to try", node.key);
            let help = format!("for instance {EXAMPLES}; a value that stays goes into [base]");
            r.error_help(&node.span, message, help.as_str());
        }
    }
    varied
}

fn table(r: &mut Reader<'_>, node: &Node<'_>, mut section: Section<'_>, varied: &mut Varied<'_>) {
    let kinds = [
        section.take("values"),
        section.take("int"),
        section.take("float"),
    ];
    let log = section.take("log");
    let when = section.take("when");
    varied.when = when.and_then(|node| condition(r, &node));
    varied.tunable = section.take("tunable").and_then(|node| node.truth(r));
    section.finish(r);
    let given: Vec<&Node<'_>> = kinds.iter().flatten().collect();
    let [one] = given[..] else {
        let one = "give one of `values`, `int` and `float`";
        match given.get(1) {
            None => {
                let message = format!("`{}` has no values: {one}", node.key);
                let help = format!("for instance {EXAMPLES}");
                r.error_help(&node.key_span, message, help.as_str());
            }
            Some(second) => {
                let message = format!("`{}` has its values twice: {one}", node.key);
                r.error(&second.key_span, message);
            }
        }
        return;
    };
    let is_log = log.as_ref().and_then(|node| node.truth(r)).unwrap_or(false);
    let scale = if is_log { Scale::Log } else { Scale::Linear };
    varied.domain = match one.key {
        "values" => {
            if let Some(log) = &log {
                r.error(
                    &log.key_span,
                    "`log` belongs to `int` or `float`, not to a list",
                );
            }
            list(r, one)
        }
        "int" => int_ends(r, one)
            .and_then(|(low, high)| accept(r, &one.span, Domain::int(low, high, scale))),
        _ => float_ends(r, one)
            .and_then(|(low, high)| accept(r, &one.span, Domain::float(low, high, scale))),
    };
}

fn accept(
    r: &mut Reader<'_>,
    span: &Range<usize>,
    domain: Result<Domain, DomainError>,
) -> Option<Domain> {
    domain
        .map_err(|error| r.error(span, error.to_string()))
        .ok()
}

/// The text of a condition or a rule.
pub(super) fn condition(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Condition> {
    let source = node.filled_text(r)?;
    if source.len() > bounds::LONGEST_EXPRESSION {
        let longest = bounds::LONGEST_EXPRESSION;
        let message = format!("a condition may have {longest} bytes at most");
        r.error_help(&node.span, message, "several [[rule]] must all hold");
        return None;
    }
    match Expression::new(source) {
        Ok(expression) => Some((expression, node.span.clone())),
        Err(error) => {
            let message = format!("`{source}` is not a condition: {error}");
            let help = "write it like train_type == 'lora' or A <= B and not C";
            r.error_help(&node.span, message, help);
            None
        }
    }
}

fn list(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Domain> {
    let elements = node.list(r, "values")?;
    let mut values: Vec<Value> = Vec::with_capacity(elements.len());
    if let Some(element) = elements.get(MOST) {
        let message = format!("`{}` has more than {MOST} values", node.key);
        r.error_help(
            &element.span,
            message,
            "give a range: { int = [lowest, highest] }",
        );
        return None;
    }
    let mut good = true;
    for element in &elements {
        let Some(value) = element.value(r) else {
            good = false;
            continue;
        };
        if let Some(first) = values.first().filter(|first| kind(first) != kind(&value)) {
            let message = format!("`{}` mixes {} and {}", node.key, kind(first), kind(&value));
            r.error_help(&element.span, message, "put all of them in quotes");
            good = false;
        } else if values.contains(&value) {
            let error = DomainError::Duplicate(value.to_string());
            r.error(&element.span, error.to_string());
            good = false;
        }
        values.push(value);
    }
    if !good {
        return None;
    }
    accept(r, &node.span, Domain::values(values))
}

/// Whole numbers and others go together; a program sees `1` and `0.5`.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Bool(_) => "true/false",
        Value::Int(_) | Value::Float(_) => "numbers",
    }
}

fn ends<'a>(r: &mut Reader<'_>, node: &Node<'a>, example: &str) -> Option<[Node<'a>; 2]> {
    let elements = node.list(r, "two numbers")?;
    let count = elements.len();
    let ends: Option<[Node<'a>; 2]> = elements.try_into().ok();
    if ends.is_none() {
        let message = format!("`{}` must be two numbers, not {count}", node.key);
        let help = format!("the lowest and the highest: {} = {example}", node.key);
        r.error_help(&node.span, message, help.as_str());
    }
    ends
}

fn int_ends(r: &mut Reader<'_>, node: &Node<'_>) -> Option<(i64, i64)> {
    let [low, high] = ends(r, node, "[4, 64]")?;
    let mut whole = |end: Node<'_>| match end.value(r)? {
        Value::Int(number) => Some(number),
        _ => {
            end.expected(r, "two whole numbers");
            None
        }
    };
    let (low, high) = (whole(low), whole(high));
    Some((low?, high?))
}

fn float_ends(r: &mut Reader<'_>, node: &Node<'_>) -> Option<(f64, f64)> {
    let [low, high] = ends(r, node, "[0.1, 0.9]")?;
    let (low, high) = (low.number(r), high.number(r));
    Some((low?.get(), high?.get()))
}
