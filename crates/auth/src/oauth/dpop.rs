//! Proofs of possession: a signed statement "I hold this key, and I am sending this request now" (RFC 9449).
//!
//! A proof is a JWT whose header carries the public key. Read strictly: exactly the members below, no private key, no
//! algorithm but Ed25519 and ECDSA with P-256, one spelling of Base64. What it is a proof *of* is checked by
//! [`DpopProof::check`]; that it is seen once, by the caller, with [`DpopProof::tag`].
//!
//! | header | `typ` = `dpop+jwt`, `alg` = `ES256`, `EdDSA` or `Ed25519`, `jwk` (RFC 7517, RFC 8037) |
//! |---|---|
//! | claims | `jti`, `htm`, `htu`, `iat`, and `ath` with an access token |
//!
//! `htu` is compared byte for byte with the address the server is known by, without query.

use std::time::Duration;

use crypto::{ct_eq, sha256};
use domain::UnixNanos;

use super::{
    json::Object,
    text::{array_from_base64url, base64url, from_base64url},
};
use crate::v2::PublicKey;

/// Longest proof, in bytes.
pub const PROOF_BYTES_MAX: usize = 2_048;

/// Longest `jti`, in bytes.
pub const JTI_BYTES_MAX: usize = 128;

/// How far `iat` may lie from the server's time, in either direction; that of the replay window, which remembers
/// proofs for as long as they are accepted.
pub const AGE_MAX: Duration = crate::okx::SKEW_MAX;

/// A text that is not a proof, or not one of this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DpopError {
    /// The claim `ath` is not the hash of the access token, or is there without one.
    #[error("ath is not the hash of the access token")]
    AccessTokenMismatch,
    /// An algorithm that is not accepted, or not that of the key.
    #[error("alg is not accepted for this key")]
    Algorithm,
    /// The claims are not exactly those of a proof.
    #[error("claims are not those of a proof")]
    Claims,
    /// The header is not exactly that of a proof.
    #[error("header is not that of a proof")]
    Header,
    /// The key is not a public key of an accepted kind.
    #[error("jwk is not an accepted public key")]
    Key,
    /// The proof is for another method.
    #[error("htm is another method")]
    Method,
    /// The proof is too old or from the future.
    #[error("iat is out of time")]
    OutOfTime,
    /// Not three parts of Base64 for URLs, or too long.
    #[error("not a compact JWT")]
    Shape,
    /// The signature is not that of the key in the header.
    #[error("signature does not verify")]
    Signature,
    /// The proof is for another address.
    #[error("htu is another address")]
    Target,
}

/// A proof whose signature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpopProof {
    key: PublicKey,
    thumbprint: [u8; 32],
    jti: String,
    method: String,
    target: String,
    issued_at: UnixNanos,
    token_hash: Option<[u8; 32]>,
}

