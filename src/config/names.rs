//! Which names may be given to things.

use std::ops::Range;

use super::reader::Reader;

/// The names that a template knows besides the parameters.
///
/// | name | is |
/// |---|---|
/// | `study` | the study's name |
/// | `trial` | the trial's number, from 1 |
/// | `sitting` | the sitting's number within the trial, from 1 |
/// | `step` | the step's name |
/// | `run` | the run's number within trial and step, from 1; 1 for a service |
/// | `part`, `parts` | which part of the run it is, from 1, and of how many, where the step says `parts` |
/// | `workdir` | where the step runs |
/// | `trial_dir` | the trial's own folder, with the rendered files |
/// | `output_dir` | the study's output folder |
/// | `slot`, `slot_port` | the name and the port of the slot in which the trial runs, where the spec has `[[slot]]` |
pub const CONTEXT_NAMES: [&str; 12] = [
    "study",
    "trial",
    "sitting",
    "step",
    "run",
    "part",
    "parts",
    "workdir",
    "trial_dir",
    "output_dir",
    SLOT,
    SLOT_PORT,
];

/// Those of them that only a study with slots has.
pub(super) const SLOT: &str = "slot";
pub(super) const SLOT_PORT: &str = "slot_port";

/// Those of them that only a step in parts has.
pub(super) const PARTS: [&str; 2] = ["part", "parts"];

/// The names that the language of templates has by itself.
pub(super) const TEMPLATE_FUNCTIONS: [&str; 4] = ["range", "dict", "namespace", "debug"];

/// What the programs of the system and autotune itself need unchanged.
const RESERVED: [&str; 5] = [
    "PATH",
    "HOME",
    "LD_PRELOAD",
    "NOTIFY_SOCKET",
    "CREDENTIALS_DIRECTORY",
];

const RESERVED_STARTS: [&str; 3] = ["AUTOTUNE_", "LISTEN_", "WATCHDOG_"];

/// Whether `name` can be an environment variable: a letter or `_`, then
/// letters, digits and `_`.
pub(super) fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether steps get `name` from somewhere else than the spec, or never.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_STARTS.iter().any(|start| name.starts_with(start))
}

/// Whether `name` can be a parameter's.
pub(super) fn is_parameter(name: &str) -> bool {
    is_variable(name) && !is_reserved(name) && !CONTEXT_NAMES.contains(&name)
}

/// Checks the name of a parameter or an environment variable.
pub(super) fn variable(r: &mut Reader<'_>, span: &Range<usize>, name: &str) -> bool {
    if !is_variable(name) {
        let message = format!("`{name}` cannot be the name of an environment variable");
        r.error_help(
            span,
            message,
            "use letters, digits and `_`, with no digit at the start",
        );
        return false;
    }
    if is_reserved(name) {
        let message = format!("`{name}` is reserved: autotune sets it, or keeps it from the steps");
        let help = match name {
            "PATH" => Some("give the program's whole path in `command`"),
            "LD_PRELOAD" => {
                Some("start the program by a script that sets it from a parameter of another name")
            }
            _ => None,
        };
        r.error_help(span, message, help);
        return false;
    }
    true
}

/// Checks a pattern of `pass_env`.
pub(super) fn passed(r: &mut Reader<'_>, span: &Range<usize>, pattern: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
    let name = pattern.strip_prefix('!').unwrap_or(pattern);
    if name.is_empty() || !name.chars().all(good) {
        let message = format!("`{pattern}` is not the name of an environment variable");
        r.error_help(
            span,
            message,
            "write names such as \"HF_HOME\", \"CUDA_*\" for all that begin so, \"!HF_TOKEN\" for what stays",
        );
        return false;
    }
    let never = is_reserved(pattern) && !matches!(pattern, "PATH" | "HOME" | "LD_PRELOAD");
    if never {
        let message = format!("`{pattern}` is never passed to a step: leave it out");
        r.error(span, message);
    }
    !never
}

/// The most letters that the name of a study or a step may have.
pub(super) const LONGEST: usize = 64;

/// Whether a name has letters, digits and what `also` has, and does not begin
/// with a dot.
pub(super) fn is_plain(name: &str, also: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || also.contains(c);
    !name.is_empty() && name.chars().all(good) && !name.starts_with('.')
}

/// Checks a study's or a step's name, which become names of files: letters,
/// digits and what `also` has, not beginning with a dot.
pub(super) fn plain(r: &mut Reader<'_>, span: &Range<usize>, name: &str, also: &str) -> bool {
    if !is_plain(name, also) {
        let message = format!("`{name}` cannot be a name here");
        let shown: Vec<String> = also.chars().map(|c| format!("`{c}`")).collect();
        let help = format!("use letters from a to z, digits, {}", shown.join(", "));
        r.error_help(span, message, help.as_str());
        return false;
    }
    if name.len() > LONGEST {
        r.error(span, format!("a name may have {LONGEST} letters at most"));
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        for good in ["A", "_a1", "HF_HOME", "LD_LIBRARY_PATH", "AUTOTUNED"] {
            assert!(is_variable(good) && !is_reserved(good), "{good}");
        }
        for bad in ["", "1A", "A-B", "Ä", "A B"] {
            assert!(!is_variable(bad), "{bad}");
        }
        for reserved in ["PATH", "AUTOTUNE_TRIAL_ID", "LISTEN_FDS", "WATCHDOG_USEC"] {
            assert!(is_reserved(reserved), "{reserved}");
        }
    }
}
