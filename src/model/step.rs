//! Steps: the commands of a trial, as the spec's owner wrote them.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};

use super::Name;
use super::artifacts::{Artifact, Resume};
use super::template::Template;
use super::value::Finite;

/// One command of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name, unique in the study.
    pub name: Name,
    /// What it is for.
    pub kind: StepKind,
    /// Program and arguments; no shell is involved.
    pub command: Vec<Template>,
    /// Whether every active parameter is also an environment variable.
    pub params_in_env: bool,
    /// Further environment variables.
    pub env: Vec<(String, Template)>,
    /// Files written into the trial's folder before the step starts.
    pub files: Vec<RenderedFile>,
    /// Where it runs; absolute.
    pub workdir: PathBuf,
    /// A command that ends what runs elsewhere (`docker stop …`).
    pub stop: Option<Vec<Template>>,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// The metrics that each of its runs yields.
    pub metrics: Vec<MetricRule>,
    /// What it is told of files that are there only once it begins.
    pub find: Vec<Find>,
    /// What it makes that is worth keeping.
    pub artifacts: Vec<Artifact>,
    /// How it goes on from a checkpoint; of a task alone.
    pub resume: Option<Box<Resume>>,
    /// What is read of a run while it goes on; of a measure step, of its first
    /// run.
    pub curves: Vec<CurveRule>,
    /// What of its output its owner should know.
    pub notes: Vec<Note>,
    /// A run that tells nothing for so long is ended.
    pub stall_timeout: Option<Duration>,
}

/// A text in a step's output that its owner should know: the address of an
/// experiment, a warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What it is.
    pub name: Name,
    /// Where it is: the first group, or all of the match without one.
    pub pattern: Pattern,
    /// What to say of a run that ended well without it; nothing where it comes
    /// out empty.
    pub missing: Option<Template>,
}

/// A file or folder that is found as a step begins, and then takes the place of
/// its name in the command and in environment variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find {
    /// By which templates of the step ask for it.
    pub name: Name,
    /// What it matches; of several, the newest.
    pub pattern: Template,
    /// Which of them, the newest first: 1 or more.
    pub nth: u32,
}

/// See [`Step::kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// Stays up for the later steps.
    Service(Box<Ready>),
    /// Runs once.
    Task {
        /// The longest that it may take.
        timeout: Duration,
    },
    /// Runs several times.
    Measure {
        /// How many runs count.
        runs: u32,
        /// How many runs go before and do not count.
        warmup: u32,
        /// The longest that one run may take.
        timeout: Duration,
        /// What is known of a run before it has ended.
        marks: Marks,
    },
}

/// What is known of a run of a measure step before it has ended: its marks.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Marks {
    /// Nothing.
    #[default]
    None,
    /// A run is made of so many parts, each an execution of the command with
    /// measurements of its own; 2 to 100. What the run measures are their means.
    Parts(u32),
    /// The command prints on its way what a metric is going to be about.
    Progress {
        /// The metric.
        metric: Name,
        /// The pattern, with one group, of a line that tells it.
        pattern: Pattern,
    },
}

impl Marks {
    /// Of so many lines of progress, at most, one is a mark: see
    /// [`Self::is_mark`].
    const LINES_MAX: u32 = 4096;

    /// Whether the so manieth line of progress is a mark, from 1. Those that
    /// are come ever further apart, 1, 2, 3, 4, 6, 8, 12, …, so that a program
    /// may print as many as it likes.
    pub const fn is_mark(line: u32) -> bool {
        let twos = line >> line.trailing_zeros();
        line <= Self::LINES_MAX && (twos == 1 || (twos == 3 && line > 0))
    }

    /// How often a run is looked at before it has ended, at most.
    pub fn looks(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Parts(parts) => parts.saturating_sub(1),
            Self::Progress { .. } => (1..=Self::LINES_MAX)
                .filter(|line| Self::is_mark(*line))
                .count() as u32,
        }
    }
}

/// A file made from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name in the trial's folder, without any `/`.
    pub name: String,
    /// Its text.
    pub text: Template,
}

/// When a service counts as ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// What is asked.
    pub check: ReadyCheck,
    /// The longest that it may take from the start.
    pub timeout: Duration,
    /// How long an answer of 4xx must have stayed before it counts.
    pub settle: Duration,
    /// Whose listener it must be.
    pub owner: PortOwner,
    /// A second question that must be answered as expected.
    pub probe: Option<Probe>,
}

/// See [`Ready::check`].
#[derive(Clone, Debug, PartialEq)]
pub enum ReadyCheck {
    /// GET this `http://` address and look at the status of the answer.
    Http {
        /// The address.
        url: Template,
        /// The accepted status codes.
        status: Vec<RangeInclusive<u16>>,
    },
    /// Connect to this `host:port`.
    Tcp {
        /// The address.
        address: Template,
    },
    /// Wait for a line of output that the pattern matches.
    Log {
        /// The pattern; it needs no group.
        pattern: Pattern,
    },
}

/// See [`Ready::owner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOwner {
    /// A process of this trial must be listening.
    Trial,
    /// Anybody may: for programs that run in containers.
    Any,
}

/// One real request that proves that a service works.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The `http://` address.
    pub url: Template,
    /// A JSON text to POST; without one it is a GET.
    pub body: Option<Template>,
    /// The accepted status codes.
    pub status: Vec<RangeInclusive<u16>>,
    /// A pattern that the answer's body must match.
    pub expect: Option<Pattern>,
    /// The longest that one answer may take.
    pub timeout: Duration,
}

