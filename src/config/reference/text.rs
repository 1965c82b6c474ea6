//! A repo as the text of a spec.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::repo::{self, Assignment, Space, value_of};
use super::settings::{Found, Given, SETTINGS, Takes};
use super::{PRESET, SECRETS, SERVER, SKIPS, Translation, Wishes, journal_of};
use crate::base::wrap::{WIDTH, wrap};
use crate::config::names;
use crate::config::reader::did_you_mean;

/// What the names of the tuner's own variables begin with; some have none.
const PREFIX: &str = "TUNE_";

/// What has a part in the tuner and none in the spec.
const PARTS: [(&str, &str); 4] = [
    (
        "auto_tune.py",
        "which is not read: if you changed eval_cmd or a pattern in it, set `command` and \
         [step.metrics] of the step `eval`",
    ),
    (
        "run_autotune_forever.sh",
        "whose work `autotuned supervise` does, or the service",
    ),
    (
        "autotune.service",
        "in whose place the package has a service of its own",
    ),
    (
        "autotune.service.example",
        "in whose place the package has a service of its own",
    ),
];

/// The columns of a list on one line, less those of its key.
const LONGEST_LIST: usize = 60;

/// A text as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A list of texts, on several lines where it is long.
pub(super) fn list(texts: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    let whole = quoted.join(", ");
    if whole.chars().count() <= LONGEST_LIST {
        return format!("[{whole}]");
    }
    let mut lines = vec![String::new()];
    for text in quoted {
        let next = format!(" {text},");
        match lines.last_mut() {
            Some(line) if line.chars().count() + next.chars().count() <= LONGEST_LIST => {
                line.push_str(&next);
            }
            _ => lines.push(next),
        }
    }
    format!("[\n    {}\n]", lines.join("\n   ").trim_start())
}

/// A text as a comment can have it, without what would end that.
fn comment(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Seconds as a spec has them, to the millisecond.
fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("\"{}s\"", duration.as_secs()),
        _ => format!("\"{}ms\"", duration.as_millis()),
    }
}

/// The text under way.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) text: String,
}

