//! From the text of a spec to a checked [`Spec`], with a position for every
//! complaint.
//!
//! ```text
//! text ── toml ──> spanned tree ── merge ──> with what its preset fills in
//!      ── reader ──> typed values with their places
//!      ── study, space, rules, steps: each complains, none stops ──> Spec
//! ```
//!
//! All complaints are collected before any is shown. A key that nobody knows
//! is an error, since a slip in it would else be silently ignored.
//!
//! # The keys
//!
//! Durations are written `500ms`, `90s`, `10m`, `1h 30m`, `2d`; a bare number
//! is seconds. Sizes are written `64 MiB`. A template may ask for every
//! parameter and for [`CONTEXT_NAMES`]: `{{ PORT }}`. A relative path begins
//! at the spec's folder; neither `~` nor `$VARIABLES` are filled in.
//!
//! What a preset fills in is said in [`presets`]. `{ required = "…" }` stands for
//! a value that has yet to be given.
//!
//! | section | key | takes | default |
//! |---|---|---|---|
//! | | `preset` | name of a preset, which fills in what the spec does not say | none |
//! | `[study]` | `name` | letters, digits, `-`, `_`, `.`; 64 at most | required |
//! | | `workdir` | the folder where steps run | the spec's folder |
//! | | `output_dir` | the folder of the study's files | left to the program |
//! | | `seed` | whole number, 0 or more | 42 |
//! | | `pass_env` | list of environment variables that reach the steps; `*` stands for any letters, `!` before a name keeps back what another lets through | none |
//! | | `pass_secrets` | list of environment variables with secrets that reach the steps, each from the credential of that name in small letters, `.env` in the workdir, or the daemon's environment | none |
//! | | `log_max` | size, 4 KiB or more: the most that one log may take | `64 MiB` |
//! | | `approve` | `"never"`, `"trial"`: what the sampler proposes waits until somebody approves of it; or `"parameter"`: the first trial of each parameter that the sampler goes on to does | `"never"` |
//! | | `approve_timeout` | duration above 0 that an answer is waited for | for ever |
//! | | `approve_default` | `"approve"`, `"reject"` or `"pause"`: what happens then | `"pause"` |
//! | `[objective]` | `maximize` or `minimize` | a metric | one is required |
//! | `[[constraint]]` | `metric` | a metric, each at most once | required |
//! | | `min`, `max` | numbers; both bounds are allowed values | one at least |
//! | | `confidence` | `"mean"`: the mean over the runs decides; or a number from 0.5 to 1: the true mean must be within the bounds with that confidence | `"mean"` |
//! | `[budget]` | `trials`, `runs` | whole number, 1 or more | no limit |
//! | | `wall` | duration above 0 with a trial running | no limit |
//! | | `gpu_hours` | number above 0: hours with a trial running, times `gpus` | no limit |
//! | | `gpus` | whole number, 1 or more: how many GPUs a trial has | as many as `CUDA_VISIBLE_DEVICES` of `[env]` lists, else 1 |
//! | | `converged` | number from 0 to 1: `model` ends the study when it promises a smaller share of improvement; 0: never | 0.001 |
//! | | `converged_asks` | whole number, 1 or more: so many times in a row | 10 |
//! | `[search]` | `sampler` | `model`, `tpe`, `coordinate`, `grid`, `random`, `advisor` | `model` |
//! | | `passes` | 1 to 1000: how often `coordinate` goes round | 1 |
//! | | `levels` | 2 to 1000: how many points of a range are tried | 5 |
//! | | `racing` | whether a trial that cannot win any more is ended before its last run | `true` |
//! | | `median` | table, see below: a run is ended in its midst when others were better by then | none is |
//! | | `recheck` | whole number: after so many trials the starting values are measured again, for drift; 0 is never | 20; 0 with a task, and without racing |
//! | `median` | `after` | 1 or more: never before so many trials have run to their end | 5 |
//! | | `from` | whole number: never before this training step | 0 |
//! | | `maximize` or `minimize` | a metric of `[step.progress]` | the objective |
//! | `[confirm]` | `runs` | 0 to 1000: by so many fresh starts of each the best is compared with the starting values at the end | 3; 0 with a task |
//! | `[base]` | NAME | text, number, true or false, or `{ dotenv, or }`: what a variable in `.env` in the workdir says, or else the value of `or`: where the parameter starts; a name that `[space]` does not have is a parameter with this one value | first of the list, middle of the range |
//! | `[space]` | NAME | list of values, or a table; the order is the order of exploration | |
//! | | `.values` | list of values | one of these three is required |
//! | | `.int` | `[lowest, highest]`, whole numbers | |
//! | | `.float` | `[lowest, highest]` | |
//! | | `.log` | `true`: points of a range at equal ratios | `false` |
//! | | `.when` | condition on parameters above, `train_type == 'lora'` | always active |
//! | | `.tunable` | `false`: the advisor may not choose its value | `true` |
//! | `[[rule]]` | `require` | condition that all params must meet | required |
//! | `[remedy]` | `enabled` | `false`: none is tried | `true` |
//! | `[remedy.TROUBLE]` | `halve`, `double` | name of a parameter, or a list of them: a trial that fails by that known [trouble](crate::troubles) is tried once more with half, or twice, as much | none |
//! | | `set` | `{ NAME = value }`: and with these values | none |
//! | `[env]` | NAME | template: an environment variable of all steps | |
//! | `[[slot]]` | `name` | letters, digits, `-`, `_`; unique: a place for one trial at a time, beside those in the other slots | required |
//! | | `env` | `{ NAME = value }`: environment variables of the trials in it, as `CUDA_VISIBLE_DEVICES` | none |
//! | | `port` | 1 to 65535, unique: a port of its own, `{{ slot_port }}` in templates | none |
//! | `[host]` | `port_wait` | duration: how long a busy port is waited for | `30s` |
//! | | `port_kill` | list of texts: whoever holds the port is ended when its command line has all of them | nobody is ended |
//! | | `gpu_release` | duration: how long GPU memory is waited for that was free before; 0 for not at all | `30s` |
//! | | `cooldown` | duration: pause after each trial | `0s` |
//! | | `fault_wait` | duration: pause after a fault of the host | `10s` |
//! | | `cgroup` | whether trials get cgroups of their own where that can be had | `true` |
//! | `[limits]` | `memory_max` | size, 1 MiB or more: the memory of all that a trial starts; a trial that reaches it is killed as a whole | no limit |
//! | | `swap_max` | size: swap beside `memory_max` | `0` with `memory_max` |
//! | | `pids_max` | 1 to 4194304 processes and threads | no limit |
//! | | `cpus` | number of cores, 0.01 or more: computing time, on whichever cores | no limit |
//! | | `required` | `true`: no trial runs without them; `false`: a limit that cannot be applied is a warning | `false` |
//! | `[retention]` | `trials` | 1 or more: of so many of the newest trials the logs and folders are kept | 1000 |
//! | | `failures` | 0 or more: of so many of the newest that failed they are kept whatever comes | 20 |
//! | | `age` | duration above 0: older ones are removed | no limit |
//! | | `size` | size, 1 MiB or more: of all together; the oldest are removed first | no limit |
//! | | `artifacts` | 1 or more: of so many of the best trials the artifacts stay where they were made; those of others are removed | those of all |
//! | `[report]` | `language` | `en`, `zh`, `both`: of the reports that a study leaves | `both` |
//! | | `format` | `md`, `html`, `both`: of those | `both` |
//! | | `title` | text: their heading | one that names the study |
//! | | `notes` | text: what else is to be said; an empty line ends a paragraph | none |
//! | | `dialogues` | pattern of files with sample dialogues: among the best trial's artifacts, else in the study's output, else in the workdir | none |
//! | `[[report.dataset]]` | `name` | text: a data set that models are evaluated on | required |
//! | | `samples` | whole number, 1 or more, or a metric: how many samples of it | none |
//! | | `metrics` | `{ HEADING = METRIC }`: what is measured on it | required |
//! | | `base` | `{ HEADING = METRIC or number }`: the same of the base model | the baseline's |
//! | | `notes` | text | none |
//! | `[control]` | `socket` | path of the control socket | left to the program |
//! | | `read` | `owner`, `all`: who may ask how the study stands | `owner` |
//! | | `group` | a group whose members may ask and steer | none |
//! | `[files]` | `results`, `best`, `status`, `logs` | names within the output folder | those of [`FileNames`](crate::model::spec::FileNames) |
//! | | `best_model` | folder of the best trial's artifacts, within the output folder | `artifacts/best` |
//! | | `report` | name of a report within the output folder, with `{time}` in it and .md at its end | `reports/report-{time}.md` |
//! | | `journal` | folder of the journal and of what belongs to it, within the output folder | the output folder itself |
//! | | `metrics` | file of metrics for node_exporter, absolute or within the output folder, with .prom at its end | none |
//! | `[notify]` | `language` | `en`, `zh`: of the messages | `en` |
//! | `[[notify.channel]]` | `name` | letters, digits, `-`, `_`; unique | required |
//! | | `type` | `feishu`, `webhook`, `smtp` | required |
//! | | `kinds` | list of `start`, `heartbeat`, `trial_done`, `best`, `failed`, `timeout`, `crashed`, `abnormal`, `paused`, `done` | all but `trial_done` |
//! | | `fallback` | `true`: it also gets what another channel has given up on | `false` |
//! | | `ca` | path of a file of certificates (PEM) that are trusted besides the system's | none |
//! | | `url` | secret: where to post; feishu and webhook only | required |
//! | | `secret` | secret: what messages are signed with; feishu only | none |
//! | | `body` | template of JSON over [`BODY_NAMES`](crate::model::notify::BODY_NAMES); webhook only | an object of all of them |
//! | | `host` | name of the mail server; this and the following: smtp only | required |
//! | | `port` | 1 to 65535 | 587 with `starttls`, 465 with `tls`, 25 with `none` |
//! | | `security` | `starttls`, `tls`, `none` | `starttls` |
//! | | `user`, `password` | text; secret: who logs in, and with what | no login |
//! | | `from` | mail address | `user`, where that is one |
//! | | `to` | list of mail addresses | required |
//! | `[notify.heartbeat]` | `trials` | whole number: a heartbeat after so many trials; 0 for none | 0 |
//! | | `interval` | duration, 1 s or more: a heartbeat after so much time; 0 for none | `0s` |
//! | `[notify.trial_done]` | `every` | 1 or more: every how many trials one is told of | 1 |
//! | `[advisor]` | `enabled` | whether it is asked | `true` |
//! | | `base_url` | address of an OpenAI-compatible endpoint, without `/chat/completions` | `https://api.openai.com/v1` |
//! | | `model` | the model's name there | required |
//! | | `api_key` | secret: the key; `false`: none is sent | the credential `openai_api_key`, `.env` in the workdir, the variable `OPENAI_API_KEY` |
//! | | `ca` | path of a file of certificates (PEM) that are trusted besides the system's | none |
//! | | `temperature` | number from 0 to 2 | left to the server |
//! | | `timeout` | duration above 0: how long an answer may take | `120s` |
//! | | `max_tokens` | whole number, 2000 or more: tokens of the whole study, questions and answers; 0 for no limit | 500000 |
//! | | `answer_tokens` | 16 to 1000000: tokens of an answer | 4096 |
//! | | `price` | `{ prompt, completion }`: what a million tokens cost | none |
//! | | `max_priority_params` | 1 to 1000: so many parameters its plan may name | 3 |
//! | | `rounds_per_param` | 1 to 1000: so many trials each of them gets | 3 |
//! | | `share` | number from 0 to 1: the share of proposals that are its own where another sampler is the study's | 0 |
//! | | `language` | `en`, `zh`, `both`: of its comments | `en` |
//! | | `about` | text: what is tuned | none |
//! | | `prompt_file` | `{ system, plan, value, params, summary }`: paths of files of templates over [`PROMPT_NAMES`](crate::model::spec::PROMPT_NAMES) | texts of its own |
//! | `secret` | `credential` | a file of this name in /etc/autotune/credentials, which systemd hands on | one of these three is required |
//! | | `file`, `name` | path of a file that only its owner may read: all of it, or a variable in it | |
//! | | `env` | variable of the daemon's environment | |
//! | `[catalogue]` | `ms_swift` | the release of ms-swift that steps call, `3.0` or `4.6.0`, for what their arguments are held against | unknown |
//! | `[[preflight]]` | `name` | letters, digits, `-`, `_`; unique among all steps | required |
//! | | `enabled`, `command`, `params`, `env`, `file`, `find`, `notes`, `workdir`, `stop`, `stop_grace` | as of a step: a task that must go well before anything is tried | |
//! | | `timeout` | duration above 0 | `24h` |
//! | `[[incumbent]]` | `name` | letters, digits, `-`, `_`; unique among all steps | required |
//! | | `enabled`, `command`, `params`, `env`, `file`, `find`, `notes`, `workdir`, `stop`, `stop_grace` | as of a step: a task that follows when a trial has become the best | |
//! | | `timeout` | duration above 0 | `24h` |
//! | `[[step]]` | `name` | letters, digits, `-`, `_`; unique | required |
//! | | `enabled` | `false`: it is as if the step were not there | `true` |
//! | | `find` | `{ NAME = pattern }` or `{ NAME = { glob, nth } }`: the newest file or folder that matches as the step begins, for which `{{ NAME }}` stands in `command` and `env` | |
//! | | `notes` | `{ NAME = regular expression }` or `{ NAME = { regex, missing } }`: texts of its output that its owner should know; task and measure only | none |
//! | | `kind` | `service`, `task`, `measure` | required |
//! | | `command` | list of templates: program and arguments; one that comes to nothing is left out | required |
//! | | `params` | `env`: parameters are environment variables; `none`: they are not | `env` |
//! | | `env` | `{ NAME = template }` | |
//! | | `file` | list of `{ name, text }` or `{ name, template }`: files made in the trial's folder, from a template or from a file with one | |
//! | | `workdir` | folder, relative to that of the study | that of the study |
//! | | `stop` | list of templates: a command that ends what runs elsewhere | |
//! | | `stop_grace` | duration from SIGTERM to SIGKILL | `10s` |
//! | | `artifacts` | list of patterns, or of `{ glob, newest, required }`: what it makes that is worth keeping; task and measure only | none |
//! | | `resume` | `{ checkpoint, complete, arguments, env, retry }`: how it goes on from a checkpoint; task only | it begins anew |
//! | | `timeout` | duration above 0; task and measure only | `24h` of a task, `10m` of one run |
//! | | `runs` | 1 to 1000; measure only | 3 |
//! | | `warmup` | 0 to 1000 runs before that do not count; measure only | 0 |
//! | | `parts` | 2 to 100: a run is so many executions, each told its `{{ part }}`; measure only | a run is one execution |
//! | | `progress` | regular expression with a group for lines that tell what a metric is going to be about; measure only; or a table, see below, of task and measure | nothing is told |
//! | | `stall_timeout` | duration above 0: a run that prints nothing for so long, and writes nothing that `progress` reads, is ended; task and measure only | no limit |
//! | | `ready` | table, see below; service only | required |
//! | | `metrics` | table, see below; task and measure only | required of a measure |
//! | `ready` | `http` | template of an `http://` address | one of these three is required |
//! | | `tcp` | template of `host:port` | |
//! | | `log` | regular expression for a line of output | |
//! | | `status` | `"200"`, `"200,204"`, `"200-499"`; `http` only | `200-399` |
//! | | `timeout` | duration above 0 | `240s` |
//! | | `settle` | duration for which a 4xx must have stayed; `http` only | `5s` |
//! | | `owner` | `trial`, `any`: whose listener it must be; not for `log` | `trial` |
//! | | `probe` | `{ url, body, status, expect, timeout }`: one real request; `body` is POSTed, `expect` is a regular expression for the answer, `timeout` is `30s` | none |
//! | `[step.metrics]` | NAME | a regular expression with a group, or a table | |
//! | | `.regex` | the same; the group named `value` is the number, else the first that is named neither `step` nor `of` | |
//! | | `.json`, `.file` | JSON pointer; template of the file, in which `*`, `?`, `[…]`, `**` stand for other names: the newest counts that the run has written | last line of output that is a JSON object |
//! | | `.records` | JSON pointer to a list in the document, into whose records `json` points | the document |
//! | | `.jsonl`, `.pointer` | template of the file, as above, with one JSON object a line; JSON pointer into a record | |
//! | | `.match` | which match, or record that has it, counts: `last`, `first`, `min`, `max`; not of one document | `last` |
//! | | `.at` | number: that of this training step counts | |
//! | | `.step` | JSON pointer to the training step in a record; a pattern has a group `step` | |
//! | | `.optional` | whether a run without it is good all the same | `false` |
//! | `[step.progress]` | NAME | a regular expression with a group, or a table: a metric that is read while a run goes on; 16 at most | |
//! | | `.regex` | the same; a group `step` is the training step, a group `of` the last one | |
//! | | `.jsonl`, `.pointer`, `.step` | as of a metric | |

