//! `[[slot]]`: places in which trials run side by side, and what they would
//! have in common that each needs for itself.

use super::names::{self, SLOT, SLOT_PORT};
use super::reader::{Reader, Section};
use super::space::Declared;
use crate::model::slot::Slot;
use crate::model::spec::SamplerKind;
use crate::model::step::{CurveSource, MetricSource, ReadyCheck, Step, StepKind};
use crate::model::template::Template;

/// Names one of which makes an address differ between trials that run side by
/// side; the first, where each slot has a port.
const ADDRESSES: [&str; 3] = [SLOT_PORT, SLOT, "trial"];
/// The same of files, which also have to differ from those of the next trial in
/// the slot: a trial may go on in another.
const FILES: [&str; 2] = ["trial_dir", "trial"];

pub(super) fn read(
    r: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
    declared: &Declared,
) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::new();
    for mut section in sections {
        let name = section.require(r, "name", "\"gpu0\"").and_then(|node| {
            let name = node.text(r)?;
            if slots.iter().any(|known| &*known.name == name) {
                r.error(&node.span, format!("there is a slot `{name}` already"));
            }
            names::plain(r, &node.span, name, "-_").then_some(name)
        });
        let env = section.take("env");
        let env = env.and_then(|node| node.section(r, "`env`"));
        let env = variables(r, env, declared);
        let node = section.take("port");
        let port = node.as_ref().and_then(|node| node.whole(r, 1..=65535));
        let port = port.and_then(|port| u16::try_from(port).ok());
        let of_port = |known: &&Slot| port.is_some() && known.port == port;
        if let Some((node, known)) = node.zip(slots.iter().find(of_port)) {
            let message = format!("the slot `{}` has this port already", known.name);
            r.error(&node.span, message);
        }
        let span = section.span.clone();
        section.finish(r);
        let Some(name) = name else { continue };
        let slot = Slot {
            name: name.into(),
            env,
            port,
        };
        for known in &slots {
            if let Some(gpu) = slot.shares_gpu(known) {
                let message = format!(
                    "the slots `{}` and `{name}` share GPU {gpu}: what they measure disturbs each \
                     other, and its memory is not waited for between trials",
                    known.name
                );
                let help = "give each GPUs of its own by CUDA_VISIBLE_DEVICES in its `env`";
                r.warn(&span, message, help);
            }
        }
        slots.push(slot);
    }
    let counts = slots.iter().map(|slot| slot.gpus().map(|gpus| gpus.len()));
    let counts: Vec<usize> = counts.flatten().collect();
    if counts.windows(2).any(|pair| pair[0] != pair[1]) {
        let message = "the slots have different numbers of GPUs: trials in one cannot be compared \
                       with those in another";
        r.warn(&(0..0), message, "give each as many");
    }
    slots
}

fn variables(
    r: &mut Reader<'_>,
    section: Option<Section<'_>>,
    declared: &Declared,
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for node in section.map(Section::rest).unwrap_or_default() {
        let named = names::variable(r, &node.key_span, node.key);
        let value = node.value(r);
        if named && declared.place(node.key).is_some() {
            let message = format!("`{}` is a parameter: this would hide its value", node.key);
            r.error_help(
                &node.key_span,
                message,
                "leave it out of the one or the other",
            );
        }
        if let Some(value) = value.filter(|_| named) {
            variables.push((node.key.to_owned(), value.to_string()));
        }
    }
    variables
}

/// Complains about what two trials that run side by side would have in common,
/// and must not.
pub(super) fn check<'a>(
    r: &mut Reader<'_>,
    slots: &[Slot],
    steps: impl Iterator<Item = &'a Step> + Clone,
) {
    for step in steps.clone() {
        for (name, _) in &step.env {
            let of_slot = |slot: &&Slot| slot.env.iter().any(|(known, _)| known == name);
            if let Some(slot) = slots.iter().find(of_slot) {
                let message = format!(
                    "`{name}` is set by the step `{}` and by the slot `{}`: the step's would hide \
                     the slot's",
                    step.name, slot.name
                );
                r.error_help(&(0..0), message, "leave it out of the step");
            }
        }
    }
    if slots.len() < 2 {
        return;
    }
    let has_ports = slots.iter().all(|slot| slot.port.is_some());
    let addresses = &ADDRESSES[usize::from(!has_ports)..];
    for step in steps {
        for (what, template) in shared(step, addresses) {
            let message = format!(
                "{what} of the step `{}` is the same in every slot: `{}`",
                step.name,
                template.source()
            );
            let help = match step.kind {
                StepKind::Service(_) => "give each [[slot]] a `port`, and ask for {{ slot_port }}",
                _ => "let the step write below {{ trial_dir }}, which each trial has for itself",
            };
            r.error_help(&(0..0), message, help);
        }
    }
}

/// What of a step only one trial at a time may use.
fn shared<'s>(step: &'s Step, addresses: &[&str]) -> Vec<(String, &'s Template)> {
    if let StepKind::Service(ready) = &step.kind {
        let address = match &ready.check {
            ReadyCheck::Http { url, .. } => Some(url),
            ReadyCheck::Tcp { address } => Some(address),
            ReadyCheck::Log { .. } => None,
        };
        let shared = address.filter(|address| !asks_for(address, addresses));
        let shared = shared.map(|address| ("the address in `ready`".to_owned(), address));
        return shared.into_iter().collect();
    }
    let mut found: Vec<(String, &Template)> = Vec::new();
    for rule in &step.metrics {
        let file = match &rule.source {
            MetricSource::Regex { .. } => None,
            MetricSource::Json { file, .. } => file.as_ref(),
            MetricSource::Records { file, .. } => Some(file),
        };
        found.extend(file.map(|file| (format!("the file of the metric `{}`", rule.metric), file)));
    }
    for rule in &step.curves {
        if let CurveSource::Jsonl { file, .. } = &rule.source {
            found.push((format!("the file of the progress `{}`", rule.metric), file));
        }
    }
    let artifacts = step.artifacts.iter();
    found.extend(artifacts.map(|one| ("a pattern of `artifacts`".to_owned(), &one.pattern)));
    let resume = step.resume.as_ref();
    found
        .extend(resume.map(|resume| ("the checkpoint of `resume`".to_owned(), &resume.checkpoint)));
    found.retain(|(_, template)| !asks_for(template, &FILES));
    found
}

fn asks_for(template: &Template, names: &[&str]) -> bool {
    let mut asked = template.names().iter();
    asked.any(|name| names.contains(&&**name))
}

/// Says that slots stay idle where the sampler `advisor` goes one step at a time.
pub(super) fn warn_of_idleness(r: &mut Reader<'_>, slots: &[Slot], sampler: SamplerKind) {
    if slots.len() > 1 && sampler == SamplerKind::Advisor {
        let message =
            "`advisor` needs each result before it goes on: one slot works, the others wait";
        let help = "sampler = \"model\" in [search], with `share` in [advisor], uses all of them";
        r.warn(&(0..0), message, help);
    }
}
