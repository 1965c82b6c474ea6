//! A mail server, as small as one can be: it does what a test wants and keeps
//! what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server does.
#[derive(Clone, Default)]
pub struct Manners {
    /// TLS: after STARTTLS, or at once.
    pub tls: Option<Arc<ServerConfig>>,
    pub at_once: bool,
    /// The user and the password that are good, where one must log in.
    pub login: Option<(&'static str, &'static str)>,
    /// The recipient that it refuses.
    pub refused: Option<&'static str>,
    /// A recipient that it puts off so many times.
    pub greylisted: Option<(&'static str, usize)>,
    /// So many mails are put off before one is taken.
    pub put_off: usize,
    /// The command after which it says nothing any more.
    pub hangs_at: Option<&'static str>,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub recipients: Vec<String>,
    pub text: String,
}

impl Mail {
    /// The value of a header, its lines joined.
    pub fn header(&self, name: &str) -> String {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let head = head.replace("\r\n ", " ");
        let start = format!("{name}: ");
        let line = head.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {name} in {head}"))
            .to_owned()
    }
}

pub struct Server {
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let mails: Arc<Mutex<Vec<Mail>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let (kept, counted) = (Arc::clone(&mails), Arc::clone(&connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let number = {
                    let mut counted = counted.lock().expect("no panic");
                    *counted += 1;
                    *counted
                };
                let (manners, kept) = (manners.clone(), Arc::clone(&kept));
                std::thread::spawn(move || greet(stream, &manners, number, &kept));
            }
        });
        Self {
            port,
            mails,
            connections,
        }
    }

    /// The mails that were taken so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().expect("no panic").clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        *self.connections.lock().expect("no panic")
    }
}

fn greet(stream: TcpStream, manners: &Manners, number: usize, kept: &Mutex<Vec<Mail>>) {
    match manners.tls.clone().filter(|_| manners.at_once) {
        Some(config) => talk_secretly(config, stream, manners, number, kept, true),
        None => {
            let mut reader = BufReader::new(stream);
            say(&mut reader, "220 mail.test");
            if talk(&mut reader, manners, number, kept, manners.tls.is_some()) {
                let config = manners.tls.clone().expect("it was offered");
                talk_secretly(config, reader.into_inner(), manners, number, kept, false);
            }
        }
    }
}

fn talk_secretly(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    manners: &Manners,
    number: usize,
    kept: &Mutex<Vec<Mail>>,
    first: bool,
) {
    let connection = ServerConnection::new(config).expect("a connection");
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    if first {
        say(&mut reader, "220 mail.test");
    }
    talk(&mut reader, manners, number, kept, false);
}

fn say<S: Read + Write>(reader: &mut BufReader<S>, text: &str) {
    let stream = reader.get_mut();
    // Whoever asked may be gone, or trust nobody here.
    let _ = write!(stream, "{text}\r\n");
    let _ = stream.flush();
}

/// Talks to a client; whether it wants TLS from here on.
fn talk<S: Read + Write>(
    reader: &mut BufReader<S>,
    manners: &Manners,
    number: usize,
    kept: &Mutex<Vec<Mail>>,
    offers_tls: bool,
) -> bool {
    let mut recipients = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        let line = line.trim_end();
        let upper = line.to_uppercase();
        if manners
            .hangs_at
            .is_some_and(|command| upper.starts_with(command))
        {
            let _ = reader.read(&mut [0]);
            return false;
        }
        let word = upper.split([' ', ':']).next().unwrap_or_default();
        match word {
            "EHLO" => {
                let mut offers = vec!["mail.test", "8BITMIME"];
                offers.extend(offers_tls.then_some("STARTTLS"));
                // A password is asked for in secret alone.
                let is_secret = manners.tls.is_some() && !offers_tls;
                offers.extend((is_secret && manners.login.is_some()).then_some("AUTH PLAIN LOGIN"));
                let last = offers.len() - 1;
                for (at, offer) in offers.iter().enumerate() {
                    let dash = if at == last { ' ' } else { '-' };
                    say(reader, &format!("250{dash}{offer}"));
                }
            }
            "STARTTLS" if offers_tls => {
                say(reader, "220 go on");
                return true;
            }
            "AUTH" => {
                let given = line.split(' ').nth(2).unwrap_or_default();
                let given = BASE64_STANDARD.decode(given).expect("base64");
                let good = manners
                    .login
                    .map(|(user, password)| format!("\0{user}\0{password}"));
                let is_good = good.is_some_and(|good| good.as_bytes() == given);
                let given = String::from_utf8_lossy(&given).replace('\0', " ");
                // It repeats what it was told: some do.
                let bad = format!("535 5.7.8 not good:{given}");
                say(reader, if is_good { "235 welcome" } else { &bad });
            }
            "MAIL" if number <= manners.put_off => say(reader, "451 4.7.1 come back later"),
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                let is_put_off =
                    |(greylisted, times): (&str, usize)| address == greylisted && number <= times;
                if manners.refused == Some(address) {
                    say(reader, "550 5.1.1 no such user");
                } else if manners.greylisted.is_some_and(is_put_off) {
                    say(reader, &format!("451 4.7.1 greylisted as {number}"));
                } else {
                    recipients.push(address.to_owned());
                    say(reader, "250 ok");
                }
            }
            "DATA" => {
                say(reader, "354 go on");
                let mut text = String::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return false;
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    text += &line;
                }
                let recipients = std::mem::take(&mut recipients);
                kept.lock()
                    .expect("no panic")
                    .push(Mail { recipients, text });
                say(reader, "250 2.0.0 taken as 4711");
            }
            "QUIT" => {
                say(reader, "221 bye");
                return false;
            }
            "MAIL" | "RSET" | "NOOP" => say(reader, "250 ok"),
            _ => say(reader, "502 what?"),
        }
    }
}

