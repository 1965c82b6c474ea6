//! HTTP clients. None needs certificates on this machine to be made, and none
//! follows a redirect: what is sent may be a secret.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// What an error says of a server whose certificate is no good.
pub const BAD_CERTIFICATE: &str = "invalid peer certificate";
/// What helps where nobody vouches for a server.
pub const UNTRUSTED: &str = ": nobody whom this machine trusts vouches for it: install \
                             ca-certificates, or name its authority by `ca`";

/// A client for this machine: no proxy stands between, and nobody is trusted
/// with TLS.
pub fn local() -> ClientBuilder {
    trusting(Vec::new()).no_proxy()
}

/// A client that trusts these authorities and goes through the proxy that the
/// environment names.
fn trusting(authorities: Vec<CertificateDer<'static>>) -> ClientBuilder {
    let mut roots = RootCertStore::empty();
    // Some of those that a system has are too old to be understood.
    roots.add_parsable_certificates(authorities);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    ClientBuilder::new()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
}

/// A client for `url`: it trusts whom this machine trusts and the authorities
/// in the file `ca`, and goes through the proxy that the environment names,
/// unless the address is one of this machine. It is one of this moment:
/// certificates may have been installed since the last one.
///
/// # Errors
/// Why the file cannot be used.
pub async fn client_for(url: &Url, ca: Option<&Path>) -> Result<ClientBuilder, String> {
    let builder = if url.scheme() == "https" {
        let ca = ca.map(Path::to_owned);
        let trusted = tokio::task::spawn_blocking(move || authorities(ca.as_deref())).await;
        trusting(trusted.map_err(|panic| panic.to_string())??)
    } else {
        trusting(Vec::new())
    };
    // A local server never stands behind a proxy.
    Ok(if is_local(url) {
        builder.no_proxy()
    } else {
        builder
    })
}

/// Whom this machine trusts, and those in the file `ca`.
fn authorities(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    // None at all is found out by the handshake, with a word on it.
    let mut trusted = rustls_native_certs::load_native_certs().certs;
    if let Some(ca) = ca {
        let wrong = |why: String| format!("ca = {}: {why}", ca.display());
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

/// Whether an address is one of this machine, which no proxy stands before.
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let parsed = host.parse::<std::net::IpAddr>();
    host == "localhost" || parsed.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// The pause that a server asks for.
pub fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?)
}

/// Seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let until = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(until).unwrap_or_default())
}

/// An error in words, without the address, which it would show.
pub fn trouble(error: &reqwest::Error) -> String {
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
    text
}

/// Whether an error will be there again until somebody has mended something:
/// nobody vouches for the server.
pub fn is_untrusted(trouble: &str) -> bool {
    trouble.contains(BAD_CERTIFICATE) || trouble.contains(UNTRUSTED)
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

    #[test]
    fn local_addresses() {
        for (url, local) in [
            ("http://127.0.0.1:80/x", true),
            ("http://[::1]/", true),
            ("https://localhost/", true),
            ("https://open.feishu.cn/", false),
        ] {
            assert_eq!(is_local(&Url::parse(url).expect("a URL")), local, "{url}");
        }
    }
}
