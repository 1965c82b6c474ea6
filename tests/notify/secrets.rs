//! Where secrets come from, and that they go nowhere.

use super::receiver::{Answer, Receiver};
use super::support::{code, said};
use super::*;

#[test]
fn a_secret_that_is_missing_or_open_is_named_before_anything_starts() {
    let channels = format!(
        "{}{}[[notify.channel]]\nname = 'group'\ntype = 'feishu'\nurl = {{ credential = 'feishu' }}\n",
        hook("hook", ""),
        hook("open", "")
    );
    let study = study(1, SCORE, &channels);
    std::fs::write(study.path("open.url"), "http://hush-hush/").expect("written");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(study.path("open.url"), open).expect("a mode");
    let output = study.command(&["run", "study.toml", "--output-dir", "out"]);
    let output = { output }
        .env("CREDENTIALS_DIRECTORY", study.path(""))
        .output()
        .expect("run");
    let text = said(&output);
    assert_eq!(code(&output), 3, "{text}");
    let path = |name: &str| study.path(name).display().to_string();
    let (missing, open) = (path("hook.url"), path("open.url"));
    for expected in [
        format!(
            "channel hook of [notify]: there is no file {missing}: write the secret into it, then chmod 600 {missing}"
        ),
        format!(
            "channel open of [notify]: {open} is open to others than its owner: chmod 600 {open}"
        ),
        "channel group of [notify]: there is no credential `feishu`".to_owned(),
        "/etc/autotune/credentials/feishu".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\nin\n{text}");
    }
    assert!(!text.contains("hush"), "{text}");
    assert!(!study.out("").exists());
}

/// Credentials as systemd hands them on, and a variable that no step may see,
/// though `pass_env` lets all through.
#[test]
fn no_step_gets_a_variable_that_is_a_secret() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let command = r#""{child}", "run", "--env", "{dir}env", "--print", "score={{ N }}""#;
    let channels = "[[notify.channel]]\nname = 'a'\ntype = 'webhook'\nkinds = ['done']\nurl = { env = 'HOOK_URL' }\n\
                    [[notify.channel]]\nname = 'b'\ntype = 'webhook'\nkinds = ['done']\nurl = { credential = 'hook' }\n\
                    [[notify.channel]]\nname = 'c'\ntype = 'webhook'\nkinds = ['done']\n\
                    url = { file = 'exports.sh', name = 'SOURCED_URL' }\n";
    let study = study(1, command, channels);
    secret(&study, "autotune_hook", &receiver.url(HUSH));
    let exported = format!("export SOURCED_URL={}", receiver.url(HUSH));
    secret(&study, "exports.sh", &exported);
    let mut run = study.command(&["run", "study.toml", "--output-dir", "out"]);
    run.env("HOOK_URL", receiver.url(HUSH))
        // Its owner has sourced the file.
        .env("SOURCED_URL", receiver.url(HUSH))
        .env("SEEN", "by the steps")
        .env("CREDENTIALS_DIRECTORY", study.path(""));
    let output = run.output().expect("run");
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(receiver.texts("kind"), ["done"; 3]);
    let env = std::fs::read_to_string(study.path("env")).expect("the step's environment");
    assert!(env.contains("SEEN=by the steps"), "{env}");
    assert!(!env.contains("_URL") && !env.contains("hush"), "{env}");
    assert_hushed(&study, &said(&output), &["hush-hush"]);
}

#[test]
fn a_secret_that_changes_needs_a_restart_and_reload_says_so() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let study = study(1, GATED, &hook("hook", "kinds = ['start']"));
    secret(&study, "hook.url", &receiver.url(HUSH));
    let _daemon = study.start();
    study.await_gate("gate-1");
    secret(&study, "hook.url", "http://localhost:1/other");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("a secret of channel hook is another one now"),
        "{text}"
    );
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    std::fs::write(
        study.path("study.toml"),
        spec.replace("hook.url", "new.url"),
    )
    .expect("written");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 4, "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("where the secrets of channel hook in [notify] come from"),
        "{text}"
    );
}

/// What was a secret stays one, also when no channel is left that has it.
#[test]
fn a_variable_that_was_a_secret_is_kept_from_the_steps_after_a_reload() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let command = r#""{child}", "run", "--env", "{dir}env-{{ N }}", "--gate", "{dir}gate-{{ N }}", "--print", "score={{ N }}""#;
    let channel = "[[notify.channel]]\nname = 'a'\ntype = 'webhook'\nkinds = ['start']\nurl = { env = 'HOOK_URL' }\n";
    let study = study(2, command, channel);
    let url = receiver.url(HUSH);
    let arguments = ["run", "study.toml", "--output-dir", "out"];
    let mut daemon = study.start_with(&arguments, &[("HOOK_URL", &url), ("SEEN", "by the steps")]);
    study.await_gate("gate-1");
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let (before, _) = spec.split_once("[[notify.channel]]").expect("a channel");
    std::fs::write(study.path("study.toml"), before).expect("written");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    study.open_gate("gate-1");
    study.open_gate("gate-2");
    assert_eq!(daemon.end(), 0);
    let env = std::fs::read_to_string(study.path("env-2")).expect("the second trial's");
    assert!(env.contains("SEEN=by the steps"), "{env}");
    assert!(!env.contains("HOOK_URL") && !env.contains("hush"), "{env}");
}