mod tests {
    use super::super::*;
    use super::*;
    use crate::support::said::unfolded;

    fn channel(server: &Server, more: &str) -> String {
        format!(
            "[[notify.channel]]\nname = 'mail'\ntype = 'smtp'\nkinds = ['done']\nhost = 'localhost'\n\
             port = {}\nfrom = 'autotune <tuner@example.com>'\n{more}\n",
            server.port
        )
    }

    fn recipients(server: &Server) -> Vec<Vec<String>> {
        let mails = server.mails().into_iter();
        mails.map(|mail| mail.recipients).collect()
    }

    const TO: &str = "to = ['you@example.com', '我 <me@example.com>']";

    #[test]
    fn a_mail_comes_by_starttls_with_a_login_and_a_chinese_subject() {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        for at_once in [false, true] {
            let server = Server::start(Manners {
                tls: Some(tls::localhost(&ca)),
                at_once,
                login: Some(("tuner", "hunter2-hush")),
                ..Manners::default()
            });
            let more = format!(
                "security = '{}'\nca = '{}'\nuser = 'tuner'\npassword = {{ file = 'pass' }}\n{TO}\n\
                 [notify]\nlanguage = 'zh'",
                if at_once { "tls" } else { "starttls" },
                ca.display()
            );
            let (channel, notify) = more.split_once("[notify]").expect("both");
            let study = study(
                2,
                SCORE,
                &format!(
                    "[notify]{notify}\n{}",
                    super::tests::channel(&server, channel)
                ),
            );
            secret(&study, "pass", "hunter2-hush");
            let text = run_to_end(&study);
            let mails = server.mails();
            assert_eq!(mails.len(), 1, "{text}");
            assert_eq!(mails[0].recipients, ["you@example.com", "me@example.com"]);
            let subject = mails[0].header("Subject");
            assert!(subject.contains("=?utf-8?b?"), "{subject}");
            let id = mails[0].header("Message-ID");
            let notice = &study.events_of("notice-queued")[0]["notice"];
            assert!(
                id.starts_with("<told-") && id.contains(&format!("-{notice}@")),
                "{id}"
            );
            assert_eq!(mails[0].header("Auto-Submitted"), "auto-generated");
            assert_hushed(&study, &text, &["hunter2-hush"]);
        }
    }

    #[test]
    fn a_bad_login_is_told_at_once_and_shows_no_password() {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        let server = Server::start(Manners {
            tls: Some(tls::localhost(&ca)),
            login: Some(("tuner", "right")),
            ..Manners::default()
        });
        let more = format!(
            "ca = '{}'\nuser = 'tuner'\npassword = {{ file = 'pass' }}\n{TO}",
            ca.display()
        );
        let study = study(1, SCORE, &channel(&server, &more));
        secret(&study, "pass", "wrong-hush-hush");
        let text = unfolded(&run_to_end(&study));
        assert!(
            text.contains("channel mail takes no message: 535"),
            "{text}"
        );
        assert!(text.contains("not delivered yet, for mail"), "{text}");
        assert_eq!(server.connections(), 1, "it is not tried again in a hurry");
        assert!(
            text.contains("an authorization code in the place of the password"),
            "{text}"
        );
        assert!(server.mails().is_empty());
        assert_hushed(&study, &text, &["wrong-hush-hush"]);
    }

