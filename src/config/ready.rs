//! `ready = { … }` of a service: when it counts as ready.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Node, Reader, Section};
use super::text::{self, Known};
use crate::model::step::{PortOwner, Probe, Ready, ReadyCheck};
use crate::model::template::Template;

type Statuses = Vec<RangeInclusive<u16>>;

pub(super) fn read(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Ready> {
    if let DeValue::String(text) = node.value {
        let key = match text.split_once("://") {
            Some(("http", _)) => "http",
            None if text.contains(':') && !text.contains(' ') => "tcp",
            _ => "log",
        };
        let help = format!("write ready = {{ {key} = {text:?} }}");
        r.error_help(&node.span, "`ready` must be a table", help.as_str());
        return None;
    }
    let mut section = node.section(r, "`ready`")?;
    let checks = [
        section.take("http"),
        section.take("tcp"),
        section.take("log"),
    ];
    let given: Vec<&Node<'_>> = checks.iter().flatten().collect();
    let kind = given.first().map_or("", |node| node.key);
    let all = "one of `http`, `tcp` and `log`";
    match given[..] {
        [_] => {}
        [] => r.error(&section.span, format!("`ready` must have {all}")),
        [_, second, ..] => {
            r.error(&second.key_span, format!("`ready` can have only {all}"));
        }
    }
    if !matches!(kind, "" | "http") {
        section.refuse(r, &["status", "settle"], "belongs to `http`");
    }
    if kind == "log" {
        section.refuse(r, &["owner"], "belongs to `http` and `tcp`");
    }
    let status = statuses(r, &mut section);
    let check = given.first().and_then(|node| match kind {
        "http" => Some(ReadyCheck::Http {
            url: url(r, node, known)?,
            status: status?,
        }),
        "tcp" => Some(ReadyCheck::Tcp {
            address: address(r, node, known)?,
        }),
        _ => Some(ReadyCheck::Log {
            pattern: node.pattern(r)?,
        }),
    });
    let timeout = section.take("timeout").and_then(|node| node.some_time(r));
    let settle = section.take("settle").and_then(|node| node.duration(r));
    let owner = section.take("owner");
    let owner = owner.and_then(|node| node.choice(r, &["trial", "any"]));
    let probe = section.take("probe").map(|node| probe(r, &node, known));
    section.finish(r);
    let probe = match probe {
        Some(probe) => Some(probe?),
        None => None,
    };
    Some(Ready {
        check: check?,
        timeout: timeout.unwrap_or(Duration::from_secs(240)),
        settle: settle.unwrap_or(Duration::from_secs(5)),
        owner: if owner == Some(1) {
            PortOwner::Any
        } else {
            PortOwner::Trial
        },
        probe,
    })
}

fn probe(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Probe> {
    let mut section = node.section(r, "`probe`")?;
    let url_node = section.require(r, "url", "\"http://127.0.0.1:8000/v1/models\"");
    let url = url_node.and_then(|node| url(r, &node, known));
    let body = section.take("body");
    let body = body.and_then(|node| text::filled(r, &node, known));
    let status = statuses(r, &mut section);
    let expect = section.take("expect").and_then(|node| node.pattern(r));
    let timeout = section.take("timeout").and_then(|node| node.some_time(r));
    section.finish(r);
    Some(Probe {
        url: url?,
        body,
        status: status?,
        expect,
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
    })
}

/// Whether what a text begins with is only known once it is filled in.
fn begins_open(source: &str) -> bool {
    source.starts_with("{{") || source.starts_with("{%")
}

fn url(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Template> {
    let template = text::filled(r, node, known)?;
    let source = template.source();
    let host = source.strip_prefix("http://");
    let is_good = host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', ':']));
    if is_good && !source.contains(char::is_control) || begins_open(source) {
        return Some(template);
    }
    let message = format!("`{source}` is not a check that can be made: only http:// addresses can");
    let help = "for instance \"http://127.0.0.1:8000/health\"; for anything else look for a line of output: { log = '…' }";
    r.error_help(&node.span, message, help);
    None
}

fn address(r: &mut Reader<'_>, node: &Node<'_>, known: &Known) -> Option<Template> {
    let template = text::filled(r, node, known)?;
    let source = template.source();
    let is_open = source.contains("{{") || source.contains("{%");
    let is_good = source.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if is_open || is_good {
        return Some(template);
    }
    let message = format!("`{source}` is not a host and a port");
    r.error_help(&node.span, message, "for instance tcp = \"127.0.0.1:8000\"");
    None
}

fn statuses(r: &mut Reader<'_>, section: &mut Section<'_>) -> Option<Statuses> {
    use toml::de::DeValue;
    let Some(node) = section.take("status") else {
        return Some(vec![200..=399]);
    };
    let text = match node.value {
        DeValue::Integer(number) => number.to_string(),
        _ => node.text(r)?.to_owned(),
    };
    let one = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let code = |text: &str| {
            let code: u16 = text.trim().parse().ok()?;
            (100..=599).contains(&code).then_some(code)
        };
        Some(code(low)?..=code(high)?).filter(|range| !range.is_empty())
    };
    let statuses: Option<Statuses> = text.split(',').map(one).collect();
    if statuses.is_none() {
        let message = format!("`{text}` does not say which HTTP status codes are good");
        r.error_help(
            &node.span,
            message,
            "for instance \"200\", \"200,204\" or \"200-499\"",
        );
    }
    statuses
}