/// Where a metric is read.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRule {
    /// Its name.
    pub metric: Name,
    /// Where it is read.
    pub source: MetricSource,
    /// Whether a run without it is good all the same.
    pub optional: bool,
}

/// See [`MetricRule::source`].
#[derive(Clone, Debug, PartialEq)]
pub enum MetricSource {
    /// The first group of a pattern, matched line by line against the output.
    Regex {
        /// The pattern, with one group at least.
        pattern: Pattern,
        /// Which of several matches counts.
        which: Which,
    },
    /// A place in a JSON document.
    Json {
        /// The file, relative to the step's folder, or a pattern of files; the
        /// last line of output that is a JSON object when `None`.
        file: Option<Template>,
        /// An RFC 6901 pointer: `/results/accuracy`.
        pointer: String,
    },
    /// A place in one of many JSON objects.
    Records {
        /// The file, relative to the step's folder, or a pattern of files.
        file: Template,
        /// A pointer to the list of records in one JSON document; without one
        /// each line of the file is a record.
        list: Option<String>,
        /// An RFC 6901 pointer into a record.
        pointer: String,
        /// A pointer to the training step of a record.
        step: Option<String>,
        /// Which of the records that have it counts.
        which: Which,
    },
}

/// Which of several matches, or records, counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    /// The first, as the reference tuner has it.
    First,
    /// The last: a later summary corrects an earlier one.
    Last,
    /// That with the least number.
    Least,
    /// That with the greatest number.
    Most,
    /// The last of this training step.
    At(Finite),
}

/// Where a metric is read while a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveRule {
    /// Its name.
    pub metric: Name,
    /// Where it is read.
    pub source: CurveSource,
}

/// See [`CurveRule::source`].
#[derive(Clone, Debug, PartialEq)]
pub enum CurveSource {
    /// A pattern, matched line by line against the output: see [`Groups`].
    Regex(Pattern),
    /// A place in the records of a file that grows, one JSON object a line.
    Jsonl {
        /// The file, relative to the step's folder, or a pattern of files.
        file: Template,
        /// An RFC 6901 pointer into a record.
        pointer: String,
        /// A pointer to the training step of a record.
        step: Option<String>,
    },
}

/// What the groups of a pattern are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// The number: the group `value`, else the first that is none of the others.
    pub value: usize,
    /// The training step: the group `step`.
    pub step: Option<usize>,
    /// The training step at which the run will end: the group `of`.
    pub of: Option<usize>,
}

impl Groups {
    /// Those of an expression; `None` where no group can hold a number.
    pub fn of(regex: &Regex) -> Option<Self> {
        let named = |wanted: &str| {
            let mut names = regex.capture_names();
            names.position(|name| name == Some(wanted))
        };
        let (step, of) = (named("step"), named("of"));
        let is_free = |group: &usize| Some(*group) != step && Some(*group) != of;
        let value = named("value").or_else(|| (1..regex.captures_len()).find(is_free));
        Some(Self {
            value: value?,
            step,
            of,
        })
    }
}

/// A checked regular expression over bytes, since logs are not always UTF-8.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Checks `source`, in the syntax of the `regex` crate.
    ///
    /// # Errors
    /// What is wrong with it, or that it needs over 1 MiB when compiled.
    pub fn new(source: &str) -> Result<Self, String> {
        RegexBuilder::new(source)
            .size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
                other => other.to_string(),
            })
    }

    /// What its groups are for; `None` where none can hold a number.
    pub fn groups(&self) -> Option<Groups> {
        Groups::of(&self.0)
    }

    /// The name of the first group, where it has one.
    pub fn group_name(&self) -> Option<&str> {
        self.0.capture_names().nth(1).flatten()
    }

    /// The compiled expression.
    pub fn regex(&self) -> &Regex {
        &self.0
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Step {
    /// The program that this step makes start a container elsewhere, `docker`
    /// or `podman`: what it starts is not below it.
    pub fn container_client(&self) -> Option<&str> {
        let word = |index: usize| self.command.get(index).map_or("", Template::source);
        let program = word(0).rsplit('/').next().unwrap_or_default();
        (matches!(program, "docker" | "podman") && word(1) == "run").then_some(program)
    }

    /// What is known of its runs before they have ended.
    pub const fn marks(&self) -> &Marks {
        match &self.kind {
            StepKind::Measure { marks, .. } => marks,
            StepKind::Service(_) | StepKind::Task { .. } => &Marks::None,
        }
    }

    /// Whether its runs measure the metric.
    pub fn yields(&self, metric: &str) -> bool {
        self.metrics.iter().any(|rule| *rule.metric == *metric)
    }

    /// In how many parts a run is made, where it is made in parts.
    pub const fn parts(&self) -> Option<u32> {
        match self.marks() {
            Marks::Parts(parts) => Some(*parts),
            _ => None,
        }
    }

    /// How many runs of this step count towards a trial; 0 for a service.
    pub const fn counted_runs(&self) -> u32 {
        match self.kind {
            StepKind::Service(_) => 0,
            StepKind::Task { .. } => 1,
            StepKind::Measure { runs, .. } => runs,
        }
    }
}
