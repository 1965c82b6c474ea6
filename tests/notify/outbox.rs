//! What waits is not lost, not told twice, and holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::receiver::{Answer, Receiver, closed_port};
use super::support::{code, said};
use super::*;

/// The ids of what it has accepted.
fn ids(receiver: &Receiver) -> Vec<String> {
    let seen = receiver.seen().into_iter();
    let lists = seen
        .filter(|request| request.accepted)
        .map(|request| request.json()["ids"].clone());
    let ids = lists.flat_map(|list| list.as_array().expect("a list").clone());
    ids.map(|id| id.as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn a_receiver_that_asks_for_patience_gets_the_same_message_again() {
    let receiver = Receiver::start(|n| match n {
        0 => Answer::Http(429, "retry-after: 1\r\n", String::new()),
        1 => Answer::status(500),
        2 => Answer::Garbage,
        _ => Answer::ok(""),
    });
    let study = study(1, GATED, &hook("hook", "kinds = ['start']"));
    secret(&study, "hook.url", &receiver.url(HUSH));
    let mut daemon = study.start();
    study.await_gate("gate-1");
    study.wait("a word on the trouble", || {
        let channel = &json(&study, &["status"])["channels"][0];
        channel["waiting"] == 1 && channel["trouble"].is_object() && receiver.seen().len() < 4
    });
    let status = said(&ctl(&study, &["status"]));
    assert!(status.contains("hook: 1 message waits"), "{status}");
    study.wait("the delivery", || {
        !study.events_of("notice-delivered").is_empty()
    });
    study.open_gate("gate-1");
    assert_eq!(daemon.end(), 0);
    let ids = receiver.texts("id");
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_hushed(&study, &status, &["hush-hush"]);
}

/// The study is done while the receiver says nothing at all, and the next start
/// tells what is left.
#[test]
fn a_silent_receiver_holds_nobody_up_and_nothing_is_lost() {
    let deaf = Receiver::start(|_| Answer::Silence);
    let study = study(3, SCORE, &hook("hook", "kinds = ['best', 'done']"));
    secret(&study, "hook.url", &deaf.url(HUSH));
    run_to_end(&study);
    assert_eq!(study.events_of("notice-queued").len(), 4);
    assert!(study.events_of("notice-delivered").is_empty());
    let receiver = Receiver::start(|_| Answer::ok(""));
    secret(&study, "hook.url", &receiver.url(HUSH));
    run_to_end(&study);
    let ids = ids(&receiver);
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(all_differ(&ids));
    // Four at once are a digest.
    assert_eq!(receiver.texts("kind"), ["digest"]);
    let digest = receiver.seen()[0].json();
    assert_eq!(digest["title"], "[told] 4 messages: 3 best, 1 done");
    assert_eq!(
        digest["text"].as_str().map(|text| text.lines().count()),
        Some(4)
    );
    // What is delivered stays so.
    run_to_end(&study);
    assert_eq!(receiver.seen().len(), 1);
}

#[test]
fn a_kill_while_much_waits_loses_nothing() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let receiver = Receiver::start(move |_| match is_up.load(Ordering::SeqCst) {
        true => Answer::ok(""),
        false => Answer::status(503),
    });
    let study = study(
        6,
        GATED,
        &hook("hook", "kinds = ['start', 'best', 'trial_done', 'done']"),
    );
    secret(&study, "hook.url", &receiver.url(HUSH));
    let mut daemon = study.start();
    for n in 1..=5 {
        study.open_gate(&format!("gate-{n}"));
    }
    study.await_gate("gate-6");
    study.wait("an attempt", || !receiver.seen().is_empty());
    daemon.kill();
    study.await_nothing_alive();
    up.store(true, Ordering::SeqCst);
    study.open_gate("gate-6");
    run_to_end(&study);
    let queued = study.events_of("notice-queued");
    let told = ids(&receiver);
    assert_eq!(told.len(), queued.len(), "{told:?}");
    assert!(all_differ(&told));
}

#[test]
fn a_redirect_is_not_followed() {
    let thief = Receiver::start(|_| Answer::ok(""));
    let stolen = format!("location: {}\r\n", thief.url("/x"));
    let stolen: &'static str = stolen.leak();
    let receiver = Receiver::start(move |_| Answer::Http(307, stolen, String::new()));
    let study = study(1, SCORE, &hook("hook", "kinds = ['done']"));
    secret(&study, "hook.url", &receiver.url(HUSH));
    let text = run_to_end(&study);
    assert!(
        text.contains("a redirect, which is not followed with a secret"),
        "{text}"
    );
    assert!(thief.seen().is_empty());
    assert_eq!(receiver.seen().len(), 1);
}

/// A proxy that does not answer, and no certificates: neither is asked for.
#[test]
fn a_local_receiver_needs_neither_proxy_nor_certificates() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let study = study(1, SCORE, &hook("hook", "kinds = ['done']"));
    secret(&study, "hook.url", &receiver.url("/"));
    let dead = format!("http://127.0.0.1:{}", closed_port());
    let arguments = ["run", "study.toml", "--output-dir", "out"];
    let mut command = study.command(&arguments);
    for name in [
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
    ] {
        command.env(name, &dead);
    }
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env(name, "/nonexistent");
    }
    let output = command.output().expect("the daemon");
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(receiver.texts("kind"), ["done"]);
}

