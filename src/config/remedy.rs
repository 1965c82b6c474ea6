//! `[remedy]`: what is done about known troubles.

use toml::de::DeValue;

use super::reader::{Node, Reader, Section, did_you_mean};
use super::space::Declared;
use crate::model::Name;
use crate::model::domain::Domain;
use crate::model::remedy::Remedy;
use crate::model::space::Parameter;
use crate::model::value::Value;
use crate::troubles;

/// Reads `[remedy]` and the tables in it, one for each trouble.
pub(super) fn read(
    r: &mut Reader<'_>,
    section: Option<Section<'_>>,
    declared: &Declared,
) -> Vec<Remedy> {
    let Some(mut section) = section else {
        return Vec::new();
    };
    let switch = section.take("enabled");
    let is_on = switch.as_ref().and_then(|node| node.truth(r));
    let is_on = is_on.unwrap_or(true);
    let nodes = section.rest();
    if let Some(switch) = switch.filter(|_| !is_on) {
        warn_of_waiting(r, &switch, &nodes);
    }
    let remedies = nodes.iter().filter(|node| is_of_trouble(r, node));
    let remedies: Vec<&Node<'_>> = remedies.collect();
    // Those of a preset that wait may name what this spec protects.
    let remedies = remedies.into_iter().filter(|_| is_on);
    remedies
        .filter_map(|node| remedy(r, node, declared))
        .collect()
}

/// Warns of rules that stand in the spec itself, where it is its preset that has
/// switched them off.
fn warn_of_waiting(r: &mut Reader<'_>, switch: &Node<'_>, rules: &[Node<'_>]) {
    let Some((preset, start)) = r.preset else {
        return;
    };
    let own = rules.iter().find(|rule| rule.key_span.start < start);
    if let Some(own) = own.filter(|_| switch.span.start >= start) {
        let message =
            format!("[remedy] has rules of yours, and the preset `{preset}` has switched it off");
        let help = "enabled = true in [remedy] switches them on; enabled = false, that they wait";
        r.warn(&own.key_span, message, help);
    }
}

/// Whether the key names a trouble that a remedy can be given for.
fn is_of_trouble(r: &mut Reader<'_>, node: &Node<'_>) -> bool {
    let Some(trouble) = troubles::named(node.key) else {
        let names = || troubles::all().iter().map(|trouble| trouble.name.as_str());
        let help = did_you_mean(node.key, names());
        let help = help.unwrap_or_else(|| "autotune(7) lists them".to_owned());
        let message = format!("there is no known trouble `{}`", node.key);
        r.error_help(&node.key_span, message, help.as_str());
        return false;
    };
    if trouble.host_fault().is_some() {
        let message = format!(
            "`{}` is the host's fault, for which a trial is tried again as it is",
            node.key
        );
        r.error_help(&node.key_span, message, "leave it out");
        return false;
    }
    true
}

fn remedy(r: &mut Reader<'_>, node: &Node<'_>, declared: &Declared) -> Option<Remedy> {
    let mut section = node.section(r, &format!("[remedy.{}]", node.key))?;
    let mut seen = Vec::new();
    let mut numbers = |r: &mut Reader<'_>, key: &'static str| {
        let node = section.take(key);
        let names = node.map(|node| names(r, &node)).unwrap_or_default();
        let mut good = Vec::new();
        for node in names {
            if let Some(parameter) = numeric(r, &node, declared, &mut seen) {
                good.push(parameter.name.clone());
            }
        }
        good
    };
    let (halve, double) = (numbers(r, "halve"), numbers(r, "double"));
    let set = section.take("set");
    let set = set.and_then(|node| node.section(r, "set"));
    let mut given = Vec::new();
    for node in set.map(Section::rest).unwrap_or_default() {
        let parameter = changeable(r, &node, node.key, declared, &mut seen);
        if let Some(parameter) = parameter
            && let Some(value) = value(r, &node, parameter)
        {
            given.push((parameter.name.clone(), value));
        }
    }
    let span = section.span.clone();
    section.finish(r);
    if seen.is_empty() && !r.failed() {
        let message = format!("[remedy.{}] changes nothing", node.key);
        let help = "give `halve`, `double` or `set`; enabled = false in [remedy] switches all off";
        r.error_help(&span, message, help);
    }
    Some(Remedy {
        trouble: node.key.into(),
        halve,
        double,
        set: given,
    })
}

/// A name, or a list of them.
fn names<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Vec<Node<'a>> {
    match node.value {
        DeValue::String(_) => vec![Node {
            key: node.key,
            key_span: node.key_span.clone(),
            value: node.value,
            span: node.span.clone(),
        }],
        _ => node.list(r, "names of parameters").unwrap_or_default(),
    }
}

/// The parameter that a remedy names, if it may change it.
fn changeable<'d>(
    r: &mut Reader<'_>,
    node: &Node<'_>,
    name: &str,
    declared: &'d Declared,
    seen: &mut Vec<Name>,
) -> Option<&'d Parameter> {
    let again = seen.iter().any(|known| **known == *name);
    seen.push(name.into());
    if again {
        r.error(&node.span, format!("`{name}` is changed twice"));
        return None;
    }
    if declared.place(name).is_none() {
        let help = declared.hint(name);
        let help = help.unwrap_or_else(|| "give it a value in [base] or [space]".to_owned());
        let message = format!("there is no parameter `{name}`");
        r.error_help(&node.span, message, help.as_str());
        return None;
    }
    // What has an error is complained about already.
    let parameter = declared.parameter(name)?;
    if parameter.is_protected() {
        let message = format!("`{name}` is protected: a remedy may not change it");
        r.error_help(&node.span, message, "leave out one of the two");
        return None;
    }
    Some(parameter)
}

/// The parameter that is to be halved or doubled.
fn numeric<'d>(
    r: &mut Reader<'_>,
    node: &Node<'_>,
    declared: &'d Declared,
    seen: &mut Vec<Name>,
) -> Option<&'d Parameter> {
    let name = node.filled_text(r)?;
    let parameter = changeable(r, node, name, declared, seen)?;
    if parameter.base.number().is_none() {
        let message = format!("`{name}` is `{}` and no number", parameter.base);
        r.error_help(&node.span, message, "`set` gives a value as it is");
        return None;
    }
    let outside = match &parameter.domain {
        Domain::Values(values) if values.len() > 1 => {
            let has = |wanted: f64| values.iter().any(|value| value.number() == Some(wanted));
            let factor = if node.key == "halve" { 0.5 } else { 2.0 };
            let mut numbers = values.iter().filter_map(Value::number);
            !numbers.any(|number| has((number * factor).floor()) || has(number * factor))
        }
        _ => false,
    };
    if outside {
        let what = if node.key == "halve" { "half" } else { "twice" };
        let message = format!(
            "this never helps: no value of `{name}` is {what} of another, and it keeps to its \
             values"
        );
        let help = format!("in [space]: {name} = [1, 2, 4, 8]");
        r.warn(&node.span, message, help.as_str());
    }
    Some(parameter)
}

/// The value that a parameter is set to.
fn value(r: &mut Reader<'_>, node: &Node<'_>, parameter: &Parameter) -> Option<Value> {
    let value = node.value(r)?;
    if parameter.domain.size() == Some(1) {
        return Some(value);
    }
    match parameter.domain.admit(&value) {
        Ok(value) => Some(value),
        Err(problem) => {
            r.error(&node.span, format!("{}: {problem}", parameter.name));
            None
        }
    }
}