mod advisor;
#[cfg(test)]
mod advisor_tests;
mod amend;
#[cfg(test)]
mod amend_tests;
mod approval;
mod arguments;
mod artifacts;
mod beside;
mod bounds;
mod complaint;
mod curves;
mod extent;
mod filled_in;
mod limits;
mod marks;
mod merge;
mod metrics;
mod names;
mod notes;
mod notify;
#[cfg(test)]
mod notify_tests;
pub mod presets;
mod reader;
mod ready;
pub mod reference;
mod refusal;
mod remedy;
mod report;
mod retention;
mod rules;
mod secret_lines;
mod slots;
mod source;
mod space;
mod steps;
mod study;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod write_out;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::Digest;
use toml::de::DeTable;

pub use self::amend::Draft;
use self::arguments::Catalogued;
pub use self::complaint::{Complaint, Complaints, Level};
pub use self::names::CONTEXT_NAMES;
use self::presets::Preset;
use self::reader::{Reader, Section};
pub use self::refusal::Refusal;
pub use self::source::SpecSource;
use self::syntax::parse;
use crate::base::file::folder_of;
use crate::model::notify::Notify;
use crate::model::space::Space;
use crate::model::spec::{Advisor, Spec};
use crate::model::step::Step;

/// The largest spec, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file's name as complaints show it.
    pub file: String,
    /// The folder at which relative paths begin.
    pub folder: PathBuf,
}

