//! What a look at the host has found.

use serde::{Deserialize, Serialize};

/// What is looked at. The order is that of the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The programs and scripts of the steps, and the folders they run in.
    Steps,
    /// Whether steps can write to the folders they run in.
    Workdir,
    /// The folder of the study's files.
    Output,
    /// Room on the disks.
    Disk,
    /// Memory.
    Memory,
    /// How many files a program may open.
    OpenFiles,
    /// The ports that services are to listen on.
    Ports,
    /// The GPUs.
    Gpu,
    /// Whether the time is right.
    Clock,
    /// How trials are kept together.
    Cgroups,
    /// Whether trials can have the limits of the spec.
    Limits,
    /// Whether containers end with their steps.
    Containers,
    /// What proves who servers on the net are.
    Certificates,
    /// What the channels of `[notify]` need.
    Notify,
    /// What the advisor of `[advisor]` needs.
    Advisor,
    /// The secrets that steps get by `pass_secrets`.
    Secrets,
    /// Whether the system's journal takes what is said.
    Journald,
    /// Which systemd there is.
    Systemd,
}

impl Check {
    /// Its name; scripts go by it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Workdir => "workdir",
            Self::Output => "output",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::OpenFiles => "open-files",
            Self::Ports => "ports",
            Self::Gpu => "gpu",
            Self::Clock => "clock",
            Self::Cgroups => "cgroups",
            Self::Limits => "limits",
            Self::Containers => "containers",
            Self::Certificates => "certificates",
            Self::Notify => "notify",
            Self::Advisor => "advisor",
            Self::Secrets => "secrets",
            Self::Journald => "journald",
            Self::Systemd => "systemd",
        }
    }
}

/// Whether something is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Ok,
    /// Trials can work, but their owner should know.
    Warning,
    /// Trials cannot work, or not for long.
    Error,
}

impl State {
    /// The word in front of a finding, which is also the one in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// Whether it is as it should be.
    pub state: State,
    /// What was found: a sentence without its full stop.
    pub text: String,
    /// The way out; empty where none is needed.
    pub remedy: String,
}

impl Finding {
    /// All is well.
    pub fn ok(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text, "")
    }

    /// Something that the owner should know.
    pub fn warning(check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, State::Warning, text, remedy)
    }

    /// Something that is in the way.
    pub fn error(check: Check, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, State::Error, text, remedy)
    }

    fn new(check: Check, state: State, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            state,
            text: text.into(),
            remedy: remedy.into(),
        }
    }

    /// Text and remedy in one line.
    pub fn sentence(&self) -> String {
        if self.remedy.is_empty() {
            self.text.clone()
        } else {
            format!("{}: {}", self.text, self.remedy)
        }
    }
}
