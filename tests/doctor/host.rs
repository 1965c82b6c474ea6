//! `doctor` with and without a daemon, and what a start tells.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value as Json;

use crate::support::control::{ctl, json};
use crate::support::said::{GOOD, SERVED, assert_said};
use crate::support::{Study, code, said};

/// What `autotuned doctor study.toml --json` finds, and how it ends.
fn doctor(study: &Study) -> (Vec<Json>, i32) {
    let output = study.autotuned(&["doctor", "study.toml", "-o", "out", "--json"]);
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list").clone();
    for check in &checks {
        let keys: Vec<&String> = check.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["name", "state", "text", "remedy"]);
    }
    (checks, code(&output))
}

fn of<'a>(checks: &'a [Json], name: &str) -> Vec<&'a Json> {
    checks.iter().filter(|c| c["name"] == name).collect()
}

fn text(check: &Json) -> String {
    format!("{}: {}", check["text"], check["remedy"])
}

#[test]
fn a_host_that_has_all_is_fit() {
    let study = Study::new(SERVED);
    let (checks, code) = doctor(&study);
    let names = [
        "steps",
        "workdir",
        "output",
        "ports",
        "memory",
        "open-files",
        "gpu",
        "cgroups",
    ];
    for name in names {
        let found = of(&checks, name);
        assert!(!found.is_empty(), "{name} is not in {checks:?}");
        if !["cgroups", "memory", "gpu"].contains(&name) {
            assert_eq!(found[0]["state"], "ok", "{found:?}");
        }
    }
    let errors: Vec<_> = checks.iter().filter(|c| c["state"] == "error").collect();
    assert_eq!(code, i32::from(!errors.is_empty()), "{errors:?}");
    assert!(!study.path("out").exists());
}

#[test]
fn what_is_in_the_way_is_named_with_the_way_out() {
    let study = Study::new(SERVED);
    study.write_spec(
        &SERVED
            .replace(
                "[\"{child}\", \"run\", \"--print\", \"m=1\"]",
                "[\"bash\", \"gone.sh\"]",
            )
            .replace("\"{child}\", \"serve\"", "\"no-such-server\", \"serve\""),
    );
    let listener = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    std::fs::write(study.path("out"), "a file").expect("written");
    let (checks, code) = doctor(&study);
    assert_eq!(code, 1);
    let steps = of(&checks, "steps");
    assert_eq!(steps[0]["state"], "error");
    assert!(
        text(steps[0]).contains("has the program no-such-server"),
        "{steps:?}"
    );
    assert_eq!(steps[1]["state"], "warning");
    assert!(text(steps[1]).contains("gone.sh"), "{steps:?}");
    let output = of(&checks, "output")[0];
    assert_eq!(output["state"], "error");
    assert!(text(output).contains("is not a folder"), "{output}");
    let port = of(&checks, "ports")[0];
    assert_eq!(port["state"], "error");
    assert!(
        text(port).contains(&format!("process {}", std::process::id())),
        "{port}"
    );
    drop(listener);
    // The same for people.
    let shown = study.autotuned(&["doctor", "study.toml", "-o", "out"]);
    assert_said(
        &shown,
        1,
        &["error    steps:", "install it, or write its whole path"],
    );
    assert!(
        said(&shown)
            .lines()
            .all(|line| line.chars().count() <= 80 || line.contains('/'))
    );
}

#[test]
fn programs_are_looked_for_where_the_step_will_look() {
    let study = Study::new(GOOD);
    let bin = study.path("bin");
    std::fs::create_dir(&bin).expect("made");
    std::fs::write(bin.join("mine"), "#!/bin/sh\n").expect("written");
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("mine"), executable).expect("set");
    let own = GOOD.replace("[\"{child}\", \"run\", \"--print\", \"m=1\"]", "[\"mine\"]");
    study.write_spec(&own);
    assert_eq!(of(&doctor(&study).0, "steps")[0]["state"], "error");
    study.write_spec(&format!(
        "{own}[env]\nPATH = \"{{dir}}/bin:/usr/bin:/bin\"\n"
    ));
    assert_eq!(of(&doctor(&study).0, "steps")[0]["state"], "ok");
}

#[test]
fn a_running_daemon_looks_with_its_own_eyes() {
    let study = Study::new(&SERVED.replace("\"m=1\"]", "\"m=1\", \"--gate\", \"{dir}/gate\"]"));
    let mut daemon = study.start();
    study.await_gate("gate");
    let report = json(&study, &["doctor"]);
    let checks = report["checks"].as_array().expect("a list");
    let port = of(checks, "ports")[0];
    assert_eq!(port["state"], "ok", "{port}");
    assert!(text(port).contains("in use by a trial"), "{port}");
    let shown = said(&ctl(&study, &["doctor"]));
    assert!(shown.contains("\nok       output: "), "{shown}");
    study.open_gate("gate");
    assert_eq!(daemon.end(), 0, "{}", study.trace());
}

#[test]
fn a_start_tells_what_is_amiss_once_and_goes_on() {
    let spec = SERVED.replace("port_wait = \"10ms\"", "port_wait = \"60s\"");
    let study = Study::new(&spec);
    let listener = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    let mut daemon = study.start();
    study.await_events("waiting", 1);
    let own = format!("process {}", std::process::id());
    let status = json(&study, &["status"]);
    let waits = status["running"]["doing"]["waiting"]["text"].as_str();
    let waits = waits.unwrap_or_else(|| panic!("{status}"));
    assert!(waits.contains(&format!("port {}", study.port)), "{waits}");
    assert!(waits.contains(&own), "{waits}");
    let shown = said(&ctl(&study, &["status"]))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(shown.contains(&own), "{shown}");
    drop(listener);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let told = study
        .log()
        .matches("end that, or give the service another port")
        .count();
    assert_eq!(told, 1, "{}", study.log());
}

#[test]
fn a_start_that_can_write_nothing_is_none() {
    let study = Study::new(GOOD);
    std::fs::write(study.path("file"), "").expect("written");
    let output = study.autotuned(&["run", "study.toml", "--output-dir", "file/out"]);
    assert_said(
        &output,
        4,
        &[
            "file/out cannot be made in",
            "is not a folder: name another",
        ],
    );
}
