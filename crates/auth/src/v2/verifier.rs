//! Checks signed requests: everything cheap first, one verification, then the standing of the key.
//!
//! Not here: the passage of a request only once, which is [`Authenticator::admit_once`](crate::Authenticator::admit_once)
//! as under the OKX scheme, and rate limits, which stand between the two.

use std::{borrow::Cow, fmt, net::IpAddr, sync::Arc, time::Duration};

use admission::{KeyedLimiter, Quota};
use crypto::{ct_eq, hmac_sha256, sha256};
use domain::{ApiKeyId, UnixNanos};

use super::{
    base::{Base, normal_authority, split_target},
    fault::Fault,
    fields::{SignatureInput, parse_content_digest, parse_signature},
    head::{Head, SignedFields},
    key_id::is_session_id,
    public_key::Algorithm,
    session::{SessionGrant, SessionRandom, Sessions, parse_session_body},
    source::Source,
};
use crate::{
    authenticator::{Endpoint, Proof, Verified, check_rights, check_standing, environment, front},
    key::Credential,
    refusal::Refusal,
    registry::{Entry, Found, Registry},
};

/// How far `created` may lie in the future: the client's clock may be this much ahead. One that is behind is the
/// client's to allow for, by a later `expires`.
pub const AHEAD_MAX: Duration = Duration::from_secs(5);

/// Most names a gateway is reached by.
pub const AUTHORITIES_MAX: usize = 16;

/// Failed verifications of signatures per second and source, unless configured otherwise.
pub const FAILURES_PER_SECOND: u32 = 20;

/// What a verifier is made of.
///
/// # Defaults
/// [`Config::new`] sets 100,000 sessions and [`FAILURES_PER_SECOND`] over at most 100,000 sources.
#[derive(Debug, Clone)]
pub struct Config {
    /// The names clients reach the gateway by, as they stand in `Host`: `api.example.com`, or with the port where it
    /// is not the scheme's own. A signature for another name is refused, so nobody can pass on what he was sent.
    pub authorities: Vec<String>,
    /// Most sessions open at a time.
    pub sessions_max: usize,
    /// Failed verifications of signatures that one source may cause.
    pub failures: Quota,
    /// Sources whose failures are counted at a time.
    pub failure_sources_max: usize,
    /// Random and secret: keeps outsiders from choosing what collides in a table.
    pub seed: u64,
}

impl Config {
    /// The defaults for these names.
    ///
    /// # Panics
    /// Never: the default quota is a valid one.
    #[must_use]
    pub fn new(authorities: Vec<String>, seed: u64) -> Self {
        let failures = Quota::new(FAILURES_PER_SECOND, Duration::from_secs(1)).expect("the quota is valid");
        Self { authorities, sessions_max: 100_000, failures, failure_sources_max: 100_000, seed }
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// None or too many names, or one that is no host name with an optional port, in lower case.
    #[error("authorities must be 1 to {AUTHORITIES_MAX} lower-case host names with an optional port")]
    Authorities,
}

/// Verifies requests with HTTP message signatures against the keys in force and the open sessions.
pub struct SignatureVerifier {
    registry: Arc<Registry>,
    sessions: Sessions,
    failures: KeyedLimiter<Source>,
    authorities: Box<[Box<[u8]>]>,
}

/// A request whose head is proven and whose body is still to be compared with the digest that was signed.
#[derive(Debug)]
pub struct VerifiedHead {
    verified: Verified,
    body_sha256: Option<[u8; 32]>,
}

impl VerifiedHead {
    /// Which key; the request may be charged to it before its body is read.
    #[must_use]
    pub fn key_id(&self) -> &ApiKeyId {
        self.verified.key_id()
    }

    /// Whether a digest was signed. A request without one that brings a body is refused in the end.
    #[must_use]
    pub const fn has_content_digest(&self) -> bool {
        self.body_sha256.is_some()
    }

    /// The proof for the whole request, once its body is there; empty where there is none.
    ///
    /// # Errors
    /// [`Refusal::ContentDigestMismatch`], or [`Fault::ContentDigestMissing`] for a body nobody signed.
    pub fn with_body(self, body: &[u8]) -> Result<Verified, Refusal> {
        match self.body_sha256 {
            Some(signed) if !ct_eq(&signed, &sha256(&[body])) => Err(Refusal::ContentDigestMismatch),
            None if !body.is_empty() => Err(malformed(Fault::ContentDigestMissing)),
            _ => Ok(self.verified),
        }
    }
}

impl SignatureVerifier {
    /// With no session open.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(registry: Arc<Registry>, config: Config) -> Result<Self, ConfigError> {
        let names = &config.authorities;
        let good = |name: &String| {
            normal_authority(name.as_bytes(), true).is_ok_and(|normal| normal == name.as_bytes())
        };
        if names.is_empty() || names.len() > AUTHORITIES_MAX || !names.iter().all(good) {
            return Err(ConfigError::Authorities);
        }
        Ok(Self {
            registry,
            sessions: Sessions::new(config.sessions_max, config.seed),
            failures: KeyedLimiter::new(config.failures, config.failure_sources_max, config.seed),
            authorities: names.iter().map(|name| name.as_bytes().into()).collect(),
        })
    }

