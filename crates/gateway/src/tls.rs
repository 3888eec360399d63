//! TLS of the listener: versions 1.2 and 1.3, ALPN `h2` and `http/1.1`, hybrid post-quantum key exchange first.
//!
//! One provider (aws-lc-rs). rustls follows the client's order of groups: whoever prefers X25519MLKEM768, as current
//! browsers and rustls itself do, gets it; others get X25519 or a NIST curve.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};

/// ALPN name of HTTP/2.
pub(crate) const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP11: &[u8] = b"http/1.1";

/// Why a certificate chain and key make no TLS configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The PEM text of the certificate chain does not parse or holds no certificate.
    #[error("certificate chain is not PEM with at least one certificate")]
    Certificates(#[source] Option<rustls::pki_types::pem::Error>),
    /// The PEM text of the private key does not parse or holds no key.
    #[error("private key is not PEM with a private key")]
    PrivateKey(#[source] rustls::pki_types::pem::Error),
    /// Key and certificate do not fit each other or are not supported.
    #[error("certificate and private key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// The provider with the key exchange groups offered here, the most preferred first: also for clients of this project.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// Configuration of the listener for a certificate chain (leaf first) and its private key.
///
/// # Errors
/// [`TlsError::Unusable`] when the key does not fit the certificate.
pub fn server_config(
    certs: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP11.to_vec()];
    // The order of cipher suites is ours, not the client's.
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}

/// As [`server_config`], from PEM texts.
///
/// # Errors
/// [`TlsError`] naming which of the two texts is at fault.
pub fn server_config_from_pem(certs: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let certs = CertificateDer::pem_slice_iter(certs)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Certificates(Some(error)))?;
    if certs.is_empty() {
        return Err(TlsError::Certificates(None));
    }
    server_config(certs, PrivateKeyDer::from_pem_slice(key).map_err(TlsError::PrivateKey)?)
}
