//! Children that try to stay.

use crate::checks::{assert_nothing_left, ends, failures, kill_both};
use crate::support::{Study, kill};

/// A service with some ways to misbehave, and runs that count who else is
/// alive.
const SPEC: &str = r#"
[study]
name = "containment"
pass_env = ["PIDS"]
[objective]
maximize = "alive"
[space]
N = [1, 2]
[host]
fault_wait = "0s"
cgroup = {cgroup}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"{serve}]
ready = { http = "http://127.0.0.1:{port}/" }
stop_grace = "200ms"
[[step]]
name = "eval"
kind = "measure"
runs = 3
timeout = "{timeout}"
# That of a step of which nothing is alive holds up nobody.
stop_grace = "10m"
command = ["{child}", "run", "--census"{run}]
metrics.alive = 'alive=(\S+)'
"#;

struct Spec {
    cgroup: bool,
    serve: &'static str,
    run: &'static str,
    timeout: &'static str,
}

fn study(spec: &Spec) -> Study {
    let text = SPEC
        .replace("{cgroup}", &spec.cgroup.to_string())
        .replace("{timeout}", spec.timeout);
    let words = |text: &str| {
        text.split_whitespace()
            .map(|word| format!(", \"{word}\""))
            .collect::<String>()
    };
    Study::new(
        &text
            .replace("{serve}", &words(spec.serve))
            .replace("{run}", &words(spec.run)),
    )
}

/// What each run of a trial counted, in the order of the runs.
fn counted(study: &Study, trial: u64) -> Vec<Option<f64>> {
    let runs = study
        .events_of("run-ended")
        .into_iter()
        .filter(|run| run["trial"] == trial);
    runs.map(|run| run["metrics"]["alive"].as_f64()).collect()
}

