//! Texts with parameters in them: that they are well written, ask only for
//! what there is, and can be filled in for the trials to come.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::RngExt;

use super::bounds;
use super::names::{self, CONTEXT_NAMES, SLOT, SLOT_PORT, TEMPLATE_FUNCTIONS};
use super::reader::{Node, Reader, Section, did_you_mean};
use super::space::Declared;
use crate::base::random;
use crate::model::slot::Slot;
use crate::model::space::Space;
use crate::model::template::Template;

/// How many params are drawn to try templates on.
const DRAWS: u32 = 64;

/// What templates may ask for.
#[derive(Clone)]
pub(super) struct Known {
    names: Vec<String>,
    /// Parameters that are not always active.
    conditional: Vec<String>,
    /// Of [`CONTEXT_NAMES`], those that have no value since the spec has no such
    /// slots.
    absent: Vec<&'static str>,
    /// Values to try templates on, the baseline's first; none while the space
    /// has an error.
    samples: Vec<BTreeMap<String, String>>,
}

impl Known {
    pub(super) fn new(declared: &Declared, space: Option<&Space>, slots: &[Slot]) -> Self {
        let mut absent = Vec::new();
        if slots.is_empty() {
            absent.push(SLOT);
        }
        if slots.is_empty() || slots.iter().any(|slot| slot.port.is_none()) {
            absent.push(SLOT_PORT);
        }
        let names = declared.names.iter().map(ToString::to_string).collect();
        let conditional = declared.conditions.iter().map(|(name, _)| name.to_string());
        let mut generator = random::generator(0, 1);
        let baseline = space.and_then(|space| space.baseline().ok());
        let draws = space.into_iter().flat_map(|space| {
            let mut draw = || space.choose(|p| p.domain.at(generator.random())).ok();
            (0..DRAWS).filter_map(|_| draw()).collect::<Vec<_>>()
        });
        let mut samples: Vec<BTreeMap<String, String>> = Vec::new();
        for params in baseline.into_iter().chain(draws) {
            let values = params.iter().map(|(n, v)| (n.to_string(), v.to_string()));
            let mut values: BTreeMap<String, String> = values.collect();
            let context = CONTEXT_NAMES.iter().filter(|name| !absent.contains(name));
            let context = context.map(|name| ((*name).to_owned(), "1".to_owned()));
            values.extend(context);
            samples.push(values);
        }
        Self {
            names,
            conditional: conditional.collect(),
            absent,
            samples,
        }
    }

    /// The same with one more name.
    pub(super) fn with(&self, name: &str) -> Self {
        let mut known = self.clone();
        known.names.push(name.to_owned());
        for values in &mut known.samples {
            values.insert(name.to_owned(), "1".to_owned());
        }
        known
    }