impl Origin {
    /// The origin of the text of a file.
    pub fn of(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            folder: folder_of(path).to_path_buf(),
        }
    }
}

/// A spec that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The spec.
    pub spec: Spec,
    /// Its text: as it was read, or with what its preset fills in. It means the
    /// same by itself, whatever becomes of the preset.
    pub text: String,
    /// What its owner should look at all the same.
    pub warnings: Complaints,
    /// What else they should know, a sentence each.
    pub notes: Vec<String>,
}

/// Reads and checks the spec at `path`.
///
/// # Errors
/// Everything that is wrong with it, or why it could not be read.
pub fn read(path: &Path) -> Result<Checked, Refusal> {
    let text = read_text(path)?;
    check(&text, &Origin::of(path)).map_err(Refusal::Wrong)
}

fn read_text(path: &Path) -> Result<String, Refusal> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Refusal::Missing(path.to_path_buf()),
        io::ErrorKind::IsADirectory => Refusal::Folder(path.to_path_buf()),
        _ => Refusal::Unreadable {
            path: path.to_path_buf(),
            source,
        },
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Refusal::TooLarge(path.to_path_buf()));
    }
    String::from_utf8(bytes).map_err(|error| Refusal::NotText {
        path: path.to_path_buf(),
        at: error.utf8_error().valid_up_to(),
    })
}

