//! The files of a repo that say where the search starts and what it tries.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value as Json;

use super::PRESET;
use crate::base::exports;
use crate::config::{names, presets};

/// The journal's name, as `store` names it.
const JOURNAL: &str = "journal.jsonl";

/// No header of a journal is longer, in bytes.
const LONGEST_HEADER: u64 = 1 << 16;

/// Names with their texts, in order.
pub(super) type Assignment = Vec<(String, String)>;

/// Names with the values to try, in the order of exploration.
pub(super) type Space = Vec<(String, Vec<String>)>;

/// Where a search starts.
pub(super) struct Base {
    pub(super) values: Assignment,
    /// In words, for a comment.
    pub(super) from: String,
}

/// The value of `name`.
pub(super) fn value_of<'a>(values: &'a Assignment, name: &str) -> Option<&'a str> {
    let found = values.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// Base and space of the preset.
pub(super) fn built_in() -> (Assignment, Space) {
    let preset = presets::find(PRESET).map_or("", |preset| preset.text);
    let table: toml::Table = preset.parse().unwrap_or_default();
    let section = |name: &str| {
        let section = table.get(name).and_then(|section| section.as_table());
        section.cloned().unwrap_or_default().into_iter()
    };
    let base = section("base").map(|(name, value)| (name, text(&value)));
    let base: Assignment = base.collect();
    let space = section("space").map(|(name, values)| {
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut values: Vec<String> = values.iter().map(text).collect();
        // The preset lists its base value beside another text of the same
        // number; where the search starts elsewhere, nobody asked for both.
        let own = value_of(&base, &name).unwrap_or_default();
        let number = |text: &str| text.parse::<f64>().ok();
        let is_twin = |value: &String| value != own && number(value) == number(own);
        if number(own).is_some() && values.iter().any(is_twin) {
            values.retain(|value| value != own);
        }
        (name, values)
    });
    let space = space.collect();
    (base, space)
}

fn text(value: &toml::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Where the search of `repo` starts: where its journal did, so that a restart
/// goes on as if there had been none; else at the best params; else at the
/// preset's values.
///
/// # Errors
/// What is wrong with the file of the best params.
pub(super) fn base(
    repo: &Path,
    journal: &str,
    best: &str,
    built_in: &Assignment,
) -> Result<Base, String> {
    if let Some(values) = journal_base(&repo.join(journal)) {
        let from = format!("as in {journal}, where this study began");
        return Ok(Base { values, from });
    }
    let given = read_json(&repo.join(best))?;
    let Some(given) = given.filter(|given| !given.is_empty()) else {
        return Ok(Base {
            values: built_in.clone(),
            from: format!("the preset's, for want of {best}"),
        });
    };
    let mut values = built_in.clone();
    for (name, value) in given {
        let wrong = |why: &str| Err(format!("{best}: {name} {why}"));
        if !names::is_parameter(&name) {
            return wrong("cannot be the name of a parameter: leave it out");
        }
        let value = match text_of(value) {
            Ok(value) => value,
            Err(other) => return wrong(&format!("must be text, not {other}: write \"…\"")),
        };
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => values.push((name, value)),
        }
    }
    let from = format!("from {best}");
    Ok(Base { values, from })
}

/// The name of the study of `repo`: that with which its journal was begun, so
/// that it is found again whatever the folder is called by then; else that of
/// the folder, as far as a study can be called so.
pub(super) fn study_name(repo: &Path, journal: &str) -> String {
    journal_name(&repo.join(journal)).unwrap_or_else(|| name_of_folder(repo))
}

fn name_of_folder(repo: &Path) -> String {
    let folder = repo.file_name().unwrap_or_default().to_string_lossy();
    let letters = folder.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '-',
    });
    let name: String = letters.take(names::LONGEST).collect();
    match name.trim_matches(['-', '.']) {
        "" => PRESET.to_owned(),
        name => name.to_owned(),
    }
}

