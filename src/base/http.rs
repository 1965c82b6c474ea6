//! HTTP clients. Neither needs certificates on this machine to be made, and
//! neither follows a redirect: what is sent may be a secret.

use std::sync::Arc;

use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A client for this machine: no proxy stands between, and nobody is trusted
/// with TLS.
pub fn local() -> ClientBuilder {
    trusting(Vec::new()).no_proxy()
}

/// A client that trusts these authorities and goes through the proxy that the
/// environment names.
pub fn trusting(authorities: Vec<CertificateDer<'static>>) -> ClientBuilder {
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

/// Whether an address is one of this machine, which no proxy stands before.
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let parsed = host.parse::<std::net::IpAddr>();
    host == "localhost" || parsed.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

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
