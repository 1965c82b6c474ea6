//! The environment of a step: what the spec names, a few variables that every
//! program expects, and what `pass_env` lets through; nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Carries the token of a sitting in all its processes.
pub const TRIAL_ID: &str = "AUTOTUNE_TRIAL_ID";
/// Carries the name of the process group that a step's run makes.
pub const STEP_ID: &str = "AUTOTUNE_STEP_ID";

/// What every program expects to find.
const EXPECTED: [&str; 12] = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TERM",
    "XDG_*",
];

/// What belongs to the daemon and its service manager alone.
const MANAGED: [&str; 9] = [
    "NOTIFY_SOCKET",
    "LISTEN_*",
    "WATCHDOG_*",
    "CREDENTIALS_DIRECTORY",
    "FDSTORE",
    "JOURNAL_STREAM",
    "INVOCATION_ID",
    "MAINPID",
    "SYSTEMD_*",
];
/// What is our own.
const OURS: &str = "AUTOTUNE_*";

/// What begins a pattern of what is *not* passed on.
pub const KEEP: char = '!';

/// Whether `name` fits `pattern`, in which a `*` stands for any letters.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn any<'a>(mut patterns: impl Iterator<Item = &'a str>, name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| patterns.any(|pattern| fits(pattern, name)))
}

/// The environment of a runner: the daemon's, without what only that may use,
/// and without the variables that are `secret`.
pub fn for_runner(
    own: impl IntoIterator<Item = (OsString, OsString)>,
    secret: &[String],
) -> BTreeMap<OsString, OsString> {
    let own = own.into_iter();
    own.filter(|(name, _)| !any(MANAGED.into_iter(), name))
        .filter(|(name, _)| !secret.iter().any(|secret| name == secret.as_str()))
        .collect()
}

/// The environment of a step, from the runner's own (`inherited`), the spec's
/// `pass_env` (where a pattern that begins with [`KEEP`] holds back what another
/// lets through), and the variables that the spec sets. Local addresses never
/// go through a proxy.
pub fn for_step(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
    set: &[(String, String)],
) -> BTreeMap<OsString, OsString> {
    let (kept, passed): (Vec<&str>, Vec<&str>) = pass
        .iter()
        .map(String::as_str)
        .partition(|pattern| pattern.starts_with(KEEP));
    let kept = || kept.iter().map(|pattern| pattern.trim_start_matches(KEEP));
    let mut env: BTreeMap<OsString, OsString> = inherited
        .into_iter()
        .filter(|(name, _)| {
            let wanted = any(EXPECTED.into_iter(), name) || any(passed.iter().copied(), name);
            wanted && !any(MANAGED.into_iter().chain([OURS]).chain(kept()), name)
        })
        .collect();
    env.extend(set.iter().map(|(name, value)| (name.into(), value.into())));
    for name in ["NO_PROXY", "no_proxy"] {
        let value = env.entry(name.into()).or_default();
        for local in ["localhost", "127.0.0.1", "::1"] {
            let text = value.to_string_lossy();
            if text != "*" && !text.split(',').any(|entry| entry.trim() == local) {
                let comma = if text.is_empty() { "" } else { "," };
                *value = format!("{text}{comma}{local}").into();
            }
        }
    }
    env
}

/// The files that a program's name may stand for, in the order in which they
/// are tried, as `execvpe` has it. Relative ones begin at the step's folder.
pub fn files_of(program: &OsStr, path: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    let is_path = program.as_bytes().contains(&b'/');
    let path = path.unwrap_or(OsStr::new("/usr/bin:/bin"));
    let folders = std::env::split_paths(if is_path { OsStr::new("") } else { path });
    folders.map(move |folder| folder.join(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("PATH", "PATH", true),
            ("PATH", "PATHS", false),
            ("CUDA_*", "CUDA_VISIBLE_DEVICES", true),
            ("CUDA_*", "XCUDA_", false),
            ("*_TOKEN", "HF_TOKEN", true),
            ("*_TOKEN", "HF_TOKEN_FILE", false),
            ("A*B*C", "AxxBxxC", true),
            ("A*B*C", "AxxCxxB", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn secrets_of_the_daemon_stay_with_it() {
        let inherited = [
            ("PATH", "/bin"),
            ("SMTP_PASSWORD", "hunter2"),
            ("NOTIFY_SOCKET", "/run/x"),
            ("LISTEN_FDS", "1"),
            ("WATCHDOG_USEC", "1"),
            ("CREDENTIALS_DIRECTORY", "/run/c"),
            ("HF_HOME", "/models"),
        ]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let runner = |secret: &[String]| {
            let env = for_runner(inherited.clone(), secret);
            env.into_keys().collect::<Vec<OsString>>()
        };
        assert_eq!(runner(&[]), ["HF_HOME", "PATH", "SMTP_PASSWORD"]);
        assert_eq!(runner(&["SMTP_PASSWORD".to_owned()]), ["HF_HOME", "PATH"]);
        let names = |pass: &[&str]| {
            let pass: Vec<String> = pass.iter().map(|p| (*p).to_owned()).collect();
            let env = for_step(inherited.clone(), &pass, &[]);
            env.into_keys()
                .map(|n| n.into_string().expect("text"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names(&[]), "NO_PROXY PATH no_proxy");
        assert_eq!(names(&["HF_*"]), "HF_HOME NO_PROXY PATH no_proxy");
        assert_eq!(
            names(&["*"]),
            "HF_HOME NO_PROXY PATH SMTP_PASSWORD no_proxy"
        );
        assert_eq!(names(&["*", "!SMTP_*"]), "HF_HOME NO_PROXY PATH no_proxy");
        assert_eq!(names(&["!SMTP_*", "!HF_*", "*"]), "NO_PROXY PATH no_proxy");
    }

    #[test]
    fn local_addresses_go_around_proxies() {
        let set = [("NO_PROXY".to_owned(), "example.org,localhost".to_owned())];
        let env = for_step([], &[], &set);
        let value = |name: &str| env[OsStr::new(name)].to_string_lossy().into_owned();
        assert_eq!(value("NO_PROXY"), "example.org,localhost,127.0.0.1,::1");
        assert_eq!(value("no_proxy"), "localhost,127.0.0.1,::1");
    }
}
