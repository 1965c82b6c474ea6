//! `autotuned notify-failed`, by which a unit tells that it has failed.

use super::receiver::{Answer, Receiver};
use super::support::{code, said};
use super::*;

fn notify_failed(study: &Study) -> Output {
    study.autotuned(&[
        "notify-failed",
        "autotune@told.service",
        "--spec",
        "study.toml",
    ])
}

#[test]
fn a_unit_tells_that_it_has_failed_whatever_is_wrong_with_its_spec() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let channels = format!("{}{}", hook("hook", ""), hook("quiet", "kinds = ['done']"));
    let study = study(1, SCORE, &channels);
    for name in ["hook.url", "quiet.url"] {
        secret(&study, name, &receiver.url(HUSH));
    }
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    std::fs::write(study.path("study.toml"), spec.replace("N = [1]", "N = [")).expect("written");
    let output = notify_failed(&study);
    assert_eq!(
        code(&output),
        3,
        "what is no TOML has no [notify]: {}",
        said(&output)
    );
    std::fs::write(study.path("study.toml"), spec.replace("N = [1]", "N = []")).expect("written");
    assert_eq!(code(&study.autotuned(&["check", "study.toml"])), 3);
    let output = notify_failed(&study);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(receiver.texts("kind"), ["crashed"]);
    let title = "[told] autotune@told.service has failed and is not started again";
    assert_eq!(receiver.texts("title"), [title]);
    assert!(receiver.texts("text")[0].contains("systemctl status autotune@told.service"));
}

#[test]
fn a_channel_without_its_secret_leaves_it_to_the_fallback() {
    let other = Receiver::start(|_| Answer::ok(""));
    let fallback = hook("other", "kinds = []\nfallback = true");
    let study = study(1, SCORE, &format!("{}{fallback}", hook("hook", "")));
    secret(&study, "other.url", &other.url(HUSH));
    assert_eq!(code(&notify_failed(&study)), 1);
    assert_eq!(other.texts("kind"), ["crashed"]);
}

#[test]
fn what_cannot_be_delivered_goes_to_the_fallback_and_is_said() {
    let bad = Receiver::start(|_| Answer::status(410));
    let other = Receiver::start(|_| Answer::ok(""));
    let fallback = hook("other", "kinds = []\nfallback = true");
    let channels = format!("{}{}{fallback}", hook("hook", ""), hook("unreadable", ""));
    let study = study(1, SCORE, &channels);
    secret(&study, "hook.url", &bad.url(HUSH));
    secret(&study, "other.url", &other.url(HUSH));
    let output = notify_failed(&study);
    let text = said(&output);
    assert_eq!(code(&output), 1, "{text}");
    assert!(
        text.contains("channel hook of [notify]: it answers 410"),
        "{text}"
    );
    assert!(
        text.contains("channel unreadable of [notify]: there is no file"),
        "{text}"
    );
    assert!(!text.contains("hush-hush"), "{text}");
    assert_eq!(other.texts("kind"), ["crashed"]);
}
