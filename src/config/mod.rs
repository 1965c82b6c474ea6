//! From the text of a spec to a checked [`Spec`], with a position for every
//! complaint.
//!
//! ```text
//! text ── toml ──> spanned tree ── reader ──> typed values with their places
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
//! | section | key | takes | default |
//! |---|---|---|---|
//! | `[study]` | `name` | letters, digits, `-`, `_`, `.`; 64 at most | required |
//! | | `workdir` | the folder where steps run | the spec's folder |
//! | | `output_dir` | the folder of the study's files | left to the program |
//! | | `seed` | whole number, 0 or more | 42 |
//! | | `pass_env` | list of environment variables that reach the steps; `*` stands for any letters | none |
//! | | `log_max` | size, 4 KiB or more: the most that one log may take | `64 MiB` |
//! | `[objective]` | `maximize` or `minimize` | a metric | one is required |
//! | `[[constraint]]` | `metric` | a metric, each at most once | required |
//! | | `min`, `max` | numbers; both bounds are allowed values | one at least |
//! | `[budget]` | `trials`, `runs` | whole number, 1 or more | no limit |
//! | | `wall` | duration above 0 with a trial running | no limit |
//! | `[search]` | `sampler` | `coordinate`, `grid`, `random` | `coordinate` |
//! | | `passes` | 1 to 1000: how often `coordinate` goes round | 1 |
//! | | `levels` | 2 to 1000: how many points of a range are tried | 5 |
//! | | `racing` | whether a trial that cannot win any more is ended before its last run | `true` |
//! | `[base]` | NAME | text, number, true or false: where the parameter starts; a name that `[space]` does not have is a parameter with this one value | first of the list, middle of the range |
//! | `[space]` | NAME | list of values, or a table; the order is the order of exploration | |
//! | | `.values` | list of values | one of these three is required |
//! | | `.int` | `[lowest, highest]`, whole numbers | |
//! | | `.float` | `[lowest, highest]` | |
//! | | `.log` | `true`: points of a range at equal ratios | `false` |
//! | | `.when` | condition on parameters above, `train_type == 'lora'` | always active |
//! | `[[rule]]` | `require` | condition that all params must meet | required |
//! | `[env]` | NAME | template: an environment variable of all steps | |
//! | `[host]` | `port_wait` | duration: how long a busy port is waited for | `30s` |
//! | | `gpu_release` | duration: how long GPU memory is waited for that was free before; 0 for not at all | `30s` |
//! | | `cooldown` | duration: pause after each trial | `0s` |
//! | | `fault_wait` | duration: pause after a fault of the host | `10s` |
//! | | `cgroup` | whether trials get cgroups of their own where that can be had | `true` |
//! | `[limits]` | `memory_max` | size, 1 MiB or more: the memory of all that a trial starts; a trial that reaches it is killed as a whole | no limit |
//! | | `swap_max` | size: swap beside `memory_max` | `0` with `memory_max` |
//! | | `pids_max` | 1 to 4194304 processes and threads | no limit |
//! | | `cpus` | number of cores, 0.01 or more: computing time, on whichever cores | no limit |
//! | | `required` | `true`: no trial runs without them; `false`: a limit that cannot be applied is a warning | `false` |
//! | `[control]` | `socket` | path of the control socket | left to the program |
//! | | `read` | `owner`, `all`: who may ask how the study stands | `owner` |
//! | | `group` | a group whose members may ask and steer | none |
//! | `[files]` | `results`, `best`, `status`, `logs` | names within the output folder | those of [`FileNames`](crate::model::spec::FileNames) |
//! | `[[step]]` | `name` | letters, digits, `-`, `_`; unique | required |
//! | | `kind` | `service`, `task`, `measure` | required |
//! | | `command` | list of templates: program and arguments | required |
//! | | `params` | `env`: parameters are environment variables; `none`: they are not | `env` |
//! | | `env` | `{ NAME = template }` | |
//! | | `file` | list of `{ name, text }` or `{ name, template }`: files made in the trial's folder, from a template or from a file with one | |
//! | | `workdir` | folder, relative to that of the study | that of the study |
//! | | `stop` | list of templates: a command that ends what runs elsewhere | |
//! | | `stop_grace` | duration from SIGTERM to SIGKILL | `10s` |
//! | | `timeout` | duration above 0; task and measure only | `24h` of a task, `10m` of one run |
//! | | `runs` | 1 to 1000; measure only | 3 |
//! | | `warmup` | 0 to 1000 runs before that do not count; measure only | 0 |
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
//! | | `.regex`, `.match` | the same; `last` or `first` match counts | `last` |
//! | | `.json`, `.file` | JSON pointer; template of the file | last line of output that is a JSON object |
//! | | `.jsonl`, `.pointer` | template of the file; JSON pointer into its last record that has it | |

