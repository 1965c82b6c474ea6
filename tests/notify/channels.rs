//! What is told, to whom and in which form.

use super::receiver::{Answer, Receiver};
use super::support::{code, said};
use super::*;

#[test]
fn a_webhook_is_told_what_happens() {
    let receiver = Receiver::start(|_| Answer::ok("thanks"));
    let study = study(
        3,
        SCORE,
        &hook("hook", "kinds = ['start', 'trial_done', 'best', 'done']"),
    );
    secret(&study, "hook.url", &receiver.url(HUSH));
    let text = run_to_end(&study);
    let seen = receiver.seen();
    assert!(
        seen[0].head.starts_with(&format!("POST {HUSH} HTTP/1.1")),
        "{seen:?}"
    );
    assert!(
        seen[0].head.contains("content-type: application/json"),
        "{seen:?}"
    );
    // What waits while another message is under way may come as a digest.
    let told: Vec<String> = seen
        .iter()
        .flat_map(|request| {
            let json = request.json();
            assert_eq!(json["study"], "told");
            json["ids"].as_array().expect("a list").clone()
        })
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect();
    let queued = study.events_of("notice-queued");
    let kinds: Vec<&str> = queued
        .iter()
        .map(|one| one["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(
        kinds,
        [
            "start",
            "best",
            "trial_done",
            "best",
            "trial_done",
            "best",
            "trial_done",
            "done"
        ]
    );
    assert_eq!(told.len(), queued.len(), "{told:?}");
    assert!(all_differ(&told));
    let first = seen[0].json();
    assert_eq!(first["kind"], "start");
    assert_eq!(first["title"], "[told] tuning begins");
    assert_eq!(first["text"], "maximize score");
    assert_eq!(first["id"], told[0].as_str());
    assert!(study.events_of("notice-given-up").is_empty());
    assert_hushed(&study, &text, &["hush-hush"]);
}

#[test]
fn a_template_makes_the_body_in_chinese() {
    let receiver = Receiver::start(|_| Answer::ok(r#"{"errcode":0,"errmsg":"ok"}"#));
    let body =
        r#"body = '{"msgtype": "text", "text": {"content": {{ (title ~ "\n" ~ text)|tojson }}}}'"#;
    let channels = format!(
        "[notify]\nlanguage = 'zh'\n{}",
        hook("hook", &format!("kinds = ['done']\n{body}"))
    );
    let study = study(2, SCORE, &channels);
    secret(&study, "hook.url", &receiver.url("/"));
    run_to_end(&study);
    let told = receiver.seen()[0].json();
    let content = told["text"]["content"].as_str().expect("text").to_owned();
    assert!(content.starts_with("[told] 调参结束："), "{content}");
    assert!(
        content.contains("当前最优：第 2 个试验，score 2"),
        "{content}"
    );
    assert!(content.contains("N: 1 → 2"), "{content}");
}

#[test]
fn feishu_refuses_a_signature_and_the_fallback_tells_it() {
    let feishu = Receiver::start(|_| Answer::ok(r#"{"code":19021,"msg":"sign match fail"}"#));
    let other = Receiver::start(|_| Answer::ok(""));
    let channels = format!(
        "[[notify.channel]]\nname = 'group'\ntype = 'feishu'\nkinds = ['done']\n\
         url = {{ file = 'group.url' }}\nsecret = {{ file = 'group.secret' }}\n{}",
        hook("other", "kinds = []\nfallback = true")
    );
    let study = study(1, SCORE, &channels);
    secret(&study, "group.url", &feishu.url(HUSH));
    secret(&study, "group.secret", "hunter2");
    secret(&study, "other.url", &other.url(HUSH));
    let text = run_to_end(&study);
    let card = feishu.seen()[0].json();
    assert_eq!(card["msg_type"], "interactive");
    assert_eq!(card["card"]["header"]["title"]["tag"], "plain_text");
    let seconds: i64 = card["timestamp"]
        .as_str()
        .expect("text")
        .parse()
        .expect("seconds");
    let now = autotune::base::clock::now().as_millis() / 1000;
    assert!((now - seconds).abs() < 3600);
    assert_eq!(card["sign"].as_str().map(str::len), Some(44));
    // For good: it is not tried again.
    assert_eq!(feishu.seen().len(), 1);
    assert_eq!(other.texts("kind"), ["done"]);
    assert!(
        text.contains("channel group has given up on 1 message"),
        "{text}"
    );
    assert!(text.contains("code 19021"), "{text}");
    assert!(text.contains("other gets them"), "{text}");
    assert_hushed(&study, &text, &["hush-hush", "hunter2"]);
}

#[test]
fn heartbeats_come_by_trials_and_by_time() {
    let receiver = Receiver::start(|_| Answer::ok(""));
    let channels = format!(
        "{}[notify.heartbeat]\ntrials = 2\ninterval = '1s'\n",
        hook("hook", "kinds = ['heartbeat']")
    );
    let study = study(4, GATED, &channels);
    secret(&study, "hook.url", &receiver.url("/"));
    let mut daemon = study.start();
    study.await_gate("gate-1");
    study.wait("heartbeats", || receiver.seen().len() >= 2);
    assert_eq!(
        receiver.texts("title")[0],
        "[told] still at work: trial 1 runs"
    );
    for n in 1..=4 {
        study.open_gate(&format!("gate-{n}"));
    }
    assert_eq!(daemon.end(), 0);
    let queued = study.events_of("notice-queued");
    let by_trials = queued.iter().filter(|one| {
        let text = one["text"].as_str().expect("text");
        one["title"] == "still at work"
            && (text.contains("2 complete") || text.contains("4 complete"))
    });
    assert!(by_trials.count() >= 2, "{queued:?}");
}

#[test]
fn a_test_shows_what_each_receiver_answers() {
    let good = Receiver::start(|_| Answer::ok(r#"{"code":0,"msg":"success"}"#));
    let bad = Receiver::start(|_| Answer::Http(404, "", format!("no hook at {HUSH}")));
    let channels = format!(
        "[[notify.channel]]\nname = 'group'\ntype = 'feishu'\nkinds = ['done']\nurl = {{ file = 'group.url' }}\n{}",
        hook("hook", "kinds = ['done']")
    );
    let study = study(1, GATED, &channels);
    secret(&study, "group.url", &good.url(HUSH));
    secret(&study, "hook.url", &bad.url(HUSH));
    let _daemon = study.start();
    study.await_gate("gate-1");
    let output = ctl(&study, &["notify", "test"]);
    assert_eq!(code(&output), 1, "{}", said(&output));
    let text = said(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("group: accepted after "), "{text}");
    assert!(lines[0].ends_with(": code 0 success"), "{text}");
    assert!(lines[1].starts_with("hook: failed after "), "{text}");
    assert!(
        text.contains("it answers 404 Not Found: no hook at"),
        "{text}"
    );
    assert!(!text.contains("hush-hush"), "{text}");
    let output = ctl(&study, &["notify", "test", "group"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let tested = json(&study, &["notify", "test", "hook"]);
    assert_eq!(tested[0]["accepted"], false);
    // Each test is a message of its own, and none is tried again.
    assert_eq!((good.seen().len(), bad.seen().len()), (2, 2));
    assert!(all_differ(&bad.texts("id")));
    let output = ctl(&study, &["notify", "test", "mail"]);
    assert_eq!(code(&output), 4, "{}", said(&output));
    assert!(
        said(&output).contains("it has group, hook"),
        "{}",
        said(&output)
    );
    let listed = ctl(&study, &["notify"]);
    assert!(
        said(&listed).contains("hook: gets done"),
        "{}",
        said(&listed)
    );
    assert_hushed(&study, &said(&listed), &["hush-hush"]);
}

/// `--selftest_notify` of the reference: no daemon is needed.
#[test]
fn a_selftest_sends_by_each_channel_without_a_daemon() {
    let good = Receiver::start(|_| Answer::ok(r#"{"code":0,"msg":"success"}"#));
    let bad = Receiver::start(|_| Answer::Http(404, "", format!("no hook at {HUSH}")));
    let channels = format!(
        "[[notify.channel]]\nname = 'group'\ntype = 'feishu'\nkinds = ['done']\nurl = {{ file = 'group.url' }}\n{}{}",
        hook("hook", "kinds = ['done']"),
        hook("unreadable", "")
    );
    let study = study(1, SCORE, &channels);
    secret(&study, "group.url", &good.url(HUSH));
    secret(&study, "hook.url", &bad.url(HUSH));
    let selftest = ["selftest", "--notify", "study.toml"];
    let output = study.autotuned(&selftest);
    let text = said(&output);
    assert_eq!(code(&output), 1, "{text}");
    for expected in [
        "ok      notify     group: accepted after ",
        ": code 0 success",
        "failed  notify     hook: failed after ",
        "it answers 404 Not Found: no hook at",
        "channel unreadable of [notify]: there is no file",
        "not all is well",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("hush-hush"), "{text}");
    assert_eq!((good.texts("msg_type").len(), bad.seen().len()), (1, 1));
    assert_eq!(bad.texts("kind"), ["test"]);
    assert!(!study.path("out").exists(), "there is no study");
    // All of them are good.
    secret(&study, "hook.url", &good.url(HUSH));
    secret(&study, "unreadable.url", &good.url(HUSH));
    let output = study.autotuned(&[&selftest[..], &["--json"]].concat());
    assert_eq!(code(&output), 0, "{}", said(&output));
    let told: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let states = told["checks"].as_array().expect("a list");
    let states: Vec<&Json> = states.iter().map(|check| &check["state"]).collect();
    assert_eq!(states, ["ok", "ok", "ok"]);

    study.write_spec("[study]\nname = 'quiet'\n");
    let output = study.autotuned(&selftest);
    assert_eq!(code(&output), 3, "{}", said(&output));
    assert!(said(&output).contains("has no [[notify.channel]]"));
}
