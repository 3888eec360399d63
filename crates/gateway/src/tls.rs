//! TLS of the listener: versions 1.2 and 1.3, ALPN `h2` and `http/1.1`, hybrid post-quantum key exchange first.
//!
//! One provider (aws-lc-rs). rustls follows the client's order of groups: whoever prefers X25519MLKEM768, as current
//! browsers and rustls itself do, gets it; others get X25519 or a NIST curve.
//!
//! The certificate lies in a [`Certificates`] slot: it can be replaced while connections are served, which keep the
//! one they began with. The same slot answers challenges of a certificate authority (RFC 8737).

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

/// ALPN name of HTTP/2.
pub(crate) const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP11: &[u8] = b"http/1.1";
/// ALPN name of a certificate authority's challenge (RFC 8737 section 6.2).
pub(crate) const ALPN_ACME: &[u8] = b"acme-tls/1";
/// Challenges answered at a time: names of one certificate.
const CHALLENGES_MAX: usize = 100;

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

/// A certificate chain and its key, checked against each other and ready to be put in force.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// From a chain (leaf first) and its private key.
    ///
    /// # Errors
    /// [`TlsError::Unusable`] when the key does not fit the certificate.
    pub fn new(certs: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let certified = CertifiedKey::from_der(certs, key, &provider()).map_err(TlsError::Unusable)?;
        Ok(Self(Arc::new(certified)))
    }

    /// The answer to an authority's challenge: a certificate with the critical extension of RFC 8737 section 3, which
    /// nothing here can check against its key.
    ///
    /// # Errors
    /// [`TlsError::Unusable`] when the key is of no supported kind.
    pub fn for_challenge(
        cert: CertificateDer<'static>,
        key: &PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let key = aws_lc_rs::sign::any_supported_type(key).map_err(TlsError::Unusable)?;
        Ok(Self(Arc::new(CertifiedKey::new(vec![cert], key))))
    }

    /// From PEM texts.
    ///
    /// # Errors
    /// [`TlsError`] naming which of the two texts is at fault.
    pub fn from_pem(certs: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let certs = CertificateDer::pem_slice_iter(certs)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Certificates(Some(error)))?;
        if certs.is_empty() {
            return Err(TlsError::Certificates(None));
        }
        Self::new(certs, PrivateKeyDer::from_pem_slice(key).map_err(TlsError::PrivateKey)?)
    }
}

/// The certificate in force, replaceable while connections are served. Empty, it fails every handshake.
#[derive(Debug, Default)]
pub struct Certificates {
    current: ArcSwapOption<CertifiedKey>,
    /// By server name.
    challenges: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
    answers_challenges: bool,
}

impl Certificates {
    /// A slot whose certificate comes from files.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self { current: ArcSwapOption::new(Some(certificate.0)), ..Self::default() }
    }

    /// A slot whose certificates come from an authority that proves control by TLS-ALPN-01 (RFC 8737).
    #[must_use]
    pub fn from_authority() -> Self {
        Self { answers_challenges: true, ..Self::default() }
    }

    /// Puts a certificate in force for new connections.
    pub fn replace(&self, certificate: Certificate) {
        self.current.store(Some(certificate.0));
    }

    /// Answers the authority's challenge for `name` (lower case) with a certificate made for it. Beyond 100 names the
    /// one is dropped that sorts first.
    pub fn answer_challenge(&self, name: &str, certificate: Certificate) {
        let mut challenges = self.challenges.lock();
        if challenges.len() >= CHALLENGES_MAX && !challenges.contains_key(name) {
            challenges.pop_first();
        }
        challenges.insert(name.to_owned(), certificate.0);
    }

    /// Answers no challenge any more.
    pub fn end_challenges(&self) {
        self.challenges.lock().clear();
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_challenge = self.answers_challenges
            && hello
                .alpn()
                .is_some_and(|mut offered| offered.next() == Some(ALPN_ACME) && offered.next().is_none());
        if is_challenge {
            let name = hello.server_name()?.to_ascii_lowercase();
            return self.challenges.lock().get(&name).map(Arc::clone);
        }
        self.current.load_full()
    }
}

/// The oldest version of TLS that clients may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oldest {
    /// TLS 1.2 (RFC 5246), which some clients of trading APIs still need.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446) alone: Mozilla's "modern" profile.
    Tls13,
}

/// Configuration of the listener for a slot of certificates.
///
/// # Errors
/// [`TlsError::Unusable`] when the provider lacks what the versions need.
pub fn server_config_with(
    certificates: Arc<Certificates>,
    oldest: Oldest,
) -> Result<Arc<ServerConfig>, TlsError> {
    let answers_challenges = certificates.answers_challenges;
    let versions: &[_] = match oldest {
        Oldest::Tls12 => &[&TLS13, &TLS12],
        Oldest::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP11.to_vec()];
    if answers_challenges {
        config.alpn_protocols.push(ALPN_ACME.to_vec());
    }
    // The order of cipher suites is ours, not the client's.
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}

/// Configuration of the listener for a certificate chain (leaf first) and its private key.
///
/// # Errors
/// [`TlsError::Unusable`] when the key does not fit the certificate.
pub fn server_config(
    certs: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    server_config_with(Arc::new(Certificates::new(Certificate::new(certs, key)?)), Oldest::default())
}

/// As [`server_config`], from PEM texts.
///
/// # Errors
/// [`TlsError`] naming which of the two texts is at fault.
pub fn server_config_from_pem(certs: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    server_config_with(Arc::new(Certificates::new(Certificate::from_pem(certs, key)?)), Oldest::default())
}