mod amend;
#[cfg(test)]
mod amend_tests;
mod bounds;
mod complaint;
mod limits;
mod metrics;
mod names;
mod reader;
mod ready;
mod rules;
mod space;
mod steps;
mod study;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::Digest;
use toml::de::DeTable;

pub use self::amend::Draft;
pub use self::complaint::{Complaint, Complaints, Level};
pub use self::names::CONTEXT_NAMES;
use self::reader::{Reader, Section};
use crate::base::file::folder_of;
use crate::base::quantity::show_size;
use crate::model::space::Space;
use crate::model::spec::{SamplerKind, Search, Spec};

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
    /// Its text, as it was read.
    pub text: String,
    /// What its owner should look at all the same.
    pub warnings: Complaints,
}

/// Why there is no spec. The text names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such file.
    #[error("there is no spec at {}: write one there, or give the path of another", .0.display())]
    Missing(PathBuf),
    /// A folder.
    #[error("{} is a folder: give the path of the spec in it", .0.display())]
    Folder(PathBuf),
    /// The system does not let the file be read.
    #[error("{} cannot be read: {source}: let this user read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// More than [`LARGEST`].
    #[error("{} is larger than {}, which no spec needs: give the path of a spec", .0.display(), show_size(LARGEST))]
    TooLarge(PathBuf),
    /// Bytes that are not text.
    #[error("{} is not UTF-8 text (at byte {at}): save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the first such byte is, from 0.
        at: usize,
    },
    /// A text that is no spec.
    #[error("{0}")]
    Wrong(Complaints),
}

/// Reads and checks the spec at `path`.
///
/// # Errors
/// Everything that is wrong with it, or why it could not be read.
pub fn read(path: &Path) -> Result<Checked, Refusal> {
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
    let text = String::from_utf8(bytes).map_err(|error| Refusal::NotText {
        path: path.to_path_buf(),
        at: error.utf8_error().valid_up_to(),
    })?;
    check(&text, &Origin::of(path)).map_err(Refusal::Wrong)
}

/// Checks the text of a spec. The files of templates that it names are read;
/// whether the machine has the rest is for the room `doctor`.
///
/// # Errors
/// Everything that is wrong with it, warnings among it.
pub fn check(text: &str, origin: &Origin) -> Result<Checked, Complaints> {
    let mut r = Reader::new(text, &origin.folder);
    let spec = match parse(&mut r, text) {
        Some(table) => {
            let root = Section::new("a spec", &table, 0..0);
            check_root(&mut r, root)
        }
        None => None,
    };
    let failed = r.failed();
    let complaints = Complaints::new(&origin.file, text, r.into_complaints());
    match spec {
        Some(spec) if !failed => Ok(Checked {
            spec,
            text: text.to_owned(),
            warnings: complaints,
        }),
        _ => Err(complaints),
    }
}

