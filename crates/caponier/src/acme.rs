//! Certificates from an authority that speaks ACME (RFC 8555), proven by TLS-ALPN-01 (RFC 8737) on the gateway's own
//! port: no second listener, no file to serve.
//!
//! The account key and the certificate's key are kept sealed in the data directory under a key of the installation.
//! They are not journalled and not backed up: a lost certificate is ordered again. A certificate is renewed when a
//! third of its life is left; a failed order is tried again after a minute, then ever later, up to an hour.

mod client;
mod store;

use std::{path::PathBuf, sync::Arc, time::Duration};

use domain::{Clock, UnixNanos};
use gateway::tls::{Certificate, Certificates};
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};

use self::{
    client::HttpsClient,
    store::{Kept, Store},
};
use crate::{
    core::chain,
    exit::{Exit, Failure},
    ground::Installation,
};

/// Whole order, challenges included.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest wait for the authority to come to a verdict.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(90);
/// Waiting time after the first failure, doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(60);
/// Longest waiting time after a failure.
const RETRY_LAST: Duration = Duration::from_secs(3600);
/// How often a certificate's age is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// `[acme]`, in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The authority's directory.
    pub directory: String,
    /// Names of the certificate.
    pub domains: Vec<String>,
    /// Where the authority may write to, `mailto:` URLs.
    pub contacts: Vec<String>,
    /// PEM file with the roots that vouch for the authority's own server.
    pub ca_file: PathBuf,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The authority does not offer TLS-ALPN-01 for a name.
    #[error("the authority offers no tls-alpn-01 challenge for {name}")]
    ChallengeNotOffered {
        /// The name.
        name: String,
    },
    /// What it issued is no certificate for our key, or cannot be read.
    #[error("the issued certificate is unusable: {what}")]
    Certificate {
        /// What is wrong.
        what: String,
    },
    /// The file with the sealed keys cannot be written or read.
    #[error("cannot keep keys and certificate")]
    Kept(#[source] std::io::Error),
    /// Talking with the authority failed, or it refused.
    #[error("the authority")]
    Protocol(#[from] instant_acme::Error),
    /// Making a key or request failed.
    #[error("certificate request")]
    Request(#[from] rcgen::Error),
    /// The authority came to another verdict than valid.
    #[error("the authority left the order {status:?}")]
    Refused {
        /// As it says.
        status: OrderStatus,
    },
    /// It took too long.
    #[error("no certificate within {} s", ORDER_TIMEOUT.as_secs())]
    TooSlow,
}

/// Keeps one certificate slot filled.
#[derive(Debug)]
pub struct Acme {
    config: Config,
    store: Store,
    certificates: Arc<Certificates>,
    clock: Arc<dyn Clock>,
}

/// The validity of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Validity {
    from: UnixNanos,
    until: UnixNanos,
}

impl Validity {
    /// Of the first certificate of a chain.
    fn of(chain_pem: &str) -> Result<Self, AcmeError> {
        let unusable = |what: String| AcmeError::Certificate { what };
        let leaf = CertificateDer::from_pem_slice(chain_pem.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let (_, leaf) =
            x509_parser::parse_x509_certificate(&leaf).map_err(|error| unusable(error.to_string()))?;
        let at = |seconds: i64| UnixNanos::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = leaf.validity();
        Ok(Self { from: at(validity.not_before.timestamp()), until: at(validity.not_after.timestamp()) })
    }

    /// When a third of its life is left.
    fn renew_at(self) -> UnixNanos {
        self.until.minus(self.until.since(self.from) / 3)
    }
}

impl Acme {
    /// Loads what is kept and puts a certificate that is still valid in force.
    ///
    /// # Errors
    /// [`Failure`] when kept files cannot be read, or the roots cannot.
    pub fn open(
        config: Config,
        data_dir: &std::path::Path,
        installation: &Installation,
        certificates: Arc<Certificates>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let store = Store::new(data_dir.join("acme"), installation.acme_key());
        // A fault in the file of roots is told at the start, not when the certificate has run out.
        HttpsClient::trusting(&config.ca_file)?;
        let acme = Self { config, store, certificates, clock };
        if let Some(kept) = acme.kept()? {
            let certificate = Certificate::from_pem(kept.chain.as_bytes(), kept.key.expose().as_bytes())
                .map_err(|error| Failure::new(Exit::Io, format!("kept certificate: {}", chain(&error))))?;
            acme.certificates.replace(certificate);
        }
        Ok(acme)
    }

    /// What is kept, if it is for the names and the authority configured.
    fn kept(&self) -> Result<Option<Kept>, Failure> {
        let kept = self
            .store
            .certificate()
            .map_err(|error| Failure::new(Exit::Io, format!("kept certificate: {error}")))?;
        Ok(kept.filter(|kept| kept.domains == self.config.domains && kept.directory == self.config.directory))
    }

    /// Orders and renews until dropped.
    pub async fn keep(self) {
        let mut wait = RETRY_FIRST;
        loop {
            let due = match self.kept() {
                Ok(Some(kept)) => match Validity::of(&kept.chain) {
                    Ok(validity) => self.clock.now() >= validity.renew_at(),
                    Err(_) => true,
                },
                Ok(None) => true,
                Err(failure) => {
                    tracing::error!(%failure, "ordering anew");
                    true
                }
            };
            if !due {
                wait = RETRY_FIRST;
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.order()).await;
            self.certificates.end_challenges();
            match ordered.unwrap_or(Err(AcmeError::TooSlow)) {
                Ok(validity) => {
                    wait = RETRY_FIRST;
                    tracing::info!(
                        domains = self.config.domains.join(","),
                        until = %validity.until,
                        "a new certificate is in force"
                    );
                }
                Err(error) => {
                    tracing::error!(
                        error = chain(&error),
                        retry_after_s = wait.as_secs(),
                        "no certificate; the one in force stays"
                    );
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_LAST);
                }
            }
        }
    }

    async fn order(&self) -> Result<Validity, AcmeError> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.config.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let mut challenge = authorization
                .challenge(ChallengeType::TlsAlpn01)
                .ok_or_else(|| AcmeError::ChallengeNotOffered { name: name.clone() })?;
            let digest = challenge.key_authorization().digest().as_ref().to_vec();
            self.certificates.answer_challenge(&name.to_ascii_lowercase(), answer(&name, &digest)?);
            challenge.set_ready().await?;
        }
        let verdict = order.poll_ready(&RetryPolicy::new().timeout(VERDICT_TIMEOUT)).await?;
        if verdict != OrderStatus::Ready {
            return Err(AcmeError::Refused { status: verdict });
        }
        let key = crypto::Secret::new(order.finalize().await?);
        let issued = order.poll_certificate(&RetryPolicy::new().timeout(VERDICT_TIMEOUT)).await?;
        let certificate = Certificate::from_pem(issued.as_bytes(), key.expose().as_bytes())
            .map_err(|error| AcmeError::Certificate { what: chain(&error) })?;
        let validity = Validity::of(&issued)?;
        let kept = Kept {
            directory: self.config.directory.clone(),
            domains: self.config.domains.clone(),
            chain: issued,
            key,
        };
        self.store.keep_certificate(&kept).map_err(AcmeError::Kept)?;
        self.certificates.replace(certificate);
        Ok(validity)
    }

    /// The account at the authority, made on first use.
    async fn account(&self) -> Result<Account, AcmeError> {
        let client = HttpsClient::trusting(&self.config.ca_file)
            .map_err(|failure| AcmeError::Certificate { what: failure.to_string() })?;
        let builder = Account::builder_with_http(Box::new(client));
        if let Some(credentials) = self.store.account(&self.config.directory).map_err(AcmeError::Kept)? {
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contacts: Vec<&str> = self.config.contacts.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&new, self.config.directory.clone(), None).await?;
        self.store.keep_account(&self.config.directory, &credentials).map_err(AcmeError::Kept)?;
        Ok(account)
    }
}

/// The certificate that proves control of `name` (RFC 8737 section 3).
fn answer(name: &str, digest: &[u8]) -> Result<Certificate, AcmeError> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new([name.to_owned()])?;
    params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Certificate::for_challenge(certificate.der().clone(), &key.into())
        .map_err(|error| AcmeError::Certificate { what: chain(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_when_a_third_of_the_life_is_left() {
        let day = |day: u64| UnixNanos::from_secs(1_800_000_000 + day * 86_400);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let at = |at: UnixNanos| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs());
        params.not_before = at(day(0));
        params.not_after = at(day(90));
        let certificate = params.self_signed(&key).unwrap();
        let validity = Validity::of(&certificate.pem()).unwrap();
        assert_eq!(validity, Validity { from: day(0), until: day(90) });
        assert_eq!(validity.renew_at(), day(60));
        assert!(matches!(Validity::of("no certificate"), Err(AcmeError::Certificate { .. })));
    }

    #[test]
    fn the_answer_to_a_challenge_names_the_domain_and_the_digest() {
        assert!(answer("trade.example", &[7; 32]).is_ok());
    }
}
