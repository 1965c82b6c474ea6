//! Mail to a server that nobody here wrote: aiosmtpd. `.ci/run` installs it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use super::*;

struct Server {
    child: Child,
    /// It ends with this.
    _stdin: ChildStdin,
    port: u16,
    mails: Arc<Mutex<Vec<Json>>>,
}

impl Server {
    fn start(manners: &Json) -> Self {
        let python = std::env::var("SMTPD_PYTHON").expect(
            "SMTPD_PYTHON must name a Python that has aiosmtpd: python3 -m venv target/smtpd && \
             target/smtpd/bin/pip install aiosmtpd==1.4.6 && export SMTPD_PYTHON=$PWD/target/smtpd/bin/python",
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helpers/smtpd.py");
        let mut child = Command::new(python)
            .args([script, &manners.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let port = lines
            .next()
            .expect("its port")
            .expect("a line")
            .parse()
            .expect("a port");
        let mails: Arc<Mutex<Vec<Json>>> = Arc::default();
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for line in lines {
                let mail = serde_json::from_str(&line.expect("a line")).expect("a mail");
                kept.lock().expect("no panic").push(mail);
            }
        });
        let _stdin = child.stdin.take().expect("its input");
        Self {
            child,
            _stdin,
            port,
            mails,
        }
    }

    fn mails(&self) -> Vec<Json> {
        self.mails.lock().expect("no panic").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn manners(folder: &Path, tls: &str) -> Json {
    let (ca, cert, key) = (
        folder.join("ca.pem"),
        folder.join("cert.pem"),
        folder.join("key.pem"),
    );
    tls::write_localhost(&ca, &cert, &key);
    json!({ "tls": tls, "cert": cert, "key": key, "user": "tuner", "password": "hunter2-hush" })
}

fn mail_study(
    trials: u32,
    command: &str,
    folder: &Path,
    server: &Server,
    tls: &str,
    kind: &str,
) -> Study {
    let channels = format!(
        "[notify]\nlanguage = 'zh'\n[[notify.channel]]\nname = 'mail'\ntype = 'smtp'\nkinds = ['{kind}']\n\
         host = 'localhost'\nport = {}\nsecurity = '{tls}'\nca = '{}'\nuser = 'tuner'\n\
         password = {{ file = 'pass' }}\nfrom = 'tuner@example.com'\n\
         to = ['you@example.com', '我 <me@example.com>']\n",
        server.port,
        folder.join("ca.pem").display()
    );
    let study = study(trials, command, &channels);
    secret(&study, "pass", "hunter2-hush");
    study
}

#[test]
#[ignore = "needs aiosmtpd: see SMTPD_PYTHON"]
fn a_real_server_takes_mail_by_starttls_and_by_tls() {
    for tls in ["starttls", "tls"] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(&manners(folder.path(), tls));
        let study = mail_study(2, SCORE, folder.path(), &server, tls, "done");
        let text = run_to_end(&study);
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "{text}");
        assert_eq!(mails[0]["to"], json!(["you@example.com", "me@example.com"]));
        assert_eq!(mails[0]["from"], "tuner@example.com");
        assert_eq!(mails[0]["login"], true);
        assert_eq!(mails[0]["over_tls"], true);
        assert_hushed(&study, &text, &["hunter2-hush"]);
    }
}

#[test]
#[ignore = "needs aiosmtpd: see SMTPD_PYTHON"]
fn a_real_server_refuses_a_login_a_recipient_and_puts_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manners = manners(folder.path(), "starttls");
    manners["password"] = json!("another");
    let server = Server::start(&manners);
    let study = mail_study(1, SCORE, folder.path(), &server, "starttls", "done");
    let text = run_to_end(&study);
    assert!(
        text.contains("channel mail takes no message: 535"),
        "{text}"
    );
    assert!(server.mails().is_empty());
    assert_hushed(&study, &text, &["hunter2-hush"]);

    manners["password"] = json!("hunter2-hush");
    manners["refused"] = json!("you@example.com");
    manners["put_off"] = json!(1);
    let server = Server::start(&manners);
    let study = mail_study(1, GATED, folder.path(), &server, "starttls", "start");
    let mut daemon = study.start();
    study.wait("the mail", || server.mails().len() == 1);
    assert_eq!(server.mails()[0]["to"], json!(["me@example.com"]));
    study.open_gate("gate-1");
    assert_eq!(daemon.end(), 0);
    assert_eq!(study.events_of("notice-delivered").len(), 1);
}

#[test]
#[ignore = "needs aiosmtpd: see SMTPD_PYTHON"]
fn a_real_server_puts_one_recipient_off_who_gets_it_later_and_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manners = manners(folder.path(), "starttls");
    manners["greylisted"] = json!("you@example.com");
    let server = Server::start(&manners);
    let study = mail_study(1, GATED, folder.path(), &server, "starttls", "start");
    let mut daemon = study.start();
    study.wait("both mails", || server.mails().len() == 2);
    let to: Vec<Json> = server
        .mails()
        .iter()
        .map(|mail| mail["to"].clone())
        .collect();
    assert_eq!(to, [json!(["me@example.com"]), json!(["you@example.com"])]);
    study.open_gate("gate-1");
    assert_eq!(daemon.end(), 0);
    let delivered = study.events_of("notice-delivered");
    assert_eq!(delivered.len(), 2);
    assert_eq!(delivered[0]["refused"][0]["why"], "451 4.7.1 greylisted");
}

#[test]
#[ignore = "needs aiosmtpd: see SMTPD_PYTHON"]
fn a_real_server_that_hangs_holds_nobody_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manners = manners(folder.path(), "starttls");
    manners["hang"] = json!(true);
    let server = Server::start(&manners);
    let study = mail_study(2, SCORE, folder.path(), &server, "starttls", "done");
    run_to_end(&study);
    assert!(study.events_of("notice-delivered").is_empty());
    assert_eq!(study.events_of("notice-queued").len(), 1);
}
