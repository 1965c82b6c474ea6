//! One POST of JSON, and what comes back.

use std::path::Path;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::receiver::{Hope, SendError};
use crate::base::http;
use crate::base::secret::Secret;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it all may take.
const LIMIT: Duration = Duration::from_secs(30);
/// What an error says of a receiver whose certificate is no good.
pub(super) const BAD_CERTIFICATE: &str = "invalid peer certificate";
/// What helps where nobody vouches for a receiver.
pub(super) const UNTRUSTED: &str = ": nobody whom this machine trusts vouches for it: install \
                                    ca-certificates, or name its authority by `ca`";
/// So many bytes of an answer are read.
const BODY: usize = 16 << 10;

/// What a receiver has answered, with a status of success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Posts JSON. A status other than success is an error.
pub(super) async fn post(
    url: &Secret,
    ca: Option<&Path>,
    body: String,
) -> Result<Answer, SendError> {
    let exchange = async {
        let client = client(url, ca).await?;
        let request = client
            .post(url.expose())
            .header("content-type", "application/json; charset=utf-8")
            .body(body);
        judge(request.send().await.map_err(|error| trouble(&error))?).await
    };
    let timed = tokio::time::timeout(LIMIT, exchange).await;
    let silent = || SendError::later(format!("no answer within {} s", LIMIT.as_secs()));
    timed.map_err(|_| silent())?
}

/// A client of this moment: certificates may have been installed since the
/// last one.
async fn client(url: &Secret, ca: Option<&Path>) -> Result<Client, SendError> {
    let parsed = Url::parse(url.expose());
    let parsed = parsed.map_err(|error| SendError::mended(format!("its URL is none: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(SendError::mended(
            "its URL begins with neither https:// nor http://",
        ));
    }
    let builder = if parsed.scheme() == "https" {
        let ca = ca.map(Path::to_owned);
        let trusted = tokio::task::spawn_blocking(move || authorities(ca.as_deref())).await;
        let trusted = trusted.map_err(|panic| SendError::later(panic.to_string()))??;
        http::trusting(trusted)
    } else {
        http::trusting(Vec::new())
    };
    // A local receiver never stands behind a proxy.
    let builder = if http::is_local(&parsed) {
        builder.no_proxy()
    } else {
        builder
    };
    let client = builder.connect_timeout(CONNECT).build();
    client.map_err(|error| trouble(&error))
}

/// Whom this machine trusts, and those in the file `ca`.
fn authorities(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, SendError> {
    // None at all is found out by the handshake, with a word on it.
    let mut trusted = rustls_native_certs::load_native_certs().certs;
    if let Some(ca) = ca {
        let wrong = |why: String| SendError::mended(format!("ca = {}: {why}", ca.display()));
        trusted.extend(certificates_in(ca).map_err(wrong)?);
    }
    Ok(trusted)
}

/// The certificates in a file, of which there must be some.
///
/// # Errors
/// Why it cannot be used.
pub fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let found = found.collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("no certificate is in it".to_owned());
    }
    Ok(found)
}

async fn judge(mut response: Response) -> Result<Answer, SendError> {
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER);
    let asked = asked.and_then(|value| retry_after(value.to_str().ok()?));
    let mut body = Vec::new();
    // What follows, or breaks off, does not change what the status says.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= BODY {
            break;
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        return Ok(Answer { status, body });
    }
    if status.is_redirection() {
        return Err(SendError::mended(format!(
            "it answers {status}, a redirect, which is not followed with a secret: give the URL \
             that it leads to"
        )));
    }
    let hope = match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Hope::Later(asked)
        }
        status if status.is_server_error() => Hope::Later(asked),
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Hope::Never,
        // The URL or a key in it is wrong, or the hook is gone.
        _ => Hope::Mended,
    };
    let text = format!("it answers {status}: {body}");
    Err(SendError { text, hope })
}

/// The pause that a receiver asks for: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let until = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(until).unwrap_or_default())
}

/// An error without the address, which it would show.
fn trouble(error: &reqwest::Error) -> SendError {
    let mut text = if error.is_connect() {
        "no connection".to_owned()
    } else if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "no answer that makes sense".to_owned()
    };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut last = None;
    while let Some(error) = cause {
        last = Some(error.to_string());
        cause = error.source();
    }
    let last = last.unwrap_or_default();
    if last.contains("UnknownIssuer") {
        text += UNTRUSTED;
    } else if !last.is_empty() {
        text += &format!(": {last}");
    }
    if last.contains(BAD_CERTIFICATE) {
        SendError::mended(text)
    } else {
        SendError::later(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_that_are_asked_for() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("soon"), None);
        let past = retry_after("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(past, Some(Duration::ZERO));
        let future = jiff::Zoned::now() + jiff::SignedDuration::from_hours(2);
        let future = jiff::fmt::rfc2822::to_string(&future).expect("a date");
        let pause = retry_after(&future).expect("a pause");
        assert!(pause > Duration::from_secs(3600), "{pause:?}");
    }
}
