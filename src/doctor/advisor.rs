//! Whether the advisor of `[advisor]` has what it needs to be asked: its key,
//! and the certificates that it names. Nothing is sent.

use std::path::Path;

use super::finding::{Check, Finding};
use super::notify::parted;
use crate::advisor::Access;
use crate::base::http;
use crate::model::spec::Advisor;

/// What is not there, as this user and in this environment; nothing at all
/// where nobody advises.
pub fn look(advisor: Option<&Advisor>, workdir: &Path) -> Vec<Finding> {
    let Some(advisor) = advisor else {
        return Vec::new();
    };
    let url = reqwest::Url::parse(&advisor.base_url).ok();
    let is_local = url.as_ref().is_some_and(http::is_local);
    let found = Access::find(advisor, workdir, &|name| std::env::var_os(name));
    let mut findings = match &found {
        Ok(access) => match access.place() {
            Some(place) => vec![ok(advisor, &format!("the key is {place}"))],
            None if is_local => vec![ok(advisor, "no key, and a server of this machine")],
            None => vec![Finding::warning(
                Check::Advisor,
                format!("no key for {} was found", advisor.base_url),
                "`autotunectl advisor setup` stores one; api_key = false where it wants none",
            )],
        },
        Err(error) => {
            let (what, remedy) = parted(error);
            // Trials work without advice.
            vec![Finding::warning(Check::Advisor, what, remedy)]
        }
    };
    let has_key = found.is_ok_and(|access| access.place().is_some());
    if has_key && !is_local && url.is_some_and(|url| url.scheme() == "http") {
        findings.push(Finding::warning(
            Check::Advisor,
            format!("the key goes to {} for everybody to read", advisor.base_url),
            "use https://, or api_key = false where the server wants none",
        ));
    }
    if let Some(ca) = &advisor.ca
        && let Err(why) = http::certificates_in(ca)
    {
        findings.push(Finding::warning(
            Check::Advisor,
            format!("ca = {}: {why}", ca.display()),
            "name a file of certificates (PEM) that this user can read",
        ));
    }
    findings
}

fn ok(advisor: &Advisor, key: &str) -> Finding {
    let text = format!(
        "{} at {}: {key}; `autotunectl advisor test` asks it",
        advisor.model, advisor.base_url
    );
    Finding::ok(Check::Advisor, text)
}
