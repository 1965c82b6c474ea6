//! `doctor` with and without a daemon, and what a start tells.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::control::{ctl, json};
use crate::support::said::{GOOD, SERVED, assert_said, unfolded};
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
    assert!(text(output).contains("it is a file"), "{output}");
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
fn of_another_users_process_its_name_and_the_way_to_it_are_told() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    let study = Study::new(SERVED);
    let open = Permissions::from_mode(0o755);
    std::fs::set_permissions(study.path(""), open.clone()).expect("set");
    // Where it was built it may not be entered.
    let program = study.path("autotuned");
    std::fs::copy(env!("CARGO_BIN_EXE_autotuned"), &program).expect("copied");
    std::fs::set_permissions(&program, open).expect("set");
    let _listener = TcpListener::bind(("127.0.0.1", study.port)).expect("the port");
    let mut command = Command::new(program);
    command
        .args(["doctor", "study.toml", "-o", "out", "--json"])
        .current_dir(study.path(""))
        .uid(65534)
        .gid(65534);
    let output = command.output().expect("autotuned");
    let report: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list");
    let port = of(checks, "ports")[0];
    let way = format!(
        "a process of user root, not visible to this one: see `sudo ss -ltnp 'sport = :{}'`",
        study.port
    );
    assert!(text(port).contains(&way), "{port}");
    let output = of(checks, "output")[0];
    assert_eq!(output["state"], "error", "{output}");
    assert!(text(output).contains("let this user write to"), "{output}");
    assert_eq!(of(checks, "workdir")[0]["state"], "warning", "{checks:?}");
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
    let own = format!("process {}", std::process::id());
    study.await_events("port-busy", 1);
    let busy = || json(&study, &["status"])["running"]["doing"]["port_busy"].clone();
    study.wait("a status that says so", || busy().is_object());
    let busy = busy();
    assert_eq!(busy["port"], study.port, "{busy}");
    assert!(
        busy["holder"].as_str().is_some_and(|h| h.contains(&own)),
        "{busy}"
    );
    let shown = unfolded(&said(&ctl(&study, &["status"])));
    assert!(shown.contains(&own), "{shown}");
    drop(listener);
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let told = unfolded(&study.log())
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
        &["file/out cannot be made (", "choose another output_dir"],
    );
}

#[test]
fn secrets_and_certificates_of_channels_are_looked_for() {
    let channel = |name: &str, more: &str| {
        format!("[[notify.channel]]\nname = '{name}'\ntype = 'webhook'\n{more}\n")
    };
    let channels = [
        channel("gone", "url = { file = 'gone.url' }"),
        channel("open", "url = { file = 'open.url' }"),
        channel("unset", "url = { env = 'AUTOTUNE_NO_SUCH' }"),
        channel("unit", "url = { credential = 'hook' }"),
        channel("good", "url = { file = 'good.url' }\nca = 'ca.pem'"),
    ];
    let spec = format!("{SERVED}{}", channels.concat());
    let study = Study::new(&spec);
    for (file, mode) in [("open.url", 0o644), ("good.url", 0o600)] {
        std::fs::write(study.path(file), "https://x.example/hush\n").expect("written");
        std::fs::set_permissions(study.path(file), Permissions::from_mode(mode)).expect("set");
    }
    std::fs::write(study.path("ca.pem"), "no certificate").expect("written");
    let (checks, exit) = doctor(&study);
    assert_eq!(exit, 1, "{checks:?}");
    let found: Vec<String> = of(&checks, "notify")
        .into_iter()
        .map(|check| {
            let part = |key: &str| check[key].as_str().expect("a text").to_owned();
            format!("{} {} | {}", part("state"), part("text"), part("remedy"))
        })
        .collect();
    let dir = study.path("").display().to_string();
    let expected = [
        format!(
            "error channel gone: there is no file {dir}gone.url | write the secret into it, then chmod 600 {dir}gone.url"
        ),
        format!("error channel open: {dir}open.url is open to others than its owner | chmod 600 {dir}open.url"),
        "error channel unset: the environment has no variable AUTOTUNE_NO_SUCH | export it before the start, or give the secret as { file = \"…\" }".to_owned(),
        "warning channel unit: the credential `hook` comes from systemd, which has not started this | let the unit start it, or give the secret as { file = \"…\" }".to_owned(),
        format!("warning channel good: ca = {dir}ca.pem: no certificate is in it | name a file of certificates (PEM) that this user can read"),
    ];
    assert_eq!(found, expected);
    // The service may have them: no reason to call the spec wrong.
    let output = study.autotuned(&["check", "study.toml"]);
    let text = said(&output);
    assert_eq!(code(&output), 0, "{text}");
    let warning = format!("warning: channel gone: there is no file {dir}gone.url: write the");
    assert!(text.contains(&warning), "{text}");
    assert!(!text.contains("hush"), "{text}");
    let output = study.autotuned(&["check", "--no-host", "study.toml"]);
    assert!(!said(&output).contains("channel"), "{}", said(&output));

    let one = SERVED.to_owned() + &channel("good", "url = { file = 'good.url' }");
    study.write_spec(&one);
    let (checks, _) = doctor(&study);
    assert_eq!(
        of(&checks, "notify")[0]["text"],
        "1 channel has every secret and certificate that the spec names"
    );
    study.write_spec(SERVED);
    assert!(of(&doctor(&study).0, "notify").is_empty(), "nobody is told");
}

#[test]
fn where_secrets_of_steps_are_is_told_and_none_is_shown() {
    let spec = SERVED.replace(
        "[study]\n",
        "[study]\npass_secrets = [\"HERE_TOKEN\", \"NOWHERE_TOKEN\"]\n",
    );
    let study = Study::new(&spec);
    let file = study.path(".env");
    std::fs::write(&file, "HERE_TOKEN=sk-4711\n").expect("written");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
    let (checks, _) = doctor(&study);
    let found = of(&checks, "secrets");
    assert_eq!((found.len(), &found[0]["state"]), (1, &"ok".into()));
    let told = format!("HERE_TOKEN is there (HERE_TOKEN in {})", file.display());
    let told = [&*told, "nowhere, so that steps go without: NOWHERE_TOKEN"];
    assert_eq!(found[0]["text"], told.join("; "));
    let checked = study.autotuned(&["check", "study.toml"]);
    let said_of_check = unfolded(&said(&checked));
    assert!(said_of_check.contains(told[1]), "{said_of_check}");
    assert!(!said_of_check.contains("4711"), "{said_of_check}");

    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a mode");
    let (checks, code) = doctor(&study);
    let found = of(&checks, "secrets");
    assert_eq!(
        (&found[0]["state"], code),
        (&"error".into(), 1),
        "{found:?}"
    );
    assert!(text(found[0]).contains("HERE_TOKEN: "), "{found:?}");
    assert!(!text(found[0]).contains("4711"), "{found:?}");
}