impl Writer {
    pub(super) fn section(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    /// A section with a remark above it.
    fn remarked(&mut self, remark: &str, header: &str) {
        self.text.push('\n');
        self.comment("", remark);
        let _ = writeln!(self.text, "{header}");
    }

    /// A remark, its lines after the first indented by `indent` more.
    fn comment(&mut self, indent: &str, remark: &str) {
        for line in wrap("# ", &format!("# {indent}"), &comment(remark)) {
            let _ = writeln!(self.text, "{line}");
        }
    }

    /// `key = value`, with where the value comes from.
    pub(super) fn key(&mut self, key: &str, value: &str, found: Option<&Found>) {
        let line = format!("{key} = {value}");
        let line = match found.map(|found| (found, format!("{line}    # {found}"))) {
            Some((_, whole)) if whole.chars().count() <= WIDTH => whole,
            Some((found, _)) => format!("# {found}\n{line}"),
            None => line,
        };
        let _ = writeln!(self.text, "{line}");
    }

    /// The same where there is a value.
    fn given<T>(&mut self, key: &str, given: Option<(T, Found)>, show: impl Fn(T) -> String) {
        if let Some((value, found)) = given {
            self.key(key, &show(value), Some(&found));
        }
    }
}

pub(super) fn write(
    wishes: &Wishes,
    repo: &Path,
    secrets: &Assignment,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Translation, Vec<String>> {
    let in_file = |name: &str| value_of(secrets, name).map(str::to_owned);
    let mut given = Given {
        flags: &wishes.flags,
        environment,
        secrets: &in_file,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let folder = repo.display().to_string();
    let mut out = Writer::default();
    for line in [
        format!("What auto_tune.sh does in {folder}, as"),
        format!("`autotuned convert --repo {folder}` wrote it."),
        format!("What is not said here is the preset's: `autotunectl presets {PRESET}`."),
    ] {
        out.comment("", &line);
    }
    out.key("preset", &quoted(PRESET), None);
    let mut of_files = Writer::default();
    let files = files(&mut of_files, &mut given, repo);
    out.section("[study]");
    let name = repo::study_name(repo, &files.journal);
    out.key("name", &quoted(&name), None);
    out.key("workdir", &quoted(&folder), None);
    out.key("output_dir", &quoted(&folder), None);
    out.text.push_str(&of_files.text);
    if let Some((threshold, found)) = given.number("accuracy-threshold") {
        out.section("[[constraint]]\nmetric = \"accuracy\"");
        // In full, 1e30 would be a whole number of too many digits.
        out.key("min", &format!("{threshold:?}"), Some(&found));
    }
    host(&mut out, &mut given);
    let (base, space) = repo_space(&mut out, &mut given, repo, &files);
    skips(&mut out, environment, &in_file);
    steps(&mut out, &mut given);
    super::notify::write(&mut out, &mut given, repo);

    if !given.problems.is_empty() {
        return Err(given.problems);
    }
    let mut notes = given.notes;
    if !repo.join(SERVER).exists() {
        notes.push(format!(
            "there is no {SERVER}, which the step `serve` runs: set its `command`"
        ));
    }
    let (env, mut left_out) = others(secrets, &base, &space, &mut notes);
    let of_this_shell: Vec<&str> = secret_variables()
        .filter(|name| out.text.contains(&format!("{{ env = \"{name}\" }}")))
        .collect();
    if !of_this_shell.is_empty() {
        left_out.push(format!(
            "the values of {}, which only this shell has: for a service put them into {SECRETS}",
            of_this_shell.join(", ")
        ));
    }
    let venv = environment("VIRTUAL_ENV").or_else(|| environment("CONDA_PREFIX"));
    if let Some(venv) = venv.filter(|venv| !venv.is_empty()) {
        left_out.push(format!(
            "the Python environment {venv}, which only this shell has: for a service name \
             {venv}/bin/python3 in `command` of the step `eval`"
        ));
    }
    left_out.extend(repo::forced(repo, &base));
    let parts = PARTS.iter().filter(|(name, _)| repo.join(name).exists());
    left_out.extend(parts.map(|(name, why)| format!("{name}, {why}")));
    if !left_out.is_empty() {
        out.section("# Left out:");
    }
    for left in &left_out {
        out.comment("  ", &format!("- {left}"));
    }
    Ok(Translation {
        text: out.text,
        repo: repo.to_owned(),
        notes,
        left_out,
        env,
    })
}

/// What other parts need to know of `[files]`.
struct Files {
    journal: String,
    best: String,
}

fn files(out: &mut Writer, given: &mut Given<'_>, repo: &Path) -> Files {
    out.section("[files]");
    let mut name = |key: &str, flag: &'static str, default: &str| {
        let Some((text, found)) = given.text(flag) else {
            return default.to_owned();
        };
        // An absolute path within the repo is as good as its end.
        let path = Path::new(&text);
        let inside = path.strip_prefix(repo).unwrap_or(path);
        let inside = inside.strip_prefix(".").unwrap_or(inside);
        let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        if inside.as_os_str().is_empty() || !inside.components().all(is_normal) {
            let problem = format!("{found} must be a name within the repo, not `{text}`");
            given.problems.push(problem);
            return default.to_owned();
        }
        let inside: PathBuf = inside.components().collect();
        let inside = inside.to_string_lossy().into_owned();
        out.key(key, &quoted(&inside), Some(&found));
        inside
    };
    let results = name("results", "results", "tune_results.jsonl");
    let best = name("best", "best", "best_params.json");
    name("status", "status-file", "tune_status.json");
    name("logs", "server-log-dir", "tune_server_logs");
    let journal = journal_of(&results);
    out.key("journal", &quoted(&journal), None);
    Files { journal, best }
}

fn host(out: &mut Writer, given: &mut Given<'_>) {
    let retries = given.whole("port-busy-retries", 0..=1_000_000);
    let wait = given.seconds("port-busy-wait-s");
    let cooldown = given.seconds("cooldown");
    let kill = given.switch("port-busy-kill").filter(|(kill, _)| *kill);
    if retries.is_none() && wait.is_none() && cooldown.is_none() && kill.is_none() {
        return;
    }
    out.section("[host]");
    if retries.is_some() || wait.is_some() {
        let times = retries.as_ref().map_or(3, |(times, _)| *times);
        let pause = wait
            .as_ref()
            .map_or(Duration::from_secs(10), |(pause, _)| *pause);
        let found = retries
            .map(|(_, found)| found)
            .or(wait.map(|(_, found)| found));
        let total = pause
            .saturating_mul(times)
            .min(Duration::from_secs(365 * 86_400));
        out.key("port_wait", &seconds(total), found.as_ref());
    }
    out.given("cooldown", cooldown, seconds);
    out.given("port_kill", kill, |_| list(&["uvicorn", "serve:app"]));
}

/// Writes `[base]` and `[space]` as far as they differ from the preset's, and
/// returns them whole.
fn repo_space(
    out: &mut Writer,
    given: &mut Given<'_>,
    repo: &Path,
    files: &Files,
) -> (Assignment, Space) {
    let (base_before, space_before) = repo::built_in();
    let base = repo::base(repo, &files.journal, &files.best, &base_before);
    let base = base.unwrap_or_else(|problem| {
        given.problems.push(problem);
        repo::Base {
            values: base_before.clone(),
            from: String::new(),
        }
    });
    let mut space = space_before.clone();
    let mut added = None;
    match given.text("search-space-file") {
        Some((path, found)) => {
            match repo::extend(&mut space, &repo.join(path)) {
                Ok(()) => added = Some(found),
                Err(problems) => given.problems.extend(problems),
            };
        }
        None if repo.join("tune_search_space.json").exists() => given.notes.push(
            "tune_search_space.json is not used: SEARCH_SPACE_FILE=tune_search_space.json names it"
                .to_owned(),
        ),
        None => {}
    }
    with_own(&mut space, &base.values);
    let mut preset = space_before;
    with_own(&mut preset, &base_before);
    let is_new = |name: &str| {
        let of = |space: &Space| space.iter().find(|(known, _)| known == name).cloned();
        of(&space) != of(&preset)
    };
    // Other values in [space] take the preset's base value away.
    let moved: Vec<&(String, String)> = base
        .values
        .iter()
        .filter(|(name, value)| {
            value_of(&base_before, name) != Some(value.as_str()) || is_new(name)
        })
        .collect();
    if !moved.is_empty() {
        out.remarked(
            &format!("Where the search starts: {}.", base.from),
            "[base]",
        );
        for (name, value) in moved {
            out.key(name, &quoted(value), None);
        }
    }
    let changed: Vec<&(String, Vec<String>)> =
        space.iter().filter(|(name, _)| is_new(name)).collect();
    if !changed.is_empty() {
        let with = added.map(|found| format!(", with those of {found}"));
        let with = with.unwrap_or_default();
        out.remarked(
            &format!("What is tried where that differs from the preset{with}."),
            "[space]",
        );
        for (name, values) in changed {
            out.key(name, &list(values), None);
        }
    }
    (base.values, space)
}

/// The value from which the search starts is tried, too, and first.
fn with_own(space: &mut Space, base: &Assignment) {
    for (name, values) in space {
        if let Some(own) = value_of(base, name)
            && !values.iter().any(|value| value == own)
        {
            values.insert(0, own.to_owned());
        }
    }
}

fn skips(
    out: &mut Writer,
    environment: &dyn Fn(&str) -> Option<String>,
    in_file: &dyn Fn(&str) -> Option<String>,
) {
    let mut said = false;
    for name in SKIPS {
        let outer = environment(name).map(|value| (value, Found::Environment(name)));
        let inner = in_file(name).map(|value| (value, Found::Secrets(name)));
        let Some((value, found)) = outer.or(inner).filter(|(value, _)| value != "1") else {
            continue;
        };
        if !said {
            out.section("[env]");
            said = true;
        }
        let literal = value.replace('{', "{{ '{' }}");
        out.key(name, &quoted(&literal), Some(&found));
    }
}

fn steps(out: &mut Writer, given: &mut Given<'_>) {
    let port = given.whole("port", 1..=65535);
    let startup = given.some_seconds("startup-timeout");
    if port.is_some() || startup.is_some() {
        out.section("[[step]]\nname = \"serve\"\n[step.ready]");
        out.given("http", port, |port| {
            quoted(&format!("http://127.0.0.1:{port}/"))
        });
        out.given("timeout", startup, seconds);
    }
    let runs = given.whole("eval-runs", 1..=1000);
    let timeout = given.some_seconds("eval-timeout");
    if runs.is_some() || timeout.is_some() {
        out.section("[[step]]\nname = \"eval\"");
        out.given("runs", runs, |runs| runs.to_string());
        out.given("timeout", timeout, seconds);
    }
}

fn secret_variables() -> impl Iterator<Item = &'static str> {
    let secret = SETTINGS
        .iter()
        .filter(|setting| setting.takes == Takes::Secret);
    secret.flat_map(|setting| setting.variables).copied()
}

/// The variables of all settings.
fn known() -> impl Iterator<Item = &'static str> {
    let settings = SETTINGS.iter();
    settings.flat_map(|setting| setting.variables).copied()
}

