//! GPU memory that a trial used is back before the next one begins.

use nix::sys::signal::Signal;

use crate::nvml::Nvml;
use crate::support::Study;
use crate::support::control::{good, waits_for};

/// Two trials, each with a gate of its own.
const SPEC: &str = r#"
[study]
name = "gpus"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[space]
N = [1, 2]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--print", "m={{ N }}", "--gate", "{dir}/gate{{ N }}"]
metrics.m = 'm=(\S+)'
[host]
gpu_release = "RELEASE"
fault_wait = "0s"
"#;

/// So much of the only GPU is in use.
fn used(mebibytes: u32) -> String {
    format!("driver 550.54.15\ngpu GPU-a NVIDIA_L4 23034 {mebibytes}\n")
}

fn study(release: &str) -> Study {
    Study::new(&SPEC.replace("RELEASE", release))
}

/// Lets the first trial begin with little memory in use, and end with much.
fn first_trial(study: &Study, nvml: &Nvml, after: &str) {
    study.await_gate("gate1");
    nvml.tell(after);
    study.open_gate("gate1");
    study.open_gate("gate2");
}

#[test]
fn memory_that_comes_back_is_waited_for() {
    let study = study("10m");
    let nvml = Nvml::new(&study, &used(500));
    let mut daemon = nvml.start(&study);
    let own = std::process::id();
    let held = format!("{}use GPU-a {own} 8500\n", used(9000));
    first_trial(&study, &nvml, &held);
    let waits = waits_for(&study);
    let words = "waiting for GPU memory: 8.8 GiB of GPU 0 (NVIDIA L4) in use, 500.0 MiB before";
    assert!(waits.contains(words), "{waits}");
    assert!(
        waits.contains(&format!("held by process {own} (")),
        "{waits}"
    );
    let shown = good(&study, &["show", "2"]);
    assert!(shown.contains("waiting for GPU memory"), "{shown}");
    nvml.tell(&used(600));
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(
        study.events_of("sitting-ended").len(),
        2,
        "{}",
        study.trace()
    );
    assert_eq!(study.results().len(), 2);
}

#[test]
fn memory_that_never_comes_back_is_the_hosts_fault() {
    let study = study("1ms");
    let nvml = Nvml::new(&study, &used(500));
    let mut daemon = nvml.start(&study);
    first_trial(&study, &nvml, &used(9000));
    assert_eq!(daemon.end(), 6, "{}", study.trace());
    let ends = study.events_of("sitting-ended");
    assert_eq!(ends.len(), 6, "{}", study.trace());
    for end in &ends[1..] {
        let failure = &end["end"]["failed"];
        assert_eq!(failure["kind"], "not-released", "{failure}");
        let message = failure["message"].as_str().expect("text");
        assert!(
            message.contains("GPU memory did not come back within"),
            "{message}"
        );
        assert!(message.contains("gpu_release = \"0s\""), "{message}");
    }
    assert!(study.log().contains("paused: "), "{}", study.log());
    // Whoever starts it again finds the GPU good enough as it is.
    let mut daemon = nvml.start(&study);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let ends = study.events_of("sitting-ended");
    let complete = ends.iter().filter(|end| end["end"] == "complete");
    assert_eq!(complete.count(), 2, "{}", study.trace());
}

#[test]
fn a_gpu_that_is_lost_is_the_hosts_fault() {
    let study = study("10m");
    let nvml = Nvml::new(&study, &used(500));
    let mut daemon = nvml.start(&study);
    first_trial(&study, &nvml, &format!("{}lost GPU-a\n", used(500)));
    assert_eq!(daemon.end(), 6, "{}", study.trace());
    let ends = study.events_of("sitting-ended");
    assert_eq!(
        ends[1]["end"]["failed"]["kind"],
        "gpu-lost",
        "{}",
        study.trace()
    );
}

#[test]
fn a_driver_that_hangs_holds_no_end_up() {
    let study = study("10m");
    let nvml = Nvml::new(&study, &used(500));
    let mut daemon = nvml.start(&study);
    first_trial(&study, &nvml, "hang\n");
    study.await_events("sitting-started", 2);
    study.wait("the helper that hangs", || nvml.users().len() > 2);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    study.wait("the end of the helper", || nvml.users().is_empty());
    let ends = study.events_of("sitting-ended");
    assert_eq!(ends[1]["end"], "interrupted", "{}", study.trace());
}

#[test]
fn what_is_not_used_or_not_wanted_is_not_waited_for() {
    let elsewhere = format!(
        "{}[env]\nCUDA_VISIBLE_DEVICES = \"1\"\n",
        SPEC.replace("RELEASE", "10m")
    );
    for spec in [elsewhere, SPEC.replace("RELEASE", "0s")] {
        let study = Study::new(&spec);
        let other = "gpu GPU-b NVIDIA_L4 23034 0\n";
        let nvml = Nvml::new(&study, &(used(500) + other));
        let mut daemon = nvml.start(&study);
        first_trial(&study, &nvml, &(used(9000) + other));
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        assert_eq!(study.events_of("waiting").len(), 0, "{}", study.trace());
    }
}

#[test]
fn the_journal_knows_on_what_the_study_ran() {
    let study = study("1s");
    study.open_gate("gate1");
    study.open_gate("gate2");
    let nvml = Nvml::new(&study, &used(0));
    for _ in 0..2 {
        assert_eq!(nvml.start(&study).end(), 0, "{}", study.trace());
    }
    let hosts = study.events_of("host-seen");
    assert_eq!(hosts.len(), 1, "the same host is told once: {hosts:?}");
    let host = &hosts[0]["host"];
    assert_eq!(host["gpu_driver"], "550.54.15");
    assert_eq!(host["gpus"][0]["name"], "NVIDIA L4");
    assert_eq!(host["gpus"][0]["memory"], 23034_u64 << 20);
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(host["name"], hostname.trim());
    nvml.tell(&used(0).replace("550.54.15", "560.1"));
    assert_eq!(nvml.start(&study).end(), 0, "{}", study.trace());
    let hosts = study.events_of("host-seen");
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    assert_eq!(hosts[1]["host"]["gpu_driver"], "560.1");
}