/// Checks the text of a spec. The files of templates that it names are read;
/// whether the machine has the rest is for the room `doctor`.
///
/// # Errors
/// Everything that is wrong with it, warnings among it.
pub fn check(text: &str, origin: &Origin) -> Result<Checked, Complaints> {
    let mut r = Reader::new(text, &origin.folder);
    let table = parse(&mut r, text).and_then(|mut table| {
        let preset = presets::named_by(&mut r, &mut table)?;
        Some((table, preset))
    });
    let Some((table, preset)) = table else {
        let shown = r.shown();
        return Err(Complaints::new(&origin.file, &shown, r.into_complaints()));
    };
    let workdir = filled_in::workdir(&table, &origin.folder);
    if let Some(filled) = filled_in::fill(text, &table, &workdir) {
        return check(&filled, origin);
    }
    if let Some(preset) = preset {
        return check_with(text, table, preset, (origin, &workdir));
    }
    let (spec, shown, complaints) = check_table(r, &table);
    let complaints = Complaints::new(&origin.file, &shown, complaints);
    conclude(spec, text.to_owned(), complaints)
}

/// Checks a spec, of which the text was parsed, with what its preset fills in.
fn check_with<'t>(
    text: &'t str,
    table: DeTable<'t>,
    preset: &Preset,
    (origin, workdir): (&Origin, &Path),
) -> Result<Checked, Complaints> {
    let filled = DeTable::parse(preset.text)
        .ok()
        .and_then(|table| filled_in::fill(preset.text, table.get_ref(), workdir));
    let preset_text = filled.as_deref().unwrap_or(preset.text);
    // One text of two, so that a place in it is enough to tell where something
    // stands. The preset is read with its places in the whole.
    let whole = format!("{text}\n{preset_text}");
    let start = text.len() + 1;
    let shifted = "\n".repeat(start) + preset_text;
    let mut r = Reader::new(&whole, &origin.folder);
    let filled_in = parse(&mut r, &shifted).unwrap_or_default();
    let table = merge::merge(table, filled_in);
    let text = write_out::write_out(&table, &whole);
    r.digest = sha2::Sha256::new_with_prefix(&text);
    r.preset = Some((preset.name, start));
    let (spec, shown, complaints) = check_table(r, &table);
    let complaints = Complaints::new(&origin.file, &shown, complaints);
    conclude(spec, text, complaints.with_preset(preset.file(), start))
}