/// The study that the journal in `folder` says it is of.
fn journal_name(folder: &Path) -> Option<String> {
    let file = fs::File::open(folder.join(JOURNAL)).ok()?;
    let mut header = String::new();
    let mut reader = BufReader::new(file.take(LONGEST_HEADER));
    reader.read_line(&mut header).ok()?;
    let header: Json = serde_json::from_str(&header).ok()?;
    let name = header.get("study")?.as_str()?;
    Some(name.to_owned())
}

/// The base of the study whose journal is in `folder`, as the spec beside it
/// has it.
fn journal_base(folder: &Path) -> Option<Assignment> {
    if !folder.join(JOURNAL).exists() {
        return None;
    }
    let spec = fs::read_to_string(folder.join("spec.toml")).ok()?;
    let table: toml::Table = spec.parse().ok()?;
    let base = table.get("base")?.as_table()?.iter();
    let base = base.map(|(name, value)| (name.clone(), text(value)));
    Some(base.collect())
}

fn read_json(path: &Path) -> Result<Option<serde_json::Map<String, Json>>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(Json::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(format!(
            "{} is no JSON object: mend it, or move it away",
            path.display()
        )),
        Err(error) => Err(format!(
            "{} is no JSON ({error}): mend it, or move it away",
            path.display()
        )),
    }
}

/// A value as an environment variable has it: a text, or the digits of a number.
///
/// # Errors
/// What can be no variable's value.
fn text_of(value: Json) -> Result<String, Json> {
    match value {
        Json::String(text) if !text.contains('\0') => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        other => Err(other),
    }
}

/// Adds what an external search space has: new values to the end of a known
/// parameter's, new parameters to the end of the order.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn extend(space: &mut Space, path: &Path) -> Result<(), Vec<String>> {
    let missing = || {
        vec![format!(
            "there is no {}, which SEARCH_SPACE_FILE names",
            path.display()
        )]
    };
    let object = read_json(path).map_err(|error| vec![error])?;
    let mut problems = Vec::new();
    for (name, values) in object.ok_or_else(missing)? {
        let mut wrong = |what: String| problems.push(format!("{}: {what}", path.display()));
        if !names::is_parameter(&name) {
            wrong(format!("{name} cannot be the name of a parameter"));
            continue;
        }
        let Json::Array(values) = values else {
            wrong(format!("{name} must be a list of texts, not {values}"));
            continue;
        };
        let known = match space.iter().position(|(known, _)| *known == name) {
            Some(index) => index,
            None if values.is_empty() => {
                wrong(format!("{name} has no values"));
                continue;
            }
            None => {
                space.push((name.clone(), Vec::new()));
                space.len() - 1
            }
        };
        for value in values {
            match text_of(value) {
                Ok(text) if space[known].1.contains(&text) => {}
                Ok(text) => space[known].1.push(text),
                Err(other) => wrong(format!("{name}: {other} must be text: write \"…\"")),
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// How `env_force.sh` differs from where the search starts, a sentence each.
pub(super) fn forced(repo: &Path, base: &Assignment) -> Vec<String> {
    let Ok(text) = fs::read_to_string(repo.join("env_force.sh")) else {
        return Vec::new();
    };
    let mut said = Vec::new();
    let mut unread = 0;
    for line in text.lines() {
        let Ok(variables) = exports::parse(line) else {
            unread += 1;
            continue;
        };
        for (name, value) in variables {
            match value_of(base, &name) {
                Some(own) if own == value => {}
                Some(own) => said.push(format!("{name} is {value} there, and {own} here")),
                None => said.push(format!(
                    "{name} is {value} there: the steps get it only from the environment"
                )),
            }
        }
    }
    let differs = if said.is_empty() {
        "what it sets is what the search starts from".to_owned()
    } else {
        said.join("; ")
    };
    let unread = match unread {
        0 => String::new(),
        1 => "; one line of it needs a shell and was not looked at".to_owned(),
        count => format!("; {count} lines of it need a shell and were not looked at"),
    };
    vec![format!(
        "env_force.sh, which is not needed: parameters are set in every trial. {}{unread}",
        upper_first(&differs)
    )]
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