/// The study comes to its end, and at that moment nothing of it is alive.
fn services_that_stay_are_gone(cgroup: bool) {
    let ways = [
        ("--leave", 2.0),
        ("--leave-bare", 2.0),
        ("--ignore-term", 1.0),
        ("--leave --ignore-term", 2.0),
        ("--leave-bare --ignore-term", 2.0),
    ];
    for (serve, alive) in ways {
        let study = study(&Spec {
            cgroup,
            serve,
            run: "",
            timeout: "60s",
        });
        assert_eq!(study.start().end(), 0, "{serve}: {}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(ends(&study), ["complete", "complete"], "{serve}");
        for trial in [1, 2] {
            // The second trial does not meet anything of the first.
            assert_eq!(
                counted(&study, trial),
                [Some(alive); 3],
                "{serve}: trial {trial}"
            );
        }
    }
}

/// A service whose first process ends has died; what it started goes with it.
fn a_service_whose_leader_exits_takes_all_along(cgroup: bool) {
    for serve in [
        "--background",
        "--background --leave",
        "--background --ignore-term --leave-bare",
    ] {
        let study = study(&Spec {
            cgroup,
            serve,
            run: "",
            timeout: "60s",
        });
        assert_eq!(study.start().end(), 0, "{serve}: {}", study.trace());
        assert_nothing_left(&study);
        // Whoever measures at once meets it before it is gone.
        let failures = failures(&study);
        assert_eq!(failures.len(), 2, "{serve}");
        let died = |kind: &String| ["died", "died-in-runs"].contains(&&**kind);
        assert!(failures.iter().all(died), "{serve}: {failures:?}");
        // The leader and the one that it started, in each of two trials.
        assert!(study.processes().len() >= 2, "{serve}");
    }
}

fn what_a_run_leaves_is_gone_before_the_next(cgroup: bool) {
    let study = study(&Spec {
        cgroup,
        serve: "",
        run: "--leave",
        timeout: "60s",
    });
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    for trial in [1, 2] {
        // The service, and nobody else.
        assert_eq!(counted(&study, trial), [Some(1.0); 3], "{}", study.trace());
    }
}

/// A run that times out takes its whole tree with it; the next runs are not
/// disturbed.
fn a_run_that_times_out_takes_its_tree(cgroup: bool) {
    let study = study(&Spec {
        cgroup,
        serve: "",
        run: "--leave --gate {dir}/run-{{N}}-{{run}}",
        timeout: "4s",
    });
    for gate in ["run-1-2", "run-1-3", "run-2-1", "run-2-2", "run-2-3"] {
        study.open_gate(gate);
    }
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    let runs = study.events_of("run-ended");
    assert_eq!(runs[0]["ending"], "timed-out", "{}", study.trace());
    for trial in [1, 2] {
        assert_eq!(counted(&study, trial), [Some(1.0); 3], "{}", study.trace());
    }
    assert_eq!(failures(&study), ["some-runs"], "{}", study.trace());
}

/// Daemon and runner die at once. What has cleared its environment as well as
/// its session can escape where there is no cgroup, which is documented.
fn nothing_escapes_when_both_die(cgroup: bool) {
    let ways: &[&str] = match cgroup && autotune::exec::cgroup::available() {
        true => &["--leave", "--ignore-term", "--leave-bare --ignore-term"],
        false => &["--leave", "--ignore-term", "--leave --ignore-term"],
    };
    for serve in ways {
        let study = study(&Spec {
            cgroup,
            serve,
            run: "--leave --gate {dir}/run",
            timeout: "60s",
        });
        let mut daemon = study.start();
        study.await_gate("run");
        kill_both(&study, &mut daemon);
        let old = study.processes();
        let mut daemon = study.start();
        study.await_events("sitting-ended", 1);
        let alive = study.alive();
        let left: Vec<_> = old.iter().filter(|(pid, _)| alive.contains(pid)).collect();
        assert!(left.is_empty(), "{serve}: {left:?}\n{}", study.trace());
        study.open_gate("run");
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        assert_nothing_left(&study);
        assert_eq!(
            ends(&study),
            ["interrupted", "complete", "complete"],
            "{serve}"
        );
    }
}

both_ways! {
    services_that_stay_are_gone,
    a_service_whose_leader_exits_takes_all_along,
    what_a_run_leaves_is_gone_before_the_next,
    a_run_that_times_out_takes_its_tree,
    nothing_escapes_when_both_die,
}

/// What runs elsewhere has a `stop` command. It is run at every ending,
/// whoever is left to do it.
mod stop_commands {
    use super::*;

    const SPEC: &str = r#"
[study]
name = "elsewhere"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[budget]
trials = 1
[space]
N = [1, 2]
[host]
fault_wait = "0s"
cgroup = {cgroup}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"]
ready = { http = "http://127.0.0.1:{port}/" }
stop = ["{child}", "run", "--append", "{dir}/stopped", "--line", "{{ sitting }}"]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--gate", "{dir}/run", "--print", "m=1"]
metrics.m = 'm=(\S+)'
"#;

    fn stopped(study: &Study) -> Vec<String> {
        let text = std::fs::read_to_string(study.path("stopped")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn run_when_a_runner_dies(cgroup: bool) {
        let study = Study::new(&SPEC.replace("{cgroup}", &cgroup.to_string()));
        let mut daemon = study.start();
        study.await_gate("run");
        kill(study.runner_pid());
        study.open_gate("run");
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        assert_eq!(stopped(&study), ["1", "2"]);
        assert_nothing_left(&study);
    }

    fn run_after_daemon_and_runner_died(cgroup: bool) {
        let study = Study::new(&SPEC.replace("{cgroup}", &cgroup.to_string()));
        let mut daemon = study.start();
        study.await_gate("run");
        kill_both(&study, &mut daemon);
        study.open_gate("run");
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert_eq!(stopped(&study), ["1", "2"]);
        assert_nothing_left(&study);
    }

    both_ways!(run_when_a_runner_dies, run_after_daemon_and_runner_died);
}
