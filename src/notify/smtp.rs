//! Mail.

use std::path::Path;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::message::Message;
use super::receiver::SendError;
use crate::base::secret::Secret;
use crate::model::notify::{Security, Smtp};

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long it all may take.
const LIMIT: Duration = Duration::from_secs(120);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(super) async fn send(
    server: &Smtp,
    login: Option<(&str, &Secret)>,
    ca: Option<&Path>,
    message: &Message,
) -> Result<String, SendError> {
    let transport = transport(server, login, ca).await?;
    let (envelope, mail) = mail(server, message)?;
    let deliver = deliver(&transport, &envelope, &mail);
    let timed = tokio::time::timeout(LIMIT, deliver).await;
    let silent = || {
        SendError::later(format!(
            "the server was not done within {} s",
            LIMIT.as_secs()
        ))
    };
    timed.map_err(|_| silent())?
}

/// Sends to all at once. Where the server refuses that for good, since it
/// refuses one of them, each of the others gets it alone.
async fn deliver(
    transport: &Transport,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<String, SendError> {
    let whole = match transport.send_raw(envelope, mail).await {
        Ok(response) => return Ok(said(&response)),
        Err(error) => error,
    };
    if !whole.is_permanent() || envelope.to().len() < 2 {
        return Err(trouble(&whole));
    }
    let (mut accepted, mut refused) = (None, Vec::new());
    for recipient in envelope.to() {
        let alone = Envelope::new(envelope.from().cloned(), vec![recipient.clone()]);
        let alone = alone.map_err(|error| SendError::never(error.to_string()))?;
        match transport.send_raw(&alone, mail).await {
            Ok(response) => accepted = Some(said(&response)),
            Err(error) => refused.push(format!("{recipient}: {}", trouble(&error).text)),
        }
    }
    match accepted {
        Some(said) if refused.is_empty() => Ok(said),
        Some(said) => Ok(format!("{said}; not for {}", refused.join("; not for "))),
        None => Err(trouble(&whole)),
    }
}

fn said(response: &lettre::transport::smtp::response::Response) -> String {
    let lines: Vec<&str> = response.message().collect();
    format!("{} {}", response.code(), lines.join(" "))
        .trim_end()
        .to_owned()
}

async fn transport(
    server: &Smtp,
    login: Option<(&str, &Secret)>,
    ca: Option<&Path>,
) -> Result<Transport, SendError> {
    let tls = match server.security {
        Security::None => Tls::None,
        security => {
            let (host, ca) = (server.host.clone(), ca.map(Path::to_owned));
            let parameters = tokio::task::spawn_blocking(move || parameters(host, ca.as_deref()));
            let parameters = parameters.await;
            let parameters = parameters.map_err(|panic| SendError::later(panic.to_string()))??;
            if security == Security::Tls {
                Tls::Wrapper(parameters)
            } else {
                Tls::Required(parameters)
            }
        }
    };
    let builder = Transport::builder_dangerous(&server.host)
        .port(server.port)
        .tls(tls)
        .timeout(Some(ANSWER));
    let builder = match login {
        Some((user, password)) => builder.credentials(Credentials::new(
            user.to_owned(),
            password.expose().to_owned(),
        )),
        None => builder,
    };
    Ok(builder.build())
}

/// Trusts whom this machine trusts, and those in the file `ca`. None at all is
/// found out by the handshake.
fn parameters(host: String, ca: Option<&Path>) -> Result<TlsParameters, SendError> {
    let mut builder = TlsParameters::builder(host);
    if let Some(ca) = ca {
        let wrong = |why: String| SendError::never(format!("ca = {}: {why}", ca.display()));
        let pem = std::fs::read(ca).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem);
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| SendError::never(error.to_string()))
}

fn mail(server: &Smtp, message: &Message) -> Result<(Envelope, Vec<u8>), SendError> {
    let wrong = |what: &str| SendError::never(format!("{what} is no mail address"));
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
    Ok((built.envelope().clone(), built.formatted()))
}

fn message_id(message: &Message) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let host: String = message.host.chars().filter(|c| plain(*c)).collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    format!("<{}@{host}>", message.id)
}

fn trouble(error: &Error) -> SendError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
    }
    if text.contains("UnknownIssuer") {
        text += ": nobody whom this machine trusts vouches for it: install ca-certificates, or name \
                 its authority by `ca`";
    }
    let code = error.status().map(u16::from);
    if code == Some(535) {
        text += " (some providers want an authorization code in the place of the password)";
    }
    // Without an answer (no STARTTLS, a broken line) the next try may be better.
    if error.is_permanent() {
        SendError::never(text)
    } else {
        SendError::later(text)
    }
}
