//! What `doctor` says of GPUs.

use serde_json::Value as Json;

use crate::nvml::Nvml;
use crate::support::said::GOOD;
use crate::support::{Study, code};

const HEALTHY: &str = "driver 550.54.15\ngpu GPU-a NVIDIA_L4 23034 500\n";

/// What is found about the GPUs of a host where the library tells `text`.
fn findings(study: &Study, nvml: &Nvml) -> Vec<(String, String)> {
    let mut command = study.command(&["doctor", "study.toml", "--json"]);
    let output = command.envs(nvml.env()).output().expect("autotuned");
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list").iter();
    let is_sick = checks.clone().any(|check| check["state"] == "error");
    assert_eq!(code(&output), i32::from(is_sick), "{report}");
    checks
        .filter(|check| check["name"] == "gpu")
        .map(|check| {
            let word = check["state"].as_str().expect("a word");
            let part = |key: &str| check[key].as_str().expect("text").to_owned();
            (
                word.to_owned(),
                format!("{}: {}", part("text"), part("remedy")),
            )
        })
        .collect()
}

#[test]
fn each_state_of_a_gpu_has_its_own_words() {
    let study = Study::new(GOOD);
    let own = std::process::id();
    let others = format!("{HEALTHY}use GPU-a {own} 9000\n").replace(" 500\n", " 9500\n");
    let cases: [(&str, &str, &[&str]); 9] = [
        (
            HEALTHY,
            "ok",
            &["GPU 0 (NVIDIA L4), driver 550.54.15: 22.0 GiB of 22.5 GiB free"],
        ),
        (
            &others,
            "warning",
            &[
                &format!("process {own} ("),
                "(8.8 GiB)",
                "would lack that memory",
            ],
        ),
        (
            &format!("{HEALTHY}lost GPU-a\n"),
            "error",
            &["GPU 0: the GPU is lost", "xid"],
        ),
        ("fail 15\n", "error", &["the GPU is lost"]),
        ("fail 18\n", "error", &["differ in version", "reboot"]),
        ("fail 9\n", "warning", &["driver is not loaded"]),
        ("fail 999\n", "warning", &["the NVIDIA driver says"]),
        (
            &format!("{HEALTHY}volatile GPU-a\n"),
            "ok",
            &["nvidia-smi -pm 1"],
        ),
        ("", "ok", &["no NVIDIA GPU seen"]),
    ];
    let nvml = Nvml::new(&study, "");
    for (told, state, words) in cases {
        nvml.tell(told);
        let found = findings(&study, &nvml);
        assert_eq!(found.len(), 1, "{told}: {found:?}");
        assert_eq!(found[0].0, state, "{told}: {found:?}");
        for word in words {
            assert!(found[0].1.contains(word), "{word}: {found:?}");
        }
    }
    nvml.tell(&format!("{HEALTHY}hot GPU-a\nerrors GPU-a 4\n"));
    let found = findings(&study, &nvml);
    let states: Vec<&str> = found.iter().map(|(state, _)| &**state).collect();
    assert_eq!(states, ["ok", "warning", "warning"], "{found:?}");
}

#[test]
fn gpus_that_the_study_does_not_use_are_left_out() {
    let study = Study::new(&format!("{GOOD}[env]\nCUDA_VISIBLE_DEVICES = \"1\"\n"));
    let told = format!("{HEALTHY}gpu GPU-b NVIDIA_A10 100 0\nlost GPU-a\n");
    let nvml = Nvml::new(&study, &told);
    let found = findings(&study, &nvml);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("GPU 1 (NVIDIA A10)"), "{found:?}");
}

#[test]
fn a_driver_that_hangs_is_left_behind() {
    let study = Study::new(GOOD);
    let nvml = Nvml::new(&study, "hang\n");
    let found = findings(&study, &nvml);
    assert_eq!(found[0].0, "error", "{found:?}");
    assert!(found[0].1.contains("did not answer in"), "{found:?}");
    study.wait("the end of the helper", || nvml.users().is_empty());
}