/// What there is to say of the variables in `place` that are called like
/// settings and are none.
pub(super) fn slips(place: &str, names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut said = Vec::new();
    for name in names {
        let name = name.as_ref();
        if name.starts_with(PREFIX) && !known().any(|known| known == name) {
            let hint = did_you_mean(name, known()).map(|hint| format!(": {hint}"));
            let name = comment(name);
            said.push(format!(
                "{place} sets {name}, which nothing reads{}",
                hint.unwrap_or_default()
            ));
        }
    }
    said
}

/// What `tune_secrets.sh` sets besides settings: variables that reached the
/// steps, and slips.
fn others(
    secrets: &Assignment,
    base: &Assignment,
    space: &Space,
    notes: &mut Vec<String>,
) -> (Assignment, Vec<String>) {
    let is_parameter =
        |name: &str| value_of(base, name).is_some() || space.iter().any(|(known, _)| known == name);
    let mut left_out = Vec::new();
    let is_set = |name: &&str| value_of(secrets, name).is_some_and(|value| !value.is_empty());
    let found: Vec<&str> = secret_variables().filter(is_set).collect();
    if !found.is_empty() {
        left_out.push(format!(
            "the values of {}: secrets stay in {SECRETS}",
            found.join(", ")
        ));
    }
    let mut env = Assignment::new();
    notes.extend(slips(SECRETS, secrets.iter().map(|(name, _)| name)));
    for (name, value) in secrets {
        let is_ours = name.starts_with(PREFIX) || SKIPS.contains(&name.as_str());
        if is_ours || known().any(|known| known == name) || name == "REPO" {
            continue;
        }
        if names::is_reserved(name) {
            notes.push(format!(
                "{SECRETS} sets {name}, which no step gets from there"
            ));
        } else if !is_parameter(name) {
            env.push((name.clone(), value.clone()));
        }
    }
    if !env.is_empty() {
        let names: Vec<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
        left_out.push(format!(
            "{} in {SECRETS}, which reached the steps: `run --preset {PRESET}` passes it on; for a \
             service set it with `systemctl edit autotune` or, where it is no secret, in [env]",
            names.join(", ")
        ));
    }
    (env, left_out)
}