fn conclude(spec: Option<Spec>, text: String, warnings: Complaints) -> Result<Checked, Complaints> {
    match spec {
        Some(spec) => Ok(Checked {
            spec,
            text,
            warnings,
            notes: Vec::new(),
        }),
        None => Err(warnings),
    }
}

/// The spec in `table`, unless there is an error; the text as it may be shown,
/// and all complaints about it.
fn check_table(mut r: Reader<'_>, table: &DeTable<'_>) -> (Option<Spec>, String, Vec<Complaint>) {
    let root = Section::new("a spec", table, 0..0);
    let spec = check_root(&mut r, root);
    let spec = spec.filter(|_| !r.failed());
    (spec, r.shown(), r.into_complaints())
}

/// Reads `[notify]` of the spec at `path`, and the study's name if it has one;
/// whatever else is wrong with it.
///
/// # Errors
/// What is wrong with these, or why the file could not be read.
pub fn read_notify(path: &Path) -> Result<(Option<String>, Notify), Refusal> {
    let (notify, name) = read_alone(path, "notify", notify::read, |r, study| {
        let node = study?.take("name")?;
        node.text(r).map(str::to_owned)
    })?;
    Ok((name, notify))
}

/// Reads `[advisor]` of the spec at `path`, and the folder where its steps run;
/// whatever else is wrong with it.
///
/// # Errors
/// What is wrong with these, or why the file could not be read.
pub fn read_advisor(path: &Path) -> Result<(PathBuf, Option<Advisor>), Refusal> {
    let (advisor, workdir) = read_alone(path, "advisor", advisor::read, |r, study| {
        let folder = r.folder.clone();
        let node = study.and_then(|mut study| study.take("workdir"));
        node.and_then(|node| study::path(r, &node, &folder))
            .unwrap_or(folder)
    })?;
    Ok((workdir, advisor))
}

