//! What a study gets from the system around it: cgroups, the journal, systemd.

use std::path::Path;

use super::finding::{Check, Finding};
use crate::base::random;
use crate::exec::cgroup::Cgroup;
use crate::exec::delegation;
use crate::model::spec::Spec;
use crate::systemd::journald::{self, Journald};

/// The unit is written for this version and newer ones.
const SYSTEMD: u32 = 250;

/// How trials are kept together; `wanted` is what the spec says of cgroups.
pub fn look_at_cgroups(wanted: bool) -> Vec<Finding> {
    let (there, lacking) = delegation::controllers();
    let made = wanted.then(|| Cgroup::create(&random::token())).flatten();
    let can_make = made.inspect(Cgroup::remove).is_some();
    vec![judge_cgroups(wanted, can_make, &there, &lacking)]
}

fn judge_cgroups(
    wanted: bool,
    can_make: bool,
    there: &[&str],
    lacking: &[(&str, String)],
) -> Finding {
    if !wanted {
        let text = "the spec has them off: trials are kept together by their processes' descent";
        return Finding::ok(Check::Cgroups, text);
    }
    if !can_make {
        let text = "trials get no cgroup of their own, but are kept together by their processes' \
                    descent: limits cannot be applied, and what clears its environment may \
                    outlive a daemon and a runner that are both killed";
        let remedy = "run as a service with Delegate=yes, or with `systemd-run --user --scope -p \
                      Delegate=yes`";
        return Finding::warning(Check::Cgroups, text, remedy);
    }
    let mut text = "each trial gets a cgroup of its own".to_owned();
    if !there.is_empty() {
        text += &format!(", with the controllers {}", there.join(", "));
    }
    if let Some((_, why)) = lacking.first() {
        let names: Vec<&str> = lacking.iter().map(|(name, _)| *name).collect();
        text += &format!("; without {}: {why}", names.join(", "));
    }
    Finding::ok(Check::Cgroups, text)
}

/// Whether the system's journal takes what a service says.
pub fn look_at_journald() -> Vec<Finding> {
    if !journald::is_read() {
        // Nobody expects it there.
        return Vec::new();
    }
    vec![match Journald::connect() {
        Ok(_) => Finding::ok(Check::Journald, "takes what is said, with its fields"),
        Err(error) => Finding::warning(
            Check::Journald,
            format!("cannot be reached, lines go there without fields: {error}"),
            "see `systemctl status systemd-journald`",
        ),
    }]
}

/// Steps that start containers and say nothing of how these end.
pub fn look_at_containers(spec: &Spec) -> Vec<Finding> {
    let endless = spec.all_steps().filter(|step| step.stop.is_none());
    let endless = endless.filter_map(|step| {
        let program = step.container_client()?;
        let text = format!(
            "{program} runs the container of the step `{}` elsewhere: ending the step does not \
             end it",
            step.name
        );
        let remedy = format!(
            "name the container and say how it ends: stop = [\"{program}\", \"stop\", \"NAME\"]"
        );
        Some(Finding::warning(Check::Containers, text, remedy))
    });
    endless.collect()
}

/// Which systemd there is.
pub fn look_at_systemd() -> Vec<Finding> {
    let is_booted = Path::new("/run/systemd/system").exists();
    vec![judge_systemd(is_booted, systemd_version())]
}

/// Its library has the version in its name: libsystemd-shared-252.so, or
/// 252.22-1.el9 for 252. No program needs to be started to learn it.
fn systemd_version() -> Option<u32> {
    let machine = std::env::consts::ARCH;
    let folders = [
        "/usr/lib/systemd".to_owned(),
        "/lib/systemd".to_owned(),
        "/usr/lib64/systemd".to_owned(),
        format!("/usr/lib/{machine}-linux-gnu/systemd"),
    ];
    let entries = folders.iter().filter_map(|folder| folder_entries(folder));
    entries.flatten().find_map(|name| version_in(&name))
}

fn folder_entries(folder: &str) -> Option<Vec<String>> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    Some(
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect(),
    )
}

fn version_in(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("libsystemd-shared-")?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

fn judge_systemd(is_booted: bool, version: Option<u32>) -> Finding {
    match (is_booted, version) {
        (false, _) => Finding::ok(
            Check::Systemd,
            "does not run this system: `autotuned supervise` keeps a daemon alive",
        ),
        (true, None) => Finding::ok(Check::Systemd, "runs this system"),
        (true, Some(version)) if version < SYSTEMD => Finding::warning(
            Check::Systemd,
            format!("version {version} runs this system"),
            format!("the service autotune.service is made for {SYSTEMD} and newer"),
        ),
        (true, Some(version)) => Finding::ok(
            Check::Systemd,
            format!("version {version} runs this system"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn without_cgroups_trials_are_warned_of() {
        let lacking = [("cpu", "the cgroup /x has no cpu controller".to_owned())];
        let found = judge_cgroups(true, true, &["memory", "pids"], &lacking);
        assert_eq!(found.state, State::Ok);
        assert_eq!(
            found.text,
            "each trial gets a cgroup of its own, with the controllers memory, pids; without \
             cpu: the cgroup /x has no cpu controller"
        );
        assert_eq!(judge_cgroups(true, false, &[], &[]).state, State::Warning);
        assert_eq!(judge_cgroups(false, false, &[], &[]).state, State::Ok);
    }

    #[test]
    fn an_old_systemd_is_warned_of() {
        assert_eq!(version_in("libsystemd-shared-252.so"), Some(252));
        assert_eq!(version_in("libsystemd-shared-252.22-1.el9.so"), Some(252));
        assert_eq!(version_in("libsystemd-core-252.so"), None);
        assert_eq!(judge_systemd(true, Some(219)).state, State::Warning);
        assert_eq!(judge_systemd(true, Some(252)).state, State::Ok);
        assert_eq!(judge_systemd(false, Some(219)).state, State::Ok);
    }
}