    #[test]
    fn one_recipient_that_is_refused_keeps_it_from_nobody_else() {
        let server = Server::start(Manners {
            refused: Some("you@example.com"),
            ..Manners::default()
        });
        let channel = channel(&server, &format!("security = 'none'\n{TO}"));
        let channel = channel.replace("['done']", "['start', 'best']");
        let study = study(2, GATED, &channel);
        let mut daemon = study.start();
        study.await_events("notice-delivered", 1);
        study.open_gate("gate-1");
        study.await_events("notice-delivered", 2);
        assert_eq!(
            recipients(&server),
            [["me@example.com"], ["me@example.com"]]
        );
        // Its owner sees who does not get it.
        let refused = json(&study, &["notify"])[0]["refused"].clone();
        assert_eq!(refused[0]["address"], "you@example.com", "{refused}");
        assert_eq!(refused[0]["again"], false, "{refused}");
        let listed = said(&ctl(&study, &["notify"]));
        let expected = "mail: not for you@example.com: 550 5.1.1 no such user";
        assert!(listed.contains(expected), "{listed}");
        let status = said(&ctl(&study, &["status"]));
        assert!(status.contains("not for you@example.com"), "{status}");
        study.open_gate("gate-2");
        assert_eq!(daemon.end(), 0);
        // In the log it is told once.
        let log = study.log();
        let told = "channel mail reaches others, but not you@example.com: 550 5.1.1 no such user";
        assert_eq!(log.matches(told).count(), 1, "{log}");
    }

    /// Also where the daemon ends meanwhile: nobody gets anything twice.
    #[test]
    fn one_recipient_that_is_put_off_gets_it_later_and_alone() {
        let server = Server::start(Manners {
            greylisted: Some(("you@example.com", 2)),
            ..Manners::default()
        });
        let channel = channel(&server, &format!("security = 'none'\n{TO}"));
        let study = study(1, SCORE, &channel);
        run_to_end(&study);
        assert_eq!(recipients(&server)[0], ["me@example.com"]);
        // The second attempt is refused as well, and the third one is not.
        for _ in 0..2 {
            run_to_end(&study);
        }
        assert_eq!(
            recipients(&server),
            [["me@example.com"], ["you@example.com"]]
        );
        let mails = server.mails();
        let ids: Vec<String> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
        assert_eq!(ids[0], ids[1]);
        assert!(study.events_of("notice-given-up").is_empty());
        run_to_end(&study);
        assert_eq!(server.mails().len(), 2);
    }

    #[test]
    fn a_server_that_puts_it_off_is_asked_again() {
        let server = Server::start(Manners {
            put_off: 2,
            ..Manners::default()
        });
        let channel =
            channel(&server, &format!("security = 'none'\n{TO}")).replace("'done'", "'start'");
        let study = study(1, GATED, &channel);
        let mut daemon = study.start();
        study.wait("the mail", || server.mails().len() == 1);
        study.open_gate("gate-1");
        assert_eq!(daemon.end(), 0);
        assert_eq!(server.connections(), 3);
        assert_eq!(study.events_of("notice-delivered").len(), 1);
    }

    #[test]
    fn a_server_that_hangs_in_the_middle_holds_nobody_up() {
        for command in ["RCPT", "DATA", "EHLO"] {
            let server = Server::start(Manners {
                hangs_at: Some(command),
                ..Manners::default()
            });
            let study = study(
                2,
                SCORE,
                &channel(&server, &format!("security = 'none'\n{TO}")),
            );
            run_to_end(&study);
            assert!(study.events_of("notice-delivered").is_empty());
            assert_eq!(study.events_of("notice-queued").len(), 1);
        }
    }

    /// Nothing is said in the open to a server that offers no TLS, or whom
    /// nobody vouches for.
    #[test]
    fn no_password_goes_to_a_server_that_is_not_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        let plain = Server::start(Manners::default());
        let stranger = Server::start(Manners {
            tls: Some(tls::localhost(&ca)),
            ..Manners::default()
        });
        let login = format!("user = 'tuner'\npassword = {{ file = 'pass' }}\n{TO}");
        let channels = format!(
            "{}{}",
            channel(&plain, &login),
            channel(&stranger, &login).replace("'mail'", "'stranger'")
        );
        let study = study(1, GATED, &channels);
        secret(&study, "pass", "hunter2-hush");
        let _daemon = study.start();
        study.await_gate("gate-1");
        let tested = json(&study, &["notify", "test"]);
        let (first, second) = (
            tested[0]["answer"].to_string(),
            tested[1]["answer"].to_string(),
        );
        assert!(first.contains("STARTTLS"), "{first}");
        assert!(
            second.contains("install ca-certificates, or name its authority by `ca`"),
            "{second}"
        );
        assert!(plain.mails().is_empty() && stranger.mails().is_empty());
    }
}