/// Reads the section `key` of the spec at `path`, and one key of `[study]`;
/// whatever else is wrong with it.
fn read_alone<T, S>(
    path: &Path,
    key: &'static str,
    read: impl FnOnce(&mut Reader<'_>, Option<Section<'_>>) -> T,
    of_study: impl FnOnce(&mut Reader<'_>, Option<Section<'_>>) -> S,
) -> Result<(T, S), Refusal> {
    let text = read_text(path)?;
    let origin = Origin::of(path);
    let mut r = Reader::new(&text, &origin.folder);
    let table = parse(&mut r, &text);
    let mut root = table
        .as_ref()
        .map(|table| Section::new("a spec", table, 0..0));
    let mut section = |r: &mut Reader<'_>, key: &'static str| {
        let node = root.as_mut()?.take(key)?;
        node.section(r, &format!("[{key}]"))
    };
    let own = section(&mut r, key);
    let own = read(&mut r, own);
    let study = section(&mut r, "study");
    let of_study = of_study(&mut r, study);
    if r.failed() {
        let shown = r.shown();
        let complaints = Complaints::new(&origin.file, &shown, r.into_complaints());
        return Err(Refusal::Wrong(complaints));
    }
    Ok((own, of_study))
}

fn check_root(r: &mut Reader<'_>, mut root: Section<'_>) -> Option<Spec> {
    let required = [
        ("study", "[study]", "begin with [study] and name = \"…\""),
        (
            "objective",
            "[objective]",
            "add [objective] with maximize = \"…\" or minimize = \"…\"",
        ),
        ("step", "[[step]]", "a trial needs a step that measures"),
    ];
    for (_, label, help) in required.iter().filter(|(key, ..)| !root.has(key)) {
        r.error_help(&(0..0), format!("there is no {label}"), *help);
    }
    let mut section = |r: &mut Reader<'_>, key: &'static str| {
        root.take(key)
            .and_then(|node| node.section(r, &format!("[{key}]")))
    };
    let study_section = section(r, "study");
    let objective = section(r, "objective");
    let budget = section(r, "budget");
    let search_section = section(r, "search");
    let confirm = section(r, "confirm");
    let base = section(r, "base");
    let space_section = section(r, "space");
    let env = section(r, "env");
    let host = section(r, "host");
    let limits = section(r, "limits");
    let retention = section(r, "retention");
    let remedy = section(r, "remedy");
    let report = section(r, "report");
    let control = section(r, "control");
    let files = section(r, "files");
    let notify = section(r, "notify");
    let advisor = section(r, "advisor");
    let catalogue = section(r, "catalogue");
    let mut sections = |r: &mut Reader<'_>, key: &'static str| {
        let node = root.take(key);
        node.map(|node| node.sections(r, key)).unwrap_or_default()
    };
    let constraints = sections(r, "constraint");
    let rules = sections(r, "rule");
    let steps = sections(r, "step");
    let preflight = sections(r, "preflight");
    let incumbent = sections(r, "incumbent");
    let slots = sections(r, "slot");
    // Taken already; it is one of the keys that there are.
    root.take("preset");
    root.refuse_with(
        r,
        "metrics",
        "[metrics] belongs to a step: write [step.metrics] below the [[step]] that yields them",
    );
    root.finish(r);

    let study = study::study(r, study_section);
    let objective = study::objective(r, objective);
    let constraints = study::constraints(r, constraints);
    let budget = study::budget(r, budget);
    let (mut search, sampler, median) = study::search(r, search_section);
    let confirm = study::confirm(r, confirm);
    let host = study::host(r, host);
    let limits = limits::read(r, limits, host.cgroup);
    let retention = retention::read(r, retention);
    let (mut report, reported) = report::read(r, report);
    let control = study::control(r, control);
    let files = study::files(r, files);
    let notify = notify::read(r, notify);
    let has_advisor = advisor.is_some();
    let advisor = advisor::read(r, advisor);

    study::advised(r, &search, sampler.as_ref(), has_advisor);

    let space_span = space_section.as_ref().map(|section| section.span.clone());
    let declared = space::read(r, base, space_section);
    let rules = rules::read(r, rules, &declared);
    let is_whole = declared.parameters.len() == declared.names.len();
    let space = match Space::new(declared.parameters.clone(), rules) {
        Ok(space) => Some(space),
        Err(errors) => {
            // Each has been complained about, with its place.
            if !r.failed() {
                let span = space_span.clone().unwrap_or(0..0);
                errors.iter().for_each(|e| r.error(&span, e.to_string()));
            }
            None
        }
    };
    let remedies = remedy::read(r, remedy, &declared);
    let slots = slots::read(r, slots, &declared);
    slots::warn_of_idleness(r, &slots, search.sampler);
    let whole = space.as_ref().filter(|_| is_whole);
    let known = text::Known::new(&declared, whole, &slots);
    let env = text::variables(r, env, &known, true);
    let no_steps = steps.is_empty();
    let catalogued = Catalogued::read(r, catalogue, &declared.parameters);
    let (steps, yields) = {
        let objective = objective.as_ref().map(|(objective, _)| &*objective.metric);
        steps::read(
            r,
            steps,
            &study.workdir,
            (&known, &catalogued, objective, search.racing),
        )
    };
    let mut taken: Vec<String> = steps.iter().map(|step| step.name.to_string()).collect();
    let mut tasks = |r: &mut Reader<'_>, sections| {
        let given = (&known, &catalogued);
        beside::read(r, sections, &study.workdir, given, &mut taken)
    };
    let preflight = tasks(r, preflight);
    let incumbent = tasks(r, incumbent);
    let all_steps = steps.iter().chain(&preflight).chain(&incumbent);
    slots::check(r, &slots, all_steps);
    if let Some(said) = median {
        let objective = objective.as_ref().map(|(objective, _)| objective);
        search.median = said.rule(r, objective, &steps);
    }
    if !no_steps {
        if let Some((objective, span)) = &objective {
            study::yielded(r, &objective.metric, span, &yields);
            study::not_optional(r, &objective.metric, span, &steps);
        }
        for (constraint, span) in &constraints {
            study::yielded(r, &constraint.metric, span, &yields);
            study::not_optional(r, &constraint.metric, span, &steps);
        }
        report::leave_out(r, &mut report, &yields);
        for (metric, span) in &reported {
            if !report::is_idle(r, metric, &yields) {
                study::yielded(r, metric, span, &yields);
            }
        }
    }
    let sees_all = |step: &Step| step.params_in_env;
    if !r.failed() && !steps.iter().any(sees_all) {
        declared.warn_of_unused(r);
    }
    let space = space?;
    extent::warn(r, &space, space_span, &search, sampler, &budget);
    approval::check(r, &study.approval, search.sampler);
    Some(Spec {
        name: study.name,
        workdir: study.workdir,
        output_dir: study.output_dir,
        seed: study.seed,
        objective: objective?.0,
        constraints: constraints.into_iter().map(|(c, _)| c).collect(),
        budget,
        search,
        approval: study.approval.approval,
        confirm,
        space,
        remedies,
        steps,
        preflight,
        incumbent,
        slots,
        pass_env: study.pass_env,
        pass_secrets: study.pass_secrets,
        env,
        host,
        limits,
        control,
        files,
        notify,
        log_max: study.log_max,
        retention,
        report,
        advisor,
        digest: hexadecimal(&r.digest.clone().finalize()),
        folder: r.folder.clone(),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
