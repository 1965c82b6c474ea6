//! `[advisor]`: the language model that may advise.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use toml::de::DeValue;

use super::notify::source;
use super::reader::{Node, Reader, Section, did_you_mean};
use super::study::path;
use super::{bounds, steps};
use crate::base::http::is_local;
use crate::model::spec::{Advisor, Key, Language, PROMPT_NAMES, Price, Prompts};
use crate::model::template::Template;
use crate::model::value::Finite;

/// Where the best known of all endpoints is.
const OPENAI: &str = "https://api.openai.com/v1";
/// What a study may spend unless it says otherwise: that of some fifty
/// questions with a history of some dozens of trials.
const MAX_TOKENS: u64 = 500_000;
/// Fewer do not suffice for a question or two.
const FEWEST_TOKENS: u64 = 2000;
/// An answer is short, but some models think aloud before it.
const ANSWER_TOKENS: u32 = 4096;
/// The longest text about what is tuned, in bytes: it is sent with every
/// question.
const LONGEST_ABOUT: usize = 8192;

pub(super) fn read(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Option<Advisor> {
    let mut section = section?;
    let folder = r.folder.clone();
    let base_url = section.take("base_url");
    let model = section.require(r, "model", "\"gpt-4o-mini\"");
    let api_key = section.take("api_key");
    let ca = section.take("ca").and_then(|node| path(r, &node, &folder));
    let temperature = section.take("temperature");
    let timeout = section.take("timeout");
    let max_tokens = section.take("max_tokens");
    let answer_tokens = section.take("answer_tokens");
    let price = section.take("price");
    let max_priority_params = section.take("max_priority_params");
    let rounds_per_param = section.take("rounds_per_param");
    let share = section.take("share");
    let language = section.take("language");
    let about = section.take("about");
    let prompt_file = section.take("prompt_file");
    // A secret under a name that is none would be shown with the complaint.
    section.hide_rest(r);
    section.finish(r);

    let open_url = base_url.as_ref().map(|node| node.span.clone());
    let url = match &base_url {
        None => Url::parse(OPENAI).ok(),
        Some(node) => url(r, node),
    };
    let api_key = match &api_key {
        None => Key::Usual,
        Some(node) => key(r, node)?,
    };
    let is_open = |url: &Url| url.scheme() == "http" && !is_local(url);
    if let (Key::At(_), Some(span)) = (
        &api_key,
        open_url.filter(|_| url.as_ref().is_some_and(is_open)),
    ) {
        r.warn(
            &span,
            "the key goes over the network for everybody to read",
            "use https://, or api_key = false where the server wants none",
        );
    }
    let max_tokens = max_tokens.and_then(|node| {
        let tokens = node.whole(r, 0..=u64::MAX)?;
        if (1..FEWEST_TOKENS).contains(&tokens) {
            let message = format!(
                "`max_tokens` is for the whole study: {FEWEST_TOKENS} at least, or 0 for no limit"
            );
            r.error(&node.span, message);
        }
        Some(tokens)
    });
    let mut whole = |node: Option<Node<'_>>, lowest, highest| node?.whole32(r, lowest..=highest);
    let answer_tokens = whole(answer_tokens, 16, 1_000_000);
    let max_priority_params = whole(max_priority_params, 1, 1000);
    let rounds_per_param = whole(rounds_per_param, 1, 1000);
    let language = language.and_then(|node| node.choice(r, &["en", "zh", "both"]));
    let about = about.and_then(|node| {
        let about = node.filled_text(r)?;
        if about.len() > LONGEST_ABOUT {
            r.error(
                &node.span,
                "`about` may have 8 KiB at most: it is sent with every question",
            );
        }
        Some(about.trim().to_owned())
    });
    Some(Advisor {
        base_url: url?.as_str().trim_end_matches('/').to_owned(),
        model: model?.filled_text(r)?.to_owned(),
        api_key,
        ca,
        temperature: temperature.and_then(|node| within(r, &node, 2.0)),
        timeout: timeout
            .and_then(|node| node.some_time(r))
            .unwrap_or(Duration::from_secs(120)),
        max_tokens: Some(max_tokens.unwrap_or(MAX_TOKENS)).filter(|tokens| *tokens > 0),
        answer_tokens: answer_tokens.unwrap_or(ANSWER_TOKENS),
        price: price.and_then(|node| self::price(r, &node)),
        max_priority_params: max_priority_params.unwrap_or(3),
        rounds_per_param: rounds_per_param.unwrap_or(3),
        share: share
            .and_then(|node| within(r, &node, 1.0))
            .map_or(0.0, Finite::get),
        language: match language {
            Some(1) => Language::Chinese,
            Some(2) => Language::Both,
            _ => Language::English,
        },
        about,
        prompts: prompt_file
            .and_then(|node| prompts(r, &node))
            .unwrap_or_default(),
    })
}

/// A number from 0 to `highest`.
fn within(r: &mut Reader<'_>, node: &Node<'_>, highest: f64) -> Option<Finite> {
    let number = node.number(r)?;
    if !(0.0..=highest).contains(&number.get()) {
        let message = format!("`{}` must be a number from 0 to {highest}", node.key);
        r.error(&node.span, message);
        return None;
    }
    Some(number)
}

fn url(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Url> {
    let text = node.filled_text(r)?;
    let example = "for instance: base_url = \"http://127.0.0.1:8000/v1\"";
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => {
            let message = format!(
                "`{}` must begin with https:// or http:// and a host",
                node.key
            );
            r.error_help(&node.span, message, example);
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        r.hide(&node.span);
        let message = "`base_url` has a secret in it, which does not belong into a spec";
        r.error_help(&node.span, message, "give the key by `api_key`");
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        let message = "`base_url` is the beginning of an address: nothing with `?` or `#`";
        r.error_help(&node.span, message, example);
        return None;
    }
    if url
        .path()
        .trim_end_matches('/')
        .ends_with("/chat/completions")
    {
        let help = "leave /chat/completions out: it is added";
        r.error_help(
            &node.span,
            "`base_url` is the address below which the endpoint is",
            help,
        );
        return None;
    }
    Some(url)
}

/// `false`, or where the key is found.
fn key(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Key> {
    match node.value {
        DeValue::Boolean(false) => Some(Key::None),
        DeValue::Boolean(true) => {
            let help = "leave it out to have the key looked for where it usually is";
            r.error_help(
                &node.span,
                "`api_key` says where the key is found, or false",
                help,
            );
            None
        }
        _ => source(r, node).map(Key::At),
    }
}

fn price(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Price> {
    let mut section = node.section(r, "{ prompt = 0.15, completion = 0.6 }")?;
    let mut part = |r: &mut Reader<'_>, key: &'static str| {
        let node = section.require(r, key, "0.6")?;
        let number = node.number(r)?.get();
        if number < 0.0 {
            r.error(
                &node.span,
                format!("`{key}` must be 0 or more, for a million tokens"),
            );
            return None;
        }
        Some(number)
    };
    let (prompt, completion) = (part(r, "prompt"), part(r, "completion"));
    section.finish(r);
    Some(Price {
        prompt: prompt?,
        completion: completion?,
    })
}

fn prompts(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Prompts> {
    let mut section = node.section(r, "{ plan = \"plan.txt\" }")?;
    let mut prompts = Prompts::default();
    let places = [
        ("system", &mut prompts.system),
        ("plan", &mut prompts.plan),
        ("value", &mut prompts.value),
        ("params", &mut prompts.params),
        ("summary", &mut prompts.summary),
    ];
    for (key, place) in places {
        *place = section.take(key).and_then(|node| prompt(r, &node));
    }
    section.finish(r);
    Some(prompts)
}

/// The template in the file that `node` names.
fn prompt(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Template> {
    let (path, source) = steps::template_text(r, node)?;
    let place = |line: usize| format!("{}:{line}", path.display());
    if !bounds::template_fits(&source) {
        let message = format!(
            "{}: this template is too much for its engine",
            path.display()
        );
        r.error_help(&node.span, message, "split its expressions up");
        return None;
    }
    let template = match Template::new(source.as_str()) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("{}: this is not a template: {error}", place(error.line()));
            let help = "{{ NAME }} is filled in; for braces as text write {{ '{{' }}";
            r.error_help(&node.span, message, help);
            return None;
        }
    };
    let unknown = (template.names().iter()).find(|name| !PROMPT_NAMES.contains(&&***name));
    if let Some(name) = unknown {
        let line = line_of(&source, name);
        let message = format!("{}: a question has no `{name}`", place(line));
        let hint = did_you_mean(name, PROMPT_NAMES);
        let help = hint.unwrap_or_else(|| format!("there are: {}", PROMPT_NAMES.join(", ")));
        r.error_help(&node.span, message, help.as_str());
        return None;
    }
    let value = |name: &&str| ((*name).to_owned(), "1".to_owned());
    let values: BTreeMap<String, String> = PROMPT_NAMES.iter().map(value).collect();
    if let Err(error) = template.render(&values) {
        let message = format!("{}: it cannot be filled in: {error}", place(error.line()));
        r.error_help(&node.span, message, "all that a question has is text");
        return None;
    }
    Some(template)
}

/// The first line, from 1, that has this word.
fn line_of(text: &str, word: &str) -> usize {
    let line = text.lines().position(|line| line.contains(word));
    line.map_or(1, |line| line + 1)
}