    /// Checks everything but the body, in this order:
    ///
    /// 1. `Signature-Input` and `Signature` are of the profile, and agree with the fields that are there (50114);
    /// 2. now lies between `created` and `expires`, `created` at most [`AHEAD_MAX`] ahead (50102);
    /// 3. key known (50111) and not revoked (50119), or session open, from here and over this connection (50111), of a
    ///    key that is not frozen (50100); of this scheme and algorithm (50114); a session is enough here (50114);
    /// 4. host name served here (50114), values can be signed (50114);
    /// 5. fewer failures of this source than allowed (50011);
    /// 6. signature (50113): everything before costs less than a microsecond, this up to a hundred;
    /// 7. address, environment, state, idle time and rights of the key, as under the OKX scheme (50110, 50101, 50100,
    ///    50119, 50035, 50120).
    ///
    /// A success counts as use of the key.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify_head(
        &self,
        head: &Head<'_>,
        fields: &SignedFields<'_>,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<VerifiedHead, Refusal> {
        let input = SignatureInput::parse(fields.signature_input).map_err(malformed)?;
        let signature = parse_signature(fields.signature, input.algorithm).map_err(malformed)?;
        let body_sha256 = check_coverage(&input, fields).map_err(malformed)?;
        if now >= input.expires || input.created > now.plus(AHEAD_MAX) {
            return Err(Refusal::TimestampExpired);
        }
        let signer = self.signer(&input, head, endpoint, now)?;
        let base = self.base(&input, head, fields).map_err(malformed)?;
        self.check_signature(&signer, &base, &signature, head.ip, now)?;
        let entry = signer.into_entry();
        check_standing(&entry, head.ip, environment(fields.simulated), now)?;
        check_rights(&entry, endpoint)?;
        let proof = match input.algorithm {
            Algorithm::HmacSha256 => Proof::Session,
            Algorithm::Ed25519 | Algorithm::EcdsaP256Sha256 => Proof::KeySignature,
        };
        let verified = Verified::new(entry, input.created, replay_tag(&input), proof, now);
        Ok(VerifiedHead { verified, body_sha256 })
    }

    /// The key that a request names, whether it exists or not; for an open session, the key that opened it. Nothing is
    /// verified: it is for those who keep account of who is said to have asked.
    #[must_use]
    pub fn key_named<'a>(&self, fields: &SignedFields<'a>) -> Option<Cow<'a, str>> {
        let named = SignatureInput::parse(fields.signature_input).ok()?.key_id;
        let session = if is_session_id(named) { self.sessions.find(named) } else { None };
        Some(match session {
            Some(session) => session.entry.key.id.as_str().to_owned().into(),
            None => named.into(),
        })
    }

    /// Opens a session for a request that was verified as [`Endpoint::SESSION`] and admitted once.
    ///
    /// `tls_exporter` binds it to one TLS connection; give nothing where a client's connections share a session.
    ///
    /// # Errors
    /// [`Refusal::JsonInvalid`] and [`Refusal::ParameterInvalid`] for the body, [`Refusal::KeySignatureRequired`],
    /// [`Refusal::SystemBusy`] when all places are taken, and what [`SignatureVerifier::verify_head`] says of a key
    /// that was frozen or revoked meanwhile.
    pub fn open_session(
        &self,
        verified: &Verified,
        body: &[u8],
        ip: IpAddr,
        tls_exporter: Option<&[u8; 32]>,
        random: SessionRandom,
        now: UnixNanos,
    ) -> Result<SessionGrant, Refusal> {
        let client_public = parse_session_body(body)?;
        self.sessions.open(verified, &client_public, ip, tls_exporter, random, now)
    }

    /// Forgets sessions that have run out; to be called now and then, say every minute. Returns how many there were.
    /// Without it they are refused all the same, but stay in memory until the next one is opened.
    pub fn sweep(&self, now: UnixNanos) -> usize {
        self.sessions.sweep(now)
    }

    /// Sessions in memory.
    #[must_use]
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    fn signer(
        &self,
        input: &SignatureInput<'_>,
        head: &Head<'_>,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Signer, Refusal> {
        if is_session_id(input.key_id) {
            let session = self.sessions.find(input.key_id).ok_or(Refusal::SessionUnknown)?;
            session.check(head.ip, head.tls_exporter, now)?;
            if input.algorithm != Algorithm::HmacSha256 {
                return Err(malformed(Fault::AlgorithmMismatch));
            }
            if endpoint.needs_key_signature {
                return Err(Refusal::KeySignatureRequired);
            }
            return Ok(Signer::Session(session));
        }
        let entry = match self.registry.find(input.key_id.as_bytes()) {
            Found::Known(entry) => entry,
            Found::Revoked => return Err(Refusal::ApiKeyRevoked),
            Found::Unknown => return Err(Refusal::ApiKeyUnknown),
        };
        match &entry.key.credential {
            Credential::V2(key) if key.algorithm() == input.algorithm => Ok(Signer::Key(entry)),
            Credential::V2(_) => Err(malformed(Fault::AlgorithmMismatch)),
            Credential::Okx { .. } => Err(malformed(Fault::SchemeMismatch)),
        }
    }

    /// The bytes that must have been signed.
    fn base(
        &self,
        input: &SignatureInput<'_>,
        head: &Head<'_>,
        fields: &SignedFields<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let authority = normal_authority(head.authority, head.https)?;
        if !self.authorities.iter().any(|served| **served == *authority) {
            return Err(Fault::AuthorityForeign);
        }
        let (path, query) = split_target(head.target)?;
        let covered = [
            (input.content_digest, "\"content-digest\"", fields.content_digest),
            (input.exptime, "\"exptime\"", fields.exptime),
            (input.idempotency_key, "\"idempotency-key\"", fields.idempotency_key),
        ];
        // Names and punctuation of all lines fit in 160 bytes; the rest are the values.
        let values = head.method.len() + authority.len() + head.target.len() + input.params.len();
        let covered_bytes: usize = covered.iter().filter_map(|(_, _, value)| *value).map(<[u8]>::len).sum();
        let mut base = Base::with_capacity(values + covered_bytes + 160);
        base.component("\"@method\"", head.method)?;
        base.component("\"@authority\"", &authority)?;
        base.component("\"@path\"", path)?;
        base.component("\"@query\"", query)?;
        for (is_covered, identifier, value) in covered {
            if is_covered {
                base.component(identifier, value.ok_or(Fault::CoveredFieldMissing)?)?;
            }
        }
        Ok(base.finish(input.params))
    }

    fn check_signature(
        &self,
        signer: &Signer,
        base: &[u8],
        signature: &[u8],
        ip: IpAddr,
        now: UnixNanos,
    ) -> Result<(), Refusal> {
        let key = match signer {
            Signer::Session(session) => {
                let mac = hmac_sha256(session.mac_key.expose(), &[base]);
                return if ct_eq(&mac, signature) { Ok(()) } else { Err(Refusal::SignatureInvalid) };
            }
            Signer::Key(entry) => match &entry.key.credential {
                Credential::V2(key) => key,
                Credential::Okx { .. } => return Err(malformed(Fault::SchemeMismatch)),
            },
        };
        let source = Source::of(ip);
        // A cost of zero asks without charging.
        if !self.failures.check(source, 0, now).is_ok_and(|quota| quota.remaining > 0) {
            return Err(Refusal::RateLimited);
        }
        key.verify(base, signature).map_err(|_| {
            // Several failures under way at once may all have passed the question above; the charge of the later ones
            // is refused, which changes nothing: the budget is spent either way.
            self.failures.check(source, 1, now).ok();
            Refusal::SignatureInvalid
        })
    }
}

