use std::path::PathBuf;
use std::time::Duration;

use super::tests::{GOOD, complaints, good};
use crate::base::secret::Source;
use crate::model::notify::{Kind, Language, Notify, Security, Target};

/// The good spec's way to tell somebody, after `section`.
fn notify(section: &str) -> Notify {
    good(&format!("{GOOD}\n{section}")).spec.notify
}

const CHANNELS: &str = r#"
[notify]
language = "zh"
[[notify.channel]]
name = "group"
type = "feishu"
url = { env = "TUNE_WEBHOOK_URL" }
secret = { file = "secrets.sh", name = "TUNE_FEISHU_SECRET" }
[[notify.channel]]
name = "hook"
type = "webhook"
url = { credential = "hook" }
kinds = ["best", "trial_done"]
ca = "/etc/ca.pem"
body = '{"text": {{ (title ~ "\n" ~ text)|tojson }}}'
[[notify.channel]]
name = "mail"
type = "smtp"
host = "smtp.example.com"
user = "user@example.com"
password = { file = "/run/pass" }
to = ["you@example.com", "我 <me@example.com>"]
fallback = true
kinds = []
[notify.heartbeat]
trials = 10
interval = "10m"
[notify.trial_done]
every = 5
"#;

#[test]
fn channels_are_read() {
    let notify = notify(CHANNELS);
    assert_eq!(notify.language, Language::Chinese);
    assert_eq!(notify.heartbeat_trials, Some(10));
    assert_eq!(notify.heartbeat_interval, Some(Duration::from_secs(600)));
    assert_eq!(notify.trial_done_every, 5);
    let [group, hook, mail] = &notify.channels[..] else {
        panic!("three channels")
    };
    assert_eq!(group.kinds.len(), Kind::ALL.len() - 1);
    assert!(!group.kinds.contains(&Kind::TrialDone));
    let expected = Target::Feishu {
        url: Source::Env("TUNE_WEBHOOK_URL".to_owned()),
        secret: Some(Source::Exported {
            file: PathBuf::from("/etc/autotune/secrets.sh"),
            name: "TUNE_FEISHU_SECRET".to_owned(),
        }),
    };
    assert_eq!(group.target, expected);
    assert_eq!(hook.kinds, [Kind::Best, Kind::TrialDone]);
    assert_eq!(hook.ca, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!(
        hook.target.sources(),
        [&Source::Credential("hook".to_owned())]
    );
    assert!(mail.fallback && mail.kinds.is_empty());
    let Target::Smtp(smtp) = &mail.target else {
        panic!("a mail server")
    };
    assert_eq!((smtp.port, smtp.security), (587, Security::StartTls));
    assert_eq!(smtp.from, "user@example.com");
    assert_eq!(smtp.to, ["you@example.com", "我 <me@example.com>"]);
    assert_eq!(notify.sources().count(), 4);
}

#[test]
fn without_a_section_nobody_is_told() {
    let notify = good(GOOD).spec.notify;
    assert!(notify.channels.is_empty());
    assert_eq!(notify.trial_done_every, 1);
    assert_eq!(
        (notify.heartbeat_trials, notify.heartbeat_interval),
        (None, None)
    );
}

#[test]
fn each_security_has_its_port() {
    for (security, port) in [("starttls", 587), ("tls", 465), ("none", 25)] {
        let notify = notify(&format!(
            "[[notify.channel]]\nname = 'm'\ntype = 'smtp'\nhost = 'h'\nfrom = 'a@b'\nto = ['c@d']\n\
             security = '{security}'"
        ));
        let Target::Smtp(smtp) = &notify.channels[0].target else {
            panic!("a mail server")
        };
        assert_eq!(smtp.port, port);
    }
}

#[test]
fn slips_are_said() {
    let feishu = "name = 'f'\ntype = 'feishu'\n";
    let hook = "name = 'h'\ntype = 'webhook'\nurl = { env = 'U' }\n";
    let mail = "name = 'm'\ntype = 'smtp'\nhost = 'h'\nfrom = 'a@b'\nto = ['c@d']\n";
    let cases = [
        (format!("{feishu}url = 'https://secret.example/hook'"), ""),
        (format!("{feishu}url = {{ env = 'U', file = 'f' }}"), ""),
        (format!("{feishu}url = {{ env = 'U-V' }}"), ""),
        (format!("{feishu}url = {{ credential = '../x' }}"), ""),
        (format!("{feishu}url = {{ env = 'U', name = 'N' }}"), ""),
        (format!("{feishu}url = {{ environment = 'U' }}"), ""),
        (format!("{feishu}url = {{ env = 'U' }}\nbody = 'x'"), ""),
        (feishu.to_owned(), ""),
        (format!("{hook}kinds = ['bets']"), ""),
        (format!("{hook}kinds = []"), ""),
        (format!("{hook}kinds = ['best', 'best']"), ""),
        (format!("{hook}body = '{{\"a\": \"{{{{ text }}}}\"}}'"), ""),
        (format!("{hook}body = '{{{{ txt|tojson }}}}'"), ""),
        (format!("{hook}body = '{{{{ text'"), ""),
        (format!("{hook}[[notify.channel]]\n{hook}"), ""),
        ("name = 'x'\ntype = 'slack'".to_owned(), ""),
        ("name = 'x'".to_owned(), ""),
        (format!("{mail}user = 'u'"), ""),
        (format!("{mail}security = 'ssl'"), ""),
        (
            format!("{mail}security = 'none'\nuser = 'u'\npassword = {{ env = 'P' }}"),
            "",
        ),
        (mail.replace("'c@d'", ""), ""),
        (mail.replace("'c@d'", "'nobody'"), ""),
        (mail.replace("from = 'a@b'\n", ""), ""),
        (mail.replace("host = 'h'", "host = 'smtp://h/'"), ""),
        (
            hook.to_owned(),
            "[notify.heartbeat]\ninterval = '10ms'\ntrial = 3",
        ),
        (hook.to_owned(), "[notify.trial_done]\nevery = 0"),
    ];
    let mut said = String::new();
    for (channel, rest) in cases {
        let section = format!("[[notify.channel]]\n{channel}\n{rest}\n");
        let complaints = complaints(&format!("{GOOD}\n{section}"));
        assert!(!complaints.is_empty(), "{section}");
        assert!(
            !complaints.contains("secret.example/hook\n"),
            "{complaints}"
        );
        for line in section.trim().lines().skip(1) {
            said.push_str(&format!("{line}\n"));
        }
        for line in complaints.lines() {
            said.push_str(&format!("    {line}\n"));
        }
    }
    insta::assert_snapshot!(said);
}

/// A complaint shows its line, and ends up in logs.
#[test]
fn a_secret_that_was_written_down_is_not_shown() {
    let text = format!(
        "{GOOD}\n[[notify.channel]]\nname = 'f'\ntype = 'feishu'\nurl = 'https://中.example/hush'"
    );
    let complaints = super::check(&text, &super::Origin::of("/s.toml".as_ref()));
    let shown = complaints.expect_err("refused").render(false);
    assert!(shown.contains("url = ****"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}

/// Nor one that stands where its place belongs, or under another name.
#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let channel = "[[notify.channel]]\nname = 'f'\n";
    for slip in [
        "type = 'feishu'\nurl = { env = 'https://x.example/hush' }",
        "type = 'feishu'\nurl = { credential = 'https://x.example/hush' }",
        "type = 'feishu'\nurl = { file = 'https://x.example/hush' }",
        "type = 'feishu'\nurl = { file = 'f', name = 'hush-hush' }",
        "type = 'feishu'\nurl = { text = 'hush' }",
        "type = 'feishu'\nurl = { env = 'U' }\nwebhook = 'https://x.example/hush'",
        "type = 'feishu'\nurl = { env = 'U' }\npassword = 'hush'",
    ] {
        let text = format!("{GOOD}\n{channel}{slip}\n");
        let complaints = super::check(&text, &super::Origin::of("/s.toml".as_ref()));
        let complaints = complaints.expect_err("refused");
        let shown = format!("{complaints}\n{}", complaints.render(false));
        assert!(!shown.contains("hush"), "{shown}");
    }
}

/// Also where a slip in the syntax leaves nothing to look into.
#[test]
fn a_secret_on_a_line_that_is_no_toml_is_not_shown() {
    let slips = [
        "password = \"hunter2",
        "password = hunter2",
        "password = \"hun\"ter2\"",
        "password = \"\"\"\nhunter2\n",
        "'password' = { env = 'P' }\npassword = 'hunter2'",
        "secret = hunter2",
        "  url = https://x.example/hunter2",
        "token = [hunter2",
    ];
    for slip in slips {
        for channel in [
            format!("[[notify.channel]]\nname = 'mail'\n{slip}\nto = ['a@b.c']\n"),
            format!("[[notify.channel]\n{slip}\n"),
            format!("notify.channel = [{{ name = 'mail', {slip} }}]\n"),
        ] {
            let text = format!("{channel}{GOOD}");
            let complaints = super::check(&text, &super::Origin::of("/s.toml".as_ref()));
            let shown = complaints.expect_err("refused").render(false);
            assert!(!shown.contains("ter2"), "{channel}{shown}");
            let line = channel
                .contains("]]")
                .then(|| shown.contains("name = 'mail'"));
            assert_ne!(line, Some(true), "only the line with the slip: {shown}");
        }
    }
    // Elsewhere the line is what helps.
    let complaints = super::check("[base]\nurl = abc", &super::Origin::of("/s.toml".as_ref()));
    let shown = complaints.expect_err("refused").render(false);
    assert!(shown.contains("url = abc"), "{shown}");
}

/// The examples of the man page are specs as they stand.
#[test]
fn the_examples_of_the_man_page_are_good() {
    let man = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/autotune.toml.5"));
    let man = man
        .expect("the man page")
        .replace("\\(aq", "'")
        .replace("\\e", "\\");
    let blocks = man.split(".Bd -literal").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once('\n')?.1.split(".Ed").next());
    let examples: Vec<&str> = blocks
        .filter(|block| block.contains("[[notify.channel]]"))
        .collect();
    let all = examples.concat();
    for receiver in ["feishu", "dingtalk", "wecom", "slack", "smtp"] {
        assert!(all.contains(receiver), "{receiver}");
    }
    for example in examples {
        assert!(!notify(example).channels.is_empty(), "{example}");
    }
}
