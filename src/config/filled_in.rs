//! `NAME = { dotenv = "VARIABLE" }` in `[base]`: a value that stands in the
//! `.env` of the workdir. It is filled in before anything else is read, so that
//! a study keeps a text that says by itself what was tried.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::base::{dotenv, private};

/// What the name of a variable has in it that holds a secret.
const SECRETS: [&str; 5] = ["token", "key", "secret", "password", "passwd"];

/// The folder where the steps of a spec run: `folder` is the spec's own.
pub(super) fn workdir(table: &DeTable<'_>, folder: &Path) -> PathBuf {
    let study = table.get("study").map(Spanned::get_ref);
    let workdir = match study {
        Some(DeValue::Table(study)) => study.get("workdir").map(Spanned::get_ref),
        _ => None,
    };
    match workdir {
        Some(DeValue::String(workdir)) => folder.join(&**workdir),
        _ => folder.to_owned(),
    }
}

/// `text`, of which this is the tree, with what is in the `.env` of `workdir`;
/// `None` where nothing is to be filled in. What is not there is held open, as
/// by `{ required = "…" }`, unless the spec says what then: `or`.
pub(super) fn fill(text: &str, table: &DeTable<'_>, workdir: &Path) -> Option<String> {
    let Some(DeValue::Table(base)) = table.get("base").map(Spanned::get_ref) else {
        return None;
    };
    let file = workdir.join(".env");
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    for value in base.values() {
        let DeValue::Table(given) = value.get_ref() else {
            continue;
        };
        let Some(DeValue::String(name)) = given.get("dotenv").map(Spanned::get_ref) else {
            continue;
        };
        let lower = name.to_lowercase();
        let is_secret = SECRETS.iter().any(|part| lower.contains(part));
        // It is part of the spec from here on, which is no place for a secret.
        let found = private::read_open(&file).ok().filter(|_| !is_secret);
        let found = found.and_then(|text| dotenv::find(&text, name));
        let found = found.filter(|found| !found.is_empty());
        let instead = given.get("or").map(|or| text[or.span()].to_owned());
        let filled = match (found, instead) {
            (Some(found), _) => toml::Value::String(found).to_string(),
            (None, Some(instead)) => instead,
            (None, None) if is_secret => required(&format!(
                "{name} is a secret, and stands in `pass_secrets` of [study]"
            )),
            (None, None) => required(&format!("{name} in {}, or the value here", file.display())),
        };
        places.push((value.span(), filled));
    }
    if places.is_empty() {
        return None;
    }
    places.sort_by_key(|(place, _)| place.start);
    let mut filled = text.to_owned();
    for (place, value) in places.into_iter().rev() {
        filled.replace_range(place, &value);
    }
    Some(filled)
}

fn required(what: &str) -> String {
    format!("{{ required = {} }}", toml::Value::String(what.to_owned()))
}
