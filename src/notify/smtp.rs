//! Mail.
//!
//! ```text
//!   connect ─ STARTTLS ─ AUTH ─ MAIL ─ RCPT, each ─ DATA ─ the mail ─ QUIT
//!   └── refused: must be mended ──┘     │            └ refused: this mail ┘
//!                      refused: the others get it all the same
//! ```

use std::path::Path;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;

use super::message::Message;
use super::receiver::{SendError, Sent};
use crate::base::http::{BAD_CERTIFICATE, UNTRUSTED};
use crate::base::secret::Secret;
use crate::model::notice::Refused;
use crate::model::notify::{Security, Smtp};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long it all may take until the mail is accepted.
const LIMIT: Duration = Duration::from_secs(120);
/// How long it may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// The answer to a mail that is longer than the server takes.
const TOO_LONG: u16 = 552;

/// Sends to the recipients in `only`, or to all when that is empty.
pub(super) async fn send(
    server: &Smtp,
    login: Option<(&str, &Secret)>,
    ca: Option<&Path>,
    message: &Message,
    only: &[String],
) -> Result<Sent, SendError> {
    let (envelope, mail) = mail(server, message, only)?;
    let exchange = async {
        let mut connection = connect(server, login, ca).await?;
        let accepted = deliver(&mut connection, &envelope, &mail).await;
        Ok((connection, accepted))
    };
    let silent = || {
        let limit = LIMIT.as_secs();
        SendError::later(format!("the server was not done within {limit} s"))
    };
    let timed = tokio::time::timeout(LIMIT, exchange).await;
    let (mut connection, accepted) = timed.map_err(|_| silent())??;
    // What it was asked for is settled, whether it answers to that or not.
    let _ = tokio::time::timeout(GOODBYE, connection.abort()).await;
    let sent = accepted?;
    if sent.said.is_empty() {
        return Err(refused_by_all(&sent.refused, only));
    }
    Ok(sent)
}

async fn connect(
    server: &Smtp,
    login: Option<(&str, &Secret)>,
    ca: Option<&Path>,
) -> Result<AsyncSmtpConnection, SendError> {
    let tls = match server.security {
        Security::None => None,
        Security::StartTls | Security::Tls => {
            let (host, ca) = (server.host.clone(), ca.map(Path::to_owned));
            let parameters = tokio::task::spawn_blocking(move || parameters(host, ca.as_deref()));
            let parameters = parameters.await;
            Some(parameters.map_err(|panic| SendError::later(panic.to_string()))??)
        }
    };
    let (at_once, after) = match server.security {
        Security::Tls => (tls, None),
        Security::StartTls | Security::None => (None, tls),
    };
    let to_mend = |error: Error| trouble(&error, SendError::mended);
    let (address, name) = ((&*server.host, server.port), ClientId::default());
    let connection =
        AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &name, at_once, None);
    let mut connection = connection.await.map_err(to_mend)?;
    if let Some(tls) = after {
        connection.starttls(tls, &name).await.map_err(to_mend)?;
    }
    if let Some((user, password)) = login {
        let login = Credentials::new(user.to_owned(), password.expose().to_owned());
        let answer = connection.auth(DEFAULT_MECHANISMS, &login).await;
        answer.map_err(to_mend)?;
    }
    Ok(connection)
}