    pub(super) fn is_parameter(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    fn is_known(&self, name: &str) -> bool {
        self.is_parameter(name)
            || CONTEXT_NAMES.contains(&name)
            || TEMPLATE_FUNCTIONS.contains(&name)
    }

    fn hint(&self, name: &str) -> Option<String> {
        let parameters = self.names.iter().map(String::as_str);
        did_you_mean(name, parameters.chain(CONTEXT_NAMES))
    }
}

/// A text of the spec as a template.
pub(super) fn template(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Template> {
    let source = node.text(r)?;
    check(r, &node.span, source, known)
}

/// A template with something in it.
pub(super) fn filled(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Template> {
    let source = node.filled_text(r)?;
    check(r, &node.span, source, known)
}

/// A template that stands at `span`, or in a file that `span` names.
pub(super) fn check(
    r: &mut Reader<'_>,
    span: &Range<usize>,
    source: &str,
    known: &Known,
) -> Option<Template> {
    if !bounds::template_fits(source) {
        let longest = bounds::LONGEST_EXPRESSION;
        let message = format!(
            "this template is too much for its engine: a {{{{ … }}}} of over {longest} bytes, or hundreds of `elif`"
        );
        r.error_help(span, message, "split it up");
        return None;
    }
    let template = match Template::new(source) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("this is not a template: {error}");
            // A shell's ${#NAME} is the usual way to come here.
            let help = if source.contains("{#") {
                "{# begins a comment of the template; for {# as text write {{ '{#' }}"
            } else {
                "{{ NAME }} is filled in; for braces as text write {{ '{{' }}"
            };
            r.error_help(span, message, help);
            return None;
        }
    };
    r.asked.extend(template.names().iter().cloned());
    let mut good = true;
    for name in template.names() {
        if !known.is_known(name) {
            let word = r.word(span, name);
            let hint = known.hint(name);
            let help = hint.unwrap_or_else(|| {
                format!(
                    "besides the parameters there are: {}",
                    CONTEXT_NAMES.join(", ")
                )
            });
            r.error_help(&word, format!("nothing is called `{name}`"), help.as_str());
            good = false;
        }
    }
    if good {
        good = try_out(r, span, &template, known);
    }
    good.then_some(template)
}

fn try_out(r: &mut Reader<'_>, span: &Range<usize>, template: &Template, known: &Known) -> bool {
    let asks = |name: &String| template.names().iter().any(|asked| **asked == **name);
    let asked: Vec<&String> = known.conditional.iter().filter(|name| asks(name)).collect();
    // Whether it can be filled in differs from trial to trial only where it
    // asks for what is not always there; the rest is seen in the baseline.
    let count = if asked.is_empty() {
        1
    } else {
        known.samples.len()
    };
    for values in known.samples.iter().take(count) {
        let Err(error) = template.render(values) else {
            continue;
        };
        let absent = known.absent.iter();
        let absent = absent.filter(|name| template.names().iter().any(|asked| **asked == ***name));
        if let Some(name) = absent.min_by_key(|name| name.len()) {
            let word = r.word(span, name);
            let message =
                format!("`{name}` has no value: not every trial runs in a slot that has one");
            let help = "add [[slot]] with `name` and `port`, or leave the part out: {% if slot is defined %}…{% endif %}";
            r.error_help(&word, message, help);
            return false;
        }
        // The engine's word for a missing value is no help when another
        // parameter is missing rightly, so the first that is named is meant.
        let missing = asked.iter().find(|name| !values.contains_key(**name));
        match missing {
            Some(name) => {
                let word = r.word(span, name);
                let message = format!("`{name}` is not always active, and has no value then");
                let help =
                    format!("leave the part out: {{% if {name} is defined %}}…{{% endif %}}");
                r.error_help(&word, message, help.as_str());
            }
            None => {
                let message = format!("this cannot be filled in: {error}");
                let help = "values are text: for arithmetic write {{ NAME|int + 1 }}";
                r.error_help(span, message, help);
            }
        }
        return false;
    }
    true
}

/// A command: program and arguments.
pub(super) fn command(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Vec<Template>> {
    use toml::de::DeValue;
    if let DeValue::String(text) = node.value {
        let words: Vec<String> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
        let message = format!(
            "`{}` must be a list of texts: no shell takes it apart",
            node.key
        );
        let help = format!("write {} = [{}]", node.key, words.join(", "));
        r.error_help(&node.span, message, help.as_str());
        return None;
    }
    let elements = node.list(r, "texts")?;
    let Some(program) = elements.first() else {
        let message = format!("`{}` is empty: name at least a program", node.key);
        r.error_help(&node.span, message, "for instance [\"bash\", \"run.sh\"]");
        return None;
    };
    let mut words = vec![filled(r, program, known)];
    words.extend(elements[1..].iter().map(|word| template(r, word, known)));
    words.into_iter().collect()
}

/// Environment variables: `[env]` and a step's `env`. `hides` says whether the
/// step also gets the parameters as environment variables.
pub(super) fn variables(
    r: &mut Reader<'_>,
    section: Option<Section<'_>>,
    known: &Known,
    hides: bool,
) -> Vec<(String, Template)> {
    let mut variables = Vec::new();
    for node in section.map(Section::rest).unwrap_or_default() {
        let named = names::variable(r, &node.key_span, node.key);
        // A bare number is as good as its text here.
        let template = match node.value {
            toml::de::DeValue::String(_) => template(r, &node, known),
            _ => node
                .value(r)
                .and_then(|value| check(r, &node.span, &value.to_string(), known)),
        };
        let Some(template) = template.filter(|_| named) else {
            continue;
        };
        if hides && known.is_parameter(node.key) && !asks(&template, node.key) {
            let message = format!("`{}` is a parameter: this would hide its value", node.key);
            let help = "leave it out: a step gets the parameters by themselves";
            r.error_help(&node.key_span, message, help);
        }
        variables.push((node.key.to_owned(), template));
    }
    variables
}

fn asks(template: &Template, name: &str) -> bool {
    template.names().iter().any(|asked| &**asked == name)
}
