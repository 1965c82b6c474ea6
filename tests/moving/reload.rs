//! `autotunectl` and a daemon that goes by a repo, not by a spec's file.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Repo;
use crate::support::{Daemon, code, said};

/// A daemon in the middle of its first run, which goes on once `go-on` is there.
fn measuring(repo: &Repo) -> Daemon {
    let evaluator = repo.read("eval_local.py");
    let gate = "echo 1 > measuring\nuntil [ -e go-on ]; do sleep 0.01; done\n";
    repo.write("eval_local.py", &format!("{gate}{evaluator}"));
    let port = repo.port.to_string();
    let arguments = [
        "run",
        "--preset=serving-env",
        "--port",
        &port,
        "--eval_runs=1",
        "--cooldown=0",
        "--startup_timeout=1",
    ];
    let child = repo
        .command(
            &arguments,
            &[
                ("SEARCH_SPACE_FILE", "tune_search_space.json"),
                ("SKIP_PIP_INSTALL", "0"),
            ],
        )
        .stdout(fs::File::create(repo.path("said")).expect("a file"))
        .stderr(Stdio::null())
        .spawn();
    let mut daemon = Daemon::of(child.expect("a daemon"));
    while !repo.file("measuring").exists() {
        assert!(daemon.is_alive());
        sleep(Duration::from_millis(2));
    }
    daemon
}

fn ctl(repo: &Repo, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(arguments)
        .env("XDG_RUNTIME_DIR", repo.path("runtime"))
        .env_remove("AUTOTUNE_SOCKET")
        .env("NO_COLOR", "1");
    command.output().expect("autotunectl")
}

#[test]
fn a_changed_repo_is_taken_over() {
    let repo = Repo::new();
    let mut daemon = measuring(&repo);
    let good = |arguments: &[&str]| {
        let output = ctl(&repo, arguments);
        assert_eq!(code(&output), 0, "{}", said(&output));
        said(&output)
    };
    let values = || good(&["space", "--json"]);
    assert!(values().contains("1280"), "{}", values());

    let text = said(&ctl(&repo, &["reload"]));
    assert!(text.contains("says what it said"), "{text}");

    // What is wrong is told, and the study goes on as before.
    repo.protect(0o644);
    let output = ctl(&repo, &["reload"]);
    assert_ne!(code(&output), 0);
    let text = said(&output);
    assert!(text.contains("chmod 600"), "{text}");
    repo.protect(0o600);

    repo.write(
        "tune_search_space.json",
        r#"{"VLLM_MAX_NUM_SEQS": ["1408"]}"#,
    );
    let secrets = repo.read("tune_secrets.sh");
    repo.write(
        "tune_secrets.sh",
        &format!("{secrets}\nexport ACC=0.8816\n"),
    );
    good(&["reload"]);
    assert!(values().contains("1408") && !values().contains("1280"));
    let settings = good(&["set"]);
    assert!(settings.contains("0.8816"), "{settings}");

    // The trial that runs is finished, and judged by the new threshold.
    repo.write("go-on", "");
    good(&["wait", "--for", "trial=1"]);
    let trial = good(&["show", "1"]);
    assert!(trial.contains("infeasible"), "{trial}");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0);
    // What its start went by is named: without it another study would go on.
    let last = fs::read_to_string(repo.path("said")).expect("what it said");
    let variables = "with these variables set as now: SEARCH_SPACE_FILE, SKIP_PIP_INSTALL\n";
    assert!(last.ends_with(variables), "{last}");
}
