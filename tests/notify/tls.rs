//! An authority of a test's own, and the certificate of `localhost` that it
//! vouches for.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Writes the authority to `ca`, and gives what a server of `localhost` needs.
pub fn localhost(ca: &Path) -> Arc<ServerConfig> {
    let (certificate, key) = make(ca);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    Arc::new(config.expect("a configuration"))
}

/// The same, with certificate and key in files.
pub fn write_localhost(ca: &Path, cert: &Path, key: &Path) {
    let (certificate, own) = make(ca);
    std::fs::write(cert, certificate.pem()).expect("its file");
    std::fs::write(key, own.serialize_pem()).expect("its file");
}

fn make(ca: &Path) -> (Certificate, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    std::fs::write(ca, authority.pem()).expect("its file");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    (certificate, key)
}
