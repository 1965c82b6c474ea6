//! `[step.notes]`: what of a step's output its owner should know.

use toml::de::DeValue;

use super::reader::Node;
use super::reader::Reader;
use super::study;
use super::text::{self, Known};
use crate::model::step::Note;

/// The most notes of a step.
const MOST: usize = 16;

pub(super) fn read(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Vec<Note> {
    let given = node.section(r, "`notes`");
    let nodes = given.map(super::reader::Section::rest).unwrap_or_default();
    if let Some(node) = nodes.get(MOST) {
        r.error(&node.key_span, format!("a step has {MOST} notes at most"));
    }
    let mut notes = Vec::new();
    for node in nodes {
        if !study::metric_name(r, &node.key_span, node.key) {
            continue;
        }
        let (pattern, missing) = match node.value {
            DeValue::Table(_) => {
                let Some(mut section) = node.section(r, "a note") else {
                    continue;
                };
                let pattern = section.require(r, "regex", "'https://\\S+'");
                let pattern = pattern.and_then(|node| node.pattern(r));
                let missing = section.take("missing");
                let missing = missing.and_then(|node| text::filled(r, &node, known));
                section.finish(r);
                (pattern, missing)
            }
            _ => (node.pattern(r), None),
        };
        notes.extend(pattern.map(|pattern| Note {
            name: node.key.into(),
            pattern,
            missing,
        }));
    }
    notes
}
