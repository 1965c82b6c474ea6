//! `[catalogue]`, and the arguments of the programs that a catalogue describes:
//! unknown names, wrong values, and what has no effect.

use super::reader::{Node, Reader, Section};
use crate::catalogue::{Doubt, Generation, Trouble, assigned, doubts, ms_swift};
use crate::model::domain::Domain;
use crate::model::space::Parameter;

/// What arguments are held against.
pub(super) struct Catalogued<'a> {
    /// The release of ms-swift, where the spec names it.
    ms_swift: Option<&'a str>,
    parameters: &'a [Parameter],
}

impl<'a> Catalogued<'a> {
    pub(super) fn read(
        r: &mut Reader<'_>,
        section: Option<Section<'a>>,
        parameters: &'a [Parameter],
    ) -> Self {
        let ms_swift = section.and_then(|mut section| {
            let release = section.take("ms_swift").and_then(|node| release(r, &node));
            section.finish(r);
            release
        });
        Self {
            ms_swift,
            parameters,
        }
    }

    /// Complains about the arguments of a step's command.
    pub(super) fn check(&self, r: &mut Reader<'_>, command: &Node<'_>) {
        // A command that is no list of texts has been complained about.
        let toml::de::DeValue::Array(words) = command.value else {
            return;
        };
        let texts: Option<Vec<&str>> = words.iter().map(|word| word.get_ref().as_str()).collect();
        let Some(call) = texts.as_deref().and_then(assigned::swift) else {
            return;
        };
        for doubt in doubts(&call, self.ms_swift, |word| self.may_be(word)) {
            let Some(word) = words.get(doubt.at) else {
                continue;
            };
            let (span, message) = (word.span(), doubt.trouble.to_string());
            let help = self.help(&doubt);
            if doubt.certain {
                r.error_help(&span, message, help.as_deref());
            } else {
                r.warn(&span, message, help.as_deref());
            }
        }
    }

    fn help(&self, doubt: &Doubt) -> Option<String> {
        match &doubt.trouble {
            Trouble::Unknown {
                nearest: Some(name),
                ..
            } => Some(format!("did you mean --{name}?")),
            Trouble::Unknown { .. } if self.ms_swift.is_none() => {
                Some("say which release it is: [catalogue] ms_swift = \"4.6.0\"".to_owned())
            }
            _ => None,
        }
    }

    /// The texts that a word can come to: none where that is open.
    fn may_be(&self, word: &str) -> Vec<String> {
        if !word.contains("{{") && !word.contains("{%") {
            return vec![word.to_owned()];
        }
        let inner = word.trim().strip_prefix("{{");
        let Some(name) = inner.and_then(|inner| inner.strip_suffix("}}")) else {
            return Vec::new();
        };
        let parameter = self.parameters.iter().find(|p| *p.name == *name.trim());
        match parameter.map(|parameter| &parameter.domain) {
            Some(Domain::Values(values)) => values.iter().map(ToString::to_string).collect(),
            Some(range) => vec![range.at(0.0).to_string(), range.at(1.0).to_string()],
            None => Vec::new(),
        }
    }
}

fn release<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Option<&'a str> {
    let release = node.filled_text(r)?;
    if !release.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("`{release}` is no release: write it as \"4.6.0\"");
        r.error(&node.span, message);
        return None;
    }
    if Generation::of(release).is_none() {
        let known = [Generation::Three, Generation::Four].map(|g| &ms_swift(g).release);
        let message = format!("no catalogue describes ms-swift {release}");
        let help = format!("there are {} and {}", known[0], known[1]);
        r.warn(&node.span, message, help.as_str());
    }
    Some(release)
}