impl fmt::Debug for SignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureVerifier").field("sessions", &self.sessions_len()).finish_non_exhaustive()
    }
}

/// Who is said to have signed.
enum Signer {
    Key(Arc<Entry>),
    Session(Arc<super::session::Session>),
}

impl Signer {
    fn into_entry(self) -> Arc<Entry> {
        match self {
            Self::Key(entry) => entry,
            Self::Session(session) => Arc::clone(&session.entry),
        }
    }
}

/// Each of the three optional fields is covered exactly where it is present. Returns the digest that was signed.
fn check_coverage(input: &SignatureInput<'_>, fields: &SignedFields<'_>) -> Result<Option<[u8; 32]>, Fault> {
    for (is_covered, value) in [
        (input.content_digest, fields.content_digest),
        (input.exptime, fields.exptime),
        (input.idempotency_key, fields.idempotency_key),
    ] {
        match (is_covered, value.is_some()) {
            (true, false) => return Err(Fault::CoveredFieldMissing),
            (false, true) => return Err(Fault::Uncovered),
            (true, true) | (false, false) => {}
        }
    }
    fields.content_digest.map(parse_content_digest).transpose()
}

/// The same for a request and its repetition, whatever else is changed in it: the nonce counts once per key or session.
fn replay_tag(input: &SignatureInput<'_>) -> [u8; 16] {
    front(&sha256(&[b"caponier-v2 nonce\0", input.key_id.as_bytes(), b"\0", &input.nonce]))
}

const fn malformed(fault: Fault) -> Refusal {
    Refusal::SignatureMalformed { fault }
}

#[cfg(test)]
mod tests;
