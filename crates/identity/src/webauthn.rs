//! Passkeys: what a relying party verifies (W3C Web Authentication Level 3, sections 7.1 and 7.2).
//!
//! User verification is demanded, at registration and at every use: a passkey stands for possession and for PIN or
//! biometrics together. Attestation is not asked for and not judged: which make of authenticator a person uses is not what
//! is trusted here. Signatures are ES256 and EdDSA, which every authenticator of today has one of.
//!
//! Not here: challenges and their life ([`crate::Desk`]), extensions, tokens bound to TLS.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{P256VerifyingKey, VerifyingKey, ct_eq, sha256};
use minicbor::{Decoder, data::Type};
use serde_json::Value;

/// Longest credential id (the specification allows 1,023 bytes; real ones have 16 to 96).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 255;
/// Longest text or object of a browser that is looked at, in bytes.
pub const PART_BYTES_MAX: usize = 8 * 1024;
/// COSE algorithms in the order they are asked for: EdDSA, ES256 (RFC 9053).
pub const ALGORITHMS: [i32; 2] = [-8, -7];

/// User present.
const UP: u8 = 0x01;
/// User verified.
const UV: u8 = 0x04;
/// Attested credential data follows.
const AT: u8 = 0x40;
/// Extension data follows.
const ED: u8 = 0x80;

/// Why a passkey's word is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebauthnError {
    /// Its key is neither ES256 nor EdDSA.
    #[error("passkey has a key of a kind that was not asked for")]
    Algorithm,
    /// The answer is to another challenge.
    #[error("challenge is another")]
    Challenge,
    /// The counter did not move on: there may be two authenticators with one key.
    #[error("counter of the passkey went back: it may have been copied")]
    Copied,
    /// A part cannot be read.
    #[error("{what} cannot be read")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// The browser was at another site.
    #[error("answer was given at another origin")]
    Origin,
    /// The signature is wrong.
    #[error("signature does not verify")]
    Signature,
    /// The answer is of another ceremony.
    #[error("answer is of another kind")]
    Type,
    /// Nobody touched the authenticator, or it did not verify who did.
    #[error("user was not verified")]
    Unverified,
}

const fn malformed(what: &'static str) -> WebauthnError {
    WebauthnError::Malformed { what }
}

/// Verifies what a passkey signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// EdDSA over Ed25519.
    Ed25519([u8; 32]),
    /// ES256: an uncompressed point on P-256.
    P256([u8; 65]),
}

impl PublicKey {
    /// Its number and bytes in storage.
    #[must_use]
    pub const fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Ed25519(key) => (1, key),
            Self::P256(point) => (2, point),
        }
    }

    /// From storage; `None` for what is no key.
    #[must_use]
    pub fn from_parts(number: u8, bytes: &[u8]) -> Option<Self> {
        match number {
            1 => bytes.try_into().ok().map(Self::Ed25519),
            2 => P256VerifyingKey::from_point(bytes).ok().map(|key| Self::P256(*key.as_bytes())),
            _ => None,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => VerifyingKey(*key).verify(message, signature).is_ok(),
            Self::P256(point) => {
                let (Ok(key), Some(signature)) = (P256VerifyingKey::from_point(point), fixed(signature))
                else {
                    return false;
                };
                key.verify(message, &signature).is_ok()
            }
        }
    }
}

/// An ECDSA signature of DER (X.690) as two numbers of 32 bytes.
fn fixed(der: &[u8]) -> Option<[u8; 64]> {
    fn number<'d>(der: &'d [u8], out: &mut [u8]) -> Option<&'d [u8]> {
        let (&[0x02, len], rest) = der.split_first_chunk::<2>()? else { return None };
        let (digits, rest) = rest.split_at_checked(usize::from(len))?;
        let minimal = match digits {
            [] => false,
            [0, next, ..] => *next >= 0x80,
            [0] => false,
            [first, ..] => *first < 0x80,
        };
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        let start = out.len().checked_sub(digits.len()).filter(|_| minimal)?;
        out.get_mut(start..)?.copy_from_slice(digits);
        Some(rest)
    }
    let (&[0x30, len], rest) = der.split_first_chunk::<2>()? else { return None };
    if usize::from(len) != rest.len() || len >= 0x80 {
        return None;
    }
    let mut signature = [0; 64];
    let (r, s) = signature.split_at_mut(32);
    number(number(rest, r)?, s)?.is_empty().then_some(signature)
}

/// What both ceremonies demand of the browser's part.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// As it was given out.
    pub challenge: &'e [u8; 32],
    /// Where the page was, `https://caponier.example`.
    pub origin: &'e str,
    /// The relying party's id: the host of that.
    pub rp_id: &'e str,
}

