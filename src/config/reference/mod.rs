//! The reference tuner (`auto_tune.sh`, `auto_tune.py`): what is found in a
//! repo that it tunes, as a spec that says the same.
//!
//! ```text
//! flags, environment, tune_secrets.sh ── settings ─┐
//! search space JSON, best_params.json ── repo ─────┼─ text ──> a spec on the preset
//! the journal's spec, env_force.sh                 ┘           `serving-env`
//! ```
//!
//! `autotuned convert` prints that spec, and `autotuned run --preset
//! serving-env --repo DIR` goes by it, so they cannot differ. No value of a
//! secret gets into it: it names where each is found.

mod notify;
mod repo;
mod settings;
mod text;

use std::path::{Path, PathBuf};

pub use self::settings::{SETTINGS, Setting, Takes};
use super::{Checked, Complaints, Origin, Refusal};
use crate::base::exports;
use crate::model::template::Template;

/// The preset that plays the reference tuner.
pub const PRESET: &str = "serving-env";

/// The file of secrets and settings that `auto_tune.sh` reads.
pub const SECRETS: &str = "tune_secrets.sh";

/// Variables by which `run_model.sh` leaves work out; the preset sets both to 1.
pub const SKIPS: [&str; 2] = ["SKIP_PIP_INSTALL", "SKIP_MODEL_DOWNLOAD"];

/// What a user asks of a repo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The repo; `$REPO` when `None`, else the current folder.
    pub repo: Option<PathBuf>,
    /// Flags with their values; empty for a switch.
    pub flags: Vec<(&'static str, String)>,
}

/// What the step `serve` of the preset runs.
const SERVER: &str = "run_model.sh";

/// A repo as a spec.
pub struct Translation {
    /// The spec's text.
    pub text: String,
    /// The repo; absolute.
    pub repo: PathBuf,
    /// What its owner should know, a sentence each.
    pub notes: Vec<String>,
    /// What the spec has not, with the reason and the way out.
    pub left_out: Vec<String>,
    /// Variables that `tune_secrets.sh` sets for the steps. They may be
    /// secrets, so no spec has them.
    env: Vec<(String, String)>,
}

impl Translation {
    /// The spec, checked.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self) -> Result<Checked, Complaints> {
        let origin = Origin {
            file: format!("the spec of {}", self.repo.display()),
            folder: self.repo.clone(),
        };
        super::check(&self.text, &origin)
    }
}

/// Reads what is in a repo. `environment` gives the value of a variable, and
/// `names` are those that there are.
///
/// # Errors
/// All that is wrong with it, a sentence each.
pub fn translate(
    wishes: &Wishes,
    environment: impl Fn(&str) -> Option<String>,
    names: &[String],
) -> Result<Translation, Vec<String>> {
    let given = environment("REPO").filter(|repo| !repo.is_empty());
    let repo = wishes.repo.clone().or(given.map(PathBuf::from));
    let repo = repo.unwrap_or_else(|| PathBuf::from("."));
    let repo = repo
        .canonicalize()
        .ok()
        .filter(|repo| repo.is_dir())
        .ok_or_else(|| {
            vec![format!(
                "there is no folder {}: give --repo DIR",
                repo.display()
            )]
        })?;
    if repo.to_str().is_none() {
        return Err(vec![format!(
            "the name of {} is not UTF-8: rename it",
            repo.display()
        )]);
    }
    let path = repo.join(SECRETS);
    let secrets = if path.try_exists().unwrap_or(true) {
        exports::read(&path).map_err(|error| vec![error.to_string()])?
    } else {
        Vec::new()
    };
    let mut translation = text::write(wishes, &repo, &secrets, &environment)?;
    translation
        .notes
        .extend(text::slips("the environment", names));
    Ok(translation)
}

/// What is in the repo that `wishes` names, with the environment of this process.
///
/// # Errors
/// All that is wrong with it, a sentence each.
pub fn translate_here(wishes: &Wishes) -> Result<Translation, Vec<String>> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<String> = names.collect();
    translate(wishes, |name| std::env::var(name).ok(), &names)
}

/// The checked spec of a repo.
///
/// # Errors
/// See [`Refusal`].
pub fn read(wishes: &Wishes) -> Result<Checked, Refusal> {
    let translation = translate_here(wishes).map_err(Refusal::Repo)?;
    // Nothing could be measured, and a folder that is no repo would be filled
    // with files.
    if !translation.repo.join(SERVER).exists() {
        let repo = translation.repo.display();
        let problem = format!("there is no {SERVER} in {repo}: give the repo by --repo DIR");
        return Err(Refusal::Repo(vec![problem]));
    }
    let mut checked = translation.check().map_err(Refusal::Wrong)?;
    for (name, value) in &translation.env {
        // A literal: `{` stands for nothing else in it.
        let literal = value.replace('{', "{{ '{' }}");
        if let Ok(template) = Template::new(literal) {
            checked.spec.env.push((name.clone(), template));
        }
    }
    checked.notes = translation.notes;
    Ok(checked)
}

/// The line that puts a secret where it belongs; `repo` is how its user names
/// the folder.
pub fn secret_line(setting: &Setting, repo: Option<&Path>) -> String {
    let file = repo.unwrap_or(Path::new(".")).join(SECRETS);
    let variable = setting.variables.first().unwrap_or(&"");
    format!(
        "--{} is not taken from the command line, which every user of this machine can read; put \
         this line into {}, and `chmod 600` that:\n  export {variable}='…'",
        setting.flag,
        file.display(),
    )
}

/// The folder of a repo's journal for a results file, within the repo: one for
/// each name, of which a slash is `%2F`.
fn journal_of(results: &str) -> String {
    let name = results.replace('%', "%25").replace('/', "%2F");
    format!(".autotune/{name}")
}