/// Sends to all whom the server takes; nothing is said where that is nobody.
async fn deliver(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<Sent, SendError> {
    let mut options = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
        let server = connection.server_info();
        if !server.supports_feature(Extension::SmtpUtfEight) {
            let text = "the server takes no addresses with letters such as é or 中";
            return Err(SendError::mended(text));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    let from = Mail::new(envelope.from().cloned(), options);
    connection.command(from).await.map_err(|error| {
        let is_long = error.status().map(u16::from) == Some(TOO_LONG);
        let refused = if is_long {
            SendError::never
        } else {
            SendError::mended
        };
        trouble(&error, refused)
    })?;
    let mut refused = Vec::new();
    for recipient in envelope.to() {
        let answer = connection.command(Rcpt::new(recipient.clone(), Vec::new()));
        match answer.await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => refused.push(Refused {
                address: recipient.to_string(),
                why: in_words(&error),
                again: error.is_transient(),
            }),
            Err(error) => return Err(trouble(&error, SendError::mended)),
        }
    }
    let mut said = String::new();
    if refused.len() < envelope.to().len() {
        let of_this = |error: Error| trouble(&error, SendError::never);
        connection.command(Data).await.map_err(of_this)?;
        said = in_full(&connection.message(mail).await.map_err(of_this)?);
    }
    Ok(Sent { said, refused })
}

/// Nobody was to get it: for now, or until the addresses are mended. Those in
/// `only` were put off before, when others got it: they are given up alone.
fn refused_by_all(refused: &[Refused], only: &[String]) -> SendError {
    let each = refused.iter();
    let each = each.map(|one| format!("{}: {}", one.address, one.why));
    let text = each.collect::<Vec<_>>().join("; ");
    if refused.iter().any(|one| one.again) {
        SendError::later(text)
    } else if only.is_empty() {
        SendError::mended(text)
    } else {
        SendError::never(text)
    }
}

fn in_full(response: &Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
        .trim_end()
        .to_owned()
}

/// Trusts whom this machine trusts, and those in the file `ca`. None at all is
/// found out by the handshake.
fn parameters(host: String, ca: Option<&Path>) -> Result<TlsParameters, SendError> {
    let mut builder = TlsParameters::builder(host);
    if let Some(ca) = ca {
        let wrong = |why: String| SendError::mended(format!("ca = {}: {why}", ca.display()));
        let pem = std::fs::read(ca).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem);
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| SendError::mended(error.to_string()))
}

fn mail(
    server: &Smtp,
    message: &Message,
    only: &[String],
) -> Result<(Envelope, Vec<u8>), SendError> {
    let wrong = |what: &str| SendError::mended(format!("{what} is no mail address"));
    let from: Mailbox = server.from.parse().map_err(|_| wrong("`from`"))?;
    let to = server.to.iter().map(|one| one.parse::<Mailbox>());
    let to: Mailboxes = to.collect::<Result<_, _>>().map_err(|_| wrong("`to`"))?;
    let raw = |name, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let built = lettre::Message::builder()
        .from(from)
        .mailbox(lettre::message::header::To::from(to))
        .subject(&message.title)
        .message_id(Some(message_id(message)))
        // No robot is to answer it.
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Autotune-Kind", message.kind))
        .date_now()
        .header(ContentType::TEXT_PLAIN)
        .body(message.signed_text());
    let built = built.map_err(|error| SendError::never(error.to_string()))?;
    let mut to = built.envelope().to().to_vec();
    to.retain(|one| only.is_empty() || only.contains(&one.to_string()));
    let gone = || SendError::never(format!("the spec has {} no more", only.join(", ")));
    let envelope = Envelope::new(built.envelope().from().cloned(), to);
    Ok((envelope.map_err(|_| gone())?, built.formatted()))
}

fn message_id(message: &Message) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let host: String = message.host.chars().filter(|c| plain(*c)).collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    format!("<{}@{host}>", message.id)
}

/// What went wrong, with all its causes; an answer of the server's begins with
/// its code.
fn in_words(error: &Error) -> String {
    let code = error.status().map(u16::from);
    let mut text = code.map_or_else(|| error.to_string(), |code| code.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            let colon = if code.is_none() { ":" } else { "" };
            text += &format!("{colon} {more}");
        }
        cause = error.source();
    }
    if text.contains("UnknownIssuer") {
        text += UNTRUSTED;
    }
    if code == Some(535) {
        text += " (some providers want an authorization code in the place of the password)";
    }
    text
}

/// An error, of which a `refused` one is that for good.
fn trouble(error: &Error, refused: fn(String) -> SendError) -> SendError {
    let text = in_words(error);
    if error.is_permanent() {
        refused(text)
    } else if error.is_client() || text.contains(BAD_CERTIFICATE) {
        // It offers no TLS, or no login that we could use.
        SendError::mended(text)
    } else {
        SendError::later(text)
    }
}
