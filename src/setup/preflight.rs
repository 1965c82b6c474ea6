//! The look from inside the sandbox: a unit with every setting that the service
//! has, which runs `autotuned doctor` once in place of the daemon.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::unit::Unit;
use super::{SetupError, manager, syntax};
use crate::doctor::State;

/// The program, as the units have it.
pub const PROGRAM: &str = "/usr/bin/autotuned";
/// Where a unit can be that no reboot is to find again.
const UNITS: &str = "/run/systemd/system";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is.
    pub name: String,
    /// Whether it is as it should be.
    pub state: State,
    /// What was found.
    pub text: String,
    /// The way out; empty where none is needed.
    pub remedy: String,
}

impl Check {
    pub(super) fn ok(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Ok,
            text: text.into(),
            remedy: String::new(),
        }
    }

    pub(super) fn error(name: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Error,
            remedy: remedy.into(),
            ..Self::ok(name, text)
        }
    }
}

/// Checks as `doctor --json` prints them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checks {
    /// The checks.
    pub checks: Vec<Check>,
}

/// What came of a look.
#[derive(Debug, Default)]
pub struct Report {
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What was said besides, by the program or by systemd about it.
    pub said: Vec<String>,
    /// Whether nothing is in the way.
    pub is_good: bool,
}

/// Looks with the settings that `unit` has now: at the folders, and at what the
/// spec needs.
///
/// # Errors
/// When there could be no look at all.
pub fn look(unit: &Unit, folders: &[PathBuf], spec: &Path) -> Result<Report, SetupError> {
    let scratch = tempfile::Builder::new()
        .prefix("autotune-setup-")
        .tempdir_in("/run")
        .map_err(SetupError::at(Path::new("/run")))?;
    let (printed, said) = (scratch.path().join("out"), scratch.path().join("err"));
    let settings = manager::systemctl(&["cat", &unit.name()])?;
    let text = unit_text(&settings, folders, spec, [&printed, &said])?;
    let name = unit.preflight();
    let file = Path::new(UNITS).join(&name);
    fs::write(&file, text).map_err(SetupError::at(&file))?;
    let looked = run(&name, &printed, &said);
    // What is left of it is gone with the next reboot.
    let _ = fs::remove_file(&file);
    let _ = manager::systemctl(&["reset-failed", &name]);
    manager::systemctl(&["daemon-reload"])?;
    looked
}

fn run(name: &str, printed: &Path, said: &Path) -> Result<Report, SetupError> {
    manager::systemctl(&["daemon-reload"])?;
    let is_good = manager::systemctl(&["start", name]).is_ok();
    let read = |path: &Path| match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(SetupError::at(path)),
    };
    let checks = checks(&read(printed)?);
    let mut said: Vec<String> = read(said)?.lines().map(str::to_owned).collect();
    let is_told = checks.iter().any(|check| check.state == State::Error);
    if !is_good && !is_told {
        let invocation = manager::property(name, "InvocationID")?;
        said.extend(manager::said_of(&invocation));
    }
    Ok(Report {
        checks,
        said,
        is_good,
    })
}

/// The checks of one or more programs that have printed into one file. One that
/// was killed while it wrote has none.
fn checks(printed: &str) -> Vec<Check> {
    let stream = serde_json::Deserializer::from_str(printed).into_iter::<Checks>();
    let good = stream.map_while(Result::ok);
    good.flat_map(|checks| checks.checks).collect()
}

/// The settings of a unit with all its drop-ins, and what is different here.
fn unit_text(
    settings: &str,
    folders: &[PathBuf],
    spec: &Path,
    [printed, said]: [&Path; 2],
) -> Result<String, SetupError> {
    let folders = folders.iter().map(|folder| syntax::argument(folder));
    let folders = folders.collect::<Result<Vec<_>, _>>()?.join(" ");
    let spec = syntax::argument(spec)?;
    let (printed, said) = (syntax::path(printed)?, syntax::path(said)?);
    Ok(format!(
        "{settings}
[Unit]
OnFailure=
StartLimitIntervalSec=0

[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart={PROGRAM} reach {folders}
ExecStart={PROGRAM} doctor --json -- {spec}
ExecStartPost=
ExecReload=
ExecStop=
ExecStopPost=
WatchdogSec=0
TimeoutStartSec=2min
FileDescriptorStoreMax=0
StandardOutput=append:{printed}
StandardError=append:{said}
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_settings_are_those_of_the_service() {
        let service = include_str!("../../systemd/autotune.service");
        let text = unit_text(
            service,
            &["/home/alice/a b".into(), "/data/$x".into()],
            Path::new("/home/alice/50%.toml"),
            [Path::new("/run/x/out"), Path::new("/run/x/err")],
        );
        let text = text.expect("good");
        let own = text.strip_prefix(service).expect("the settings come first");
        insta::assert_snapshot!(own);
    }

    #[test]
    fn several_programs_print_into_one_file() {
        let one = r#"{"checks":[{"name":"folder","state":"ok","text":"t","remedy":""}]}"#;
        let two = one.replace("folder", "gpu").replace("ok", "error");
        let found = checks(&format!("{one}\n{two}\n{{\"checks\":[{{\"na"));
        let names: Vec<_> = found
            .iter()
            .map(|check| (&*check.name, check.state))
            .collect();
        assert_eq!(names, [("folder", State::Ok), ("gpu", State::Error)]);
    }
}
