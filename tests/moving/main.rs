//! A repo that the reference tuner tunes, tuned by this one: same command line,
//! same environment, same files.
//!
//! `tests/fixtures/serving-repo` is such a repo. Its server is the program that
//! plays the children of all tests, its evaluator a script: `python3` is a shell
//! here, so that no Python is needed.

#[path = "../support/mod.rs"]
mod support;

mod convert;
mod files;
mod reload;
mod run;
mod verbs;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

/// A copy of the repo in a folder of its own.
struct Repo {
    folder: tempfile::TempDir,
    port: u16,
}

impl Repo {
    fn new() -> Self {
        let repo = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: support::free_port(),
        };
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/serving-repo");
        fs::create_dir_all(repo.path("bin")).expect("a folder");
        fs::create_dir(repo.path("repo")).expect("a folder");
        for entry in fs::read_dir(fixture).expect("the fixture").flatten() {
            let copy = repo.file(&entry.file_name().to_string_lossy());
            fs::copy(entry.path(), copy).expect("copied");
        }
        repo.protect(0o600);
        let shell = repo.path("bin/python3");
        std::os::unix::fs::symlink("/bin/sh", shell).expect("a link");
        repo
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("there").join(name)
    }

    /// A file of the repo.
    fn file(&self, name: &str) -> PathBuf {
        self.path("repo").join(name)
    }

    fn read(&self, name: &str) -> String {
        let path = self.file(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("written");
    }

    /// Sets the mode of `tune_secrets.sh`.
    fn protect(&self, mode: u32) {
        let mode = Permissions::from_mode(mode);
        fs::set_permissions(self.file("tune_secrets.sh"), mode).expect("a mode");
    }

    /// `autotuned` in the repo with these arguments, and an environment that has
    /// nothing else of the tuner's.
    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let system = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_autotuned"));
        command
            .args(arguments)
            .current_dir(self.path("repo"))
            .env_clear()
            .env("PATH", format!("{}:{system}", self.path("bin").display()))
            .env("HOME", self.path(""))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .env("NO_COLOR", "1")
            .env("CHILD", support::child())
            .env("SERVER_PORT", self.port.to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn autotuned(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments, environment);
        command.output().expect("autotuned")
    }

    /// `autotuned run --preset serving-env`, with its port, without a pause, and
    /// with these arguments and variables besides.
    fn tune(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let port = self.port.to_string();
        let mut all = vec!["run", "--preset", "serving-env"];
        all.extend(["--port", &port, "--cooldown", "0", "--startup_timeout", "1"]);
        all.extend(arguments);
        self.autotuned(&all, environment)
    }

    /// The lines of a results file.
    fn results(&self, name: &str) -> Vec<Json> {
        let text = self.read(name);
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// The names in the repo, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("repo")).expect("the repo").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// Variables of a file that `env` wrote.
fn variable<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
