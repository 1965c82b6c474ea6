//! The notifications of the reference tuner as `[notify]`.

use std::collections::BTreeSet;
use std::path::Path;

use super::SECRETS;
use super::settings::{Found, Given};
use super::text::{Writer, list, quoted};
use crate::model::notify::Kind;

pub(super) fn write(out: &mut Writer, given: &mut Given<'_>, repo: &Path) {
    let url = given.text("webhook-url");
    let secret = given.text("feishu-secret");
    let kind = given.text("webhook-kind");
    let host = given.text("smtp-host");
    let trial_done = given.switch("notify-trial-done").is_some_and(|(on, _)| on);
    let heartbeat = heartbeat(given);
    let every = given.whole("notify-trial-done-every", 1..=u32::MAX);
    let mail = mail_settings(given);
    if url.is_none() && host.is_none() {
        if let Some((_, found)) = mail.to.or(secret) {
            given.notes.push(format!(
                "{found} has no use without a webhook or a mail server: nobody is told anything"
            ));
        }
        return;
    }
    let mut kinds: Vec<&str> = Kind::ALL.map(Kind::name).to_vec();
    kinds.retain(|kind| *kind != "trial_done" || trial_done);
    if let Some((_, found)) = &url {
        let is_feishu = match kind.as_ref().map(|(kind, _)| kind.trim()) {
            None | Some("feishu") => true,
            Some("generic") => false,
            Some(other) => {
                let problem =
                    format!("the kind of webhook must be feishu or generic, not `{other}`");
                given.problems.push(problem);
                return;
            }
        };
        out.section("[[notify.channel]]");
        let name = if is_feishu { "feishu" } else { "webhook" };
        out.key("name", &quoted(name), None);
        out.key("type", &quoted(name), kind.as_ref().map(|(_, found)| found));
        out.key("url", &source(found, repo), None);
        if let Some((_, found)) = secret.filter(|_| is_feishu) {
            out.key("secret", &source(&found, repo), None);
        }
        out.key("kinds", &list(&kinds), None);
    }
    if let Some(host) = host {
        write_mail(out, given, repo, host, mail, url.is_some());
    }
    out.section("[notify.heartbeat]");
    out.key(
        "trials",
        &heartbeat.trials.0.to_string(),
        heartbeat.trials.1.as_ref(),
    );
    if let Some((interval, found)) = heartbeat.interval {
        out.key("interval", &quoted(&format!("{interval}s")), Some(&found));
    }
    if let Some((every, found)) = every {
        out.section("[notify.trial_done]");
        out.key("every", &every.to_string(), Some(&found));
    }
}

struct Heartbeat {
    trials: (u32, Option<Found>),
    interval: Option<(u64, Found)>,
}

fn heartbeat(given: &mut Given<'_>) -> Heartbeat {
    let trials = given.whole("heartbeat-trials", 0..=u32::MAX);
    let interval = given.seconds("heartbeat-interval-s");
    Heartbeat {
        trials: trials.map_or((10, None), |(trials, found)| (trials, Some(found))),
        interval: interval
            .filter(|(interval, _)| !interval.is_zero())
            .map(|(interval, found)| (interval.as_secs().max(1), found)),
    }
}

type Text = Option<(String, Found)>;

struct Mail {
    port: Option<(u32, Found)>,
    user: Text,
    password: Text,
    from: Text,
    to: Text,
    kinds: Text,
    plain: Option<(bool, Found)>,
    tls: Option<(bool, Found)>,
}

fn mail_settings(given: &mut Given<'_>) -> Mail {
    Mail {
        port: given.whole("smtp-port", 1..=65535),
        user: given.text("smtp-user"),
        password: given.text("smtp-pass"),
        from: given.text("smtp-from"),
        to: given.text("smtp-to"),
        kinds: given.text("email-kinds"),
        plain: given.switch("smtp-no-starttls").filter(|(on, _)| *on),
        tls: given.switch("smtp-ssl").filter(|(on, _)| *on),
    }
}

fn write_mail(
    out: &mut Writer,
    given: &mut Given<'_>,
    repo: &Path,
    (host, found): (String, Found),
    mail: Mail,
    fallback: bool,
) {
    let from = mail.from.or_else(|| mail.user.clone());
    let (Some((to, to_found)), Some((from, from_found))) = (mail.to, from) else {
        given.problems.push(format!(
            "{found} is set, but TUNE_SMTP_TO or TUNE_SMTP_FROM is not: say who gets mail, and \
             from whom"
        ));
        return;
    };
    let split = |text: &str| {
        let parts = text.split([',', ';']).map(str::trim).map(str::to_owned);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
    };
    let default = || "best,crashed,done".to_owned();
    let (kinds, kinds_found) = mail.kinds.unzip();
    let mut kinds = split(&kinds.unwrap_or_else(default));
    let mut known = BTreeSet::new();
    kinds.retain(|kind| known.insert(kind.clone()));
    if let Some(unknown) = kinds.iter().find(|kind| Kind::named(kind).is_none()) {
        let all = Kind::ALL.map(Kind::name).join(", ");
        given.problems.push(format!(
            "mail of the kind `{unknown}` is wanted, and there is none: choose of {all}"
        ));
        return;
    }
    out.section("[[notify.channel]]");
    out.key("name", "\"mail\"", None);
    out.key("type", "\"smtp\"", None);
    out.key("host", &quoted(&host), Some(&found));
    if let Some((port, found)) = mail.port {
        out.key("port", &port.to_string(), Some(&found));
    }
    match (mail.tls, mail.plain) {
        (Some((_, found)), _) => out.key("security", "\"tls\"", Some(&found)),
        (None, Some((_, found))) => out.key("security", "\"none\"", Some(&found)),
        (None, None) => {}
    }
    if let (Some((user, user_found)), Some((_, found))) = (mail.user, mail.password) {
        out.key("user", &quoted(&user), Some(&user_found));
        out.key("password", &source(&found, repo), None);
    }
    out.key("from", &quoted(&from), Some(&from_found));
    let to = split(&to);
    out.key("to", &list(&to), Some(&to_found));
    out.key("kinds", &list(&kinds), kinds_found.as_ref());
    if fallback {
        out.key("fallback", "true", None);
    }
}

/// Where a secret is found.
fn source(found: &Found, repo: &Path) -> String {
    match found {
        Found::Secrets(name) => {
            let file = quoted(&repo.join(SECRETS).display().to_string());
            format!("{{ file = {file}, name = \"{name}\" }}")
        }
        Found::Environment(name) | Found::Flag(name) => format!("{{ env = \"{name}\" }}"),
    }
}
