//! Presets: specs for well-known programs that a spec builds on.
//!
//! `preset = "NAME"` at the top of a spec fills in what the spec does not say:
//!
//! - Tables are merged key by key, and a value of the spec takes the place of
//!   the preset's; so does a list.
//! - `[[step]]` and `[[notify.channel]]` of the same `name`, and `[[constraint]]`
//!   of the same `metric`, are merged; `[[rule]]`s add up. What the preset has
//!   comes first, in its order.
//! - What is one thought is not mixed: `[objective]`, a parameter of `[space]`, a
//!   metric, and a `ready` that checks in another way (`http`, `tcp`, `log`) take
//!   the place of the preset's as a whole. A parameter that gets other values
//!   in `[space]` starts from these, and not from the preset's `[base]`.
//!
//! The presets are part of the program: the copies that packages install are
//! for reading. A study keeps the merged text, and its digest is that of the
//! merged text, so another version of a preset counts as a changed spec.

use toml::de::{DeTable, DeValue};

use super::reader::{Reader, did_you_mean};

/// A spec to build on.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// By which a spec names it.
    pub name: &'static str,
    /// What it tunes, in a line.
    pub summary: &'static str,
    /// The whole of it: a spec with `{ required = "…" }` where only the user knows
    /// the value.
    pub text: &'static str,
}

/// Every preset, sorted by name.
pub const ALL: [Preset; 5] = [
    Preset {
        name: "llama-cpp",
        summary: "llama.cpp's server, its options, with a small evaluator",
        text: include_str!("llama-cpp.toml"),
    },
    Preset {
        name: "serving-env",
        summary: "a server configured by its environment, as auto_tune.py has it",
        text: include_str!("serving-env.toml"),
    },
    Preset {
        name: "sglang",
        summary: "SGLang's server, its options, with its own benchmark",
        text: include_str!("sglang.toml"),
    },
    Preset {
        name: "training-agent",
        summary: "a training script, advised by a language model, with a report",
        text: include_str!("training-agent.toml"),
    },
    Preset {
        name: "vllm",
        summary: "vLLM's server, its options, with `vllm bench serve`",
        text: include_str!("vllm.toml"),
    },
];

impl Preset {
    /// How complaints call its file.
    pub(super) fn file(&self) -> String {
        format!("presets/{}.toml", self.name)
    }
}

/// The preset of that name.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

/// The preset that a spec asks for, if it does. `None` when it asks for one
/// that there is not.
pub(super) fn named_by(
    r: &mut Reader<'_>,
    table: &mut DeTable<'_>,
) -> Option<Option<&'static Preset>> {
    let Some(node) = table.remove("preset") else {
        return Some(None);
    };
    let DeValue::String(name) = node.get_ref() else {
        let message = "`preset` must be a name in quotes";
        r.error_help(&node.span(), message, all().as_str());
        return None;
    };
    let found = find(name);
    if found.is_none() {
        let message = format!("there is no preset `{name}`");
        let names = ALL.iter().map(|preset| preset.name);
        let help = did_you_mean(name, names).unwrap_or_else(all);
        r.error_help(&node.span(), message, help.as_str());
    }
    found.map(Some)
}

fn all() -> String {
    format!("there are: {}", ALL.map(|preset| preset.name).join(", "))
}
