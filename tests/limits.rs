//! Limits, and the cgroups of a daemon that has one for itself.
//!
//! What the kernel does about limits is tried by `tests/booted/limits.sh`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use autotune::exec::{cgroup, limits};
use autotune::model::spec::Limits;
use support::said::{assert_said, unfolded};
use support::{Study, code};

const SPEC: &str = r#"
[study]
name = "limited"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[limits]
pids_max = 1000
required = REQUIRED
[space]
N = [1]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--leave", "--gate", "{dir}gate", "--print", "m=1"]
metrics.m = 'm=(\S+)'
"#;

fn study(required: bool) -> Study {
    Study::new(&SPEC.replace("REQUIRED", &required.to_string()))
}

/// What of the spec's limits cannot be had here.
fn missing() -> Vec<String> {
    limits::missing(&Limits {
        pids_max: Some(1000),
        ..Limits::default()
    })
}

#[test]
fn a_limit_that_cannot_be_had_is_on_record() {
    let study = study(false);
    study.open_gate("gate");
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    let warned = study.events_of("warned");
    let texts: Vec<&str> = warned.iter().filter_map(|w| w["text"].as_str()).collect();
    assert_eq!(texts, missing(), "{}", study.trace());
    assert!(
        texts
            .iter()
            .all(|text| unfolded(&study.log()).contains(text)),
        "{}",
        study.trace()
    );
    let checked = study.autotuned(&["check", "study.toml"]);
    assert_said(&checked, 0, &texts);
}

#[test]
fn a_limit_that_is_required_and_cannot_be_had_is_an_error() {
    let missing = missing();
    if missing.is_empty() {
        // A delegated cgroup: there is nothing that could not be had.
        return;
    }
    let study = study(true);
    let words: Vec<&str> = missing.iter().map(String::as_str).collect();
    for verb in [&["check", "study.toml"][..], &["run", "study.toml"]] {
        assert_said(&study.autotuned(verb), 3, &words);
    }
    let elsewhere = study.autotuned(&["check", "--no-host", "study.toml"]);
    assert_eq!(code(&elsewhere), 0);
}

/// A cgroup that is made for a test, with nobody in it.
struct Home(PathBuf);

impl Home {
    /// `None` where this user may make none.
    fn make() -> Option<Self> {
        let sitting = cgroup::Cgroup::create(&format!("{:032x}", std::process::id()))?;
        let path = sitting.path().with_extension("home");
        sitting.remove();
        fs::create_dir(&path).ok()?;
        // As a service manager marks it; where none is nobody looks.
        let flags = rustix::fs::XattrFlags::empty();
        for name in ["user.delegate", "trusted.delegate"] {
            let _ = rustix::fs::setxattr(&path, name, b"1", flags);
        }
        Some(Self(path))
    }

    /// Starts the study's daemon in it, alone, as a service manager does.
    fn start(&self, study: &Study) -> Child {
        let own = study.command(&["run", "study.toml", "--output-dir", "out"]);
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"echo $$ >"$0" && exec "$@""#])
            .arg(self.0.join("cgroup.procs"))
            .arg(own.get_program())
            .args(own.get_args())
            .current_dir(study.path(""))
            .envs(
                own.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().expect("the daemon")
    }

    fn leaf(&self) -> PathBuf {
        self.0.join("autotune-daemon")
    }

    /// The cgroups of sittings in it.
    fn sittings(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).expect("it is there").flatten();
        let folders = entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir());
        folders.filter(|path| *path != self.leaf()).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.leaf());
        let _ = fs::remove_dir(&self.0);
    }
}

fn pids(cgroup: &Path) -> Vec<String> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).expect("a cgroup");
    text.lines().map(str::to_owned).collect()
}

/// Daemon and runner are killed; the next daemon is started in the same cgroup,
/// where the leaf of the first is left.
#[test]
fn a_daemon_alone_in_its_cgroup_makes_itself_a_leaf() {
    let Some(home) = Home::make() else { return };
    let study = study(false);
    let mut old: Vec<PathBuf> = Vec::new();
    for _ in 0..2 {
        let mut daemon = home.start(&study);
        study.await_gate("gate");
        fs::remove_file(study.path("gate.waits")).expect("it waits");
        assert_eq!(pids(&home.leaf()), [daemon.id().to_string()]);
        assert_eq!(pids(&home.0), Vec::<String>::new());
        let sittings = home.sittings();
        assert_eq!(sittings.len(), 1, "{sittings:?}");
        assert_ne!(sittings, old);
        old = sittings;
        let runner = study.runner_pid();
        daemon.kill().expect("killed");
        daemon.wait().expect("reaped");
        support::kill(runner);
    }
    study.open_gate("gate");
    let mut daemon = home.start(&study);
    assert!(daemon.wait().expect("its end").success());
    assert_eq!(study.alive(), Vec::<i32>::new());
    assert_eq!(home.sittings(), Vec::<PathBuf>::new());
}
