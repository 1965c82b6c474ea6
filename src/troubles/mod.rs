//! Known troubles: how the end of an output tells of one, and what to do about
//! it, in English and Chinese. Pure.
//!
//! What is known stands in a data file, `troubles.toml`, whose head says what its
//! keys mean; a test holds it against what real programs print. This is the one
//! place where an output is understood: what the kernel knows of a trial is told
//! by `exec`.

use std::sync::LazyLock;

use regex::RegexSet;
use serde::Deserialize;

use crate::model::outcome::{Cause, Ending, FailureKind, HostFault};

/// A known trouble.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// Its fixed name: `gpu-out-of-memory`.
    pub name: String,
    #[serde(default)]
    lines: Vec<String>,
    signal: Option<Signal>,
    /// The name of the fault of the host that it is.
    host: Option<String>,
    /// What went wrong.
    cause: Text,
    /// What to do about it.
    hint: Text,
}

/// A text in two languages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    en: String,
    zh: String,
}

/// Signals of which a program dies by itself, or by somebody else's hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Signal {
    #[serde(rename = "SIGILL")]
    Illegal = 4,
    #[serde(rename = "SIGKILL")]
    Kill = 9,
    #[serde(rename = "SIGSEGV")]
    Segv = 11,
}

impl Trouble {
    /// What went wrong and what to do about it, in English.
    pub fn advice(&self) -> String {
        format!("{}: {}", self.cause.en, self.hint.en)
    }

    /// The same in Chinese.
    pub fn chinese(&self) -> String {
        format!("{}：{}", self.cause.zh, self.hint.zh)
    }

    /// The fault of the host that it is, if it is one: then the params are not
    /// to blame, and the trial is tried again as it is.
    pub fn host_fault(&self) -> Option<HostFault> {
        match FailureKind::named(self.host.as_deref()?)? {
            FailureKind::Host(fault) => Some(fault),
            _ => None,
        }
    }

    /// What it is of a failure that `line` gave away.
    fn of(&self, line: String) -> (Cause, Option<HostFault>) {
        let cause = Cause {
            name: self.name.clone(),
            hint: self.advice(),
            line,
        };
        (cause, self.host_fault())
    }
}

/// What is known, in the order in which it is looked for.
struct Known {
    troubles: Vec<Trouble>,
    lines: RegexSet,
    /// Whose each of [`lines`](Self::lines) is.
    owners: Vec<usize>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(rename = "trouble")]
        troubles: Vec<Trouble>,
    }
    let file: File =
        toml::from_str(include_str!("troubles.toml")).expect("embedded, and read by a test");
    let troubles = file.troubles;
    let all = || {
        let troubles = troubles.iter().enumerate();
        troubles.flat_map(|(owner, trouble)| trouble.lines.iter().map(move |line| (owner, line)))
    };
    Known {
        lines: RegexSet::new(all().map(|(_, line)| line)).expect("embedded, and read by a test"),
        owners: all().map(|(owner, _)| owner).collect(),
        troubles,
    }
});

/// Every known trouble, in the order in which they are looked for.
pub fn all() -> &'static [Trouble] {
    &KNOWN.troubles
}

/// The trouble of that name.
pub fn named(name: &str) -> Option<&'static Trouble> {
    all().iter().find(|trouble| trouble.name == name)
}

/// What to do about a cause, in Chinese. It is recorded in English; one that is
/// not known, from another release, stays as it was recorded.
pub fn chinese(cause: &Cause) -> String {
    named(&cause.name).map_or_else(|| cause.hint.clone(), Trouble::chinese)
}

/// The known trouble in the last lines of an output, or else in the way in which
/// the program ended; and the fault of the host that it is, if it is one. Takes
/// time in proportion to the length of the lines, whatever they say.
pub fn find<'a>(
    tail: impl DoubleEndedIterator<Item = &'a str>,
    ending: Option<&Ending>,
) -> Option<(Cause, Option<HostFault>)> {
    let known = &*KNOWN;
    // The latest line of the first trouble.
    let mut found: Option<(usize, &str)> = None;
    for line in tail.rev() {
        let owners = known.lines.matches(line).into_iter();
        let first = owners.filter_map(|index| known.owners.get(index)).min();
        if let Some(&owner) = first
            && found.is_none_or(|(known, _)| owner < known)
        {
            found = Some((owner, line));
        }
    }
    if let Some((owner, line)) = found {
        let trouble = known.troubles.get(owner)?;
        return Some(trouble.of(line.trim().to_owned()));
    }
    let ending = ending?;
    let killer = match ending {
        Ending::Signalled(signal) => *signal,
        // What a shell makes of the signal of what it has started.
        Ending::Exited(code @ 129..=192) => code - 128,
        _ => return None,
    };
    let of_signal = |trouble: &&Trouble| trouble.signal.is_some_and(|s| s as i32 == killer);
    let trouble = known.troubles.iter().find(of_signal)?;
    Some(trouble.of(format!("the program {ending}")))
}

#[cfg(test)]
mod tests;