impl DpopProof {
    /// Reads a proof and verifies its signature.
    ///
    /// # Errors
    /// [`DpopError`] other than those of [`DpopProof::check`].
    pub fn parse(text: &[u8]) -> Result<Self, DpopError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(DpopError::Shape);
        }
        let mut dots = text.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(DpopError::Shape);
        };
        let part = |part: &[u8]| from_base64url(part).ok_or(DpopError::Shape);
        let header = part(&text[..first])?;
        let claims = part(&text[first + 1..second])?;
        let signature = part(&text[second + 1..])?;

        let header = Object::parse(&header).ok_or(DpopError::Header)?;
        if !header.has_only(&["typ", "alg", "jwk"]) || header.text("typ") != Some("dpop+jwt") {
            return Err(DpopError::Header);
        }
        let key = jwk_key(header.object("jwk").ok_or(DpopError::Key)?).ok_or(DpopError::Key)?;
        match (header.text("alg"), &key) {
            (Some("EdDSA" | "Ed25519"), PublicKey::Ed25519(_)) | (Some("ES256"), PublicKey::P256(_)) => {}
            _ => return Err(DpopError::Algorithm),
        }
        let claims = Object::parse(&claims).ok_or(DpopError::Claims)?;
        let read = Self::claims(key, &claims).ok_or(DpopError::Claims)?;
        // Last, since it is what costs.
        read.key.verify(&text[..second], &signature).map_err(|_| DpopError::Signature)?;
        Ok(read)
    }

    fn claims(key: PublicKey, claims: &Object<'_>) -> Option<Self> {
        if !claims.has_only(&["jti", "htm", "htu", "iat", "ath"]) {
            return None;
        }
        let token_hash = match claims.member("ath") {
            None => None,
            Some(_) => Some(array_from_base64url(claims.text("ath")?)?),
        };
        let jti = claims.text("jti").filter(|jti| (1..=JTI_BYTES_MAX).contains(&jti.len()))?;
        let seconds = claims.number("iat").filter(|seconds| *seconds <= u64::MAX / 1_000_000_000)?;
        Some(Self {
            thumbprint: thumbprint(&key),
            key,
            jti: jti.to_owned(),
            method: claims.text("htm")?.to_owned(),
            target: claims.text("htu")?.to_owned(),
            issued_at: UnixNanos::from_secs(seconds),
            token_hash,
        })
    }

    /// Checks that the proof is for this request: `target` is the address without query. With an access token the
    /// proof must hold its hash, without one it must not.
    ///
    /// # Errors
    /// [`DpopError`] naming the claim.
    pub fn check(
        &self,
        method: &[u8],
        target: &[&str],
        access_token: Option<&[u8]>,
        now: UnixNanos,
    ) -> Result<(), DpopError> {
        if self.method.as_bytes() != method {
            return Err(DpopError::Method);
        }
        let rest = target.iter().try_fold(&*self.target, |rest, part| rest.strip_prefix(part));
        if rest != Some("") {
            return Err(DpopError::Target);
        }
        if self.issued_at.since(now) > AGE_MAX || now.since(self.issued_at) > AGE_MAX {
            return Err(DpopError::OutOfTime);
        }
        let same = match (access_token, &self.token_hash) {
            (None, None) => true,
            (Some(token), Some(hash)) => ct_eq(&sha256(&[token]), hash),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if same { Ok(()) } else { Err(DpopError::AccessTokenMismatch) }
    }

    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The SHA-256 thumbprint of the key (RFC 7638), `jkt`.
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// When it was made.
    #[must_use]
    pub const fn issued_at(&self) -> UnixNanos {
        self.issued_at
    }

    /// The same for a proof and its repetition, and for no other: of key and `jti`.
    #[must_use]
    pub fn tag(&self) -> [u8; 16] {
        let hash = sha256(&[b"caponier dpop", &self.thumbprint, self.jti.as_bytes()]);
        std::array::from_fn(|index| hash[index])
    }
}

/// A public key of an accepted kind, and nothing beside.
fn jwk_key(jwk: &Object<'_>) -> Option<PublicKey> {
    let x: [u8; 32] = array_from_base64url(jwk.text("x")?)?;
    match (jwk.text("kty")?, jwk.text("crv")?) {
        ("OKP", "Ed25519") if jwk.has_only(&["kty", "crv", "x"]) => PublicKey::ed25519(x).ok(),
        ("EC", "P-256") if jwk.has_only(&["kty", "crv", "x", "y"]) => {
            let y: [u8; 32] = array_from_base64url(jwk.text("y")?)?;
            PublicKey::p256(&[&[4][..], &x, &y].concat()).ok()
        }
        _ => None,
    }
}

/// The SHA-256 thumbprint of a key (RFC 7638 section 3, RFC 8037 section 2).
#[must_use]
pub fn thumbprint(key: &PublicKey) -> [u8; 32] {
    let json = match key {
        PublicKey::Ed25519(_) => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(key.as_bytes()))
        }
        PublicKey::P256(_) => {
            // An uncompressed point: 4, x, y.
            let (x, y) = key.as_bytes()[1..].split_at(32);
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
        }
    };
    sha256(&[json.as_bytes()])
}

#[cfg(test)]
mod tests;