fn parse<'t>(r: &mut Reader<'_>, text: &'t str) -> Option<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // What follows a slip in the syntax is mostly a consequence of it; a key
    // that stands twice has none.
    let is_twice = |error: &&toml::de::Error| error.message().starts_with("duplicate key");
    let place = |error: &toml::de::Error| error.span().unwrap_or(0..0);
    let syntax = errors.iter().filter(|error| !is_twice(error));
    if let Some(first) = syntax.min_by_key(|error| place(error).start) {
        let mut message = first.message().replace('\n', "; ");
        // A part that ends too early is empty: that explains nothing.
        let span = place(first);
        if message.starts_with("string values must be quoted") && span.is_empty() {
            message = "the key has no value".to_owned();
        }
        r.error(&span, format!("this is not TOML: {message}"));
        return None;
    }
    for error in &errors {
        let span = place(error);
        let key = text.get(span.clone()).unwrap_or_default();
        let message = format!("`{key}` is here for the second time");
        r.error_help(
            &span,
            message,
            "keep one of the two; of [[step]] and other [[…]] there may be several",
        );
    }
    errors.is_empty().then(|| table.into_inner())
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
    let base = section(r, "base");
    let space_section = section(r, "space");
    let env = section(r, "env");
    let host = section(r, "host");
    let limits = section(r, "limits");
    let control = section(r, "control");
    let files = section(r, "files");
    let mut sections = |r: &mut Reader<'_>, key: &'static str| {
        let node = root.take(key);
        node.map(|node| node.sections(r, key)).unwrap_or_default()
    };
    let constraints = sections(r, "constraint");
    let rules = sections(r, "rule");
    let steps = sections(r, "step");
    root.refuse_with(
        r,
        "preset",
        "presets are not there yet: write out what the study needs",
    );
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
    let (search, sampler) = study::search(r, search_section);
    let host = study::host(r, host);
    let limits = limits::read(r, limits, host.cgroup);
    let control = study::control(r, control);
    let files = study::files(r, files);

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
    let known = text::Known::new(&declared, space.as_ref().filter(|_| is_whole));
    let env = text::variables(r, env, &known, true);
    let no_steps = steps.is_empty();
    let (steps, yields) = steps::read(r, steps, &study.workdir, &known);
    if !no_steps {
        if let Some((objective, span)) = &objective {
            study::yielded(r, &objective.metric, span, &yields);
        }
        for (constraint, span) in &constraints {
            study::yielded(r, &constraint.metric, span, &yields);
        }
    }
    let space = space?;
    warn_of_extent(r, &space, space_span, &search, sampler, &budget);
    Some(Spec {
        name: study.name,
        workdir: study.workdir,
        output_dir: study.output_dir,
        seed: study.seed,
        objective: objective?.0,
        constraints: constraints.into_iter().map(|(c, _)| c).collect(),
        budget,
        search,
        space,
        steps,
        pass_env: study.pass_env,
        env,
        host,
        limits,
        control,
        files,
        log_max: study.log_max,
        digest: hexadecimal(&r.digest.clone().finalize()),
    })
}

/// A study that tries nothing, or that never ends, is seldom meant.
fn warn_of_extent(
    r: &mut Reader<'_>,
    space: &Space,
    space_span: Option<std::ops::Range<usize>>,
    search: &Search,
    sampler: Option<std::ops::Range<usize>>,
    budget: &crate::model::spec::Budget,
) {
    let parameters = space.parameters().iter();
    let sizes: Vec<Option<u64>> = parameters.map(|p| p.domain.size()).collect();
    if r.failed() {
        // What is missing may be what varies, or ends it.
        return;
    }
    if sizes.iter().all(|size| *size == Some(1)) {
        let message = "nothing varies: only the baseline will be tried";
        r.warn(
            &space_span.unwrap_or(0..0),
            message,
            "for instance, in [space]: N = [1, 2, 4]",
        );
    }
    let is_endless = sizes.iter().any(Option::is_none) && *budget == Default::default();
    if search.sampler == SamplerKind::Random && is_endless {
        let message = "nothing ends this study: a range has more values than can be tried";
        r.warn(
            &sampler.unwrap_or(0..0),
            message,
            "for instance, in [budget]: trials = 200",
        );
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
