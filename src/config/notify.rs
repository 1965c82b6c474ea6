//! `[notify]`: who is told of what, and how.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names;
use super::reader::{Node, Reader, Section, alternatives, did_you_mean};
use super::study::path;
use crate::base::secret::Source;
use crate::model::notify::{BODY_NAMES, Channel, Kind, Language, Notify, Security, Smtp, Target};
use crate::model::template::Template;

const TYPES: [&str; 3] = ["feishu", "webhook", "smtp"];
const SECURITIES: [&str; 3] = ["starttls", "tls", "none"];
/// The most channels that a spec may have.
const MOST: usize = 16;
/// What the name of a credential may have besides letters and digits.
const SECRET_ALSO: &str = "-_.";
/// How the place of a secret is written.
const WAYS: &str = "{ credential = \"NAME\" }, { file = \"PATH\" }, \
                    { file = \"PATH\", name = \"VARIABLE\" } or { env = \"VARIABLE\" }";

pub(super) fn read(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Notify {
    let mut notify = Notify {
        trial_done_every: 1,
        ..Notify::default()
    };
    let Some(mut section) = section else {
        return notify;
    };
    let language = section.take("language");
    if language.and_then(|node| node.choice(r, &["en", "zh"])) == Some(1) {
        notify.language = Language::Chinese;
    }
    if let Some(node) = section.take("heartbeat")
        && let Some(mut section) = node.section(r, "[notify.heartbeat]")
    {
        let trials = section.take("trials");
        let trials = trials.and_then(|node| node.whole32(r, 0..=u32::MAX));
        notify.heartbeat_trials = trials.filter(|trials| *trials > 0);
        let interval = section.take("interval");
        let interval = interval.and_then(|node| {
            let interval = node.duration(r)?;
            if !interval.is_zero() && interval.as_secs() < 1 {
                r.error(&node.span, "`interval` must be 1 s at least, or 0 for none");
            }
            Some(interval)
        });
        notify.heartbeat_interval = interval.filter(|interval| !interval.is_zero());
        section.finish(r);
    }
    if let Some(node) = section.take("trial_done")
        && let Some(mut section) = node.section(r, "[notify.trial_done]")
    {
        let every = section.take("every");
        let every = every.and_then(|node| node.whole32(r, 1..=u32::MAX));
        notify.trial_done_every = every.unwrap_or(1);
        section.finish(r);
    }
    let channels = section.take("channel");
    let channels = channels.map(|node| node.sections(r, "notify.channel"));
    section.finish(r);
    for section in channels.unwrap_or_default() {
        let span = section.span.clone();
        if let Some(channel) = channel(r, section, &notify) {
            notify.channels.push(channel);
        }
        if notify.channels.len() > MOST {
            r.error(&span, format!("a spec may have {MOST} channels at most"));
            break;
        }
    }
    notify
}

fn channel(r: &mut Reader<'_>, mut section: Section<'_>, known: &Notify) -> Option<Channel> {
    let span = section.span.clone();
    let name = section.require(r, "name", "\"feishu\"").and_then(|node| {
        let name = node.text(r)?;
        if !names::plain(r, &node.span, name, "-_") {
            return None;
        }
        if known.channel(name).is_some() {
            r.error(&node.span, format!("there is a channel `{name}` already"));
        }
        Some(name)
    });
    let fallback = section.take("fallback").and_then(|node| node.truth(r));
    let fallback = fallback.unwrap_or(false);
    let kinds = kinds(r, section.take("kinds"), fallback);
    let folder = r.folder.clone();
    let ca = section.take("ca");
    let ca = ca.and_then(|node| path(r, &node, &folder));
    let kind = section.require(r, "type", "\"feishu\"");
    let kind = kind.and_then(|node| node.choice(r, &TYPES));
    let target = match kind {
        Some(0) => feishu(r, &mut section),
        Some(1) => webhook(r, &mut section),
        Some(_) => smtp(r, &mut section, &span),
        // Which keys belong to it is not known.
        None => {
            section.hide_rest(r);
            return None;
        }
    };
    // A secret under a name that is none would be shown with the complaint.
    section.hide_rest(r);
    section.finish(r);
    Some(Channel {
        name: name?.into(),
        kinds,
        fallback,
        ca,
        target: target?,
    })
}

fn kinds(r: &mut Reader<'_>, node: Option<Node<'_>>, fallback: bool) -> Vec<Kind> {
    let all = Kind::ALL.map(Kind::name);
    let Some(node) = node else {
        let mut kinds = Kind::ALL.to_vec();
        kinds.retain(|kind| *kind != Kind::TrialDone);
        return kinds;
    };
    let list = node.list(r, "kinds").unwrap_or_default();
    if list.is_empty() && !fallback {
        r.error_help(
            &node.span,
            "`kinds` is empty: this channel would never be used",
            "name some, or write fallback = true",
        );
    }
    let mut kinds = Vec::new();
    for node in list {
        let Some(name) = node.text(r) else { continue };
        match Kind::named(name) {
            Some(kind) if kinds.contains(&kind) => {
                r.error(&node.span, format!("`{name}` is here for the second time"));
            }
            Some(kind) => kinds.push(kind),
            None => {
                let help = did_you_mean(name, all);
                let message = format!("there is no kind `{name}`: choose {}", alternatives(all));
                r.error_help(&node.span, message, help.as_deref());
            }
        }
    }
    kinds
}

fn feishu(r: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Target> {
    let url = section.require(r, "url", "{ credential = \"feishu_url\" }");
    let url = url.and_then(|node| source(r, &node));
    let secret = section.take("secret");
    let secret = secret.map(|node| source(r, &node));
    Some(Target::Feishu {
        url: url?,
        secret: match secret {
            Some(secret) => Some(secret?),
            None => None,
        },
    })
}

fn webhook(r: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Target> {
    let url = section.require(r, "url", "{ credential = \"webhook_url\" }");
    let url = url.and_then(|node| source(r, &node));
    let body = section.take("body");
    let body = body.map(|node| body_template(r, &node));
    Some(Target::Webhook {
        url: url?,
        body: match body {
            Some(body) => Some(body?),
            None => None,
        },
    })
}

/// A template that gives JSON whatever is in its values.
fn body_template(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Template> {
    let source = node.filled_text(r)?;
    let template = Template::new(source);
    let template = template
        .map_err(|error| r.error(&node.span, format!("this is not a template: {error}")))
        .ok()?;
    let unknown = template
        .names()
        .iter()
        .find(|name| !BODY_NAMES.contains(&&***name));
    if let Some(name) = unknown {
        let span = r.word(&node.span, name);
        let hint = did_you_mean(name, BODY_NAMES);
        let help = hint.unwrap_or_else(|| format!("there are: {}", BODY_NAMES.join(", ")));
        r.error_help(&span, format!("a message has no `{name}`"), help.as_str());
        return None;
    }
    let value = |name: &&str| ((*name).to_owned(), "a \"b\"\n\\c\u{1}<d> 中".to_owned());
    let values: BTreeMap<String, String> = BODY_NAMES.iter().map(value).collect();
    let rendered = template
        .render(&values)
        .map_err(|error| r.error(&node.span, format!("it cannot be filled in: {error}")))
        .ok()?;
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&rendered) {
        let help = "a value becomes JSON, with its quotes, by the filter: {{ text|tojson }}";
        r.error_help(&node.span, format!("it gives no JSON: {error}"), help);
        return None;
    }
    Some(template)
}

fn smtp(r: &mut Reader<'_>, section: &mut Section<'_>, span: &Range<usize>) -> Option<Target> {
    let host = section.require(r, "host", "\"smtp.example.com\"");
    let host = host.and_then(|node| {
        let host = node.filled_text(r)?;
        let bad = |c: char| c.is_whitespace() || matches!(c, '/' | '@');
        if host.contains(bad) {
            let message = format!("`{host}` is no name of a machine");
            r.error_help(
                &node.span,
                message,
                "for instance: host = \"smtp.example.com\"",
            );
            return None;
        }
        Some(host.to_owned())
    });
    let security = section.take("security");
    let security_span = security.as_ref().map(|node| node.span.clone());
    let security = match security.and_then(|node| node.choice(r, &SECURITIES)) {
        Some(1) => Security::Tls,
        Some(2) => Security::None,
        _ => Security::StartTls,
    };
    let port = section.take("port");
    let port = port.and_then(|node| node.whole32(r, 1..=65535));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.unwrap_or(match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::None => 25,
    });
    let user = section.take("user");
    let password = section.take("password");
    if let (Some(lonely), None) | (None, Some(lonely)) = (&user, &password) {
        r.error(
            &lonely.key_span,
            "`user` and `password` belong together: give both, or none",
        );
    }
    let user_text = user.and_then(|node| node.filled_text(r));
    let password = password.and_then(|node| source(r, &node));
    let is_open = security == Security::None && password.is_some();
    if let Some(span) = security_span.filter(|_| is_open)
        && !host.as_deref().is_some_and(is_local)
    {
        r.warn(
            &span,
            "the password goes over the network for everybody to read",
            "write security = \"starttls\" or \"tls\"",
        );
    }
    let from = match section.take("from") {
        Some(node) => address(r, &node),
        None => {
            let own = user_text.filter(|user| user.parse::<lettre::Address>().is_ok());
            if own.is_none() {
                let help = "for instance: from = \"autotune@example.com\"";
                r.error_help(span, "[[notify.channel]] has no `from`", help);
            }
            own.map(str::to_owned)
        }
    };
    let to = section.require(r, "to", "[\"you@example.com\"]");
    let to = to.and_then(|node| {
        let list = node.list(r, "addresses")?;
        if list.is_empty() {
            r.error(&node.span, "`to` is empty: nobody would get the mail");
        }
        let addresses = list.iter().map(|node| address(r, node));
        addresses
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Option<Vec<_>>>()
    });
    Some(Target::Smtp(Box::new(Smtp {
        host: host?,
        port,
        security,
        login: user_text.map(str::to_owned).zip(password),
        from: from?,
        to: to?,
    })))
}

fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn address(r: &mut Reader<'_>, node: &Node<'_>) -> Option<String> {
    let text = node.filled_text(r)?;
    if text.parse::<lettre::message::Mailbox>().is_err() {
        let message = format!("`{text}` is no mail address");
        r.error_help(
            &node.span,
            message,
            "write you@example.com or Name <you@example.com>",
        );
        return None;
    }
    Some(text.to_owned())
}

/// Where a secret is found. The secret itself is never in a spec.
pub(super) fn source(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Source> {
    let key = node.key;
    if let toml::de::DeValue::String(_) = node.value {
        r.hide(&node.span);
        let message = format!("`{key}` is a secret, which does not belong into a spec");
        let help =
            format!("say where it is found: {key} = {{ credential = \"{key}\" }}, or file, or env");
        r.error_help(&node.span, message, help.as_str());
        return None;
    }
    let mut section = node.section(r, &format!("`{key}`"))?;
    let (credential, file) = (section.take("credential"), section.take("file"));
    let (name, env) = (section.take("name"), section.take("env"));
    section.hide_rest(r);
    section.finish(r);
    // Some write the secret itself where its place belongs.
    let written = [&credential, &file, &name, &env].into_iter().flatten();
    let written = written.filter(|node| is_secret(node)).count();
    if written > 0 {
        r.hide(&node.span);
        let message = format!("`{key}` names no place where a secret could be found");
        r.error_help(&node.span, message, WAYS);
        return None;
    }
    if let (Some(name), None) = (&name, &file) {
        r.error(
            &name.key_span,
            "`name` belongs to `file`: it is a variable in that file",
        );
        return None;
    }
    let folder = r.folder.clone();
    match (credential, file, env) {
        (Some(node), None, None) => {
            let name = node.text(r)?;
            names::plain(r, &node.span, name, SECRET_ALSO)
                .then(|| Source::Credential(name.to_owned()))
        }
        (None, Some(node), None) => {
            let file = path(r, &node, &folder)?;
            match name {
                None => Some(Source::File(file)),
                Some(name) => {
                    let name = name.text(r)?.to_owned();
                    Some(Source::Exported { file, name })
                }
            }
        }
        (None, None, Some(node)) => Some(Source::Env(node.text(r)?.to_owned())),
        _ => {
            let message = format!("`{key}` must say where it is found, in one way");
            r.error_help(&node.span, message, WAYS);
            None
        }
    }
}

/// Whether a text is more likely a secret than the place of one.
fn is_secret(node: &Node<'_>) -> bool {
    let toml::de::DeValue::String(text) = node.value else {
        return false;
    };
    let is_name = match node.key {
        "file" => !text.contains("://"),
        "credential" => names::is_plain(text, SECRET_ALSO),
        _ => names::is_variable(text),
    };
    !is_name
}
