//! The programs of the service manager. Each is run to its end.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::SetupError;

/// Whether systemd runs here; sd_booted(3).
pub fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// `systemctl` with these arguments: what it prints.
///
/// # Errors
/// [`SetupError::Program`].
pub fn systemctl(arguments: &[&str]) -> Result<String, SetupError> {
    succeed("systemctl", arguments, "")
}

/// A setting of a unit, as systemd knows it.
///
/// # Errors
/// [`SetupError::Program`].
pub fn property(unit: &str, name: &str) -> Result<String, SetupError> {
    let shown = systemctl(&["show", "--value", "-p", name, unit])?;
    Ok(shown.trim().to_owned())
}

/// What the journal has of one run of a unit, from warnings on: why systemd
/// could not start it.
pub fn said_of(invocation: &str) -> Vec<String> {
    let field = format!("INVOCATION_ID={invocation}");
    let arguments = ["--no-pager", "-q", "-o", "cat", "-p", "warning", &field];
    let said = succeed("journalctl", &arguments, "").unwrap_or_default();
    said.lines().map(str::to_owned).collect()
}

/// Makes what tmpfiles.d(5) says, for paths below `prefix`.
///
/// # Errors
/// [`SetupError::Program`].
pub fn make_tmpfiles(prefix: &str) -> Result<(), SetupError> {
    let prefix = format!("--prefix={prefix}");
    succeed("systemd-tmpfiles", &["--create", &prefix], "").map(drop)
}

/// Makes what a line for tmpfiles.d(5) says.
///
/// # Errors
/// [`SetupError::Program`].
pub fn make_tmpfile(line: &str) -> Result<(), SetupError> {
    succeed("systemd-tmpfiles", &["--create", "-"], line).map(drop)
}

/// Encrypts a credential for this machine, and sees that it can be read again.
/// The secret goes through pipes alone.
///
/// # Errors
/// [`SetupError::Program`].
pub fn encrypt(name: &str, secret: &str) -> Result<String, SetupError> {
    let name = format!("--name={name}");
    let program = "systemd-creds";
    let encrypted = succeed(program, &["encrypt", &name, "-", "-"], secret)?;
    let read = succeed(program, &["decrypt", &name, "-", "-"], &encrypted)?;
    if read == secret {
        return Ok(encrypted);
    }
    Err(SetupError::Program {
        command: program.to_owned(),
        said: "it does not decrypt what it has encrypted".to_owned(),
    })
}

fn succeed(program: &str, arguments: &[&str], input: &str) -> Result<String, SetupError> {
    let failed = |said: String| SetupError::Program {
        command: format!("{program} {}", arguments.join(" ")),
        said,
    };
    let output = run(program, arguments, input).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(match said.trim() {
        "" => output.status.to_string(),
        said => said.to_owned(),
    }))
}

fn run(program: &str, arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Far less than a pipe takes. One that does not read it is at fault.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}