/// What is not local goes through the proxy, which is told the machine's name
/// alone.
#[test]
fn a_receiver_elsewhere_is_reached_through_the_proxy() {
    let proxy = Receiver::start(|_| Answer::status(502));
    let study = study(1, SCORE, &hook("hook", "kinds = ['done']"));
    secret(&study, "hook.url", &format!("https://hooks.invalid{HUSH}"));
    let mut command = study.command(&["run", "study.toml", "--output-dir", "out"]);
    command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port));
    command
        .env_remove("https_proxy")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    let output = command.output().expect("the daemon");
    assert_eq!(code(&output), 0, "{}", said(&output));
    let seen = proxy.seen();
    assert!(
        seen[0].head.starts_with("CONNECT hooks.invalid:443 "),
        "{seen:?}"
    );
    assert!(!format!("{seen:?}").contains("hush"), "{seen:?}");
}

#[test]
fn an_authority_of_ones_own_is_trusted_where_the_spec_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    let receiver = Receiver::start_tls(tls::localhost(&ca), |_| Answer::ok(""));
    let channels = format!(
        "{}{}",
        hook(
            "trusting",
            &format!("kinds = ['done']\nca = '{}'", ca.display())
        ),
        hook("careful", "kinds = ['done']")
    );
    let study = study(1, GATED, &channels);
    for name in ["trusting.url", "careful.url"] {
        secret(&study, name, &receiver.url(HUSH));
    }
    let _daemon = study.start();
    study.await_gate("gate-1");
    let tested = json(&study, &["notify", "test"]);
    assert_eq!(tested[0]["accepted"], true, "{tested}");
    assert_eq!(tested[1]["accepted"], false, "{tested}");
    let why = tested[1]["answer"].as_str().expect("text");
    assert!(
        why.contains("install ca-certificates, or name its authority by `ca`"),
        "{why}"
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[test]
fn a_channel_that_is_gone_from_the_spec_leaves_its_messages_to_the_fallback() {
    let deaf = Receiver::start(|_| Answer::status(503));
    let other = Receiver::start(|_| Answer::ok(""));
    let fallback = hook("other", "kinds = []\nfallback = true");
    let both = format!("{}{fallback}", hook("hook", "kinds = ['start']"));
    let study = study(1, GATED, &both);
    secret(&study, "hook.url", &deaf.url(HUSH));
    secret(&study, "other.url", &other.url(HUSH));
    let _daemon = study.start();
    study.wait("an attempt", || !deaf.seen().is_empty());
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let (before, _) = spec.split_once("[[notify.channel]]").expect("channels");
    std::fs::write(study.path("study.toml"), format!("{before}{fallback}")).expect("written");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    study.wait("the fallback", || other.seen().len() == 1);
    assert_eq!(other.texts("kind"), ["start"]);
}

/// Also where one message waited for several of them, and nobody takes it over.
#[test]
fn channels_that_are_gone_from_the_spec_leave_nothing_behind() {
    let deaf = Receiver::start(|_| Answer::status(503));
    let kinds = "kinds = ['start']";
    let both = format!("{}{}", hook("a", kinds), hook("b", kinds));
    let study = study(1, GATED, &both);
    for name in ["a.url", "b.url"] {
        secret(&study, name, &deaf.url(HUSH));
    }
    let mut daemon = study.start();
    study.wait("attempts", || deaf.seen().len() >= 2);
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let (before, _) = spec.split_once("[[notify.channel]]").expect("channels");
    std::fs::write(study.path("study.toml"), before).expect("written");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    study.await_events("notice-given-up", 2);
    study.open_gate("gate-1");
    assert_eq!(daemon.end(), 0);
    assert!(
        !study.log().contains("not delivered yet"),
        "{}",
        study.log()
    );
}

/// An owner who has mended the spec does not wait out the pause.
#[test]
fn a_channel_that_was_changed_is_tried_at_once() {
    let receiver = Receiver::start(|n| match n {
        0 => Answer::Http(503, "retry-after: 3600\r\n", String::new()),
        _ => Answer::ok(""),
    });
    let study = study(1, GATED, &hook("hook", "kinds = ['start']"));
    secret(&study, "hook.url", &receiver.url(HUSH));
    let _daemon = study.start();
    study.await_gate("gate-1");
    study.wait("a long pause", || {
        let channel = &json(&study, &["status"])["channels"][0];
        channel["trouble"]["again"].is_number()
    });
    let spec = std::fs::read_to_string(study.path("study.toml")).expect("the spec");
    let spec = spec.replace("['start']", "['start', 'best']");
    std::fs::write(study.path("study.toml"), spec).expect("written");
    let output = ctl(&study, &["reload"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    study.await_events("notice-delivered", 1);
}

/// A URL that is wrong costs no message: what waits is delivered as soon as it
/// is right, and a test that is accepted shows that it is.
#[test]
fn a_channel_that_must_be_mended_loses_nothing() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    // The second pause in a row is longer than this test waits for anything.
    let receiver = Receiver::start(move |n| match is_mended.load(Ordering::SeqCst) {
        true => Answer::ok(""),
        false => Answer::status(if n == 0 { 503 } else { 404 }),
    });
    let channel = hook("hook", "kinds = ['start', 'best', 'trial_done']");
    let study = study(3, GATED, &channel);
    secret(&study, "hook.url", &receiver.url(HUSH));
    let _daemon = study.start();
    study.open_gate("gate-1");
    study.open_gate("gate-2");
    study.await_gate("gate-3");
    study.wait("a word on it", || {
        study
            .log()
            .contains("channel hook takes no message: it answers 404")
    });
    assert_eq!(receiver.seen().len(), 2, "it is not tried again in a hurry");
    mended.store(true, Ordering::SeqCst);
    let output = ctl(&study, &["notify", "test"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let queued = study.events_of("notice-queued").len();
    study.wait("all of them", || ids(&receiver).len() == queued + 1);
    assert!(all_differ(&ids(&receiver)));
    assert!(study.events_of("notice-given-up").is_empty());
    let log = study.log();
    assert_eq!(log.matches("takes no message").count(), 1, "{log}");
    assert_hushed(&study, &log, &["hush-hush"]);
}

/// Of many messages in one, those that can be accepted are.
#[test]
fn a_digest_that_is_too_large_comes_in_parts() {
    let deaf = Receiver::start(|_| Answer::status(503));
    let study = study(3, SCORE, &hook("hook", "kinds = ['best', 'done']"));
    secret(&study, "hook.url", &deaf.url(HUSH));
    run_to_end(&study);
    // Four of them, two of them, and then the first one alone.
    let receiver = Receiver::start(|n| Answer::status(if n < 3 { 413 } else { 200 }));
    secret(&study, "hook.url", &receiver.url(HUSH));
    run_to_end(&study);
    let given_up = study.events_of("notice-given-up");
    assert_eq!(given_up.len(), 1, "{given_up:?}");
    assert_eq!(given_up[0]["notices"].as_array().map(Vec::len), Some(1));
    let seen = receiver.seen();
    let sizes = seen
        .iter()
        .map(|request| request.json()["ids"].as_array().map_or(0, Vec::len));
    let sizes: Vec<usize> = sizes.collect();
    assert_eq!(sizes, [4, 2, 1, 1, 1, 1]);
    assert_eq!(ids(&receiver).len(), 3);
}

/// What is asked for while the last messages are delivered comes too late.
#[test]
fn a_daemon_that_leaves_refuses_what_it_does_not_do() {
    let deaf = Receiver::start(|_| Answer::Silence);
    let study = study(1, SCORE, &hook("hook", "kinds = ['done']"));
    secret(&study, "hook.url", &deaf.url(HUSH));
    let mut daemon = study.start();
    study.wait("the last message", || !deaf.seen().is_empty());
    let output = ctl(&study, &["retry", "1"]);
    assert_eq!(code(&output), 4, "{}", said(&output));
    assert!(said(&output).contains("and has not done that"));
    assert_eq!(daemon.end(), 0);
}