impl Expected<'_> {
    fn client_data(&self, bytes: &[u8], kind: &str) -> Result<(), WebauthnError> {
        let what = "client_data";
        if bytes.len() > PART_BYTES_MAX {
            return Err(malformed(what));
        }
        let data: Value = serde_json::from_slice(bytes).map_err(|_| malformed(what))?;
        if data["type"] != kind {
            return Err(WebauthnError::Type);
        }
        let challenge = data["challenge"].as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        if !challenge.is_some_and(|challenge| ct_eq(&challenge, self.challenge)) {
            return Err(WebauthnError::Challenge);
        }
        if data["origin"] != self.origin || data["crossOrigin"] == true || data.get("topOrigin").is_some() {
            return Err(WebauthnError::Origin);
        }
        Ok(())
    }

    /// Flags, counter and what follows them.
    fn authenticator_data<'d>(&self, data: &'d [u8]) -> Result<(u8, u32, &'d [u8]), WebauthnError> {
        let what = malformed("authenticator_data");
        if data.len() > PART_BYTES_MAX {
            return Err(what);
        }
        let (rp, rest) = data.split_first_chunk::<32>().ok_or(what.clone())?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(what.clone())?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(what)?;
        if !ct_eq(rp, &sha256(&[self.rp_id.as_bytes()])) {
            return Err(WebauthnError::Origin);
        }
        if flags & UP == 0 || flags & UV == 0 {
            return Err(WebauthnError::Unverified);
        }
        Ok((flags, u32::from_be_bytes(*counter), rest))
    }

    /// A new passkey (section 7.1).
    ///
    /// # Errors
    /// [`WebauthnError`].
    pub fn registration(
        &self,
        client_data: &[u8],
        attestation: &[u8],
    ) -> Result<crate::Passkey, WebauthnError> {
        self.client_data(client_data, "webauthn.create")?;
        let data = attested(attestation).ok_or(malformed("attestation"))?;
        let (flags, counter, rest) = self.authenticator_data(data)?;
        let what = malformed("authenticator_data");
        if flags & AT == 0 {
            return Err(what);
        }
        // AAGUID, length of the id, id, key.
        let (_aaguid, rest) = rest.split_first_chunk::<16>().ok_or(what.clone())?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(what.clone())?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (id, rest) = rest.split_at_checked(len).ok_or(what.clone())?;
        if id.is_empty() || len > CREDENTIAL_ID_BYTES_MAX {
            return Err(what);
        }
        let mut decoder = Decoder::new(rest);
        let key = cose(&mut decoder)?;
        if flags & ED != 0 {
            decoder.skip().map_err(|_| what.clone())?;
        }
        if decoder.position() != rest.len() {
            return Err(what);
        }
        Ok(crate::Passkey { id: id.to_vec(), key, counter })
    }

    /// A passkey in use (section 7.2): its counter now.
    ///
    /// # Errors
    /// [`WebauthnError`].
    pub fn assertion(
        &self,
        passkey: &crate::Passkey,
        client_data: &[u8],
        authenticator_data: &[u8],
        signature: &[u8],
    ) -> Result<u32, WebauthnError> {
        self.client_data(client_data, "webauthn.get")?;
        let (_, counter, _) = self.authenticator_data(authenticator_data)?;
        let message = [authenticator_data, &sha256(&[client_data])].concat();
        if !passkey.key.verify(&message, signature) {
            return Err(WebauthnError::Signature);
        }
        if (counter != 0 || passkey.counter != 0) && counter <= passkey.counter {
            return Err(WebauthnError::Copied);
        }
        Ok(counter)
    }
}

/// The authenticator data of an attestation object; its statement is skipped.
fn attested(object: &[u8]) -> Option<&[u8]> {
    if object.len() > PART_BYTES_MAX {
        return None;
    }
    let mut decoder = Decoder::new(object);
    let fields = decoder.map().ok()??;
    let mut data = None;
    for _ in 0..fields {
        match decoder.str().ok()? {
            "authData" if data.is_none() => data = Some(decoder.bytes().ok()?),
            "attStmt" | "fmt" => decoder.skip().ok()?,
            _ => return None,
        }
    }
    data.filter(|_| decoder.position() == object.len())
}

/// A COSE_Key (RFC 9052 section 7).
fn cose(decoder: &mut Decoder<'_>) -> Result<PublicKey, WebauthnError> {
    let what = || malformed("public key");
    let fields = decoder.map().map_err(|_| what())?.ok_or_else(what)?;
    let (mut kty, mut alg, mut crv) = (0, 0, 0);
    let (mut x, mut y) = (None, None);
    for _ in 0..fields.min(16) {
        match decoder.i32().map_err(|_| what())? {
            1 => kty = decoder.i32().map_err(|_| what())?,
            3 => alg = decoder.i32().map_err(|_| what())?,
            -1 => crv = decoder.i32().map_err(|_| what())?,
            -2 => x = Some(coordinate(decoder)?),
            -3 => y = Some(coordinate(decoder)?),
            _ => decoder.skip().map_err(|_| what())?,
        }
    }
    match (kty, alg, crv, x, y) {
        // OKP, EdDSA, Ed25519
        (1, -8, 6, Some(x), None) => Ok(PublicKey::Ed25519(x)),
        // EC2, ES256, P-256
        (2, -7, 1, Some(x), Some(y)) => {
            let point = [&[4][..], &x, &y].concat();
            P256VerifyingKey::from_point(&point)
                .map(|key| PublicKey::P256(*key.as_bytes()))
                .map_err(|_| what())
        }
        _ => Err(WebauthnError::Algorithm),
    }
}

fn coordinate(decoder: &mut Decoder<'_>) -> Result<[u8; 32], WebauthnError> {
    let what = malformed("public key");
    if !matches!(decoder.datatype(), Ok(Type::Bytes)) {
        return Err(what);
    }
    decoder.bytes().ok().and_then(|bytes| bytes.try_into().ok()).ok_or(what)
}

#[cfg(test)]
pub(crate) mod tests;
